// Labelled pictures: data sets on disk, and batches of them for training and evaluation.
#ifndef GB_DATA_DATA_H
#define GB_DATA_DATA_H

#include "base/log.h"
#include "image/list.h"

// Which part of a data set: the one to train on, or the one to test on. ANY: the data has no parts.
typedef enum gb_split { GB_SPLIT_ANY, GB_SPLIT_TRAIN, GB_SPLIT_TEST } gb_split;

typedef struct gb_dataset_options {
    gb_split split;          // taken where the spec names none; ANY is TEST
    const gb_labels *labels; // the model's class names, to match folders and file names with
    int64_t classes;         // the model's; labels beyond are an error. 0: as many as the data has
    gb_label_from from;      // how pictures without class folders or a file of labels are labelled
    const gb_log *log;
} gb_dataset_options;

// Pictures of 8 bits stay 8 bits in memory; files of folders and rows of an .npy are read when
// asked for. Reading changes nothing here, so several threads may.
typedef struct gb_dataset {
    const char *spec; // as it was opened
    gb_split split;   // what it holds; ANY where the data has no parts
    size_t count;     // pictures, 1 or more
    int classes;      // every label is below
    int *label;       // [count]
    // Where labels come from: "file name", "folder", "labels file" or "data set"; and for people.
    const char *label_source, *label_text;
    const char **class_name; // [classes], entries may be NULL; NULL: none
    // What gb_dataset_read makes: at first the data's own size (a folder's: its first picture's).
    int channels, height, width;
    size_t pixels; // their product
    gb_preproc preproc;
    // The pictures: count * native pixels in interleaved rows (H,W,C), or else items to be read.
    uint8_t *bytes;
    int native_channels, native_height, native_width;
    gb_list list;
    gb_arena arena;
} gb_dataset;

// The forms of a spec; all but the last three may end in ":train" or ":test":
//     fashion-mnist      an installed set: datasets/NAME in $XDG_DATA_DIRS (/usr/share), idx files
//     DIR                idx: train-images*, t10k-images* with their labels, each .gz or not;
//                        CIFAR-10 binary: data_batch_*.bin, test_batch.bin, batches.meta.txt;
//                        class folders DIR/CLASS/*.jpg, or DIR/train/CLASS and DIR/test (or val)
//     IMAGES[,LABELS]    idx or .npy; without LABELS, IMAGES' name with "images" made "labels"
//     FOLDER,LIST        pictures of a folder with a text file of lines "NAME LABEL"
//     FILE.bin           CIFAR-10 binary
//     picture, folder    what gb_list_add takes; labels from file names (gb_list_labels)
// Class folders become labels by the model's class names or WordNet IDs, by their own where all
// are numbers, or else in byte order of their names. Classes without a picture, and pictures that
// are skipped for their format, are told to the log; an empty class folder is an error.
int gb_dataset_open(gb_dataset **out, const char *spec, const gb_dataset_options *options);
void gb_dataset_free(gb_dataset *ds); // NULL is fine

// Makes reads come out as a model wants them. p: settled by gb_preproc_fit_model. An .npy must have
// that very size; other pictures are converted, resized and cropped.
int gb_dataset_fit(gb_dataset *ds, const gb_preproc *p);

// Picture i as (channels, height, width) floats in [0,1].
int gb_dataset_read(const gb_dataset *ds, size_t i, float *image, int *label);
// What picture i is called in messages and reports: its path, or "SPEC[i]". Returns buf.
char *gb_dataset_item_text(char *buf, size_t size, const gb_dataset *ds, size_t i);
// Tells data apart: labels, and the pictures' bytes, or their names where they are files.
uint64_t gb_dataset_hash(const gb_dataset *ds);
// Tells whether the file of picture i was written since: of its size and time of change, below
// 2^31; 0 where the picture is in memory.
int32_t gb_dataset_stamp(const gb_dataset *ds, size_t i);
bool gb_dataset_same_file(const gb_dataset *ds, size_t i, size_t k); // rows of one .npy
// The name of a class, or "class 17". Returns buf.
char *gb_dataset_class_text(char *buf, size_t size, const gb_dataset *ds, int index);

// ---- batches ----

typedef struct gb_loader_options {
    size_t batch;    // pictures of the whole batch, over all ranks
    bool shuffle;    // each epoch in an order of its own, made from the seed; else the data's order
    bool drop_last;  // leaves out an epoch's last batch where it is not full; else it is smaller
    bool flip;       // every other picture is mirrored, drawn per picture and epoch
    int pad;         // black pixels put around before a random crop of the old size; 0: no crop
    uint64_t seed;   // order and augmentation depend on it and the epoch, never on batch or ranks
    int rank, ranks; // this process's slice of every batch; 0, 0 where it is alone
    size_t ahead;    // batches prepared beforehand; 0: 2
    size_t first, count; // the part of the data to use, in the data's order; count 0: all
    const size_t *items; // `count` pictures by number, in this order, instead; copied. NULL: none
    bool keep_going; // a picture that cannot be read is black, and error says why; else it ends all
} gb_loader_options;

typedef struct gb_batch {
    size_t epoch, index; // position: batch `index` of the epoch
    size_t whole;        // pictures of the batch over all ranks
    size_t start;        // of this rank's slice in it
    size_t count;        // pictures of the slice; can be 0 in a last batch
    size_t capacity;     // pictures of a full slice on the rank that has most: rows of the arrays
    float *images;       // (capacity,C,H,W); zeros beyond count
    int *labels;         // [capacity]; 0 beyond count
    size_t *item;        // [capacity]: the pictures' numbers in the data set
    char **error;        // [capacity]: why a picture could not be read; NULL: it was
} gb_batch;

typedef struct gb_loader gb_loader;

// A background thread fills batches from epoch 0 on, for as long as they are asked for. ds must
// outlive the loader and stay as it is.
int gb_loader_open(gb_loader **out, const gb_dataset *ds, const gb_loader_options *options);
void gb_loader_free(gb_loader *loader);
size_t gb_loader_batches(const gb_loader *loader); // of an epoch

// The next batch; after an epoch's last comes the next epoch's first. Valid until the next call.
int gb_loader_next(const gb_batch **out, gb_loader *loader);
// Continues at that batch: what follows is what it would have been without interruption.
int gb_loader_seek(gb_loader *loader, size_t epoch, size_t index);

#endif
