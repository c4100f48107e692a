// Counts rows of an evaluation.
#include "eval/metrics.h"

#include <math.h>

gb_rate gb_wilson(size_t count, size_t total)
{
    const double z = 1.959963984540054; // the normal distribution's 97.5 % point
    gb_rate r = {count, total, NAN, NAN, NAN};
    if (!total)
        return r;
    double n = (double)total, p = (double)count / n, scale = 1 + z * z / n;
    double centre = (p + z * z / (2 * n)) / scale;
    double half = z * sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / scale;
    r.value = p;
    r.low = count ? centre - half : 0; // exactly, where rounding would leave a crumb
    r.high = count < total ? centre + half : 1;
    return r;
}

static bool is_class(const gb_metrics *m, int32_t class)
{
    return class >= 0 && class < m->classes;
}

static int count_row(gb_metrics *m, const gb_eval_row *r, size_t *robust, size_t *eight)
{
    size_t classes = (size_t)m->classes;
    if (!is_class(m, r->label) || !is_class(m, r->clean) ||
        (m->attack && !is_class(m, r->adversarial)))
        return gb_fail(GB_ERR_ARG, "picture %lld: class %d, seen as %d and %d, but there are %d",
                       (long long)r->item, r->label, r->clean, r->adversarial, m->classes);
    bool correct = r->clean == r->label, broken = m->attack && correct && !r->robust;
    m->confusion[(size_t)r->label * classes + (size_t)r->clean]++;
    if (!m->attack)
        return 0;
    m->confusion_adversarial[(size_t)r->label * classes + (size_t)r->adversarial]++;
    *robust += correct && r->robust;
    *eight += correct && r->robust_8bit;
    m->class_robust[r->label].count += correct && r->robust;
    m->attacked += correct;
    m->broken += broken;
    m->zero_gradient += r->zero_gradients > 0;
    m->mean_iterations += broken ? r->iterations : 0;
    m->mean_linf += broken ? (double)r->linf : 0;
    m->mean_l2 += broken ? (double)r->l2 : 0;
    return 0;
}

int gb_metrics_count(gb_metrics *out, const gb_eval_row *row, size_t n, int classes, bool attack,
                     bool eight_bit)
{
    gb_metrics m = {.attack = attack, .eight_bit = attack && eight_bit, .images = n,
                    .classes = classes};
    size_t k = (size_t)classes, correct = 0, robust = 0, eight = 0;
    int err = 0;
    m.class_accuracy = gb_arena_array(&m.arena, k, sizeof *m.class_accuracy);
    m.class_robust = gb_arena_array(&m.arena, k, sizeof *m.class_robust);
    m.confusion = gb_arena_array(&m.arena, k * k, sizeof *m.confusion);
    m.confusion_adversarial = gb_arena_array(&m.arena, k * k, sizeof *m.confusion_adversarial);
    if (!m.class_accuracy || !m.class_robust || !m.confusion || !m.confusion_adversarial) {
        err = GB_ERR_NOMEM;
        goto fail;
    }
    for (size_t i = 0; i < n; i++)
        GB_TRY(count_row(&m, &row[i], &robust, &eight));
    for (size_t c = 0; c < k; c++) {
        size_t total = 0;
        for (size_t seen = 0; seen < k; seen++)
            total += m.confusion[c * k + seen];
        m.class_accuracy[c] = gb_wilson(m.confusion[c * k + c], total);
        m.class_robust[c] = gb_wilson(m.class_robust[c].count, total);
        correct += m.confusion[c * k + c];
    }
    m.accuracy = gb_wilson(correct, n);
    m.robust = gb_wilson(robust, n);
    m.robust_8bit = gb_wilson(eight, n);
    if (m.broken) {
        m.mean_iterations /= (double)m.broken;
        m.mean_linf /= (double)m.broken;
        m.mean_l2 /= (double)m.broken;
    }
    *out = m;
    return 0;
fail:
    gb_metrics_finish(&m);
    return err;
}

void gb_metrics_finish(gb_metrics *m)
{
    gb_arena_finish(&m->arena);
    *m = (gb_metrics){0};
}
