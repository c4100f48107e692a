// Inside src/report: the shapes of characters, as dots.
#ifndef GB_REPORT_FONT_H
#define GB_REPORT_FONT_H

#include <stdbool.h>
#include <stdint.h>

enum { GB_GLYPH_HEIGHT = 9 }; // rows of dots; the baseline is below row 6

typedef struct gb_glyph {
    const uint8_t *rows;
    int left, width; // the columns with ink
} gb_glyph;

gb_glyph gb_font_glyph(char c); // '?' for what the font lacks
bool gb_glyph_dot(const gb_glyph *glyph, int row, int col); // false outside

#endif
