// External tensor data: read where it may be, refused where it may not.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/file.h"
#include "onnx/load.h"
#include "onnx/proto.h"
#include "onnx_builder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const int64_t dims[] = {4};
static const float stored[] = {-1, 1.5f, 2.5f, 3.5f, 4.5f};

typedef struct fixture {
    char root[64]; // root/secret.bin, root/model/{m.onnx,data.bin,sub/data.bin}
    char model[128];
} fixture;

static void at(char path[128], const fixture *f, const char *name)
{
    snprintf(path, 128, "%s/%s", f->root, name);
}

static int setup(void **state)
{
    static fixture f;
    char path[128];
    snprintf(f.root, sizeof f.root, "%s/gibbon-external-XXXXXX", "/tmp");
    if (!mkdtemp(f.root))
        return -1;
    at(path, &f, "model/sub");
    if (gb_make_dirs(path) < 0)
        return -1;
    static const char *const files[] = {"secret.bin", "model/data.bin", "model/sub/data.bin"};
    for (size_t i = 0; i < GB_COUNT(files); i++) {
        at(path, &f, files[i]);
        if (gb_file_write(path, stored, sizeof stored) < 0)
            return -1;
    }
    at(f.model, &f, "model/m.onnx");
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    static const char *const names[] = {
        "secret.bin",      "model/data.bin",  "model/sub/data.bin", "model/m.onnx", "model/link",
        "model/folder",    "model/pipe",      "model/sub",          "model",        ""};
    for (size_t i = 0; i < GB_COUNT(names); i++) {
        char path[128];
        at(path, *state, names[i]);
        remove(path);
    }
    return 0;
}

// Loads a model whose w lies at `location`, with offset and length as given (NULL: absent).
static int load(gb_graph **g, const fixture *f, const char *location, const char *offset,
                const char *length)
{
    onnx_builder b;
    onnx_init(&b, 13);
    onnx_input(&b, "x", 1, dims);
    onnx_output(&b, "y", 1, dims);
    onnx_node(&b, "Add", "x,w", "y");
    Onnx__TensorProto *t = onnx_tensor(&b, "w", GB_ONNX_FLOAT, 1, dims, NULL, 0);
    if (location)
        onnx_add_external(&b, t, "location", location);
    if (offset)
        onnx_add_external(&b, t, "offset", offset);
    if (length)
        onnx_add_external(&b, t, "length", length);
    onnx_add_init(&b, t);
    assert_int_equal(onnx_save(&b, f->model), 0);
    onnx_finish(&b);
    *g = NULL;
    return gb_onnx_load(g, f->model);
}

static void expect(const fixture *f, const char *location, const char *offset, const char *length,
                   float first)
{
    gb_graph *g;
    if (load(&g, f, location, offset, length) < 0)
        fail_msg("%s", gb_last_error());
    assert_true(gb_tensor_get(g->node[0]->in[1]->data, 0) == first);
    assert_true(gb_tensor_get(g->node[0]->in[1]->data, 3) > 2);
    gb_graph_free(g);
}

static void refuse(const fixture *f, const char *location, const char *offset, const char *length,
                   int status, const char *what)
{
    gb_graph *g;
    assert_int_equal(load(&g, f, location, offset, length), status);
    assert_null(g);
    assert_non_null(strstr(gb_last_error(), "tensor 'w': "));
    if (!strstr(gb_last_error(), what))
        fail_msg("'%s' does not say '%s'", gb_last_error(), what);
}

static void reads(void **state)
{
    const fixture *f = *state;
    expect(f, "data.bin", "4", "16", 1.5f);
    expect(f, "data.bin", "0", "16", -1);
    expect(f, "data.bin", NULL, "16", -1);
    expect(f, "data.bin", "4", NULL, 1.5f);
    expect(f, "./sub/data.bin", "4", "16", 1.5f);
}

static void follows_links_inside(void **state)
{
    const fixture *f = *state;
    char path[128];
    at(path, f, "model/link");
    assert_int_equal(symlink("sub/data.bin", path), 0);
    expect(f, "link", "4", "16", 1.5f);
}

static void reads_from_working_folder(void **state)
{
    const fixture *f = *state;
    char was[4096], path[128];
    gb_graph *g;
    assert_int_equal(load(&g, f, "data.bin", "4", NULL), 0);
    gb_graph_free(g);
    assert_non_null(getcwd(was, sizeof was));
    at(path, f, "model");
    assert_int_equal(chdir(path), 0);
    int err = gb_onnx_load(&g, "m.onnx");
    assert_int_equal(chdir(was), 0);
    assert_int_equal(err, 0);
    gb_graph_free(g);
}

static void refuses_sizes(void **state)
{
    const fixture *f = *state;
    refuse(f, "data.bin", "8", "16", GB_ERR_FORMAT, "has 20 bytes, too short for 16 at 8");
    refuse(f, "data.bin", "8", NULL, GB_ERR_FORMAT, "too short");
    refuse(f, "data.bin", "18446744073709551615", "16", GB_ERR_FORMAT, "too short");
    refuse(f, "data.bin", "18446744073709551616", "16", GB_ERR_FORMAT, "not a number");
    refuse(f, "data.bin", "4", "12", GB_ERR_FORMAT, "needs 16 bytes, the external data has 12");
    refuse(f, "data.bin", "-4", "16", GB_ERR_FORMAT, "external offset '-4' is not a number");
    refuse(f, "data.bin", "", "16", GB_ERR_FORMAT, "not a number");
    refuse(f, "data.bin", "4x", "16", GB_ERR_FORMAT, "not a number");
    refuse(f, "missing.bin", NULL, NULL, GB_ERR_IO, "missing.bin");
    refuse(f, "sub", NULL, NULL, GB_ERR_IO, "not a regular file");
    refuse(f, NULL, "0", NULL, GB_ERR_FORMAT, "without a location");
}

static void refuses_escapes(void **state)
{
    const fixture *f = *state;
    char path[128], secret[128];
    static const char *const locations[] = {"../secret.bin", "sub/../../secret.bin", "..", "sub/..",
                                            "sub/../data.bin", "", "/etc/hostname"};
    at(secret, f, "secret.bin");
    refuse(f, secret, NULL, NULL, GB_ERR_FORMAT, "outside the model's folder");
    for (size_t i = 0; i < GB_COUNT(locations); i++)
        refuse(f, locations[i], NULL, NULL, GB_ERR_FORMAT, "outside the model's folder");
    at(path, f, "model/link");
    assert_int_equal(symlink("../secret.bin", path), 0);
    refuse(f, "link", NULL, NULL, GB_ERR_FORMAT, "outside the model's folder");
    at(path, f, "model/folder");
    assert_int_equal(symlink(f->root, path), 0);
    refuse(f, "folder/secret.bin", NULL, NULL, GB_ERR_FORMAT, "outside the model's folder");
    at(path, f, "model/pipe");
    assert_int_equal(mkfifo(path, 0600), 0);
    refuse(f, "pipe", NULL, NULL, GB_ERR_IO, "not a regular file"); // and does not wait for it
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(reads),         WITH(follows_links_inside), WITH(reads_from_working_folder),
        WITH(refuses_sizes), WITH(refuses_escapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
