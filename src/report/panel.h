// The picture that explains an attack: input | perturbation, amplified | result, with captions.
#ifndef GB_REPORT_PANEL_H
#define GB_REPORT_PANEL_H

#include "image/image.h"

typedef struct gb_panel {
    const gb_image *before, *after; // the same size, 1 or 3 channels
    const char *before_text, *after_text; // "giant panda 97.1 %"; UTF-8 outside ASCII becomes '?'
    const char *title; // a line above; NULL: none
} gb_panel;

// Draws it as RGB; pictures smaller than 224 high are scaled up by a whole factor, pixels repeated.
// The perturbation is shown around mid-grey, amplified by the largest of 1, 2, 5, 10, 20, 50 ...
// that keeps its peak inside the range; the factor is written below it.
int gb_panel_draw(gb_image *out, const gb_panel *panel);

// Panels (or any RGB pictures) in rows of `columns`, top-left aligned, on white.
int gb_sheet_draw(gb_image *out, const gb_image *const *pictures, size_t n, int columns);

#endif
