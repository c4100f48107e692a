// Settings as data: reading, checking and printing the fields that tables describe.
#include "base/setting.h"

#include "base/mem.h"
#include "base/name.h"
#include "base/number.h"
#include "base/status.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int gb_setting_find(const gb_setting **out, const gb_setting *table, size_t count,
                    const char *const *names, const char *owner, const char *name)
{
    char list[512] = "";
    for (const char *const *p = names; *p; p++) {
        for (size_t i = 0; i < count && !strcmp(*p, name); i++) {
            if (!strcmp(table[i].name, name)) {
                *out = &table[i];
                return 0;
            }
        }
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", used ? ", " : "", *p);
    }
    return gb_fail(GB_ERR_ARG, "%s has no parameter '%s'; it has %s", owner, name,
                   *list ? list : "none");
}

int gb_parse_eps(float *out, const char *text, const char *what)
{
    char *end;
    double over = 1, value = gb_number(text, &end);
    bool number = end != text;
    if (number && *end == '/') {
        const char *below = end + 1;
        over = gb_number(below, &end);
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

static int parse_flag(int *out, const gb_setting *setting, const char *text)
{
    static const char *const yes[] = {"1", "yes", "true", "on"};
    static const char *const no[] = {"0", "no", "false", "off"};
    for (size_t i = 0; i < GB_COUNT(yes); i++) {
        if (gb_same_word(text, yes[i]) || gb_same_word(text, no[i])) {
            *out = gb_same_word(text, yes[i]);
            return 0;
        }
    }
    return gb_fail(GB_ERR_ARG, "%s '%s' is neither yes nor no", setting->name, text);
}

static int parse_choice(int *out, const gb_setting *setting, const char *text)
{
    int i = gb_name_among(setting->name, text, setting->choices);
    if (i >= 0)
        *out = setting->first + i;
    return i < 0 ? i : 0;
}

static int parse_real(double *out, const gb_setting *setting, const char *text)
{
    char *end;
    double value = gb_number(text, &end);
    if (end == text || *end)
        return gb_fail(GB_ERR_ARG, "%s '%s' is not a number", setting->name, text);
    if (!(value >= setting->min && value <= setting->max))
        return gb_fail(GB_ERR_ARG, "%s %s is outside %g to %g", setting->name, text, setting->min,
                       setting->max);
    *out = value;
    return 0;
}

static int parse_int(int *out, const gb_setting *setting, const char *text)
{
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (end == text || *end)
        return gb_fail(GB_ERR_ARG, "%s '%s' is not a whole number", setting->name, text);
    if (errno || value < setting->min || value > setting->max)
        return gb_fail(GB_ERR_ARG, "%s %s is outside %.0f to %.0f", setting->name, text,
                       setting->min, setting->max);
    *out = (int)value;
    return 0;
}

int gb_setting_set(void *fields, const gb_setting *setting, const char *text)
{
    int err = 0, number = 0;
    float real;
    double wide = 0;
    char *field = (char *)fields + setting->offset;
    switch (setting->kind) {
    case GB_SETTING_EPS:
        GB_TRY(gb_parse_eps(&real, text, setting->name));
        if (real < setting->min)
            return gb_fail(GB_ERR_ARG, "%s %s is negative", setting->name, text);
        if (real > setting->max)
            return gb_fail(GB_ERR_ARG,
                           "%s %s is too large; pixels are in [0,1]: did you mean %s/255?",
                           setting->name, text, text);
        memcpy(field, &real, sizeof real);
        return 0;
    case GB_SETTING_REAL:
        GB_TRY(parse_real(&wide, setting, text));
        memcpy(field, &wide, sizeof wide);
        return 0;
    case GB_SETTING_INT:
        GB_TRY(parse_int(&number, setting, text));
        break;
    case GB_SETTING_FLAG:
        GB_TRY(parse_flag(&number, setting, text));
        break;
    case GB_SETTING_ENUM:
        GB_TRY(parse_choice(&number, setting, text));
        break;
    }
    memcpy(field, &number, sizeof number);
fail:
    return err;
}

char *gb_setting_text(char *buf, size_t size, const void *fields, const gb_setting *setting)
{
    const char *field = (const char *)fields + setting->offset;
    int number;
    float real;
    double wide = NAN;
    memcpy(&number, field, sizeof number);
    memcpy(&real, field, sizeof real);
    if (setting->kind == GB_SETTING_REAL)
        memcpy(&wide, field, sizeof wide);
    switch (setting->kind) {
    case GB_SETTING_EPS: {
        double levels = round((double)real * 255);
        if (isnan(real))
            snprintf(buf, size, "%s", setting->unset);
        else if (levels > 0 && levels < 255 && (float)(levels / 255) == real)
            gb_format(buf, size, "%.0f/255", levels);
        else
            gb_format(buf, size, "%.6g", (double)real);
        break;
    }
    case GB_SETTING_REAL:
        if (isnan(wide))
            snprintf(buf, size, "%s", setting->unset);
        else
            gb_format(buf, size, "%.9g", wide);
        break;
    case GB_SETTING_INT:
        snprintf(buf, size, "%d", number);
        break;
    case GB_SETTING_FLAG:
        snprintf(buf, size, "%s", number ? "yes" : "no");
        break;
    case GB_SETTING_ENUM:
        snprintf(buf, size, "%s", setting->choices[number - setting->first]);
        break;
    }
    return buf;
}

char *gb_setting_exact(char *buf, size_t size, const void *fields, const gb_setting *setting)
{
    const char *field = (const char *)fields + setting->offset;
    uint32_t narrow;
    uint64_t wide;
    if (setting->kind == GB_SETTING_EPS) {
        memcpy(&narrow, field, sizeof narrow);
        snprintf(buf, size, "%08" PRIx32, narrow);
    } else if (setting->kind == GB_SETTING_REAL) {
        memcpy(&wide, field, sizeof wide);
        snprintf(buf, size, "%016" PRIx64, wide);
    } else {
        gb_setting_text(buf, size, fields, setting);
    }
    return buf;
}

int gb_setting_check(const void *fields, const gb_setting *setting)
{
    const char *field = (const char *)fields + setting->offset;
    double low = setting->min, high = setting->max, value;
    if (setting->kind == GB_SETTING_EPS) {
        float real;
        memcpy(&real, field, sizeof real);
        value = (double)real;
    } else if (setting->kind == GB_SETTING_REAL) {
        memcpy(&value, field, sizeof value);
    } else {
        int number;
        memcpy(&number, field, sizeof number);
        value = number;
    }
    if (isnan(value) && setting->unset)
        return 0;
    if (setting->kind == GB_SETTING_FLAG) {
        low = 0;
        high = 1;
    } else if (setting->kind == GB_SETTING_ENUM) {
        for (low = high = setting->first; setting->choices[(int)high - setting->first + 1];)
            high++;
    }
    if (!(value >= low && value <= high))
        return gb_fail(GB_ERR_ARG, "%s %g is outside %g to %g", setting->name, value, low, high);
    return 0;
}
