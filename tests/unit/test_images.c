// The rules that follow the images of a batch, for every operator: wherever images may lie in the
// inputs, what a rule calls apart is apart, by the naive evaluators.
#include "support/check.h"

#include "engine/selftest.h"
#include "op/images.h"
#include "op/op.h"

#include <string.h>

enum { MAX_PORTS = 16 };

typedef struct run {
    const gb_case *c;
    gb_graph *g;
    gb_arena arena;
    size_t n_op, *apart; // [n_op]: how often each operator kept images apart
} run;

// The values of a case's graph by the evaluators; those of the inputs are there.
static void evaluate(const run *r, gb_tensor **value)
{
    for (size_t i = 0; i < r->g->n_node; i++) {
        const gb_node *node = r->g->node[i];
        const gb_tensor *in[MAX_PORTS] = {0};
        gb_tensor *out[MAX_PORTS] = {0};
        for (int k = 0; k < node->n_in; k++)
            in[k] = node->in[k] ? value[node->in[k]->id] : NULL;
        for (int k = 0; k < node->n_out; k++)
            out[k] = node->out[k] ? value[node->out[k]->id] : NULL;
        assert_ok(node->op->eval(node, in, out));
    }
}

static gb_tensor **make_values(run *r)
{
    gb_tensor **value = gb_arena_array(&r->arena, r->g->n_value, sizeof *value);
    for (size_t i = 0; i < r->g->n_value; i++) {
        const gb_value *v = r->g->value[i];
        assert_non_null(value[i] = gb_tensor_create(&r->arena, v->type, &v->shape));
        if (v->data)
            memcpy(value[i]->data, v->data->data, gb_tensor_bytes(v->data));
    }
    return value;
}

// Element e of a value is of image e / inside % batch: that of the image `by` further on.
static int64_t shifted(const gb_images *m, int64_t batch, int64_t e, int64_t by)
{
    int64_t image = e / m->inside % batch;
    return e + ((image + by) % batch - image) * m->inside;
}

// Every image is replaced by the next one: then so is every result that is called apart. Or,
// without `all`, image 0 alone is, and the results of the others stay.
static void compare(run *r, gb_tensor **before, gb_tensor **after, bool all)
{
    const int64_t batch = r->g->batch;
    char text[300];
    for (size_t i = 0; i < r->g->n_in; i++) {
        const gb_value *v = r->g->in[i];
        for (int64_t e = 0; e < gb_shape_count(&v->shape); e++) {
            bool moves = gb_holds_images(v) && (all || e / v->images.inside % batch == 0);
            int64_t from = moves ? shifted(&v->images, batch, e, 1) : e;
            gb_tensor_set(after[v->id], e, gb_tensor_get(before[v->id], from));
        }
    }
    evaluate(r, after);
    for (size_t i = 0; i < r->g->n_value; i++) {
        const gb_value *v = r->g->value[i];
        if (v->images.kind == GB_IMAGES_MIXED || !v->producer)
            continue;
        for (int64_t e = 0; e < gb_shape_count(&v->shape); e++) {
            bool held = gb_holds_images(v);
            if (held && !all && e / v->images.inside % batch == 0)
                continue;
            int64_t from = held && all ? shifted(&v->images, batch, e, 1) : e;
            double got = gb_tensor_get(after[v->id], e);
            double want = gb_tensor_get(before[v->id], from);
            if (got != want && !(got != got && want != want))
                fail_msg("%s: %lld images, %lld inside: %s, element %lld depends on others",
                         gb_case_text(text, sizeof text, r->c), (long long)batch,
                         (long long)v->images.inside, v->name, (long long)e);
        }
    }
}

// With the images where the inputs have them.
static void follow(run *r)
{
    const gb_op *const *ops = gb_op_all(&r->n_op);
    gb_arena mark = r->arena;
    bool some = false;
    for (size_t i = 0; i < r->g->n_node; i++) {
        gb_node *node = r->g->node[i];
        gb_images_follow(node);
        for (size_t k = 0; gb_holds_images(node->out[0]) && k < r->n_op; k++)
            r->apart[k] += ops[k] == node->op;
        for (int k = 0; k < node->n_out; k++)
            some |= gb_holds_images(node->out[k]);
    }
    if (!some)
        return;
    r->arena = (gb_arena){0};
    gb_tensor **before = make_values(r), **after = make_values(r);
    for (size_t i = 0; i < r->g->n_in; i++)
        gb_case_fill(before[r->g->in[i]->id], r->g, i);
    evaluate(r, before);
    compare(r, before, after, false);
    compare(r, before, after, true);
    gb_arena_finish(&r->arena);
    r->arena = mark;
}

// Images in every place of input `i` and those behind it, or in none of them.
static void place(run *r, size_t i, bool some)
{
    if (i == r->g->n_in) {
        for (size_t k = 0; k < r->g->n_value; k++)
            if (r->g->value[k]->producer)
                r->g->value[k]->images = (gb_images){0};
        if (some)
            follow(r);
        return;
    }
    gb_value *v = r->g->in[i];
    int64_t count = gb_shape_count(&v->shape);
    v->images = (gb_images){0};
    place(r, i + 1, some);
    for (int64_t inside = 1; inside * r->g->batch <= count; inside++) {
        if (count % (inside * r->g->batch))
            continue;
        v->images = (gb_images){GB_IMAGES_APART, inside};
        place(r, i + 1, true);
    }
}

static void run_case(run *r)
{
    static const int64_t batches[] = {2, 3, 5, 7};
    assert_ok(gb_case_graph(&r->g, r->c, GB_CASE_PLAIN));
    for (size_t b = 0; b < GB_COUNT(batches); b++) {
        r->g->batch = batches[b];
        place(r, 0, false);
    }
    gb_graph_free(r->g);
}

// A rule that is there says "apart" in some case; without one, nothing is.
static void every_operator(void **state)
{
    size_t apart[512] = {0}, wrong = 0;
    run r = {.apart = apart};
    const gb_op *const *ops = gb_op_all(&r.n_op);
    (void)state;
    assert_true(r.n_op <= GB_COUNT(apart));
    for (size_t k = 0; k < gb_case_count; k++) {
        r.c = &gb_cases[k];
        run_case(&r);
    }
    for (size_t i = 0; i < r.n_op; i++) {
        if (!ops[i]->images == !apart[i])
            continue;
        print_error("%s: %s\n", ops[i]->name, apart[i] ? "apart without a rule"
                                                       : "no case shows its images apart");
        wrong++;
    }
    assert_int_equal(0, wrong);
}

// An operator that nobody wrote a rule for mixes.
static void without_a_rule(void **state)
{
    const gb_case c = {"Neg", 13, "4x6"};
    gb_graph *g;
    (void)state;
    assert_ok(gb_case_graph(&g, &c, GB_CASE_PLAIN));
    gb_op op = *g->node[0]->op;
    g->batch = 4;
    g->in[0]->images = (gb_images){GB_IMAGES_APART, 6};
    gb_images_follow(g->node[0]);
    assert_int_equal(GB_IMAGES_APART, g->out[0]->images.kind);
    assert_int_equal(6, g->out[0]->images.inside);
    op.images = NULL;
    g->node[0]->op = &op;
    gb_images_follow(g->node[0]);
    assert_int_equal(GB_IMAGES_MIXED, g->out[0]->images.kind);
    g->in[0]->images = (gb_images){0};
    g->out[0]->images = (gb_images){0};
    gb_images_follow(g->node[0]);
    assert_int_equal(GB_IMAGES_NONE, g->out[0]->images.kind);
    gb_graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operator),
        cmocka_unit_test(without_a_rule),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
