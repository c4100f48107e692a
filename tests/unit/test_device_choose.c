// Choosing a device from made-up lists.
#include "support/check.h"

#include "device/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const gb_device_info pocl = {.platform = 0, .device = 0, .name = "pthread-some-cpu",
    .platform_name = "Portable Computing Language", .type = GB_DEVICE_CPU, .integrated = true,
    .compute_units = 64, .clock_mhz = 4000};
static const gb_device_info iris = {.platform = 1, .device = 0, .name = "Iris Xe Graphics",
    .platform_name = "Intel(R) OpenCL HD Graphics", .type = GB_DEVICE_GPU, .integrated = true,
    .compute_units = 96, .clock_mhz = 1400};
static const gb_device_info small = {.platform = 2, .device = 0, .name = "GeForce GTX 1050",
    .platform_name = "NVIDIA CUDA", .type = GB_DEVICE_GPU, .compute_units = 5, .clock_mhz = 1500};
static const gb_device_info large = {.platform = 2, .device = 1, .name = "GeForce RTX 3060",
    .platform_name = "NVIDIA CUDA", .type = GB_DEVICE_GPU, .compute_units = 28, .clock_mhz = 1800};
static const gb_device_info fpga = {.platform = 3, .device = 0, .name = "Board",
    .platform_name = "FPGA SDK", .type = GB_DEVICE_OTHER, .compute_units = 1000,
    .clock_mhz = 1000};

static size_t chosen(const char *spec, const gb_device_info *list, size_t count)
{
    size_t index = 99;
    assert_ok(gb_device_choose(&index, list, count, spec));
    return index;
}

static void test_any_prefers_the_largest_discrete_gpu(void **state)
{
    const gb_device_info all[] = {pocl, fpga, iris, small, large};
    (void)state;
    assert_int_equal(4, chosen("any", all, 5));
    assert_int_equal(4, chosen("gpu", all, 5));
    assert_int_equal(4, chosen("GPU", all, 5));
    assert_int_equal(4, chosen("", all, 5));
    // The integrated one counts more units times clock than the small discrete one.
    assert_int_equal(3, chosen("any", all, 4));
    assert_int_equal(2, chosen("any", all, 3));
    assert_int_equal(0, chosen("any", all, 2));
    assert_int_equal(0, chosen("any", &fpga, 1));
    assert_int_equal(0, chosen("cpu", all, 5));
}

static void test_equal_devices_give_the_first(void **state)
{
    gb_device_info twins[] = {large, large};
    (void)state;
    twins[1].device = 2;
    assert_int_equal(0, chosen("any", twins, 2));
    assert_int_equal(1, chosen("2:2", twins, 2));
}

static void test_index_and_names(void **state)
{
    const gb_device_info all[] = {pocl, iris, small, large};
    (void)state;
    assert_int_equal(0, chosen("0:0", all, 4));
    assert_int_equal(3, chosen("2:1", all, 4));
    assert_int_equal(3, chosen("rtx", all, 4));
    assert_int_equal(0, chosen("portable", all, 4));
    assert_int_equal(1, chosen("intel(r)", all, 4));
}

// What people call the drivers, whatever the platforms call themselves.
static void test_drivers(void **state)
{
    static const struct {
        const char *platform, *called[3];
    } drivers[] = {
        {"Portable Computing Language", {"pocl", "PoCL"}},
        {"rusticl", {"rusticl"}},
        {"Clover", {"clover"}},
        {"Intel(R) OpenCL Graphics", {"intel", "neo"}},
        {"AMD Accelerated Parallel Processing", {"amd", "rocm", "AMD"}},
        {"NVIDIA CUDA", {"nvidia", "cuda", "CUDA"}},
        {"Oclgrind", {"oclgrind"}},
        {"Apple", {"apple"}},
        {"ARM Platform", {"arm", "mali"}},
        {"QUALCOMM Snapdragon(TM)", {"qualcomm", "adreno"}},
    };
    gb_device_info all[GB_COUNT(drivers)];
    size_t index;
    (void)state;
    for (size_t i = 0; i < GB_COUNT(drivers); i++) {
        all[i] = (gb_device_info){.platform = (int)i, .name = "Device"};
        snprintf(all[i].platform_name, sizeof all[i].platform_name, "%s", drivers[i].platform);
    }
    // A processor's name tells who made it, not whose the driver is.
    snprintf(all[0].name, sizeof all[0].name, "pthread-AMD Intel(R) Xeon(R)");
    for (size_t i = 0; i < GB_COUNT(drivers); i++)
        for (size_t k = 0; k < GB_COUNT(drivers[i].called) && drivers[i].called[k]; k++)
            assert_int_equal(i, chosen(drivers[i].called[k], all, GB_COUNT(drivers)));
    assert_int_equal(0, chosen("intel", &all[0], 1));
    assert_err(GB_ERR_NO_DEVICE, gb_device_choose(&index, all, 3, "rocm"));
}

static void test_full_name(void **state)
{
    gb_device_info all[] = {large, large, large};
    size_t index = 99;
    (void)state;
    snprintf(all[0].name, sizeof all[0].name, "A100-SXM");
    snprintf(all[1].name, sizeof all[1].name, "A100");
    all[1].platform = 3;
    snprintf(all[2].platform_name, sizeof all[2].platform_name, "NVIDIA");
    assert_int_equal(1, chosen("A100", all, 3));
    assert_int_equal(1, chosen("a100", all, 3));
    assert_int_equal(2, chosen("nvidia", all, 3));
    assert_err(GB_ERR_AMBIGUOUS, gb_device_choose(&index, all, 3, "A10"));
    assert_null(strstr(gb_last_error(), "GeForce"));
    assert_err(GB_ERR_AMBIGUOUS, gb_device_choose(&index, all, 3, "NVIDIA CUDA"));
}

// A driver that tells no clock is not slower for it.
static void test_no_clock(void **state)
{
    gb_device_info two[] = {small, large};
    (void)state;
    for (int i = 0; i < 3; i++) {
        two[1].clock_mhz = i ? 0 : large.clock_mhz;
        two[0].clock_mhz = i == 2 ? 0 : small.clock_mhz;
        assert_int_equal(1, chosen("any", two, 2));
    }
    two[1].clock_mhz = large.clock_mhz;
    assert_int_equal(1, chosen("any", two, 2));
}

static void test_unusable_last(void **state)
{
    gb_device_info two[] = {large, pocl};
    (void)state;
    snprintf(two[0].unusable, sizeof two[0].unusable, "its driver compiles no OpenCL C");
    assert_int_equal(1, chosen("any", two, 2));
    assert_int_equal(0, chosen("gpu", two, 2));
}

static void test_ambiguous_lists_the_matches(void **state)
{
    const gb_device_info all[] = {pocl, iris, small, large};
    size_t index = 99;
    (void)state;
    assert_err(GB_ERR_AMBIGUOUS, gb_device_choose(&index, all, 4, "geforce"));
    assert_int_equal(99, index);
    assert_non_null(strstr(gb_last_error(), "2:0 GeForce GTX 1050 (NVIDIA CUDA)"));
    assert_non_null(strstr(gb_last_error(), "2:1 GeForce RTX 3060 (NVIDIA CUDA)"));
    assert_null(strstr(gb_last_error(), "Iris"));
}

static void test_unknown_lists_all(void **state)
{
    const gb_device_info all[] = {pocl, iris};
    const char *const wrong[] = {"radeon", "7:0", "0:1", "0:0x", "0:", ":0", "0:-1",
                                 "99999999999999999999:0"};
    size_t index = 99;
    (void)state;
    for (size_t i = 0; i < GB_COUNT(wrong); i++) {
        assert_err(GB_ERR_NO_DEVICE, gb_device_choose(&index, all, 2, wrong[i]));
        assert_non_null(strstr(gb_last_error(), wrong[i]));
        assert_non_null(strstr(gb_last_error(), "pthread-some-cpu"));
        assert_non_null(strstr(gb_last_error(), "Iris"));
    }
    assert_err(GB_ERR_NO_DEVICE, gb_device_choose(&index, &pocl, 1, "gpu"));
}

static void test_empty_list_names_a_package(void **state)
{
    size_t index;
    (void)state;
    assert_err(GB_ERR_NO_DEVICE, gb_device_choose(&index, NULL, 0, "any"));
    assert_non_null(strstr(gb_last_error(), "pocl-opencl-icd"));
}

static void test_environment(void **state)
{
    const gb_device_info all[] = {pocl, iris, large};
    size_t index;
    (void)state;
    unsetenv("GIBBON_DEVICE");
    assert_int_equal(2, chosen(NULL, all, 3));
    setenv("GIBBON_DEVICE", "cpu", 1);
    assert_int_equal(0, chosen(NULL, all, 3));
    assert_int_equal(1, chosen("iris", all, 3)); // what the user types wins
    setenv("GIBBON_DEVICE", "", 1);
    assert_int_equal(2, chosen(NULL, all, 3));
    setenv("GIBBON_DEVICE", "radeon", 1);
    assert_err(GB_ERR_NO_DEVICE, gb_device_choose(&index, all, 3, NULL));
    assert_non_null(strstr(gb_last_error(), "$GIBBON_DEVICE"));
    unsetenv("GIBBON_DEVICE");
}

// Names may come close to the message's size: cut, not overrun.
static void test_many_devices(void **state)
{
    gb_device_info many[40];
    size_t index;
    (void)state;
    for (int i = 0; i < 40; i++) {
        many[i] = large;
        many[i].device = i;
        memset(many[i].name, 'x', sizeof many[i].name - 1);
    }
    assert_err(GB_ERR_AMBIGUOUS, gb_device_choose(&index, many, 40, "xxx"));
    assert_err(GB_ERR_NO_DEVICE, gb_device_choose(&index, many, 40, "y"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_prefers_the_largest_discrete_gpu),
        cmocka_unit_test(test_equal_devices_give_the_first),
        cmocka_unit_test(test_index_and_names),
        cmocka_unit_test(test_drivers),
        cmocka_unit_test(test_full_name),
        cmocka_unit_test(test_no_clock),
        cmocka_unit_test(test_unusable_last),
        cmocka_unit_test(test_ambiguous_lists_the_matches),
        cmocka_unit_test(test_unknown_lists_all),
        cmocka_unit_test(test_empty_list_names_a_package),
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_many_devices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
