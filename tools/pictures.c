// Settles how pictures become a model's input.
#include "pictures.h"

#include <string.h>

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
    char text[256], names[600];
    int err = 0;
    if (model->n_in != 1 || model->in[0]->shape.rank != 4 || model->in[0]->type != GB_F32)
        return gb_fail(GB_ERR_UNSUPPORTED,
                       "%s: a classifier of pictures has one input of N,C,H,W; this model has %s "
                       "(gibbon run takes any model)", c->words.text[0],
                       model_names(names, sizeof names, model->in, model->n_in));
    gb_shape *shape = &model->in[0]->shape;
    int64_t channels = shape->dim[1] < 0 ? 3 : shape->dim[1];
    for (int i = 2; i < 4; i++) {
        if (channels > 4 || shape->dim[i] > 1 << 16)
            return gb_fail(GB_ERR_UNSUPPORTED, "%s: pictures of %s are beyond gibbon",
                           c->words.text[0], gb_shape_text(text, sizeof text, shape));
    }
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
    GB_TRY(gb_preproc_fit_model(&p->preproc, (int)channels, height, width));
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

int pictures_open(pictures *p, const cli *c, gb_graph *model)
{
    int err = 0;
    GB_TRY(pictures_preprocess(p, c, model));
    const char *stored = gb_graph_meta(model, GB_LABELS_META);
    if (c->labels)
        GB_TRY(gb_labels_read(&p->labels, c->labels));
    else if (stored)
        GB_TRY(gb_labels_decode(&p->labels, stored, strlen(stored), "the model's metadata"));
    for (size_t i = 1; i < c->words.count; i++)
        GB_TRY(gb_list_add(&p->list, c->words.text[i]));
fail:
    return err;
}

void pictures_check_labels(const pictures *p, const cli *c, int64_t classes)
{
    int last = p->labels.count ? p->labels.item[p->labels.count - 1].index : -1;
    if (last >= classes)
        gb_log_line(&c->log, GB_LOG_WARN, "%s names class %d, but the model has classes 0 to %lld",
                    p->labels.path, last, (long long)classes - 1);
}

void pictures_close(pictures *p)
{
    gb_list_finish(&p->list);
    gb_labels_finish(&p->labels);
}

int64_t pictures_batch(const pictures *p, const cli *c)
{
    enum { USUAL = 16 }; // more does not make a device faster, less may
    int64_t batch = c->batch ? c->batch : USUAL;
    return batch < (int64_t)p->list.count ? batch : (int64_t)p->list.count;
}
