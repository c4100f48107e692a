// Records dense layers: Gemm and MatMul with constant weights are a gathered GEMM of one tap;
// MatMul of two activations is op/matmul_record.c's.
#include "op/binary_record.h"
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
    gb_value *bias; // [n], one for all, or NULL
    float bias_scale;
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
        .w = {.value = node->in[1], .tap = tap}, .what = node->in[1]->name,
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
    g.bias_scale = d->bias_scale;
    g.residual = d->residual;
    if (node->residual) {
        residual = gb_emit_pixels(e, node->residual, d->axis);
        g.residual = &residual;
    }
    if (node->act.on)
        gb_gathered_act(e, &g, node);
    gb_gathered_record(e, &g);
    node->state = gb_arena_alloc(&e->arena, sizeof x);
    if (node->state)
        *(gb_pixels *)node->state = x;
    return node->state ? e->status : GB_ERR_NOMEM;
}

static int backward(gb_emit *e, gb_node *node, const dense *d)
{
    gb_pixels dy;
    gb_emit_mask_apply(e, node->out[0], d->axis);
    gb_view grad = gb_emit_grad_of(e, node->out[0]);
    if (!grad.store || !gb_view_pixels(&dy, &grad, &node->out[0]->shape, d->axis))
        return e->status;
    gb_gathered product = gathered(node, node->state, &dy, d->k, d->n);
    product.w.sk = d->sk;
    product.w.sn = d->sn;
    product.w.scale = d->scale;
    product.bias = d->bias;
    product.bias_scale = d->bias_scale;
    gb_gathered_weights_record(e, &product, &dy);
    if (node->in[0]->needs_grad) {
        gb_pixel_target t = gb_emit_target_pixels(e, node->in[0], d->axis,
                                                  GB_APPLIES_MASK | GB_APPLIES_SLOPES);
        gb_gathered g = gathered(node, &dy, &t.pixels, d->n, d->k);
        g.w.sk = d->sn;
        g.w.sn = d->sk;
        g.w.scale = d->scale;
        g.add = t.add;
        g.mask = t.mask;
        g.mask_slope = t.mask_slope;
        g.slopes = t.slopes;
        gb_gathered_record(e, &g);
        gb_emit_target_done(e, &t, d->axis);
    }
    if (node->residual && node->residual->needs_grad)
        gb_emit_target_give(e, node->residual, node->out[0]);
    return e->status;
}

// --- Gemm ---

// C is added to each row alike: [n], or a constant for all.
static bool is_bias(const gb_value *c, int64_t n)
{
    const int64_t count = gb_shape_count(&c->shape);
    return count == (c->shape.rank ? c->shape.dim[c->shape.rank - 1] : 1) &&
           (count == n || (count == 1 && c->data));
}

// beta * C, a constant, as an [m][n] residual where it is no bias.
static int read_c(gb_emit *e, gb_node *node, const gb_gemm *g, dense *d, gb_pixels *residual)
{
    gb_value *c = gb_input(node, 2);
    if (!c || g->beta == 0 || d->bias)
        return 0;
    int64_t rows = c->shape.dim[0], columns = c->shape.dim[1];
    float *full = gb_arena_array(&e->arena, (size_t)(g->m * g->n), sizeof *full);
    if (!full)
        return GB_ERR_NOMEM;
    for (int64_t i = 0; i < g->m; i++)
        for (int64_t j = 0; j < g->n; j++)
            full[i * g->n + j] =
                g->beta * (float)gb_tensor_get(c->data, (rows == 1 ? 0 : i) * columns +
                                                            (columns == 1 ? 0 : j));
    *residual = (gb_pixels){.pitch = g->n, .count = g->m, .channels = g->n};
    residual->store = gb_emit_const(e, full, (size_t)(g->m * g->n) * sizeof *full, c->name);
    d->residual = residual;
    return e->status;
}

// A gathered GEMM, C in its epilogue; otherwise a product of matrices and an addition.
static bool gemm_is_dense(const gb_node *node, const gb_gemm *g)
{
    const gb_value *c = gb_input(node, 2);
    return gb_is_weight(node->in[1]) && !node->in[0]->data && !g->trans_a &&
           (!c || c->data || (gb_is_weight(c) && is_bias(c, g->n)));
}

bool gb_gemm_is_layer(const gb_node *node)
{
    gb_gemm g;
    return gb_gemm_read(node, &g) == 0 && gemm_is_dense(node, &g);
}

static dense gemm_dense(const gb_node *node, const gb_gemm *g)
{
    gb_value *c = gb_input(node, 2);
    bool bias = c && g->beta != 0 && is_bias(c, g->n);
    return (dense){.axis = 1, .k = g->k, .n = g->n, .sk = g->trans_b ? 1 : g->n,
                   .sn = g->trans_b ? g->k : 1, .scale = g->alpha,
                   .bias = bias ? c : NULL, .bias_scale = g->beta};
}

static gb_product gemm_product(const gb_gemm *g)
{
    return (gb_product){.m = g->m, .n = g->n, .k = g->k, .scale = g->alpha,
                        .trans_a = g->trans_a, .trans_b = g->trans_b};
}

// y = beta * C + y
static int add_c(gb_emit *e, gb_node *node, const gb_gemm *g)
{
    gb_value *c = gb_input(node, 2), *y = node->out[0];
    if (!c || g->beta == 0)
        return e->status;
    gb_emit_in(e, c, GB_ORDER_PLAIN);
    gb_view beta = {.store = gb_emit_const(e, &g->beta, sizeof g->beta, "beta")};
    if (e->status)
        return e->status;
    gb_view wide = gb_input_wide(node, 2);
    gb_emit_ternary(e, &y->shape, &y->view, &beta, &wide, &y->view, GB_MUL_ADD);
    return e->status;
}

int gb_gemm_forward(gb_emit *e, gb_node *node)
{
    gb_gemm g;
    gb_pixels residual;
    int err = gb_gemm_read(node, &g);
    if (err < 0)
        return err;
    if (!gemm_is_dense(node, &g)) {
        gb_product p = gemm_product(&g);
        err = gb_product_forward(e, node, &p);
        return err < 0 ? err : add_c(e, node, &g);
    }
    dense d = gemm_dense(node, &g);
    err = read_c(e, node, &g, &d, &residual);
    return err < 0 ? err : forward(e, node, &d);
}

int gb_gemm_backward(gb_emit *e, gb_node *node)
{
    gb_gemm g;
    int err = gb_gemm_read(node, &g);
    if (err < 0)
        return err;
    dense d = gemm_dense(node, &g);
    if (gemm_is_dense(node, &g))
        return backward(e, node, &d);
    gb_product p = gemm_product(&g);
    gb_view dy = gb_emit_grad_of(e, node->out[0]);
    err = gb_product_backward(e, node, &p);
    if (err == 0 && gb_input(node, 2) && g.beta != 0 && dy.store)
        gb_emit_grad_term(e, node, 2, GB_TERM_P, g.beta, (const gb_view *[]){&dy}, 1);
    return err < 0 ? err : e->status;
}

// --- MatMul ---

static bool matmul_is_dense(const gb_node *node)
{
    return gb_is_weight(node->in[1]) && !node->in[0]->data && node->in[1]->shape.rank == 2 &&
           node->in[0]->shape.rank >= 2;
}

// A third input, put there by a pass, is an [n] bias.
static dense matmul_dense(const gb_node *node, const gb_matmul *g)
{
    return (dense){.axis = node->out[0]->shape.rank - 1, .k = g->k, .n = g->n, .sk = g->n, .sn = 1,
                   .scale = 1, .bias = gb_input(node, 2), .bias_scale = 1};
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
