// Draws input | perturbation | result side by side with captions, and sheets of such panels.
#include "report/panel.h"

#include "report/draw.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MARGIN = 8, HIGH = 224, BLACK = 0x202020, GREY = 0x606060 };

static int blank(gb_image *out, int width, int height)
{
    int err = gb_image_init(out, width, height, 3);
    if (err >= 0)
        memset(out->data, 255, (size_t)width * (size_t)height * 3);
    return err;
}

// The largest of 1, 2, 5, 10, 20, 50 ... that keeps the perturbation in 128 +- 127; 0: there is
// none.
static int amplification(const gb_image *a, const gb_image *b)
{
    int peak = 0, factor = 1;
    size_t count = (size_t)a->width * (size_t)a->height * (size_t)a->channels;
    for (size_t i = 0; i < count; i++) {
        int moved = abs(a->data[i] - b->data[i]);
        peak = moved > peak ? moved : peak;
    }
    if (!peak)
        return 0;
    for (int decade = 1; decade <= 100; decade *= 10) {
        for (int i = 0; i < 3; i++) {
            int next = decade * (int[]){1, 2, 5}[i];
            factor = next * peak <= 127 ? next : factor;
        }
    }
    return factor;
}

static int clamp(int v)
{
    return v < 0 ? 0 : v > 255 ? 255 : v;
}

// The picture where factor is 0, else factor times its change.
static void draw_picture(gb_image *out, const gb_image *a, const gb_image *b, int factor, int x,
                         int y, int scale)
{
    size_t channels = (size_t)a->channels;
    for (int row = 0; row < a->height; row++) {
        for (int col = 0; col < a->width; col++) {
            size_t at = ((size_t)row * (size_t)a->width + (size_t)col) * channels;
            uint32_t rgb = 0;
            for (size_t c = 0; c < 3; c++) {
                size_t i = at + (channels == 3 ? c : 0);
                int v = factor ? clamp(128 + factor * (b->data[i] - a->data[i])) : a->data[i];
                rgb = rgb << 8 | (uint32_t)v;
            }
            gb_draw_rect(out, x + col * scale, y + row * scale, scale, scale, rgb);
        }
    }
}

int gb_panel_draw(gb_image *out, const gb_panel *panel)
{
    int err = 0;
    const gb_image *a = panel->before, *b = panel->after;
    gb_image image = {0};
    if (a->width != b->width || a->height != b->height || a->channels != b->channels ||
        (a->channels != 1 && a->channels != 3) || a->width < 1 || a->width > 1 << 14 ||
        a->height < 1 || a->height > 1 << 14)
        return gb_fail(GB_ERR_ARG, "no panel of pictures of %dx%dx%d and %dx%dx%d", a->width,
                       a->height, a->channels, b->width, b->height, b->channels);
    int scale = a->height < HIGH ? (HIGH + a->height - 1) / a->height : 1;
    int width = a->width * scale, height = a->height * scale;
    int text = width >= 640 ? 2 : 1, line = GB_FONT_HEIGHT * text;
    int column = width > 120 ? width : 120; // room for a few words below a narrow picture
    int lines = gb_text_lines(panel->before_text), after = gb_text_lines(panel->after_text);
    lines = after > lines ? after : lines;
    lines = lines > 1 ? lines : 1;
    int top = MARGIN + gb_text_lines(panel->title) * (line + MARGIN / 2);
    GB_TRY(
        blank(&image, 3 * column + 4 * MARGIN, top + height + MARGIN / 2 + lines * line + MARGIN));

    int factor = amplification(a, b);
    char change[64] = "no perturbation";
    if (factor)
        snprintf(change, sizeof change, "perturbation x%d", factor);
    const char *captions[3] = {panel->before_text, change, panel->after_text};
    gb_draw_text(&image, MARGIN, MARGIN, text, 3 * column + 2 * MARGIN, panel->title, BLACK);
    for (int i = 0; i < 3; i++) {
        int x = MARGIN + i * (column + MARGIN);
        if (i == 1)
            draw_picture(&image, a, b, factor ? factor : 1, x, top, scale);
        else
            draw_picture(&image, i ? b : a, NULL, 0, x, top, scale);
        gb_draw_text(&image, x, top + height + MARGIN / 2, text, column, captions[i],
                     i == 1 ? GREY : BLACK);
    }
    *out = image;
    return 0;
fail:
    gb_image_finish(&image);
    return err;
}

int gb_sheet_draw(gb_image *out, const gb_image *const *pictures, size_t n, int columns)
{
    int err = 0;
    size_t across = columns < 1 ? 1 : (size_t)columns, down = (n + across - 1) / across;
    size_t *right = NULL, *bottom = NULL; // where each column and row ends
    gb_image image = {0};
    across = across < n ? across : n;
    if (!n)
        return gb_fail(GB_ERR_ARG, "a sheet of no pictures");
    right = calloc(across + 1, sizeof *right);
    bottom = calloc(down + 1, sizeof *bottom);
    if (!right || !bottom) {
        err = gb_fail(GB_ERR_NOMEM, "out of memory for a sheet of %zu pictures", n);
        goto fail;
    }
    for (size_t i = 0; i < n; i++) {
        size_t *w = &right[i % across + 1], *h = &bottom[i / across + 1];
        if (pictures[i]->channels != 3) {
            err = gb_fail(GB_ERR_ARG, "picture %zu of a sheet is not RGB", i);
            goto fail;
        }
        *w = (size_t)pictures[i]->width > *w ? (size_t)pictures[i]->width : *w;
        *h = (size_t)pictures[i]->height > *h ? (size_t)pictures[i]->height : *h;
    }
    for (size_t i = 0; i < across; i++)
        right[i + 1] += right[i];
    for (size_t i = 0; i < down; i++)
        bottom[i + 1] += bottom[i];
    if (right[across] > 1 << 16 || bottom[down] > 1 << 16) {
        err = gb_fail(GB_ERR_ARG, "a sheet of %zux%zu pixels is too large; draw fewer pictures",
                      right[across], bottom[down]);
        goto fail;
    }
    GB_TRY(blank(&image, (int)right[across], (int)bottom[down]));
    for (size_t i = 0; i < n; i++) {
        const gb_image *p = pictures[i];
        size_t x = right[i % across], y = bottom[i / across], bytes = (size_t)p->width * 3;
        for (size_t row = 0; row < (size_t)p->height; row++)
            memcpy(image.data + ((y + row) * (size_t)image.width + x) * 3, p->data + row * bytes,
                   bytes);
    }
    *out = image;
    image = (gb_image){0};
fail:
    gb_image_finish(&image);
    free(right);
    free(bottom);
    return err;
}
