// UTF-8 by RFC 3629: what is a character and what is not.
#include "support/check.h"

#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

static void lengths(void **state)
{
    static const struct {
        const char *text;
        size_t length;
    } cases[] = {
        {"", 0}, {"a", 1}, {"\x7f", 1}, {"\x80", 0}, {"\xc2\x80", 2}, {"\xdf\xbf", 2},
        {"\xc1\xbf", 0}, {"\xc3", 0}, {"\xc3x", 0}, {"\xe0\xa0\x80", 3}, {"\xe0\x9f\xbf", 0},
        {"\xe2\x82", 0}, {"\xed\x9f\xbf", 3}, {"\xed\xa0\x80", 0}, {"\xef\xbf\xbd", 3},
        {"\xf0\x90\x80\x80", 4}, {"\xf0\x8f\xbf\xbf", 0}, {"\xf4\x8f\xbf\xbf", 4},
        {"\xf4\x90\x80\x80", 0}, {"\xf5\x80\x80\x80", 0}, {"\xff", 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (gb_utf8_length(cases[i].text) != cases[i].length)
            fail_msg("case %zu: %zu", i, gb_utf8_length(cases[i].text));
}

static void cleaned(void **state)
{
    static const char *const cases[][2] = {
        {"", ""}, {"plain", "plain"}, {"\xc3\xbc", "\xc3\xbc"},
        {"\xff", "\xef\xbf\xbd"}, {"a\xc3", "a\xef\xbf\xbd"},
        {"\xe2\x82z", "\xef\xbf\xbd\xef\xbf\xbdz"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *got = gb_utf8_clean(cases[i][0]);
        assert_string_equal(cases[i][1], got);
        free(got);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(lengths), cmocka_unit_test(cleaned)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
