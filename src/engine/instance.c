// From a model to an instance: every shape known for one batch, constants folded, no-ops gone.
#include "engine/instance.h"

#include "base/hash.h"
#include "engine/fold.h"
#include "engine/rebatch.h"
#include "op/images.h"
#include "op/index.h"
#include "op/op.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct build {
    const gb_graph *model;
    gb_graph *g;
    gb_value **map;            // [id in the model]: its value here
    bool *is_output;           // [id in the model]
    const gb_binding *binding;
    size_t n_binding;
    const gb_params *params;
    bool shapes_only;
    double fold_seconds; // 0: as usual
    gb_folding folding;
    const gb_rebatch *rebatch; // NULL: at the model's own batch
    // [id in the model]: hashes of folded constants, 0 for other values; and those at another
    // batch: what differs there depends on how many images there are. NULL: not asked for.
    uint64_t *hash;
    const uint64_t *other;
} build;

static int check_operators(const gb_graph *model)
{
    char *text;
    int err = gb_model_unsupported(&text, model);
    if (err == 0 && text)
        err = gb_fail(GB_ERR_UNSUPPORTED, "operators that gibbon does not have: %s", text);
    free(text);
    return err;
}

// --- inputs ---

static const gb_tensor *bound(const build *b, const char *name)
{
    for (size_t i = 0; i < b->n_binding; i++)
        if (strcmp(b->binding[i].name, name) == 0)
            return b->binding[i].data;
    return NULL;
}

static bool fits(const gb_shape *model, const gb_shape *given)
{
    bool same = model->rank == given->rank;
    for (int d = 0; same && d < model->rank; d++)
        same = model->dim[d] < 0 || model->dim[d] == given->dim[d];
    return same;
}

static int add_bound(build *b, const gb_value *input, const gb_tensor *data)
{
    char a[160], c[160];
    bool floats = input->type == GB_F32, given = data->type == GB_F32 || data->type == GB_F64;
    if (!fits(&input->shape, &data->shape) || floats != given)
        return gb_fail(GB_ERR_ARG, "input '%.200s' is %s of %s, not %s of %s", input->name,
                       gb_shape_text(a, sizeof a, &input->shape), floats ? "floats" : "integers",
                       gb_shape_text(c, sizeof c, &data->shape), given ? "floats" : "integers");
    gb_tensor *copy = gb_tensor_create(&b->g->arena, input->type, &data->shape);
    if (!copy)
        return GB_ERR_NOMEM;
    copy->ints = input->ints;
    if (copy->type == data->type)
        memcpy(copy->data, data->data, gb_tensor_bytes(copy));
    for (int64_t i = 0; copy->type != data->type && i < gb_shape_count(&copy->shape); i++)
        gb_tensor_set(copy, i, gb_tensor_get(data, i));
    b->map[input->id] = gb_graph_constant(b->g, input->name, copy);
    return b->map[input->id] ? 0 : GB_ERR_NOMEM;
}

// Inputs with the batch as leading dimension, where the model leaves it open or has its own there.
static int add_inputs(build *b)
{
    int err = 0;
    for (size_t i = 0; i < b->model->n_in; i++) {
        const gb_value *input = b->model->in[i];
        const gb_tensor *data = bound(b, input->name);
        char text[160];
        if (data) {
            GB_TRY(add_bound(b, input, data));
            continue;
        }
        gb_value *v = gb_graph_value(b->g, input->name);
        if (!v)
            return GB_ERR_NOMEM;
        v->type = input->type;
        v->ints = input->ints;
        v->shape = input->shape;
        bool by_image = v->shape.rank > 0 &&
                        (v->shape.dim[0] < 0 || v->shape.dim[0] == b->g->batch_in_model);
        if (by_image)
            v->shape.dim[0] = b->g->batch;
        for (int d = 0; d < v->shape.rank; d++)
            if (v->shape.dim[d] < 0)
                return gb_fail(GB_ERR_UNSUPPORTED, "input '%.200s' is %s: only the batch may be "
                               "open; export the model with a fixed picture size", input->name,
                               gb_shape_text(text, sizeof text, &input->shape));
        if (gb_shape_count(&v->shape) < 0)
            return gb_fail(GB_ERR_ARG, "input '%.200s' is too large: %s", input->name,
                           gb_shape_text(text, sizeof text, &v->shape));
        if (by_image && b->g->batch > 1 && gb_shape_count(&v->shape) > 0)
            v->images = (gb_images){GB_IMAGES_APART, gb_images_step(&v->shape, 0)};
        b->map[input->id] = v;
        GB_TRY(gb_graph_add_input(b->g, v));
    }
fail:
    return err;
}

static int check_bindings(const build *b)
{
    for (size_t i = 0; i < b->n_binding; i++) {
        bool found = false;
        for (size_t k = 0; k < b->model->n_in; k++)
            found |= strcmp(b->model->in[k]->name, b->binding[i].name) == 0;
        if (!found)
            return gb_fail(GB_ERR_ARG, "the model has no input '%.200s'", b->binding[i].name);
    }
    return 0;
}

// --- nodes ---

// The value here of one in the model; constants come over at their first use, sharing their data.
static gb_value *value_of(build *b, const gb_value *original)
{
    gb_value **v = &b->map[original->id];
    int param = b->params ? b->params->of_value[original->id] : 0;
    if (!*v && param) {
        *v = gb_graph_value(b->g, original->name);
        if (*v) {
            (*v)->type = GB_F32;
            (*v)->shape = original->data->shape;
            (*v)->param = param;
        }
    } else if (!*v && original->data) {
        *v = gb_graph_constant(b->g, original->name, original->data);
    }
    return *v;
}

static gb_node *copy_node(build *b, const gb_node *original)
{
    gb_node *node = gb_graph_node(b->g, original->type, original->name, original->n_in,
                                  original->n_out, 0);
    if (!node)
        return NULL;
    node->opset = original->opset;
    node->n_attr = original->n_attr;
    node->attr = original->attr; // the model outlives the instance
    node->op = gb_op_find(node->type);
    for (int i = 0; i < node->n_in; i++)
        if (original->in[i] && !(node->in[i] = value_of(b, original->in[i])))
            return NULL;
    for (int i = 0; i < node->n_out; i++) {
        if (!original->out[i] || (i > 0 && !original->out[i]->uses))
            continue; // nobody reads it: Dropout's mask, as a rule
        if (!(node->out[i] = gb_graph_value(b->g, original->out[i]->name)))
            return NULL;
        node->out[i]->producer = node;
    }
    return node;
}

static bool is_foldable(const gb_node *node)
{
    if (!node->op->eval)
        return false;
    for (int i = 0; i < node->n_in; i++)
        if (node->in[i] && !node->in[i]->data && !node->op->shape_only)
            return false;
    return true;
}

// True if the first output is the first input, element by element in the same shape.
static int is_noop(bool *noop, const gb_node *node)
{
    static const char *const renames[] = {"Identity", "Dropout", "Cast", "Reshape", "Flatten",
                                          "Squeeze", "Unsqueeze", "Concat"};
    static const char *const indices[] = {"Slice", "Split", "Pad", "Tile", "Expand", "Resize",
                                          "Upsample"};
    int err = 0;
    *noop = false;
    for (int i = 1; i < node->n_out; i++)
        if (node->out[i])
            return 0;
    const gb_value *x = node->n_in > 0 ? node->in[0] : NULL, *y = node->out[0];
    if (!x || !y || x->type != y->type || x->ints != y->ints ||
        !gb_shape_equal(&x->shape, &y->shape))
        return 0;
    for (size_t i = 0; i < GB_COUNT(renames); i++)
        if (strcmp(node->type, renames[i]) == 0)
            *noop = true;
    for (size_t i = 0; i < GB_COUNT(indices); i++) {
        if (strcmp(node->type, indices[i]) != 0)
            continue;
        gb_arena arena = {0};
        gb_index map;
        err = gb_index_read(&map, &arena, node, 0);
        *noop = err == 0;
        for (int d = 0; err == 0 && d < map.mapped.rank; d++)
            *noop &= map.axis[d].affine && map.axis[d].first == 0 && map.axis[d].step == 1;
        gb_arena_finish(&arena);
    }
    return err;
}

static int check_shapes(const gb_node *node)
{
    for (int i = 0; i < node->n_out; i++) {
        char text[160];
        const int64_t count = node->out[i] ? gb_shape_count(&node->out[i]->shape) : 0;
        if (count < 0 || count > INT64_MAX / 8) // whose bytes could not be counted
            return gb_fail(GB_ERR_ARG, "%s: an output of %s is not possible", gb_node_text(node),
                           gb_shape_text(text, sizeof text, &node->out[i]->shape));
    }
    return 0;
}

static uint64_t hash_of(const gb_tensor *t)
{
    uint64_t hash = gb_hash(GB_HASH_INIT, &t->shape.rank, sizeof t->shape.rank);
    hash = gb_hash(hash, t->shape.dim, sizeof *t->shape.dim * (size_t)t->shape.rank);
    return gb_hash(hash, t->data, gb_tensor_bytes(t)) | 1;
}

// Only what differs at another batch depends on how many images there are.
static void settle_counted(const build *b, const gb_node *node, const gb_node *original)
{
    for (int k = 0; k < node->n_out; k++) {
        gb_value *v = node->out[k];
        if (v && v->data && b->hash)
            b->hash[original->out[k]->id] = hash_of(v->data);
        if (!v || v->images.kind != GB_IMAGES_COUNTED)
            continue;
        const uint64_t there = b->other ? b->other[original->out[k]->id] : 0;
        if (!b->other || (there && v->data && hash_of(v->data) == there))
            v->images.kind = GB_IMAGES_NONE;
    }
}

static int add_node(build *b, const gb_node *original)
{
    bool noop = false, folded = false;
    int err = 0;
    gb_node *node = copy_node(b, original);
    if (!node)
        return GB_ERR_NOMEM;
    if (b->rebatch)
        GB_TRY(gb_rebatch_adapt(b->rebatch, node, original));
    GB_TRY(node->op->infer(node));
    GB_TRY(check_shapes(node));
    gb_images_follow(node);
    if (b->rebatch)
        GB_TRY(gb_rebatch_check(b->rebatch, node, original));
    if (is_foldable(node))
        GB_TRY(gb_fold(&b->folding, node, &folded));
    if (!folded)
        GB_TRY(is_noop(&noop, node));
    settle_counted(b, node, original);
    if (noop && b->is_output[original->out[0]->id])
        noop = false; // the output keeps its name
    for (int i = 0; i < node->n_out; i++) {
        if (!node->out[i])
            continue;
        gb_value *v = noop ? node->in[0] : node->out[i];
        b->map[original->out[i]->id] = v;
        v->uses += original->out[i]->uses;
    }
    for (int i = 0; i < node->n_in && (folded || noop); i++)
        if (original->in[i])
            gb_fold_release(&b->folding, b->map[original->in[i]->id]);
    if (folded || noop)
        b->g->n_node--;
fail:
    return err;
}

// --- the whole ---

// Builds the instance into b->g; on failure b->g is freed.
static int build_graph(build *b, int64_t batch, int64_t batch_in_model)
{
    const gb_graph *model = b->model;
    int err = 0;
    b->g = gb_graph_create();
    b->map = calloc(model->n_value + 1, sizeof *b->map);
    b->is_output = calloc(model->n_value + 1, sizeof *b->is_output);
    if (!b->g || !b->map || !b->is_output) {
        err = gb_fail(GB_ERR_NOMEM, "out of memory");
        goto fail;
    }
    gb_folding_begin(&b->folding, b->g, b->fold_seconds, b->shapes_only);
    b->g->opset = model->opset;
    b->g->ir_version = model->ir_version;
    b->g->producer = model->producer;
    b->g->batch = batch;
    b->g->batch_in_model = batch_in_model;
    for (size_t i = 0; i < model->n_meta; i++)
        GB_TRY(gb_graph_add_meta(b->g, model->meta_key[i], model->meta_value[i]));
    for (size_t i = 0; i < model->n_out; i++)
        b->is_output[model->out[i]->id] = true;
    GB_TRY(check_bindings(b));
    GB_TRY(add_inputs(b));
    for (size_t i = 0; i < model->n_node; i++)
        GB_TRY(add_node(b, model->node[i]));
    for (size_t i = 0; i < model->n_out; i++) {
        gb_value *v = value_of(b, model->out[i]);
        if (!v) {
            err = GB_ERR_NOMEM;
            goto fail;
        }
        if (b->rebatch)
            GB_TRY(gb_rebatch_check_output(b->rebatch, v, model->out[i]->id));
        GB_TRY(gb_graph_add_output(b->g, v));
    }
    GB_TRY(gb_find_mixing(b->g));
    GB_TRY(gb_graph_prune(b->g));
fail:
    if (b->g && gb_folding_end(&b->folding) < 0)
        err = GB_ERR_NOMEM;
    if (err < 0) {
        gb_graph_free(b->g);
        b->g = NULL;
    }
    return err;
}

static void finish(build *b)
{
    free(b->map);
    free(b->is_output);
    b->map = NULL;
    b->is_output = NULL;
}

static int only_at(int64_t own)
{
    return gb_fail_in(GB_ERR_UNSUPPORTED, "the model only runs at its own batch of %" PRId64, own);
}

static int refuse_mixing(const gb_graph *g, int64_t own)
{
    if (!g->mixes)
        return 0;
    gb_fail(GB_ERR_UNSUPPORTED, "%s", g->mixes);
    return only_at(own);
}

int gb_graph_instantiate(gb_graph **out, const gb_graph *model, int64_t batch,
                         const gb_binding *binding, size_t n_binding)
{
    return gb_graph_instantiate_with(out, model, batch, binding, n_binding, NULL, 0);
}

// The model's own batch: the first input that is not bound decides. 0: open.
static int64_t own_batch(const build *b)
{
    for (size_t i = 0; i < b->model->n_in; i++) {
        const gb_shape *shape = &b->model->in[i]->shape;
        if (shape->rank > 0 && !bound(b, b->model->in[i]->name))
            return shape->dim[0] > 0 ? shape->dim[0] : 0;
    }
    return 0;
}

static bool asks_for_shapes(const gb_graph *model)
{
    bool asks = false;
    for (size_t i = 0; i < model->n_node && !asks; i++)
        asks = gb_op_find(model->node[i]->type)->shape_only;
    return asks;
}

// Builds the instance for a batch that is not the model's own, `other` being the one that is.
static int build_at_another(build *b, int64_t batch, const build *other)
{
    const size_t n = b->model->n_value;
    const int64_t own = other->g->batch;
    gb_shape *shapes = calloc(n + 1, sizeof *shapes);
    gb_images *images = calloc(n + 1, sizeof *images);
    const gb_rebatch rebatch = {.from = own, .to = batch, .old = shapes, .images = images};
    int err = shapes && images ? refuse_mixing(other->g, own) : gb_fail(GB_ERR_NOMEM, "no memory");
    GB_TRY(err);
    for (size_t i = 0; i < n; i++) {
        shapes[i] = other->map[i] ? other->map[i]->shape : b->model->value[i]->shape;
        images[i] = other->map[i] ? other->map[i]->images : (gb_images){0};
    }
    b->rebatch = &rebatch;
    err = build_graph(b, batch, own);
    if (err == 0)
        err = refuse_mixing(b->g, own);
    else if (err != GB_ERR_NOMEM)
        err = only_at(own);
fail:
    b->rebatch = NULL;
    free(images);
    free(shapes);
    return err;
}

// Builds the instance into b->g.
static int instantiate(build *b, int64_t batch)
{
    build other = *b, third = *b;
    uint64_t *hash = NULL;
    int err = 0;
    GB_TRY(check_operators(b->model));
    int64_t own = own_batch(b);
    if (batch < 0)
        return gb_fail(GB_ERR_ARG, "a batch of %" PRId64 " is not possible", batch);
    if (batch == 0)
        batch = own ? own : 1;
    const bool asks = asks_for_shapes(b->model), another = own && batch != own;
    other.shapes_only = third.shapes_only = true;
    if (asks && !(hash = calloc(b->model->n_value + 1, sizeof *hash)))
        return gb_fail(GB_ERR_NOMEM, "out of memory");
    other.hash = hash;
    if (own > 1 && batch == 1 && asks) // one image has nothing to compare
        GB_TRY(instantiate(&third, own + 1));
    if (another)
        GB_TRY(build_graph(&other, own, own));
    else if (batch > 1 && !own && asks)
        build_graph(&other, 1, 0); // where it fails there is nothing to compare with
    b->other = other.g ? hash : NULL;
    err = another ? build_at_another(b, batch, &other) : build_graph(b, batch, own);
fail:
    if (err < 0) {
        gb_graph_free(b->g);
        b->g = NULL;
    }
    b->other = NULL;
    finish(b);
    gb_graph_free(other.g);
    gb_graph_free(third.g);
    finish(&other);
    free(hash);
    return err;
}

int gb_graph_instantiate_with(gb_graph **out, const gb_graph *model, int64_t batch,
                              const gb_binding *binding, size_t n_binding,
                              const gb_params *params, double fold_seconds)
{
    build b = {.model = model, .binding = binding, .n_binding = n_binding, .params = params,
               .fold_seconds = fold_seconds};
    int err = instantiate(&b, batch);
    *out = b.g;
    return err;
}

int gb_graph_mixes(char **why, const gb_graph *model, int64_t batch, const gb_binding *binding,
                   size_t n_binding)
{
    build b = {.model = model, .binding = binding, .n_binding = n_binding, .shapes_only = true};
    *why = NULL;
    int err = instantiate(&b, batch);
    if (err < 0)
        return err;
    if (b.g->mixes && !(*why = strdup(b.g->mixes)))
        err = gb_fail(GB_ERR_NOMEM, "out of memory");
    gb_graph_free(b.g);
    return err;
}
