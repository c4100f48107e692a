// Rectangles, lines, pictures and text on RGB pictures. Everything is clipped; rgb is 0xrrggbb.
#ifndef GB_REPORT_DRAW_H
#define GB_REPORT_DRAW_H

#include "image/image.h"

// Ink on white paper, for all pictures that gibbon draws.
enum { GB_INK = 0x202428, GB_PALE = 0x6a7178, GB_HAIR = 0xd8dce0, GB_GOOD = 0x2a6fb0,
       GB_BAD = 0xc23b22 };

int gb_draw_blank(gb_image *out, int width, int height); // white
void gb_draw_rect(gb_image *image, int x, int y, int width, int height, uint32_t rgb);
// Antialiased, with round ends; coordinates of pixel centres are whole.
void gb_draw_line(gb_image *image, float x0, float y0, float x1, float y1, float width,
                  uint32_t rgb);
// A picture of 1 or 3 channels, each pixel a square of `scale`.
void gb_draw_image(gb_image *image, int x, int y, int scale, const gb_image *picture);

// --- text: size is the height of a line in pixels, at least 11 ---

typedef enum gb_anchor { GB_LEFT, GB_CENTRE, GB_RIGHT } gb_anchor;

// Lines of text (UTF-8; what is not ASCII becomes '?') in the box whose upper corners are (x,y) and
// (x + width,y); a line that is wider is cut, and ends in dots. NULL draws nothing.
void gb_draw_text(gb_image *image, int x, int y, int width, int size, gb_anchor align,
                  const char *text, uint32_t rgb);
int gb_text_width(const char *text, int size); // of the first line, in pixels
int gb_text_lines(const char *text);           // NULL: 0

#endif
