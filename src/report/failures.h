// What went wrong with single pictures of many: the first few of each kind are told, the others
// counted, so that a million alike make a few lines.
#ifndef GB_REPORT_FAILURES_H
#define GB_REPORT_FAILURES_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

typedef struct gb_failure_kind {
    char *kind, *first; // what its messages share; the first of them, whole
    size_t count;
} gb_failure_kind;

// A zeroed one is empty and valid.
typedef struct gb_failures {
    gb_failure_kind *kind;
    size_t n, capacity, count; // count: of all kinds
} gb_failures;

// Counts a message about the picture `name`. Messages are of one kind where they differ in that
// name and in numbers alone; beyond 20 kinds all others are one. True: it is to be told, being one
// of the first three of its kind.
bool gb_failures_add(gb_failures *failures, const char *name, const char *message);
void gb_failures_finish(gb_failures *failures);

// For each kind that has more than was told: "PREFIX: and 999,997 more like it: FIRST".
void gb_failures_text(FILE *out, const gb_failures *failures, const char *prefix);
// [{"error": FIRST, "count": N}, ...]
json_t *gb_failures_json(const gb_failures *failures);

#endif
