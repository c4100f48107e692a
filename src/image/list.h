// The pictures a command works on, and the labels in their names.
#ifndef GB_IMAGE_LIST_H
#define GB_IMAGE_LIST_H

#include "image/labels.h"
#include "image/preproc.h"

typedef struct gb_item {
    const char *path;
    int64_t row; // which entry of an .npy of N,C,H,W; -1: a picture file, or an .npy of C,H,W
    bool npy;
} gb_item;

// A zeroed gb_list is empty and valid.
typedef struct gb_list {
    size_t count, capacity;
    gb_item *item;
    const gb_preproc *fit; // NULL, or settled for a model: an .npy must have its pictures' size
    // What folders hold besides: pictures that cannot be read for their format (or are links to
    // nothing), one of them, and folders that lie too deep.
    size_t skipped, too_deep;
    const char *skipped_one;
    gb_arena arena;
} gb_list;

// Adds what one argument of a command line stands for: a picture file; a folder's .jpg, .jpeg and
// .png files, sorted by name, then those of its folders (one level, classes), each folder once
// whatever links lead to it; an .npy of [N,]C,H,W in [0,1]. A folder without pictures is an error.
int gb_list_add(gb_list *list, const char *argument);
void gb_list_finish(gb_list *list);

// The name an item goes by in messages and reports: its path, with "[row]" for a row of an .npy.
char *gb_item_text(char *buf, size_t size, const gb_item *item);
// The file name without folder and ending, with "_row" for a row of an .npy: for naming outputs.
char *gb_item_stem(char *buf, size_t size, const gb_item *item);

// The item as the model's pixels before normalisation: (C,H,W) in [0,1], p settled by
// gb_preproc_fit_model. An .npy must have that very shape, and no value outside [0,1].
int gb_item_load(float *chw, const gb_item *item, const gb_preproc *p);

// "3 pictures are skipped ..." for people, "" where nothing was. Returns buf.
char *gb_list_skipped_text(char *buf, size_t size, const gb_list *list);

// The file's name without its folder; *length: without its ending too.
const char *gb_path_stem(const char *path, size_t *length);

typedef enum gb_label_from {
    GB_LABEL_AUTO,  // as FILE, where the names of all pictures leave no doubt that it is a label
    GB_LABEL_FILE,  // n02510455_NAME, NAME_n02510455 (labels with WordNet IDs tell) or NAME_388
    GB_LABEL_FOLDER // the folder it lies in: index, WordNet ID or class name
} gb_label_from;
int gb_item_label(int *out, const gb_item *item, gb_label_from from, const gb_labels *labels,
                  int64_t classes);
// The labels of all pictures, and where they come from, for people. GB_LABEL_AUTO refuses numbers
// that may be running numbers or dates: those padded with zeros, alone in telling two pictures
// apart, alike in all names, or (unless something else counts the pictures) 1, 2, 3 and so on.
int gb_list_labels(int *label, const char **source, const gb_list *list, gb_label_from from,
                   const gb_labels *labels, int64_t classes);

#endif
