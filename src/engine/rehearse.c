// Compiles what a session will run, from the end to the beginning, for another process.
//
// Drivers that compile a kernel at its first launch do so on one core. A second process that makes
// the same session meets the first one half way.
#include "engine/internal.h"

int gb_rehearse(gb_session *s, size_t count)
{
    const gb_emit *e = &s->emit;
    int err = 0;
    // All that this process holds, the other one holds, too.
    if (gb_device_allocated(s->dev) > e->info->memory / 4)
        return gb_fail(GB_ERR_DEVICE_MEM, "too large to be rehearsed");
    // Kernels find zeros where those before them would have left numbers, also where these are
    // places.
    for (int a = 0; a < s->plan.arenas; a++)
        GB_TRY(gb_buf_fill(s->plan.arena[a], 0, s->plan.arena_bytes[a], 0));
    for (size_t i = count; i-- > 0;) {
        gb_launch *l = e->launch[i];
        if (l->gather || l->ready)
            continue;
        GB_TRY(gb_make_kernel(s, l));
        GB_TRY(gb_run_launch(s, l));
    }
fail:
    return err;
}
