// The self-test itself: it passes where all is well, and notices kernels that are slightly wrong.
#include "support/device.h"

#include "base/file.h"
#include "engine/selftest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct seen {
    size_t calls, stop_at;
    char message[512]; // the first failure's
} seen;

static bool on_case(void *user, const gb_case *c, gb_case_form form, int status)
{
    seen *s = user;
    assert_string_equal("Softmax", c->op);
    assert_true(form < GB_CASE_FORMS);
    if (status < 0 && !s->message[0])
        snprintf(s->message, sizeof s->message, "%s", gb_last_error());
    return ++s->calls != s->stop_at;
}

static void test_right_kernels(void **state)
{
    gb_selftest_totals totals;
    seen s = {0};
    (void)state;
    assert_ok(gb_selftest(&totals, test_device(), "Softmax", on_case, &s));
    assert_true(totals.run >= 12 && s.calls == totals.run);
    assert_int_equal(0, totals.failed);
}

static void test_stop_and_unknown(void **state)
{
    gb_selftest_totals totals;
    seen s = {.stop_at = 2};
    (void)state;
    assert_err(GB_ERR_CANCELLED, gb_selftest(&totals, test_device(), "Softmax", on_case, &s));
    assert_int_equal(2, totals.run);
    assert_err(GB_ERR_ARG, gb_selftest(&totals, test_device(), "Nothing", on_case, &s));
    assert_non_null(strstr(gb_last_error(), "'Nothing'"));
}

// Runs the self-test with `line` in front of the n-th kernel of softmax.cl; its first message.
static void with_line(seen *s, gb_selftest_totals *totals, int n, const char *line)
{
    char folder[] = "/tmp/gibbon-kernels-XXXXXX", path[400], *text = NULL;
    const char *source = getenv("GIBBON_CL");
    void *data;
    size_t size;
    gb_device *dev = NULL;
    test_device();
    if (!source) {
        print_message("GIBBON_CL does not name the kernels' folder\n");
        skip();
    }
    snprintf(path, sizeof path, "%s/softmax.cl", source);
    assert_ok(gb_file_read(&data, &size, path));
    char *at = data;
    for (int i = 0; i <= n; i++)
        assert_non_null(at = strstr(at + 1, "kernel void"));
    int before = (int)(at - (char *)data);
    assert_true(asprintf(&text, "%.*s%s\n%s", before, (char *)data, line, at) > 0);
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/softmax.cl", folder);
    assert_ok(gb_file_write(path, text, strlen(text)));
    setenv("GIBBON_KERNELS", folder, 1);
    const char *spec = getenv("GIBBON_TEST_DEVICE");
    assert_ok(gb_device_open(&dev, spec ? spec : "any", NULL));
    assert_err(GB_ERR_NUMERIC, gb_selftest(totals, dev, "Softmax", on_case, s));
    gb_device_close(dev);
    unsetenv("GIBBON_KERNELS");
    unlink(path);
    rmdir(folder);
    free(text);
    free(data);
}

static void test_wrong_output(void **state)
{
    gb_selftest_totals totals;
    seen s = {0};
    (void)state;
    with_line(&s, &totals, 0, "#define nd_put(v, p, s, n) nd_put((v) * 1.00005f, p, s, n)");
    assert_true(totals.failed == totals.run);
    assert_non_null(strstr(s.message, "Softmax-13 3x17 (plain): output"));
}

static void test_wrong_gradient(void **state)
{
    gb_selftest_totals totals;
    seen s = {0};
    (void)state;
    with_line(&s, &totals, 1, "#define nd_put(v, p, s, n) nd_put((v) * 1.0005f, p, s, n)");
    assert_true(totals.failed == totals.run);
    assert_non_null(strstr(s.message, "Softmax-13 3x17 (plain): gradient of x0"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_right_kernels),
        cmocka_unit_test(test_stop_and_unknown),
        cmocka_unit_test(test_wrong_output),
        cmocka_unit_test(test_wrong_gradient),
    };
    return cmocka_run_group_tests(tests, test_device_open, test_device_close);
}
