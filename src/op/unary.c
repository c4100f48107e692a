// Functions of one element: activations, exponentials, roundings.
#include "op/unary.h"
#include "op/images.h"
#include "op/infer.h"
#include "op/list.h"
#include "ref/arithmetic.h"

#include <math.h>
#include <string.h>

typedef struct gb_unary_type {
    const char *type;
    gb_unary_kind kind;
    const char *a_name, *b_name; // attributes
    float a, b;                  // their defaults
} gb_unary_type;

static const gb_unary_type types[] = {
    {"Relu", GB_RELU},
    {"LeakyRelu", GB_LEAKY_RELU, .a_name = "alpha", .a = 0.01f},
    {"Elu", GB_ELU, .a_name = "alpha", .a = 1},
    // Klambauer et al. 2017
    {"Selu", GB_SELU, .a_name = "alpha", .a = 1.67326319217681884765625f, .b_name = "gamma",
     .b = 1.05070102214813232421875f},
    {"Celu", GB_CELU, .a_name = "alpha", .a = 1},
    {"ThresholdedRelu", GB_THRESHOLDED_RELU, .a_name = "alpha", .a = 1},
    {"Sigmoid", GB_SIGMOID},
    {"HardSigmoid", GB_HARD_SIGMOID, .a_name = "alpha", .a = 0.2f, .b_name = "beta", .b = 0.5f},
    {"HardSwish", GB_HARD_SWISH},
    {"Tanh", GB_TANH},
    {"Softplus", GB_SOFTPLUS},
    {"Softsign", GB_SOFTSIGN},
    {"Gelu", GB_GELU},
    {"Mish", GB_MISH},
    {"Swish", GB_SWISH, .a_name = "alpha", .a = 1},
    {"Erf", GB_ERF},
    {"Clip", GB_CLIP},
    {"Exp", GB_EXP},
    {"Log", GB_LOG},
    {"Sqrt", GB_SQRT},
    {"Abs", GB_ABS},
    {"Neg", GB_NEG},
    {"Reciprocal", GB_RECIPROCAL},
    {"Floor", GB_FLOOR},
    {"Ceil", GB_CEIL},
    {"Round", GB_ROUND},
    {"Sign", GB_SIGN},
    {"Sin", GB_SIN},
    {"Cos", GB_COS},
    {"Not", GB_NOT},
};

// Clip's limits were attributes before opset 11, where their defaults are the largest floats.
static int read_clip(const gb_node *node, gb_unary *u)
{
    int err = 0;
    GB_TRY(gb_arg_float(node, "min", 1, -INFINITY, &u->a));
    GB_TRY(gb_arg_float(node, "max", 2, INFINITY, &u->b));
fail:
    return err;
}

int gb_unary_read(const gb_node *node, gb_unary *u)
{
    const gb_unary_type *t = NULL;
    for (size_t i = 0; i < GB_COUNT(types) && !t; i++)
        if (!strcmp(types[i].type, node->type))
            t = &types[i];
    if (!t)
        return gb_fail(GB_ERR_UNSUPPORTED, "%s: not a function of one element",
                       gb_node_text(node));
    *u = (gb_unary){.kind = t->kind,
                    .a = t->a_name ? gb_attr_float(node, t->a_name, t->a) : 0,
                    .b = t->b_name ? gb_attr_float(node, t->b_name, t->b) : 0};
    if (t->kind == GB_CLIP)
        return read_clip(node, u);
    if (t->kind == GB_GELU) {
        const char *form = gb_attr_string(node, "approximate", "none");
        if (!strcmp(form, "tanh"))
            u->kind = GB_GELU_TANH;
        else if (strcmp(form, "none"))
            return gb_fail(GB_ERR_FORMAT, "%s: approximate is '%s'", gb_node_text(node), form);
    }
    return 0;
}

// The functions that ONNX defines on integers, too.
static bool takes_integers(gb_unary_kind kind)
{
    return kind == GB_RELU || kind == GB_CLIP || kind == GB_ABS || kind == GB_NEG ||
           kind == GB_SIGN || kind == GB_NOT;
}

static int infer(gb_node *node)
{
    gb_unary u;
    int err = 0;
    GB_TRY(gb_infer_arity(node, 1, strcmp(node->type, "Clip") ? 1 : 3));
    GB_TRY(gb_unary_read(node, &u));
    if (!takes_integers(u.kind))
        GB_TRY(gb_infer_float(node, 0));
    gb_infer_like(node, 0, node->in[0], &node->in[0]->shape);
    if (u.kind == GB_NOT)
        gb_infer_out(node, 0, GB_BOOL, &node->in[0]->shape);
fail:
    return err;
}

#define UNARY(name, opset) \
    GB_OP(name, .since = opset, .infer = infer, .eval = gb_ref_unary, \
          .forward = gb_unary_forward, .backward = gb_unary_backward, \
          .images = gb_images_pointwise)
UNARY(Relu, 7);
UNARY(LeakyRelu, 7);
UNARY(Elu, 7);
UNARY(Selu, 7);
UNARY(Celu, 12);
UNARY(ThresholdedRelu, 10);
UNARY(Sigmoid, 7);
UNARY(HardSigmoid, 7);
UNARY(HardSwish, 14);
UNARY(Tanh, 7);
UNARY(Softplus, 7);
UNARY(Softsign, 7);
UNARY(Gelu, 20);
UNARY(Mish, 18);
UNARY(Swish, 7); // ONNX has it from opset 24; here also what patterns make of x * sigmoid(x)
UNARY(Erf, 9);
UNARY(Clip, 7);
UNARY(Exp, 7);
UNARY(Log, 7);
UNARY(Sqrt, 7);
UNARY(Abs, 7);
UNARY(Neg, 7);
UNARY(Reciprocal, 7);
UNARY(Floor, 7);
UNARY(Ceil, 7);
UNARY(Round, 11);
UNARY(Sign, 9);
UNARY(Sin, 7);
UNARY(Cos, 7);
UNARY(Not, 7);
