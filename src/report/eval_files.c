// An evaluation's tables as CSV files and pictures.
#include "base/number.h"
#include "report/eval.h"

#include "base/file.h"
#include "report/matrix.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void put_name(FILE *file, const char *name)
{
    fputc('"', file);
    for (; *name; name++) {
        if (*name == '"')
            fputc('"', file);
        fputc(*name, file);
    }
    fputc('"', file);
}

static void put_rate(FILE *file, const gb_rate *r)
{
    gb_print(file, ",%zu,%.6f,%.6f,%.6f", r->count, r->value, r->low, r->high);
}

static void put_classes(FILE *file, const gb_eval_report *r)
{
    const gb_metrics *m = r->metrics;
    fputs("class,name,images,correct,accuracy,low,high", file);
    fputs(m->attack ? ",robust,robust_accuracy,robust_low,robust_high\n" : "\n", file);
    for (int c = 0; c < m->classes; c++) {
        if (!m->class_accuracy[c].total)
            continue;
        fprintf(file, "%d,", c);
        put_name(file, r->class_name[c]);
        fprintf(file, ",%zu", m->class_accuracy[c].total);
        put_rate(file, &m->class_accuracy[c]);
        if (m->attack)
            put_rate(file, &m->class_robust[c]);
        fputc('\n', file);
    }
}

// A row for each class that has pictures, a column for every class of the model. Where that is a
// table of millions, mostly zeros, there is a line for each pair that came.
static void put_confusion(FILE *file, const gb_eval_report *r, const gb_confusion *matrix)
{
    enum { MOST = 1 << 22 };
    const gb_metrics *m = r->metrics;
    const gb_confusion_cell *cell = matrix->cell, *end = cell + matrix->n;
    int64_t present = 0;
    for (int t = 0; t < m->classes; t++)
        present += m->class_accuracy[t].total > 0;
    if (present * m->classes > MOST) {
        fputs("class,seen,images\n", file);
        for (; cell < end; cell++)
            fprintf(file, "%d,%d,%zu\n", cell->label, cell->seen, cell->count);
        return;
    }
    fputs("class", file);
    for (int s = 0; s < m->classes; s++)
        fprintf(file, ",%d", s);
    fputc('\n', file);
    for (int t = 0; t < m->classes; t++) {
        if (!m->class_accuracy[t].total)
            continue;
        fprintf(file, "%d", t);
        for (int s = 0; s < m->classes; s++) {
            const bool here = cell < end && cell->label == t && cell->seen == s;
            fprintf(file, ",%zu", here ? cell->count : 0);
            cell += here;
        }
        fputc('\n', file);
    }
}

static int write_table(const char *folder, const char *name, const gb_eval_report *r,
                       const gb_confusion *matrix)
{
    char path[4096], *text = NULL;
    size_t size = 0;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = open_memstream(&text, &size);
    if (!file)
        return gb_fail(GB_ERR_NOMEM, "out of memory");
    if (matrix)
        put_confusion(file, r, matrix);
    else
        put_classes(file, r);
    int err = fclose(file) ? gb_fail(GB_ERR_NOMEM, "out of memory for %s", path)
                           : gb_file_write(path, text, size);
    free(text);
    return err;
}

// Per cent of each true class, over the classes that have pictures.
static int draw_confusion(const char *folder, const char *file, const gb_eval_report *r,
                          const gb_confusion *matrix, const char *title)
{
    enum { MOST = 100 };
    const gb_metrics *m = r->metrics;
    const char *name[MOST];
    int list[MOST];
    size_t n = 0;
    char path[4096];
    double *value = NULL;
    gb_image image = {0};
    int err = 0;
    for (int c = 0; c < m->classes; c++) {
        if (!m->class_accuracy[c].total)
            continue;
        if (n == MOST)
            return 0;
        list[n] = c;
        name[n++] = r->class_name[c];
    }
    if (!n)
        return 0;
    value = calloc(n * n, sizeof *value);
    if (!value)
        return gb_fail(GB_ERR_NOMEM, "out of memory for a matrix of %zu classes", n);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < n; k++)
            value[i * n + k] = 100.0 * (double)gb_confusion_at(matrix, list[i], list[k]) /
                               (double)m->class_accuracy[list[i]].total;
    const gb_matrix drawn = {.title = title, .row_title = "true class",
                             .col_title = "seen, in per cent", .row = name, .col = name, .rows = n,
                             .cols = n, .value = value, .high = 100, .digits = 1};
    snprintf(path, sizeof path, "%s/%s", folder, file);
    GB_TRY(gb_matrix_draw(&image, &drawn));
    GB_TRY(gb_image_write_png(path, &image));
fail:
    free(value);
    gb_image_finish(&image);
    return err;
}

int gb_eval_write(const char *folder, const gb_eval_report *r)
{
    const gb_metrics *m = r->metrics;
    char title[160];
    int err = 0;
    GB_TRY(write_table(folder, "classes.csv", r, NULL));
    GB_TRY(write_table(folder, "confusion.csv", r, &m->confusion));
    gb_format(title, sizeof title, "accuracy %.2f %%", 100 * m->accuracy.value);
    GB_TRY(draw_confusion(folder, "confusion.png", r, &m->confusion, title));
    if (!m->attack)
        return 0;
    GB_TRY(write_table(folder, "confusion_adversarial.csv", r, &m->confusion_adversarial));
    gb_format(title, sizeof title, "robust accuracy %.2f %%", 100 * m->robust.value);
    GB_TRY(draw_confusion(folder, "confusion_adversarial.png", r, &m->confusion_adversarial,
                          title));
fail:
    return err;
}
