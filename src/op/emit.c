// The recorder: launches and stores.
#include "op/emit.h"

#include "base/number.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void gb_emit_fail(gb_emit *e, int status)
{
    if (e->status == 0)
        e->status = status;
}

// --- launches ---

gb_launch *gb_emit_launch(gb_emit *e, const char *program, const char *kernel,
                          const char *options_format, ...)
{
    char options[256];
    va_list args;
    if (e->status)
        return NULL;
    va_start(args, options_format);
    gb_vformat(options, sizeof options, options_format, args);
    va_end(args);
    int err = gb_grow(&e->launch, &e->cap_launch, e->n_launch + 1, sizeof *e->launch);
    gb_launch *launch = err < 0 ? NULL : gb_arena_alloc(&e->arena, sizeof *launch);
    char *kept = launch ? gb_arena_strdup(&e->arena, options) : NULL;
    if (!kept) {
        gb_emit_fail(e, GB_ERR_NOMEM);
        return NULL;
    }
    *launch = (gb_launch){.program = program, .kernel = kernel, .options = kept, .node = e->node,
                          .backward = e->backward, .global = {1, 1, 1}};
    e->launch[e->n_launch++] = launch;
    return launch;
}

static gb_launch *current(gb_emit *e)
{
    return e->status ? NULL : e->launch[e->n_launch - 1];
}

void gb_emit_size(gb_emit *e, size_t gx, size_t gy, size_t gz)
{
    gb_launch *l = current(e);
    size_t one = e->info->wide ? 0 : 1;
    if (!l)
        return;
    memcpy(l->global, (size_t[3]){gx, gy, gz}, sizeof l->global);
    memcpy(l->local, (size_t[3]){one, one, one}, sizeof l->local);
    gb_program_ahead(e->dev, l->program, l->options);
}

void gb_emit_local(gb_emit *e, size_t lx, size_t ly, size_t lz)
{
    gb_launch *l = current(e);
    if (l)
        memcpy(l->local, (size_t[3]){lx, ly, lz}, sizeof l->local);
}

static void put(gb_emit *e, gb_arg arg)
{
    gb_launch *l = current(e);
    if (!l)
        return;
    if (l->n_arg == GB_MAX_ARGS) {
        gb_emit_fail(e, gb_fail(GB_ERR_UNSUPPORTED, "kernel %s: more than %d arguments", l->kernel,
                                GB_MAX_ARGS));
        return;
    }
    l->arg[l->n_arg++] = arg;
}

void gb_put_store(gb_emit *e, gb_store *store)
{
    put(e, (gb_arg){.kind = GB_ARG_STORE, .store = store});
}

void gb_put_view(gb_emit *e, const gb_view *view)
{
    gb_put_store(e, view->store);
    gb_put_i32(e, view->offset);
}

void gb_put_i32(gb_emit *e, int64_t v)
{
    if (v < INT32_MIN || v > INT32_MAX)
        gb_emit_fail(e, gb_fail(GB_ERR_DEVICE_MEM,
                                "%s: more than 2^31 elements in one tensor; use a smaller batch",
                                e->node ? gb_node_text(e->node) : "gradient"));
    put(e, (gb_arg){.kind = GB_ARG_I32, .i = (int32_t)v});
}

void gb_put_f32(gb_emit *e, float v)
{
    put(e, (gb_arg){.kind = GB_ARG_F32, .f = v});
}

void gb_put_local(gb_emit *e, size_t bytes)
{
    put(e, (gb_arg){.kind = GB_ARG_LOCAL, .local_bytes = bytes});
}

// --- stores ---

static gb_store *new_store(gb_emit *e, gb_store_kind kind, size_t bytes, const char *what)
{
    if (e->status)
        return NULL;
    int err = gb_grow(&e->store, &e->cap_store, e->n_store + 1, sizeof *e->store);
    gb_store *store = err < 0 ? NULL : gb_arena_alloc(&e->arena, sizeof *store);
    if (!store) {
        gb_emit_fail(e, GB_ERR_NOMEM);
        return NULL;
    }
    *store = (gb_store){.what = what, .kind = kind, .bytes = bytes, .first = -1, .last = -1,
                        .id = (int)e->n_store};
    e->store[e->n_store++] = store;
    return store;
}

gb_store *gb_emit_temp(gb_emit *e, size_t bytes, const char *what)
{
    return new_store(e, GB_STORE_TEMP, bytes, what);
}

gb_store *gb_emit_io(gb_emit *e, size_t bytes, const char *what)
{
    return new_store(e, GB_STORE_IO, bytes, what);
}

gb_store *gb_emit_part(gb_emit *e, gb_store *parent, size_t offset, size_t bytes, const char *what)
{
    gb_store *store = new_store(e, GB_STORE_PART, bytes, what);
    if (store) {
        store->parent = parent;
        store->offset = offset;
    }
    return store;
}

gb_store *gb_emit_extern(gb_emit *e, gb_buf *buf, size_t bytes, const char *what)
{
    gb_store *store = new_store(e, GB_STORE_EXTERN, bytes, what);
    if (store)
        store->buf = buf;
    return store;
}

gb_launch *gb_emit_gemm(gb_emit *e, const gb_gemm_call *call, gb_store *a, gb_store *b,
                        gb_store *c)
{
    gb_launch *l = gb_emit_launch(e, "clblast", "gemm", "%s", "");
    gb_gemm_call *kept = gb_arena_alloc(&e->arena, sizeof *kept);
    if (!l || !kept) {
        gb_emit_fail(e, GB_ERR_NOMEM);
        return NULL;
    }
    *kept = *call;
    l->gemm = kept;
    l->flops = 2.0 * (double)call->batches * (double)call->m * (double)call->n * (double)call->k;
    gb_put_store(e, a);
    gb_put_store(e, b);
    gb_put_store(e, c);
    return l;
}

gb_store *gb_emit_gather(gb_emit *e, gb_store *mine)
{
    gb_store *all = e->status ? NULL : gb_emit_temp(e, (size_t)e->ranks * mine->bytes, mine->what);
    gb_launch *launch = gb_emit_launch(e, "ranks", "gather", "%s", "");
    gb_put_store(e, mine);
    gb_put_store(e, all);
    if (launch)
        launch->gather = true;
    return all;
}

// Of what it begins with: where that and the size are the same, the rest is compared.
static uint64_t hash_bytes(const void *data, size_t bytes)
{
    const unsigned char *p = data;
    uint64_t h = 0xcbf29ce484222325u ^ bytes, word;
    bytes = bytes < 4096 ? bytes : 4096;
    for (; bytes >= 8; bytes -= 8, p += 8) {
        memcpy(&word, p, 8);
        h = (h ^ word) * 0x9E3779B97F4A7C15u;
        h ^= h >> 29;
    }
    for (; bytes; bytes--, p++)
        h = (h ^ *p) * 0x100000001b3u;
    return h;
}

// Room for one more constant, at least a bucket for each.
static int grow_buckets(gb_emit *e)
{
    const size_t n = e->n_bucket ? 2 * e->n_bucket : 64;
    if (e->n_const < e->n_bucket)
        return 0;
    gb_store **bucket = calloc(n, sizeof *bucket);
    if (!bucket)
        return gb_fail(GB_ERR_NOMEM, "out of memory for constants");
    for (size_t i = 0; i < e->n_store; i++) {
        gb_store *s = e->store[i];
        if (s->kind != GB_STORE_CONST)
            continue;
        s->next = bucket[s->hash % n];
        bucket[s->hash % n] = s;
    }
    free(e->bucket);
    e->bucket = bucket;
    e->n_bucket = n;
    return 0;
}

gb_store *gb_emit_const_take(gb_emit *e, void *data, size_t bytes, const char *what)
{
    if (!data && !e->status)
        gb_emit_fail(e, gb_fail(GB_ERR_NOMEM, "out of memory for constant %s", what));
    if (!e->status)
        gb_emit_fail(e, grow_buckets(e));
    uint64_t hash = data && !e->status ? hash_bytes(data, bytes) : 0;
    for (gb_store *s = e->status ? NULL : e->bucket[hash % e->n_bucket]; s; s = s->next) {
        if (s->hash == hash && s->bytes == bytes && memcmp(s->data, data, bytes) == 0) {
            free(data);
            return s;
        }
    }
    gb_store *store = new_store(e, GB_STORE_CONST, bytes, what);
    if (!store) {
        free(data);
        return NULL;
    }
    store->data = data;
    store->hash = hash;
    store->next = e->bucket[hash % e->n_bucket];
    e->bucket[hash % e->n_bucket] = store;
    e->n_const++;
    return store;
}

gb_store *gb_emit_const(gb_emit *e, const void *data, size_t bytes, const char *what)
{
    void *copy = e->status ? NULL : malloc(bytes ? bytes : 1);
    if (copy)
        memcpy(copy, data, bytes);
    return gb_emit_const_take(e, copy, bytes, what);
}

void gb_store_drop_data(gb_store *store)
{
    free(store->data);
    store->data = NULL;
}

void gb_emit_over(gb_emit *e, gb_store *out, gb_store *in)
{
    if (!e->status)
        out->over = in;
}

// --- begin and end ---

// Chooses, for each value that a Concat along channels reads, the largest such Concat.
static int find_concats(gb_emit *e)
{
    gb_graph *g = e->graph;
    e->concat = gb_arena_array(&e->arena, g->n_value + 1, sizeof(gb_node *));
    e->concat_start = gb_arena_array(&e->arena, g->n_value + 1, sizeof *e->concat_start);
    if (!e->concat || !e->concat_start)
        return GB_ERR_NOMEM;
    for (size_t n = 0; n < g->n_node; n++) {
        gb_node *node = g->node[n];
        if (strcmp(node->type, "Concat") != 0)
            continue;
        const gb_shape *shape = &node->out[0]->shape;
        int64_t axis = gb_attr_int(node, "axis", 1);
        if (axis < 0)
            axis += shape->rank;
        if (axis != 1 && axis != shape->rank - 1)
            continue; // a slice along other axes is no pixel matrix
        if (axis != 1 && shape->rank > 2 && shape->dim[axis] == 0)
            continue;
        int64_t start = 0;
        for (int i = 0; i < node->n_in; start += node->in[i++]->shape.dim[axis]) {
            gb_value *v = node->in[i];
            gb_node **best = &e->concat[v->id];
            if (!v->producer || (*best && gb_shape_count(&(*best)->out[0]->shape) >=
                                              gb_shape_count(shape)))
                continue;
            *best = node;
            e->concat_start[v->id] = start;
        }
    }
    return 0;
}

int gb_emit_init(gb_emit *e, gb_device *dev, gb_graph *graph, bool want_grad)
{
    *e = (gb_emit){.dev = dev, .info = gb_device_get_info(dev), .graph = graph,
                   .want_grad = want_grad, .ranks = 1};
    e->status = gb_graph_readers(&e->readers, graph);
    if (e->status == 0)
        e->status = find_concats(e);
    return e->status;
}

void gb_emit_finish(gb_emit *e)
{
    for (size_t i = 0; i < e->n_store; i++)
        gb_store_drop_data(e->store[i]);
    free(e->packing.table);
    gb_readers_free(&e->readers);
    free(e->launch);
    free(e->store);
    free(e->bucket);
    gb_arena_finish(&e->arena);
    *e = (gb_emit){0};
}
