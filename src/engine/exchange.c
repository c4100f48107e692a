// Where a schedule is one of several ranks' for one batch: what they tell each other in its middle.
#include "engine/internal.h"

#include <stdlib.h>

static int gather(gb_session *s, const gb_launch *l)
{
    const gb_store *mine = l->arg[0].store, *all = l->arg[1].store;
    char *room = malloc(mine->bytes + all->bytes);
    int err = 0;
    if (!room)
        return gb_fail(GB_ERR_NOMEM, "out of memory for what %d ranks compute", s->emit.ranks);
    char *joined = room + mine->bytes;
    GB_TRY(gb_buf_read(mine->buf, 0, room, mine->bytes));
    gb_ranks_all(s->ranks, joined, room, (int)mine->bytes);
    GB_TRY(gb_buf_write(all->buf, 0, joined, all->bytes));
fail:
    free(room);
    return err;
}

int gb_run_launch(gb_session *s, const gb_launch *l)
{
    return l->gather ? gather(s, l) : gb_kernel_run(l->ready);
}
