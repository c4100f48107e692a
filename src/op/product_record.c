// Records batched products: forward, and dA = dC B', dB = A' dC with the same kernel.
#include "op/product.h"

#include "op/choice.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// A batch of matrices: element (b..., row, col).
typedef struct matrices {
    gb_store *store;
    int64_t offset, row, col; // strides
    int64_t batch[GB_MAX_RANK];
} matrices;

static matrices transposed(matrices m)
{
    int64_t row = m.row;
    m.row = m.col;
    m.col = row;
    return m;
}

// A view of rank r as matrices under a batch; vectors are rows (left) or columns (right).
static matrices as_matrices(const gb_view *view, const gb_shape *shape, const gb_shape *batch,
                            bool right, bool swap)
{
    matrices m = {.store = view->store, .offset = view->offset};
    if (shape->rank == 1) {
        *(right ? &m.row : &m.col) = view->stride[0];
        return m;
    }
    m.row = view->stride[shape->rank - 2];
    m.col = view->stride[shape->rank - 1];
    for (int i = 0; i < batch->rank; i++) {
        int d = i - batch->rank + shape->rank - 2;
        m.batch[i] = d >= 0 && shape->dim[d] > 1 ? view->stride[d] : 0;
    }
    return swap ? transposed(m) : m;
}

// A temporary for batch x rows x cols elements, once for each that differs, columns contiguous;
// with the views that copy between it and m.
static matrices dense_temp(gb_emit *e, const matrices *m, const gb_shape *batch, int64_t rows,
                           int64_t cols, gb_shape *shape, gb_view *there, gb_view *here)
{
    matrices temp = {.row = cols, .col = 1};
    *shape = (gb_shape){.rank = batch->rank + 2};
    *there = (gb_view){.store = m->store, .offset = m->offset};
    *here = (gb_view){0};
    for (int i = 0; i < batch->rank; i++) {
        shape->dim[i] = m->batch[i] ? batch->dim[i] : 1;
        there->stride[i] = m->batch[i];
    }
    shape->dim[batch->rank] = rows;
    shape->dim[batch->rank + 1] = cols;
    there->stride[batch->rank] = m->row;
    there->stride[batch->rank + 1] = m->col;
    gb_view_dense(here, shape, GB_ORDER_PLAIN);
    temp.store = here->store =
        gb_emit_temp(e, (size_t)gb_shape_count(shape) * sizeof(float), "copy");
    for (int i = 0; i < batch->rank; i++)
        temp.batch[i] = m->batch[i] ? here->stride[i] : 0;
    return temp;
}

// [3][batches]: offsets of A, B and C.
static int32_t *offsets(gb_emit *e, const gb_shape *batch, const matrices *const m[3])
{
    int64_t count = gb_shape_count(batch);
    int32_t *table = gb_arena_array(&e->arena, (size_t)(3 * count), sizeof *table);
    for (int which = 0; table && which < 3; which++) {
        int64_t index[GB_MAX_RANK] = {0}, at = m[which]->offset;
        for (int64_t b = 0; b < count; b++) {
            if (at > INT32_MAX)
                gb_put_i32(e, at); // says that the tensor is too large
            table[which * count + b] = (int32_t)at;
            for (int d = batch->rank - 1; d >= 0; d--) {
                at += m[which]->batch[d];
                if (++index[d] < batch->dim[d])
                    break;
                at -= m[which]->batch[d] * batch->dim[d];
                index[d] = 0;
            }
        }
    }
    if (!table)
        gb_emit_fail(e, GB_ERR_NOMEM);
    return table;
}

// Whether a BLAS can read rows x cols as they lie, and how.
static bool blas_reads(const matrices *x, int64_t rows, int64_t cols, bool *trans, int64_t *ld)
{
    bool plain = (x->col == 1 || cols == 1) && (x->row >= cols || rows == 1);
    bool turned = (x->row == 1 || rows == 1) && (x->col >= rows || cols == 1);
    *trans = !plain;
    *ld = plain ? (rows == 1 ? cols : x->row) : cols == 1 ? rows : x->col;
    return plain || turned;
}

// Records CLBlast's GEMM; false where it cannot read the operands.
static bool product_by_clblast(gb_emit *e, const matrices *c, const matrices *a, const matrices *b,
                               gb_gemm_call call)
{
    bool trans_c;
    if (!blas_reads(a, call.m, call.k, &call.trans_a, &call.lda) ||
        !blas_reads(b, call.k, call.n, &call.trans_b, &call.ldb) ||
        !blas_reads(c, call.m, call.n, &trans_c, &call.ldc) || trans_c)
        return false;
    gb_emit_gemm(e, &call, a->store, b->store, c->store);
    return true;
}

// How a factor lies, as its product is looked up.
static char lie_of(const matrices *x, int64_t rows, int64_t cols)
{
    bool trans;
    int64_t ld;
    return !blas_reads(x, rows, cols, &trans, &ld) ? 's' : trans ? 't' : 'n';
}

// By the vectors that a device has: 32 registers of 16 floats, 16 of 8 or 4, and what is known of
// graphics processors.
const char *const *gb_product_ways(const gb_device_info *info)
{
    static const char *const of16[] = {"product 8x32", "product 10x32", "product 14x32",
                                       "product 8x16", "product 14x16", NULL};
    static const char *const of8[] = {"product 6x16", "product 4x16", "product 12x8",
                                      "product 6x8", NULL};
    static const char *const of4[] = {"product 6x8", "product 4x8", "product 6x4", NULL};
    static const char *const of1[] = {"product 4x4", "product 8x4", "product 8x8", "product 2x4",
                                      NULL};
    switch (info->vector_width) {
    case 16: return of16;
    case 8: return of8;
    case 4: return of4;
    default: return of1;
    }
}

// The tile that was chosen for this device, or the usual one: one vector across where that will do.
static void choose_tile(int *mr, int *nr, const gb_device_info *info, const char *chosen, int64_t n)
{
    const char *const *known = gb_product_ways(info), *usual = *known;
    while (chosen && *known && strcmp(*known, chosen) != 0)
        known++;
    const bool found = chosen && *known;
    sscanf(found ? *known : usual, "product %dx%d", mr, nr);
    if (!found && info->vector_width > 1 && n <= info->vector_width)
        *nr = info->vector_width;
}

// C (+)= scale * A B. The kernel wants contiguous columns in B and C: what is not is swapped (C' =
// B' A') or copied.
static void product(gb_emit *e, const gb_shape *batch, matrices c, matrices a, matrices b,
                    int64_t m, int64_t n, int64_t k, float scale, bool add)
{
    int64_t count = gb_shape_count(batch);
    if (e->status || count * m * n == 0)
        return;
    gb_shape shape;
    gb_view there, here;
    if (c.col != 1 && n > 1) {
        if (c.row == 1 || m == 1) {
            product(e, batch, transposed(c), transposed(b), transposed(a), n, m, k, scale, add);
        } else {
            matrices temp = dense_temp(e, &c, batch, m, n, &shape, &there, &here);
            product(e, batch, temp, a, b, m, n, k, scale, false);
            gb_emit_copy(e, &shape, &there, &here, add);
        }
        return;
    }
    const char lie[] = {lie_of(&a, m, k), lie_of(&b, k, n), 0};
    const gb_choice_key key = gb_choice_product(e, batch, lie, m, k, n);
    const char *way = gb_emit_way(e, &key);
    int32_t *table = offsets(e, batch, (const matrices *const[3]){&a, &b, &c});
    gb_gemm_call call = {.m = m, .n = n, .k = k, .batches = count, .alpha = scale, .beta = add,
                         .offsets = table};
    if ((way ? !strcmp(way, GB_WAY_CLBLAST) : e->info->clblast) && k > 0 &&
        product_by_clblast(e, &c, &a, &b, call)) {
        gb_emit_note_way(e, &key, GB_WAY_CLBLAST);
        return;
    }
    int mr, nr;
    choose_tile(&mr, &nr, e->info, way, n);
    if (b.col != 1 && n > 1) {
        b = dense_temp(e, &b, batch, k, n, &shape, &there, &here);
        gb_emit_copy(e, &shape, &here, &there, false);
        gb_emit_note_way(e, &key, "product %dx%d", mr, nr); // which asks for it
        table = offsets(e, batch, (const matrices *const[3]){&a, &b, &c});
    }
    gb_launch *l = gb_emit_launch(e, "product", "product", "-DMR=%d -DNR=%d", mr, nr);
    gb_put_store(e, a.store);
    gb_put_i32(e, a.row);
    gb_put_i32(e, a.col);
    gb_put_store(e, b.store);
    gb_put_i32(e, b.row);
    gb_put_store(e, c.store);
    gb_put_i32(e, c.row);
    gb_put_store(e, e->status ? NULL : gb_emit_const(e, table, (size_t)(3 * count) * sizeof *table,
                                                     "offsets"));
    gb_put_i32(e, m);
    gb_put_i32(e, n);
    gb_put_i32(e, k);
    gb_put_f32(e, scale);
    gb_put_i32(e, add);
    gb_emit_size(e, (size_t)((n + nr - 1) / nr), (size_t)((m + mr - 1) / mr), (size_t)count);
    gb_emit_note_way(e, &key, "product %dx%d", mr, nr);
    if (l)
        l->flops = 2.0 * (double)count * (double)m * (double)n * (double)k;
}

int gb_product_forward(gb_emit *e, gb_node *node, const gb_product *p)
{
    const gb_view *a = gb_emit_in(e, node->in[0], GB_ORDER_PLAIN);
    const gb_view *b = gb_emit_in(e, node->in[1], GB_ORDER_PLAIN);
    const gb_view *c = gb_emit_out(e, node->out[0], GB_ORDER_PLAIN);
    const gb_shape *out = &node->out[0]->shape;
    if (e->status)
        return e->status;
    matrices mc = {.store = c->store, .offset = c->offset};
    int left = node->in[0]->shape.rank > 1, right = node->in[1]->shape.rank > 1;
    mc.col = right ? c->stride[out->rank - 1] : 1;
    mc.row = left ? c->stride[out->rank - 1 - right] : p->n;
    memcpy(mc.batch, c->stride, sizeof mc.batch);
    product(e, &p->batch, mc, as_matrices(a, &node->in[0]->shape, &p->batch, false, p->trans_a),
            as_matrices(b, &node->in[1]->shape, &p->batch, true, p->trans_b), p->m, p->n, p->k,
            p->scale, false);
    return e->status;
}

// dX (+)= A B where the matrices of X may be shared by several of the batch: one product for each
// index of the dimensions that broadcast.
static void gradient(gb_emit *e, const gb_shape *batch, matrices x, matrices a, matrices b,
                     int64_t m, int64_t n, int64_t k, float scale, bool add)
{
    gb_shape rest = *batch, shared = *batch;
    int64_t index[GB_MAX_RANK] = {0};
    for (int i = 0; i < batch->rank; i++) {
        bool is_shared = x.batch[i] == 0 && batch->dim[i] > 1;
        rest.dim[i] = is_shared ? 1 : batch->dim[i];
        shared.dim[i] = is_shared ? batch->dim[i] : 1;
    }
    int64_t times = gb_shape_count(&shared);
    for (int64_t t = 0; t < times; t++) {
        matrices at = a, bt = b;
        for (int i = 0; i < batch->rank; i++) {
            at.offset += index[i] * a.batch[i];
            bt.offset += index[i] * b.batch[i];
        }
        product(e, &rest, x, at, bt, m, n, k, scale, add || t > 0);
        for (int d = batch->rank - 1; d >= 0; d--) {
            if (++index[d] < shared.dim[d])
                break;
            index[d] = 0;
        }
    }
}

int gb_product_backward(gb_emit *e, gb_node *node, const gb_product *p)
{
    gb_view dc = gb_emit_grad_of(e, node->out[0]);
    const gb_shape *out = &node->out[0]->shape;
    if (!dc.store)
        return e->status;
    const gb_view *a = gb_emit_in(e, node->in[0], GB_ORDER_PLAIN);
    const gb_view *b = gb_emit_in(e, node->in[1], GB_ORDER_PLAIN);
    int left = node->in[0]->shape.rank > 1, right = node->in[1]->shape.rank > 1;
    matrices mc = {.store = dc.store, .offset = dc.offset};
    mc.col = right ? dc.stride[out->rank - 1] : 1;
    mc.row = left ? dc.stride[out->rank - 1 - right] : p->n;
    memcpy(mc.batch, dc.stride, sizeof mc.batch);
    matrices ma = as_matrices(a, &node->in[0]->shape, &p->batch, false, p->trans_a);
    matrices mb = as_matrices(b, &node->in[1]->shape, &p->batch, true, p->trans_b);
    if (node->in[0]->needs_grad) {
        gb_target t = gb_emit_target(e, node->in[0]);
        matrices da = ma;
        da.store = t.view.store;
        gradient(e, &p->batch, da, mc, transposed(mb), p->m, p->k, p->n, p->scale, t.add);
    }
    if (node->in[1]->needs_grad) {
        gb_target t = gb_emit_target(e, node->in[1]);
        matrices db = mb;
        db.store = t.view.store;
        gradient(e, &p->batch, db, transposed(ma), mc, p->k, p->n, p->m, p->scale, t.add);
    }
    return e->status;
}
