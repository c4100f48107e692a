// Chooses pictures, shares them among ranks, keeps what is found.
#include "eval_task.h"

#include "report/report.h"

#include <stdlib.h>
#include <string.h>

// --- what rows depend on ---

static int add_setting(eval_task *t, const char *key, const char *text)
{
    t->setting[t->n_setting++] = (gb_eval_setting){key, text};
    return text ? 0 : GB_ERR_NOMEM;
}

static char *attack_text(eval_task *t)
{
    char *text = NULL, *kept = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    if (!file)
        return NULL;
    gb_report_attack_text(file, &t->config);
    if (!fclose(file)) {
        text[strcspn(text, "\n")] = 0;
        kept = gb_arena_strdup(&t->arena, text + strlen("attack   "));
    }
    free(text);
    return kept;
}

static int describe(eval_task *t)
{
    uint64_t hash;
    char preprocess[256];
    int err = 0;
    GB_TRY(gb_graph_hash(&hash, t->model));
    GB_TRY(add_setting(t, "version", "1"));
    GB_TRY(add_setting(t, "model", gb_arena_printf(&t->arena, "%016llx",
                                                   (unsigned long long)hash)));
    hash = gb_dataset_hash(t->data);
    GB_TRY(add_setting(t, "data set", gb_arena_printf(&t->arena, "%zu pictures, %016llx",
                                                      t->data->count, (unsigned long long)hash)));
    gb_preproc_text(preprocess, sizeof preprocess, &t->p.preproc);
    GB_TRY(add_setting(t, "preprocessing", gb_arena_strdup(&t->arena, preprocess)));
    GB_TRY(add_setting(t, "attack", t->config.method ? attack_text(t) : "none"));
    GB_TRY(add_setting(t, "choice of classes", t->data_classes ? "the data's" : "the model's"));
fail:
    return err;
}

// --- which pictures ---

// All, or `limit` of them at even distances: of every class its share, however the data is sorted.
static int choose(eval_task *t)
{
    size_t count = t->data->count, limit = (size_t)t->limit;
    t->n_item = limit && limit < count ? limit : count;
    t->item = gb_arena_array(&t->arena, t->n_item, sizeof *t->item);
    t->todo = gb_arena_array(&t->arena, t->n_item, sizeof *t->todo);
    if (!t->item || !t->todo)
        return GB_ERR_NOMEM;
    for (size_t i = 0; i < t->n_item; i++)
        t->item[i] = (size_t)(((unsigned __int128)i * count) / t->n_item);
    return 0;
}

static const char *item_name(void *user, int64_t item)
{
    static _Thread_local char name[4096];
    const eval_task *t = user;
    return gb_dataset_item_text(name, sizeof name, t->data, (size_t)item);
}

static gb_record record_of(eval_task *t)
{
    return (gb_record){.folder = t->cli->output, .setting = t->setting, .n_setting = t->n_setting,
                       .attack = t->attack != NULL,
                       .eight_bit = t->attack && t->config.eight_bit, .name = item_name, .user = t};
}

// Rank 0 reads what there is; marks it in done[count].
static int take_up(eval_task *t, uint8_t *done)
{
    gb_record record = record_of(t);
    int err = 0;
    if (!t->cli->output || t->cli->ranks.rank)
        return 0;
    GB_TRY(gb_record_begin(&t->rows, &record));
    for (size_t i = 0; i < t->rows.n; i++) {
        if ((size_t)t->rows.row[i].item >= t->data->count)
            return gb_fail(GB_ERR_FORMAT, "%s/images.csv: picture %lld, but there are %zu",
                           t->cli->output, (long long)t->rows.row[i].item, t->data->count);
        done[t->rows.row[i].item] = 1;
    }
fail:
    return err;
}

int eval_prepare(eval_task *t)
{
    const gb_ranks *ranks = &t->cli->ranks;
    uint8_t *done = NULL;
    int err = 0;
    GB_TRY(describe(t));
    GB_TRY(choose(t));
    done = gb_arena_array(&t->arena, t->data->count, sizeof *done);
    if (!done)
        return GB_ERR_NOMEM;
    GB_TRY(gb_ranks_agree(ranks, take_up(t, done)));
    gb_ranks_share(ranks, done, t->data->count);
    size_t open = 0, size = ranks->size ? (size_t)ranks->size : 1;
    for (size_t i = 0; i < t->n_item; i++) {
        if (done[t->item[i]])
            t->earlier++;
        else if (open++ % size == (size_t)ranks->rank)
            t->todo[t->n_todo++] = t->item[i];
    }
    if (t->cli->output)
        GB_TRY(gb_ranks_agree(ranks, gb_part_open(&t->part, t->cli->output, ranks->rank)));
fail:
    return err;
}

// --- the work ---

static int on_row(void *user, const gb_eval_row *row)
{
    eval_task *t = user;
    bool correct = row->clean == row->label;
    int err = 0;
    t->finished++;
    t->correct += correct;
    t->robust += correct && row->robust;
    GB_TRY(gb_eval_rows_add(&t->rows, row, 1));
    if (t->part.file)
        GB_TRY(gb_part_add(&t->part, row));
fail:
    return err;
}

// Now and then: rows go to the disk, people are told.
static int on_look(void *user)
{
    eval_task *t = user;
    const cli *c = t->cli;
    double now = cli_seconds(), taken = now - t->start;
    if (cli_interrupted())
        return 1;
    if (now - t->told < 0.2)
        return 0;
    t->told = now;
    if (t->part.file && gb_part_flush(&t->part) < 0)
        return 0; // closing tells, if it stays so
    if (!t->finished)
        return 0;
    double rate = (double)t->finished / taken, n = (double)t->finished;
    int left = (int)((double)(t->n_todo - t->finished) / rate + 0.5);
    char robust[64] = "", rank[64] = "";
    if (t->attack)
        snprintf(robust, sizeof robust, ", robust %.1f %%", 100 * (double)t->robust / n);
    if (c->ranks.size > 1)
        snprintf(rank, sizeof rank, " (rank 0 of %d)", c->ranks.size);
    cli_progress(c, "picture %zu of %zu%s: accuracy %.1f %%%s, %.1f images/s, %d:%02d left",
                 t->finished, t->n_todo, rank, 100 * (double)t->correct / n, robust, rate,
                 left / 60, left % 60);
    return 0;
}

// Every rank's new rows to rank 0, beside those done before.
static int gather(eval_task *t, size_t first)
{
    void *all = NULL;
    size_t bytes = 0;
    int err = 0;
    GB_TRY(gb_ranks_gather(&t->cli->ranks, &all, &bytes, t->rows.row + first,
                           (t->rows.n - first) * sizeof *t->rows.row));
    t->rows.n = first;
    GB_TRY(gb_eval_rows_add(&t->rows, all, bytes / sizeof *t->rows.row));
    gb_eval_rows_sort(&t->rows);
fail:
    free(all);
    return err;
}

// Only rows of pictures that were chosen now; the folder may have more.
static void keep_chosen(eval_task *t)
{
    size_t kept = 0, k = 0;
    for (size_t i = 0; i < t->rows.n; i++) {
        while (k < t->n_item && t->item[k] < (size_t)t->rows.row[i].item)
            k++;
        if (k < t->n_item && t->item[k] == (size_t)t->rows.row[i].item)
            t->rows.row[kept++] = t->rows.row[i];
    }
    t->rows.n = kept;
}

int eval_work(eval_task *t)
{
    const gb_ranks *ranks = &t->cli->ranks;
    const gb_eval_job job = {.data = t->data, .attack = t->attack, .session = t->session,
                             .item = t->todo, .count = t->n_todo,
                             .data_classes = t->data_classes, .user = t, .row = on_row,
                             .look = on_look};
    size_t first = t->rows.n;
    int err = 0, ended, closed;
    t->start = t->told = cli_seconds();
    GB_TRY(gb_eval_rows_add(&t->rows, NULL, 0)); // there is an array, even if it stays empty
    ended = gb_eval_run(&job);
    closed = gb_part_close(&t->part);
    ended = closed < 0 ? closed : ended;
    if (ended < 0 && ended != GB_ERR_CANCELLED)
        gb_ranks_abort(ranks, EXIT_FAILED); // others are at work for a long time
    ended = gb_ranks_agree(ranks, ended);
    if (ended == GB_ERR_CANCELLED || ended == GB_ERR_IO || ended >= 0)
        GB_TRY(gather(t, first)); // rows that cannot be kept are there all the same
    if (t->cli->output && !ranks->rank) {
        gb_record record = record_of(t);
        int kept = gb_record_end(&record, &t->rows);
        ended = ended >= 0 ? kept : ended;
    }
    keep_chosen(t);
    err = ended;
fail:
    return err;
}

void eval_finish(eval_task *t)
{
    gb_part_close(&t->part);
    gb_eval_rows_finish(&t->rows);
    gb_attack_free(t->attack);
    gb_session_free(t->session);
    gb_device_close(t->dev);
    gb_dataset_free(t->data);
    gb_graph_free(t->model);
    pictures_close(&t->p);
    gb_arena_finish(&t->arena);
}
