// JPEG in, through libjpeg-turbo.
#include "image/codec.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <jpeglib.h>
#include <jerror.h>

// A progressive file of a few bytes a scan can make the decoder pass over the whole picture for
// each; real ones have about ten scans.
enum { MAX_SCANS = 64 };

// libjpeg reports errors through callbacks that must not return; everything that has to survive the
// longjmp lives here, in the caller's frame.
typedef struct reader {
    struct jpeg_decompress_struct lib;
    struct jpeg_error_mgr error;
    struct jpeg_progress_mgr progress;
    jmp_buf jump;
    char text[JMSG_LENGTH_MAX];
    int orientation;
    uint8_t *row; // as libjpeg gives it
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

// Looks for the orientation in an APP1 segment, where it lies in memory. (What libjpeg can save of
// segments goes into a list that it walks for each: minutes for a hundred thousand of them.)
static boolean on_app1(j_decompress_ptr lib)
{
    reader *r = lib->client_data;
    struct jpeg_source_mgr *src = lib->src; // the whole file
    const JOCTET *bytes = src->next_input_byte;
    size_t length = src->bytes_in_buffer < 2 ? 0 : (size_t)(bytes[0] << 8 | bytes[1]);
    if (length < 2 || length > src->bytes_in_buffer)
        ERREXIT(lib, length < 2 ? JERR_BAD_LENGTH : JERR_INPUT_EOF);
    if (r->orientation == 1)
        r->orientation = gb_exif_orientation(bytes + 2, length - 2);
    src->next_input_byte += length;
    src->bytes_in_buffer -= length;
    return TRUE;
}

// Ink to light, in place if need be. Like Pillow and the browsers, every four-channel JPEG is taken
// to be stored the way Adobe does, with 255 for no ink; light = (255 - ink) * (255 - black) / 255,
// rounded.
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

static int decode(reader *r, gb_rows *rows, const void *bytes, size_t size)
{
    struct jpeg_decompress_struct *lib = &r->lib;
    int err;
    lib->err = jpeg_std_error(&r->error);
    lib->client_data = r;
    r->error.error_exit = on_error;
    r->error.emit_message = on_message;
    r->progress.progress_monitor = on_progress;
    if (setjmp(r->jump))
        return gb_fail(GB_ERR_FORMAT, "%s: damaged or truncated JPEG (%s)", rows->name, r->text);
    jpeg_create_decompress(lib);
    lib->progress = &r->progress;
    jpeg_set_marker_processor(lib, JPEG_APP0 + 1, on_app1);
    jpeg_mem_src(lib, bytes, (unsigned long)size);
    jpeg_read_header(lib, TRUE);
    err = gb_rows_check(rows, lib->image_width, lib->image_height);
    if (err < 0)
        return err;
    // Huffman coding spends at least one bit on each 8x8 block: a header that promises more than
    // the file can hold is found out before memory is spent on it.
    const jpeg_component_info *first = lib->comp_info;
    if (!lib->arith_code &&
        (uint64_t)first->width_in_blocks * first->height_in_blocks / 8 > size)
        return gb_fail(GB_ERR_FORMAT, "%s: truncated JPEG (%zu bytes cannot hold %u x %u pixels)",
                       rows->name, size, lib->image_width, lib->image_height);

    const bool cmyk = lib->num_components == 4;
    const int channels = lib->num_components == 1 ? 1 : 3;
    err = gb_rows_begin(rows, (int)lib->image_width, (int)lib->image_height, channels,
                        r->orientation);
    if (err)
        return err;
    lib->out_color_space = cmyk ? JCS_CMYK : channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    r->row = malloc((size_t)lib->image_width * (size_t)(cmyk ? 4 : channels));
    if (!r->row)
        return gb_fail(GB_ERR_NOMEM, "%s: out of memory", rows->name);
    jpeg_start_decompress(lib);
    while (lib->output_scanline < lib->output_height) {
        jpeg_read_scanlines(lib, &r->row, 1);
        if (cmyk)
            cmyk_to_rgb(r->row, r->row, (int)lib->image_width);
        err = gb_rows_put(rows, r->row);
        if (err < 0)
            return err;
    }
    jpeg_finish_decompress(lib);
    return 0;
}

int gb_jpeg_decode(gb_rows *rows, const void *bytes, size_t size)
{
    reader r = {.orientation = 1};
    int err = decode(&r, rows, bytes, size);
    jpeg_destroy_decompress(&r.lib);
    free(r.row);
    return err;
}
