// Attacks pictures batch by batch; a result counts as it is read back from its file.
#include "attack_batch.h"

#include "attack/quantize.h"
#include <stdlib.h>
#include <string.h>

int attack_prepare(attack_task *t)
{
    gb_session *s = gb_attack_session(t->attack);
    t->batch = (size_t)gb_session_batch(s);
    t->classes = (size_t)gb_session_classes(s);
    size_t pixels = t->p.pixels;
    t->clean = gb_arena_array(&t->arena, t->batch * pixels, sizeof *t->clean);
    t->attacked = gb_arena_array(&t->arena, t->batch * pixels, sizeof *t->attacked);
    t->logits = gb_arena_array(&t->arena, t->batch * t->classes, sizeof *t->logits);
    t->goal = gb_arena_array(&t->arena, t->batch, sizeof *t->goal);
    t->leave = gb_arena_array(&t->arena, t->batch, sizeof *t->leave);
    t->name = gb_arena_array(&t->arena, t->batch, sizeof *t->name);
    t->result = gb_arena_array(&t->arena, t->batch, sizeof *t->result);
    t->image = gb_arena_array(&t->arena, t->batch, sizeof *t->image);
    t->done = gb_arena_array(&t->arena, t->p.list.count, sizeof *t->done);
    t->report.image = t->done;
    t->report.failures = &t->cli->failures;
    return t->clean && t->attacked && t->logits && t->goal && t->leave && t->name && t->result &&
                   t->image && t->done
               ? 0
               : GB_ERR_NOMEM;
}

void attack_finish(attack_task *t)
{
    pictures_close(&t->p);
    for (size_t i = 0; i < t->n_shown; i++) {
        gb_image_finish(&t->shown[i].before);
        gb_image_finish(&t->shown[i].after);
    }
    gb_attack_free(t->attack);
    gb_device_close(t->dev);
    gb_arena_finish(&t->arena);
}

static void move_row(attack_task *t, size_t to, size_t from)
{
    size_t pixels = t->p.pixels;
    t->image[to] = t->image[from];
    t->name[to] = t->name[from];
    t->goal[to] = t->goal[from];
    t->leave[to] = t->leave[from];
    memmove(t->clean + to * pixels, t->clean + from * pixels, pixels * sizeof *t->clean);
    memmove(t->attacked + to * pixels, t->attacked + from * pixels, pixels * sizeof *t->attacked);
}

// --- before the attack ---

static const char *class_name(attack_task *t, int index)
{
    char text[256];
    return gb_labels_at(&t->p.labels, index)
               ? gb_arena_strdup(&t->arena, gb_labels_text(text, sizeof text, &t->p.labels, index))
               : NULL;
}

static gb_verdict judge(attack_task *t, size_t row)
{
    float *scores = t->logits + row * t->classes;
    int best = gb_argmax(scores, t->classes); // two of their probabilities may round to one
    gb_probabilities(scores, t->classes, gb_session_head(gb_attack_session(t->attack))->kind);
    return (gb_verdict){best, class_name(t, best), (double)scores[best]};
}

static int find_label(attack_task *t, gb_report_image *image, const gb_item *item)
{
    static const char *const source[] = {"prediction", "option", "file name", "folder", "data set"};
    const int truth = pictures_truth(&t->p, (size_t)(image - t->done));
    const label_source from =
        t->source == LABEL_PREDICTED && truth >= 0 ? LABEL_DATA : t->source;
    int err = 0;
    image->label = from == LABEL_GIVEN ? t->label
                   : from == LABEL_DATA ? truth
                                        : image->clean.index;
    if (t->source == LABEL_FILE || t->source == LABEL_FOLDER)
        err = gb_item_label(&image->label, item,
                            t->source == LABEL_FILE ? GB_LABEL_FILE : GB_LABEL_FOLDER, &t->p.labels,
                            (int64_t)t->classes);
    image->label_name = class_name(t, image->label);
    image->label_source = source[from];
    return err;
}

// One of many alike is counted only.
static void fail_image(attack_task *t, gb_report_image *image)
{
    if (cli_error(t->cli, image->input))
        image->error = gb_arena_strdup(&t->arena, gb_last_error());
    else
        t->report.unlisted++;
}

// Reads pictures [first, first + count) into the first rows; *rows of them can be attacked.
static int load(attack_task *t, size_t first, size_t count, size_t *rows)
{
    char name[4200];
    size_t n = 0;
    int err = 0;
    for (size_t i = first; i < first + count; i++) {
        const gb_item *item = &t->p.list.item[i];
        gb_report_image *image = &t->done[i];
        gb_image eight = {0};
        float *pixels = t->clean + n * t->p.pixels;
        image->input = gb_arena_strdup(&t->arena, gb_item_text(name, sizeof name, item));
        if (!image->input)
            return GB_ERR_NOMEM;
        if (pictures_read(&t->p, i, pixels) < 0) {
            fail_image(t, image);
            continue;
        }
        // What is attacked is a picture of 8 bits, as the result will be; an .npy may be finer.
        GB_TRY(gb_image_from_chw(&eight, pixels, t->p.channels, t->p.height, t->p.width));
        gb_image_to_chw(pixels, &eight);
        gb_image_finish(&eight);
        t->image[n++] = image;
    }
    *rows = 0;
    GB_TRY(gb_session_logits(gb_attack_session(t->attack), t->logits, t->clean, n));
    for (size_t r = 0; r < n; r++) {
        gb_report_image *image = t->image[r];
        size_t to = *rows;
        image->clean = judge(t, r);
        if (find_label(t, image, &t->p.list.item[image - t->done]) < 0) {
            fail_image(t, image);
            continue;
        }
        if (t->target >= 0)
            image->target = (gb_verdict){t->target, class_name(t, t->target), 0};
        move_row(t, to, r);
        t->name[to] = image->input;
        t->leave[to] = image->label;
        t->goal[to] = t->target >= 0 ? t->target : image->label;
        ++*rows;
    }
fail:
    return err;
}

// --- after it ---

// DIR/STEM_adversarial.png, with a number where an earlier picture has taken the name.
static char *free_name(attack_task *t, const gb_report_image *image)
{
    enum { LONGEST = 200 }; // bytes: file systems allow 255, endings and numbers included
    char stem[300];
    const gb_item *item = &t->p.list.item[image - t->done];
    gb_item_stem(stem, sizeof stem, item);
    if (strlen(stem) > LONGEST) { // not within a character
        size_t length = LONGEST;
        while (length && ((unsigned char)stem[length] >> 6) == 2)
            length--;
        stem[length] = 0;
    }
    for (int number = 1;; number++) {
        char *path = number == 1 ? gb_arena_printf(&t->arena, "%s/%s_adversarial.png",
                                                   t->cli->output, stem)
                                 : gb_arena_printf(&t->arena, "%s/%s_%d_adversarial.png",
                                                   t->cli->output, stem, number);
        bool taken = false;
        for (const gb_report_image *other = t->done; path && other < image; other++)
            taken = taken || (other->output && !strcmp(other->output, path));
        if (!taken)
            return path;
    }
}

// DIR/STEM_WHAT.png beside DIR/STEM_adversarial.png.
static char *beside(attack_task *t, const gb_report_image *image, const char *what)
{
    size_t stem = strlen(image->output) - strlen("adversarial.png");
    return gb_arena_printf(&t->arena, "%.*s%s.png", (int)stem, image->output, what);
}

// Writes row r as a PNG inside the ball, reads it back into the row, and measures what was read.
// Versions of Pillow differ by one level in how they resize some pictures; the ball is the one
// around the input as gibbon resizes it, which is written, too, and where the two meet also the one
// around the other.
static int save(attack_task *t, size_t r)
{
    gb_report_image *image = t->image[r];
    const gb_attack_config *config = gb_attack_get_config(t->attack);
    const float eps = gb_attack_radius(config);
    gb_image before = {0}, other = {0}, after = {0}, read = {0};
    float *pixels = t->attacked + r * t->p.pixels;
    int err = 0;
    const char *path = free_name(t, image);
    if (!path)
        return GB_ERR_NOMEM;
    GB_TRY(gb_image_from_chw(&before, t->clean + r * t->p.pixels, t->p.channels, t->p.height,
                             t->p.width));
    GB_TRY(pictures_read_newest(&t->p, (size_t)(image - t->done), &other));
    image->resized_otherwise = other.data != NULL;
    GB_TRY(gb_quantize_image(&after, pixels, &before, config->norm, eps));
    if (image->resized_otherwise)
        GB_TRY(gb_quantize_between(&after, &before, &other, config->norm, eps));
    GB_TRY(gb_image_write_png(path, &after));
    image->output = path;
    image->original = beside(t, image, "original");
    GB_TRY(image->original ? 0 : GB_ERR_NOMEM);
    GB_TRY(gb_image_write_png(image->original, &before));
    GB_TRY(gb_image_read(&read, path, t->p.channels));
    GB_TRY(gb_image_distance(&image->linf, &image->l2, &before, &read));
    image->verified = gb_in_ball(image->linf, image->l2, config->norm, eps);
    if (image->resized_otherwise)
        GB_TRY(gb_image_distance(&image->other_linf, &image->other_l2, &other, &read));
    gb_image_to_chw(pixels, &read);
fail:
    gb_image_finish(&before);
    gb_image_finish(&other);
    gb_image_finish(&after);
    gb_image_finish(&read);
    return err;
}

static const char *caption(attack_task *t, const gb_verdict *v)
{
    return v->name
               ? gb_arena_printf(&t->arena, "%s\n%.1f %%", v->name, 100 * v->probability)
               : gb_arena_printf(&t->arena, "class %d\n%.1f %%", v->index, 100 * v->probability);
}

// The panel beside the result: STEM_panel.png. What it shows is kept for the sheet.
static int draw(attack_task *t, size_t r)
{
    gb_report_image *image = t->image[r];
    attack_shown *shown = &t->shown[t->n_shown < ATTACK_SHEET ? t->n_shown : ATTACK_SHEET];
    gb_image drawn = {0};
    int err = 0;
    char *path = beside(t, image, "panel");
    gb_panel panel = {.before = &shown->before, .after = &shown->after,
                      .before_text = caption(t, &image->clean),
                      .after_text = caption(t, &image->adversarial), .fooled = image->success};
    if (!path || !panel.before_text || !panel.after_text)
        return GB_ERR_NOMEM;
    GB_TRY(gb_image_from_chw(&shown->before, t->clean + r * t->p.pixels, t->p.channels, t->p.height,
                             t->p.width));
    GB_TRY(gb_image_from_chw(&shown->after, t->attacked + r * t->p.pixels, t->p.channels,
                             t->p.height, t->p.width));
    GB_TRY(gb_panel_draw(&drawn, &panel));
    GB_TRY(gb_image_write_png(path, &drawn));
    image->picture = path;
    if (t->n_shown < ATTACK_SHEET)
        t->panel[t->n_shown++] = panel;
fail:
    gb_image_finish(&drawn);
    if (!image->picture || shown == &t->shown[ATTACK_SHEET]) {
        gb_image_finish(&shown->before);
        gb_image_finish(&shown->after);
    }
    return err;
}

// The first pictures on one sheet, DIR/sheet.png, where there are several.
static int draw_sheet(attack_task *t)
{
    gb_image drawn = {0};
    gb_report_summary summary;
    char eps[64] = "";
    const gb_attack_config *config = gb_attack_get_config(t->attack);
    const gb_setting *setting;
    const gb_method *method;
    const char *slash = strrchr(t->report.model.path, '/');
    int err = 0;
    if (t->n_shown < 2)
        return 0;
    GB_TRY(gb_method_find(&method, config->method));
    GB_TRY(gb_attack_setting(&setting, method, "eps"));
    gb_setting_text(eps, sizeof eps, config, setting);
    gb_report_summarize(&summary, &t->report);
    const char *path = gb_arena_printf(&t->arena, "%s/sheet.png", t->cli->output);
    const char *title = gb_arena_printf(
        &t->arena, "%s, %s, %s ball of %s: %zu of %zu fooled%s",
        slash ? slash + 1 : t->report.model.path, config->method,
        config->norm == GB_NORM_LINF ? "Linf" : "L2", eps, summary.success, summary.images,
        t->n_shown < summary.images - summary.failed ? "; the first of them" : "");
    if (!path || !title)
        return GB_ERR_NOMEM;
    GB_TRY(gb_sheet_draw(&drawn, t->panel, t->n_shown, title));
    GB_TRY(gb_image_write_png(path, &drawn));
    t->report.sheet = path;
fail:
    gb_image_finish(&drawn);
    return err;
}

// Whether a failure is of one file, so that the other pictures may go on.
static bool of_one_file(int err)
{
    return err == GB_ERR_IO || err == GB_ERR_FORMAT;
}

// Saves and judges the first `rows` rows, and draws their panels. What cannot be written is said
// for each picture: the disk may be full for a large one and not for the next.
static int conclude(attack_task *t, size_t rows)
{
    size_t kept = 0;
    int err = 0;
    for (size_t r = 0; r < rows; r++) {
        err = save(t, r);
        if (err >= 0)
            move_row(t, kept++, r);
        else if (of_one_file(err))
            fail_image(t, t->image[r]);
        else
            goto fail;
    }
    GB_TRY(gb_session_logits(gb_attack_session(t->attack), t->logits, t->attacked, kept));
    for (size_t r = 0; r < kept; r++) {
        gb_report_image *image = t->image[r];
        image->adversarial = judge(t, r);
        bool fooled = t->target >= 0 ? image->adversarial.index == t->target
                                     : image->adversarial.index != image->label;
        image->success = image->verified && fooled;
        err = draw(t, r);
        if (of_one_file(err))
            cli_error(t->cli, image->input); // the result itself is there
        else
            GB_TRY(err);
    }
    err = 0;
fail:
    return err;
}

// --- the run ---

typedef struct progress {
    attack_task *task;
    size_t first;
} progress;

static int on_progress(void *user, size_t done, size_t total, int step, int steps)
{
    const progress *p = user;
    (void)total;
    cli_progress(p->task->cli, "picture %zu of %zu, step %d of %d", p->first + done + 1,
                 p->task->p.list.count, step, steps);
    return cli_interrupted();
}

// Attacks the first *rows rows; those that are finished move to the front, *rows of them.
static int attack_rows(attack_task *t, size_t *rows, const gb_progress *listener)
{
    gb_attack_job job = {.n = *rows, .images = t->clean, .labels = t->goal, .sources = t->leave,
                         .names = t->name, .progress = listener};
    double start = cli_seconds();
    size_t kept = 0;
    int err = gb_attack_run(t->attack, t->attacked, t->result, &job);
    double each = (cli_seconds() - start) / (double)(*rows ? *rows : 1);
    if (err < 0 && err != GB_ERR_CANCELLED)
        return err;
    for (size_t r = 0; r < *rows; r++) {
        const gb_attack_result *result = &t->result[r];
        gb_report_image *image = t->image[r];
        if (!result->done)
            continue;
        image->broken = result->success;
        image->iterations = result->iterations;
        image->zero_gradients = result->zero_gradients;
        image->seconds = each;
        move_row(t, kept++, r);
    }
    *rows = kept;
    return err;
}

// One batch: pictures [first, first + count).
static int attack_batch(attack_task *t, size_t first, size_t count, const gb_progress *listener)
{
    size_t rows = 0;
    int err = 0;
    GB_TRY(load(t, first, count, &rows));
    int stopped = attack_rows(t, &rows, listener);
    GB_TRY(stopped == GB_ERR_CANCELLED ? 0 : stopped);
    GB_TRY(conclude(t, rows));
    return stopped;
fail:
    return err;
}

int attack_pictures(attack_task *t)
{
    size_t count = t->p.list.count, finished = 0;
    double start = cli_seconds();
    int err = 0;
    bool stopped = false;
    for (size_t first = 0; first < count && !stopped; first += t->batch) {
        size_t n = count - first < t->batch ? count - first : t->batch;
        progress at = {t, first};
        gb_progress listener = {on_progress, &at};
        err = attack_batch(t, first, n, &listener);
        stopped = err == GB_ERR_CANCELLED || (cli_interrupted() && first + n < count);
        if (err != GB_ERR_CANCELLED)
            GB_TRY(err);
        // The report lists pictures in order, without those that were interrupted.
        for (size_t i = first; i < first + n; i++) {
            if (!t->done[i].output && !t->done[i].error)
                continue;
            t->done[finished] = t->done[i];
            t->report.n = finished + 1;
            t->report.seconds = cli_seconds() - start;
            if (!t->cli->json)
                gb_report_image_text(stdout, &t->report, &t->done[finished]);
            finished++;
        }
    }
    GB_TRY(draw_sheet(t));
    if (stopped)
        err = gb_fail(GB_ERR_CANCELLED, "interrupted; %zu of %zu pictures are finished and kept",
                      finished, count);
fail:
    return err;
}
