// Pictures that explain an attack: one picture as a panel, many as a contact sheet.
#ifndef GB_REPORT_PANEL_H
#define GB_REPORT_PANEL_H

#include "image/image.h"

typedef struct gb_panel {
    const gb_image *before, *after; // the same size, 1 or 3 channels
    const char *before_text, *after_text; // "giant panda\n97.1 %"; UTF-8 outside ASCII becomes '?'
    bool fooled;                          // colours the text below the result
} gb_panel;

// Input | perturbation, amplified | result, with captions, as RGB. Pictures smaller than 224 high
// are scaled up by a whole factor, pixels repeated. The perturbation is shown around mid-grey,
// amplified by the largest of 1, 2, 5, 10, 20, 50 ... that keeps its peak inside the range; the
// factor is written below it.
int gb_panel_draw(gb_image *out, const gb_panel *panel);

// The same of n pictures of one size: a row of inputs, one of perturbations (amplified alike), one
// of results, in several such bands where they are many. Pictures smaller than 112 are scaled up by
// a whole factor, those larger than 256 down. title: a line above; NULL: none.
int gb_sheet_draw(gb_image *out, const gb_panel *panel, size_t n, const char *title);

#endif
