// The operators of a model that gibbon does not have.
#include "engine/session.h"
#include "op/op.h"

#include <stdio.h>
#include <string.h>

// What is wrong with a node's operator, written into buf; false: nothing.
static bool unsupported(char *buf, size_t size, const gb_node *node)
{
    const gb_op *op = gb_op_find(node->type);
    buf[0] = 0;
    if (!op)
        return true;
    if (node->opset < op->since)
        snprintf(buf, size, ", needs opset %d", op->since);
    else if (op->until && node->opset > op->until)
        snprintf(buf, size, ", only up to opset %d", op->until);
    else
        return false;
    return true;
}

bool gb_node_supported(const gb_node *node)
{
    char why[64];
    return !unsupported(why, sizeof why, node);
}

int gb_model_unsupported(char **text, const gb_graph *model)
{
    int err = 0, kinds = 0;
    size_t length = 0;
    FILE *f = NULL;
    *text = NULL;
    for (size_t i = 0; i < model->n_node && kinds < 64; i++) {
        char why[64];
        size_t count = 0;
        if (!unsupported(why, sizeof why, model->node[i]))
            continue;
        bool seen = false;
        for (size_t j = 0; j < model->n_node && !seen; j++) {
            bool same = strcmp(model->node[i]->type, model->node[j]->type) == 0;
            seen = same && j < i;
            count += same;
        }
        if (seen)
            continue;
        if (!f && !(f = open_memstream(text, &length)))
            return gb_fail(GB_ERR_NOMEM, "out of memory");
        fprintf(f, "%s%.80s (%zu%s)", kinds++ ? ", " : "", model->node[i]->type, count, why);
    }
    if (f && fclose(f) != 0)
        err = gb_fail(GB_ERR_NOMEM, "out of memory");
    return err;
}
