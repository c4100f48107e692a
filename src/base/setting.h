// Settings as data: one field of a struct as options, help, checks and reports see it. Attacks,
// optimisers and schedules describe their parameters in tables of these.
#ifndef GB_BASE_SETTING_H
#define GB_BASE_SETTING_H

#include <stddef.h>

typedef enum gb_setting_kind {
    GB_SETTING_EPS,  // float in the [0,1] pixel range; written as a number or a fraction, "8/255"
    GB_SETTING_REAL, // double
    GB_SETTING_INT,
    GB_SETTING_FLAG, // yes or no; on the command line --NAME and --no-NAME
    GB_SETTING_ENUM  // one of choices[]
} gb_setting_kind;

typedef struct gb_setting {
    const char *name;           // "step-size"; the option is --step-size
    gb_setting_kind kind;
    size_t offset;              // of the field: float for EPS, double for REAL, int for others
    double min, max;            // EPS, REAL, INT
    const char *const *choices; // ENUM: NULL-terminated; the value is first + the index
    int first;
    const char *unset;          // EPS, REAL: NaN is allowed and means this: "2.5 eps / steps"
    const char *help;           // one line, no full stop
} gb_setting;

// Reads text into the setting's field, checking its range. Messages name the setting.
int gb_setting_set(void *fields, const gb_setting *setting, const char *text);
// The field as text ("8/255" for multiples of 1/255); returns buf.
char *gb_setting_text(char *buf, size_t size, const void *fields, const gb_setting *setting);
// The same, but of EPS and REAL the bits: tells any two values apart.
char *gb_setting_exact(char *buf, size_t size, const void *fields, const gb_setting *setting);
// GB_ERR_ARG where the field's value is out of range; NaN passes where it may be unset.
int gb_setting_check(const void *fields, const gb_setting *setting);

// The setting `name` of a table, if it is among the NULL-terminated `names` that `owner` has.
// GB_ERR_ARG lists them.
int gb_setting_find(const gb_setting **out, const gb_setting *table, size_t count,
                    const char *const *names, const char *owner, const char *name);

// A number or a fraction of two numbers ("8/255"); finite. `what` is for the message.
int gb_parse_eps(float *out, const char *text, const char *what);

#endif
