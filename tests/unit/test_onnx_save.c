// Saving models: what was loaded comes back bit for bit, new weights and full disks included.
#include "support/check.h"

#include "base/file.h"
#include "engine/instance.h"
#include "onnx/load.h"
#include "onnx/proto.h"
#include "onnx/save.h"
#include "support/onnx_builder.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

// --- graphs compared ---

static void same_tensor(const gb_tensor *a, const gb_tensor *b)
{
    assert_int_equal(a->type, b->type);
    assert_true(gb_shape_equal(&a->shape, &b->shape));
    if (gb_tensor_bytes(a))
        assert_memory_equal(a->data, b->data, gb_tensor_bytes(a));
}

static void same_values(gb_value *const *a, gb_value *const *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(!a[i], !b[i]);
        if (!a[i])
            continue;
        assert_string_equal(a[i]->name, b[i]->name);
        assert_int_equal(a[i]->type, b[i]->type);
        assert_int_equal(!a[i]->data, !b[i]->data);
        assert_true(gb_shape_equal(&a[i]->shape, &b[i]->shape));
        if (a[i]->data)
            same_tensor(a[i]->data, b[i]->data);
    }
}

static void same_attr(const gb_attr *a, const gb_attr *b)
{
    assert_string_equal(a->name, b->name);
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->count, b->count);
    if (a->kind == GB_ATTR_STRING)
        assert_string_equal(a->s, b->s);
    else if (a->kind == GB_ATTR_TENSOR)
        same_tensor(a->tensor, b->tensor);
    else if (a->kind == GB_ATTR_INT)
        assert_int_equal(a->i, b->i);
    else if (a->kind == GB_ATTR_FLOAT)
        assert_memory_equal(&a->f, &b->f, sizeof a->f);
    else if (a->kind == GB_ATTR_INTS && a->count)
        assert_memory_equal(a->ints, b->ints, a->count * sizeof *a->ints);
    else if (a->count)
        assert_memory_equal(a->floats, b->floats, a->count * sizeof *a->floats);
}

static void same_graph(const gb_graph *a, const gb_graph *b)
{
    assert_int_equal(a->opset, b->opset);
    assert_int_equal(a->n_node, b->n_node);
    assert_int_equal(a->n_in, b->n_in);
    assert_int_equal(a->n_out, b->n_out);
    assert_int_equal(a->n_meta, b->n_meta);
    same_values(a->in, b->in, a->n_in);
    same_values(a->out, b->out, a->n_out);
    for (size_t i = 0; i < a->n_meta; i++) {
        assert_string_equal(a->meta_key[i], b->meta_key[i]);
        assert_string_equal(a->meta_value[i], b->meta_value[i]);
    }
    for (size_t i = 0; i < a->n_node; i++) {
        const gb_node *m = a->node[i], *n = b->node[i];
        assert_string_equal(m->type, n->type);
        assert_string_equal(m->name, n->name);
        assert_int_equal(m->n_in, n->n_in);
        assert_int_equal(m->n_out, n->n_out);
        assert_int_equal(m->n_attr, n->n_attr);
        same_values(m->in, n->in, (size_t)m->n_in);
        same_values(m->out, n->out, (size_t)m->n_out);
        for (int k = 0; k < m->n_attr; k++)
            same_attr(&m->attr[k], &n->attr[k]);
    }
}

// Saves and loads again; saving that once more must give the same bytes.
static gb_graph *again(const gb_graph *model)
{
    gb_graph *back = NULL;
    void *first = NULL, *second = NULL;
    size_t n_first = 0, n_second = 0;
    assert_ok(gb_onnx_encode(&first, &n_first, model, NULL, 0, "first"));
    assert_ok(gb_onnx_decode(&back, first, n_first, "first", NULL));
    assert_ok(gb_onnx_encode(&second, &n_second, back, NULL, 0, "second"));
    assert_int_equal(n_first, n_second);
    assert_memory_equal(first, second, n_first);
    free(first);
    free(second);
    return back;
}

static int round_trips(const char *folder)
{
    char path[4096];
    int done = 0;
    DIR *dir = opendir(folder);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        gb_graph *model = NULL, *back;
        const char *end = strrchr(entry->d_name, '.');
        if (!end || strcmp(end, ".onnx"))
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        assert_ok(gb_onnx_load(&model, path));
        back = again(model);
        same_graph(model, back);
        gb_graph_free(model);
        gb_graph_free(back);
        done++;
    }
    if (dir)
        closedir(dir);
    return done;
}

static void golden_models(void **state)
{
    (void)state;
    assert_true(round_trips(getenv("GIBBON_GOLDEN")) >= 12);
}

static void real_models(void **state)
{
    char path[4096];
    (void)state;
    snprintf(path, sizeof path, "%s/data/models", getenv("GIBBON_SHARED"));
    if (round_trips(path) == 0) {
        print_message("no models in %s\n", path);
        skip();
    }
}

// --- what golden models do not have ---

static gb_graph *decode(onnx_builder *b)
{
    size_t size = 0;
    gb_graph *graph = NULL;
    uint8_t *bytes = onnx_pack(b, &size);
    assert_ok(gb_onnx_decode(&graph, bytes, size, "built", NULL));
    free(bytes);
    onnx_finish(b);
    return graph;
}

static const gb_value *find(const gb_graph *g, const char *name)
{
    for (size_t i = 0; i < g->n_value; i++)
        if (!strcmp(g->value[i]->name, name))
            return g->value[i];
    fail_msg("no value '%s'", name);
    return NULL;
}

// Every element type, as an initializer of a foreign operator that takes them all.
static void types_and_domains(void **state)
{
    static const struct {
        int32_t code;
        size_t bytes;
        gb_dtype want;
    } type[] = {
        {GB_ONNX_FLOAT, 4, GB_F32}, {GB_ONNX_FLOAT16, 2, GB_F32}, {GB_ONNX_DOUBLE, 8, GB_F32},
        {GB_ONNX_BFLOAT16, 2, GB_F32}, {GB_ONNX_INT64, 8, GB_I64}, {GB_ONNX_INT32, 4, GB_I64},
        {GB_ONNX_UINT8, 1, GB_I64}, {GB_ONNX_BOOL, 1, GB_BOOL},
    };
    static const char inputs[] = "x,w0,w1,,w2,w3,w4,w5,w6,w7,e";
    unsigned char raw[32];
    onnx_builder b;
    (void)state;
    onnx_init(&b, 15);
    onnx_input(&b, "x", 3, (int64_t[]){-1, 3, -1});
    onnx_output(&b, "y", 3, (int64_t[]){-1, 3, -1});
    for (size_t i = 0; i < GB_COUNT(type); i++) {
        char name[8];
        for (size_t k = 0; k < sizeof raw; k++)
            raw[k] = type[i].code == GB_ONNX_BOOL ? k & 1 : (unsigned char)(k * 5 + 1);
        snprintf(name, sizeof name, "w%zu", i);
        onnx_add_init(&b, onnx_tensor(&b, name, type[i].code, 1, (int64_t[]){4}, raw,
                                      4 * type[i].bytes));
    }
    onnx_add_init(&b, onnx_tensor(&b, "e", GB_ONNX_FLOAT, 1, (int64_t[]){0}, raw, 0));
    onnx_node(&b, "Take", inputs, "y")->domain = gb_arena_strdup(&b.arena, "org.example");
    onnx_add_opset(&b, "org.example", 3);
    gb_graph *model = decode(&b), *back = again(model);
    same_graph(model, back);
    assert_string_equal("org.example:Take", back->node[0]->type);
    assert_null(back->node[0]->in[3]);
    assert_int_equal(-1, back->in[0]->shape.dim[0]);
    assert_int_equal(-1, back->in[0]->shape.dim[2]);
    for (size_t i = 0; i < GB_COUNT(type); i++) {
        char name[8];
        snprintf(name, sizeof name, "w%zu", i);
        assert_int_equal(type[i].want, find(back, name)->data->type);
        assert_int_equal(find(model, name)->data->ints, find(back, name)->ints);
    }
    gb_graph_free(model);
    gb_graph_free(back);
}

// A Cast between half and single precision has nothing left to do once all is single; integers keep
// their width.
static void casts_widen(void **state)
{
    static const int64_t to[][2] = {{GB_ONNX_FLOAT16, GB_ONNX_FLOAT},
                                    {GB_ONNX_DOUBLE, GB_ONNX_FLOAT},
                                    {GB_ONNX_INT32, GB_ONNX_INT32},
                                    {GB_ONNX_BOOL, GB_ONNX_BOOL}};
    (void)state;
    for (size_t i = 0; i < GB_COUNT(to); i++) {
        onnx_builder b;
        onnx_init(&b, 13);
        onnx_input(&b, "x", 1, (int64_t[]){2});
        onnx_output(&b, "y", 1, (int64_t[]){2});
        onnx_attr_int(&b, onnx_node(&b, "Cast", "x", "y"), "to", to[i][0]);
        gb_graph *model = decode(&b), *back = again(model);
        assert_int_equal(to[i][1], gb_attr_int(back->node[0], "to", -1));
        gb_graph_free(model);
        gb_graph_free(back);
    }
}

static gb_graph *linear(void)
{
    onnx_builder b;
    onnx_init(&b, 17);
    onnx_input(&b, "x", 2, (int64_t[]){-1, 2});
    onnx_output(&b, "y", 2, (int64_t[]){-1, 3});
    onnx_init_f32(&b, "w", 2, (int64_t[]){2, 3}, (float[]){1, 2, 3, 4, 5, 6});
    onnx_init_f32(&b, "b", 1, (int64_t[]){3}, (float[]){7, 8, 9});
    onnx_init_f32(&b, "idle", 1, (int64_t[]){1}, (float[]){0});
    onnx_node(&b, "Gemm", "x,w,b", "y");
    return decode(&b);
}

static void new_weights(void **state)
{
    // As training holds them: one flat array, a place in it for each parameter.
    static const float flat[] = {-1, -2, -3, 10, 20, 30, 40, 50, 60};
    const gb_onnx_weight weight[] = {{"b", flat}, {"w", flat + 3}}, wrong = {"idle", flat};
    gb_graph *model = linear(), *back = NULL;
    void *bytes = NULL;
    size_t size;
    (void)state;
    assert_ok(gb_graph_add_meta(model, "key", "value"));
    assert_ok(gb_onnx_encode(&bytes, &size, model, weight, 2, "new"));
    assert_ok(gb_onnx_decode(&back, bytes, size, "new", NULL));
    assert_memory_equal(flat, find(back, "b")->data->data, 3 * sizeof *flat);
    assert_memory_equal(flat + 3, find(back, "w")->data->data, 6 * sizeof *flat);
    assert_string_equal("value", gb_graph_meta(back, "key"));
    assert_int_equal(2 + 2, back->n_value); // "idle" feeds nothing
    assert_err(GB_ERR_ARG, gb_onnx_encode(&bytes, &size, model, &wrong, 1, "new"));
    assert_string_equal("new: the model has no float initializer 'idle'", gb_last_error());
    gb_graph_free(back);
    assert_ok(gb_graph_instantiate(&back, model, 4, NULL, 0));
    assert_err(GB_ERR_ARG, gb_onnx_encode(&bytes, &size, back, NULL, 0, "new"));
    gb_graph_free(back);
    gb_graph_free(model);
    free(bytes);
}

static size_t count_files(const char *folder)
{
    size_t n = 0;
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));)
        n += entry->d_name[0] != '.';
    closedir(dir);
    return n;
}

// A file that may not grow past a few bytes stands for a full disk: the old model stays.
static void full_disk(void **state)
{
    char folder[] = "/tmp/gibbon-save-XXXXXX", path[64];
    struct rlimit before, tight;
    gb_graph *model = linear(), *back = NULL;
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/m.onnx", folder);
    assert_ok(gb_onnx_save(path, model, NULL, 0));
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(0, getrlimit(RLIMIT_FSIZE, &before));
    tight = before;
    tight.rlim_cur = 20;
    assert_int_equal(0, setrlimit(RLIMIT_FSIZE, &tight));
    int err = gb_onnx_save(path, model, &(gb_onnx_weight){"b", (float[3]){0}}, 1);
    assert_int_equal(0, setrlimit(RLIMIT_FSIZE, &before));
    assert_int_equal(GB_ERR_IO, err);
    assert_non_null(strstr(gb_last_error(), path));
    assert_int_equal(1, count_files(folder)); // nothing half-written is left
    assert_ok(gb_onnx_load(&back, path));
    same_values(model->node[0]->in, back->node[0]->in, 3);
    gb_graph_free(back);
    gb_graph_free(model);
    unlink(path);
    assert_err(GB_ERR_IO, gb_onnx_save("/nonexistent/m.onnx", (model = linear()), NULL, 0));
    gb_graph_free(model);
    rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_models), cmocka_unit_test(real_models),
        cmocka_unit_test(types_and_domains), cmocka_unit_test(casts_widen),
        cmocka_unit_test(new_weights), cmocka_unit_test(full_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
