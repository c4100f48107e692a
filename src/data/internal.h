// The readers behind gb_dataset_open: each fills what a data set holds, its labels included.
#ifndef GB_DATA_INTERNAL_H
#define GB_DATA_INTERNAL_H

#include "data/data.h"

// An idx file of unsigned bytes, the format of MNIST: 0, 0, 8, rank, `rank` big-endian sizes of 4
// bytes, the data. data: malloc'ed, never empty.
typedef struct gb_idx {
    int rank;
    size_t dim[3], count; // count: their product
    uint8_t *data;
} gb_idx;
// Plain or compressed by gzip, told apart by content. rank: what is expected, 1 to 3.
int gb_idx_decode(gb_idx *out, const void *bytes, size_t size, int rank, const char *name);

// A reader fills split, count, classes (0: it does not know), label (malloc'ed), class_name where
// the data has names, the native size, and bytes (malloc'ed) or list.
int gb_dataset_open_idx(gb_dataset *ds, const char *images, const char *labels);

// CIFAR-10's binary layout: records of a label byte and 3072 bytes, the planes R, G, B of 32x32.
int gb_cifar_append(gb_dataset *ds, const void *bytes, size_t size, const char *name);
// The names in batches.meta.txt of that folder, if it is there.
int gb_cifar_names(gb_dataset *ds, const char *folder);
int gb_dataset_open_cifar(gb_dataset *ds, const char *path);
// A folder's data_batch_*.bin or test_batch.bin; count stays 0 where it has neither.
int gb_dataset_open_cifar_folder(gb_dataset *ds, const char *folder, gb_split split);

// An .npy of N,C,H,W with one of N whole numbers.
int gb_dataset_open_npy(gb_dataset *ds, const char *images, const char *labels);
// What gb_list_add takes, labelled by file names.
int gb_dataset_open_list(gb_dataset *ds, const char *argument, const gb_dataset_options *o);
// A folder's pictures that a text file lists, "NAME LABEL" a line: the label an index, WordNet ID
// or class name, behind a tab, comma or space; more columns do not matter.
int gb_dataset_open_listed(gb_dataset *ds, const char *folder, const char *list,
                           const gb_dataset_options *o);
// Folders of pictures, one a class.
int gb_dataset_open_classes(gb_dataset *ds, const char *folder, const gb_dataset_options *o);

// --- paths (path.c) ---

// The visible entries of a folder whose names begin and end as given, in byte order, so that they
// come alike on every file system; as paths in the arena. folders: those alone, else files alone.
int gb_path_scan(const char ***out, size_t *count, gb_arena *arena, const char *folder,
                 const char *prefix, const char *ending, bool folders);
// The first of these files, or NULL.
int gb_path_first(const char **out, gb_arena *arena, const char *folder, const char *prefix);
bool gb_path_ends_in(const char *path, const char *ending); // letter case does not matter
bool gb_path_exists(const char *path);
bool gb_path_is_folder(const char *path);
const char *gb_path_name(const char *path); // behind its last '/'

#endif
