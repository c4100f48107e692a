// The JPEG reader on files made here with libjpeg: colour spaces, orientations, damage.
#include "image/image.h"

#include "check.h"
#include "image/codec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <jpeglib.h>

typedef struct form {
    J_COLOR_SPACE in, file; // of the pixels given, and stored
    int channels, quality;
    bool progressive, exif_big;
    int orientation; // 0: no EXIF
    int restart;
    int bands, approximations; // of a progressive grey picture: 0: as libjpeg thinks best
} form;

static const form rgb444 = {JCS_RGB, JCS_YCbCr, 3, 100, false, false, 0, 0};

// Encodes width * height * channels bytes; the result is malloc'ed.
static uint8_t *encode(size_t *size, const uint8_t *pixels, int width, int height, form f)
{
    struct jpeg_compress_struct lib;
    struct jpeg_error_mgr error;
    unsigned char *out = NULL;
    unsigned long length = 0;
    lib.err = jpeg_std_error(&error);
    jpeg_create_compress(&lib);
    jpeg_mem_dest(&lib, &out, &length);
    lib.image_width = (JDIMENSION)width;
    lib.image_height = (JDIMENSION)height;
    lib.input_components = f.channels;
    lib.in_color_space = f.in;
    jpeg_set_defaults(&lib);
    jpeg_set_colorspace(&lib, f.file);
    jpeg_set_quality(&lib, f.quality, TRUE);
    for (int i = 0; i < lib.num_components; i++)
        lib.comp_info[i].h_samp_factor = lib.comp_info[i].v_samp_factor = 1;
    lib.restart_interval = (unsigned)f.restart;
    if (f.progressive)
        jpeg_simple_progression(&lib);
    // The first coefficient, then the others in bands, each bit by bit.
    jpeg_scan_info *scan = calloc((size_t)(1 + f.bands * f.approximations), sizeof *scan);
    jpeg_scan_info *at = scan;
    assert_non_null(scan);
    *at++ = (jpeg_scan_info){.comps_in_scan = 1};
    for (int k = 0; k < f.bands * f.approximations; k++) {
        const int band = k % f.bands, low = f.approximations - 1 - k / f.bands;
        *at++ = (jpeg_scan_info){.comps_in_scan = 1, .Ss = 1 + band,
                                 .Se = band + 1 < f.bands ? 1 + band : 63,
                                 .Ah = k < f.bands ? 0 : low + 1, .Al = low};
    }
    if (f.bands) {
        lib.scan_info = scan;
        lib.num_scans = (int)(at - scan);
    }
    jpeg_start_compress(&lib, TRUE);
    if (f.orientation) {
        // A directory of one entry: tag 0x0112, type 3 (short), count 1.
        uint8_t little[] = "Exif\0\0II*\0\10\0\0\0\1\0\x12\1\3\0\1\0\0\0\0\0\0\0\0\0\0";
        uint8_t big[] = "Exif\0\0MM\0*\0\0\0\10\0\1\1\x12\0\3\0\0\0\1\0\0\0\0\0\0\0";
        little[24] = big[25] = (uint8_t)f.orientation;
        jpeg_write_marker(&lib, JPEG_APP0 + 1, f.exif_big ? big : little, sizeof big - 1);
    }
    while (lib.next_scanline < lib.image_height) {
        JSAMPROW row = (JSAMPROW)(pixels + (size_t)lib.next_scanline * (size_t)width *
                                               (size_t)f.channels);
        jpeg_write_scanlines(&lib, &row, 1);
    }
    jpeg_finish_compress(&lib);
    jpeg_destroy_compress(&lib);
    free(scan);
    *size = length;
    return out;
}

static void gradient(uint8_t *rgb, int width, int height)
{
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++, rgb += 3) {
            rgb[0] = (uint8_t)(x * 9);
            rgb[1] = (uint8_t)(y * 11);
            rgb[2] = (uint8_t)(255 - x * 4 - y * 4);
        }
}

static int largest_difference(const uint8_t *a, const uint8_t *b, size_t n)
{
    int largest = 0;
    for (size_t i = 0; i < n; i++)
        largest = abs(a[i] - b[i]) > largest ? abs(a[i] - b[i]) : largest;
    return largest;
}

enum { W = 21, H = 18 };

static void test_baseline_and_progressive(void **state)
{
    (void)state;
    uint8_t rgb[W * H * 3];
    gradient(rgb, W, H);
    for (int progressive = 0; progressive < 2; progressive++) {
        form f = rgb444;
        gb_image out;
        size_t size;
        f.progressive = progressive;
        uint8_t *bytes = encode(&size, rgb, W, H, f);
        assert_ok(gb_image_decode(&out, bytes, size, "t.jpg", 0));
        assert_true(out.width == W && out.height == H && out.channels == 3);
        assert_true(largest_difference(out.data, rgb, sizeof rgb) <= 3);
        gb_image_finish(&out);
        assert_ok(gb_image_decode(&out, bytes, size, "t.jpg", 1));
        assert_int_equal(out.channels, 1);
        const double luma = 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2];
        assert_true(abs(out.data[0] - (int)luma) <= 3);
        gb_image_finish(&out);
        free(bytes);
    }
}

static void test_grey(void **state)
{
    (void)state;
    uint8_t grey[W * H];
    gb_image out;
    size_t size;
    for (int i = 0; i < W * H; i++)
        grey[i] = (uint8_t)(i % W * 12);
    uint8_t *bytes = encode(&size, grey, W, H, (form){JCS_GRAYSCALE, JCS_GRAYSCALE, 1, 100});
    assert_ok(gb_image_decode(&out, bytes, size, "t.jpg", 0));
    assert_int_equal(out.channels, 1);
    assert_true(largest_difference(out.data, grey, sizeof grey) <= 2);
    gb_image_finish(&out);
    assert_ok(gb_image_decode(&out, bytes, size, "t.jpg", 3));
    assert_int_equal(out.channels, 3);
    for (int i = 0; i < W * H; i++)
        assert_true(out.data[3 * i] == out.data[3 * i + 1] &&
                    out.data[3 * i] == out.data[3 * i + 2]);
    gb_image_finish(&out);
    free(bytes);
}

// Adobe stores ink inverted: 255 is none. light = (255 - ink) * (255 - black) / 255.
static void test_cmyk(void **state)
{
    (void)state;
    static const J_COLOR_SPACE spaces[] = {JCS_CMYK, JCS_YCCK};
    static const uint8_t inks[5][4] = {{0, 0, 0, 0}, {255, 0, 0, 0}, {0, 255, 0, 64},
                                       {30, 60, 200, 20}, {0, 0, 0, 255}};
    for (size_t s = 0; s < GB_COUNT(spaces); s++) {
        for (size_t k = 0; k < GB_COUNT(inks); k++) {
            uint8_t stored[W * H * 4];
            gb_image out;
            size_t size;
            for (int i = 0; i < W * H * 4; i++)
                stored[i] = (uint8_t)(255 - inks[k][i % 4]);
            uint8_t *bytes = encode(&size, stored, W, H, (form){JCS_CMYK, spaces[s], 4, 100});
            assert_ok(gb_image_decode(&out, bytes, size, "t.jpg", 0));
            assert_int_equal(out.channels, 3);
            for (int c = 0; c < 3; c++) {
                double want = (255.0 - inks[k][c]) * (255.0 - inks[k][3]) / 255.0;
                assert_true(abs(out.data[c] - (int)(want + 0.5)) <= 3);
            }
            gb_image_finish(&out);
            free(bytes);
        }
    }
}

// Four grey squares A B / C D; the standard says where each is seen.
static void test_orientations(void **state)
{
    (void)state;
    static const char seen[9][5] = {"", "ABCD", "BADC", "DCBA", "CDAB",
                                    "ACBD", "CADB", "DBCA", "BDAC"};
    uint8_t grey[32 * 16];
    for (int i = 0; i < 32 * 16; i++)
        grey[i] = (uint8_t)(40 + 50 * (i % 32 / 16 + i / 32 / 8 * 2));
    for (int big = 0; big < 2; big++) {
        for (int orientation = 1; orientation <= 8; orientation++) {
            gb_image out;
            size_t size;
            form f = {JCS_GRAYSCALE, JCS_GRAYSCALE, 1, 100, .exif_big = big,
                      .orientation = orientation};
            uint8_t *bytes = encode(&size, grey, 32, 16, f);
            assert_ok(gb_image_decode(&out, bytes, size, "t.jpg", 0));
            assert_int_equal(out.width, orientation < 5 ? 32 : 16);
            assert_int_equal(out.height, orientation < 5 ? 16 : 32);
            for (int q = 0; q < 4; q++) {
                int x = q % 2 ? out.width - 1 : 0, y = q / 2 ? out.height - 1 : 0;
                int v = out.data[y * out.width + x];
                assert_int_equal('A' + (v - 40 + 25) / 50, seen[orientation][q]);
            }
            gb_image_finish(&out);
            free(bytes);
        }
    }
}

static void test_exif_nonsense_is_upright(void **state)
{
    (void)state;
    static const uint8_t good[] = "Exif\0\0II*\0\10\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0\0\0\0";
    uint8_t bad[sizeof good];
    assert_int_equal(gb_exif_orientation(good, sizeof good - 1), 6);
    for (size_t n = 0; n < 28; n++) // an entry cut off
        assert_int_equal(gb_exif_orientation(good, n), 1);
    static const struct {
        int at, value;
    } harm[] = {{0, 'e'}, {6, 'X'}, {7, 'M'}, {8, 43}, {10, 200}, {13, 255}, {18, 7}, {24, 9},
                {24, 0}};
    for (size_t i = 0; i < GB_COUNT(harm); i++) {
        memcpy(bad, good, sizeof good);
        bad[harm[i].at] = (uint8_t)harm[i].value;
        assert_int_equal(gb_exif_orientation(bad, sizeof bad - 1), 1);
    }
}

// A picture that ends early is an error wherever it ends, never one with grey at the bottom.
static void test_every_prefix(void **state)
{
    (void)state;
    uint8_t rgb[W * H * 4] = {0};
    gradient(rgb, W, H);
    const form forms[] = {rgb444,
                          {JCS_RGB, JCS_YCbCr, 3, 80, .progressive = true, .orientation = 5},
                          {JCS_RGB, JCS_YCbCr, 3, 80, .restart = 2},
                          {JCS_CMYK, JCS_YCCK, 4, 80}};
    for (size_t k = 0; k < GB_COUNT(forms); k++) {
        gb_image out;
        size_t size;
        uint8_t *bytes = encode(&size, rgb, W, H, forms[k]);
        for (size_t n = 0; n < size; n++) {
            uint8_t *part = malloc(n ? n : 1); // so that a sanitizer sees a read past the end
            assert_non_null(part);
            memcpy(part, bytes, n);
            assert_err(GB_ERR_FORMAT, gb_image_decode(&out, part, n, "t.jpg", 0));
            assert_null(out.data);
            assert_non_null(strstr(gb_last_error(), "t.jpg"));
            free(part);
        }
        free(bytes);
    }
}

static void test_flipped_bits(void **state)
{
    (void)state;
    uint8_t rgb[W * H * 3];
    size_t size, failed = 0;
    gradient(rgb, W, H);
    uint8_t *bytes = encode(&size, rgb, W, H, (form){JCS_RGB, JCS_YCbCr, 3, 80, .restart = 3,
                                                     .orientation = 3});
    for (size_t i = 0; i < size * 8; i++) {
        gb_image out;
        bytes[i / 8] ^= (uint8_t)(1 << i % 8);
        int err = gb_image_decode(&out, bytes, size, "t.jpg", 3);
        failed += err < 0;
        assert_true((err == 0) == (out.data != NULL));
        gb_image_finish(&out);
        bytes[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    assert_true(failed > 0);
    free(bytes);
}

static void test_absurd_size(void **state)
{
    (void)state;
    uint8_t rgb[W * H * 3];
    gb_image out;
    size_t size;
    gradient(rgb, W, H);
    uint8_t *bytes = encode(&size, rgb, W, H, rgb444);
    // SOF0: marker, length, precision, height, width.
    uint8_t *sof = bytes;
    while (sof[0] != 0xFF || sof[1] != 0xC0)
        sof++;
    memcpy(sof + 5, "\xEA\x60\xEA\x60", 4); // 60000 x 60000 pixels
    assert_err(GB_ERR_UNSUPPORTED, gb_image_decode(&out, bytes, size, "t.jpg", 0));
    assert_non_null(strstr(gb_last_error(), "t.jpg: 60000x60000 pixels are more than the limit of "
                                            "100000000; --max-pixels 3600000000"));
    memcpy(sof + 5, "\x27\x10\x27\x11", 4); // 10000 x 10001
    assert_err(GB_ERR_UNSUPPORTED, gb_image_decode(&out, bytes, size, "t.jpg", 0));
    memcpy(sof + 5, "\x27\x10\x27\x10", 4); // 10000 x 10000, allowed but not in a kilobyte
    assert_err(GB_ERR_FORMAT, gb_image_decode(&out, bytes, size, "t.jpg", 0));
    assert_non_null(strstr(gb_last_error(), "truncated"));
    memset(sof + 5, 0, 4);
    assert_err(GB_ERR_FORMAT, gb_image_decode(&out, bytes, size, "t.jpg", 0));
    free(bytes);
}

// Bytes after the picture's end are common (thumbnails, padding) and harmless.
static void test_trailing_bytes(void **state)
{
    (void)state;
    uint8_t rgb[W * H * 3];
    gb_image out;
    size_t size;
    gradient(rgb, W, H);
    uint8_t *bytes = encode(&size, rgb, W, H, rgb444);
    bytes = realloc(bytes, size + 100);
    assert_non_null(bytes);
    memset(bytes + size, 'x', 100);
    assert_ok(gb_image_decode(&out, bytes, size + 100, "t.jpg", 0));
    gb_image_finish(&out);
    free(bytes);
}

// Decoded, fitted and turned row by row, it is what the whole picture becomes, to the bit.
static void test_rows_and_whole(void **state)
{
    (void)state;
    static const gb_fit fits[] = {
        {.width = 7, .height = 9},           {.width = 40, .height = 3},
        {.width = 5, .height = 60},          {.width = W, .height = H},
        {.width = H, .height = W},           {.resize = 10, .width = 8, .height = 8},
        {.resize = 30, .width = 24, .height = 25, .channels = 1},
        {.resize = 6, .width = 9, .height = 9, .channels = 3},
    };
    uint8_t rgb[W * H * 3];
    uint32_t x = 1;
    for (size_t i = 0; i < sizeof rgb; i++)
        rgb[i] = (uint8_t)((x = x * 1664525u + 1013904223u) >> 24);
    for (int k = 0; k < 9 * (int)GB_COUNT(fits) * 2; k++) {
        form f = k % 9 ? rgb444 : (form){JCS_RGB, JCS_YCbCr, 3, 90, .progressive = true};
        gb_image whole, want, got;
        gb_fit fit = fits[k / 9 / 2];
        size_t size;
        fit.columns_first = k / 9 % 2;
        f.orientation = k % 9;
        uint8_t *bytes = encode(&size, rgb, W, H, f);
        assert_ok(gb_image_decode(&whole, bytes, size, "t.jpg", 0));
        assert_ok(gb_image_fit(&want, &whole, &fit));
        assert_ok(gb_image_decode_fit(&got, bytes, size, "t.jpg", &fit));
        assert_true(got.width == fit.width && got.height == fit.height);
        assert_int_equal(got.channels, want.channels);
        assert_memory_equal(got.data, want.data,
                            (size_t)(got.width * got.height * got.channels));
        gb_image_finish(&whole);
        gb_image_finish(&want);
        gb_image_finish(&got);
        free(bytes);
    }
}

// Hundreds of thousands of segments take time in proportion, and the picture is still read; the
// first orientation among them counts.
static void test_many_segments(void **state)
{
    (void)state;
    enum { SEGMENTS = 400000 };
    static const uint8_t empty[3][4] = {{0xFF, 0xE1, 0, 2}, {0xFF, 0xFE, 0, 2}, {0xFF, 0xE5, 0, 2}};
    uint8_t rgb[W * H * 3];
    gb_image out, plain;
    size_t size;
    form f = rgb444;
    gradient(rgb, W, H);
    f.orientation = 3;
    uint8_t *bytes = encode(&size, rgb, W, H, f);
    assert_ok(gb_image_decode(&plain, bytes, size, "t.jpg", 0));
    for (int kind = 0; kind < 3; kind++) {
        uint8_t *many = malloc(size + SEGMENTS * 4), *at = many + 2;
        assert_non_null(many);
        memcpy(many, bytes, 2);
        for (int i = 0; i < SEGMENTS; i++, at += 4)
            memcpy(at, empty[kind], 4);
        memcpy(at, bytes + 2, size - 2);
        clock_t start = clock();
        assert_ok(gb_image_decode(&out, many, size + SEGMENTS * 4, "t.jpg", 0));
        assert_true((double)(clock() - start) / CLOCKS_PER_SEC < 2);
        assert_memory_equal(out.data, plain.data, sizeof rgb);
        gb_image_finish(&out);
        free(many);
    }
    // A segment that claims to be longer than the file, or shorter than its own length.
    uint8_t *app1 = bytes + 2;
    while (app1[0] != 0xFF || app1[1] != 0xE1)
        app1++;
    memcpy(app1 + 2, "\xFF\xFF", 2);
    assert_err(GB_ERR_FORMAT, gb_image_decode(&out, bytes, size, "t.jpg", 0));
    memcpy(app1 + 2, "\0\1", 2);
    assert_err(GB_ERR_FORMAT, gb_image_decode(&out, bytes, size, "t.jpg", 0));
    gb_image_finish(&plain);
    free(bytes);
}

// A progressive picture's scans are passes over all of it, and cost few bytes each.
static void test_many_scans(void **state)
{
    (void)state;
    static const struct {
        int bands, approximations;
        bool good;
    } cases[] = {{5, 1, true}, {9, 6, true}, {63, 1, true}, {22, 3, false}, {63, 10, false}};
    uint8_t grey[W * H];
    memset(grey, 77, sizeof grey);
    for (size_t i = 0; i < GB_COUNT(cases); i++) {
        gb_image out;
        size_t size;
        uint8_t *bytes = encode(&size, grey, W, H,
                                (form){JCS_GRAYSCALE, JCS_GRAYSCALE, 1, 90, .progressive = true,
                                       .bands = cases[i].bands,
                                       .approximations = cases[i].approximations});
        if (cases[i].good) {
            assert_ok(gb_image_decode(&out, bytes, size, "t.jpg", 0));
            assert_true(abs(out.data[0] - 77) <= 2);
            gb_image_finish(&out);
        } else {
            assert_err(GB_ERR_FORMAT, gb_image_decode(&out, bytes, size, "t.jpg", 0));
            assert_non_null(strstr(gb_last_error(), "more than 64 scans"));
        }
        free(bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_baseline_and_progressive),
        cmocka_unit_test(test_grey),
        cmocka_unit_test(test_cmyk),
        cmocka_unit_test(test_orientations),
        cmocka_unit_test(test_exif_nonsense_is_upright),
        cmocka_unit_test(test_every_prefix),
        cmocka_unit_test(test_flipped_bits),
        cmocka_unit_test(test_absurd_size),
        cmocka_unit_test(test_trailing_bytes),
        cmocka_unit_test(test_rows_and_whole),
        cmocka_unit_test(test_many_segments),
        cmocka_unit_test(test_many_scans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
