// The locale of a host program: with $GIBBON_TEST_LOCALE a test runs in it, and only if it has a
// decimal comma.
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__attribute__((constructor)) static void enter(void)
{
    const char *name = getenv("GIBBON_TEST_LOCALE");
    char text[8];
    if (!name)
        return;
    const char *set = setlocale(LC_ALL, name);
    snprintf(text, sizeof text, "%.1f", 1.5);
    if (set && !strcmp(text, "1,5"))
        return;
    fprintf(stderr, "there is no locale %s with a decimal comma here\n", name);
    exit(1);
}
