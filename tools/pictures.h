// Pictures on their way into a classifier: which files, which preprocessing, which class names.
#ifndef TOOLS_PICTURES_H
#define TOOLS_PICTURES_H

#include "model.h"

#include "data/data.h"

typedef struct pictures {
    gb_classifier classifier; // how the model was taken (model_load_classifier)
    gb_preproc preproc;     // settled for the model
    gb_normalize normalize; // the part of it that runs on the device
    gb_labels labels;       // empty without --labels
    gb_list list;
    gb_dataset *data; // where no pictures were given: what the model's metadata names
    size_t *pick;     // [list.count]: the pictures in it, and the list has their names
    int channels, height, width;
    size_t pixels; // their product
} pictures;

// Settles preprocessing (the option, the model's metadata, or a guess that is said), labels and the
// list of pictures that the words after the model's name stand for. A height or width that the
// model leaves open is fixed in it.
int pictures_open(pictures *p, const cli *c, gb_graph *model);
void pictures_close(pictures *p);

// Where no pictures were given: the first test picture of each of up to ten classes of the data
// that the model's metadata name. GB_ERR_ARG where they name none.
int pictures_own(pictures *p, const cli *c, const gb_graph *model);

// Picture i of the list as the model's pixels, (C,H,W) in [0,1].
int pictures_read(const pictures *p, size_t i, float *chw);
// As gb_preproc_read_newest; nothing for pictures that are no files of their own.
int pictures_read_newest(const pictures *p, size_t i, gb_image *out);
// Its class where the data tell, else -1.
int pictures_truth(const pictures *p, size_t i);

// What --label says of a data set's labels, and a note on where they came from.
gb_label_from pictures_label_from(const cli *c);
void pictures_say_labels(const cli *c, const gb_dataset *data);

// Says so where --labels names more or fewer classes than the model has. GB_ERR_ARG: it counts them
// from 1, which would name each by its neighbour.
int pictures_check_labels(const pictures *p, const cli *c, int64_t classes);

// The preprocessing alone, for commands without pictures.
int pictures_preprocess(pictures *p, const cli *c, gb_graph *model);

// How many pictures to compute at once where --batch does not say.
int64_t pictures_batch(const pictures *p, const cli *c);

#endif
