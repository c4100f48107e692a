// Child processes: their lines arrive whole, and every way to end is told.
#include "support/check.h"

#include "base/child.h"
#include "base/mem.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static int talk(void *user, FILE *lines)
{
    fprintf(lines, "one\ntwo %d\n\n", *(int *)user);
    for (int i = 0; i < 10000; i++)
        putc('x', lines);
    fputs("\nlast without an end", lines);
    return 0;
}

static int give_up(void *user, FILE *lines)
{
    (void)user;
    fputs("trying\n", lines);
    return -5;
}

static int crash(void *user, FILE *lines)
{
    (void)user;
    fputs("trying\n", lines);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0});
    raise(SIGKILL);
    return 0;
}

static int hang(void *user, FILE *lines)
{
    (void)user;
    fputs("trying\n", lines);
    for (;;)
        pause();
    return 0;
}

static bool stop(void)
{
    return true;
}

static void test_lines(void **state)
{
    gb_child child;
    char line[64];
    int number = 7;
    (void)state;
    assert_ok(gb_child_start(&child, talk, &number));
    assert_int_equal(GB_CHILD_LINE, gb_child_next(&child, line, sizeof line, 60, NULL));
    assert_string_equal("one", line);
    assert_int_equal(GB_CHILD_LINE, gb_child_next(&child, line, sizeof line, 60, NULL));
    assert_string_equal("two 7", line);
    assert_int_equal(GB_CHILD_LINE, gb_child_next(&child, line, sizeof line, 60, NULL));
    assert_string_equal("", line);
    size_t pieces = 0;
    gb_child_event event;
    while ((event = gb_child_next(&child, line, sizeof line, 60, NULL)) == GB_CHILD_LINE &&
           line[0] == 'x')
        pieces++;
    assert_true(pieces >= 2); // cut, and never more than there is room for
    assert_int_equal(GB_CHILD_LINE, event);
    assert_string_equal("last without an end", line);
    assert_int_equal(GB_CHILD_DONE, gb_child_next(&child, line, sizeof line, 60, NULL));
    gb_child_stop(&child);
}

static void test_ends(void **state)
{
    static const struct {
        int (*work)(void *user, FILE *lines);
        double seconds;
        bool (*stop)(void);
        gb_child_event event;
    } cases[] = {
        {give_up, 60, NULL, GB_CHILD_FAILED},
        {crash, 60, NULL, GB_CHILD_CRASHED},
        {hang, 0.2, NULL, GB_CHILD_SILENT},
        {hang, 60, stop, GB_CHILD_STOPPED},
    };
    (void)state;
    for (size_t i = 0; i < GB_COUNT(cases); i++) {
        gb_child child;
        char line[64];
        assert_ok(gb_child_start(&child, cases[i].work, NULL));
        assert_int_equal(GB_CHILD_LINE, gb_child_next(&child, line, sizeof line, 60, NULL));
        assert_string_equal("trying", line);
        assert_int_equal(cases[i].event, gb_child_next(&child, line, sizeof line, cases[i].seconds,
                                                       cases[i].stop));
        pid_t pid = child.pid;
        gb_child_stop(&child);
        assert_true(pid == 0 || kill(pid, 0) < 0); // nothing is left of it
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
