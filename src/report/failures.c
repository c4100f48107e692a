// Failures told in kinds.
#include "report/failures.h"

#include "base/mem.h"
#include "base/text.h"
#include "report/report.h"

#include <stdlib.h>
#include <string.h>

enum { TOLD = 3, KINDS = 20 };

// The message without the name in front of it, its numbers made '#'. NULL: out of memory.
static char *kind_of(const char *name, const char *message)
{
    size_t length = name ? strlen(name) : 0;
    if (length && !strncmp(message, name, length))
        message += length;
    char *kind = strdup(message), *to = kind;
    for (const char *from = kind; from && *from;) {
        size_t digits = strspn(from, "0123456789");
        *to++ = digits ? '#' : *from;
        from += digits ? digits + strspn(from + digits, "0123456789.,eE+-") : 1;
    }
    if (kind)
        *to = 0;
    return kind;
}

bool gb_failures_add(gb_failures *f, const char *name, const char *message)
{
    char *kind = kind_of(name, message);
    size_t i = 0;
    f->count++;
    while (i < f->n && i + 1 < KINDS && (!kind || strcmp(f->kind[i].kind, kind)))
        i++;
    if (i == f->n) {
        char *first = strdup(message);
        if (!kind || !first || gb_grow(&f->kind, &f->capacity, i + 1, sizeof *f->kind) < 0) {
            free(kind);
            free(first);
            return true;
        }
        f->kind[f->n++] = (gb_failure_kind){kind, first, 0};
        kind = NULL; // moved
    }
    free(kind);
    return ++f->kind[i].count <= TOLD;
}

void gb_failures_finish(gb_failures *f)
{
    for (size_t i = 0; i < f->n; i++) {
        free(f->kind[i].kind);
        free(f->kind[i].first);
    }
    free(f->kind);
    *f = (gb_failures){0};
}

// 1234567 -> "1,234,567", in every locale.
static char *grouped(char out[32], size_t n)
{
    char digits[24];
    int count = snprintf(digits, sizeof digits, "%zu", n), used = 0;
    for (int i = 0; i < count; i++) {
        if (i && (count - i) % 3 == 0)
            out[used++] = ',';
        out[used++] = digits[i];
    }
    out[used] = 0;
    return out;
}

void gb_failures_text(FILE *out, const gb_failures *f, const char *prefix)
{
    char more[32];
    for (size_t i = 0; i < f->n; i++)
        if (f->kind[i].count > TOLD)
            gb_text(out, "%s: and %s more like it: %s\n", prefix,
                    grouped(more, f->kind[i].count - TOLD), f->kind[i].first);
}

json_t *gb_failures_json(const gb_failures *f)
{
    json_t *list = json_array();
    for (size_t i = 0; i < f->n; i++)
        json_array_append_new(list, json_pack("{s:o, s:I}", "error",
                                              gb_report_text_json(f->kind[i].first), "count",
                                              (json_int_t)f->kind[i].count));
    return list;
}
