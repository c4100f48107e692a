// Draws a table of numbers as shaded cells.
#include "report/matrix.h"

#include "base/number.h"
#include "report/draw.h"

#include <math.h>
#include <stdio.h>

enum { MARGIN = 16, TEXT = 16, LARGE = 24 /* rows or columns */, NAME = 180, CELL = 44, DOT = 8 };

static const uint32_t paper = 0xf4f6f8, full = 0x1f5f9e;

// Between paper (0) and full colour (1).
static uint32_t shade(double t)
{
    uint32_t rgb = 0;
    t = fmin(fmax(t, 0), 1);
    for (int shift = 16; shift >= 0; shift -= 8) {
        double a = paper >> shift & 255, b = full >> shift & 255;
        rgb |= (uint32_t)lrint(a + t * (b - a)) << shift;
    }
    return rgb;
}

static int widest(const char *const *name, size_t n, int most)
{
    int widest = 0;
    for (size_t i = 0; i < n; i++) {
        int width = gb_text_width(name[i], TEXT);
        widest = width > widest ? width : widest;
    }
    return widest < most ? widest : most;
}

static void draw_cells(gb_image *image, const gb_matrix *m, int left, int top, int wide, int high,
                       bool text)
{
    double most = m->high;
    char number[32];
    for (size_t i = 0; i < m->rows * m->cols && m->high == 0; i++)
        most = fmax(most, m->value[i]); // fmax passes over NaN
    for (size_t i = 0; i < m->rows * m->cols; i++) {
        const int x = left + (int)(i % m->cols) * wide, y = top + (int)(i / m->cols) * high;
        const double v = m->value[i], t = most > 0 ? v / most : 0;
        if (isnan(v))
            continue;
        gb_draw_rect(image, x, y, wide - 1, high - 1, shade(t));
        gb_format(number, sizeof number, "%.*f", m->digits, v);
        if (text)
            gb_draw_text(image, x, y + (high - TEXT) / 2, wide - 1, TEXT, GB_CENTRE, number,
                         t > 0.5 ? 0xffffff : GB_INK);
    }
}

int gb_matrix_draw(gb_image *out, const gb_matrix *m)
{
    gb_image image = {0};
    int err = 0;
    if (!m->rows || !m->cols || m->rows > 4096 || m->cols > 4096)
        return gb_fail(GB_ERR_ARG, "no picture of a table of %zu by %zu", m->rows, m->cols);
    const bool text = m->rows <= LARGE && m->cols <= LARGE;
    const int names = text ? widest(m->col, m->cols, NAME) + 12 : 0;
    const int wide = !text ? DOT : names > CELL ? names : CELL, high = text ? 32 : DOT;
    const int left = MARGIN + (text ? widest(m->row, m->rows, NAME) + 12 : 0);
    const int head = MARGIN + (m->title ? TEXT + 4 + MARGIN : 0);
    const int top = head + (m->row_title || m->col_title ? TEXT + 8 : 0) + (text ? TEXT + 8 : 0);
    int width = left + (int)m->cols * wide + MARGIN;
    const int least = m->title ? gb_text_width(m->title, TEXT + 4) + 2 * MARGIN : 0;
    char axes[256];
    width = width > least ? width : least;
    snprintf(axes, sizeof axes, "%s%s%s%s", m->row_title ? "down: " : "",
             m->row_title ? m->row_title : "",
             m->col_title ? m->row_title ? ", across: " : "across: " : "",
             m->col_title ? m->col_title : "");
    const int axes_width = gb_text_width(axes, TEXT) + 2 * MARGIN;
    width = width > axes_width ? width : axes_width;
    GB_TRY(gb_draw_blank(&image, width, top + (int)m->rows * high + MARGIN));
    gb_draw_text(&image, MARGIN, MARGIN, width - 2 * MARGIN, TEXT + 4, GB_LEFT, m->title, GB_INK);
    gb_draw_text(&image, MARGIN, head, width - 2 * MARGIN, TEXT, GB_LEFT, axes, GB_PALE);
    for (size_t i = 0; text && i < m->cols; i++)
        gb_draw_text(&image, left + (int)i * wide, top - TEXT - 6, wide - 1, TEXT, GB_CENTRE,
                     m->col[i], GB_INK);
    for (size_t i = 0; text && i < m->rows; i++)
        gb_draw_text(&image, MARGIN, top + (int)i * high + (high - TEXT) / 2, left - MARGIN - 12,
                     TEXT, GB_RIGHT, m->row[i], GB_INK);
    draw_cells(&image, m, left, top, wide, high, text);
    *out = image;
fail:
    return err;
}
