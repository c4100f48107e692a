// Files: read whole, written whole or not at all. Devices, folders and pipes are no files: reading
// them could wait for ever or never end.
#ifndef GB_BASE_FILE_H
#define GB_BASE_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

// Reads a regular file. *data is malloc'ed, the caller frees it; a 0 byte follows the last one.
int gb_file_read(void **data, size_t *size, const char *path);

// The same for what people name on a command line, which may also be a pipe: /dev/stdin,
// <(command), or "-" for standard input. A pipe must bring something every 5 s and end within 60 s,
// and can be read once.
int gb_file_read_input(void **data, size_t *size, const char *path);
// The path that stands for an argument: /dev/stdin for "-", else itself.
const char *gb_file_input_path(const char *argument);

// The same for a file of a cache, which only this user can have written.
int gb_file_read_private(void **data, size_t *size, const char *path);

// Opens a regular file to be read in pieces. flags: for open(), besides the usual ones.
int gb_file_open(int *fd, uint64_t *size, const char *path, int flags);

// Writes beside `path` and renames, so that a full disk, a kill or Ctrl-C leaves the old file or
// none. A link at `path` is replaced, what it points to stays. The temporary file has no name, or
// one that nobody can know before.
int gb_file_write(const char *path, const void *data, size_t size);
// The same, readable by this user alone, and not flushed to the disk: caches can be made again.
int gb_file_write_private(const char *path, const void *data, size_t size);

// A new file for a stream that grows; what was there is removed, a link not followed.
int gb_file_create(FILE **out, const char *path);

// Makes a directory and its parents; one that exists is fine.
int gb_make_dirs(const char *path);
// The same for this user alone. GB_ERR_IO where the directory is another user's.
int gb_make_private_dirs(const char *path);

#endif
