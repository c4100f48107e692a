// Chooses pictures, shares them among ranks, keeps what is found.
#include "eval_task.h"

#include "base/hash.h"
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

// The attack's settings to the last bit, also those that its method does not read.
static char *attack_numbers(eval_task *t)
{
    size_t count;
    const gb_setting *setting = gb_attack_settings(&count);
    char value[64], *text = gb_arena_strdup(&t->arena, "");
    for (size_t i = 0; t->config.method && i < count && text; i++)
        text = gb_arena_printf(&t->arena, "%s%s%s", text, i ? " " : "",
                               gb_setting_exact(value, sizeof value, &t->config, &setting[i]));
    return text;
}

static int describe(eval_task *t)
{
    uint64_t hash;
    char *preprocess = NULL;
    gb_session_identity identity;
    int err = 0;
    GB_TRY(gb_session_identify(&identity, t->attack ? gb_attack_session(t->attack) : t->session));
    GB_TRY(gb_graph_hash(&hash, t->model));
    GB_TRY(add_setting(t, "version", "2"));
    GB_TRY(add_setting(t, "model", gb_arena_printf(&t->arena, "%016llx",
                                                   (unsigned long long)hash)));
    hash = gb_dataset_hash(t->data);
    GB_TRY(add_setting(t, "data set", gb_arena_printf(&t->arena, "%zu pictures, %016llx",
                                                      t->data->count, (unsigned long long)hash)));
    GB_TRY(gb_preproc_json(&preprocess, &t->p.preproc)); // 9 digits: exact
    GB_TRY(add_setting(t, "preprocessing", gb_arena_strdup(&t->arena, preprocess)));
    GB_TRY(add_setting(t, "attack", t->config.method ? attack_text(t) : "none"));
    GB_TRY(add_setting(t, "attack's numbers", attack_numbers(t)));
    GB_TRY(add_setting(t, "choice of classes", t->data_classes ? "the data's" : "the model's"));
    const gb_head *head =
        gb_session_head(t->attack ? gb_attack_session(t->attack) : t->session);
    GB_TRY(add_setting(t, "scores", gb_arena_printf(&t->arena, "%s%s, class axis %lld",
                                                    gb_scores_names[head->holds - GB_SCORES_FIND],
                                                    head->binary ? " of one unit" : "",
                                                    (long long)t->cli->class_axis)));
    GB_TRY(add_setting(t, "precision", identity.precision));
    GB_TRY(add_setting(t, "device", gb_arena_strdup(&t->arena, identity.device)));
    GB_TRY(add_setting(t, "program", gb_arena_strdup(&t->arena, identity.program)));
fail:
    free(preprocess);
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
    t->stamp = gb_arena_array(&t->arena, t->n_item, sizeof *t->stamp);
    if (!t->item || !t->todo || !t->stamp)
        return GB_ERR_NOMEM;
    for (size_t i = 0; i < t->n_item; i++) {
        t->item[i] = (size_t)(((unsigned __int128)i * count) / t->n_item);
        t->stamp[i] = i && gb_dataset_same_file(t->data, t->item[i - 1], t->item[i])
                          ? t->stamp[i - 1]
                          : gb_dataset_stamp(t->data, t->item[i]);
    }
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
    size_t kept = 0, had = t->rows.n, before = 0;
    int32_t stamp = 0;
    for (size_t i = 0; i < had; i++) {
        const gb_eval_row *row = &t->rows.row[i];
        if ((size_t)row->item >= t->data->count)
            return gb_fail(GB_ERR_FORMAT, "%s/images.csv: picture %lld, but there are %zu",
                           t->cli->output, (long long)row->item, t->data->count);
        if (i == 0 || !gb_dataset_same_file(t->data, before, (size_t)row->item))
            stamp = gb_dataset_stamp(t->data, (size_t)row->item);
        before = (size_t)row->item;
        if (row->stamp != stamp)
            continue; // written since
        done[row->item] = 1;
        t->rows.row[kept++] = *row;
    }
    t->rows.n = kept;
    if (kept < had)
        gb_log_line(&t->cli->log, GB_LOG_WARN, "%s: %zu of %zu pictures were written since and are "
                    "evaluated anew", t->cli->output, had - kept, had);
fail:
    return err;
}

// A record's rows are of one kind: all ranks compute alike.
static int check_ranks(eval_task *t)
{
    const gb_ranks *ranks = &t->cli->ranks;
    uint64_t mine = GB_HASH_INIT, *all;
    if (!t->cli->output || ranks->size < 2)
        return 0;
    all = gb_arena_array(&t->arena, (size_t)ranks->size, sizeof *all);
    for (size_t i = 0; i < t->n_setting; i++)
        mine = gb_hash(mine, t->setting[i].text, strlen(t->setting[i].text) + 1);
    if (gb_ranks_agree(ranks, all ? 0 : GB_ERR_NOMEM) < 0)
        return GB_ERR_NOMEM;
    gb_ranks_all(ranks, all, &mine, sizeof mine);
    for (int r = 1; r < ranks->size; r++)
        if (all[r] != all[0])
            return gb_fail(GB_ERR_ARG, "rank %d computes otherwise than rank 0 (another device, "
                                       "driver or data), and -o keeps the rows of both", r);
    return 0;
}

int eval_prepare(eval_task *t)
{
    const gb_ranks *ranks = &t->cli->ranks;
    uint8_t *done = NULL;
    int err = 0;
    GB_TRY(gb_ranks_agree(ranks, describe(t)));
    GB_TRY(check_ranks(t));
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

static size_t place_of(const eval_task *t, int64_t item)
{
    size_t low = 0, high = t->n_item;
    while (low + 1 < high) {
        const size_t middle = (low + high) / 2;
        *(t->item[middle] <= (size_t)item ? &low : &high) = middle;
    }
    return low;
}

static int on_row(void *user, const gb_eval_row *found)
{
    eval_task *t = user;
    gb_eval_row row[] = {*found};
    bool correct = row->clean == row->label;
    int err = 0;
    row->stamp = t->stamp[place_of(t, row->item)];
    t->finished++;
    t->correct += correct;
    t->robust += correct && row->robust;
    GB_TRY(gb_eval_rows_add(&t->rows, row, 1));
    if (t->part.file)
        GB_TRY(gb_part_add(&t->part, row));
fail:
    return err;
}

static int on_bad(void *user, size_t item, const char *why)
{
    eval_task *t = user;
    gb_eval_bad bad = {.item = (int64_t)item};
    int err = 0;
    snprintf(bad.why, sizeof bad.why, "%s", why);
    GB_TRY(gb_grow(&t->bad, &t->cap_bad, t->n_bad + 1, sizeof bad));
    t->bad[t->n_bad++] = bad;
    t->finished++;
    gb_fail(GB_ERR_IO, "%s", why);
    if (!t->cli->ranks.rank) // which tells of the others' when all is done
        cli_error(t->cli, item_name(t, (int64_t)item));
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
    free(all);
    all = NULL;
    GB_TRY(gb_ranks_gather(&t->cli->ranks, &all, &bytes, t->bad, t->n_bad * sizeof *t->bad));
    if (t->cli->ranks.rank)
        goto fail;
    for (size_t i = t->n_bad; i < bytes / sizeof *t->bad; i++) { // of the other ranks
        const gb_eval_bad *bad = (gb_eval_bad *)all + i;
        gb_fail(GB_ERR_IO, "%s", bad->why);
        cli_error(t->cli, item_name(t, bad->item));
    }
    free(t->bad);
    t->bad = all;
    t->n_bad = bytes / sizeof *t->bad;
    all = NULL;
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
                             .bad = on_bad,
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
    free(t->bad);
    gb_attack_free(t->attack);
    gb_session_free(t->session);
    gb_device_close(t->dev);
    gb_dataset_free(t->data);
    gb_graph_free(t->model);
    pictures_close(&t->p);
    gb_arena_finish(&t->arena);
}
