// The report as JSON: {"device", "model", "attack", "images": [...], "summary"}.
#include "report/report.h"

#include "base/utf8.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

json_t *gb_report_text_json(const char *s)
{
    char *clean = s ? gb_utf8_clean(s) : NULL;
    json_t *value = clean ? json_string(clean) : s ? NULL : json_null();
    free(clean);
    return value;
}

static json_t *real(double v) // JSON has no NaN and no infinity
{
    return isfinite(v) ? json_real(v) : json_null();
}

// Steals value; NULL (out of memory) makes *object NULL, which later calls leave so.
static void put(json_t **object, const char *key, json_t *value)
{
    if (!*object) {
        json_decref(value);
    } else if (json_object_set_new(*object, key, value) < 0) {
        json_decref(*object);
        *object = NULL;
    }
}

static void put_text(json_t **object, const char *key, const char *s)
{
    put(object, key, gb_report_text_json(s));
}

static void put_int(json_t **object, const char *key, json_int_t v)
{
    put(object, key, json_integer(v));
}

static void put_bool(json_t **object, const char *key, bool v)
{
    put(object, key, json_boolean(v));
}

json_t *gb_report_device_json(const gb_device_info *info)
{
    static const char *const types[] = {
        [GB_DEVICE_CPU] = "cpu", [GB_DEVICE_GPU] = "gpu", [GB_DEVICE_OTHER] = "other"};
    char index[32];
    json_t *o = json_object();
    snprintf(index, sizeof index, "%d:%d", info->platform, info->device);
    put_text(&o, "index", index);
    put_text(&o, "name", info->name);
    put_text(&o, "vendor", info->vendor);
    put_text(&o, "type", types[info->type]);
    put_bool(&o, "integrated", info->integrated);
    put_text(&o, "platform", info->platform_name);
    put_text(&o, "driver", info->driver);
    put_text(&o, "opencl_c", info->version);
    put_int(&o, "compute_units", info->compute_units);
    put_int(&o, "clock_mhz", info->clock_mhz);
    put_int(&o, "memory", (json_int_t)info->memory);
    put_int(&o, "max_alloc", (json_int_t)info->max_alloc);
    put_int(&o, "local_memory", (json_int_t)info->local_memory);
    put_bool(&o, "fp16", info->fp16);
    put_bool(&o, "fp64", info->fp64);
    return o;
}

json_t *gb_report_model_json(const gb_report_model *model)
{
    json_t *o = json_object(), *assumed = json_array();
    put_text(&o, "path", model->path);
    put_text(&o, "preprocess", model->preprocess);
    if (model->batch)
        put_int(&o, "batch", model->batch);
    put_text(&o, "scores", model->scores);
    for (size_t i = 0; i < GB_COUNT(model->assumed); i++)
        if (model->assumed[i] && *model->assumed[i])
            json_array_append_new(assumed, gb_report_text_json(model->assumed[i]));
    put(&o, "assumed", assumed);
    return o;
}

static json_t *param_json(const gb_attack_config *config, const gb_setting *param)
{
    const char *field = (const char *)config + param->offset;
    char buf[64];
    int number;
    float v;
    double wide;
    memcpy(&number, field, sizeof number);
    memcpy(&v, field, sizeof v);
    switch (param->kind) {
    case GB_SETTING_EPS:
        return real((double)v);
    case GB_SETTING_REAL:
        memcpy(&wide, field, sizeof wide);
        return real(wide);
    case GB_SETTING_INT:
        return json_integer(number);
    case GB_SETTING_FLAG:
        return json_boolean(number);
    case GB_SETTING_ENUM:
        break;
    }
    return json_string(gb_setting_text(buf, sizeof buf, config, param));
}

// The method's own parameters by their names with '_' for '-'.
json_t *gb_report_attack_json(const gb_attack_config *config)
{
    const gb_method *method;
    const gb_setting *param;
    json_t *o = json_object();
    put_text(&o, "method", config->method);
    if (gb_method_find(&method, config->method) == 0) {
        for (const char *const *name = method->params; *name; name++) {
            char key[64];
            if (gb_attack_setting(&param, method, *name) < 0)
                continue;
            snprintf(key, sizeof key, "%s", *name);
            for (char *p = key; *p; p++)
                *p = *p == '-' ? '_' : *p;
            put(&o, key, param_json(config, param));
        }
    }
    put_bool(&o, "targeted", config->targeted);
    put_int(&o, "seed", (json_int_t)config->seed);
    return o;
}

static json_t *verdict_json(const gb_verdict *verdict)
{
    json_t *o = json_object();
    put_int(&o, "class", verdict->index);
    put_text(&o, "name", verdict->name);
    put(&o, "probability", real(verdict->probability));
    return o;
}

static json_t *image_json(const gb_report *report, const gb_report_image *image)
{
    json_t *o = json_object();
    put_text(&o, "input", image->input);
    if (image->error) {
        put_text(&o, "error", image->error);
        put_bool(&o, "success", false);
        return o;
    }
    put_text(&o, "output", image->output);
    put_text(&o, "original", image->original);
    put_text(&o, "picture", image->picture);
    put_int(&o, "label", image->label);
    put_text(&o, "label_name", image->label_name);
    put_text(&o, "label_source", image->label_source);
    if (report->config->targeted) {
        put_int(&o, "target", image->target.index);
        put_text(&o, "target_name", image->target.name);
    }
    put(&o, "clean", verdict_json(&image->clean));
    put(&o, "adversarial", verdict_json(&image->adversarial));
    put_bool(&o, "success", image->success);
    put_bool(&o, "verified", image->verified);
    put_bool(&o, "success_before_rounding", image->broken);
    put(&o, "linf", real(image->linf));
    put(&o, "l2", real(image->l2));
    if (image->resized_otherwise) {
        json_t *other = json_object();
        put(&other, "linf", real(image->other_linf));
        put(&other, "l2", real(image->other_l2));
        put(&o, "newer_pillow", other);
    }
    put_int(&o, "iterations", image->iterations);
    put_int(&o, "zero_gradients", image->zero_gradients);
    put(&o, "seconds", real(image->seconds));
    return o;
}

static json_t *summary_json(const gb_report *report)
{
    gb_report_summary s;
    json_t *o = json_object();
    gb_report_summarize(&s, report);
    put_int(&o, "images", (json_int_t)s.images);
    put_int(&o, "failed", (json_int_t)s.failed);
    put_int(&o, "labelled", (json_int_t)s.labelled);
    put_int(&o, "correct", (json_int_t)s.correct);
    put_int(&o, "success", (json_int_t)s.success);
    put_int(&o, "success_before_rounding", (json_int_t)s.broken);
    put_int(&o, "zero_gradient", (json_int_t)s.zero_gradient);
    put(&o, "mean_iterations", real(s.mean_iterations));
    put(&o, "mean_linf", real(s.mean_linf));
    put(&o, "mean_l2", real(s.mean_l2));
    put(&o, "seconds", real(s.seconds));
    return o;
}

int gb_report_json(json_t **out, const gb_report *report)
{
    json_t *o = json_object(), *images = json_array();
    put(&o, "device", gb_report_device_json(report->device));
    put(&o, "model", gb_report_model_json(&report->model));
    put(&o, "attack", gb_report_attack_json(report->config));
    for (size_t i = 0; i < report->n && images; i++) {
        if (json_array_append_new(images, image_json(report, &report->image[i])) < 0) {
            json_decref(images);
            images = NULL;
        }
    }
    put(&o, "images", images);
    if (report->failures && report->failures->count)
        put(&o, "errors", gb_failures_json(report->failures));
    put_text(&o, "sheet", report->sheet);
    put(&o, "summary", summary_json(report));
    if (!o)
        return gb_fail(GB_ERR_NOMEM, "out of memory for a report on %zu images", report->n);
    *out = o;
    return 0;
}
