// The training loop: epochs of steps, a look at the loss now and then, measurements, checkpoints.
#include "train/internal.h"

#include <math.h>
#include <time.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

// Reads the sums so far. Waits for the device, so now and then only.
static int look(gb_trainer *t)
{
    int err = gb_tally_read(&t->learned);
    if (err >= 0 && !isfinite(gb_tally_sum(&t->learned, 0, t->rows, 0)))
        err = gb_train_fail_numeric(t, "the loss is");
    return err;
}

static void tell(gb_trainer *t, const gb_train_listener *l)
{
    double done = (double)t->next, share = t->ranks.size, speed = 0;
    int64_t left = (t->config.epochs - t->epoch) * t->batches - t->next;
    size_t all = t->rows;
    if (!l || !l->now)
        return;
    if (t->stepped > 1) // the first one compiles
        speed = (double)(t->stepped - 1) / (now() - t->first_step);
    gb_train_now n = {
        .epoch = (int)t->epoch, .epochs = t->config.epochs, .batch = t->next,
        .batches = t->batches,
        .loss = share * gb_tally_sum(&t->learned, 0, all, 0) / done,
        .accuracy = gb_tally_sum(&t->learned, 0, all, 1) / (done * (double)all),
        .images_per_second = speed * t->config.batch,
        .seconds_left = speed > 0 ? (double)left / speed : NAN,
    };
    l->now(l->user, &n);
}

// What the epoch's sums say, over all ranks.
static int summarize(gb_trainer *t, gb_epoch *e)
{
    double images = (double)t->batches * t->config.batch;
    bool doubled = t->rows > t->n, perturbed = t->perturb != NULL;
    const gb_tally *k = &t->learned;
    float sum[3] = {(float)gb_tally_sum(k, 0, t->rows, 0), (float)gb_tally_sum(k, 0, t->n, 1),
                    (float)gb_tally_sum(k, t->n, t->rows, 1)};
    int err = 0;
    GB_TRY(gb_ranks_sum(&t->ranks, sum, 3));
    e->loss = (double)sum[0] / (double)t->batches;
    e->accuracy = perturbed && !doubled ? NAN : (double)sum[1] / images;
    e->adv_accuracy = doubled ? (double)sum[2] / images
                              : perturbed ? (double)sum[1] / images : NAN;
    e->images = images;
fail:
    return err;
}

bool gb_train_watch(const gb_log *log, int64_t epoch, const gb_epoch *e)
{
    const bool collapsed = e->fgsm_accuracy >= 0.3 && e->pgd_accuracy < e->fgsm_accuracy / 2;
    if (collapsed)
        gb_log_line(log, GB_LOG_WARN,
                    "epoch %lld: catastrophic overfitting: %.1f %% of held images withstand FGSM, "
                    "but only %.1f %% PGD; train with pgd, or a smaller eps or lr",
                    (long long)epoch + 1, 100 * e->fgsm_accuracy, 100 * e->pgd_accuracy);
    return collapsed;
}

static int end_epoch(gb_trainer *t, double lr, const gb_train_listener *l)
{
    gb_epoch e = {.lr = lr, .seconds = t->spent + now() - t->since};
    int err = 0;
    GB_TRY(summarize(t, &e));
    GB_TRY(gb_train_evaluate(t, &e));
    GB_TRY(gb_train_probe(t, &e));
    gb_train_watch(t->task.log, t->epoch, &e);
    GB_TRY(gb_grow(&t->history, &t->cap_history, t->n_history + 1, sizeof *t->history));
    t->history[t->n_history++] = e;
    GB_TRY(gb_tally_reset(&t->learned));
    t->epoch++;
    t->next = 0;
    t->spent = 0;
    GB_TRY(gb_train_save(t));
    if (l && l->epoch)
        l->epoch(l->user, t->history, t->n_history);
    t->since = now();
fail:
    return err;
}

// A checkpoint within an epoch.
static int save_within(gb_trainer *t)
{
    double start = now();
    t->spent += start - t->since;
    int err = gb_train_save(t);
    t->since = now();
    return err;
}

int gb_trainer_run(gb_trainer *t, const gb_train_listener *l)
{
    int64_t total = t->batches * t->config.epochs;
    double looked = now();
    int err = 0, every = t->task.checkpoint_every;
    GB_TRY(gb_loader_seek(t->loader, (size_t)t->epoch, (size_t)t->next));
    t->since = now();
    while (t->epoch < t->config.epochs) {
        int64_t step = t->epoch * t->batches + t->next;
        bool stop = l && l->stop && l->stop(l->user);
        double lr = t->schedule->rate(&t->config.schedule, t->config.optim.lr, step, t->batches,
                                      total);
        GB_TRY(gb_train_step(t, lr, &stop));
        t->next++;
        bool ends = t->next == t->batches, saves = stop || (every && t->next % every == 0);
        if (t->stepped++ == 0) {
            GB_TRY(gb_device_finish(t->dev));
            t->first_step = now();
        }
        if (ends || saves || now() - looked > 0.5) {
            GB_TRY(look(t));
            tell(t, l);
            looked = now();
        }
        if (ends)
            GB_TRY(end_epoch(t, lr, l));
        else if (saves)
            GB_TRY(save_within(t));
        if (stop) {
            err = gb_fail(GB_ERR_CANCELLED, "stopped");
            goto fail;
        }
    }
fail:
    return err;
}
