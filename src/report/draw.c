// Draws on RGB pictures. Text is the dots of the font joined to strokes: smooth at any size, and
// with neither a font file nor a library behind it.
#include "report/draw.h"

#include "report/font.h"

#include <math.h>
#include <string.h>

enum { LINE = 11, MAX_TEXT = 512 }; // LINE: a line's height in dots

int gb_draw_blank(gb_image *out, int width, int height)
{
    int err = gb_image_init(out, width, height, 3);
    if (err >= 0)
        memset(out->data, 255, (size_t)width * (size_t)height * 3);
    return err;
}

static uint8_t *pixel(gb_image *image, int x, int y)
{
    return image->data + ((size_t)y * (size_t)image->width + (size_t)x) * 3;
}

void gb_draw_rect(gb_image *image, int x, int y, int width, int height, uint32_t rgb)
{
    for (int row = y < 0 ? 0 : y; row < y + height && row < image->height; row++) {
        for (int col = x < 0 ? 0 : x; col < x + width && col < image->width; col++) {
            uint8_t *p = pixel(image, col, row);
            p[0] = (uint8_t)(rgb >> 16);
            p[1] = (uint8_t)(rgb >> 8);
            p[2] = (uint8_t)rgb;
        }
    }
}

void gb_draw_image(gb_image *image, int x, int y, int scale, const gb_image *picture)
{
    const uint8_t *from = picture->data;
    for (int row = 0; row < picture->height; row++) {
        for (int col = 0; col < picture->width; col++, from += picture->channels) {
            uint32_t rgb = picture->channels == 3
                               ? (uint32_t)from[0] << 16 | (uint32_t)from[1] << 8 | from[2]
                               : from[0] * 0x010101u;
            gb_draw_rect(image, x + col * scale, y + row * scale, scale, scale, rgb);
        }
    }
}

// --- strokes ---

typedef struct stroke {
    float x0, y0, x1, y1;
} stroke;

static float distance(const stroke *s, float x, float y)
{
    float dx = s->x1 - s->x0, dy = s->y1 - s->y0, length = dx * dx + dy * dy;
    float t = length > 0 ? ((x - s->x0) * dx + (y - s->y0) * dy) / length : 0;
    t = fminf(fmaxf(t, 0), 1);
    return hypotf(x - s->x0 - t * dx, y - s->y0 - t * dy);
}

// Strokes of one width as one shape: where they overlap, ink does not add up.
static void draw_strokes(gb_image *image, const stroke *s, size_t n, float width, uint32_t rgb)
{
    float left = INFINITY, top = INFINITY, right = -INFINITY, bottom = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        left = fminf(left, fminf(s[i].x0, s[i].x1));
        top = fminf(top, fminf(s[i].y0, s[i].y1));
        right = fmaxf(right, fmaxf(s[i].x0, s[i].x1));
        bottom = fmaxf(bottom, fmaxf(s[i].y0, s[i].y1));
    }
    const float around = width / 2 + 1;
    const int x1 = (int)fminf(right + around, (float)image->width - 1);
    const int y1 = (int)fminf(bottom + around, (float)image->height - 1);
    for (int y = (int)fmaxf(top - around, 0); y <= y1; y++) {
        for (int x = (int)fmaxf(left - around, 0); x <= x1; x++) {
            float cover = 0;
            for (size_t i = 0; i < n && cover < 1; i++)
                cover = fmaxf(cover, width / 2 + 0.5f - distance(&s[i], (float)x, (float)y));
            cover = fminf(cover, 1);
            uint8_t *p = pixel(image, x, y);
            for (int c = 0; c < 3 && cover > 0; c++) {
                float ink = (float)(rgb >> (16 - 8 * c) & 255);
                p[c] = (uint8_t)lrintf((float)p[c] + cover * (ink - (float)p[c]));
            }
        }
    }
}

void gb_draw_line(gb_image *image, float x0, float y0, float x1, float y1, float width,
                  uint32_t rgb)
{
    draw_strokes(image, &(stroke){x0, y0, x1, y1}, 1, width, rgb);
}

// --- text ---

// Joins neighbouring dots. A diagonal is joined only where no dot beside it leads there.
static size_t glyph_strokes(stroke *out, const gb_glyph *g, float x, float y, float dot)
{
    static const int step[4][2] = {{0, 1}, {1, 0}, {1, 1}, {1, -1}}; // down, right
    size_t n = 0;
    for (int row = 0; row < GB_GLYPH_HEIGHT; row++) {
        for (int col = 0; col < g->width; col++) {
            if (!gb_glyph_dot(g, row, col))
                continue;
            const float cx = x + ((float)col + 0.5f) * dot, cy = y + ((float)row + 0.5f) * dot;
            out[n++] = (stroke){cx, cy, cx, cy};
            for (int k = 0; k < 4; k++) {
                int down = step[k][0], right = step[k][1];
                if (!gb_glyph_dot(g, row + down, col + right) ||
                    (k > 1 && (gb_glyph_dot(g, row, col + right) || gb_glyph_dot(g, row + 1, col))))
                    continue;
                out[n++] = (stroke){cx, cy, cx + (float)right * dot, cy + (float)down * dot};
            }
        }
    }
    return n;
}

// One line of UTF-8 as one char a character; returns the length.
static size_t plain(char *out, const char *text)
{
    size_t n = 0;
    for (; *text && *text != '\n' && n + 1 < MAX_TEXT; text++) {
        unsigned char c = (unsigned char)*text;
        if ((c & 0xc0) != 0x80) // not the rest of a character
            out[n++] = c < ' ' || c > '~' ? '?' : (char)c;
    }
    out[n] = 0;
    return n;
}

// In dots, the gap behind each glyph included.
static int line_width(const char *line)
{
    int width = 0;
    for (; *line; line++)
        width += gb_font_glyph(*line).width + 1;
    return width;
}

static bool fits(const char *line, int room)
{
    return line_width(line) - 1 <= room;
}

// Cuts the line to `room` dots, ".." in place of the rest.
static void cut(char line[MAX_TEXT + 2], size_t n, int room)
{
    while (n > 0 && !fits(line, room))
        strcpy(line + --n, "..");
    if (!fits(line, room))
        *line = 0;
}

static void draw_line(gb_image *image, int x, int y, int width, int size, gb_anchor align,
                      const char *text, uint32_t rgb)
{
    stroke strokes[5 * GB_GLYPH_HEIGHT * 5];
    char line[MAX_TEXT + 2];
    const float dot = (float)size / LINE;
    cut(line, plain(line, text), (int)((float)width / dot));
    const float used = (float)(line_width(line) - 1) * dot, spare = (float)width - used;
    float at = (float)x + (align == GB_LEFT ? 0 : align == GB_RIGHT ? spare : spare / 2);
    for (const char *c = line; *c; c++) {
        gb_glyph glyph = gb_font_glyph(*c);
        size_t n = glyph_strokes(strokes, &glyph, at - 0.5f, (float)y + dot - 0.5f, dot);
        draw_strokes(image, strokes, n, dot > 1 ? 0.9f * dot : 1, rgb);
        at += (float)(glyph.width + 1) * dot;
    }
}

void gb_draw_text(gb_image *image, int x, int y, int width, int size, gb_anchor align,
                  const char *text, uint32_t rgb)
{
    while (text) {
        draw_line(image, x, y, width, size, align, text, rgb);
        y += size;
        text = strchr(text, '\n');
        text = text ? text + 1 : NULL;
    }
}

int gb_text_width(const char *text, int size)
{
    char line[MAX_TEXT];
    plain(line, text);
    return (int)ceilf((float)(line_width(line) - 1) * (float)size / LINE);
}

int gb_text_lines(const char *text)
{
    int lines = 0;
    while (text) {
        lines++;
        text = strchr(text, '\n');
        text = text ? text + 1 : NULL;
    }
    return lines;
}
