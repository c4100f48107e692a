// Settles how pictures become a model's input.
#include "pictures.h"

#include "base/file.h"
#include "models/builtin.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

// What published models of these input sizes mostly want; people are told about the guess.
static const char *guess(int channels, int height, int width)
{
    if (channels == 3 && height == 32 && width == 32)
        return "cifar10";
    bool large = (height <= 0 || height >= 64) && (width <= 0 || width >= 64);
    return channels == 3 && large ? "imagenet" : "unit";
}

int pictures_preprocess(pictures *p, const cli *c, gb_graph *model)
{
    char text[256];
    int err = 0;
    gb_shape *shape = &model->in[0]->shape;
    int64_t channels = shape->dim[1];
    int height = shape->dim[2] < 0 ? 0 : (int)shape->dim[2];
    int width = shape->dim[3] < 0 ? 0 : (int)shape->dim[3];
    const char *stored = gb_graph_meta(model, GB_PREPROC_META), *how = "";
    if (c->preprocess) {
        GB_TRY(gb_preproc_find(&p->preproc, c->preprocess));
    } else if (stored) {
        GB_TRY(gb_preproc_parse(&p->preproc, stored, "the model's metadata"));
    } else {
        GB_TRY(gb_preproc_find(&p->preproc, guess((int)channels, height, width)));
        how = " [assumed from the input's size; set it with --preprocess]";
    }
    if (p->classifier.whole)
        GB_TRY(gb_preproc_whole(&p->preproc, c->preprocess || stored));
    GB_TRY(gb_preproc_fit_model(&p->preproc, (int)channels, height, width));
    p->preproc.max_pixels = c->max_pixels;
    cli_note(c, "preprocess: %s%s", gb_preproc_text(text, sizeof text, &p->preproc), how);
    p->channels = p->preproc.channels;
    p->height = p->preproc.crop_h;
    p->width = p->preproc.crop_w;
    p->pixels = (size_t)p->channels * (size_t)p->height * (size_t)p->width;
    shape->dim[1] = p->channels;
    shape->dim[2] = p->height;
    shape->dim[3] = p->width;
    p->normalize = (gb_normalize){.bgr = p->preproc.bgr, .range = p->preproc.range};
    p->normalize.on = p->normalize.bgr || p->normalize.range != 1; // else unit: nothing to do
    for (int i = 0; i < 4; i++)
        p->normalize.on |= p->preproc.mean[i] != 0 || p->preproc.std[i] != 1;
    memcpy(p->normalize.mean, p->preproc.mean, sizeof p->normalize.mean);
    memcpy(p->normalize.std, p->preproc.std, sizeof p->normalize.std);
fail:
    return err;
}

int pictures_own(pictures *p, const cli *c, const gb_graph *model)
{
    enum { MOST = 10 };
    const char *data = gb_graph_meta(model, GB_DATA_META);
    if (p->list.count)
        return 0;
    if (!data)
        return cli_usage(c, "give a model and pictures");
    const gb_dataset_options options = {.split = GB_SPLIT_TEST, .labels = &p->labels,
                                        .log = &c->log};
    int err = gb_dataset_open(&p->data, data, &options);
    if (err < 0)
        return gb_fail_in(err, "%s has test pictures of its own, but give others",
                          c->words.text[0]);
    GB_TRY(gb_dataset_fit(p->data, &p->preproc));
    if (!(p->pick = gb_arena_array(&p->data->arena, MOST, sizeof *p->pick)))
        return GB_ERR_NOMEM;
    for (int label = 0; label < p->data->classes && label < MOST; label++) {
        char name[64], path[512];
        size_t i = 0, n = p->list.count;
        while (i < p->data->count && p->data->label[i] != label)
            i++;
        if (i == p->data->count)
            continue;
        p->pick[n] = i;
        gb_dataset_class_text(name, sizeof name, p->data, label);
        for (char *at = name; *at; at++)
            *at = *at == ' ' || *at == '/' ? '-' : *at;
        snprintf(path, sizeof path, "%s_%zu_%s", data, i, name);
        GB_TRY(gb_grow(&p->list.item, &p->list.capacity, n + 1, sizeof *p->list.item));
        p->list.item[p->list.count++] =
            (gb_item){.path = gb_arena_strdup(&p->list.arena, path), .row = -1};
        if (!p->list.item[n].path)
            return GB_ERR_NOMEM;
    }
fail:
    return err;
}

int pictures_read(const pictures *p, size_t i, float *chw)
{
    int label;
    return p->data ? gb_dataset_read(p->data, p->pick[i], chw, &label)
                   : gb_item_load(chw, &p->list.item[i], &p->preproc);
}

int pictures_read_newest(const pictures *p, size_t i, gb_image *out)
{
    const bool packed = p->data && p->data->bytes;
    const gb_item *item = packed    ? NULL
                          : p->data ? &p->data->list.item[p->pick[i]]
                                    : &p->list.item[i];
    *out = (gb_image){0};
    struct stat st;
    const char *file = item && !item->npy ? gb_file_input_path(item->path) : NULL;
    if (!file || (stat(file, &st) == 0 && !S_ISREG(st.st_mode)))
        return 0; // a pipe cannot be read again, and nobody else has it
    return gb_preproc_read_newest(out, file, &p->preproc);
}

int pictures_truth(const pictures *p, size_t i)
{
    return p->data ? p->data->label[p->pick[i]] : -1;
}

int pictures_open(pictures *p, const cli *c, gb_graph *model)
{
    char skipped[4200];
    int err = 0;
    GB_TRY(pictures_preprocess(p, c, model));
    const char *stored = gb_graph_meta(model, GB_LABELS_META);
    if (c->labels)
        GB_TRY(gb_labels_read(&p->labels, c->labels));
    else if (stored)
        GB_TRY(gb_labels_decode(&p->labels, stored, strlen(stored), "the model's metadata"));
    p->list.fit = &p->preproc;
    for (size_t i = 1; i < c->words.count; i++)
        GB_TRY(gb_list_add(&p->list, c->words.text[i]));
    if (*gb_list_skipped_text(skipped, sizeof skipped, &p->list))
        gb_log_line(&c->log, GB_LOG_WARN, "%s", skipped);
fail:
    return err;
}

gb_label_from pictures_label_from(const cli *c)
{
    return !c->label_from                         ? GB_LABEL_AUTO
           : strcmp(c->label_from, "from-folder") ? GB_LABEL_FILE
                                                  : GB_LABEL_FOLDER;
}

void pictures_say_labels(const cli *c, const gb_dataset *data)
{
    cli_note(c, "labels: %s", data->label_text);
}

int pictures_check_labels(const pictures *p, const cli *c, int64_t classes)
{
    const gb_labels *l = &p->labels;
    const int64_t count = (int64_t)l->count;
    if (!count)
        return 0;
    const int first = l->item[0].index, last = l->item[count - 1].index;
    if (!l->by_order && first == 1 && last == count && count == classes)
        return gb_fail(GB_ERR_ARG, "%s counts classes from 1 to %lld, but the model has 0 to %lld",
                       l->path, (long long)count, (long long)classes - 1);
    if (last >= classes)
        gb_log_line(&c->log, GB_LOG_WARN, "%s names class %d, but the model has classes 0 to %lld",
                    l->path, last, (long long)classes - 1);
    else if (l->by_order && count != classes)
        gb_log_line(&c->log, GB_LOG_WARN, "%s names %lld class%s, one after the other, but the "
                    "model has %lld", l->path, (long long)count, count == 1 ? "" : "es",
                    (long long)classes);
    else if (count != classes)
        cli_note(c, "labels: %s names %lld of the model's %lld classes", l->path,
                 (long long)count, (long long)classes);
    return 0;
}

void pictures_close(pictures *p)
{
    gb_list_finish(&p->list);
    gb_dataset_free(p->data);
    gb_labels_finish(&p->labels);
}

int64_t pictures_batch(const pictures *p, const cli *c)
{
    enum { USUAL = 16 }; // more does not make a device faster, less may
    int64_t batch = c->batch ? c->batch : USUAL;
    return batch < (int64_t)p->list.count ? batch : (int64_t)p->list.count;
}
