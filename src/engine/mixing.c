// Whether an instance keeps the images of its batch apart, and which node does not.
#include "engine/rebatch.h"
#include "op/images.h"

// The node that first mixes images on the way to a value that holds mixed ones.
static const gb_node *first_to_mix(const gb_value *v)
{
    const gb_node *node = NULL;
    while (v && v->producer) {
        node = v->producer;
        v = NULL;
        for (int i = 0; i < node->n_in && !v; i++)
            if (node->in[i] && node->in[i]->images.kind == GB_IMAGES_MIXED)
                v = node->in[i];
    }
    return node;
}

int gb_find_mixing(gb_graph *g)
{
    for (size_t i = 0; i < g->n_out && g->batch > 1 && !g->mixes; i++) {
        const gb_value *v = g->out[i];
        const gb_images *m = &v->images;
        bool leads = v->shape.rank > 0 && v->shape.dim[0] == g->batch &&
                     gb_shape_count(&v->shape) > 0;
        if (m->kind == GB_IMAGES_MIXED)
            g->mixes = gb_arena_printf(&g->arena, "%s: what comes of an image depends on the rest "
                                       "of its batch", gb_node_text(first_to_mix(v)));
        else if (m->kind != GB_IMAGES_APART ? leads
                                            : !leads || m->inside != gb_images_step(&v->shape, 0))
            g->mixes = gb_arena_printf(&g->arena, "output '%.200s' is no list of one entry for "
                                       "each image", v->name);
        else
            continue;
        if (!g->mixes)
            return GB_ERR_NOMEM;
    }
    return 0;
}
