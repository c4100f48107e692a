// Files: read whole, written whole or not at all.
#ifndef GB_BASE_FILE_H
#define GB_BASE_FILE_H

#include <stddef.h>

// Reads a regular file. *data is malloc'ed, the caller frees it; a 0 byte follows the last one.
int gb_file_read(void **data, size_t *size, const char *path);

// Writes beside `path` and renames, so that a full disk or a kill leaves the old file or none.
int gb_file_write(const char *path, const void *data, size_t size);

// Makes a directory and its parents; one that exists is fine.
int gb_make_dirs(const char *path);

#endif
