// Pictures: 8-bit RGB or grey, in and out, resized as torchvision and Pillow do.
#ifndef GB_IMAGE_IMAGE_H
#define GB_IMAGE_IMAGE_H

#include "base/mem.h"
#include "base/status.h"

// Interleaved rows, top first; channels 1 (grey) or 3 (RGB). A zeroed gb_image is empty and valid.
typedef struct gb_image {
    int width, height, channels;
    uint8_t *data; // height * width * channels, malloc'ed
} gb_image;

void gb_image_finish(gb_image *image);
int gb_image_init(gb_image *image, int width, int height, int channels);

// A file whose header claims more pixels than a limit is refused before they are decoded.
enum { GB_DEFAULT_PIXELS = 100000000 };

// JPEG (baseline, progressive, grey, CMYK/YCCK, EXIF orientation honoured) or PNG (8/16 bit,
// palette, alpha over white, interlaced), told apart by content. channels: 1 or 3 converts, 0
// keeps.
int gb_image_read(gb_image *out, const char *path, int channels);
int gb_image_decode(gb_image *out, const void *bytes, size_t size, const char *name, int channels);
// What a file's header says of the picture as it is seen.
int gb_image_measure(int *width, int *height, int *channels, const char *path);
int gb_image_write_png(const char *path, const gb_image *image); // atomic

// The whole way to a model's input: torchvision's Resize(resize), where the shorter side becomes
// `resize` and the other int(resize * long / short), then its CenterCrop, zero-padded where the
// picture is smaller. With resize 0, straight to width x height. A picture of that size already is
// taken as it is.
typedef struct gb_fit {
    int resize, width, height;
    int channels;       // 1 or 3 converts first, 0 keeps
    bool columns_first; // see gb_fit_differs
} gb_fit;

// Resizing is antialiased bilinear, bit for bit Pillow's up to 12.1: a pass along the rows, one
// along the columns, 8 bits in between. Later versions take the columns first for some tall
// pictures, which moves pixels by one level: gb_fit_differs says for which, and columns_first does
// it.
int gb_image_fit(gb_image *out, const gb_image *in, const gb_fit *fit);
bool gb_fit_differs(int width, int height, const gb_fit *fit);
int gb_image_resize(gb_image *out, const gb_image *in, int width, int height);

// A file fitted while it is decoded: a few rows are in memory at a time; of an interlaced PNG all
// of it, 4 bytes a pixel at most, and of a progressive JPEG its coefficients, 2 bytes each.
// max_pixels: 0 is GB_DEFAULT_PIXELS.
int gb_image_read_fit(gb_image *out, const char *path, const gb_fit *fit, int64_t max_pixels);
int gb_image_decode_fit(gb_image *out, const void *bytes, size_t size, const char *name,
                        const gb_fit *fit);

// Planar float in [0,1], (C,H,W), to and from 8 bits. to_image rounds to nearest and clamps.
void gb_image_to_chw(float *out, const gb_image *in);
int gb_image_from_chw(gb_image *out, const float *chw, int channels, int height, int width);

// NPY 1.0-3.0, little-endian, C order: f2, f4, f8, u1-u8, i1-i8 and b1 become float; anything
// else is an error, and so is an integer that a float rounds.
typedef struct gb_npy {
    int rank;
    int64_t dim[8];
    float *data;   // malloc'ed
    int64_t *ints; // in its place, of gb_npy_read_ints
} gb_npy;
int gb_npy_read(gb_npy *out, const char *path);
// As integers of 1 (booleans), 8, 16, 32 or 64 bits, exactly, or else GB_ERR_ARG; uint64 as
// their bits.
int gb_npy_read_ints(gb_npy *out, const char *path, int bits, bool is_signed);
int gb_npy_decode(gb_npy *out, const void *bytes, size_t size, const char *name);
int gb_npy_shape(gb_npy *out, const char *path); // rank and dim alone; data stays NULL
// `count` rows (entries of the leading dimension) from `first` on, without reading the others.
int gb_npy_read_rows(gb_npy *out, const char *path, int64_t first, int64_t count);
int gb_npy_write(const char *path, const float *data, int rank, const int64_t *dim); // atomic
// The same of elements of numpy's type `code` ("i8", "b1"), dense and little-endian.
int gb_npy_write_as(const char *path, const char *code, const void *data, int rank,
                    const int64_t *dim);
void gb_npy_finish(gb_npy *npy);

#endif
