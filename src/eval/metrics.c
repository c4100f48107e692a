// Counts rows of an evaluation.
#include "eval/metrics.h"

#include <math.h>
#include <stdlib.h>

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

static int by_cell(const void *a, const void *b)
{
    const gb_confusion_cell *x = a, *y = b;
    const int order = (x->label > y->label) - (x->label < y->label);
    return order ? order : (x->seen > y->seen) - (x->seen < y->seen);
}

// A cell for each picture becomes one for each pair.
static void merge(gb_confusion *c)
{
    size_t kept = 0;
    qsort(c->cell, c->n, sizeof *c->cell, by_cell);
    for (size_t i = 0; i < c->n; i++) {
        if (kept && by_cell(&c->cell[kept - 1], &c->cell[i]) == 0)
            c->cell[kept - 1].count++;
        else
            c->cell[kept++] = c->cell[i];
    }
    c->n = kept;
}

size_t gb_confusion_at(const gb_confusion *c, int label, int seen)
{
    const gb_confusion_cell key = {.label = label, .seen = seen};
    const gb_confusion_cell *cell =
        c->n ? bsearch(&key, c->cell, c->n, sizeof key, by_cell) : NULL;
    return cell ? cell->count : 0;
}

static int count_row(gb_metrics *m, const gb_eval_row *r, size_t *robust, size_t *eight)
{
    if (!is_class(m, r->label) || !is_class(m, r->clean) ||
        (m->attack && !is_class(m, r->adversarial)))
        return gb_fail(GB_ERR_ARG, "picture %lld: class %d, seen as %d and %d, but there are %d",
                       (long long)r->item, r->label, r->clean, r->adversarial, m->classes);
    bool correct = r->clean == r->label, broken = m->attack && correct && !r->robust;
    m->confusion.cell[m->confusion.n++] = (gb_confusion_cell){r->label, r->clean, 1};
    m->class_accuracy[r->label].total++;
    m->class_accuracy[r->label].count += correct;
    if (!m->attack)
        return 0;
    m->confusion_adversarial.cell[m->confusion_adversarial.n++] =
        (gb_confusion_cell){r->label, r->adversarial, 1};
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

int gb_metrics_reserve(gb_metrics *out, int classes, size_t rows)
{
    gb_metrics m = {.classes = classes, .most = rows};
    const size_t k = (size_t)classes;
    m.class_accuracy = gb_arena_array(&m.arena, k, sizeof *m.class_accuracy);
    m.class_robust = gb_arena_array(&m.arena, k, sizeof *m.class_robust);
    m.confusion.cell = gb_arena_array(&m.arena, rows + 1, sizeof *m.confusion.cell);
    m.confusion_adversarial.cell = gb_arena_array(&m.arena, rows + 1, sizeof *m.confusion.cell);
    *out = m;
    if (m.class_accuracy && m.class_robust && m.confusion.cell && m.confusion_adversarial.cell)
        return 0;
    gb_metrics_finish(out);
    return gb_fail(GB_ERR_NOMEM, "out of memory for the tables of %d classes and %zu pictures",
                   classes, rows);
}

int gb_metrics_count(gb_metrics *m, const gb_eval_row *row, size_t n, bool attack, bool eight_bit)
{
    size_t correct = 0, robust = 0, eight = 0;
    int err = 0;
    if (n > m->most)
        return gb_fail(GB_ERR_ARG, "%zu pictures where %zu were to come", n, m->most);
    m->attack = attack;
    m->eight_bit = attack && eight_bit;
    m->images = n;
    for (size_t i = 0; i < n; i++)
        GB_TRY(count_row(m, &row[i], &robust, &eight));
    merge(&m->confusion);
    merge(&m->confusion_adversarial);
    for (int c = 0; c < m->classes; c++) {
        gb_rate *seen = &m->class_accuracy[c], *kept = &m->class_robust[c];
        correct += seen->count;
        *kept = gb_wilson(kept->count, seen->total);
        *seen = gb_wilson(seen->count, seen->total);
    }
    m->accuracy = gb_wilson(correct, n);
    m->robust = gb_wilson(robust, n);
    m->robust_8bit = gb_wilson(eight, n);
    if (m->broken) {
        m->mean_iterations /= (double)m->broken;
        m->mean_linf /= (double)m->broken;
        m->mean_l2 /= (double)m->broken;
    }
fail:
    return err;
}

void gb_metrics_finish(gb_metrics *m)
{
    gb_arena_finish(&m->arena);
    *m = (gb_metrics){0};
}
