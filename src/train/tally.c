// Losses and correct answers, summed on the device.
#include "train/internal.h"

#include <stdlib.h>
#include <string.h>

int gb_tally_init(gb_tally *t, gb_session *session)
{
    const gb_io *logits = gb_session_output(session, 0);
    int classes = (int)logits->shape.dim[1], err = 0;
    t->rows = (size_t)gb_session_batch(session);
    const size_t global[3] = {t->rows, 1, 1}, any[3] = {0};
    gb_device *dev = gb_session_device(session);
    t->host = calloc(2 * t->rows, sizeof *t->host);
    if (!t->host)
        return gb_fail(GB_ERR_NOMEM, "out of memory for a batch of %zu", t->rows);
    GB_TRY(gb_buf_create(&t->sum, dev, 2 * t->rows * sizeof(float)));
    GB_TRY(gb_kernel_create(&t->kernel, dev, "train", "tally", ""));
    GB_TRY(gb_kernel_arg_buf(t->kernel, 0, logits->buf));
    GB_TRY(gb_kernel_arg_buf(t->kernel, 1, gb_session_losses(session)));
    GB_TRY(gb_kernel_arg_buf(t->kernel, 2, gb_session_weights(session)));
    GB_TRY(gb_kernel_arg_buf(t->kernel, 3, gb_session_labels(session)));
    GB_TRY(gb_kernel_arg(t->kernel, 4, sizeof classes, &classes));
    GB_TRY(gb_kernel_arg_buf(t->kernel, 5, t->sum));
    GB_TRY(gb_kernel_size(t->kernel, global, any));
    GB_TRY(gb_tally_reset(t));
fail:
    return err;
}

void gb_tally_finish(gb_tally *t)
{
    gb_kernel_free(t->kernel);
    gb_buf_free(t->sum);
    free(t->host);
    *t = (gb_tally){0};
}

int gb_tally_reset(gb_tally *t)
{
    memset(t->host, 0, 2 * t->rows * sizeof *t->host);
    return gb_buf_fill(t->sum, 0, 2 * t->rows * sizeof(float), 0);
}

int gb_tally_count(gb_tally *t)
{
    return gb_kernel_run(t->kernel);
}

int gb_tally_read(gb_tally *t)
{
    return gb_buf_read(t->sum, 0, t->host, 2 * t->rows * sizeof *t->host);
}

double gb_tally_sum(const gb_tally *t, size_t first, size_t end, int column)
{
    double sum = 0;
    for (size_t i = first; i < end; i++)
        sum += (double)t->host[2 * i + (size_t)column];
    return sum;
}
