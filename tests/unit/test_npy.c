// NPY in and out: every type and version, hostile headers, rows of a file.
#include "image/image.h"

#include "base/file.h"
#include "check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// An NPY file in memory: header as given, padded as numpy does, then the data.
static size_t make(uint8_t *out, int version, const char *dict, const void *data, size_t size)
{
    const size_t start = version == 1 ? 10 : 12;
    const size_t length = gb_align(start + strlen(dict) + 1, 64) - start;
    memcpy(out, "\x93NUMPY", 6);
    out[6] = (uint8_t)version;
    out[7] = 0;
    out[8] = (uint8_t)length;
    out[9] = (uint8_t)(length >> 8);
    out[10] = out[11] = 0;
    memset(out + start, ' ', length);
    memcpy(out + start, dict, strlen(dict));
    out[start + length - 1] = '\n';
    if (size)
        memcpy(out + start + length, data, size);
    return start + length + size;
}

static int decode(gb_npy *npy, int version, const char *dict, const void *data, size_t size)
{
    uint8_t bytes[1024];
    size_t n = make(bytes, version, dict, data, size);
    uint8_t *exact = malloc(n);
    assert_non_null(exact);
    memcpy(exact, bytes, n);
    int err = gb_npy_decode(npy, exact, n, "t.npy");
    free(exact);
    return err;
}

static void test_types(void **state)
{
    (void)state;
    static const float f4[2] = {1.5f, -2.0f};
    static const double f8[2] = {1.5, -2.0};
    static const uint16_t f2[2] = {0x3E00, 0xC000};
    static const uint8_t u1[2] = {200, 3};
    static const int8_t i1[2] = {-100, 3};
    static const int32_t i4[2] = {-70000, 3};
    static const int64_t i8[2] = {-70000, 1 << 20};
    static const uint8_t b1[2] = {1, 0};
    static const uint16_t u2[2] = {65535, 1};
    static const int16_t i2[2] = {-32768, 1};
    static const uint32_t u4[2] = {1u << 31, 7};
    static const uint64_t u8[2] = {UINT64_C(1) << 63, 7};
    const struct {
        const char *descr;
        const void *data;
        size_t size;
        float want[2];
    } cases[] = {
        {"<f4", f4, sizeof f4, {1.5f, -2.0f}},   {"<f8", f8, sizeof f8, {1.5f, -2.0f}},
        {"<f2", f2, sizeof f2, {1.5f, -2.0f}},   {"|u1", u1, sizeof u1, {200, 3}},
        {"|i1", i1, sizeof i1, {-100, 3}},       {"<i4", i4, sizeof i4, {-70000, 3}},
        {"<i8", i8, sizeof i8, {-70000, 1 << 20}}, {"|b1", b1, sizeof b1, {1, 0}},
        {"<u2", u2, sizeof u2, {65535, 1}},      {"<i2", i2, sizeof i2, {-32768, 1}},
        {"<u4", u4, sizeof u4, {0x1p31f, 7}},    {"<u8", u8, sizeof u8, {0x1p63f, 7}},
    };
    for (size_t i = 0; i < GB_COUNT(cases); i++) {
        for (int version = 1; version <= 3; version++) {
            char dict[128];
            gb_npy npy;
            snprintf(dict, sizeof dict,
                     "{'descr': '%s', 'fortran_order': False, 'shape': (1, 2), }",
                     cases[i].descr);
            assert_int_equal(decode(&npy, version, dict, cases[i].data, cases[i].size), 0);
            assert_int_equal(npy.rank, 2);
            assert_true(npy.dim[0] == 1 && npy.dim[1] == 2);
            assert_true(npy.data[0] == cases[i].want[0] && npy.data[1] == cases[i].want[1]);
            gb_npy_finish(&npy);
        }
    }
}

// What a float would round is refused where floats are wanted, and exact where integers are.
static void test_integers(void **state)
{
    (void)state;
    static const struct {
        const char *code;
        int64_t v[2];
        int bits;
        bool is_signed, fits;
    } cases[] = {
        {"i8", {INT64_MIN, INT64_MAX}, 64, true, true},
        {"u8", {0, -1}, 64, false, true},
        {"u8", {0, -1}, 64, true, false},
        {"i8", {0, -1}, 64, false, false},
        {"i8", {-128, 127}, 8, true, true},
        {"i8", {-129, 0}, 8, true, false},
        {"i8", {128, 0}, 8, true, false},
        {"i8", {0, 255}, 8, false, true},
        {"i8", {0, 256}, 8, false, false},
        {"i8", {1, 0}, 1, false, true},
        {"i8", {2, 0}, 1, false, false},
    };
    char path[] = "/tmp/gibbon-npy-XXXXXX";
    const int64_t dim[] = {2};
    gb_npy npy;
    close(mkstemp(path));
    for (size_t i = 0; i < GB_COUNT(cases); i++) {
        assert_int_equal(0, gb_npy_write_as(path, cases[i].code, cases[i].v, 1, dim));
        int err = gb_npy_read_ints(&npy, path, cases[i].bits, cases[i].is_signed);
        assert_int_equal(cases[i].fits ? 0 : GB_ERR_ARG, err);
        if (cases[i].fits)
            assert_memory_equal(cases[i].v, npy.ints, sizeof cases[i].v);
        gb_npy_finish(&npy);
    }
    assert_int_equal(0, gb_npy_write(path, (float[]){-3, 0x1p40f}, 1, dim));
    assert_int_equal(0, gb_npy_read_ints(&npy, path, 64, true));
    assert_true(npy.ints[0] == -3 && npy.ints[1] == INT64_C(1) << 40);
    gb_npy_finish(&npy);
    for (int i = 0; i < 4; i++) {
        const float bad[] = {0, (float[]){0.5f, INFINITY, NAN, 0x1p64f}[i]};
        assert_int_equal(0, gb_npy_write(path, bad, 1, dim));
        assert_int_equal(GB_ERR_ARG, gb_npy_read_ints(&npy, path, 64, i == 3));
    }
    const int64_t beyond[] = {16777217, -16777217, INT64_MAX};
    for (size_t i = 0; i < GB_COUNT(beyond); i++) {
        assert_int_equal(0, gb_npy_write_as(path, "i8", &beyond[i], 0, NULL));
        assert_int_equal(GB_ERR_UNSUPPORTED, gb_npy_read(&npy, path));
        assert_null(npy.data);
    }
    unlink(path);
}

static void test_half_specials(void **state)
{
    (void)state;
    static const uint16_t f2[6] = {0x0001, 0x03FF, 0x0400, 0x7BFF, 0x7C00, 0x7E00};
    gb_npy npy;
    assert_int_equal(
        decode(&npy, 1, "{'descr':'<f2','fortran_order':False,'shape':(6,)}", f2, sizeof f2), 0);
    assert_true(npy.data[0] == 0x1p-24f && npy.data[1] == 1023 * 0x1p-24f);
    assert_true(npy.data[2] == 0x1p-14f && npy.data[3] == 65504.0f);
    assert_true(isinf(npy.data[4]) && isnan(npy.data[5]));
    gb_npy_finish(&npy);
}

static void test_shapes(void **state)
{
    (void)state;
    static const float f[2] = {3.0f, 4.0f};
    gb_npy npy;
    assert_int_equal(decode(&npy, 1, "{'descr':'<f4','fortran_order':False,'shape':()}", f, 4), 0);
    assert_true(npy.rank == 0 && npy.data[0] == 3.0f);
    gb_npy_finish(&npy);
    // Fortran order of a vector is C order; keys in any order, Python 2's longs, double quotes.
    assert_int_equal(
        decode(&npy, 1, "{\"shape\": (2L,), \"fortran_order\": True, \"descr\": \"<f4\"}", f, 8),
        0);
    assert_true(npy.rank == 1 && npy.dim[0] == 2 && npy.data[1] == 4.0f);
    gb_npy_finish(&npy);
    assert_int_equal(
        decode(&npy, 1, "{'descr':'<f4','fortran_order':False,'shape':(0,5)}", f, 0), 0);
    assert_true(npy.rank == 2 && npy.dim[0] == 0);
    gb_npy_finish(&npy);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *dict, *say;
        int err;
    } cases[] = {
        {"{'descr':'>f4','fortran_order':False,'shape':(2,)}", "big-endian", GB_ERR_UNSUPPORTED},
        {"{'descr':'<f4','fortran_order':True,'shape':(1,2)}", "Fortran", GB_ERR_UNSUPPORTED},
        {"{'descr':'<c8','fortran_order':False,'shape':(1,)}", "'<c8'", GB_ERR_UNSUPPORTED},
        {"{'descr':'|O','fortran_order':False,'shape':(1,)}", "'|O'", GB_ERR_UNSUPPORTED},
        {"{'descr':[('a','<f4')],'fortran_order':False,'shape':(2,)}", "structured",
         GB_ERR_UNSUPPORTED},
        {"{'fortran_order':False,'shape':(2,)}", "descr", GB_ERR_FORMAT},
        {"{'descr':'<f4','shape':(2,)}", "fortran_order", GB_ERR_FORMAT},
        {"{'descr':'<f4','fortran_order':False}", "shape", GB_ERR_FORMAT},
        {"{'descr':'<f4','descr':'<f4','fortran_order':False,'shape':(2,)}", "malformed",
         GB_ERR_FORMAT},
        {"{'descr':'<f4','fortran_order':False,'shape':(2,),'more':1}", "malformed",
         GB_ERR_FORMAT},
        {"{'descr':'<f4','fortran_order':False,'shape':(-2,)}", "malformed", GB_ERR_FORMAT},
        {"{'descr':'<f4','fortran_order':False,'shape':(2)", "malformed", GB_ERR_FORMAT},
        {"{'descr':'<f4','fortran_order':0,'shape':(2,)}", "malformed", GB_ERR_FORMAT},
        {"{'descr':'<f4','fortran_order':False,'shape':(2,)} x", "malformed", GB_ERR_FORMAT},
        {"{'descr':'<f4','fortran_order':False,'shape':(3,)}", "truncated", GB_ERR_FORMAT},
        {"{'descr':'<f4','fortran_order':False,'shape':(1,)}", "8 bytes", GB_ERR_FORMAT},
        {"{'descr':'<f4','fortran_order':False,'shape':(99999999999999999999,)}", "overflows",
         GB_ERR_FORMAT},
        {"{'descr':'<f4','fortran_order':False,'shape':(4294967296,4294967296,2)}", "overflows",
         GB_ERR_FORMAT},
        {"{'descr':'<f4','fortran_order':False,'shape':(4611686018427387904,1)}", "overflows",
         GB_ERR_FORMAT},
        // A dimension of 0 does not hide what the others overflow.
        {"{'descr':'<f4','fortran_order':False,'shape':(9000000000000000000,0,32,32)}", "overflows",
         GB_ERR_FORMAT},
        {"{'descr':'<f4','fortran_order':False,'shape':(0,4294967296,4294967296)}", "overflows",
         GB_ERR_FORMAT},
        {"{'descr':'|u1','fortran_order':False,'shape':(0,9223372036854775807,9)}", "overflows",
         GB_ERR_FORMAT},
        {"{'descr':'<f4','fortran_order':False,'shape':(1,1,1,1,1,1,1,1,2)}", "dimensions",
         GB_ERR_UNSUPPORTED},
        {"", "malformed", GB_ERR_FORMAT},
    };
    static const float f[2] = {3.0f, 4.0f};
    for (size_t i = 0; i < GB_COUNT(cases); i++) {
        gb_npy npy;
        int err = decode(&npy, 1, cases[i].dict, f, sizeof f);
        if (err != cases[i].err || !strstr(gb_last_error(), cases[i].say))
            print_error("%s -> %d %s\n", cases[i].dict, err, gb_last_error());
        assert_int_equal(err, cases[i].err);
        assert_non_null(strstr(gb_last_error(), cases[i].say));
        assert_null(npy.data);
    }
}

static void test_every_prefix(void **state)
{
    (void)state;
    static const float f[2] = {3.0f, 4.0f};
    uint8_t bytes[256];
    for (int version = 1; version <= 2; version++) {
        size_t n = make(bytes, version, "{'descr':'<f4','fortran_order':False,'shape':(2,)}", f, 8);
        for (size_t i = 0; i < n; i++) {
            gb_npy npy;
            uint8_t *exact = malloc(i ? i : 1);
            assert_non_null(exact);
            memcpy(exact, bytes, i);
            assert_true(gb_npy_decode(&npy, exact, i, "t.npy") < 0);
            free(exact);
        }
    }
    gb_npy npy;
    bytes[6] = 9;
    assert_int_equal(gb_npy_decode(&npy, bytes, sizeof bytes, "t.npy"), GB_ERR_UNSUPPORTED);
}

static void test_write_and_rows(void **state)
{
    (void)state;
    char path[] = "/tmp/gibbon-npy-XXXXXX";
    const int64_t dim[4] = {3, 2, 1, 5};
    float data[30];
    gb_npy npy;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    for (int i = 0; i < 30; i++)
        data[i] = (float)i / 7.0f;
    assert_int_equal(gb_npy_write(path, data, 4, dim), 0);
    assert_int_equal(gb_npy_read(&npy, path), 0);
    assert_int_equal(npy.rank, 4);
    assert_memory_equal(npy.dim, dim, sizeof dim);
    assert_memory_equal(npy.data, data, sizeof data);
    gb_npy_finish(&npy);
    assert_int_equal(gb_npy_shape(&npy, path), 0);
    assert_memory_equal(npy.dim, dim, sizeof dim);
    assert_null(npy.data);
    assert_int_equal(gb_npy_read_rows(&npy, path, 1, 2), 0);
    assert_int_equal(npy.dim[0], 2);
    assert_memory_equal(npy.data, data + 10, 20 * sizeof *data);
    gb_npy_finish(&npy);
    assert_int_equal(gb_npy_read_rows(&npy, path, 2, 2), GB_ERR_ARG);
    assert_int_equal(gb_npy_read_rows(&npy, path, -1, 1), GB_ERR_ARG);
    assert_int_equal(gb_npy_write(path, data, 0, NULL), 0); // a scalar
    assert_int_equal(gb_npy_read(&npy, path), 0);
    assert_int_equal(npy.rank, 0);
    gb_npy_finish(&npy);

    // numpy's own reader wants the data to start at a multiple of 64.
    void *bytes;
    size_t size;
    assert_int_equal(gb_file_read(&bytes, &size, path), 0);
    assert_int_equal((size - 4) % 64, 0);
    free(bytes);
    unlink(path);
    assert_int_equal(gb_npy_read(&npy, path), GB_ERR_IO);
    assert_int_equal(gb_npy_shape(&npy, path), GB_ERR_IO);
    assert_int_equal(gb_npy_write("/nonexistent/x.npy", data, 4, dim), GB_ERR_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_integers),        cmocka_unit_test(test_half_specials),
        cmocka_unit_test(test_shapes),       cmocka_unit_test(test_refused),
        cmocka_unit_test(test_every_prefix), cmocka_unit_test(test_write_and_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
