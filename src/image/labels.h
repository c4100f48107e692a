// Class names: read from a file, found by index, name or WordNet ID.
#ifndef GB_IMAGE_LABELS_H
#define GB_IMAGE_LABELS_H

#include "base/mem.h"
#include "base/status.h"

#define GB_LABELS_META "gibbon.classes" // the metadata key of an ONNX file: a JSON array of names

typedef struct gb_class {
    int index;
    const char *name; // "giant panda, panda, panda bear": synonyms, the best known first
    const char *wnid; // WordNet ID as in ImageNet ("n02510455"), "" where the file has none
} gb_class;

// A zeroed gb_labels is empty and valid. Sorted by index, which may have gaps.
typedef struct gb_labels {
    size_t count;
    gb_class *item;
    bool by_order; // the file has no indices: classes are counted from 0 as they come
    const char *path;
    gb_arena arena;
} gb_labels;

// A text file (UTF-8, UTF-16 or Latin-1) with a class a line: "name", "WNID name", or with an index
// "0 name", "0 WNID name", "0: 'name'", "name 0", or a table of these with tabs, commas or
// semicolons, quotes and a heading as CSV has them; the same form on all lines. Without an index,
// classes count from 0. Or JSON, or a literal of Python's: an array of names or [WNID, name], an
// object from index to these or from name to index; also one that has either under "id2label",
// "class_to_idx" and the like. What has no clear meaning is GB_ERR_FORMAT.
int gb_labels_read(gb_labels *out, const char *path);
int gb_labels_decode(gb_labels *out, const void *bytes, size_t size, const char *name);
// A JSON array of n names (NULL: "class 17"), as the metadata have them. *out is malloc'ed.
int gb_labels_json(char **out, const char *const *names, size_t n);
void gb_labels_finish(gb_labels *labels);

const gb_class *gb_labels_at(const gb_labels *labels, int64_t index); // NULL: none
const gb_class *gb_labels_wnid(const gb_labels *labels, const char *wnid);
// The class's name up to the first comma, or "class 17" where there is none. Returns buf.
char *gb_labels_text(char *buf, size_t size, const gb_labels *labels, int64_t index);

// The class that a person means by `text`: an index, a WordNet ID, a name or one of its synonyms
// (letter case and '_' for ' ' do not matter), or a piece of a single name. Ambiguous and unknown
// ones are errors that list candidates. classes: how many the model has, 0 unknown; others are out
// of range. Without labels (NULL or empty) only an index will do.
int gb_labels_find(int *out, const gb_labels *labels, const char *text, int64_t classes);

#endif
