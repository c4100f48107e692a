// Makes and frees what training needs: sessions over shared parameters, loaders, the optimiser.
#include "train/internal.h"

#include <math.h>
#include <stdlib.h>


static int check_task(const gb_trainer *t)
{
    const gb_train_task *k = &t->task;
    const gb_graph *m = k->model;
    const gb_dataset *ds = k->data;
    if (m->n_in != 1 || m->in[0]->shape.rank != 4 || m->n_out != 1)
        return gb_fail(GB_ERR_UNSUPPORTED,
                       "training takes a classifier with one input of N,C,H,W and one output");
    const int64_t want[3] = {ds->channels, ds->height, ds->width};
    for (int i = 0; i < 3; i++)
        if (m->in[0]->shape.dim[i + 1] >= 0 && m->in[0]->shape.dim[i + 1] != want[i])
            return gb_fail(GB_ERR_ARG,
                           "%s gives images of %dx%dx%d, the model takes %lldx%lldx%lld", ds->spec,
                           ds->channels, ds->height, ds->width,
                           (long long)m->in[0]->shape.dim[1], (long long)m->in[0]->shape.dim[2],
                           (long long)m->in[0]->shape.dim[3]);
    if (k->held && k->held->pixels != ds->pixels)
        return gb_fail(GB_ERR_ARG, "%s and %s have images of different sizes", ds->spec,
                       k->held->spec);
    if (ds->count < (size_t)t->config.batch)
        return gb_fail(GB_ERR_ARG, "%s has %zu images, fewer than a batch of %d", ds->spec,
                       ds->count, t->config.batch);
    if (t->config.batch % t->ranks.size)
        return gb_fail(GB_ERR_ARG, "a batch of %d does not divide among %d ranks", t->config.batch,
                       t->ranks.size);
    return 0;
}

// --- sessions ---

// Each row's share in the gradient, so that the loss is a mean over the batch of all ranks.
static int set_weights(gb_trainer *t)
{
    const gb_adversary_config *a = &t->config.adversary;
    double both = gb_adversary_loss(a) == GB_LOSS_KL ? a->beta : a->lambda;
    float *weight = malloc(t->rows * sizeof *weight);
    if (!weight)
        return gb_fail(GB_ERR_NOMEM, "out of memory for a batch of %zu", t->rows);
    for (size_t i = 0; i < t->rows; i++)
        weight[i] = (float)((i < t->n ? 1 : both) / t->config.batch);
    int err = gb_buf_write(gb_session_weights(t->learn), 0, weight, t->rows * sizeof *weight);
    free(weight);
    return err;
}

static int make_sessions(gb_trainer *t, const gb_adversary *adversary)
{
    const gb_train_task *k = &t->task;
    const gb_adversary_config *a = &t->config.adversary;
    gb_session_options learn = {.batch = (int64_t)t->rows, .loss = GB_LOSS_CE, .grad = true,
                                .train = true, .params = t->params, .normalize = k->normalize,
                                .scores = k->scores, .class_axis = k->class_axis, .log = k->log,
                                .ranks = &t->ranks,
                                .label_smoothing = (float)t->config.label_smoothing};
    gb_session_options judge = {.batch = (int64_t)t->n, .loss = GB_LOSS_CE, .params = t->params,
                                .grad = adversary->perturbs, .normalize = k->normalize,
                                .scores = k->scores, .class_axis = k->class_axis, .log = k->log};
    gb_session_options own = judge;
    int err = 0;
    if (adversary->trades)
        learn.loss = GB_LOSS_TRADES;
    GB_TRY(gb_session_create(&t->judge, t->dev, k->model, &judge));
    learn.scores = own.scores = gb_session_head(t->judge)->asked;
    GB_TRY(gb_session_create(&t->learn, t->dev, k->model, &learn));
    if (gb_session_classes(t->learn) < k->data->classes) {
        err = gb_fail(GB_ERR_ARG, "%s has %d classes, the model has %lld", k->data->spec,
                      k->data->classes, (long long)gb_session_classes(t->learn));
        goto fail;
    }
    GB_TRY(set_weights(t));
    own.loss = gb_adversary_loss(a);
    if (adversary->fixed) {
        own.params = NULL;
        own.scores = k->scores;
        GB_TRY(gb_session_create(&t->own, t->dev, k->source ? k->source : k->model, &own));
        if (gb_session_batch(t->own) != own.batch) {
            err = gb_fail(GB_ERR_UNSUPPORTED, "what static perturbs against takes one image at a "
                          "time; training takes models that keep images apart");
            goto fail;
        }
    } else if (own.loss != judge.loss) {
        GB_TRY(gb_session_create(&t->own, t->dev, k->model, &own));
    }
    if (adversary->perturbs) {
        gb_adversary_config fgsm, pgd;
        GB_TRY(gb_perturb_create(&t->perturb, t->own ? t->own : t->judge, a, t->config.seed));
        GB_TRY(gb_adversary_default(&fgsm, "fgsm"));
        GB_TRY(gb_adversary_default(&pgd, "pgd"));
        fgsm.eps = pgd.eps = a->eps;
        GB_TRY(gb_adversary_resolve(&fgsm));
        GB_TRY(gb_adversary_resolve(&pgd));
        GB_TRY(gb_perturb_create(&t->fgsm, t->judge, &fgsm, t->config.seed));
        GB_TRY(gb_perturb_create(&t->pgd, t->judge, &pgd, t->config.seed));
    }
    GB_TRY(gb_tally_init(&t->learned, t->learn));
    GB_TRY(gb_tally_init(&t->judged, t->judge));
fail:
    return err;
}

// --- data ---

static int make_loaders(gb_trainer *t)
{
    const gb_train_task *k = &t->task;
    gb_loader_options learn = {.batch = (size_t)t->config.batch, .shuffle = true,
                               .drop_last = true, .flip = t->config.flip, .pad = t->config.crop,
                               .seed = t->config.seed, .rank = t->ranks.rank,
                               .ranks = t->ranks.size};
    gb_loader_options held = {.batch = learn.batch, .rank = learn.rank, .ranks = learn.ranks};
    gb_loader_options first = held;
    const gb_dataset *probed = k->held ? k->held : k->data;
    size_t bytes = t->n * (t->pixels * sizeof(float) + 3 * sizeof(float));
    int err = 0;
    GB_TRY(gb_loader_open(&t->loader, k->data, &learn));
    t->batches = (int64_t)gb_loader_batches(t->loader);
    if (k->held)
        GB_TRY(gb_loader_open(&t->held, k->held, &held));
    first.count = probed->count < held.batch ? probed->count : held.batch;
    if (t->perturb)
        GB_TRY(gb_loader_open(&t->first, probed, &first));
    for (int i = 0; i < 2; i++)
        GB_TRY(gb_upload_create(&t->upload[i], t->dev, bytes));
fail:
    return err;
}

int gb_trainer_create(gb_trainer **out, gb_device *dev, const gb_train_task *task,
                      const gb_train_config *config)
{
    const gb_adversary *adversary;
    int err = 0;
    gb_trainer *t = calloc(1, sizeof *t);
    if (!t)
        return gb_fail(GB_ERR_NOMEM, "out of memory");
    t->task = *task;
    t->config = *config;
    t->dev = dev;
    t->ranks = task->ranks ? *task->ranks : (gb_ranks){.size = 1};
    GB_TRY(gb_train_resolve(&t->config));
    GB_TRY(gb_schedule_find(&t->schedule, t->config.schedule.name));
    GB_TRY(gb_adversary_find(&adversary, t->config.adversary.name));
    GB_TRY(check_task(t));
    t->n = (size_t)(t->config.batch / t->ranks.size);
    t->rows = t->n * (gb_adversary_doubles(&t->config.adversary) ? 2 : 1);
    t->pixels = task->data->pixels;
    GB_TRY(gb_params_create(&t->params, dev, task->model));
    t->host = malloc((t->params->total + 1) * sizeof *t->host);
    t->summed = malloc(2 * t->rows * sizeof *t->summed);
    t->settings = gb_train_describe(&t->config);
    if (!t->host || !t->summed || !t->settings) {
        err = gb_fail(GB_ERR_NOMEM, "out of memory for %zu parameters", t->params->total);
        goto fail;
    }
    GB_TRY(make_sessions(t, adversary));
    GB_TRY(gb_train_hash(t));
    GB_TRY(make_loaders(t));
    GB_TRY(gb_optim_create(&t->optim, dev, &t->config.optim, t->params->value,
                           gb_session_param_grad(t->learn), t->params->trainable));
    *out = t;
    return 0;
fail:
    gb_trainer_free(t);
    return err;
}

void gb_trainer_free(gb_trainer *t)
{
    if (!t)
        return;
    gb_loader_free(t->loader);
    gb_loader_free(t->held);
    gb_loader_free(t->first);
    for (int i = 0; i < 2; i++)
        gb_upload_free(t->upload[i]);
    gb_tally_finish(&t->learned);
    gb_tally_finish(&t->judged);
    gb_optim_free(t->optim);
    gb_perturb_free(t->perturb);
    gb_perturb_free(t->fgsm);
    gb_perturb_free(t->pgd);
    gb_session_free(t->own);
    gb_session_free(t->judge);
    gb_session_free(t->learn);
    gb_params_free(t->params);
    free(t->host);
    free(t->summed);
    free(t->settings);
    free(t->history);
    free(t);
}

const gb_params *gb_trainer_params(const gb_trainer *t)
{
    return t->params;
}

const gb_epoch *gb_trainer_history(const gb_trainer *t, size_t *count)
{
    *count = t->n_history;
    return t->history;
}

size_t gb_trainer_parameters(const gb_trainer *t)
{
    return t->params->trainable;
}
