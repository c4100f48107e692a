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

// ds->classes: 0 where the reader does not know.
int gb_dataset_open_idx(gb_dataset *ds, const char *images, const char *labels);

// --- paths (path.c) ---

// Sets *out to the first visible entry of a folder whose name begins and ends as given, as a path
// in the arena; NULL where there is none.
int gb_path_find(const char **out, gb_arena *arena, const char *folder, const char *prefix,
                 const char *ending);
bool gb_path_ends_in(const char *path, const char *ending); // letter case does not matter

#endif
