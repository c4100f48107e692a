// EXIF: the one tag that matters here, which way up the camera was held.
#include "image/codec.h"

#include <string.h>

static uint32_t get16(const uint8_t *p, bool big)
{
    return big ? (uint32_t)(p[0] << 8 | p[1]) : (uint32_t)(p[1] << 8 | p[0]);
}

static uint32_t get32(const uint8_t *p, bool big)
{
    return big ? get16(p, big) << 16 | get16(p + 2, big) : get16(p + 2, big) << 16 | get16(p, big);
}

// APP1 holds "Exif\0\0" and a TIFF file: byte order, 42, the offset of the first directory; a
// directory is a count and that many entries of tag, type, count and value (2, 2, 4, 4 bytes).
int gb_exif_orientation(const uint8_t *bytes, size_t size)
{
    enum { TAG_ORIENTATION = 0x0112, TYPE_SHORT = 3, ENTRY = 12 };
    if (size < 6 + 8 || memcmp(bytes, "Exif\0", 6) != 0)
        return 1;
    const uint8_t *tiff = bytes + 6;
    size -= 6;
    bool big = tiff[0] == 'M';
    if (memcmp(tiff, big ? "MM" : "II", 2) != 0 || get16(tiff + 2, big) != 42)
        return 1;
    size_t at = get32(tiff + 4, big);
    if (at > size || size - at < 2)
        return 1;
    size_t entries = get16(tiff + at, big);
    at += 2;
    for (size_t i = 0; i < entries && size - at >= ENTRY; i++, at += ENTRY) {
        if (get16(tiff + at, big) != TAG_ORIENTATION)
            continue;
        uint32_t value = get16(tiff + at + 8, big);
        return get16(tiff + at + 2, big) == TYPE_SHORT && value >= 1 && value <= 8 ? (int)value : 1;
    }
    return 1;
}
