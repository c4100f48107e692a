// Finds the model that a name stands for.
#include "models/builtin.h"

#include "onnx/load.h"

#include <stdio.h>
#include <string.h>

static int unknown(const char *name)
{
    char list[512] = "";
    size_t used = 0, count;
    const gb_arch *arch = gb_arch_all(&count);
    for (const gb_builtin *b = gb_builtin_models; b->name && used < sizeof list; b++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s, ", b->name);
    for (size_t i = 0; i < count && used < sizeof list; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "",
                                 arch[i].name);
    return gb_fail(GB_ERR_ARG, "no built-in model '%.64s'; there are %s", name, list);
}

int gb_model_read(gb_graph **out, const gb_arch **arch, const char *name,
                  const gb_arch_options *options)
{
    const size_t prefix = strlen(GB_BUILTIN);
    const gb_arch *found;
    size_t count;
    if (arch)
        *arch = NULL;
    if (strncmp(name, GB_BUILTIN, prefix))
        return gb_onnx_load(out, name);
    for (const gb_builtin *b = gb_builtin_models; b->name; b++)
        if (!strcmp(b->name, name + prefix))
            return gb_onnx_decode(out, b->bytes, b->size, name, NULL);
    found = gb_arch_all(&count);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(found[i].name, name + prefix))
            continue;
        if (arch)
            *arch = &found[i];
        return gb_arch_build(out, &found[i], options ? options : &(gb_arch_options){0});
    }
    return unknown(name + prefix);
}
