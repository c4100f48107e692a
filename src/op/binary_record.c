// Kernels of functions of two or more elements, and of Where.
#include "op/binary_record.h"

// The gradients with respect to a and b are sums of these terms of dy, a and b ("dab": in the order
// that the term takes them).
static const struct {
    gb_binary_kind kind;
    gb_term term[2];
    const char *of[2];
} gradients[] = {
    {GB_ADD, {GB_TERM_P, GB_TERM_P}, {"d", "d"}},
    {GB_SUB, {GB_TERM_P, GB_TERM_MINUS_P}, {"d", "d"}},
    {GB_MUL, {GB_TERM_MUL, GB_TERM_MUL}, {"db", "da"}},
    {GB_DIV, {GB_TERM_OVER, GB_TERM_DIV_DIVISOR}, {"db", "dab"}},
    {GB_POW, {GB_TERM_POW_BASE, GB_TERM_POW_POWER}, {"dab", "dab"}},
    {GB_MOD, {GB_TERM_P, GB_TERM_MOD_DIVISOR}, {"d", "dab"}},
    {GB_FMOD, {GB_TERM_P, GB_TERM_FMOD_DIVISOR}, {"d", "dab"}},
    {GB_PRELU, {GB_TERM_PRELU_X, GB_TERM_PRELU_SLOPE}, {"dab", "da"}},
    {GB_MIN, {GB_TERM_MIN, GB_TERM_MIN}, {"dab", "dba"}},
    {GB_MAX, {GB_TERM_MAX, GB_TERM_MAX}, {"dab", "dba"}},
};

// Powers of two are products: pow is slow, and exact results are what models expect of x^2.
static bool is_square(const gb_node *node, const gb_binary *does)
{
    const gb_tensor *power = does->kind == GB_POW ? node->in[1]->data : NULL;
    return power && gb_shape_count(&power->shape) == 1 && gb_tensor_get(power, 0) == 2;
}

// The results after each input of a Min or Max of more than two, for its gradient.
static gb_view *make_partials(gb_emit *e, gb_node *node)
{
    gb_view *partial = gb_arena_array(&e->arena, (size_t)node->n_in, sizeof *partial);
    const gb_value *y = node->out[0];
    if (!partial) {
        gb_emit_fail(e, GB_ERR_NOMEM);
        return NULL;
    }
    for (int i = 1; i < node->n_in; i++) {
        partial[i] = y->view;
        if (i + 1 < node->n_in) {
            gb_view_dense(&partial[i], &y->shape, GB_ORDER_PLAIN);
            partial[i].offset = 0;
            partial[i].store = gb_emit_temp(e, (size_t)gb_shape_count(&y->shape) * sizeof(float),
                                            "partial");
        }
    }
    partial[0] = gb_input_wide(node, 0);
    return partial;
}

int gb_binary_forward(gb_emit *e, gb_node *node)
{
    gb_value *y = node->out[0];
    const gb_shape *shape = &y->shape;
    gb_binary does;
    int err = gb_binary_read(node, &does);
    if (err < 0 || (err = gb_place_broadcast(e, node)) < 0)
        return err;
    gb_view a = gb_input_wide(node, 0);
    if (node->n_in == 1)
        gb_emit_copy(e, shape, &y->view, &a, false);
    bool keep = node->n_in > 2 && does.kind != GB_ADD && e->want_grad && y->needs_grad;
    gb_view *partial = keep ? make_partials(e, node) : NULL;
    node->state = partial;
    for (int i = 1; i < node->n_in && !e->status; i++) {
        gb_view b = gb_input_wide(node, i), to = partial ? partial[i] : y->view;
        if (is_square(node, &does))
            gb_emit_binary(e, shape, &to, &a, &a, GB_MUL);
        else
            gb_emit_binary(e, shape, &to, &a, &b, does.kind);
        a = to;
    }
    if (does.mean) {
        gb_fold fold = {.by = GB_FOLD_SUM, .term = GB_TERM_P, .scale = 1.0f / (float)node->n_in};
        gb_emit_fold(e, shape, (bool[GB_MAX_RANK]){0}, &fold, &y->view, false,
                     (const gb_view *[]){&y->view}, 1);
    }
    return e->status;
}

static void add_term(gb_emit *e, gb_node *node, int i, gb_term term, const char *of,
                     const gb_view *dy, const gb_view *a, const gb_view *b)
{
    const gb_view *in[3];
    int n = 0;
    for (; of[n]; n++)
        in[n] = of[n] == 'd' ? dy : of[n] == 'a' ? a : b;
    gb_emit_grad_term(e, node, i, term, 1, in, n);
}

// Sums: each input gets dy, the last to be served the store of dy itself where that is possible.
static void backward_sum(gb_emit *e, gb_node *node, const gb_view *dy, float scale)
{
    gb_value *y = node->out[0];
    int give = -1;
    for (int i = 0; i < node->n_in && scale == 1; i++) {
        const gb_value *x = node->in[i];
        if (x->needs_grad && gb_shape_equal(&x->shape, &y->shape) &&
            (give < 0 || !x->view.store->grad))
            give = i;
    }
    for (int i = 0; i < node->n_in; i++)
        if (i != give)
            gb_emit_grad_term(e, node, i, GB_TERM_P, scale, (const gb_view *[]){dy}, 1);
    if (give >= 0)
        gb_emit_target_give(e, node->in[give], y);
}

// Min and Max of many, from the last pair to the first: the left one's share goes on.
static void backward_chain(gb_emit *e, gb_node *node, gb_term term, gb_view dy)
{
    const gb_view *partial = node->state;
    const gb_shape *shape = &node->out[0]->shape;
    gb_fold fold = {.by = GB_FOLD_SUM, .term = term, .scale = 1};
    for (int i = node->n_in - 1; i > 0 && !e->status; i--) {
        gb_view b = gb_input_wide(node, i);
        gb_emit_grad_term(e, node, i, term, 1, (const gb_view *[]){&dy, &b, &partial[i - 1]}, 3);
        if (i == 1) {
            gb_emit_grad_term(e, node, 0, term, 1, (const gb_view *[]){&dy, &partial[0], &b}, 3);
            break;
        }
        gb_view left = partial[i - 1];
        left.store = gb_emit_temp(e, (size_t)gb_shape_count(shape) * sizeof(float), "d partial");
        gb_emit_fold(e, shape, (bool[GB_MAX_RANK]){0}, &fold, &left, false,
                     (const gb_view *[]){&dy, &partial[i - 1], &b}, 3);
        dy = left;
    }
}

int gb_binary_backward(gb_emit *e, gb_node *node)
{
    gb_binary does;
    int err = gb_binary_read(node, &does);
    gb_view dy = gb_emit_grad_of(e, node->out[0]);
    if (err < 0 || e->status || !dy.store)
        return err < 0 ? err : e->status;
    if (does.kind == GB_ADD || node->n_in == 1) {
        backward_sum(e, node, &dy, does.mean ? 1.0f / (float)node->n_in : 1);
        return e->status;
    }
    gb_view a = gb_input_wide(node, 0), b = gb_input_wide(node, 1);
    for (size_t k = 0; k < GB_COUNT(gradients); k++) {
        if (gradients[k].kind != does.kind)
            continue;
        if (node->n_in > 2)
            backward_chain(e, node, gradients[k].term[0], dy);
        else if (is_square(node, &does))
            add_term(e, node, 0, GB_TERM_MUL_MUL, "dab", &dy, &a, &b);
        else
            for (int i = 0; i < 2; i++)
                add_term(e, node, i, gradients[k].term[i], gradients[k].of[i], &dy, &a, &b);
    }
    return e->status;
}

// --- Where ---

int gb_where_forward(gb_emit *e, gb_node *node)
{
    int err = gb_place_broadcast(e, node);
    if (err < 0)
        return err;
    gb_view c = gb_input_wide(node, 0), a = gb_input_wide(node, 1), b = gb_input_wide(node, 2);
    gb_emit_ternary(e, &node->out[0]->shape, &node->out[0]->view, &c, &a, &b, GB_WHERE);
    return e->status;
}

int gb_where_backward(gb_emit *e, gb_node *node)
{
    gb_view dy = gb_emit_grad_of(e, node->out[0]);
    if (e->status || !dy.store)
        return e->status;
    gb_view c = gb_input_wide(node, 0);
    const gb_view *in[] = {&dy, &c};
    gb_emit_grad_term(e, node, 1, GB_TERM_IF, 1, in, 2);
    gb_emit_grad_term(e, node, 2, GB_TERM_UNLESS, 1, in, 2);
    return e->status;
}
