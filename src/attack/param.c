// The parameters of attacks as data: reading, checking and printing them.
#include "attack/attack.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *const norms[] = {"linf", "l2", NULL};
static const char *const losses[] = {"ce", "margin", "dlr", NULL};

#define FIELD(name) offsetof(gb_attack_config, name)
static const gb_param params[] = {
    {.name = "norm", .kind = GB_PARAM_ENUM, .offset = FIELD(norm), .choices = norms,
     .first = GB_NORM_LINF, .help = "the ball around each image"},
    {.name = "eps", .kind = GB_PARAM_EPS, .offset = FIELD(eps), .min = 0, .max = 1e4,
     .unset = "8/255 for linf, 1 for l2",
     .help = "radius of the ball, as a fraction of the pixel range: 8/255 or 0.03"},
    {.name = "step-size", .kind = GB_PARAM_EPS, .offset = FIELD(step_size), .min = 0, .max = 1e4,
     .unset = "2.5 eps / steps", .help = "length of a step, in the units of eps"},
    {.name = "steps", .kind = GB_PARAM_INT, .offset = FIELD(steps), .min = 1, .max = 1e6,
     .help = "gradient steps of each restart"},
    {.name = "restarts", .kind = GB_PARAM_INT, .offset = FIELD(restarts), .min = 1, .max = 1e6,
     .help = "random starts tried on images that are not broken yet"},
    {.name = "random-start", .kind = GB_PARAM_FLAG, .offset = FIELD(random_start),
     .help = "start at a uniformly random point of the ball"},
    {.name = "loss", .kind = GB_PARAM_ENUM, .offset = FIELD(loss), .choices = losses,
     .first = GB_LOSS_CE, .help = "what the steps ascend: cross-entropy, margin or logit ratio"},
    {.name = "early-stop", .kind = GB_PARAM_FLAG, .offset = FIELD(early_stop),
     .help = "an image rests at its first success"},
    {.name = "keep-best", .kind = GB_PARAM_FLAG, .offset = FIELD(keep_best),
     .help = "return the best iterate (success, then loss) instead of the last"},
    {.name = "eight-bit", .kind = GB_PARAM_FLAG, .offset = FIELD(eight_bit),
     .help = "do not stop early at a success that rounding to 8 bits would undo"},
};

const gb_param *gb_param_all(size_t *count)
{
    *count = GB_COUNT(params);
    return params;
}

int gb_param_find(const gb_param **out, const gb_method *method, const char *name)
{
    char list[512] = "";
    for (const char *const *p = method->params; *p; p++) {
        for (size_t i = 0; i < GB_COUNT(params) && !strcmp(*p, name); i++) {
            if (!strcmp(params[i].name, name)) {
                *out = &params[i];
                return 0;
            }
        }
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", used ? ", " : "", *p);
    }
    return gb_fail(GB_ERR_ARG, "%s has no parameter '%s'; it has %s", method->name, name, list);
}

int gb_parse_eps(float *out, const char *text, const char *what)
{
    char *end;
    double over = 1, value = strtod(text, &end);
    bool number = end != text;
    if (number && *end == '/') {
        const char *below = end + 1;
        over = strtod(below, &end);
        number = end != below;
    }
    if (!number || *end)
        return gb_fail(GB_ERR_ARG, "%s '%s' is neither a number nor a fraction such as 8/255", what,
                       text);
    if (over == 0)
        return gb_fail(GB_ERR_ARG, "%s '%s' divides by zero", what, text);
    value /= over;
    if (!isfinite(value) || !isfinite((float)value))
        return gb_fail(GB_ERR_ARG, "%s '%s' is not a finite number", what, text);
    *out = (float)value;
    return 0;
}

static int parse_flag(int *out, const gb_param *param, const char *text)
{
    static const char *const yes[] = {"1", "yes", "true", "on"}, *const no[] = {"0", "no", "false",
                                                                                "off"};
    for (size_t i = 0; i < GB_COUNT(yes); i++) {
        if (!strcasecmp(text, yes[i]) || !strcasecmp(text, no[i])) {
            *out = !strcasecmp(text, yes[i]);
            return 0;
        }
    }
    return gb_fail(GB_ERR_ARG, "%s '%s' is neither yes nor no", param->name, text);
}

static int parse_choice(int *out, const gb_param *param, const char *text)
{
    char list[256] = "";
    for (int i = 0; param->choices[i]; i++) {
        if (!strcasecmp(text, param->choices[i])) {
            *out = param->first + i;
            return 0;
        }
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", param->choices[i]);
    }
    return gb_fail(GB_ERR_ARG, "unknown %s '%s'; it is one of %s", param->name, text, list);
}

static int parse_int(int *out, const gb_param *param, const char *text)
{
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (end == text || *end)
        return gb_fail(GB_ERR_ARG, "%s '%s' is not a whole number", param->name, text);
    if (errno || value < param->min || value > param->max)
        return gb_fail(GB_ERR_ARG, "%s %s is outside %.0f to %.0f", param->name, text, param->min,
                       param->max);
    *out = (int)value;
    return 0;
}

int gb_param_set(gb_attack_config *config, const gb_param *param, const char *text)
{
    int err = 0, number = 0;
    float real;
    char *field = (char *)config + param->offset;
    switch (param->kind) {
    case GB_PARAM_EPS:
        GB_TRY(gb_parse_eps(&real, text, param->name));
        if (real < param->min)
            return gb_fail(GB_ERR_ARG, "%s %s is negative", param->name, text);
        if (real > param->max)
            return gb_fail(GB_ERR_ARG,
                           "%s %s is too large; pixels are in [0,1]: did you mean %s/255?",
                           param->name, text, text);
        memcpy(field, &real, sizeof real);
        return 0;
    case GB_PARAM_INT:
        GB_TRY(parse_int(&number, param, text));
        break;
    case GB_PARAM_FLAG:
        GB_TRY(parse_flag(&number, param, text));
        break;
    case GB_PARAM_ENUM:
        GB_TRY(parse_choice(&number, param, text));
        break;
    }
    memcpy(field, &number, sizeof number);
fail:
    return err;
}

char *gb_param_text(char *buf, size_t size, const gb_attack_config *config, const gb_param *param)
{
    const char *field = (const char *)config + param->offset;
    int number;
    float real;
    memcpy(&number, field, sizeof number);
    memcpy(&real, field, sizeof real);
    switch (param->kind) {
    case GB_PARAM_EPS: {
        double levels = round((double)real * 255);
        if (isnan(real))
            snprintf(buf, size, "%s", param->unset);
        else if (levels > 0 && levels < 255 && (float)(levels / 255) == real)
            snprintf(buf, size, "%.0f/255", levels);
        else
            snprintf(buf, size, "%.6g", (double)real);
        break;
    }
    case GB_PARAM_INT:
        snprintf(buf, size, "%d", number);
        break;
    case GB_PARAM_FLAG:
        snprintf(buf, size, "%s", number ? "yes" : "no");
        break;
    case GB_PARAM_ENUM:
        snprintf(buf, size, "%s", param->choices[number - param->first]);
        break;
    }
    return buf;
}
