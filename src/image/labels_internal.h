// What the readers of class names share.
#ifndef GB_IMAGE_LABELS_INTERNAL_H
#define GB_IMAGE_LABELS_INTERNAL_H

#include "image/labels.h"

enum { GB_LABELS_MOST = 1 << 20 }; // classes

typedef struct gb_span { // a piece of text
    const char *at, *end;
} gb_span;

bool gb_is_wnid(const char *text, size_t length);   // "n" and eight digits
bool gb_is_number(const char *text, size_t length); // digits alone
int gb_class_by_index(const void *a, const void *b); // for qsort and bsearch

// Adds a class. An empty name that has a WordNet ID is called by that. *capacity: of labels->item.
int gb_labels_add(gb_labels *labels, size_t *capacity, int64_t index, gb_span wnid, gb_span name);

// The two kinds of files, as UTF-8 with lines that end in '\n'.
int gb_labels_lines(gb_labels *labels, size_t *capacity, gb_span text);
int gb_labels_tree(gb_labels *labels, size_t *capacity, gb_span text); // JSON, or as Python prints

#endif
