// Attributes of a node, and arguments that are attributes in one opset and inputs in another.
#include "ir/ir.h"

#include "base/text.h"

#include <inttypes.h>
#include <string.h>

const gb_attr *gb_attr_find(const gb_node *node, const char *name)
{
    for (int i = 0; i < node->n_attr; i++)
        if (node->attr[i].name && strcmp(node->attr[i].name, name) == 0)
            return &node->attr[i];
    return NULL;
}

static const gb_attr *find_kind(const gb_node *node, const char *name, gb_attr_kind kind)
{
    const gb_attr *attr = gb_attr_find(node, name);
    return attr && attr->kind == kind ? attr : NULL;
}

int64_t gb_attr_int(const gb_node *node, const char *name, int64_t or_else)
{
    const gb_attr *attr = find_kind(node, name, GB_ATTR_INT);
    return attr ? attr->i : or_else;
}

float gb_attr_float(const gb_node *node, const char *name, float or_else)
{
    const gb_attr *attr = find_kind(node, name, GB_ATTR_FLOAT);
    return attr ? attr->f : or_else;
}

const char *gb_attr_string(const gb_node *node, const char *name, const char *or_else)
{
    const gb_attr *attr = find_kind(node, name, GB_ATTR_STRING);
    return attr ? attr->s : or_else;
}

int gb_attr_ints(const gb_node *node, const char *name, int64_t *out, int max)
{
    const gb_attr *attr = find_kind(node, name, GB_ATTR_INTS);
    if (!attr)
        return -1;
    for (size_t i = 0; i < attr->count && i < (size_t)(max > 0 ? max : 0); i++)
        out[i] = attr->ints[i];
    return attr->count > INT32_MAX ? INT32_MAX : (int)attr->count;
}

// The constant behind input `index`: *out is NULL where the input is omitted.
static int constant_input(const gb_node *node, int index, const gb_tensor **out)
{
    *out = NULL;
    if (index < 0 || index >= node->n_in || !node->in[index])
        return 0;
    if (!node->in[index]->data)
        return gb_fail(GB_ERR_UNSUPPORTED, "%s: input %d must be a constant",
                       gb_node_text(node), index);
    *out = node->in[index]->data;
    return 0;
}

int gb_arg_ints(const gb_node *node, const char *name, int index, int64_t *out, int max, int *count)
{
    const gb_tensor *t;
    int err = constant_input(node, index, &t);
    if (err < 0)
        return err;
    if (!t) {
        *count = name ? gb_attr_ints(node, name, out, max) : -1;
        return 0;
    }
    int64_t n = gb_shape_count(&t->shape);
    if (t->type != GB_I64 || t->shape.rank > 1 || n < 0 || n > INT32_MAX)
        return gb_fail(GB_ERR_FORMAT, "%s: input %d must be a list of integers",
                       gb_node_text(node), index);
    for (int64_t i = 0; i < n && i < max; i++)
        out[i] = gb_tensor_int(t, i);
    *count = (int)n;
    return 0;
}

int gb_arg_float(const gb_node *node, const char *name, int index, float or_else, float *out)
{
    const gb_tensor *t;
    int err = constant_input(node, index, &t);
    if (err < 0)
        return err;
    if (!t) {
        *out = name ? gb_attr_float(node, name, or_else) : or_else;
        return 0;
    }
    if (gb_shape_count(&t->shape) != 1)
        return gb_fail(GB_ERR_FORMAT, "%s: input %d must be one number", gb_node_text(node), index);
    *out = (float)gb_tensor_get(t, 0);
    return 0;
}

int gb_axis(const gb_node *node, int64_t axis, int rank, int *out)
{
    if (axis < -(int64_t)rank || axis >= rank)
        return gb_fail(GB_ERR_ARG, "%s: axis %" PRId64 " is outside [%d, %d)", gb_node_text(node),
                       axis, -rank, rank);
    *out = (int)(axis < 0 ? axis + rank : axis);
    return 0;
}

const char *gb_node_text(const gb_node *node)
{
    static _Thread_local char text[256];
    gb_text_buffer(text, sizeof text, "%.80s '%.160s'", node->type ? node->type : "?",
                   node->name ? node->name : "");
    return text;
}
