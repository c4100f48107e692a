// The memory plan and the launches of a session as text.
#include "base/text.h"
#include "engine/internal.h"

#include "base/hash.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The value of a node that lies in a store, or whose gradient does; NULL: none, it is a constant.
static const gb_value *value_in(const gb_node *node, const gb_store *store)
{
    int n = node ? node->n_in + node->n_out + 1 : 0;
    for (int i = 0; i < n; i++) {
        const gb_value *v = i < node->n_in ? node->in[i]
                            : i == node->n_in ? node->residual : node->out[i - node->n_in - 1];
        const gb_store *at = v ? v->view.store : NULL;
        if (at && (at == store || at->grad == store))
            return v;
    }
    return NULL;
}

static double bytes_of(const gb_launch *l)
{
    double sum = 0;
    for (int a = 0; a < l->n_arg; a++) {
        const gb_store *store = l->arg[a].kind == GB_ARG_STORE ? l->arg[a].store : NULL;
        bool again = !store;
        for (int b = 0; b < a && !again; b++)
            again = l->arg[b].kind == GB_ARG_STORE && l->arg[b].store == store;
        if (again)
            continue;
        const gb_value *v = value_in(l->node, store); // a slice of the store, it may be
        double whole = (double)store->bytes, part = v ? 4.0 * (double)gb_shape_count(&v->shape) : 0;
        sum += v && part < whole ? part : whole;
    }
    return sum;
}

gb_launch_info gb_session_launch(const gb_session *s, size_t i)
{
    const gb_launch *l = s->emit.launch[i];
    const double chunks = (double)s->chunks;
    return (gb_launch_info){.node = l->node, .how = l->way ? l->way : l->kernel, .key = l->key,
                            .backward = l->backward, .flops = l->flops * chunks,
                            .bytes = bytes_of(l) * chunks,
                            .seconds = l->ready ? gb_kernel_seconds(l->ready) : 0};
}

// Without the tile: "gemm 14x32" is "gemm", but "winograd 2" and "winograd 4" differ.
static uint64_t hash_algorithm(uint64_t hash, const char *key, const char *way)
{
    hash = gb_hash(hash, key, strlen(key) + 1);
    return gb_hash(hash, way, strncmp(way, "winograd", 8) ? strcspn(way, " ") : strlen(way));
}

int gb_session_identify(gb_session_identity *out, const gb_session *s)
{
    const gb_device_info *i = gb_device_get_info(s->dev);
    uint64_t kernels, ways = GB_HASH_INIT;
    int err = gb_kernels_hash(&kernels);
    if (err < 0)
        return err;
    for (size_t k = 0; k < s->emit.n_launch; k++) {
        const gb_launch *l = s->emit.launch[k];
        if (l->key && l->way)
            ways = hash_algorithm(ways, l->key, l->way);
    }
    out->precision = gb_precision_names[i->precision];
    snprintf(out->device, sizeof out->device, "%s, %s, %s, %s%d%s", i->platform_name, i->name,
             i->driver, gb_device_type_name(i->type), i->vector_width,
             i->clblast ? ", CLBlast" : "");
    snprintf(out->program, sizeof out->program, "gibbon %s, kernels %016" PRIx64 ", algorithms %016"
             PRIx64, GIBBON_VERSION, kernels, ways);
    return 0;
}

size_t gb_session_stores(const gb_session *s)
{
    return s->emit.n_store;
}

// What a constant is for: of which half of the schedule, and by which algorithm.
static const char *group_of(const gb_session *s, const gb_store *store)
{
    static const char *const name[2][2] = {{"forward", "forward, Winograd"},
                                           {"to data", "to data, Winograd"}};
    if (store->kind != GB_STORE_CONST || store->first < 0)
        return "";
    if (!strcmp(store->what, "rows"))
        return "tables of rows";
    const gb_launch *l = s->emit.launch[store->first];
    return name[l->backward][l->way && !strncmp(l->way, "winograd", 8)];
}

gb_store_info gb_session_store(const gb_session *s, size_t i)
{
    const gb_store *t = s->emit.store[i];
    return (gb_store_info){.what = t->what, .kind = (int)t->kind, .group = group_of(s, t),
                           .bytes = t->bytes, .first = t->first + (t->over != NULL),
                           .last = t->last};
}

static void print_launch(FILE *f, size_t i, const gb_launch *l)
{
    gb_text(f, "%4zu %s %-10s %-16s %zux%zux%zu", i, l->backward ? "B" : "F", l->program, l->kernel,
            l->global[0], l->global[1], l->global[2]);
    if (l->flops > 0)
        gb_text(f, " %.1f MFLOP", l->flops * 1e-6);
    gb_text(f, "  %s\n", l->node ? gb_node_text(l->node) : "");
}

char *gb_session_plan_text(const gb_session *s)
{
    static const char *const kinds[] = {"arena", "constant", "io", "part", "extern"};
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    if (!f)
        return NULL;
    for (size_t i = 0; i < s->emit.n_launch; i++)
        print_launch(f, i, s->emit.launch[i]);
    for (size_t i = 0; i < s->emit.n_store; i++) {
        const gb_store *t = s->emit.store[i];
        if (t->first < 0)
            continue;
        gb_text(f, "%-9s %10zu bytes", kinds[t->kind], t->bytes);
        if (t->kind == GB_STORE_TEMP)
            fprintf(f, " at %10zu", t->offset);
        gb_text(f, "  launches %d-%d  %s\n", t->first, t->last, t->what);
    }
    fclose(f);
    return text;
}
