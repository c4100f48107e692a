// The table of cases on the device: one test a case, in every form that the case has.
// Usage: test_ops [PATTERN [SKIP-PATTERN...]], of a case's text ("Conv*"). $GIBBON_TEST_SMALL keeps
// to the plain form and that with parameters, for simulated devices.
#include "support/device.h"

#include "engine/selftest.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>

static void test_case(void **state)
{
    const gb_case *c = *state;
    gb_device *dev = test_device();
    const bool small = getenv("GIBBON_TEST_SMALL") != NULL;
    for (gb_case_form form = 0; form < GB_CASE_FORMS; form++)
        if ((!small || form == GB_CASE_PLAIN || form == GB_CASE_PARAMETERS) &&
            gb_case_has_form(c, form) && gb_case_run(dev, c, form) < 0)
            fail_msg("%s", gb_last_error());
}

static bool is_wanted(const char *name, int argc, char **argv)
{
    bool wanted = argc < 2 || fnmatch(argv[1], name, 0) == 0;
    for (int i = 2; i < argc; i++)
        wanted = wanted && fnmatch(argv[i], name, 0) != 0;
    return wanted;
}

int main(int argc, char **argv)
{
    size_t count = 0;
    struct CMUnitTest *tests = calloc(gb_case_count, sizeof *tests);
    char (*name)[200] = calloc(gb_case_count, sizeof *name);
    if (!tests || !name)
        return 1;
    for (size_t i = 0; i < gb_case_count; i++) {
        const char *text = gb_case_text(name[i], sizeof name[i], &gb_cases[i]);
        if (is_wanted(text, argc, argv))
            tests[count++] = (struct CMUnitTest){.name = text, .test_func = test_case,
                                                 .initial_state = (void *)&gb_cases[i]};
    }
    int failed = _cmocka_run_group_tests("ops", tests, count, test_device_open, test_device_close);
    free(name);
    free(tests);
    return failed;
}
