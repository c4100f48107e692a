// What evaluations count, against numbers worked out by hand, and how their records survive.
#include "support/check.h"
#include "support/folder.h"

#include "eval/metrics.h"
#include "eval/record.h"

#include <math.h>
#include <unistd.h>

// Wilson's interval: (p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n), z = 1.959964.
static void test_wilson(void **state)
{
    const struct {
        size_t count, total;
        double low, high;
    } cases[] = {
        {8, 10, 0.490162, 0.943318},     {0, 10, 0, 0.277533},  {10, 10, 0.722467, 1},
        {1, 1, 0.206549, 1},             {50, 100, 0.403832, 0.596168},
        {9105, 10000, 0.904746, 0.915939},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gb_rate r = gb_wilson(cases[i].count, cases[i].total);
        assert_true(r.count == cases[i].count && r.total == cases[i].total);
        assert_true(fabs(r.value - (double)r.count / (double)r.total) < 1e-15);
        if (fabs(r.low - cases[i].low) > 1e-6 || fabs(r.high - cases[i].high) > 1e-6)
            fail_msg("%zu of %zu: %.7f to %.7f, want %.6f to %.6f", r.count, r.total, r.low, r.high,
                     cases[i].low, cases[i].high);
    }
    gb_rate none = gb_wilson(0, 0);
    assert_true(isnan(none.value) && isnan(none.low) && isnan(none.high));
}

// Of three classes the last one has no picture. What is right before: 0, 1, 3, 4; after: 0, 4.
static const gb_eval_row rows[] = {
    {.item = 0, .label = 0, .clean = 0, .adversarial = 0, .robust = 1, .robust_8bit = 1,
     .iterations = 10, .linf = 9, .l2 = 9, .probability = 0.9f, .stamp = 77},
    {.item = 1, .label = 0, .clean = 0, .adversarial = 2, .iterations = 3, .linf = 0.03f,
     .l2 = 0.5f, .probability = 0.1f},
    {.item = 2, .label = 0, .clean = 1, .adversarial = 1},
    {.item = 3, .label = 1, .clean = 1, .adversarial = 0, .robust_8bit = 1, .iterations = 5,
     .linf = 0.01f, .l2 = 1.5f, .zero_gradients = 2},
    {.item = 5, .label = 1, .clean = 1, .adversarial = 1, .robust = 1, .robust_8bit = 1,
     .iterations = 10, .zero_gradients = 10},
};
enum { N = sizeof rows / sizeof *rows };

static int count(gb_metrics *m, size_t n, int classes, bool attack, bool eight_bit)
{
    assert_ok(gb_metrics_reserve(m, classes, n));
    return gb_metrics_count(m, rows, n, attack, eight_bit);
}

static void expect_cells(const gb_confusion *c, const gb_confusion_cell *want, size_t n)
{
    assert_int_equal(n, c->n);
    for (size_t i = 0; i < n; i++)
        if (c->cell[i].label != want[i].label || c->cell[i].seen != want[i].seen ||
            c->cell[i].count != want[i].count)
            fail_msg("cell %zu: %d %d %zu", i, c->cell[i].label, c->cell[i].seen, c->cell[i].count);
}

// A million classes take what their own tables do, not their square.
static void test_many_classes(void **state)
{
    enum { CLASSES = 1000000 };
    const gb_eval_row far[] = {{.label = CLASSES - 1, .clean = CLASSES - 2, .adversarial = 7},
                               {.item = 1, .label = 5, .clean = 5, .adversarial = CLASSES - 1}};
    gb_metrics m;
    (void)state;
    assert_ok(gb_metrics_reserve(&m, CLASSES, 2));
    assert_ok(gb_metrics_count(&m, far, 2, true, false));
    const gb_confusion_cell clean[] = {{5, 5, 1}, {CLASSES - 1, CLASSES - 2, 1}};
    expect_cells(&m.confusion, clean, 2);
    assert_int_equal(1, gb_confusion_at(&m.confusion_adversarial, 5, CLASSES - 1));
    assert_true(m.class_accuracy[CLASSES - 1].total == 1 && m.accuracy.count == 1);
    gb_metrics_finish(&m);
}

static void test_counts(void **state)
{
    gb_metrics m;
    (void)state;
    assert_ok(count(&m, N, 3, true, true));
    assert_true(m.images == 5 && m.accuracy.count == 4 && m.accuracy.total == 5);
    assert_true(m.robust.count == 2 && m.robust.total == 5 && m.robust_8bit.count == 3);
    assert_true(m.class_accuracy[0].count == 2 && m.class_accuracy[0].total == 3);
    assert_true(m.class_accuracy[1].count == 2 && m.class_accuracy[1].total == 2);
    assert_true(m.class_accuracy[2].total == 0 && isnan(m.class_accuracy[2].value));
    assert_true(m.class_robust[0].count == 1 && m.class_robust[0].total == 3);
    assert_true(m.class_robust[1].count == 1 && m.class_robust[1].total == 2);
    const gb_confusion_cell clean[] = {{0, 0, 2}, {0, 1, 1}, {1, 1, 2}};
    const gb_confusion_cell after[] = {{0, 0, 1}, {0, 1, 1}, {0, 2, 1}, {1, 0, 1}, {1, 1, 1}};
    expect_cells(&m.confusion, clean, 3);
    expect_cells(&m.confusion_adversarial, after, 5);
    assert_int_equal(0, gb_confusion_at(&m.confusion, 2, 0));
    assert_int_equal(2, gb_confusion_at(&m.confusion, 1, 1));
    assert_true(m.attacked == 4 && m.broken == 2 && m.zero_gradient == 2);
    assert_true(fabs(m.mean_iterations - 4) < 1e-12 && fabs(m.mean_l2 - 1) < 1e-7);
    assert_true(fabs(m.mean_linf - 0.02) < 1e-7);
    gb_metrics_finish(&m);

    assert_ok(count(&m, N, 3, false, true));
    assert_true(m.accuracy.count == 4 && m.attacked == 0 && !m.eight_bit);
    gb_metrics_finish(&m);
    assert_ok(count(&m, 0, 3, true, false));
    assert_true(isnan(m.accuracy.value) && m.mean_l2 == 0);
    gb_metrics_finish(&m);
    assert_err(GB_ERR_ARG, count(&m, N, 2, true, false));
    assert_non_null(strstr(gb_last_error(), "picture 1"));
    gb_metrics_finish(&m);
    assert_ok(gb_metrics_reserve(&m, 3, N - 1));
    assert_err(GB_ERR_ARG, gb_metrics_count(&m, rows, N, true, false));
    gb_metrics_finish(&m);
}

// --- records ---

static const gb_eval_setting settings[] = {{"model", "abc"}, {"attack", "pgd, eps 8/255"}};
static const char *const names[] = {"plain.png", "a,b \"c\".png", "line\nbreak", "d", "e", "f"};

static const char *name(void *user, int64_t item)
{
    (void)user;
    return names[item];
}

static gb_record record(const char *folder)
{
    return (gb_record){.folder = folder, .setting = settings, .n_setting = 2, .attack = true,
                       .eight_bit = true, .name = name};
}

static char *text_of(const char *path)
{
    void *data;
    size_t size;
    assert_ok(gb_file_read(&data, &size, path));
    return data;
}

static void expect_rows(const gb_eval_rows *r, size_t n)
{
    assert_int_equal(n, r->n);
    for (size_t i = 0; i < n; i++)
        assert_memory_equal(&rows[i], &r->row[i], sizeof rows[i]);
}

static void test_record(void **state)
{
    char path[300], cut[300];
    gb_eval_rows got;
    gb_part part;
    (void)state;
    gb_record r = record(in_folder("record/deep"));
    assert_ok(gb_record_begin(&got, &r));
    expect_rows(&got, 0);

    // Two ranks write, one is killed in the middle of a row.
    assert_ok(gb_part_open(&part, r.folder, 0));
    assert_ok(gb_part_add(&part, &rows[2]));
    assert_ok(gb_part_add(&part, &rows[0]));
    assert_ok(gb_part_close(&part));
    assert_ok(gb_part_open(&part, r.folder, 11));
    assert_ok(gb_part_add(&part, &rows[1]));
    assert_ok(gb_part_add(&part, &rows[3]));
    assert_ok(gb_part_close(&part));
    snprintf(cut, sizeof cut, "%s/part-11.csv", r.folder);
    char *text = text_of(cut);
    assert_int_equal(0, truncate(cut, (off_t)strlen(text) - 9));
    free(text);
    assert_ok(gb_record_begin(&got, &r));
    expect_rows(&got, 3);
    assert_int_equal(-1, access(cut, F_OK)); // everything is in images.csv now
    gb_eval_rows_finish(&got);

    // It goes on, with a row that was there already.
    assert_ok(gb_record_begin(&got, &r));
    expect_rows(&got, 3);
    assert_ok(gb_eval_rows_add(&got, &rows[2], N - 2));
    gb_eval_rows_sort(&got);
    expect_rows(&got, N);
    assert_ok(gb_record_end(&r, &got));
    gb_eval_rows_finish(&got);
    snprintf(path, sizeof path, "%s/images.csv", r.folder);
    text = text_of(path);
    assert_non_null(strstr(text, "\n1,0,0,0.100000001,1,2,0,0,3,0,0.0299999993,0.5,0,"
                                 "\"a,b \"\"c\"\".png\"\n2,0,1,0,0,1,0,0,0,0,0,0,0,line?break\n"));
    free(text);
    assert_ok(gb_record_begin(&got, &r));
    expect_rows(&got, N);
    gb_eval_rows_finish(&got);

    // Without an attack its fields are empty; without rounding, that one.
    r.eight_bit = false;
    const gb_eval_rows two = {.row = (gb_eval_row *)rows, .n = 2};
    assert_ok(gb_record_end(&r, &two));
    text = text_of(path);
    assert_non_null(strstr(text, "\n0,0,0,0.899999976,1,0,1,,10,0,9,9,77,plain.png\n"));
    free(text);
    r.attack = false;
    assert_ok(gb_record_end(&r, &two));
    text = text_of(path);
    assert_non_null(strstr(text, "\n0,0,0,0.899999976,1,,,,,,,,77,plain.png\n"));
    free(text);
    assert_ok(gb_record_begin(&got, &r));
    assert_true(got.n == 2 && got.row[1].label == 0 && got.row[1].adversarial == 0);
    gb_eval_rows_finish(&got);
}

static void test_record_refuses(void **state)
{
    char path[300];
    gb_eval_rows got;
    (void)state;
    gb_record r = record(in_folder("other"));
    assert_ok(gb_record_begin(&got, &r));
    const gb_eval_setting changed[] = {{"model", "abc"}, {"attack", "pgd, eps 4/255"}};
    r.setting = changed;
    assert_err(GB_ERR_ARG, gb_record_begin(&got, &r));
    assert_non_null(strstr(gb_last_error(), "another attack: 'pgd, eps 8/255', now "
                                            "'pgd, eps 4/255'"));
    r = record(in_folder("other"));
    const char *const bad[] = {"item,label\n1,2\n", "hello\n", "\n"};
    snprintf(path, sizeof path, "%s/images.csv", r.folder);
    for (size_t i = 0; i < 3; i++) {
        assert_ok(gb_file_write(path, bad[i], strlen(bad[i])));
        assert_err(GB_ERR_FORMAT, gb_record_begin(&got, &r));
        assert_non_null(strstr(gb_last_error(), "images.csv: line 1 is no row"));
    }
    const gb_eval_rows two = {.row = (gb_eval_row *)rows, .n = 2};
    assert_ok(gb_record_end(&r, &two));
    char *text = text_of(path);
    size_t line = strcspn(text, "\n") + 1;
    text[line + strcspn(text + line, "\n") + 1] = 'x'; // of the third line
    assert_ok(gb_file_write(path, text, strlen(text)));
    free(text);
    assert_err(GB_ERR_FORMAT, gb_record_begin(&got, &r));
    assert_non_null(strstr(gb_last_error(), "line 3"));

    // Rows that nobody says what they are of.
    snprintf(path, sizeof path, "%s/settings.txt", r.folder);
    unlink(path);
    assert_err(GB_ERR_ARG, gb_record_begin(&got, &r));
    assert_non_null(strstr(gb_last_error(), "no settings.txt"));
    assert_ok(gb_file_write(path, "model: abc", 10));
    assert_err(GB_ERR_ARG, gb_record_begin(&got, &r));

    gb_part part = {0};
    assert_err(GB_ERR_IO, gb_part_open(&part, in_folder("nowhere"), 0));
    assert_ok(gb_part_close(&part));
    part.file = fopen("/dev/full", "w");
    if (part.file) {
        assert_ok(gb_part_add(&part, &rows[0]));
        assert_err(GB_ERR_IO, gb_part_flush(&part));
        gb_part_close(&part);
    }
}

static int set_up(void **state)
{
    (void)state;
    return test_folder_make();
}

static int tear_down(void **state)
{
    (void)state;
    return test_folder_remove();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wilson), cmocka_unit_test(test_counts),
        cmocka_unit_test(test_many_classes),
        cmocka_unit_test(test_record), cmocka_unit_test(test_record_refuses),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
