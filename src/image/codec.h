// What the file formats' readers share: limits, and their entry points.
#ifndef GB_IMAGE_CODEC_H
#define GB_IMAGE_CODEC_H

#include "image/image.h"

// The most pixels a picture may have: twice the largest common sensor. Beyond it lie broken headers
// and decompression bombs.
enum { GB_MAX_PIXELS = 1 << 28 };

// The decoder found that the picture cannot be what its header says; `name` is for the message.
int gb_image_check_size(const char *name, uint64_t width, uint64_t height);

int gb_jpeg_decode(gb_image *out, const void *bytes, size_t size, const char *name);
int gb_png_decode(gb_image *out, const void *bytes, size_t size, const char *name);

// EXIF orientation (1 to 8) in an APP1 segment's bytes; 1 where there is none or it makes no sense.
int gb_exif_orientation(const uint8_t *bytes, size_t size);
// Turns a stored picture the way its EXIF orientation says it is to be seen.
int gb_image_orient(gb_image *image, int orientation);

#endif
