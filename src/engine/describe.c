// The memory plan and the launches of a session as text.
#include "engine/internal.h"

#include <stdio.h>
#include <stdlib.h>

static void print_launch(FILE *f, size_t i, const gb_launch *l)
{
    fprintf(f, "%4zu %s %-10s %-16s %zux%zux%zu", i, l->backward ? "B" : "F", l->program, l->kernel,
            l->global[0], l->global[1], l->global[2]);
    if (l->flops > 0)
        fprintf(f, " %.1f MFLOP", l->flops * 1e-6);
    fprintf(f, "  %s\n", l->node ? gb_node_text(l->node) : "");
}

char *gb_session_plan_text(const gb_session *s)
{
    static const char *const kinds[] = {"arena", "constant", "io"};
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    if (!f)
        return NULL;
    for (size_t i = 0; i < s->emit.n_launch; i++)
        print_launch(f, i, s->emit.launch[i]);
    for (size_t i = 0; i < s->emit.n_store; i++) {
        const gb_store *t = s->emit.store[i];
        if (t->first < 0)
            continue;
        fprintf(f, "%-9s %10zu bytes", kinds[t->kind], t->bytes);
        if (t->kind == GB_STORE_TEMP)
            fprintf(f, " at %10zu", t->offset);
        fprintf(f, "  launches %d-%d  %s\n", t->first, t->last, t->what);
    }
    fclose(f);
    return text;
}
