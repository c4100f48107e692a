// What the file formats' readers share: limits, where rows go, and their entry points.
#ifndef GB_IMAGE_CODEC_H
#define GB_IMAGE_CODEC_H

#include "image/image.h"

// Takes a picture's rows as a reader decodes them, the first stored one first. A callback that
// fails ends the reading.
typedef struct gb_rows gb_rows;
struct gb_rows {
    const char *name;   // of the picture, for messages
    int64_t max_pixels; // 0: GB_DEFAULT_PIXELS
    int channels;       // 1 or 3 converts, 0 keeps
    // Before the first row; orientation is EXIF's, 1 to 8. Above 0: no rows are wanted.
    int (*begin)(gb_rows *rows, int width, int height, int channels, int orientation);
    int (*row)(gb_rows *rows, const uint8_t *pixels);
    // Readers leave these to gb_rows_begin and gb_rows_put.
    int width, stored; // of the picture, and its channels before they are converted
    uint8_t *converted;
};

// Reads a picture of either format; `rows` has its name, limit, channels and callbacks.
int gb_rows_decode(gb_rows *rows, const void *bytes, size_t size);
int gb_rows_read(gb_rows *rows, const char *path);

// For the readers: checks what the header says, then begins, then hands over each row.
int gb_rows_check(const gb_rows *rows, uint64_t width, uint64_t height);
int gb_rows_begin(gb_rows *rows, int width, int height, int channels, int orientation);
int gb_rows_put(gb_rows *rows, const uint8_t *pixels);

int gb_jpeg_decode(gb_rows *rows, const void *bytes, size_t size);
int gb_png_decode(gb_rows *rows, const void *bytes, size_t size);

// EXIF orientation (1 to 8) in an APP1 segment's bytes; 1 where there is none or it makes no sense.
int gb_exif_orientation(const uint8_t *bytes, size_t size);
// Turns a stored picture the way its EXIF orientation says it is to be seen.
int gb_image_orient(gb_image *image, int orientation);
// How that turns it: the seen picture's pixel (x, y) is stored at (x, y), or (y, x) if `swap`, and
// then mirrored along the stored axes.
typedef struct gb_turn {
    bool swap, flip_x, flip_y;
} gb_turn;
gb_turn gb_orientation_turn(int orientation);

// `count` pixels from one number of channels to another.
void gb_pixels_convert(uint8_t *out, const uint8_t *in, size_t count, int from, int to);

#endif
