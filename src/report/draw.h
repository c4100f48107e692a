// Rectangles and text on RGB pictures.
#ifndef GB_REPORT_DRAW_H
#define GB_REPORT_DRAW_H

#include "image/image.h"

enum { GB_FONT_WIDTH = 6, GB_FONT_HEIGHT = 11 }; // of a character's cell, in dots

// Clipped to the picture; rgb: 0xrrggbb.
void gb_draw_rect(gb_image *image, int x, int y, int width, int height, uint32_t rgb);

// Lines of text from the top left corner (x,y), `scale` pixels a dot; a line wider than `width`
// pixels is cut, and ends in dots. NULL draws nothing.
void gb_draw_text(gb_image *image, int x, int y, int scale, int width, const char *text,
                  uint32_t rgb);
int gb_text_lines(const char *text); // NULL: 0

#endif
