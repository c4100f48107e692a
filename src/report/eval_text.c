// An evaluation for people.
#include "report/eval.h"

#include "base/text.h"

#include <math.h>
#include <string.h>

static void rate_text(FILE *out, const char *what, const gb_rate *r)
{
    gb_text(out, "%-19s %6.2f %%  (%zu of %zu; 95 %% interval %.2f to %.2f %%)\n", what,
            100 * r->value, r->count, r->total, 100 * r->low, 100 * r->high);
}

static size_t present(const gb_metrics *m, int *list, size_t most)
{
    size_t n = 0;
    for (int c = 0; c < m->classes; c++) {
        if (!m->class_accuracy[c].total)
            continue;
        if (n < most)
            list[n] = c;
        n++;
    }
    return n;
}

static int name_width(const gb_eval_report *r, const int *list, size_t n)
{
    int width = (int)strlen("class");
    for (size_t i = 0; i < n; i++) {
        int length = (int)strlen(r->class_name[list[i]]);
        width = length > width ? length : width;
    }
    return width < 28 ? width : 28;
}

static void class_table(FILE *out, const gb_eval_report *r, const int *list, size_t n)
{
    const gb_metrics *m = r->metrics;
    int width = name_width(r, list, n);
    gb_text(out, "\n%5s %-*s  images  accuracy%s\n", "", width, "class",
            m->attack ? "  robust accuracy" : "");
    for (size_t i = 0; i < n; i++) {
        const gb_rate *a = &m->class_accuracy[list[i]], *b = &m->class_robust[list[i]];
        gb_text(out, "%5d %-*.*s  %6zu  %6.2f %%", list[i], width, width, r->class_name[list[i]],
                a->total, 100 * a->value);
        if (m->attack)
            gb_text(out, "         %6.2f %%", 100 * b->value);
        fputc('\n', out);
    }
}

// Rows true, columns seen.
static void confusion(FILE *out, const gb_eval_report *r, const gb_confusion *matrix,
                      const char *title, const int *list, size_t n)
{
    const gb_metrics *m = r->metrics;
    int width = name_width(r, list, n);
    size_t other = 0;
    gb_text(out, "\n%s: rows are the true class, columns the one seen\n%5s %-*s", title, "", width,
            "");
    for (size_t k = 0; k < n; k++)
        fprintf(out, " %5d", list[k]);
    fputc('\n', out);
    for (size_t i = 0; i < n; i++) {
        size_t shown = 0;
        gb_text(out, "%5d %-*.*s", list[i], width, width, r->class_name[list[i]]);
        for (size_t k = 0; k < n; k++) {
            const size_t count = gb_confusion_at(matrix, list[i], list[k]);
            shown += count;
            fprintf(out, " %5zu", count);
        }
        fputc('\n', out);
        other += m->class_accuracy[list[i]].total - shown;
    }
    if (other)
        gb_text(out, "%5s %zu pictures were seen as classes that the data does not have\n", "",
                other);
}

void gb_eval_text(FILE *out, const gb_eval_report *r)
{
    enum { TABLE = 40, MATRIX = 12 };
    const gb_metrics *m = r->metrics;
    int list[TABLE];
    gb_text(out, "model    %s, preprocessing %s\n", r->model.path,
            r->model.preprocess);
    gb_text(out, "data     %zu of the %zu pictures of %s%s\n", m->images, r->data->count,
            r->data->spec, r->data_classes ? ", seen among its own classes" : "");
    gb_text(out, "labels   %s\n", r->data->label_text);
    if (r->config)
        gb_report_attack_text(out, r->config);
    fputc('\n', out);
    rate_text(out, "accuracy", &m->accuracy);
    if (m->attack)
        rate_text(out, "robust accuracy", &m->robust);
    if (m->eight_bit)
        rate_text(out, "  as 8-bit pictures", &m->robust_8bit);
    if (m->attack)
        gb_text(out, "attacked            %zu, broken %zu: on average after %.1f steps, "
                     "linf %.2f/255, l2 %.3f\n", m->attacked, m->broken, m->mean_iterations,
                255 * m->mean_linf, m->mean_l2);
    if (r->n_bad)
        gb_text(out, "failed              %zu picture%s could not be read and count%s nowhere\n",
                r->n_bad, r->n_bad == 1 ? "" : "s", r->n_bad == 1 ? "s" : "");
    if (m->zero_gradient)
        fprintf(out, "warning             %zu pictures had steps with a gradient of zero: the "
                     "model may mask its gradients\n", m->zero_gradient);
    gb_text(out, "time                %.1f s", r->seconds);
    if (m->images > r->earlier && r->seconds > 0)
        gb_text(out, ", %.1f images/s", (double)(m->images - r->earlier) / r->seconds);
    if (r->earlier)
        fprintf(out, "; %zu pictures were done before", r->earlier);
    fputc('\n', out);
    size_t n = present(m, list, TABLE);
    if (n > TABLE)
        return;
    class_table(out, r, list, n);
    if (n > MATRIX)
        return;
    confusion(out, r, &m->confusion, "as they are", list, n);
    if (m->attack)
        confusion(out, r, &m->confusion_adversarial, "under attack", list, n);
}
