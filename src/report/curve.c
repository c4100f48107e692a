// Draws charts: axes with ticks at round numbers, curves, legends.
#include "report/curve.h"

#include "base/number.h"
#include "report/draw.h"

#include <math.h>
#include <stdio.h>

enum { WIDE = 440, HIGH = 280, MARGIN = 16, TEXT = 16, AXIS = 64, ROW = 24, TICKS = 6 };

// Told apart by people who see few colours too.
static const uint32_t colours[] = {0x2a6fb0, 0xd9792b, 0x3a9a5b, 0xc23b22, 0x7d5ba6, 0x6a7178};

typedef struct axis {
    double low, high, step; // ticks from low on
} axis;

typedef struct plot {
    gb_image *image;
    int left, top; // of the plotted area, WIDE x HIGH
    axis x, y;
    size_t points;
} plot;

static double value_at(const gb_curve *curve, size_t i)
{
    return *(const double *)((const char *)curve->y + i * curve->stride);
}

// The smallest of 1, 2, 5, 10 ... (times a power of ten) that makes at most TICKS steps of `range`.
static double round_step(double range)
{
    double power = pow(10, floor(log10(range / TICKS)));
    for (int i = 0; i < 3; i++)
        if (range / (power * (int[]){1, 2, 5}[i]) <= TICKS)
            return power * (int[]){1, 2, 5}[i];
    return 10 * power;
}

static axis y_axis(const gb_chart *chart, size_t points)
{
    double low = 0, high = 0;
    bool any = false;
    for (size_t k = 0; k < chart->n; k++) {
        for (size_t i = 0; i < points; i++) {
            double v = value_at(&chart->curve[k], i);
            if (!isfinite(v))
                continue;
            low = fmin(low, v);
            high = any ? fmax(high, v) : v;
            any = true;
        }
    }
    if (chart->low != chart->high)
        low = chart->low, high = chart->high;
    if (!(high > low))
        high = low + 1;
    axis a = {.step = round_step(high - low)};
    a.low = floor(low / a.step + 1e-9) * a.step;
    a.high = ceil(high / a.step - 1e-9) * a.step;
    return a;
}

static axis x_axis(size_t points)
{
    axis a = {1, points > 1 ? (double)points : 2, 1};
    a.step = fmax(round_step(a.high - a.low), 1);
    return a;
}

static float x_of(const plot *p, double x)
{
    return (float)(p->left + WIDE * (x - p->x.low) / (p->x.high - p->x.low));
}

static float y_of(const plot *p, double y)
{
    double inside = fmin(fmax(y, p->y.low), p->y.high);
    return (float)(p->top + HIGH * (p->y.high - inside) / (p->y.high - p->y.low));
}

static void draw_axes(const plot *p, const char *x_name)
{
    char text[32];
    const int bottom = p->top + HIGH;
    for (double v = p->y.low; v <= p->y.high + p->y.step / 2; v += p->y.step) {
        const int y = (int)lrintf(y_of(p, v));
        gb_draw_rect(p->image, p->left, y, WIDE, 1, GB_HAIR);
        // A zero that is a sum of steps may be 1e-17.
        gb_format(text, sizeof text, "%g", fabs(v) < p->y.step / 2 ? 0 : v);
        gb_draw_text(p->image, p->left - AXIS, y - TEXT / 2, AXIS - 8, TEXT, GB_RIGHT, text,
                     GB_PALE);
    }
    // From 1 on to round numbers: 1, 5, 10, 15.
    for (double v = 1; v <= (double)p->points; v = v == 1 && p->x.step > 1 ? p->x.step
                                                                          : v + p->x.step) {
        const int x = (int)lrintf(x_of(p, v));
        gb_draw_rect(p->image, x, bottom, 1, 5, GB_PALE);
        gb_format(text, sizeof text, "%g", v);
        gb_draw_text(p->image, x - AXIS, bottom + 6, 2 * AXIS, TEXT, GB_CENTRE, text, GB_PALE);
    }
    gb_draw_rect(p->image, p->left, p->top, 1, HIGH + 1, GB_PALE);
    gb_draw_rect(p->image, p->left, bottom, WIDE + 1, 1, GB_PALE);
    gb_draw_text(p->image, p->left, bottom + 6 + TEXT, WIDE, TEXT, GB_CENTRE, x_name, GB_PALE);
}

// Returns whether the curve has a point.
static bool draw_curve(const plot *p, const gb_curve *curve, uint32_t rgb)
{
    float x0 = 0, y0 = 0;
    bool any = false;
    for (size_t i = 0; i < p->points; i++) {
        const double v = value_at(curve, i);
        if (!isfinite(v))
            continue;
        const float x = x_of(p, (double)(i + 1)), y = y_of(p, v);
        if (any)
            gb_draw_line(p->image, x0, y0, x, y, 2, rgb);
        if (p->points <= 40) // else the points would hide the curve
            gb_draw_line(p->image, x, y, x, y, 6, rgb);
        x0 = x, y0 = y, any = true;
    }
    return any;
}

static void draw_chart(plot *p, const gb_chart *chart, const char *x_name)
{
    int x = p->left, y = p->top - ROW - 8;
    p->y = y_axis(chart, p->points);
    p->x = x_axis(p->points);
    gb_draw_text(p->image, p->left, y - ROW, WIDE, TEXT + 4, GB_LEFT, chart->title, GB_INK);
    draw_axes(p, x_name);
    for (size_t k = 0; k < chart->n; k++) {
        const uint32_t rgb = colours[k % GB_COUNT(colours)];
        const int width = gb_text_width(chart->curve[k].name, TEXT);
        if (!draw_curve(p, &chart->curve[k], rgb))
            continue;
        gb_draw_line(p->image, (float)x, (float)(y + TEXT / 2), (float)(x + 16),
                     (float)(y + TEXT / 2), 3, rgb);
        gb_draw_text(p->image, x + 24, y, width + 1, TEXT, GB_LEFT, chart->curve[k].name, GB_INK);
        x += 24 + width + MARGIN;
    }
}

int gb_chart_draw(gb_image *out, const char *title, const char *x_name, const gb_chart *chart,
                  size_t n, size_t points)
{
    enum { MOST = 16 };
    gb_image image = {0};
    int err = 0;
    const int top = MARGIN + (title ? TEXT + 4 + MARGIN : 0) + 2 * ROW + 8;
    const int column = AXIS + WIDE + 2 * MARGIN;
    if (!n || n > MOST || !points)
        return gb_fail(GB_ERR_ARG, "no picture of %zu charts of %zu points", n, points);
    GB_TRY(gb_draw_blank(&image, (int)n * column + MARGIN,
                         top + HIGH + 6 + 2 * TEXT + MARGIN));
    if (title)
        gb_draw_text(&image, MARGIN, MARGIN, (int)n * column - MARGIN, TEXT + 4, GB_LEFT, title,
                     GB_INK);
    for (size_t k = 0; k < n; k++) {
        plot p = {.image = &image, .left = MARGIN + (int)k * column + AXIS, .top = top,
                  .points = points};
        draw_chart(&p, &chart[k], x_name);
    }
    *out = image;
fail:
    return err;
}
