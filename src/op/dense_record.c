// Records dense layers: Gemm and MatMul with constant weights are a gathered GEMM of one tap; MatMul of
// two activations is op/matmul_record.c's.
#include "op/gathered.h"
#include "op/gemm.h"
#include "op/infer.h"
#include "op/record.h"
#include "op/product.h"

#include <stdlib.h>
#include <string.h>

// y[pixel][n] = sum_k x[pixel][k] * w[k*sk + n*sn] * scale + bias
typedef struct dense {
    int axis;       // of the channels of x and y
    int64_t k, n;
    int64_t sk, sn;
    float scale;
    const float *bias; // [n] or NULL
    const gb_pixels *residual;
} dense;

static gb_gathered gathered(const gb_node *node, const gb_pixels *x, const gb_pixels *y,
                            int64_t k, int64_t n)
{
    static const int64_t tap[1] = {0};
    static const int32_t here[1] = {0};
    return (gb_gathered){
        .x = *x, .y = *y, .x_image = 1, .y_image = 1, .images = y->count, .taps = 1, .points = 1,
        .rows = here, .outs = here, .groups = 1, .k = k, .n = n,
        .w = {.data = node->in[1]->data, .tap = tap}, .what = node->in[1]->name,
    };
}

static int forward(gb_emit *e, gb_node *node, const dense *d)
{
    gb_pixels x = gb_emit_pixels(e, node->in[0], d->axis), residual;
    gb_pixels y = gb_emit_out_pixels(e, node->out[0], d->axis);
    gb_gathered g = gathered(node, &x, &y, d->k, d->n);
    g.w.sk = d->sk;
    g.w.sn = d->sn;
    g.w.scale = d->scale;
    g.bias = d->bias;
    g.residual = d->residual;
    if (node->residual) {
        residual = gb_emit_pixels(e, node->residual, d->axis);
        g.residual = &residual;
    }
    if (node->act.on) {
        g.act = node->act;
        g.act_mask = gb_emit_mask(e, node->out[0], &y, node->act.slope);
    }
    gb_gathered_record(e, &g);
    return e->status;
}

static int backward(gb_emit *e, gb_node *node, const dense *d)
{
    gb_pixels dy;
    gb_emit_mask_apply(e, node->out[0], d->axis);
    gb_view grad = gb_emit_grad_of(e, node->out[0]);
    if (!grad.store || !gb_view_pixels(&dy, &grad, &node->out[0]->shape, d->axis))
        return e->status;
    if (node->in[0]->needs_grad) {
        gb_pixel_target t = gb_emit_target_pixels(e, node->in[0], d->axis);
        gb_gathered g = gathered(node, &dy, &t.pixels, d->n, d->k);
        g.w.sk = d->sn;
        g.w.sn = d->sk;
        g.w.scale = d->scale;
        g.add = t.add;
        g.mask = t.mask;
        g.mask_slope = t.mask_slope;
        gb_gathered_record(e, &g);
        gb_emit_target_done(e, &t, d->axis);
    }
    if (node->residual && node->residual->needs_grad)
        gb_emit_target_give(e, node->residual, node->out[0]);
    return e->status;
}

// --- Gemm ---

// beta * C as [rows][n], rows 1 or m; NULL where there is none, or after a failure.
static float *read_c(gb_emit *e, const gb_node *node, const gb_gemm *g, int64_t *rows)
{
    const gb_value *c = gb_input(node, 2);
    if (!c || g->beta == 0)
        return NULL;
    if (!c->data) {
        gb_emit_fail(e, gb_fail(GB_ERR_UNSUPPORTED, "%s: its third input (%s) must be a constant",
                                gb_node_text(node), c->name));
        return NULL;
    }
    int64_t rank = c->shape.rank, columns = rank ? c->shape.dim[rank - 1] : 1;
    *rows = rank == 2 ? c->shape.dim[0] : 1;
    const float *data = c->data->data;
    float *full = gb_arena_array(&e->arena, (size_t)(*rows * g->n), sizeof *full);
    if (!full) {
        gb_emit_fail(e, GB_ERR_NOMEM);
        return NULL;
    }
    for (int64_t i = 0; i < *rows; i++)
        for (int64_t j = 0; j < g->n; j++)
            full[i * g->n + j] = g->beta * data[i * columns + (columns == 1 ? 0 : j)];
    return full;
}

static gb_store *constant_c(gb_emit *e, const gb_node *node, const gb_gemm *g, const float *c,
                            int64_t rows)
{
    return gb_emit_const(e, c, (size_t)(rows * g->n) * sizeof *c, node->in[2]->name);
}

static bool gemm_is_dense(const gb_node *node, const gb_gemm *g)
{
    return node->in[1]->data && !node->in[0]->data && !g->trans_a;
}

static dense gemm_dense(const gb_gemm *g)
{
    return (dense){.axis = 1, .k = g->k, .n = g->n, .sk = g->trans_b ? 1 : g->n,
                   .sn = g->trans_b ? g->k : 1, .scale = g->alpha};
}

// The general Gemm: two activations, or a transposed first operand.
static int gemm_product(gb_emit *e, gb_node *node, const gb_gemm *g, bool back)
{
    gb_product p = {.m = g->m, .n = g->n, .k = g->k, .scale = g->alpha, .trans_a = g->trans_a,
                    .trans_b = g->trans_b};
    int64_t rows;
    if (back)
        return gb_product_backward(e, node, &p);
    gb_product_forward(e, node, &p);
    float *c = read_c(e, node, g, &rows);
    if (c) {
        const gb_view from = {.store = constant_c(e, node, g, c, rows),
                              .stride = {rows == 1 ? 0 : g->n, 1}};
        gb_emit_copy(e, &node->out[0]->shape, &node->out[0]->view, &from, true);
    }
    return e->status;
}

int gb_gemm_forward(gb_emit *e, gb_node *node)
{
    gb_gemm g;
    gb_pixels residual;
    int64_t rows;
    int err = gb_gemm_read(node, &g);
    if (err < 0)
        return err;
    if (!gemm_is_dense(node, &g))
        return gemm_product(e, node, &g, false);
    dense d = gemm_dense(&g);
    float *c = read_c(e, node, &g, &rows);
    if (c && rows == 1) {
        d.bias = c;
    } else if (c) {
        residual = (gb_pixels){.store = constant_c(e, node, &g, c, rows), .pitch = g.n,
                               .count = g.m, .channels = g.n};
        d.residual = &residual;
    }
    return e->status ? e->status : forward(e, node, &d);
}

int gb_gemm_backward(gb_emit *e, gb_node *node)
{
    gb_gemm g;
    int err = gb_gemm_read(node, &g);
    if (err < 0)
        return err;
    dense d = gemm_dense(&g);
    return gemm_is_dense(node, &g) ? backward(e, node, &d) : gemm_product(e, node, &g, true);
}

// --- MatMul ---

static bool matmul_is_dense(const gb_node *node)
{
    return node->in[1]->data && !node->in[0]->data && node->in[1]->shape.rank == 2 &&
           node->in[0]->shape.rank >= 2;
}

// A third input, put there by a pass, is a constant [n] bias.
static dense matmul_dense(const gb_node *node, const gb_matmul *g)
{
    const gb_value *bias = gb_input(node, 2);
    return (dense){.axis = node->out[0]->shape.rank - 1, .k = g->k, .n = g->n, .sk = g->n, .sn = 1,
                   .scale = 1, .bias = bias ? bias->data->data : NULL};
}

int gb_matmul_forward(gb_emit *e, gb_node *node)
{
    gb_matmul g;
    int err = gb_matmul_read(node, &g);
    if (err < 0)
        return err;
    dense d = matmul_dense(node, &g);
    gb_product p = {.m = g.m, .n = g.n, .k = g.k, .scale = 1, .batch = g.batch};
    return matmul_is_dense(node) ? forward(e, node, &d) : gb_product_forward(e, node, &p);
}

int gb_matmul_backward(gb_emit *e, gb_node *node)
{
    gb_matmul g;
    int err = gb_matmul_read(node, &g);
    if (err < 0)
        return err;
    dense d = matmul_dense(node, &g);
    gb_product p = {.m = g.m, .n = g.n, .k = g.k, .scale = 1, .batch = g.batch};
    return matmul_is_dense(node) ? backward(e, node, &d) : gb_product_backward(e, node, &p);
}
