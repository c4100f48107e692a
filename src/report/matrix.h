// A table of numbers as a picture: confusion matrices, which model's examples fool which.
#ifndef GB_REPORT_MATRIX_H
#define GB_REPORT_MATRIX_H

#include "image/image.h"

typedef struct gb_matrix {
    const char *title;
    const char *row_title, *col_title; // what the rows and columns are; NULL: nothing
    const char *const *row, *const *col; // their names; not read where they are not drawn
    size_t rows, cols;
    const double *value; // (rows, cols); NaN: an empty cell
    double high;         // the value of the darkest cell; 0: the largest there is
    int digits;          // behind the point
} gb_matrix;

// Cells are the darker the larger they are, with the number inside where there are at most 24
// columns and rows.
int gb_matrix_draw(gb_image *out, const gb_matrix *matrix);

#endif
