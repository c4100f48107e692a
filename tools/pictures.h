// Pictures on their way into a classifier: which files, which preprocessing, which class names.
#ifndef TOOLS_PICTURES_H
#define TOOLS_PICTURES_H

#include "model.h"

#include "image/list.h"

typedef struct pictures {
    gb_preproc preproc;     // settled for the model
    gb_normalize normalize; // the part of it that runs on the device
    gb_labels labels;       // empty without --labels
    gb_list list;
    int channels, height, width;
    size_t pixels; // their product
} pictures;

// Settles preprocessing (the option, the model's metadata, or a guess that is said), labels and the
// list of pictures that the words after the model's name stand for. A height or width that the
// model leaves open is fixed in it.
int pictures_open(pictures *p, const cli *c, gb_graph *model);
void pictures_close(pictures *p);

// Says so where --labels names classes that the model does not have.
void pictures_check_labels(const pictures *p, const cli *c, int64_t classes);

// The preprocessing alone, for commands without pictures.
int pictures_preprocess(pictures *p, const cli *c, gb_graph *model);

// How many pictures to compute at once where --batch does not say.
int64_t pictures_batch(const pictures *p, const cli *c);

#endif
