// The PNG reader on files made here with libpng, and the writer read back.
#include "image/image.h"

#include "check.h"

#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

typedef struct buffer {
    uint8_t *data;
    size_t size, capacity;
} buffer;

typedef struct form {
    int color, depth;
    bool interlaced;
    const png_color *palette; // n_palette entries
    int n_palette, n_trans;
    const uint8_t *trans;           // of palette entries
    const png_color_16 *transparent; // the one transparent colour
} form;

static void on_write(png_structp lib, png_bytep bytes, size_t size)
{
    buffer *b = png_get_io_ptr(lib);
    assert_ok(gb_grow(&b->data, &b->capacity, b->size + size, 1));
    memcpy(b->data + b->size, bytes, size);
    b->size += size;
}

static void on_flush(png_structp lib)
{
    (void)lib;
}

// Encodes packed rows as the format has them: `stride` bytes each, 16 bits big-endian.
static buffer encode(const uint8_t *rows, int width, int height, size_t stride, form f)
{
    buffer b = {0};
    png_structp lib = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(lib);
    assert_non_null(info);
    png_set_write_fn(lib, &b, on_write, on_flush);
    png_set_IHDR(lib, info, (png_uint_32)width, (png_uint_32)height, f.depth, f.color,
                 f.interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, 0, 0);
    if (f.palette)
        png_set_PLTE(lib, info, f.palette, f.n_palette);
    if (f.trans || f.transparent)
        png_set_tRNS(lib, info, f.trans, f.n_trans, f.transparent);
    png_write_info(lib, info);
    for (int pass = png_set_interlace_handling(lib); pass > 0; pass--)
        for (int y = 0; y < height; y++)
            png_write_row(lib, rows + (size_t)y * stride);
    png_write_end(lib, info);
    png_destroy_write_struct(&lib, &info);
    return b;
}

// Decodes, compares with `want` and frees the file.
static void expect(buffer b, int width, int height, int channels, const uint8_t *want)
{
    gb_image out;
    assert_ok(gb_image_decode(&out, b.data, b.size, "t.png", 0));
    assert_true(out.width == width && out.height == height);
    assert_int_equal(out.channels, channels);
    assert_memory_equal(out.data, want, (size_t)width * (size_t)height * (size_t)channels);
    gb_image_finish(&out);
    free(b.data);
}

enum { W = 11, H = 9, N = W * H };

static void noise(uint8_t *out, size_t n)
{
    uint32_t x = 7;
    for (size_t i = 0; i < n; i++) {
        x = x * 1664525u + 1013904223u;
        out[i] = (uint8_t)(x >> 24);
    }
}

static void test_8_bits(void **state)
{
    (void)state;
    uint8_t pixels[N * 3];
    noise(pixels, sizeof pixels);
    for (int interlaced = 0; interlaced < 2; interlaced++) {
        form rgb = {PNG_COLOR_TYPE_RGB, 8, .interlaced = interlaced};
        form grey = {PNG_COLOR_TYPE_GRAY, 8, .interlaced = interlaced};
        expect(encode(pixels, W, H, W * 3, rgb), W, H, 3, pixels);
        expect(encode(pixels, W, H, W, grey), W, H, 1, pixels);
    }
}

static void test_alpha_over_white(void **state)
{
    (void)state;
    static const uint8_t rgba[4 * 4] = {10, 20, 30, 255, 10, 20, 30, 0, 0, 100, 255, 128,
                                        0, 0,  0,  1};
    // 255 - alpha * (255 - v) / 255, rounded.
    static const uint8_t want[3 * 4] = {10, 20, 30, 255, 255, 255, 127, 177, 255, 254, 254, 254};
    expect(encode(rgba, 4, 1, 16, (form){PNG_COLOR_TYPE_RGB_ALPHA, 8}), 4, 1, 3, want);
    static const uint8_t ga[2 * 3] = {10, 255, 10, 0, 0, 128};
    static const uint8_t want_grey[3] = {10, 255, 127};
    expect(encode(ga, 3, 1, 6, (form){PNG_COLOR_TYPE_GRAY_ALPHA, 8}), 3, 1, 1, want_grey);
}

static void test_16_bits(void **state)
{
    (void)state;
    uint8_t wide[N * 6], want[N * 3];
    noise(wide, sizeof wide);
    for (int i = 0; i < N * 3; i++)
        want[i] = (uint8_t)(((wide[2 * i] << 8 | wide[2 * i + 1]) * 255 + 32767) / 65535);
    for (int interlaced = 0; interlaced < 2; interlaced++) {
        form rgb = {PNG_COLOR_TYPE_RGB, 16, .interlaced = interlaced};
        form grey = {PNG_COLOR_TYPE_GRAY, 16, .interlaced = interlaced};
        expect(encode(wide, W, H, W * 6, rgb), W, H, 3, want);
        expect(encode(wide, W, H, W * 2, grey), W, H, 1, want);
    }
    static const uint8_t rgba[8] = {0, 0, 0x80, 0x80, 0xFF, 0xFF, 0x80, 0x80};
    static const uint8_t over[3] = {127, 191, 255};
    expect(encode(rgba, 1, 1, 8, (form){PNG_COLOR_TYPE_RGB_ALPHA, 16}), 1, 1, 3, over);
}

static void test_few_bits(void **state)
{
    (void)state;
    static const uint8_t row = 0xB1; // 1 0 1 1 0 0 0 1
    static const uint8_t one[8] = {255, 0, 255, 255, 0, 0, 0, 255};
    static const uint8_t two[4] = {170, 255, 0, 85};
    static const uint8_t four[2] = {187, 17};
    expect(encode(&row, 8, 1, 1, (form){PNG_COLOR_TYPE_GRAY, 1}), 8, 1, 1, one);
    expect(encode(&row, 4, 1, 1, (form){PNG_COLOR_TYPE_GRAY, 2}), 4, 1, 1, two);
    expect(encode(&row, 2, 1, 1, (form){PNG_COLOR_TYPE_GRAY, 4}), 2, 1, 1, four);
}

static void test_palette_and_transparency(void **state)
{
    (void)state;
    static const png_color palette[4] = {{1, 2, 3}, {100, 0, 200}, {0, 0, 0}, {255, 254, 253}};
    static const uint8_t trans[3] = {255, 128, 0};
    static const uint8_t row = 0x1B; // 0 1 2 3
    static const uint8_t opaque[12] = {1, 2, 3, 100, 0, 200, 0, 0, 0, 255, 254, 253};
    static const uint8_t blended[12] = {1, 2, 3, 177, 127, 227, 255, 255, 255, 255, 254, 253};
    form f = {PNG_COLOR_TYPE_PALETTE, 2, .palette = palette, .n_palette = 4};
    for (int interlaced = 0; interlaced < 2; interlaced++) {
        f.interlaced = interlaced;
        f.trans = NULL;
        f.n_trans = 0;
        expect(encode(&row, 4, 1, 1, f), 4, 1, 3, opaque);
        f.trans = trans;
        f.n_trans = 3;
        expect(encode(&row, 4, 1, 1, f), 4, 1, 3, blended);
    }
    // One colour that means "nothing here".
    static const uint8_t rgb[6] = {9, 8, 7, 9, 8, 6}, grey[2] = {5, 6};
    static const uint8_t rgb_want[6] = {255, 255, 255, 9, 8, 6}, grey_want[2] = {255, 6};
    png_color_16 key = {.red = 9, .green = 8, .blue = 7, .gray = 5};
    form keyed = {PNG_COLOR_TYPE_RGB, 8, .transparent = &key};
    expect(encode(rgb, 2, 1, 6, keyed), 2, 1, 3, rgb_want);
    keyed.color = PNG_COLOR_TYPE_GRAY;
    expect(encode(grey, 2, 1, 2, keyed), 2, 1, 1, grey_want);
}

static void test_every_prefix(void **state)
{
    (void)state;
    static const png_color palette[2] = {{1, 2, 3}, {100, 0, 200}};
    static const uint8_t trans[1] = {7};
    uint8_t pixels[N * 8];
    noise(pixels, sizeof pixels);
    const form forms[] = {
        {PNG_COLOR_TYPE_RGB, 8},
        {PNG_COLOR_TYPE_RGB_ALPHA, 16, .interlaced = true},
        {PNG_COLOR_TYPE_PALETTE, 1, false, palette, 2, 1, trans, NULL},
    };
    for (size_t k = 0; k < GB_COUNT(forms); k++) {
        buffer b = encode(pixels, W, H, W * 3, forms[k]);
        for (size_t n = 0; n < b.size; n++) {
            gb_image out;
            uint8_t *part = malloc(n ? n : 1);
            assert_non_null(part);
            memcpy(part, b.data, n);
            assert_err(GB_ERR_FORMAT, gb_image_decode(&out, part, n, "t.png", 0));
            assert_null(out.data);
            assert_non_null(strstr(gb_last_error(), "t.png"));
            free(part);
        }
        for (size_t i = 0; i < b.size * 8; i++) { // and any one bit wrong
            gb_image out;
            b.data[i / 8] ^= (uint8_t)(1 << i % 8);
            int err = gb_image_decode(&out, b.data, b.size, "t.png", 0);
            assert_true((err == 0) == (out.data != NULL));
            gb_image_finish(&out);
            b.data[i / 8] ^= (uint8_t)(1 << i % 8);
        }
        free(b.data);
    }
}

static void set32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

// Gives a PNG another size and a header checksum to go with it.
static void set_size(buffer *b, uint32_t width, uint32_t height)
{
    set32(b->data + 16, width);
    set32(b->data + 20, height);
    set32(b->data + 29, (uint32_t)crc32(0, b->data + 12, 17));
}

static void test_absurd_size(void **state)
{
    (void)state;
    uint8_t pixels[N * 3];
    gb_image out;
    noise(pixels, sizeof pixels);
    buffer b = encode(pixels, W, H, W * 3, (form){PNG_COLOR_TYPE_RGB, 8});
    set_size(&b, 60000, 60000);
    assert_err(GB_ERR_UNSUPPORTED, gb_image_decode(&out, b.data, b.size, "t.png", 0));
    assert_non_null(strstr(gb_last_error(), "t.png: 60000x60000 pixels are more than the limit of "
                                            "100000000; --max-pixels 3600000000"));
    set_size(&b, 2000000, 1);
    assert_err(GB_ERR_UNSUPPORTED, gb_image_decode(&out, b.data, b.size, "t.png", 0));
    assert_non_null(strstr(gb_last_error(), "a side has at most 1000000"));
    set_size(&b, 10000, 10001);
    assert_err(GB_ERR_UNSUPPORTED, gb_image_decode(&out, b.data, b.size, "t.png", 0));
    set_size(&b, 10000, 10000);
    assert_err(GB_ERR_FORMAT, gb_image_decode(&out, b.data, b.size, "t.png", 0));
    assert_non_null(strstr(gb_last_error(), "truncated"));
    set_size(&b, 0, 7);
    assert_err(GB_ERR_FORMAT, gb_image_decode(&out, b.data, b.size, "t.png", 0));
    set_size(&b, 0xFFFFFFFF, 0xFFFFFFFF);
    assert_err(GB_ERR_FORMAT, gb_image_decode(&out, b.data, b.size, "t.png", 0));
    set_size(&b, W, H + 1); // the data ends a row early
    assert_err(GB_ERR_FORMAT, gb_image_decode(&out, b.data, b.size, "t.png", 0));
    free(b.data);
}

static void test_write(void **state)
{
    (void)state;
    char folder[] = "/tmp/gibbon-png-XXXXXX", path[64], none[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/a.jpg", folder); // the name does not matter
    snprintf(none, sizeof none, "%s/no/a.png", folder);
    for (int channels = 1; channels <= 3; channels += 2) {
        gb_image image, back;
        assert_ok(gb_image_init(&image, W, H, channels));
        noise(image.data, (size_t)(N * channels));
        assert_ok(gb_image_write_png(path, &image));
        assert_ok(gb_image_read(&back, path, 0));
        assert_int_equal(back.channels, channels);
        assert_memory_equal(back.data, image.data, (size_t)(N * channels));
        assert_err(GB_ERR_IO, gb_image_write_png(none, &image));
        gb_image_finish(&image);
        gb_image_finish(&back);
    }
    assert_err(GB_ERR_ARG, gb_image_write_png(path, &(gb_image){0}));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0); // nothing else was left behind
}

// Decoded and fitted row by row, it is what the whole picture becomes, to the bit.
static void test_rows_and_whole(void **state)
{
    (void)state;
    static const png_color palette[3] = {{1, 2, 3}, {100, 0, 200}, {9, 200, 50}};
    static const uint8_t trans[1] = {7};
    static const gb_fit fits[] = {{.width = 4, .height = 7}, {.width = 30, .height = 5},
                                  {.width = W, .height = H},
                                  {.resize = 6, .width = 5, .height = 5, .channels = 1},
                                  {.resize = 20, .width = 22, .height = 22, .channels = 3}};
    const form forms[] = {
        {PNG_COLOR_TYPE_RGB, 8},
        {PNG_COLOR_TYPE_GRAY, 8},
        {PNG_COLOR_TYPE_RGB_ALPHA, 16, .interlaced = true},
        {PNG_COLOR_TYPE_GRAY_ALPHA, 8},
        {PNG_COLOR_TYPE_PALETTE, 1, false, palette, 2, 1, trans, NULL},
        {PNG_COLOR_TYPE_PALETTE, 1, true, palette, 2},
    };
    uint8_t pixels[N * 8];
    noise(pixels, sizeof pixels);
    for (size_t k = 0; k < GB_COUNT(forms) * GB_COUNT(fits); k++) {
        const gb_fit *fit = &fits[k % GB_COUNT(fits)];
        buffer b = encode(pixels, W, H, W * 3, forms[k / GB_COUNT(fits)]);
        gb_image whole, want, got;
        assert_ok(gb_image_decode(&whole, b.data, b.size, "t.png", 0));
        assert_ok(gb_image_fit(&want, &whole, fit));
        assert_ok(gb_image_decode_fit(&got, b.data, b.size, "t.png", fit));
        assert_true(got.width == fit->width && got.height == fit->height);
        assert_int_equal(got.channels, want.channels);
        assert_memory_equal(got.data, want.data,
                            (size_t)(got.width * got.height * got.channels));
        gb_image_finish(&whole);
        gb_image_finish(&want);
        gb_image_finish(&got);
        free(b.data);
    }
}

// --- chunks made by hand ---

static void append(buffer *b, const void *bytes, size_t size)
{
    assert_ok(gb_grow(&b->data, &b->capacity, b->size + size, 1));
    memcpy(b->data + b->size, bytes, size);
    b->size += size;
}

static void append_chunk(buffer *b, const char *kind, const void *bytes, size_t size)
{
    uint8_t head[8], tail[4];
    set32(head, (uint32_t)size);
    memcpy(head + 4, kind, 4);
    set32(tail, (uint32_t)crc32(crc32(0, head + 4, 4), bytes, (uInt)size));
    append(b, head, 8);
    append(b, bytes, size);
    append(b, tail, 4);
}

// `zeros` zeros, deflated to about a thousandth, behind `prefix`. To be freed.
static uint8_t *deflated_zeros(size_t *size, const char *prefix, size_t prefix_size, size_t zeros)
{
    uint8_t *in = calloc(zeros, 1);
    uLongf length = compressBound(zeros);
    uint8_t *out = malloc(prefix_size + length);
    assert_true(in && out);
    memcpy(out, prefix, prefix_size);
    assert_int_equal(compress2(out + prefix_size, &length, in, zeros, 6), Z_OK);
    free(in);
    *size = prefix_size + length;
    return out;
}

// Whatever surrounds the pixels costs time in proportion to the file, and no memory.
static void test_hostile_chunks(void **state)
{
    (void)state;
    enum { MANY = 200000, ZEROS = 32 << 20, FILES = 5 };
    static const uint8_t header[13] = {0, 0, 0, 2, 0, 0, 0, 1, 8, 0, 0, 0, 0};
    static const uint8_t signature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
    static const struct {
        const char *kind, *prefix;
        size_t size;
    } bombs[] = {{"zTXt", "key\0", 5}, {"iCCP", "key\0", 5}, {"iTXt", "key\0\1\0\0", 8}};
    static const uint8_t row[3] = {0, 5, 9};
    uint8_t packed[64];
    uLongf length = sizeof packed;
    gb_image out;
    assert_int_equal(compress2(packed, &length, row, sizeof row, 9), Z_OK);
    for (size_t k = 0; k < FILES + GB_COUNT(bombs); k++) {
        buffer b = {0};
        append(&b, signature, sizeof signature);
        append_chunk(&b, "IHDR", header, sizeof header);
        for (int i = 0; k < 2 && i < MANY; i++)
            append_chunk(&b, k ? "tEXt" : "abCd", "k\0v", 3);
        for (int i = 0; k == 3 && i < MANY; i++)
            append_chunk(&b, "IDAT", "", 0);
        if (k >= FILES) {
            size_t size;
            uint8_t *bomb = deflated_zeros(&size, bombs[k - FILES].prefix,
                                           bombs[k - FILES].size, ZEROS);
            for (int i = 0; i < 20; i++)
                append_chunk(&b, bombs[k - FILES].kind, bomb, size);
            free(bomb);
        }
        if (k == 2) { // far more pixels than the header says
            size_t size;
            uint8_t *bomb = deflated_zeros(&size, "", 0, 4 * (size_t)ZEROS);
            append_chunk(&b, "IDAT", bomb, size);
            free(bomb);
        } else {
            append_chunk(&b, "IDAT", packed, length);
        }
        for (int i = 0; k == 3 && i < MANY; i++)
            append_chunk(&b, "IDAT", "", 0);
        if (k == 4) { // a comment of megabytes
            size_t size = 32 << 20;
            char *text = calloc(size, 1);
            assert_non_null(text);
            append_chunk(&b, "tEXt", text, size);
            free(text);
        }
        append_chunk(&b, "IEND", "", 0);
        clock_t start = clock();
        int err = gb_image_decode(&out, b.data, b.size, "t.png", 0);
        assert_true((double)(clock() - start) / CLOCKS_PER_SEC < 2);
        if (k == 2) {
            assert_err(GB_ERR_FORMAT, err);
            assert_non_null(strstr(gb_last_error(), "more data than pixels"));
        } else {
            assert_ok(err);
            assert_true(out.data[0] == 5 && out.data[1] == 9);
        }
        gb_image_finish(&out);
        free(b.data);
    }
}

static void test_other_formats(void **state)
{
    (void)state;
    static const struct {
        const char *bytes, *name;
        size_t size;
    } files[] = {
        {"RIFF\x24\0\0\0WEBPVP8 ", "a WebP picture", 16},
        {"GIF89a", "a GIF picture", 6},
        {"BM\x46\0\0\0\0\0\0\0\x36\0\0\0", "a BMP picture", 14},
        {"II*\0\x08\0\0\0", "a TIFF picture", 8},
        {"\0\0\0\x20" "ftypavif", "an AVIF picture", 12},
        {"\0\0\0\x18" "ftypheic", "a HEIF picture", 12},
        {"\xFF\x0A\xFA", "a JPEG XL picture", 3},
        {"P6\n2 2\n255\n", "a PNM picture", 11},
        {"\x93NUMPY\1\0", "an array of NumPy", 8},
        {"<svg xmlns=", "an SVG drawing", 11},
    };
    gb_image out;
    char says[100];
    for (size_t i = 0; i < GB_COUNT(files); i++) {
        assert_err(GB_ERR_FORMAT, gb_image_decode(&out, files[i].bytes, files[i].size, "t", 0));
        snprintf(says, sizeof says, "t: is %s", files[i].name);
        assert_non_null(strstr(gb_last_error(), says));
        assert_non_null(strstr(gb_last_error(), "gibbon reads JPEG and PNG"));
    }
    assert_err(GB_ERR_FORMAT, gb_image_decode(&out, "BMW and Porsche", 15, "t", 0));
    assert_non_null(strstr(gb_last_error(), "neither a JPEG nor a PNG"));
}

static void test_not_a_picture(void **state)
{
    (void)state;
    gb_image out;
    assert_err(GB_ERR_FORMAT, gb_image_decode(&out, "", 0, "t.png", 0));
    assert_non_null(strstr(gb_last_error(), "empty"));
    assert_err(GB_ERR_FORMAT, gb_image_decode(&out, "hello!", 6, "t.png", 0));
    assert_non_null(strstr(gb_last_error(), "neither"));
    assert_err(GB_ERR_IO, gb_image_read(&out, "/nonexistent.png", 0));
    assert_err(GB_ERR_IO, gb_image_read(&out, "/tmp", 0));
    assert_err(GB_ERR_ARG, gb_image_init(&out, 3, -1, 3));
    assert_err(GB_ERR_ARG, gb_image_init(&out, 3, 1, 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_8_bits),
        cmocka_unit_test(test_alpha_over_white),
        cmocka_unit_test(test_16_bits),
        cmocka_unit_test(test_few_bits),
        cmocka_unit_test(test_palette_and_transparency),
        cmocka_unit_test(test_every_prefix),
        cmocka_unit_test(test_absurd_size),
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_rows_and_whole),
        cmocka_unit_test(test_hostile_chunks),
        cmocka_unit_test(test_other_formats),
        cmocka_unit_test(test_not_a_picture),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
