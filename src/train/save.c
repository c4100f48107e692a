// A run's state as a checkpoint, and back.
#include "train/internal.h"

#include "base/hash.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// --- what a checkpoint belongs to ---

static uint64_t hash_data(const gb_dataset *ds)
{
    uint64_t hash = gb_dataset_hash(ds);
    for (size_t i = 0; !ds->bytes && i < ds->count; i++) {
        if (i && gb_dataset_same_file(ds, i - 1, i))
            continue;
        const int32_t stamp = gb_dataset_stamp(ds, i);
        hash = gb_hash(hash, &stamp, sizeof stamp);
    }
    return hash;
}

// What besides the config decides a run's bits, as further lines of the settings.
static int add_surroundings(gb_trainer *t)
{
    const gb_normalize *n = &t->task.normalize;
    const float number[] = {n->on, n->bgr, n->range, (float)t->task.scores,
                            (float)t->task.class_axis};
    uint64_t normalize = gb_hash(GB_HASH_INIT, number, sizeof number);
    gb_session_identity by;
    char *preproc = NULL, *text = NULL, held[32] = "none";
    int err = 0;
    normalize = gb_hash(normalize, n->mean, sizeof n->mean);
    normalize = gb_hash(normalize, n->std, sizeof n->std);
    GB_TRY(gb_preproc_json(&preproc, &t->task.data->preproc));
    GB_TRY(gb_session_identify(&by, t->learn));
    if (t->task.held)
        snprintf(held, sizeof held, "%016" PRIx64, hash_data(t->task.held));
    if (asprintf(&text, "%spreprocessing %s %016" PRIx64 "\nprecision %s\ndevice %s\nprogram %s\n"
                 "held-out data %s\n", t->settings, preproc, normalize, by.precision, by.device,
                 by.program, held) < 0) {
        text = NULL;
        err = gb_fail(GB_ERR_NOMEM, "out of memory");
        goto fail;
    }
    free(t->settings);
    t->settings = text;
fail:
    free(preproc);
    return err;
}

int gb_train_hash(gb_trainer *t)
{
    const gb_dataset *ds = t->task.data;
    const int size[] = {ds->classes, ds->channels, ds->height, ds->width};
    uint64_t source = GB_HASH_INIT;
    int err = 0;
    GB_TRY(gb_graph_hash(&t->model_hash, t->task.model));
    if (t->task.source)
        GB_TRY(gb_graph_hash(&source, t->task.source));
    t->model_hash = gb_hash(t->model_hash, &source, sizeof source);
    t->data_hash = gb_hash(hash_data(ds), size, sizeof size);
    err = add_surroundings(t);
fail:
    return err;
}

static gb_checkpoint outline(const gb_trainer *t)
{
    return (gb_checkpoint){.model_hash = t->model_hash, .data_hash = t->data_hash,
                           .settings = t->settings, .epoch = t->epoch, .next = t->next,
                           .steps = gb_optim_steps(t->optim), .seconds = t->spent,
                           .n_param = t->params->total, .n_state = gb_optim_state_count(t->optim),
                           .n_tally = 2 * t->rows, .n_history = t->n_history,
                           .history = t->history};
}

// --- writing ---

int gb_train_fail_numeric(const gb_trainer *t, const char *what)
{
    const char *file = t->task.checkpoint && (t->n_history || t->spent > 0) ? t->task.checkpoint
                                                                            : NULL;
    return gb_fail(GB_ERR_NUMERIC,
                   "epoch %lld, batch %lld: %s NaN or infinite%s%s; try a smaller lr",
                   (long long)t->epoch + 1, (long long)t->next, what,
                   file ? "; the last good checkpoint stays in " : "", file ? file : "");
}

static int write_it(gb_trainer *t)
{
    gb_checkpoint c = outline(t);
    float *state = malloc(c.n_state * sizeof *state);
    int err = 0;
    if (!state)
        return gb_fail(GB_ERR_NOMEM, "%s: out of memory", t->task.checkpoint);
    c.param = t->host;
    c.state = state;
    c.tally = t->summed;
    GB_TRY(gb_params_download(t->params, t->host));
    for (size_t i = 0; i < c.n_param; i++)
        if (!isfinite(t->host[i])) {
            err = gb_train_fail_numeric(t, "the weights are");
            goto fail;
        }
    GB_TRY(gb_optim_download(t->optim, state));
    GB_TRY(gb_checkpoint_write(t->task.checkpoint, &c));
fail:
    free(state);
    return err;
}

int gb_train_save(gb_trainer *t)
{
    size_t sums = 2 * t->rows;
    if (!t->task.checkpoint)
        return 0;
    memcpy(t->summed, t->learned.host, sums * sizeof *t->summed);
    int err = gb_ranks_sum(&t->ranks, t->summed, sums);
    if (err < 0 || t->ranks.rank)
        return err;
    err = write_it(t);
    if (err == GB_ERR_IO) { // a later one may succeed, and the work goes on meanwhile
        gb_log_line(t->task.log, GB_LOG_WARN,
                    "no checkpoint: %s; training goes on, and the last one stays as it was",
                    gb_last_error());
        return 0;
    }
    return err;
}

// --- reading ---

// A tally as it was; where the number of ranks has changed, and with it that of rows, the sums of
// the clean and of the perturbed ones in a row each.
static void take_tally(gb_trainer *t, const float *tally, size_t count)
{
    size_t halves = t->rows / t->n, half = count / (2 * halves);
    bool same = count == 2 * t->rows;
    memset(t->summed, 0, 2 * t->rows * sizeof *t->summed);
    for (size_t h = 0; h < halves; h++)
        for (size_t i = 0; i < half; i++)
            for (size_t k = 0; k < 2; k++)
                t->summed[2 * (h * t->n + (same ? i : 0)) + k] += tally[2 * (h * half + i) + k];
}

int gb_trainer_resume(gb_trainer *t, const char *path)
{
    gb_checkpoint found = {0}, want = outline(t);
    int err = 0;
    GB_TRY(gb_checkpoint_read(&found, path));
    GB_TRY(gb_checkpoint_match(&found, &want, path));
    if (found.next > t->batches || found.steps < 0) {
        err = gb_fail(GB_ERR_FORMAT, "%s: batch %lld of %lld", path, (long long)found.next,
                      (long long)t->batches);
        goto fail;
    }
    GB_TRY(gb_params_upload(t->params, found.param));
    GB_TRY(gb_optim_upload(t->optim, found.state, found.steps));
    take_tally(t, found.tally, found.n_tally);
    if (!t->ranks.rank) // the sum of all ranks
        GB_TRY(gb_buf_write(t->learned.sum, 0, t->summed, 2 * t->rows * sizeof(float)));
    t->epoch = found.epoch;
    t->next = found.next;
    t->spent = found.seconds;
    t->n_history = 0;
    GB_TRY(gb_grow(&t->history, &t->cap_history, found.n_history + 1, sizeof *t->history));
    memcpy(t->history, found.history, found.n_history * sizeof *t->history);
    t->n_history = found.n_history;
fail:
    gb_checkpoint_finish(&found);
    return err;
}
