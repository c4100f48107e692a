// Devices on the real thing: memory, kernels, programs, limits, times, the disk cache.
#include "support/device.h"

#include "base/file.h"
#include "base/rng.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { N = 1000 };

static void test_info(void **state)
{
    const gb_device_info *info = gb_device_get_info(test_device());
    (void)state;
    assert_true(info->name[0] && info->platform_name[0] && info->driver[0]);
    assert_non_null(strstr(info->version, "OpenCL C"));
    assert_true(info->compute_units > 0 && info->memory > 0 && info->max_alloc > 0);
    assert_true(info->align >= 64 && info->align % 64 == 0);
    int w = info->vector_width;
    assert_true(info->wide ? w == 1 : w == 4 || w == 8 || w == 16);

    gb_device_info *list;
    size_t count, found = 0;
    assert_ok(gb_device_list(&list, &count, NULL));
    for (size_t i = 0; i < count; i++)
        found += list[i].platform == info->platform && list[i].device == info->device &&
                 !strcmp(list[i].name, info->name);
    assert_int_equal(1, found);
    free(list);
}

static void test_buffers(void **state)
{
    gb_device *dev = test_device();
    gb_buf *a, *b, *piece, *inner;
    uint32_t host[N], back[N];
    size_t align = gb_device_get_info(dev)->align, words = align / 4, before;
    (void)state;
    before = gb_device_allocated(dev);
    for (uint32_t i = 0; i < N; i++)
        host[i] = i * 2654435761u;
    assert_ok(gb_buf_create(&a, dev, sizeof host));
    assert_ok(gb_buf_create(&b, dev, sizeof host));
    assert_int_equal(before + 2 * sizeof host, gb_device_allocated(dev));

    assert_ok(gb_buf_write(a, 0, host, sizeof host));
    assert_ok(gb_buf_read(a, 0, back, sizeof back));
    assert_memory_equal(host, back, sizeof host);

    assert_ok(gb_buf_fill(b, 0, sizeof host, 0xdeadbeef));
    assert_ok(gb_buf_copy(b, 40, a, 80, 400));
    assert_ok(gb_buf_read(b, 0, back, sizeof back));
    assert_int_equal(0xdeadbeef, back[9]);
    assert_memory_equal(host + 20, back + 10, 400);
    assert_int_equal(0xdeadbeef, back[110]);

    // A slice is a window on its parent, a slice of a slice too.
    assert_ok(gb_buf_slice(&piece, a, align, 4 * (N - words)));
    assert_ok(gb_buf_slice(&inner, piece, align, 8));
    assert_ok(gb_buf_read(piece, 4, back, 8));
    assert_memory_equal(host + words + 1, back, 8);
    assert_ok(gb_buf_fill(inner, 4, 4, 77));
    assert_ok(gb_buf_read(a, 4 * (2 * words), back, 12));
    assert_int_equal(host[2 * words], back[0]);
    assert_int_equal(77, back[1]);
    assert_int_equal(host[2 * words + 2], back[2]);

    assert_err(GB_ERR_ARG, gb_buf_write(a, 4, host, sizeof host));
    assert_err(GB_ERR_ARG, gb_buf_read(a, SIZE_MAX, back, 4));
    assert_err(GB_ERR_ARG, gb_buf_copy(a, 0, b, 4, sizeof host));
    assert_err(GB_ERR_ARG, gb_buf_fill(a, 2, 4, 0));
    assert_err(GB_ERR_ARG, gb_buf_slice(&inner, a, 4, 4));
    assert_err(GB_ERR_ARG, gb_buf_slice(&inner, a, 0, sizeof host + 1));

    gb_buf_free(inner);
    gb_buf_free(piece);
    gb_buf_free(b);
    gb_buf_free(a);
    gb_buf_free(NULL);
    assert_int_equal(before, gb_device_allocated(dev));
    assert_true(gb_device_peak(dev) >= before + 2 * sizeof host);
}

// What a buffer takes over is its content, whether the memory suits the device or not.
static void test_adopt(void **state)
{
    gb_device *dev = test_device();
    const size_t before = gb_device_allocated(dev), sizes[] = {1, 6, 64, 4 * N};
    (void)state;
    for (size_t i = 0; i < GB_COUNT(sizes); i++) {
        unsigned char want[4 * N], back[4 * N], *data = gb_alloc_aligned(sizes[i]);
        gb_buf *buf;
        assert_non_null(data);
        for (size_t j = 0; j < sizes[i]; j++) {
            assert_int_equal(0, data[j]);
            data[j] = want[j] = (unsigned char)(7 * j + i);
        }
        assert_ok(gb_buf_adopt(&buf, dev, data, sizes[i]));
        assert_true(gb_device_allocated(dev) >= before + sizes[i]);
        assert_ok(gb_buf_read(buf, 0, back, sizes[i]));
        assert_memory_equal(want, back, sizes[i]);
        assert_ok(gb_buf_fill(buf, 0, sizes[i] / 4 * 4, 0x01010101));
        assert_ok(gb_buf_read(buf, 0, back, sizes[i]));
        for (size_t j = 0; j < sizes[i]; j++)
            assert_int_equal(j < sizes[i] / 4 * 4 ? 1 : want[j], back[j]);
        gb_buf_free(buf);
        assert_int_equal(before, gb_device_allocated(dev));
    }
}

static void test_empty_buffer(void **state)
{
    gb_buf *buf;
    (void)state;
    assert_ok(gb_buf_create(&buf, test_device(), 0));
    assert_ok(gb_buf_write(buf, 0, NULL, 0));
    gb_buf_free(buf);
}

static void test_kernel(void **state)
{
    gb_device *dev = test_device();
    gb_kernel *one, *two;
    gb_buf *x, *y;
    float host[N], back[N], a = 3.0f, b = -1.0f;
    int n = N - 1;
    (void)state;
    for (int i = 0; i < N; i++)
        host[i] = (float)i;
    assert_ok(gb_buf_create(&x, dev, sizeof host));
    assert_ok(gb_buf_create(&y, dev, sizeof host));
    assert_ok(gb_buf_write(x, 0, host, sizeof host));
    assert_ok(gb_buf_fill(y, 0, sizeof host, 0));

    double seconds = gb_device_compile_seconds(dev);
    assert_ok(gb_kernel_create(&one, dev, "unit", "scale", "-DOFFSET=1.0f"));
    assert_true(gb_device_compile_seconds(dev) > seconds);
    seconds = gb_device_compile_seconds(dev);
    assert_ok(gb_kernel_create(&two, dev, "unit", "scale", "-DOFFSET=1.0f"));
    assert_true(gb_device_compile_seconds(dev) == seconds); // the program was there already

    // The second one's arguments leave the first one's alone.
    assert_ok(gb_kernel_arg_buf(one, 0, x));
    assert_ok(gb_kernel_arg_buf(one, 1, y));
    assert_ok(gb_kernel_arg(one, 2, sizeof a, &a));
    assert_ok(gb_kernel_arg(one, 3, sizeof n, &n));
    assert_ok(gb_kernel_arg_buf(two, 0, y));
    assert_ok(gb_kernel_arg_buf(two, 1, y));
    assert_ok(gb_kernel_arg(two, 2, sizeof b, &b));
    assert_ok(gb_kernel_arg(two, 3, sizeof n, &n));
    assert_err(GB_ERR_ARG, gb_kernel_run(one)); // no size yet
    assert_ok(gb_kernel_size(one, (size_t[]){N, 1, 1}, (size_t[]){0, 0, 0}));
    assert_ok(gb_kernel_size(two, (size_t[]){N, 1, 1}, (size_t[]){4, 1, 1}));
    assert_ok(gb_kernel_run(one));
    assert_ok(gb_kernel_run(two));
    assert_ok(gb_device_flush(dev));
    assert_ok(gb_buf_read(y, 0, back, sizeof back));
    for (int i = 0; i < n; i++)
        assert_true(back[i] == -(3.0f * (float)i + 1.0f) + 1.0f);
    assert_true(back[n] == 0.0f);

    assert_err(GB_ERR_ARG, gb_kernel_size(two, (size_t[]){N, 1, 1}, (size_t[]){3, 1, 1}));
    assert_ok(gb_kernel_size(one, (size_t[]){0, 1, 1}, (size_t[]){0, 0, 0}));
    assert_ok(gb_kernel_run(one)); // nothing to do is no error
    assert_true(gb_kernel_arg(one, 99, sizeof n, &n) < 0);
    assert_non_null(strstr(gb_last_error(), "unit.scale: argument 99"));
    assert_non_null(strstr(gb_last_error(), "CL_INVALID_ARG_INDEX"));

    gb_kernel_free(one);
    gb_kernel_free(two);
    gb_kernel_free(NULL);
    gb_buf_free(x);
    gb_buf_free(y);
}

// Small programs are built as one, under their own names.
static void test_small_programs(void **state)
{
    gb_device *dev = test_device();
    gb_kernel *copy, *act, *bad = NULL;
    (void)state;
    assert_ok(gb_kernel_create(&copy, dev, "copy", "fill", ""));
    double seconds = gb_device_compile_seconds(dev);
    assert_ok(gb_kernel_create(&act, dev, "mask", "act", NULL));
    assert_true(gb_device_compile_seconds(dev) == seconds);
    assert_true(gb_kernel_create(&bad, dev, "copy", "no_such_kernel", "") < 0);
    assert_non_null(strstr(gb_last_error(), "copy.no_such_kernel"));
    gb_kernel_free(copy);
    gb_kernel_free(act);
}

static void test_local_memory_and_null(void **state)
{
    gb_device *dev = test_device();
    gb_kernel *sum, *is_null;
    gb_buf *x, *y;
    float host[16], back[2];
    int null = -1;
    (void)state;
    for (int i = 0; i < 16; i++)
        host[i] = (float)(1 << i);
    assert_ok(gb_buf_create(&x, dev, sizeof host));
    assert_ok(gb_buf_create(&y, dev, sizeof back));
    assert_ok(gb_buf_write(x, 0, host, sizeof host));
    assert_ok(gb_kernel_create(&sum, dev, "unit", "group_sum", "-DOFFSET=0"));
    assert_ok(gb_kernel_arg_buf(sum, 0, x));
    assert_ok(gb_kernel_arg_buf(sum, 1, y));
    assert_ok(gb_kernel_arg(sum, 2, 8 * sizeof(float), NULL));
    assert_ok(gb_kernel_size(sum, (size_t[]){16, 1, 1}, (size_t[]){8, 1, 1}));
    assert_ok(gb_kernel_run(sum));
    assert_ok(gb_buf_read(y, 0, back, sizeof back));
    assert_true(back[0] == 255.0f && back[1] == 65280.0f);

    assert_ok(gb_kernel_create(&is_null, dev, "unit", "is_null", "-DOFFSET=0"));
    assert_ok(gb_kernel_arg_buf(is_null, 1, y));
    assert_ok(gb_kernel_size(is_null, (size_t[]){1, 1, 1}, NULL));
    for (int expect = 0; expect < 2; expect++) {
        assert_ok(gb_kernel_arg_buf(is_null, 0, expect ? NULL : x));
        assert_ok(gb_kernel_run(is_null));
        assert_ok(gb_buf_read(y, 0, &null, sizeof null));
        assert_int_equal(expect, null);
    }
    gb_kernel_free(sum);
    gb_kernel_free(is_null);
    gb_buf_free(x);
    gb_buf_free(y);
}

static void test_program_errors(void **state)
{
    gb_device *dev = test_device();
    gb_kernel *k = NULL;
    (void)state;
    assert_err(GB_ERR_DEVICE, gb_kernel_create(&k, dev, "broken", "x", NULL));
    assert_non_null(strstr(gb_last_error(), "clBuildProgram of broken.cl"));
    assert_non_null(strstr(gb_last_error(), "CL_BUILD_PROGRAM_FAILURE"));
    assert_non_null(strstr(gb_last_error(), "error")); // the compiler's own words
    assert_err(GB_ERR_DEVICE, gb_kernel_create(&k, dev, "unit", "nothing", "-DOFFSET=0"));
    assert_non_null(strstr(gb_last_error(), "unit.nothing"));
    assert_err(GB_ERR_ARG, gb_kernel_create(&k, dev, "absent", "x", NULL));
    assert_non_null(strstr(gb_last_error(), "'absent'"));
    assert_null(k);
}

static void test_profile(void **state)
{
    gb_device *dev = test_device();
    gb_kernel *k;
    gb_buf *x;
    (void)state;
    float a = 1.0f;
    int n = 1 << 16;
    assert_ok(gb_buf_create(&x, dev, sizeof(float) * (size_t)n));
    assert_ok(gb_buf_fill(x, 0, sizeof(float) * (size_t)n, 0));
    assert_ok(gb_kernel_create(&k, dev, "unit", "scale", "-DOFFSET=0"));
    assert_ok(gb_kernel_arg_buf(k, 0, x));
    assert_ok(gb_kernel_arg_buf(k, 1, x));
    assert_ok(gb_kernel_arg(k, 2, sizeof a, &a));
    assert_ok(gb_kernel_arg(k, 3, sizeof n, &n));
    assert_ok(gb_kernel_size(k, (size_t[]){(size_t)n, 1, 1}, NULL));
    assert_ok(gb_kernel_run(k));
    assert_true(gb_kernel_seconds(k) == 0);

    assert_ok(gb_device_profile(dev, true));
    assert_ok(gb_kernel_run(k));
    assert_ok(gb_device_finish(dev));
    double once = gb_kernel_seconds(k);
    assert_true(once > 0 && once < 10);
    assert_ok(gb_kernel_run(k));
    assert_ok(gb_device_finish(dev));
    assert_true(gb_kernel_seconds(k) > once);
    assert_ok(gb_device_profile(dev, true)); // starts again
    assert_true(gb_kernel_seconds(k) == 0);
    assert_ok(gb_kernel_run(k));
    assert_ok(gb_device_profile(dev, false));
    once = gb_kernel_seconds(k);
    assert_true(once > 0);
    assert_ok(gb_kernel_run(k));
    assert_ok(gb_device_finish(dev));
    assert_true(gb_kernel_seconds(k) == once);
    gb_kernel_free(k);
    gb_buf_free(x);
}

static gb_device *open_again(void)
{
    gb_device *dev = NULL;
    const char *spec = getenv("GIBBON_TEST_DEVICE");
    assert_ok(gb_device_open(&dev, spec ? spec : "any", NULL));
    return dev;
}

static void test_memory_limit(void **state)
{
    gb_device *dev;
    gb_buf *a, *b;
    (void)state;
    test_device();
    setenv("GIBBON_MEMORY_LIMIT", "1M", 1);
    dev = open_again();
    assert_int_equal(1 << 20, gb_device_get_info(dev)->memory);
    assert_int_equal(1 << 20, gb_device_get_info(dev)->max_alloc);
    assert_ok(gb_buf_create(&a, dev, 1 << 19));
    assert_err(GB_ERR_DEVICE_MEM, gb_buf_create(&b, dev, (1 << 19) + 4));
    assert_non_null(strstr(gb_last_error(), "524292")); // what was asked for
    assert_non_null(strstr(gb_last_error(), "524288")); // what is left
    assert_ok(gb_buf_create(&b, dev, 1 << 19));
    gb_buf_free(a);
    gb_buf_free(b);
    assert_ok(gb_buf_create(&a, dev, 1 << 20)); // all of it is back
    gb_buf_free(a);
    assert_int_equal(1 << 20, gb_device_peak(dev));
    gb_device_close(dev);

    const char *const wrong[] = {"x", "-1", "0", "12Q", "1.5G", "99999999999999999999G"};
    for (size_t i = 0; i < GB_COUNT(wrong); i++) {
        setenv("GIBBON_MEMORY_LIMIT", wrong[i], 1);
        assert_err(GB_ERR_ARG, gb_device_open(&dev, getenv("GIBBON_TEST_DEVICE"), NULL));
        assert_non_null(strstr(gb_last_error(), wrong[i]));
    }
    unsetenv("GIBBON_MEMORY_LIMIT");
}

static void test_absurd_size(void **state)
{
    gb_buf *buf;
    (void)state;
    assert_err(GB_ERR_DEVICE_MEM, gb_buf_create(&buf, test_device(), SIZE_MAX / 2));
}

static void test_kernel_form(void **state)
{
    (void)state;
    test_device();
    setenv("GIBBON_KERNEL_FORM", "gpu", 1);
    gb_device *dev = open_again();
    assert_true(gb_device_get_info(dev)->wide);
    assert_int_equal(1, gb_device_get_info(dev)->vector_width);
    gb_device_close(dev);
    setenv("GIBBON_KERNEL_FORM", "cpu8", 1);
    dev = open_again();
    assert_false(gb_device_get_info(dev)->wide);
    assert_int_equal(8, gb_device_get_info(dev)->vector_width);
    gb_device_close(dev);
    setenv("GIBBON_KERNEL_FORM", "tpu", 1);
    assert_err(GB_ERR_ARG, gb_device_open(&dev, getenv("GIBBON_TEST_DEVICE"), NULL));
    unsetenv("GIBBON_KERNEL_FORM");
}

static double scale_two(gb_device *dev)
{
    gb_kernel *k;
    gb_buf *x;
    float two = 2.0f, out;
    int n = 1;
    assert_ok(gb_buf_create(&x, dev, 4));
    assert_ok(gb_buf_write(x, 0, &two, 4));
    assert_ok(gb_kernel_create(&k, dev, "unit", "scale", "-DOFFSET=5.0f"));
    assert_ok(gb_kernel_arg_buf(k, 0, x));
    assert_ok(gb_kernel_arg_buf(k, 1, x));
    assert_ok(gb_kernel_arg(k, 2, sizeof two, &two));
    assert_ok(gb_kernel_arg(k, 3, sizeof n, &n));
    assert_ok(gb_kernel_size(k, (size_t[]){1, 1, 1}, NULL));
    assert_ok(gb_kernel_run(k));
    assert_ok(gb_buf_read(x, 0, &out, 4));
    gb_kernel_free(k);
    gb_buf_free(x);
    return out;
}

// The only file in folder; false if there is none.
static bool only_file(char *path, size_t size, const char *folder)
{
    int count = 0;
    DIR *dir = opendir(folder);
    if (!dir)
        return false;
    for (struct dirent *e; (e = readdir(dir));) {
        if (e->d_name[0] == '.')
            continue;
        snprintf(path, size, "%s/%s", folder, e->d_name);
        count++;
    }
    closedir(dir);
    assert_true(count <= 1);
    return count == 1;
}

static void test_binary_cache(void **state)
{
    char folder[] = "/tmp/gibbon-cache-XXXXXX", inner[64], path[400];
    void *data;
    size_t size;
    (void)state;
    test_device();
    assert_non_null(mkdtemp(folder));
    snprintf(inner, sizeof inner, "%s/gibbon", folder);
    setenv("XDG_CACHE_HOME", folder, 1);
    setenv("GIBBON_CACHE", "off", 1);
    gb_device *dev = open_again();
    assert_true(scale_two(dev) == 9);
    gb_device_close(dev);
    assert_false(only_file(path, sizeof path, inner));

    // Round 0 fills it, 1 reads it, 2 finds it damaged, 3 shortened: the result is always right.
    setenv("GIBBON_CACHE", "on", 1);
    for (int round = 0; round < 4; round++) {
        dev = open_again();
        assert_true(scale_two(dev) == 9);
        gb_device_close(dev);
        if (!only_file(path, sizeof path, inner)) {
            print_message("this driver gives no binaries\n");
            break;
        }
        assert_ok(gb_file_read(&data, &size, path));
        assert_true(size > 100);
        if (round == 1)
            ((char *)data)[size - 5] ^= 1;
        assert_ok(gb_file_write(path, data, round == 2 ? size / 2 : size));
        free(data);
    }
    unsetenv("GIBBON_CACHE");
    unsetenv("XDG_CACHE_HOME");
    unlink(path);
    rmdir(inner);
    rmdir(folder);
}

// A program that another thread builds is the one that its kernels get; one that does not build
// fails where it is needed, and one that nobody waits for does not keep a device from closing.
static void test_programs_ahead(void **state)
{
    (void)state;
    test_device();
    gb_device *dev = open_again();
    gb_kernel *k = NULL;
    gb_program_ahead(dev, "broken", "");
    gb_program_ahead(dev, "unit", "-DOFFSET=5.0f");
    gb_program_ahead(dev, "unit", "-DOFFSET=5.0f");
    assert_true(scale_two(dev) == 9);
    assert_err(GB_ERR_DEVICE, gb_kernel_create(&k, dev, "broken", "x", NULL));
    assert_non_null(strstr(gb_last_error(), "clBuildProgram of broken.cl"));
    gb_program_ahead(dev, "unit", "-DOFFSET=2");
    gb_device_close(dev);
}

static gb_kernel *with_two_buffers(gb_device *dev, const char *name, gb_buf *a, gb_buf *b)
{
    gb_kernel *k;
    assert_ok(gb_kernel_create(&k, dev, "unit", name, "-DOFFSET=0"));
    assert_ok(gb_kernel_arg_buf(k, 0, a));
    assert_ok(gb_kernel_arg_buf(k, 1, b));
    return k;
}

static void test_philox(void **state)
{
    gb_device *dev = test_device();
    gb_kernel *k;
    gb_buf *out, *f;
    gb_philox back[64];
    float uniform[64];
    const uint32_t key[2] = {0x12345678u, 0x9abcdef0u};
    (void)state;
    // The known answer for counter and key of all ones (Random123's kat_vectors).
    gb_philox ones = gb_philox4x32((gb_philox){{~0u, ~0u, ~0u, ~0u}}, ~0u, ~0u);
    assert_int_equal(0x408f276du, ones.v[0]);
    assert_int_equal(0x41c83b0eu, ones.v[1]);
    assert_int_equal(0xa20bc7c6u, ones.v[2]);
    assert_int_equal(0x6d5451fdu, ones.v[3]);

    assert_ok(gb_buf_create(&out, dev, sizeof back));
    assert_ok(gb_buf_create(&f, dev, sizeof uniform));
    assert_ok(gb_kernel_create(&k, dev, "unit", "philox", "-DOFFSET=0"));
    assert_ok(gb_kernel_arg_buf(k, 0, out));
    assert_ok(gb_kernel_arg(k, 1, 4, &key[0]));
    assert_ok(gb_kernel_arg(k, 2, 4, &key[1]));
    assert_ok(gb_kernel_size(k, (size_t[]){64, 1, 1}, NULL));
    assert_ok(gb_kernel_run(k));
    assert_ok(gb_buf_read(out, 0, back, sizeof back));
    for (uint32_t i = 0; i < 64; i++) {
        gb_philox want =
            gb_philox4x32((gb_philox){{i, 7u * i, 0xffffffffu - i, 5u}}, key[0], key[1]);
        assert_memory_equal(&want, &back[i], sizeof want);
    }
    gb_kernel_free(k);

    back[0] = (gb_philox){{0, ~0u, 1u << 31, 255}}; // the ends of the range among them
    assert_ok(gb_buf_write(out, 0, back, sizeof back));
    k = with_two_buffers(dev, "uniform", out, f);
    assert_ok(gb_kernel_size(k, (size_t[]){64, 1, 1}, NULL));
    assert_ok(gb_kernel_run(k));
    assert_ok(gb_buf_read(f, 0, uniform, sizeof uniform));
    for (int i = 0; i < 64; i++) {
        float want = gb_uniform(back[i / 4].v[i % 4]);
        assert_true(uniform[i] == want && want > 0 && want < 1);
    }
    gb_kernel_free(k);
    gb_buf_free(out);
    gb_buf_free(f);
}

static float act(float x, float lo, float hi, float slope)
{
    if (x < lo)
        return slope == 0 ? lo : fmaf(slope, x - lo, lo);
    return x > hi ? hi : x;
}

static void test_activation(void **state)
{
    gb_device *dev = test_device();
    gb_kernel *k;
    gb_buf *x, *y, *y1;
    enum { M = 41 }; // no multiple of any vector width
    float in[M + 1], out[M + 1], out1[M + 1];
    const float parameters[][3] = {{0, INFINITY, 0}, {0, 6, 0}, {0, INFINITY, 0.01f},
                                   {-INFINITY, INFINITY, 0}, {-1, 1, 0}};
    int n = M;
    (void)state;
    for (int i = 0; i < M; i++)
        in[i] = 0.5f * (float)(i - 20);
    in[3] = NAN;
    in[M - 1] = NAN;
    in[5] = -INFINITY;
    in[7] = INFINITY;
    in[M] = 99.0f;
    assert_ok(gb_buf_create(&x, dev, sizeof in));
    assert_ok(gb_buf_create(&y, dev, sizeof in));
    assert_ok(gb_buf_create(&y1, dev, sizeof in));
    assert_ok(gb_buf_write(x, 0, in, sizeof in));
    k = with_two_buffers(dev, "act", x, y);
    assert_ok(gb_kernel_arg_buf(k, 2, y1));
    assert_ok(gb_kernel_arg(k, 3, sizeof n, &n));
    assert_ok(gb_kernel_size(k, (size_t[]){1, 1, 1}, NULL));
    for (size_t p = 0; p < GB_COUNT(parameters); p++) {
        for (int i = 0; i < 3; i++)
            assert_ok(gb_kernel_arg(k, 4 + i, sizeof(float), &parameters[p][i]));
        assert_ok(gb_buf_write(y, 0, in, sizeof in));
        assert_ok(gb_kernel_run(k));
        assert_ok(gb_buf_read(y, 0, out, sizeof out));
        assert_ok(gb_buf_read(y1, 0, out1, M * sizeof(float)));
        for (int i = 0; i < M; i++) {
            float want = act(in[i], parameters[p][0], parameters[p][1], parameters[p][2]);
            assert_true(isnan(want) ? isnan(out[i]) && isnan(out1[i])
                                    : out[i] == want && out1[i] == want);
        }
        assert_true(out[M] == 99.0f); // the tail ends where it should
    }
    gb_kernel_free(k);
    gb_buf_free(x);
    gb_buf_free(y);
    gb_buf_free(y1);
}

static void test_vector_sum_and_contraction(void **state)
{
    gb_device *dev = test_device();
    gb_kernel *k;
    gb_buf *x, *y;
    float in[64], out[4], two[4] = {1.0f + 0x1p-12f, 1.0f + 0x1p-12f, -1.0f};
    size_t w = (size_t)gb_device_get_info(dev)->vector_width;
    (void)state;
    for (int i = 0; i < 64; i++)
        in[i] = ldexpf((float)(i % 7) - 3, i % 5 * 6); // sums that round
    assert_ok(gb_buf_create(&x, dev, sizeof in));
    assert_ok(gb_buf_create(&y, dev, sizeof out));
    assert_ok(gb_buf_write(x, 0, in, sizeof in));
    k = with_two_buffers(dev, "sums", x, y);
    assert_ok(gb_kernel_size(k, (size_t[]){4, 1, 1}, NULL));
    assert_ok(gb_kernel_run(k));
    assert_ok(gb_buf_read(y, 0, out, sizeof out));
    for (size_t i = 0; i < 4; i++) {
        float want = 0;
        for (size_t j = 0; j < w; j++)
            want += in[i * w + j];
        assert_true(out[i] == want);
    }
    gb_kernel_free(k);

    assert_ok(gb_buf_write(x, 0, two, sizeof two));
    k = with_two_buffers(dev, "two_roundings", x, y);
    assert_ok(gb_kernel_size(k, (size_t[]){1, 1, 1}, NULL));
    assert_ok(gb_kernel_run(k));
    assert_ok(gb_buf_read(y, 0, out, sizeof out));
    assert_true(out[0] == 0x1p-11f); // fma gives 0x1p-11 + 0x1p-24
    gb_kernel_free(k);
    gb_buf_free(x);
    gb_buf_free(y);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_info),
        cmocka_unit_test(test_buffers),
        cmocka_unit_test(test_adopt),
        cmocka_unit_test(test_empty_buffer),
        cmocka_unit_test(test_kernel),
        cmocka_unit_test(test_small_programs),
        cmocka_unit_test(test_local_memory_and_null),
        cmocka_unit_test(test_program_errors),
        cmocka_unit_test(test_profile),
        cmocka_unit_test(test_memory_limit),
        cmocka_unit_test(test_absurd_size),
        cmocka_unit_test(test_kernel_form),
        cmocka_unit_test(test_binary_cache),
        cmocka_unit_test(test_programs_ahead),
        cmocka_unit_test(test_philox),
        cmocka_unit_test(test_activation),
        cmocka_unit_test(test_vector_sum_and_contraction),
    };
    return cmocka_run_group_tests(tests, test_device_open, test_device_close);
}
