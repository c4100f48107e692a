// Text for people: a printf whose strings cannot control a terminal.
#include "support/check.h"

#include "base/log.h"
#include "base/status.h"
#include "base/text.h"

#include <float.h>
#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

static char *printed; // by the last call of text()

static const char *text(const char *format, ...)
{
    size_t size;
    va_list args;
    free(printed);
    FILE *out = open_memstream(&printed, &size);
    assert_non_null(out);
    va_start(args, format);
    gb_text_args(out, format, args);
    va_end(args);
    fclose(out);
    return printed;
}

static void check_string(const char *in, const char *out)
{
    assert_string_equal(text("<%s>\n", in), out);
    char *once = strdup(printed + 1); // "...>\n"
    once[strlen(once) - 2] = 0;
    assert_string_equal(text("<%s>\n", once), out); // a second time changes nothing
    free(once);
}

static void test_strings_are_escaped(void **state)
{
    (void)state;
    check_string("plain text, 100 % \\x41", "<plain text, 100 % \\x41>\n");
    check_string("ümläut-日本-🙂", "<ümläut-日本-🙂>\n");
    check_string("\033[2J\033]0;title\007", "<\\x1b[2J\\x1b]0;title\\x07>\n");
    check_string("two\nlines\r\tand\x7f", "<two\\x0alines\\x0d\\x09and\\x7f>\n");
    check_string("\xc2\x9b" "31m", "<\\u{9b}31m>\n");                   // C1: CSI
    check_string("\xe2\x80\xaegnp.exe", "<\\u{202e}gnp.exe>\n");       // right-to-left override
    check_string("\xe2\x81\xa6x\xe2\x81\xa9", "<\\u{2066}x\\u{2069}>\n"); // isolates
    check_string("\xe2\x80\xa8", "<\\u{2028}>\n");                     // line separator
    check_string("\xe2\x80\xa7\xe2\x80\xaf", "<\xe2\x80\xa7\xe2\x80\xaf>\n"); // their neighbours
    check_string("bad\xff\xfeutf8", "<bad\\xff\\xfeutf8>\n");
    check_string("\x9b" "1m", "<\\x9b" "1m>\n");                        // a lone C1 byte
    check_string("\xc0\x8a", "<\\xc0\\x8a>\n");                        // overlong newline
    check_string("\xe0\x82\x9b", "<\\xe0\\x82\\x9b>\n");               // overlong CSI
    check_string("\xed\xa0\x80", "<\\xed\\xa0\\x80>\n");               // half a surrogate pair
    check_string("\xf4\x90\x80\x80", "<\\xf4\\x90\\x80\\x80>\n");      // beyond U+10FFFF
    check_string("cut\xe6\x97", "<cut\\xe6\\x97>\n");
}

// What the C library prints for the same arguments, where no string needs escaping.
#define SAME(...) \
    do { \
        char want_[1024]; \
        snprintf(want_, sizeof want_, __VA_ARGS__); \
        assert_string_equal(text(__VA_ARGS__), want_); \
    } while (0)

static void test_like_printf(void **state)
{
    (void)state;
    SAME("%d %i %5d %-5d| %05d %+d % d %x %X %o %u %c %%", 1, -2, 3, 4, 5, 6, 7, 255, 255, 8, 9u,
         'c');
    SAME("%ld %lld %zu %zd %jd %td %hd %hhd", LONG_MIN, LLONG_MAX, SIZE_MAX, (ssize_t)-1,
         INTMAX_MAX, (ptrdiff_t)-5, (short)-3, (signed char)-4);
    SAME("%016llx %#x %.3d %lu %llu", 0xABCDull, 17, 5, ULONG_MAX, ULLONG_MAX);
    SAME("%f %.2f %9.3f %-9.3f| %e %g %.9g %5.1f %.0f", 1.5, 2.345, -3.5, 4.25, 1e300, 1e-5, 0.1,
         99.95, 2.5);
    SAME("%f", DBL_MAX);
    SAME("%s|%10s|%-10s|%.2s|%*s|%-*.*s|%.*s", "a", "b", "c", "defg", 4, "h", 6, 3, "ijkl", -1,
         "mno");
    SAME("%*d|%-*d|%.*f", 5, 1, -5, 2, 3, 0.1);
    SAME("%100s|", "far");
    SAME("no conversion at all\n");
}

static void test_widths_count_what_is_shown(void **state)
{
    (void)state;
    assert_string_equal(text("%8s|%-8s|", "\033", "\033"), "    \\x1b|\\x1b    |");
    assert_string_equal(text("%.4s|%.3s|%.1s|", "日本", "日本", "ü"), "日|日||"); // 3 bytes each
    const char open[3] = {'a', 'b', (char)0xc3}; // without an end
    assert_string_equal(text("%.*s|%.2s|", 3, open, open), "ab|ab|");
}

static void test_messages(void **state)
{
    (void)state;
    char expected[2200] = "", name[1100];
    assert_int_equal(gb_fail(GB_ERR_IO, "%s: first\nsecond", "\033[1m\n"), GB_ERR_IO);
    assert_string_equal(gb_last_error(), "\\x1b[1m\\x0a: first\nsecond");
    gb_fail_in(GB_ERR_IO, "%s", "a\rb");
    assert_string_equal(gb_last_error(), "a\\x0db: \\x1b[1m\\x0a: first\\x0asecond");
    // A name longer than a message is cut between two characters.
    for (size_t i = 0; i + 3 < sizeof name; i += 3)
        memcpy(name + i, "日", 4);
    gb_fail(GB_ERR_IO, "%s: too long", name);
    for (size_t i = 0; i < 341; i++)
        strcat(expected, "日");
    assert_string_equal(gb_last_error(), expected);
}

static void keep(void *user, gb_log_level level, const char *line)
{
    (void)level;
    snprintf(user, 100, "%s", line);
}

static void test_log_and_lines(void **state)
{
    (void)state;
    char line[100] = "";
    const gb_log log = {.write = keep, .user = line, .level = GB_LOG_WARN};
    gb_log_line(&log, GB_LOG_WARN, "'%s' is odd", "\033c");
    assert_string_equal(line, "'\\x1bc' is odd");
    free(printed);
    size_t size;
    FILE *out = open_memstream(&printed, &size);
    assert_non_null(out);
    gb_put_lines(out, "one\033\n\ntwo\r\nthree");
    fclose(out);
    assert_string_equal(printed, "one\\x1b\n\ntwo\\x0d\nthree");
}

// Whatever the bytes: plain UTF-8 comes out, and comes out the same again.
static void test_any_bytes(void **state)
{
    (void)state;
    uint32_t random = 1;
    for (int round = 0; round < 20000; round++) {
        char in[24] = "", once[200], twice[200];
        for (size_t i = 0; i + 1 < sizeof in; i++) {
            random = random * 1664525 + 1013904223;
            // Half of them are what UTF-8 is made of.
            in[i] = (char)(random >> 31 ? random >> 20 : 0x80 | random >> 25);
        }
        gb_text_buffer(once, sizeof once, "%s", in);
        gb_text_buffer(twice, sizeof twice, "%s", once);
        assert_string_equal(once, twice);
        json_t *json = json_string(once); // only UTF-8 becomes one
        assert_non_null(json);
        json_decref(json);
        for (const char *c = once; *c; c++) {
            assert_true((unsigned char)*c >= 0x20 && *c != 0x7F);
            assert_false((unsigned char)c[0] == 0xC2 && (unsigned char)c[1] < 0xA0);
        }
    }
}

static void test_json(void **state)
{
    (void)state;
    static const char json[] = "{\n \"a\x7f\": \"\xc2\x9b\xe2\x80\xae ü日\\u001b\"\n}";
    free(printed);
    size_t size;
    FILE *out = open_memstream(&printed, &size);
    assert_non_null(out);
    assert_int_equal(gb_put_json(json, sizeof json - 1, out), 0);
    fclose(out);
    assert_string_equal(printed, "{\n \"a\\u007f\": \"\\u009b\\u202e ü日\\u001b\"\n}");
    out = fopen("/dev/full", "w");
    setvbuf(out, NULL, _IONBF, 0);
    assert_int_equal(gb_put_json(json, sizeof json - 1, out), -1);
    fclose(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strings_are_escaped),
        cmocka_unit_test(test_like_printf),
        cmocka_unit_test(test_widths_count_what_is_shown),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_log_and_lines),
        cmocka_unit_test(test_any_bytes),
        cmocka_unit_test(test_json),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(printed);
    return failed;
}
