// The public API: checks arguments and forwards. What gibbon.h declares and this file does not
// define is the inner function itself.
#include "attack/attack.h"
#include "attack/quantize.h"
#include "base/text.h"
#include "classifier/classifier.h"
#include "image/preproc.h"
#include "models/builtin.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct gb_model {
    gb_graph *graph;
    gb_classifier classifier;
    gb_scores scores;   // what the output holds, as far as the caller says
    int class_axis;     // of that output; 0: found
    gb_shape shape;     // of the input (N,C,H,W), open dimensions included
    gb_preproc preproc; // settled for that; what the file leaves open follows from it
};

static int null_argument(const char *function)
{
    return gb_fail(GB_ERR_ARG, "%s: an argument is NULL", function);
}

void gb_text_free(char *text)
{
    free(text);
}

// --- devices ---

static int device_line(FILE *out, const gb_device_info *info)
{
    static const char *const types[] = {
        [GB_DEVICE_CPU] = "CPU", [GB_DEVICE_GPU] = "GPU", [GB_DEVICE_OTHER] = "device"};
    return gb_text(out, "%d:%d  %s (%s, %s), %d units, %.1f GiB", info->platform, info->device,
                   info->name, types[info->type], info->platform_name, info->compute_units,
                   (double)info->memory / (1 << 30));
}

int gb_device_describe(char **text, const gb_device *dev)
{
    size_t size;
    if (!text || !dev)
        return null_argument("gb_device_describe");
    FILE *out = open_memstream(text, &size);
    if (!out)
        return gb_fail(GB_ERR_NOMEM, "out of memory");
    device_line(out, gb_device_get_info(dev));
    return fclose(out) ? gb_fail(GB_ERR_NOMEM, "out of memory") : 0;
}

int gb_device_describe_all(char **text)
{
    gb_device_info *list = NULL;
    size_t count = 0, size;
    if (!text)
        return null_argument("gb_device_describe_all");
    int err = gb_device_list(&list, &count, NULL);
    if (err < 0)
        return err;
    FILE *out = open_memstream(text, &size);
    for (size_t i = 0; out && i < count; i++) {
        device_line(out, &list[i]);
        fputc('\n', out);
    }
    free(list);
    return !out || fclose(out) ? gb_fail(GB_ERR_NOMEM, "out of memory") : 0;
}

// --- models ---

static int set_preprocess(gb_model *model, const gb_preproc *preproc)
{
    gb_preproc p = *preproc;
    const int64_t *file = model->shape.dim;
    int64_t *dim = model->graph->in[0]->shape.dim;
    int err = model->classifier.whole ? gb_preproc_whole(&p, true) : 0;
    if (err == 0)
        err = gb_preproc_fit_model(&p, (int)file[1], file[2] < 0 ? 0 : (int)file[2],
                                   file[3] < 0 ? 0 : (int)file[3]);
    if (err < 0)
        return err;
    dim[1] = p.channels;
    dim[2] = p.crop_h;
    dim[3] = p.crop_w;
    model->preproc = p;
    return 0;
}

// What the caller says of the file, in our terms.
static int read_options(gb_model *model, gb_classifier_options *out, const gb_model_options *o)
{
    int err = 0;
    *out = (gb_classifier_options){.height = o->height, .width = o->width, .output = o->output};
    model->class_axis = o->class_axis;
    GB_TRY(gb_layout_find(&out->layout, o->input_layout));
    GB_TRY(gb_scores_find(&model->scores, o->scores));
    if (o->height < 0 || o->width < 0 || !o->height != !o->width || o->class_axis < 0)
        return gb_fail(GB_ERR_ARG, "gb_model_load_as: a size of %dx%d, class axis %d", o->height,
                       o->width, o->class_axis);
fail:
    return err;
}

int gb_model_load_as(gb_model **out, const char *path, const gb_model_options *options)
{
    char *missing = NULL;
    gb_classifier_options how;
    gb_preproc preproc;
    int err = 0;
    if (!out || !path || !options)
        return null_argument("gb_model_load_as");
    gb_model *model = calloc(1, sizeof *model);
    if (!model)
        return gb_fail(GB_ERR_NOMEM, "out of memory for a model");
    GB_TRY(read_options(model, &how, options));
    GB_TRY(gb_model_read(&model->graph, NULL, path, NULL));
    err = gb_classifier_open(&model->classifier, model->graph, &how);
    if (err < 0) {
        gb_fail_in(err, "%s", path);
        goto fail;
    }
    GB_TRY(gb_model_unsupported(&missing, model->graph));
    if (missing) {
        err = gb_fail(GB_ERR_UNSUPPORTED, "%s: operators that gibbon does not have: %s", path,
                      missing);
        goto fail;
    }
    const char *stored = gb_graph_meta(model->graph, GB_PREPROC_META);
    if (stored)
        GB_TRY(gb_preproc_parse(&preproc, stored, "the model's metadata"));
    else
        GB_TRY(gb_preproc_find(&preproc, "unit"));
    model->shape = model->graph->in[0]->shape;
    GB_TRY(set_preprocess(model, &preproc));
    *out = model;
    return 0;
fail:
    free(missing);
    gb_model_free(model);
    return err;
}

int gb_model_load(gb_model **out, const char *path)
{
    return out && path ? gb_model_load_as(out, path, &(gb_model_options){0})
                       : null_argument("gb_model_load");
}

void gb_model_free(gb_model *model)
{
    if (!model)
        return;
    gb_graph_free(model->graph);
    free(model);
}

int gb_model_set_preprocess(gb_model *model, const char *preset_or_path)
{
    gb_preproc preproc;
    if (!model || !preset_or_path)
        return null_argument("gb_model_set_preprocess");
    int err = gb_preproc_find(&preproc, preset_or_path);
    return err < 0 ? err : set_preprocess(model, &preproc);
}

int gb_model_size(int *channels, int *height, int *width, const gb_model *model)
{
    if (!channels || !height || !width || !model)
        return null_argument("gb_model_size");
    *channels = model->preproc.channels;
    *height = model->preproc.crop_h;
    *width = model->preproc.crop_w;
    return 0;
}

int gb_model_describe(char **text, const gb_model *model)
{
    char shape[160], preprocess[256];
    size_t size;
    if (!text || !model)
        return null_argument("gb_model_describe");
    FILE *out = open_memstream(text, &size);
    if (!out)
        return gb_fail(GB_ERR_NOMEM, "out of memory");
    const gb_graph *g = model->graph;
    gb_text(out, "opset %d, %zu nodes%s%s\n", g->opset, g->n_node, *g->producer ? ", from " : "",
            g->producer);
    gb_text(out, "input %s: %s\n", g->in[0]->name,
            gb_shape_text(shape, sizeof shape, &g->in[0]->shape));
    for (size_t i = 0; i < g->n_out; i++)
        gb_text(out, "output %s: %s\n", g->out[i]->name,
                gb_shape_text(shape, sizeof shape, &g->out[i]->shape));
    if (*model->classifier.input)
        gb_text(out, "%s\n", model->classifier.input);
    if (*model->classifier.output)
        gb_text(out, "%s\n", model->classifier.output);
    gb_text(out, "preprocessing %s\n",
            gb_preproc_text(preprocess, sizeof preprocess, &model->preproc));
    return fclose(out) ? gb_fail(GB_ERR_NOMEM, "out of memory") : 0;
}

int gb_model_read_image(float *image, const gb_model *model, const char *path)
{
    gb_image picture;
    if (!image || !model || !path)
        return null_argument("gb_model_read_image");
    int err = gb_preproc_read(&picture, path, &model->preproc);
    if (err < 0)
        return err;
    gb_image_to_chw(image, &picture);
    gb_image_finish(&picture);
    return 0;
}

// --- classifying ---

static gb_session_options session_options(const gb_model *model, gb_device *dev, int64_t batch)
{
    const gb_preproc *p = &model->preproc;
    gb_session_options o = {.batch = batch, .scores = model->scores,
                            .class_axis = model->class_axis, .log = gb_device_get_log(dev)};
    o.normalize = (gb_normalize){.on = true, .bgr = p->bgr, .range = p->range};
    memcpy(o.normalize.mean, p->mean, sizeof p->mean);
    memcpy(o.normalize.std, p->std, sizeof p->std);
    return o;
}

int gb_session_open(gb_session **out, gb_device *dev, const gb_model *model, int64_t batch)
{
    if (!out || !dev || !model)
        return null_argument("gb_session_open");
    if (batch < 1)
        return gb_fail(GB_ERR_ARG, "gb_session_open: a batch of %lld images", (long long)batch);
    const gb_session_options options = session_options(model, dev, batch);
    return gb_session_create(out, dev, model->graph, &options);
}

int gb_classify(float *probability, gb_session *session, const float *images, size_t n)
{
    if (!session || (n && (!probability || !images)))
        return null_argument("gb_classify");
    size_t classes = (size_t)gb_session_classes(session);
    int err = !n ? 0 : gb_session_logits(session, probability, images, n);
    for (size_t i = 0; i < n && err >= 0; i++) {
        float *row = probability + i * classes;
        gb_probabilities(row, classes, gb_session_head(session)->kind);
        if (!gb_all_finite(row, classes))
            err = gb_fail(GB_ERR_NUMERIC, "image %zu: the model's logits are NaN or infinite", i);
    }
    return err;
}

// --- attacking ---

int gb_attack_open(gb_attack **out, gb_device *dev, const gb_model *model, int64_t batch,
                   const gb_attack_config *config)
{
    if (!out || !dev || !model || !config)
        return null_argument("gb_attack_open");
    if (batch < 1)
        return gb_fail(GB_ERR_ARG, "gb_attack_open: a batch of %lld images", (long long)batch);
    const gb_session_options options = session_options(model, dev, batch);
    return gb_attack_create(out, dev, model->graph, &options, config);
}

int gb_attack_classify(int *classes, gb_attack *attack, const float *images, size_t n)
{
    int err = 0;
    if (!attack || (n && (!classes || !images)))
        return null_argument("gb_attack_classify");
    gb_session *session = gb_attack_session(attack);
    if ((err = gb_check_images(session, n)) < 0)
        return err;
    size_t count = (size_t)gb_session_classes(session), bytes;
    float *logits = gb_mul_size(&bytes, n, count * sizeof *logits) ? malloc(bytes + 1) : NULL;
    if (!logits)
        return gb_fail(GB_ERR_NOMEM, "out of memory for the logits of %zu images", n);
    GB_TRY(gb_session_logits(session, logits, images, n));
    for (size_t i = 0; i < n; i++)
        classes[i] = gb_argmax(logits + i * count, count);
fail:
    free(logits);
    return err;
}

int gb_attack_images(float *adversarial, gb_attack_result *result, gb_attack *attack,
                     const float *images, const int *labels, size_t n, const gb_progress *progress)
{
    gb_attack_job job = {.n = n, .images = images, .labels = labels, .progress = progress};
    int *own = NULL;
    int err = 0;
    if (!attack || (n && (!adversarial || !images)))
        return null_argument("gb_attack_images");
    GB_TRY(gb_check_images(gb_attack_session(attack), n));
    if (!labels) {
        if (gb_attack_get_config(attack)->targeted)
            return gb_fail(GB_ERR_ARG, "gb_attack_images: a targeted attack needs labels");
        job.labels = own = calloc(n ? n : 1, sizeof *own);
        if (!own)
            return gb_fail(GB_ERR_NOMEM, "out of memory for %zu labels", n);
        GB_TRY(gb_attack_classify(own, attack, images, n));
    }
    err = gb_attack_run(attack, adversarial, result, &job);
fail:
    free(own);
    return err;
}

int gb_attack_write_png(const char *path, const gb_attack *attack, const float *adversarial,
                        const float *original)
{
    gb_image before = {0}, after = {0};
    int err = 0;
    if (!path || !attack || !adversarial || !original)
        return null_argument("gb_attack_write_png");
    const gb_attack_config *config = gb_attack_get_config(attack);
    const gb_shape *shape = &gb_session_input(gb_attack_session(attack), 0)->shape;
    GB_TRY(gb_image_from_chw(&before, original, (int)shape->dim[1], (int)shape->dim[2],
                             (int)shape->dim[3]));
    GB_TRY(gb_quantize_image(&after, adversarial, &before, config->norm,
                             gb_attack_radius(config)));
    GB_TRY(gb_image_write_png(path, &after));
fail:
    gb_image_finish(&before);
    gb_image_finish(&after);
    return err;
}
