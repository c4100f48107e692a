// A graph as text: one line a value that no node makes, one line a node.
#include "base/number.h"
#include "ir/ir.h"

#include "base/hash.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *dtype_name(gb_dtype type, gb_int ints)
{
    static const char *const name[] = {"f32", "f64", "i64", "bool"};
    static const char *const of_ints[] = {"i64", "i32", "i16", "i8", "u64", "u32", "u16", "u8"};
    return type == GB_I64 ? of_ints[ints] : name[type];
}

static void put_value(FILE *file, const gb_value *value)
{
    char text[192];
    fprintf(file, "%s:%s[%s]", value->name, dtype_name(value->type, value->ints),
            gb_shape_text(text, sizeof text, &value->shape));
}

static void put_attr(FILE *file, const gb_attr *attr)
{
    enum { SHOWN = 16 };
    char text[192];
    fprintf(file, " %s=", attr->name);
    switch (attr->kind) {
    case GB_ATTR_INT:
        fprintf(file, "%" PRId64, attr->i);
        break;
    case GB_ATTR_FLOAT:
        gb_print(file, "%g", (double)attr->f);
        break;
    case GB_ATTR_STRING:
        fprintf(file, "\"%s\"", attr->s);
        break;
    case GB_ATTR_INTS:
    case GB_ATTR_FLOATS:
        for (size_t i = 0; i < attr->count && i < SHOWN; i++)
            if (attr->kind == GB_ATTR_INTS)
                fprintf(file, "%s%" PRId64, i ? "," : "", attr->ints[i]);
            else
                gb_print(file, "%s%g", i ? "," : "", (double)attr->floats[i]);
        if (attr->count > SHOWN)
            fprintf(file, ",...");
        break;
    case GB_ATTR_TENSOR:
        fprintf(file, "%s[%s]", dtype_name(attr->tensor->type, attr->tensor->ints),
                gb_shape_text(text, sizeof text, &attr->tensor->shape));
        break;
    }
}

static void put_node(FILE *file, const gb_node *node)
{
    for (int k = 0; k < node->n_out; k++) {
        fprintf(file, k ? ", " : "");
        if (node->out[k])
            put_value(file, node->out[k]);
    }
    fprintf(file, " = %s(", node->type);
    for (int k = 0; k < node->n_in; k++)
        fprintf(file, "%s%s", k ? ", " : "", node->in[k] ? node->in[k]->name : "");
    fputc(')', file);
    if (node->residual)
        fprintf(file, " + %s", node->residual->name);
    for (int k = 0; k < node->n_attr; k++)
        put_attr(file, &node->attr[k]);
    if (node->act.on && node->act.smooth)
        gb_print(file, " act(f%d, %g, %g)", node->act.smooth, (double)node->act.lo,
                 (double)node->act.hi);
    else if (node->act.on)
        gb_print(file, " act(%g, %g, %g)", (double)node->act.lo, (double)node->act.hi,
                 (double)node->act.slope);
    fprintf(file, "  # %s\n", node->name);
}

char *gb_graph_dump(const gb_graph *graph)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    if (!file) {
        gb_fail(GB_ERR_NOMEM, "out of memory for a dump");
        return NULL;
    }
    fprintf(file, "opset %d, ir %d, %s\n", graph->opset, graph->ir_version, graph->producer);
    for (size_t i = 0; i < graph->n_in; i++) {
        fprintf(file, "input ");
        put_value(file, graph->in[i]);
        fputc('\n', file);
    }
    for (size_t i = 0; i < graph->n_value; i++) {
        if (!graph->value[i]->data || !graph->value[i]->uses)
            continue;
        fprintf(file, "constant ");
        put_value(file, graph->value[i]);
        fputc('\n', file);
    }
    for (size_t i = 0; i < graph->n_node; i++)
        put_node(file, graph->node[i]);
    for (size_t i = 0; i < graph->n_out; i++)
        fprintf(file, "output %s\n", graph->out[i]->name);
    bool bad = ferror(file);
    if (fclose(file) || bad) {
        gb_fail(GB_ERR_NOMEM, "out of memory for a dump");
        free(text);
        return NULL;
    }
    return text;
}

// What the text rounds or leaves out.
static uint64_t hash_attr(uint64_t hash, const gb_attr *attr)
{
    switch (attr->kind) {
    case GB_ATTR_FLOAT:
        return gb_hash(hash, &attr->f, sizeof attr->f);
    case GB_ATTR_INTS:
        return gb_hash(hash, attr->ints, attr->count * sizeof *attr->ints);
    case GB_ATTR_FLOATS:
        return gb_hash(hash, attr->floats, attr->count * sizeof *attr->floats);
    case GB_ATTR_TENSOR:
        return gb_hash(hash, attr->tensor->data, gb_tensor_bytes(attr->tensor));
    default:
        return hash;
    }
}

int gb_graph_hash(uint64_t *hash, const gb_graph *graph)
{
    char *text = gb_graph_dump(graph);
    if (!text)
        return gb_fail(GB_ERR_NOMEM, "out of memory");
    *hash = gb_hash(GB_HASH_INIT, text, strlen(text));
    free(text);
    for (size_t i = 0; i < graph->n_node; i++) {
        const gb_node *node = graph->node[i];
        const float act[] = {node->act.lo, node->act.hi, node->act.slope};
        *hash = gb_hash(*hash, act, sizeof act);
        for (int k = 0; k < node->n_attr; k++)
            *hash = hash_attr(*hash, &node->attr[k]);
    }
    for (size_t i = 0; i < graph->n_value; i++) {
        const gb_tensor *data = graph->value[i]->data;
        if (data)
            *hash = gb_hash(*hash, data->data, gb_tensor_bytes(data));
    }
    return 0;
}
