// The arrays that `gibbon run` writes: a file for each, whatever they are called.
#ifndef TOOLS_ARRAY_FILE_H
#define TOOLS_ARRAY_FILE_H

#include "ir/ir.h"

// Names of files without folder and ending. '/', ':', control characters and bytes that are no
// UTF-8 become '_', and names are cut after 200 bytes. Where two would be the same, in any letter
// case, the first that was already called so keeps it and the others end in ~2, ~3 ...
int array_file_names(char **file, gb_arena *arena, const char *const *name, size_t n);

// Writes floats as elements of that type; GB_ERR_NUMERIC where one is no such integer.
int array_file_write(const char *path, gb_dtype type, gb_int ints, const gb_shape *shape,
                     const float *data);
// A tensor, exactly.
int array_file_write_tensor(const char *path, const gb_tensor *t);

#endif
