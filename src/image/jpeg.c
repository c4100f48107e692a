// JPEG in, through libjpeg-turbo.
#include "image/codec.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <jpeglib.h>
#include <jerror.h>

// A progressive file of a few bytes a scan can make the decoder pass over the whole picture for
// each; real ones have about ten scans.
enum { MAX_SCANS = 256 };

// libjpeg reports errors through callbacks that must not return; everything that has to survive the
// longjmp lives here, in the caller's frame.
typedef struct reader {
    struct jpeg_decompress_struct lib;
    struct jpeg_error_mgr error;
    struct jpeg_progress_mgr progress;
    jmp_buf jump;
    char text[JMSG_LENGTH_MAX];
    gb_image *out;
    uint8_t *row; // CMYK
} reader;

static void on_error(j_common_ptr lib)
{
    reader *r = lib->client_data;
    lib->err->format_message(lib, r->text);
    longjmp(r->jump, 1);
}

// Warnings (level -1) are damage that libjpeg papers over with grey. Only what leaves the pixels
// alone passes.
static void on_message(j_common_ptr lib, int level)
{
    if (level >= 0)
        return;
    switch (lib->err->msg_code) {
    case JWRN_EXTRANEOUS_DATA: // bytes between segments
    case JWRN_ADOBE_XFORM:
    case JWRN_JFIF_MAJOR:
    case JWRN_TOO_MUCH_DATA:
        return;
    default:
        on_error(lib);
    }
}

static void on_progress(j_common_ptr lib)
{
    reader *r = lib->client_data;
    if (r->lib.input_scan_number > MAX_SCANS) {
        snprintf(r->text, sizeof r->text, "more than %d scans", MAX_SCANS);
        longjmp(r->jump, 1);
    }
}

// Ink to light. Like Pillow and the browsers, every four-channel JPEG is taken to be stored the way
// Adobe does, with 255 for no ink; light = (255 - ink) * (255 - black) / 255, rounded.
static void cmyk_to_rgb(uint8_t *rgb, const uint8_t *cmyk, int width)
{
    for (int x = 0; x < width; x++, rgb += 3, cmyk += 4) {
        for (int k = 0; k < 3; k++) {
            int ink = 255 - cmyk[k], black = cmyk[3], v = ink * black + 128;
            v = black - ((v + (v >> 8)) >> 8);
            rgb[k] = (uint8_t)(v < 0 ? 0 : v);
        }
    }
}

static int decode(reader *r, const void *bytes, size_t size, const char *name)
{
    struct jpeg_decompress_struct *lib = &r->lib;
    int err;
    lib->err = jpeg_std_error(&r->error);
    lib->client_data = r;
    r->error.error_exit = on_error;
    r->error.emit_message = on_message;
    r->progress.progress_monitor = on_progress;
    if (setjmp(r->jump))
        return gb_fail(GB_ERR_FORMAT, "%s: damaged or truncated JPEG (%s)", name, r->text);
    jpeg_create_decompress(lib);
    lib->progress = &r->progress;
    jpeg_save_markers(lib, JPEG_APP0 + 1, 0xFFFF);
    jpeg_mem_src(lib, bytes, (unsigned long)size);
    jpeg_read_header(lib, TRUE);
    err = gb_image_check_size(name, lib->image_width, lib->image_height);
    if (err < 0)
        return err;
    // Huffman coding spends at least one bit on each 8x8 block: a header that promises more than
    // the file can hold is found out before memory is spent on it.
    const jpeg_component_info *first = lib->comp_info;
    if (!lib->arith_code &&
        (uint64_t)first->width_in_blocks * first->height_in_blocks / 8 > size)
        return gb_fail(GB_ERR_FORMAT, "%s: truncated JPEG (%zu bytes cannot hold %u x %u pixels)",
                       name, size, lib->image_width, lib->image_height);
    int orientation = 1;
    for (jpeg_saved_marker_ptr m = lib->marker_list; m && orientation == 1; m = m->next)
        orientation = gb_exif_orientation(m->data, m->data_length);

    const bool cmyk = lib->num_components == 4;
    const int channels = lib->num_components == 1 ? 1 : 3;
    lib->out_color_space = cmyk ? JCS_CMYK : channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_start_decompress(lib);
    err = gb_image_init(r->out, (int)lib->output_width, (int)lib->output_height, channels);
    if (err < 0)
        return err;
    if (cmyk && !(r->row = malloc((size_t)lib->output_width * 4)))
        return gb_fail(GB_ERR_NOMEM, "%s: out of memory", name);
    while (lib->output_scanline < lib->output_height) {
        uint8_t *pixels = r->out->data +
                          (size_t)lib->output_scanline * lib->output_width * (size_t)channels;
        JSAMPROW row = cmyk ? r->row : pixels;
        jpeg_read_scanlines(lib, &row, 1);
        if (cmyk)
            cmyk_to_rgb(pixels, r->row, r->out->width);
    }
    jpeg_finish_decompress(lib);
    return gb_image_orient(r->out, orientation);
}

int gb_jpeg_decode(gb_image *out, const void *bytes, size_t size, const char *name)
{
    reader r = {.out = out};
    int err = decode(&r, bytes, size, name);
    jpeg_destroy_decompress(&r.lib);
    free(r.row);
    return err;
}
