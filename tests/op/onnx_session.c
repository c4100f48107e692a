// A session for an operator case, with its inputs uploaded.
#include "op/onnx_session.h"

#include <stdlib.h>
#include <string.h>

// `only`: the one input that is given at run time; -1: every one of floats is.
static int create(gb_session **out, gb_device *dev, const onnx_case *c, const char *seed, int only,
                  bool *free_input)
{
    gb_binding bound[ONNX_CASE_MAX];
    gb_session_options options = {.binding = bound, .seed = seed, .grad = seed != NULL};
    for (size_t i = 0; i < c->n_in; i++) {
        free_input[i] = c->in[i]->type == GB_F32 && (only < 0 || (size_t)only == i);
        if (!free_input[i])
            bound[options.n_binding++] =
                (gb_binding){.name = c->graph->in[i]->name, .data = c->in[i]};
    }
    return gb_session_create(out, dev, c->graph, &options);
}

int onnx_session_unfolded(gb_session **out, gb_device *dev, const onnx_case *c)
{
    gb_binding bound[ONNX_CASE_MAX];
    gb_session_options options = {.binding = bound, .n_binding = c->n_in, .fold_seconds = 1e-15};
    for (size_t i = 0; i < c->n_in; i++)
        bound[i] = (gb_binding){.name = c->graph->in[i]->name, .data = c->in[i]};
    return gb_session_create(out, dev, c->graph, &options);
}

int onnx_session(gb_session **out, gb_device *dev, const onnx_case *c, const char *seed,
                 bool *free_input)
{
    gb_session *s = NULL;
    int err = 0;
    const int64_t most = getenv("GIBBON_TEST_SMALL") ? 1000 : INT64_MAX; // for simulated devices
    for (size_t i = 0; i < c->n_in; i++) {
        const int64_t count = gb_shape_count(&c->in[i]->shape);
        if (c->in[i]->type == GB_F32 && (!count || count > most))
            return gb_fail(GB_ERR_UNSUPPORTED, "an input %s", count ? "too large here"
                                                                     : "without elements");
    }
    err = create(&s, dev, c, seed, -1, free_input);
    for (size_t i = 0; i < c->n_in && err == GB_ERR_UNSUPPORTED; i++)
        if (c->in[i]->type == GB_F32)
            err = create(&s, dev, c, seed, (int)i, free_input);
    GB_TRY(err);
    for (size_t i = 0; i < gb_session_inputs(s); i++) {
        const gb_io *io = gb_session_input(s, i);
        for (size_t k = 0; k < c->n_in; k++)
            if (!strcmp(c->graph->in[k]->name, io->name))
                GB_TRY(gb_session_upload(s, io, c->in[k]->data));
    }
    *out = s;
    return 0;
fail:
    gb_session_free(s);
    return err;
}
