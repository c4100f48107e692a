// Curves over the epochs of a training run, or over anything else that is counted from 1.
#ifndef GB_REPORT_CURVE_H
#define GB_REPORT_CURVE_H

#include "image/image.h"

typedef struct gb_curve {
    const char *name;
    const double *y; // NaN: not measured, the curve goes on at the next point
    size_t stride;   // bytes from one point to the next, sizeof *y or a struct's size
} gb_curve;

typedef struct gb_chart {
    const char *title; // "accuracy"
    const gb_curve *curve;
    size_t n;
    double low, high; // of the axis where that is fixed, as in 0 and 1; equal: from 0, or the
                      // smallest value, to the largest
} gb_chart;

// Charts side by side, each with axes, ticks and a legend; curves without a point are left out of
// the legend. points: of every curve; x_name: what they count ("epoch"); title: a line above all.
int gb_chart_draw(gb_image *out, const char *title, const char *x_name, const gb_chart *chart,
                  size_t n, size_t points);

#endif
