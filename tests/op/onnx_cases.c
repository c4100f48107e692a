// Reads the ONNX project's operator cases and counts what becomes of them.
#include "op/onnx_cases.h"

#include "support/check.h"

#include "base/file.h"
#include "onnx/load.h"
#include "op/op.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_REASONS = 256, TEXT = 160 };

typedef struct tally {
    struct {
        char text[TEXT];
        int count;
    } reason[MAX_REASONS];
    int n;
} tally;

static void count_reason(tally *t, const char *text)
{
    int i = 0;
    while (i < t->n && strcmp(t->reason[i].text, text))
        i++;
    if (i == MAX_REASONS)
        return;
    if (i == t->n)
        snprintf(t->reason[t->n++].text, TEXT, "%s", text);
    t->reason[i].count++;
}

// TensorProto's data_type (field 2), which the loader's widening hides; 0 if this is no tensor.
static int element_type(const unsigned char *p, size_t size)
{
    const unsigned char *end = p + size;
    while (p < end && *p == 0x08) { // field 1: a dimension
        p++;
        while (p < end && *p++ & 0x80)
            ;
    }
    return end - p >= 2 && *p == 0x10 ? p[1] : 0;
}

static const char *const type_names[] = {"none", "float", "uint8", "int8", "uint16", "int16",
                                         "int32", "int64", "string", "bool", "float16", "double",
                                         "uint32", "uint64", "complex64", "complex128", "bfloat16"};

// Types whose arithmetic gibbon keeps; the small integers would have to wrap around.
static bool is_kept(int type)
{
    return type == 1 || type == 6 || type == 7 || type == 9 || type == 10 || type == 11;
}

// Reads PREFIX_0.pb and so on. Sets why and returns false on a type that is not kept.
static bool read_tensors(gb_arena *arena, gb_tensor **out, size_t want, const char *folder,
                         const char *prefix, char *why)
{
    for (size_t i = 0; i < want; i++) {
        char path[4096];
        void *bytes = NULL;
        size_t size = 0;
        snprintf(path, sizeof path, "%s/%s_%zu.pb", folder, prefix, i);
        if (gb_file_read(&bytes, &size, path) < 0) {
            snprintf(why, TEXT, "no file for one of its %ss", prefix);
            return false;
        }
        const int type = element_type(bytes, size);
        const bool ok =
            is_kept(type) && gb_onnx_decode_tensor(&out[i], arena, bytes, size, path) == 0;
        free(bytes);
        if (!ok) {
            if (type < (int)GB_COUNT(type_names))
                snprintf(why, TEXT, "type %s", type_names[type]);
            else
                snprintf(why, TEXT, "type %d", type);
            return false;
        }
    }
    return true;
}

// The opsets before 7 that gibbon does not read had the same operators, but for broadcasting along
// a given axis. So a model that ends in `opset_import { version: 1..6 }` is read as opset 7.
static int load_model(gb_graph **out, const char *path, bool *old)
{
    unsigned char *bytes = NULL;
    size_t size = 0;
    int err = gb_file_read((void **)&bytes, &size, path);
    if (err < 0)
        return err;
    *old = size > 4 && bytes[size - 2] == 0x10 && bytes[size - 1] < 7;
    if (*old)
        bytes[size - 1] = 7;
    err = gb_onnx_decode(out, bytes, size, "model", NULL);
    free(bytes);
    return err;
}

static bool all_supported(gb_graph *graph, bool old, char *why)
{
    for (size_t i = 0; i < graph->n_node; i++) {
        gb_node *node = graph->node[i];
        node->op = gb_op_find(node->type);
        if (!node->op || node->opset < node->op->since) {
            snprintf(why, TEXT, "operator %s", node->type);
            return false;
        }
        if (old && (!strcmp(node->type, "PRelu") || (gb_attr_find(node, "broadcast") &&
                                                     gb_attr_find(node, "axis")))) {
            snprintf(why, TEXT, "broadcasting as before opset 7");
            return false;
        }
    }
    return true;
}

void onnx_reason(char *why, size_t size)
{
    // "context: Conv 'name': text" without the context and the name
    const char *text = gb_last_error(), *end = strstr(text, "': ");
    const char *name = end;
    while (name && name > text && *--name != '\'')
        ;
    if (!name || name == text) {
        snprintf(why, size, "%s", text);
        return;
    }
    const char *type = name - 1;
    while (type > text && type[-1] != ' ')
        type--;
    snprintf(why, size, "%.*s%s", (int)(name - 1 - type), type, end + 1);
}

static onnx_verdict run_data_set(onnx_case *c, const char *folder, onnx_run run, void *user,
                                 char *why)
{
    gb_arena arena = {0};
    onnx_verdict verdict = ONNX_SKIP;
    c->n_in = c->graph->n_in;
    c->n_out = c->graph->n_out;
    if (c->n_in > ONNX_CASE_MAX || c->n_out > ONNX_CASE_MAX)
        snprintf(why, TEXT, "too many inputs or outputs");
    else if (read_tensors(&arena, c->in, c->n_in, folder, "input", why) &&
             read_tensors(&arena, c->want, c->n_out, folder, "output", why))
        verdict = run(user, c, why, TEXT);
    gb_arena_finish(&arena);
    return verdict;
}

// Every data set of a case, each with a model as loaded.
static onnx_verdict run_case(onnx_case *c, const char *folder, onnx_run run, void *user, char *why)
{
    onnx_verdict verdict = ONNX_SKIP;
    snprintf(why, TEXT, "no data");
    for (int set = 0;; set++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/test_data_set_%d", folder, set);
        DIR *there = opendir(path);
        if (!there)
            return verdict;
        closedir(there);
        snprintf(path, sizeof path, "%s/model.onnx", folder);
        bool old;
        c->graph = NULL;
        if (load_model(&c->graph, path, &old) < 0) {
            snprintf(why, TEXT, "%.*s", TEXT - 1, gb_last_error());
            return ONNX_SKIP;
        }
        snprintf(path, sizeof path, "%s/test_data_set_%d", folder, set);
        verdict = ONNX_SKIP;
        if (all_supported(c->graph, old, why))
            verdict = run_data_set(c, path, run, user, why);
        gb_graph_free(c->graph);
        if (verdict != ONNX_PASS)
            return verdict;
    }
}

static int is_test(const struct dirent *entry)
{
    return !strncmp(entry->d_name, "test_", 5);
}

bool onnx_cases(const char *group, onnx_run run, void *user, onnx_counts *counts)
{
    const char *root = getenv("GIBBON_ONNX_DATA"), *only = getenv("GIBBON_ONNX_CASE");
    char folder[2048];
    struct dirent **entry;
    tally skips = {0};
    snprintf(folder, sizeof folder, "%s/%s", root ? root : "/usr/share/libonnx-testdata/data",
             group);
    int n = scandir(folder, &entry, is_test, alphasort);
    *counts = (onnx_counts){0};
    if (n < 0)
        return false;
    for (int i = 0; i < n; i++) {
        char path[2400], why[TEXT] = "";
        onnx_case c = {0};
        snprintf(path, sizeof path, "%s/%s", folder, entry[i]->d_name);
        snprintf(c.name, sizeof c.name, "%s/%s", group, entry[i]->d_name);
        onnx_verdict verdict = ONNX_SKIP;
        if (!only || !strcmp(only, entry[i]->d_name)) {
            verdict = run_case(&c, path, run, user, why);
            if (verdict == ONNX_FAIL)
                printf("FAIL %s: %s\n", c.name, why);
        } else {
            snprintf(why, sizeof why, "not asked for");
        }
        counts->ran += verdict != ONNX_SKIP;
        counts->skipped += verdict == ONNX_SKIP;
        counts->failed += verdict == ONNX_FAIL;
        if (verdict == ONNX_SKIP)
            count_reason(&skips, why);
        free(entry[i]);
    }
    free(entry);
    printf("%s: %d cases ran, %d failed, %d skipped\n", group, counts->ran, counts->failed,
           counts->skipped);
    for (int i = 0; i < skips.n; i++)
        printf("  skipped %4d  %s\n", skips.reason[i].count, skips.reason[i].text);
    fflush(stdout);
    return true;
}

bool onnx_close(const gb_tensor *got, const gb_tensor *want, char *why, size_t size)
{
    char a[160], b[160];
    if (!gb_shape_equal(&got->shape, &want->shape)) {
        snprintf(why, size, "shape %s, not %s", gb_shape_text(a, sizeof a, &got->shape),
                 gb_shape_text(b, sizeof b, &want->shape));
        return false;
    }
    const int64_t count = gb_shape_count(&want->shape);
    for (int64_t i = 0; i < count; i++) {
        const double g = gb_tensor_get(got, i), w = gb_tensor_get(want, i);
        if (g == w || (isnan(g) && isnan(w)) || fabs(g - w) <= 1e-7 + 1e-3 * fabs(w))
            continue;
        snprintf(why, size, "element %lld is %.9g, not %.9g", (long long)i, g, w);
        return false;
    }
    return true;
}

void onnx_group_test(void **state)
{
    const onnx_group *group = *state;
    onnx_counts counts;
    if (!onnx_cases(group->name, group->run, NULL, &counts)) {
        print_message("no ONNX cases here; set GIBBON_ONNX_DATA to a folder with %s\n",
                      group->name);
        skip();
    }
    assert_true(counts.ran > 0 || getenv("GIBBON_ONNX_CASE"));
    assert_int_equal(0, counts.failed);
}
