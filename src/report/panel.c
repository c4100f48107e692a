// Draws input, perturbation and result: side by side for one picture, in rows for many.
#include "report/panel.h"

#include "report/draw.h"

#include <stdio.h>
#include <stdlib.h>

enum { MARGIN = 12, TEXT = 16, PANEL_HIGH = 224, SHEET_LOW = 112, SHEET_HIGH = 256,
       SHEET_WIDE = 1280 };

static int check_sizes(const gb_panel *panel, const gb_panel *first)
{
    const gb_image *a = panel->before, *b = panel->after, *c = first->before;
    if (a->width == b->width && a->height == b->height && a->channels == b->channels &&
        a->width == c->width && a->height == c->height && a->channels == c->channels &&
        (a->channels == 1 || a->channels == 3) && a->width >= 1 && a->width <= 1 << 14 &&
        a->height >= 1 && a->height <= 1 << 14)
        return 0;
    return gb_fail(GB_ERR_ARG, "no picture of pictures of %dx%dx%d, %dx%dx%d and %dx%dx%d",
                   a->width, a->height, a->channels, b->width, b->height, b->channels, c->width,
                   c->height, c->channels);
}

// The largest of 1, 2, 5, 10, 20, 50 ... that keeps the perturbations in 128 +- 127; 0: there are
// none.
static int amplification(const gb_panel *panel, size_t n)
{
    int peak = 0, factor = 1;
    for (size_t k = 0; k < n; k++) {
        const gb_image *a = panel[k].before, *b = panel[k].after;
        size_t count = (size_t)a->width * (size_t)a->height * (size_t)a->channels;
        for (size_t i = 0; i < count; i++) {
            int moved = abs(a->data[i] - b->data[i]);
            peak = moved > peak ? moved : peak;
        }
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

// factor times what changed, around mid-grey.
static int change_of(gb_image *out, const gb_panel *panel, int factor)
{
    const gb_image *a = panel->before, *b = panel->after;
    size_t count = (size_t)a->width * (size_t)a->height * (size_t)a->channels;
    int err = gb_image_init(out, a->width, a->height, a->channels);
    for (size_t i = 0; err >= 0 && i < count; i++)
        out->data[i] = (uint8_t)clamp(128 + factor * (b->data[i] - a->data[i]));
    return err;
}

int gb_panel_draw(gb_image *out, const gb_panel *panel)
{
    gb_image image = {0}, change = {0};
    const gb_image *a = panel->before;
    int err = 0;
    GB_TRY(check_sizes(panel, panel));
    const int factor = amplification(panel, 1);
    const int scale = a->height < PANEL_HIGH ? (PANEL_HIGH + a->height - 1) / a->height : 1;
    const int width = a->width * scale, height = a->height * scale;
    const int size = width >= 640 ? 2 * TEXT : TEXT;
    const int column = width > 120 ? width : 120; // room for a few words below a narrow picture
    const int below = MARGIN + height + MARGIN / 2;
    int lines = gb_text_lines(panel->before_text), after = gb_text_lines(panel->after_text);
    lines = after > lines ? after : lines;
    lines = lines > 1 ? lines : 1;
    char text[64] = "no perturbation";
    if (factor)
        snprintf(text, sizeof text, "perturbation x%d", factor);
    GB_TRY(change_of(&change, panel, factor));
    GB_TRY(gb_draw_blank(&image, 3 * column + 4 * MARGIN, below + lines * size + MARGIN));
    const struct {
        const gb_image *picture;
        const char *caption;
        uint32_t rgb;
    } part[3] = {{a, panel->before_text, GB_INK},
                 {&change, text, GB_PALE},
                 {panel->after, panel->after_text, panel->fooled ? GB_BAD : GB_GOOD}};
    for (int i = 0; i < 3; i++) {
        const int x = MARGIN + i * (column + MARGIN);
        gb_draw_image(&image, x + (column - width) / 2, MARGIN, scale, part[i].picture);
        gb_draw_text(&image, x, below, column, size, GB_CENTRE, part[i].caption, part[i].rgb);
    }
    *out = image;
    image = (gb_image){0};
fail:
    gb_image_finish(&image);
    gb_image_finish(&change);
    return err;
}

// --- sheets ---

typedef struct sheet {
    const gb_panel *panel;
    size_t n, columns, bands; // pictures across a band
    int factor;               // of the perturbations
    int scale, width, height; // of a picture as drawn; scale 0: it is resized
    int left, top, cell, caption, band; // pixels: row names, title, a column, a caption, a band
} sheet;

static void lay_out(sheet *s, const char *title)
{
    const gb_image *a = s->panel->before;
    const int side = a->width > a->height ? a->width : a->height;
    s->scale = side > SHEET_HIGH ? 0 : side < SHEET_LOW ? (SHEET_LOW + side - 1) / side : 1;
    s->width = s->scale ? a->width * s->scale : a->width * SHEET_HIGH / side;
    s->height = s->scale ? a->height * s->scale : a->height * SHEET_HIGH / side;
    s->width = s->width > 1 ? s->width : 1;
    s->height = s->height > 1 ? s->height : 1;
    s->cell = (s->width > 96 ? s->width : 96) + MARGIN;
    s->left = MARGIN + gb_text_width("adversarial", TEXT) + MARGIN;
    s->top = MARGIN + (title ? TEXT + 2 * MARGIN : 0);
    int lines = 1;
    for (size_t i = 0; i < s->n; i++) {
        int before = gb_text_lines(s->panel[i].before_text);
        int after = gb_text_lines(s->panel[i].after_text);
        lines = before > lines ? before : lines;
        lines = after > lines ? after : lines;
    }
    s->caption = MARGIN / 2 + lines * TEXT + MARGIN;
    s->band = 3 * s->height + 2 * s->caption + 3 * MARGIN;
    const size_t most = (size_t)((SHEET_WIDE - s->left) / s->cell);
    s->columns = most < 1 ? 1 : most;
    s->bands = (s->n + s->columns - 1) / s->columns;
    s->columns = (s->n + s->bands - 1) / s->bands; // bands of nearly one length
}

static int draw_cell(const sheet *s, gb_image *out, int x, int y, const gb_image *picture)
{
    gb_image small = {0};
    int err = 0;
    x += (s->cell - MARGIN - s->width) / 2;
    if (!s->scale)
        GB_TRY(gb_image_resize(&small, picture, s->width, s->height));
    gb_draw_image(out, x, y, s->scale ? s->scale : 1, s->scale ? picture : &small);
fail:
    gb_image_finish(&small);
    return err;
}

// One picture's column: input and its class, perturbation, result and its class.
static int draw_column(const sheet *s, gb_image *out, size_t i, int x, int y)
{
    const gb_panel *p = &s->panel[i];
    const int width = s->cell - MARGIN, gap = MARGIN / 2;
    gb_image change = {0};
    int err = 0;
    GB_TRY(draw_cell(s, out, x, y, p->before));
    gb_draw_text(out, x, y + s->height + gap, width, TEXT, GB_CENTRE, p->before_text, GB_INK);
    y += s->height + s->caption;
    GB_TRY(change_of(&change, p, s->factor));
    GB_TRY(draw_cell(s, out, x, y, &change));
    y += s->height + MARGIN;
    GB_TRY(draw_cell(s, out, x, y, p->after));
    gb_draw_text(out, x, y + s->height + gap, width, TEXT, GB_CENTRE, p->after_text,
                 p->fooled ? GB_BAD : GB_GOOD);
fail:
    gb_image_finish(&change);
    return err;
}

int gb_sheet_draw(gb_image *out, const gb_panel *panel, size_t n, const char *title)
{
    sheet s = {.panel = panel, .n = n};
    gb_image image = {0};
    char change[32] = "change";
    int err = 0;
    if (!n)
        return gb_fail(GB_ERR_ARG, "a sheet of no pictures");
    for (size_t i = 0; i < n; i++)
        GB_TRY(check_sizes(&panel[i], panel));
    s.factor = amplification(panel, n);
    lay_out(&s, title);
    if (s.bands > (size_t)((1 << 16) - s.top) / (size_t)s.band)
        return gb_fail(GB_ERR_ARG, "a sheet of %zu pictures is too large; draw fewer", n);
    const int wide = s.left + (int)s.columns * s.cell;
    GB_TRY(gb_draw_blank(&image, wide, s.top + (int)s.bands * s.band));
    if (title)
        gb_draw_text(&image, MARGIN, MARGIN, wide - 2 * MARGIN, TEXT, GB_LEFT, title, GB_INK);
    if (s.factor)
        snprintf(change, sizeof change, "change\nx%d", s.factor);
    for (size_t band = 0; band < s.bands; band++) {
        const int y = s.top + (int)band * s.band, width = s.left - 2 * MARGIN;
        const char *const name[3] = {"clean", change, "adversarial"};
        const int at[3] = {0, s.height + s.caption, 2 * s.height + s.caption + MARGIN};
        for (int i = 0; i < 3; i++)
            gb_draw_text(&image, MARGIN,
                         y + at[i] + (s.height - gb_text_lines(name[i]) * TEXT) / 2, width, TEXT,
                         GB_RIGHT, name[i], GB_PALE);
        for (size_t i = band * s.columns; i < n && i < (band + 1) * s.columns; i++)
            GB_TRY(draw_column(&s, &image, i, s.left + (int)(i % s.columns) * s.cell, y));
    }
    *out = image;
    image = (gb_image){0};
fail:
    gb_image_finish(&image);
    return err;
}
