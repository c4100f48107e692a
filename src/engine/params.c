// Finds the parameters of a model and keeps them on a device.
#include "engine/params.h"

#include <stdlib.h>
#include <string.h>

typedef enum role { NONE, STATE, TRAINABLE } role;

// What an operator's inputs are, as bits by index.
static const struct {
    const char *type;
    unsigned trainable, state;
} roles[] = {
    {"Conv", 6, 0},
    {"Gemm", 7, 0},
    {"MatMul", 3, 0},
    {"BatchNormalization", 6, 24},
    {"InstanceNormalization", 6, 0},
    {"LayerNormalization", 6, 0},
    {"GroupNormalization", 6, 0},
    {"PRelu", 2, 0},
};

static bool is_any(const char *type, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(type, list[i]) == 0)
            return true;
    return false;
}

static role role_of(const gb_node *node, int i, const unsigned char *role_of_value)
{
    static const char *const movers[] = {"Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze",
                                         "Identity", "Expand", "Slice", "Split", "Gather"};
    static const char *const pairs[] = {"Add", "Mul"};
    const gb_value *v = node->in[i];
    for (size_t k = 0; k < GB_COUNT(roles); k++)
        if (strcmp(node->type, roles[k].type) == 0)
            return roles[k].trainable >> i & 1 ? TRAINABLE : roles[k].state >> i & 1 ? STATE : NONE;
    if (is_any(node->type, pairs, GB_COUNT(pairs)))
        return gb_shape_count(&v->shape) != 1 ? TRAINABLE : NONE;
    if (strcmp(node->type, "Concat") == 0) // a class token in front of an image's sequence
        return v->shape.rank == 3 ? TRAINABLE : NONE;
    if (i == 0 && is_any(node->type, movers, GB_COUNT(movers)))
        for (int k = 0; k < node->n_out; k++)
            if (node->out[k] && role_of_value[node->out[k]->id] == TRAINABLE)
                return TRAINABLE;
    return NONE;
}

static void add(gb_params *p, gb_value *v, bool trainable)
{
    gb_param *param = &p->param[p->n_param++];
    *param = (gb_param){.name = v->name, .shape = v->shape, .offset = p->total,
                        .count = (size_t)gb_shape_count(&v->shape), .trainable = trainable};
    p->total += param->count;
    p->of_value[v->id] = (int)p->n_param;
}

static int find(gb_params *p)
{
    const gb_graph *g = p->model;
    unsigned char *found = calloc(g->n_value + 1, 1);
    p->param = calloc(g->n_value + 1, sizeof *p->param);
    p->of_value = calloc(g->n_value + 1, sizeof *p->of_value);
    if (!found || !p->param || !p->of_value) {
        free(found);
        return gb_fail(GB_ERR_NOMEM, "out of memory for parameters");
    }
    for (size_t n = g->n_node; n-- > 0;) { // readers before what they read
        const gb_node *node = g->node[n];
        for (int i = 0; i < node->n_in; i++) {
            role r = node->in[i] ? role_of(node, i, found) : NONE;
            if (r > found[node->in[i] ? node->in[i]->id : 0])
                found[node->in[i]->id] = (unsigned char)r;
        }
    }
    for (role r = TRAINABLE; r > NONE; r--) {
        for (size_t i = 0; i < g->n_value; i++) {
            gb_value *v = g->value[i];
            if (v->data && v->data->type == GB_F32 && found[v->id] == r &&
                gb_shape_count(&v->shape) > 0)
                add(p, v, r == TRAINABLE);
        }
        if (r == TRAINABLE)
            p->trainable = p->total;
    }
    free(found);
    return p->trainable ? 0 : gb_fail(GB_ERR_ARG, "the model has nothing to train");
}

bool gb_params_any(const gb_graph *model)
{
    gb_params p = {.model = model};
    int err = find(&p);
    free(p.param);
    free(p.of_value);
    return err == 0;
}

static int upload_initial(gb_params *p)
{
    const gb_graph *g = p->model;
    int err = 0;
    float *host = malloc(p->total * sizeof *host);
    if (!host)
        return gb_fail(GB_ERR_NOMEM, "out of memory for parameters");
    for (size_t i = 0; i < g->n_value; i++) {
        int k = p->of_value[g->value[i]->id];
        if (k)
            memcpy(host + p->param[k - 1].offset, g->value[i]->data->data,
                   p->param[k - 1].count * sizeof *host);
    }
    err = gb_params_upload(p, host);
    free(host);
    return err;
}

int gb_params_create(gb_params **out, gb_device *dev, const gb_graph *model)
{
    int err = 0;
    gb_params *p = calloc(1, sizeof *p);
    if (!p)
        return gb_fail(GB_ERR_NOMEM, "out of memory for parameters");
    p->dev = dev;
    p->model = model;
    GB_TRY(find(p));
    GB_TRY(gb_buf_create(&p->value, dev, p->total * sizeof(float)));
    GB_TRY(upload_initial(p));
    *out = p;
    return 0;
fail:
    gb_params_free(p);
    return err;
}

void gb_params_free(gb_params *p)
{
    if (!p)
        return;
    gb_buf_free(p->value);
    free(p->param);
    free(p->of_value);
    free(p);
}

int gb_params_download(const gb_params *p, float *host)
{
    return gb_buf_read(p->value, 0, host, p->total * sizeof *host);
}

int gb_params_upload(gb_params *p, const float *host)
{
    return gb_buf_write(p->value, 0, host, p->total * sizeof *host);
}
