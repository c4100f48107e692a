// What training does with one batch, and measuring the model on held-out images.
#include "train/internal.h"

#include <math.h>
#include <string.h>

// --- batches on their way to the device ---

// Where the parts of a batch lie in an upload's memory.
typedef struct parts {
    size_t images, labels, ids, weights, bytes;
} parts;

static parts parts_of(const gb_trainer *t)
{
    parts p = {.labels = t->n * t->pixels * sizeof(float)};
    p.ids = p.labels + t->n * sizeof(int32_t);
    p.weights = p.ids + t->n * sizeof(uint32_t);
    p.bytes = p.weights + t->n * sizeof(float);
    return p;
}

// (C,H,W) to the session's memory order.
static void lay_out(float *to, const float *from, const gb_io *io)
{
    int64_t channels = io->shape.dim[1], area = io->shape.dim[2] * io->shape.dim[3];
    if (channels == 1 || io->view.stride[1] != 1) {
        memcpy(to, from, (size_t)(channels * area) * sizeof *to);
        return;
    }
    for (int64_t c = 0; c < channels; c++)
        for (int64_t i = 0; i < area; i++)
            to[i * channels + c] = from[c * area + i];
}

// Fills the next upload with a batch and sends its images and labels to `session`.
static int send(gb_trainer *t, const gb_batch *b, gb_session *session, gb_upload **sent)
{
    const gb_io *in = gb_session_input(session, 0);
    parts p = parts_of(t);
    gb_upload *u = t->upload[t->turn++ % 2];
    void *room;
    int err = 0;
    GB_TRY(gb_upload_room(&room, u));
    float *images = room, *weights = (float *)((char *)room + p.weights);
    int32_t *labels = (int32_t *)((char *)room + p.labels);
    uint32_t *ids = (uint32_t *)((char *)room + p.ids);
    for (size_t i = 0; i < t->n; i++) {
        bool real = i < b->count;
        if (i < b->capacity)
            lay_out(images + i * t->pixels, b->images + i * t->pixels, in);
        labels[i] = real ? b->labels[i] : 0;
        ids[i] = real ? (uint32_t)b->item[i] : 0;
        weights[i] = real ? 1 : 0;
    }
    GB_TRY(gb_upload_send(u, in->buf, 0, p.images, p.labels));
    if (gb_session_labels(session)) // KL has none
        GB_TRY(gb_upload_send(u, gb_session_labels(session), 0, p.labels, p.ids - p.labels));
    *sent = u;
fail:
    return err;
}

// --- a step of training ---

// Gradients of all ranks together, and their wish to stop. Their running statistics are the same,
// being those of the whole batch.
static int join_ranks(gb_trainer *t, bool *stop)
{
    gb_buf *grad = gb_session_param_grad(t->learn);
    size_t n = t->params->trainable;
    int err = 0;
    GB_TRY(gb_buf_read(grad, 0, t->host, n * sizeof(float)));
    t->host[n] = *stop;
    GB_TRY(gb_ranks_sum(&t->ranks, t->host, n + 1));
    *stop = t->host[n] != 0;
    GB_TRY(gb_buf_write(grad, 0, t->host, n * sizeof(float)));
fail:
    return err;
}

// The batch as `learn` wants it: clean, perturbed, or the clean images before the perturbed ones.
static int fill_batch(gb_trainer *t, const gb_batch *b)
{
    gb_buf *in = gb_session_input(t->learn, 0)->buf, *labels = gb_session_labels(t->learn);
    size_t images = t->n * t->pixels * sizeof(float), last = (t->rows - t->n) * sizeof(int32_t);
    parts p = parts_of(t);
    gb_upload *u;
    int err = 0;
    if (!t->perturb)
        return send(t, b, t->learn, &u);
    gb_session *victim = t->own ? t->own : t->judge;
    gb_buf *x = gb_session_input(victim, 0)->buf;
    GB_TRY(send(t, b, victim, &u));
    GB_TRY(gb_upload_send(u, gb_perturb_ids(t->perturb), 0, p.ids, p.weights - p.ids));
    GB_TRY(gb_upload_send(u, gb_session_weights(victim), 0, p.weights, p.bytes - p.weights));
    GB_TRY(gb_upload_send(u, labels, 0, p.labels, p.ids - p.labels));
    if (last) {
        GB_TRY(gb_upload_send(u, labels, last, p.labels, p.ids - p.labels));
        GB_TRY(gb_buf_copy(in, 0, x, 0, images));
    }
    GB_TRY(gb_perturb_run(t->perturb, (size_t)t->epoch));
    GB_TRY(gb_buf_copy(in, last ? images : 0, x, 0, images));
fail:
    return err;
}

int gb_train_step(gb_trainer *t, double lr, bool *stop)
{
    const gb_batch *b;
    int err = 0;
    GB_TRY(gb_loader_next(&b, t->loader));
    GB_TRY(fill_batch(t, b));
    GB_TRY(gb_session_gradient(t->learn));
    GB_TRY(gb_session_commit(t->learn));
    if (t->ranks.size > 1)
        GB_TRY(join_ranks(t, stop));
    GB_TRY(gb_optim_step(t->optim, lr));
    GB_TRY(gb_tally_count(&t->learned));
    GB_TRY(gb_device_flush(t->dev));
fail:
    return err;
}

// --- measuring ---

// Sums over all ranks: losses, correct answers, images.
static int total(gb_trainer *t, double *loss, double *accuracy, size_t images)
{
    int err = 0;
    GB_TRY(gb_tally_read(&t->judged));
    float sum[3] = {(float)gb_tally_sum(&t->judged, 0, t->n, 0),
                    (float)gb_tally_sum(&t->judged, 0, t->n, 1), (float)images};
    GB_TRY(gb_ranks_sum(&t->ranks, sum, 3));
    *loss = (double)sum[0] / (double)sum[2];
    *accuracy = (double)sum[1] / (double)sum[2];
fail:
    return err;
}

// The next images of `loader` into `judge`, with weight 0 for what fills the batch.
static int send_judge(gb_trainer *t, gb_loader *loader, const gb_batch **b, gb_upload **u)
{
    parts p = parts_of(t);
    int err = 0;
    GB_TRY(gb_loader_next(b, loader));
    GB_TRY(send(t, *b, t->judge, u));
    GB_TRY(gb_upload_send(*u, gb_session_weights(t->judge), 0, p.weights, p.bytes - p.weights));
fail:
    return err;
}

int gb_train_evaluate(gb_trainer *t, gb_epoch *result)
{
    const gb_batch *b;
    gb_upload *u;
    size_t images = 0;
    int err = 0;
    result->held_loss = result->held_accuracy = NAN;
    if (!t->held)
        return 0;
    GB_TRY(gb_loader_seek(t->held, 0, 0));
    GB_TRY(gb_tally_reset(&t->judged));
    for (size_t i = 0; i < gb_loader_batches(t->held); i++) {
        GB_TRY(send_judge(t, t->held, &b, &u));
        GB_TRY(gb_session_forward(t->judge));
        GB_TRY(gb_tally_count(&t->judged));
        images += b->count;
    }
    GB_TRY(total(t, &result->held_loss, &result->held_accuracy, images));
fail:
    return err;
}

static int probe(gb_trainer *t, gb_perturb *attack, double *accuracy)
{
    parts p = parts_of(t);
    const gb_batch *b;
    gb_upload *u;
    double loss;
    int err = 0;
    GB_TRY(gb_loader_seek(t->first, 0, 0));
    GB_TRY(send_judge(t, t->first, &b, &u));
    GB_TRY(gb_upload_send(u, gb_perturb_ids(attack), 0, p.ids, p.weights - p.ids));
    GB_TRY(gb_tally_reset(&t->judged));
    GB_TRY(gb_perturb_run(attack, 0));
    GB_TRY(gb_session_forward(t->judge));
    GB_TRY(gb_tally_count(&t->judged));
    GB_TRY(total(t, &loss, accuracy, b->count));
fail:
    return err;
}

int gb_train_probe(gb_trainer *t, gb_epoch *result)
{
    int err = 0;
    result->fgsm_accuracy = result->pgd_accuracy = NAN;
    if (!t->perturb)
        return 0;
    GB_TRY(probe(t, t->fgsm, &result->fgsm_accuracy));
    GB_TRY(probe(t, t->pgd, &result->pgd_accuracy));
fail:
    return err;
}
