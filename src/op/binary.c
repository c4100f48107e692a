// Functions of two or more elements, with numpy's broadcasting.
#include "op/binary_record.h"
#include "op/images.h"
#include "op/infer.h"
#include "op/list.h"
#include "ref/arithmetic.h"

#include <string.h>

static const struct {
    const char *type;
    gb_binary does;
} types[] = {
    {"Add", {GB_ADD}},
    {"Sub", {GB_SUB}},
    {"Mul", {GB_MUL}},
    {"Div", {GB_DIV}},
    {"Pow", {GB_POW}},
    {"Mod", {GB_MOD}},
    {"PRelu", {GB_PRELU}},
    {"Min", {GB_MIN, .variadic = true}},
    {"Max", {GB_MAX, .variadic = true}},
    {"Sum", {GB_ADD, .variadic = true}},
    {"Mean", {GB_ADD, .variadic = true, .mean = true}},
    {"Equal", {GB_EQUAL, .logical = true}},
    {"Less", {GB_LESS, .logical = true}},
    {"LessOrEqual", {GB_LESS_EQUAL, .logical = true}},
    {"Greater", {GB_GREATER, .logical = true}},
    {"GreaterOrEqual", {GB_GREATER_EQUAL, .logical = true}},
    {"And", {GB_AND, .logical = true}},
    {"Or", {GB_OR, .logical = true}},
    {"Xor", {GB_XOR, .logical = true}},
};

int gb_binary_read(const gb_node *node, gb_binary *b)
{
    for (size_t i = 0; i < GB_COUNT(types); i++) {
        if (strcmp(types[i].type, node->type))
            continue;
        *b = types[i].does;
        if (b->kind == GB_MOD && gb_attr_int(node, "fmod", 0))
            b->kind = GB_FMOD;
        return 0;
    }
    return gb_fail(GB_ERR_UNSUPPORTED, "%s: not a function of two elements", gb_node_text(node));
}

static bool is_float(gb_dtype type)
{
    return type == GB_F32 || type == GB_F64;
}

static int infer(gb_node *node)
{
    gb_binary b = {0};
    int err = 0;
    GB_TRY(gb_binary_read(node, &b));
    GB_TRY(gb_infer_arity(node, b.variadic ? (node->n_in > 1 ? node->n_in : 1) : 2,
                          b.variadic ? -1 : 2));
    gb_shape shape = node->in[0]->shape;
    for (int i = 1; i < node->n_in; i++) {
        const gb_value *v = node->in[i];
        if (b.kind == GB_PRELU)
            GB_TRY(gb_infer_broadcasts_to(node, i, &shape));
        else if ((err = gb_shape_broadcast(&shape, &shape, &v->shape)) < 0)
            return gb_fail_in(GB_ERR_FORMAT, "%s", gb_node_text(node));
        // Pow alone mixes types, and takes that of its base.
        if (b.kind != GB_POW && (is_float(v->type) != is_float(node->in[0]->type) ||
                                 v->ints != node->in[0]->ints))
            return gb_fail(GB_ERR_FORMAT, "%s: mixes %s and %s", gb_node_text(node),
                           gb_type_name(node->in[0]->type, node->in[0]->ints),
                           gb_type_name(v->type, v->ints));
    }
    gb_infer_like(node, 0, node->in[0], &shape);
    if (b.logical)
        gb_infer_out(node, 0, GB_BOOL, &shape);
fail:
    return err;
}

#define BINARY(name, opset) \
    GB_OP(name, .since = opset, .infer = infer, .eval = gb_ref_binary, \
          .forward = gb_binary_forward, .backward = gb_binary_backward, \
          .images = gb_images_pointwise)
#define LOGICAL(name, opset) \
    GB_OP(name, .since = opset, .infer = infer, .eval = gb_ref_binary, \
          .forward = gb_binary_forward, .images = gb_images_pointwise)
BINARY(Add, 7);
BINARY(Sub, 7);
BINARY(Mul, 7);
BINARY(Div, 7);
BINARY(Pow, 7);
BINARY(Mod, 10);
BINARY(PRelu, 7);
BINARY(Min, 7);
BINARY(Max, 7);
BINARY(Sum, 7);
BINARY(Mean, 7);
LOGICAL(Equal, 7);
LOGICAL(Less, 7);
LOGICAL(LessOrEqual, 12);
LOGICAL(Greater, 7);
LOGICAL(GreaterOrEqual, 12);
LOGICAL(And, 7);
LOGICAL(Or, 7);
LOGICAL(Xor, 7);
