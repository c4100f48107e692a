// Preprocessing presets and their JSON form.
#include "image/preproc.h"

#include "base/file.h"
#include "base/number.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SIDE = 1 << 14, MAX_CHANNELS = GB_COUNT(((gb_preproc *)0)->mean) };

#define ALL(v) {v, v, v, v}

static const gb_preproc presets[] = {
    {"imagenet", 256, 224, 224, false, 1.0f, {.485f, .456f, .406f}, {.229f, .224f, .225f}, 3},
    {"inception", 256, 224, 224, false, 1.0f, ALL(.5f), ALL(.5f), 0}, // x / 127.5 - 1 of 8 bits
    {"caffe", 256, 224, 224, true, 255.0f, {104.0f, 117.0f, 123.0f}, ALL(1.0f), 3},
    {"unit", 0, 0, 0, false, 1.0f, ALL(0.0f), ALL(1.0f), 0},
    {"cifar10", 0, 0, 0, false, 1.0f, {.4914f, .4822f, .4465f}, {.2023f, .1994f, .2010f}, 3},
};
static const char preset_names[] = "imagenet, inception, caffe, unit, cifar10";
static const char keys[] = "resize, crop, bgr, range, mean, std";

const char *gb_preproc_names(void)
{
    return preset_names;
}

static int parse_side(int *out, const json_t *value, const char *key, const char *name)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        json_integer_value(value) > MAX_SIDE)
        return gb_fail(GB_ERR_FORMAT, "%s: \"%s\" must be a whole number of pixels from 0 to %d",
                       name, key, MAX_SIDE);
    *out = (int)json_integer_value(value);
    return 0;
}

static int parse_crop(gb_preproc *p, const json_t *value, const char *name)
{
    if (!json_is_array(value)) {
        int err = parse_side(&p->crop_w, value, "crop", name);
        p->crop_h = p->crop_w;
        return err;
    }
    if (json_array_size(value) != 2)
        return gb_fail(GB_ERR_FORMAT, "%s: \"crop\" must be a number or [width, height]", name);
    int err = parse_side(&p->crop_w, json_array_get(value, 0), "crop", name);
    if (err == 0)
        err = parse_side(&p->crop_h, json_array_get(value, 1), "crop", name);
    if (err == 0 && !p->crop_w != !p->crop_h)
        err = gb_fail(GB_ERR_FORMAT, "%s: \"crop\" has only one of its two sides", name);
    return err;
}

// A finite number; above zero where it divides or scales.
static int parse_number(float *out, const json_t *value, const char *key, bool positive,
                        const char *name)
{
    float v = (float)json_number_value(value);
    if (!json_is_number(value) || !isfinite(v) || (positive && v <= 0.0f))
        return gb_fail(GB_ERR_FORMAT, "%s: \"%s\" must be %s", name, key,
                       positive ? "above 0" : "a number");
    *out = v;
    return 0;
}

static int parse_channels(gb_preproc *p, float out[MAX_CHANNELS], const json_t *value,
                          const char *key, bool positive, const char *name)
{
    int err = 0;
    if (!json_is_array(value)) {
        err = parse_number(&out[0], value, key, positive, name);
        for (int i = 1; i < MAX_CHANNELS; i++)
            out[i] = out[0];
        return err;
    }
    size_t n = json_array_size(value);
    if (n < 1 || n > MAX_CHANNELS)
        return gb_fail(GB_ERR_FORMAT, "%s: \"%s\" must be a number or an array of 1 to %d of them",
                       name, key, MAX_CHANNELS);
    if (p->channels && p->channels != (int)n)
        return gb_fail(GB_ERR_FORMAT, "%s: \"mean\" and \"std\" differ in length", name);
    p->channels = (int)n;
    for (size_t i = 0; i < n && err == 0; i++)
        err = parse_number(&out[i], json_array_get(value, i), key, positive, name);
    return err;
}

static int parse_object(gb_preproc *p, json_t *object, const char *name)
{
    const char *key;
    json_t *value;
    if (!json_is_object(object))
        return gb_fail(GB_ERR_FORMAT, "%s: must be a JSON object with any of the keys %s", name,
                       keys);
    json_object_foreach(object, key, value)
    {
        int err = 0;
        if (strcmp(key, "resize") == 0)
            err = parse_side(&p->resize, value, key, name);
        else if (strcmp(key, "crop") == 0)
            err = parse_crop(p, value, name);
        else if (strcmp(key, "range") == 0)
            err = parse_number(&p->range, value, key, true, name);
        else if (strcmp(key, "mean") == 0)
            err = parse_channels(p, p->mean, value, key, false, name);
        else if (strcmp(key, "std") == 0)
            err = parse_channels(p, p->std, value, key, true, name);
        else if (strcmp(key, "bgr") != 0)
            err = gb_fail(GB_ERR_FORMAT, "%s: unknown key \"%.64s\"; the keys are %s", name, key,
                          keys);
        else if (!json_is_boolean(value))
            err = gb_fail(GB_ERR_FORMAT, "%s: \"bgr\" must be true or false", name);
        else
            p->bgr = json_boolean_value(value);
        if (err < 0)
            return err;
    }
    return 0;
}

int gb_preproc_parse(gb_preproc *out, const char *json, const char *name)
{
    json_error_t why;
    const char *slash = strrchr(name, '/');
    *out = (gb_preproc){.range = 1.0f, .std = ALL(1.0f)};
    snprintf(out->name, sizeof out->name, "%s", slash ? slash + 1 : name);
    const locale_t before = gb_plain_begin();
    json_t *object = json_loads(json, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
    gb_plain_end(before);
    if (!object)
        return gb_fail(GB_ERR_FORMAT, "%s: line %d of the preprocessing JSON: %s", name, why.line,
                       why.text);
    int err = parse_object(out, object, name);
    json_decref(object);
    return err;
}

// One number for all channels, or an array where they differ.
static json_t *channels_json(const float v[MAX_CHANNELS], int channels)
{
    json_t *array = channels ? json_array() : NULL;
    for (int i = 0; i < channels; i++)
        json_array_append_new(array, json_real((double)v[i]));
    return channels ? array : json_real((double)v[0]);
}

int gb_preproc_json(char **out, const gb_preproc *p)
{
    enum { EXACT = 9 }; // digits that tell any two floats apart
    json_t *o = json_pack("{s:i, s:[i,i], s:b, s:f, s:o, s:o}", "resize", p->resize, "crop",
                          p->crop_w, p->crop_h, "bgr", p->bgr, "range", (double)p->range, "mean",
                          channels_json(p->mean, p->channels), "std",
                          channels_json(p->std, p->channels));
    const locale_t before = gb_plain_begin();
    *out = o ? json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(EXACT)) : NULL;
    gb_plain_end(before);
    json_decref(o);
    return *out ? 0 : gb_fail(GB_ERR_NOMEM, "out of memory for the preprocessing's JSON");
}

int gb_preproc_find(gb_preproc *out, const char *spec)
{
    const size_t length = strlen(spec);
    *out = (gb_preproc){0};
    for (size_t i = 0; i < GB_COUNT(presets); i++) {
        if (strcmp(spec, presets[i].name) == 0) {
            *out = presets[i];
            return 0;
        }
    }
    if (length < 5 || strcmp(spec + length - 5, ".json") != 0)
        return gb_fail(GB_ERR_ARG, "unknown preprocessing '%s'; it is one of %s or a FILE.json",
                       spec, preset_names);
    void *bytes;
    size_t size;
    int err = gb_file_read(&bytes, &size, spec);
    if (err < 0)
        return err;
    err = gb_preproc_parse(out, bytes, spec);
    free(bytes);
    return err;
}

int gb_preproc_fit_model(gb_preproc *p, int channels, int height, int width)
{
    if (channels != 1 && channels != 3)
        return gb_fail(GB_ERR_UNSUPPORTED, "the model takes %d channels; pictures have 1 or 3",
                       channels);
    if (p->channels && p->channels != channels)
        return gb_fail(GB_ERR_ARG, "preprocessing '%s' is for %d channel%s; the model takes %d",
                       p->name, p->channels, p->channels == 1 ? "" : "s", channels);
    p->channels = channels;
    if (height == 0 && width == 0 && p->crop_w == 0)
        return gb_fail(GB_ERR_ARG, "the model leaves its input's size open, and preprocessing '%s' "
                                   "has no crop; give one in a FILE.json", p->name);
    height = height ? height : p->crop_h ? p->crop_h : width;
    width = width ? width : p->crop_w ? p->crop_w : height;
    if (p->crop_w && (p->crop_w != width || p->crop_h != height)) {
        const int before = p->crop_w < p->crop_h ? p->crop_w : p->crop_h;
        const int after = width < height ? width : height;
        p->resize = (int)lround((double)after * p->resize / before);
    }
    p->crop_w = width;
    p->crop_h = height;
    return 0;
}

int gb_preproc_whole(gb_preproc *p, bool given)
{
    bool plain = !p->bgr && (p->range == 1 || p->range == 255);
    for (int c = 0; c < MAX_CHANNELS; c++)
        plain = plain && p->mean[c] == 0 && p->std[c] == 1;
    if (given && !plain)
        return gb_fail(GB_ERR_ARG,
                       "the model takes whole pixels from 0 to 255, which preprocessing '%s' would "
                       "normalise; give unit, or a FILE.json of resize and crop alone", p->name);
    p->bgr = false;
    p->range = 1;
    p->channels = 0;
    for (int c = 0; c < MAX_CHANNELS; c++) {
        p->mean[c] = 0;
        p->std[c] = 1;
    }
    if (!plain)
        snprintf(p->name, sizeof p->name, "whole pixels");
    return 0;
}

static gb_fit fit_of(const gb_preproc *p)
{
    return (gb_fit){.resize = p->resize, .width = p->crop_w, .height = p->crop_h,
                    .channels = p->channels};
}

int gb_preproc_image(gb_image *out, const gb_image *in, const gb_preproc *p)
{
    const gb_fit fit = fit_of(p);
    return gb_image_fit(out, in, &fit);
}

int gb_preproc_read(gb_image *out, const char *path, const gb_preproc *p)
{
    const gb_fit fit = fit_of(p);
    return gb_image_read_fit(out, path, &fit, p->max_pixels);
}

int gb_preproc_read_newest(gb_image *out, const char *path, const gb_preproc *p)
{
    gb_fit fit = fit_of(p);
    int width, height, channels;
    *out = (gb_image){0};
    int err = gb_image_measure(&width, &height, &channels, path);
    if (err < 0 || !gb_fit_differs(width, height, &fit))
        return err;
    fit.columns_first = true;
    return gb_image_read_fit(out, path, &fit, p->max_pixels);
}

char *gb_preproc_text(char *buf, size_t size, const gb_preproc *p)
{
    const int n = p->channels ? p->channels : 1;
    char crop[32] = "the model's size", mean[80] = "", std[80] = "", resize[32] = "";
    if (p->crop_w)
        snprintf(crop, sizeof crop, "%dx%d", p->crop_w, p->crop_h);
    if (p->resize)
        snprintf(resize, sizeof resize, "resize %d, crop ", p->resize);
    for (int i = 0; i < n; i++) {
        size_t m = strlen(mean), s = strlen(std);
        gb_format(mean + m, sizeof mean - m, "%s%g", i ? " " : "", (double)p->mean[i]);
        gb_format(std + s, sizeof std - s, "%s%g", i ? " " : "", (double)p->std[i]);
    }
    gb_format(buf, size, "%s: %s%s, %s in 0..%g, minus %s, over %s", p->name,
              *resize ? resize : "resize to ", crop,
              n == 1 ? "channels" : p->bgr ? "BGR" : "RGB", (double)p->range, mean, std);
    return buf;
}
