// What an attack tells its user: the same facts as JSON, as text and as pictures.
#ifndef GB_REPORT_REPORT_H
#define GB_REPORT_REPORT_H

#include "attack/attack.h"
#include "report/failures.h"

#include <jansson.h>
#include <stdio.h>

typedef struct gb_verdict { // one classification; name may be NULL
    int index;
    const char *name;
    double probability;
} gb_verdict;

typedef struct gb_report_image {
    const char *input;   // path as given
    const char *output;  // file written, NULL: none
    const char *original; // the input at model size, written; NULL: none
    const char *picture; // panel written, NULL: none
    int label;           // true class; targeted attacks: see target
    const char *label_name;   // may be NULL
    const char *label_source; // "option", "file name", "folder", "prediction"
    gb_verdict target;        // targeted attacks only; its probability is unused
    gb_verdict clean, adversarial; // of the input at model size, and of the file that was written
    bool broken;   // the attack's floats were misclassified, before rounding
    bool verified; // the output was read back and lies inside the ball
    bool success;  // verified, and the file is misclassified (targeted: as the target)
    double linf, l2; // of the file, in the [0,1] range
    bool resized_otherwise; // by newer versions of Pillow; the file's distances from that:
    double other_linf, other_l2;
    int iterations, zero_gradients;
    double seconds;
    const char *error; // this image failed: why; the rest is not filled in. NULL: fine
} gb_report_image;

typedef struct gb_report_model {
    const char *path, *preprocess; // preset's name or file
    int64_t batch;                 // 0: none
    const char *scores;            // what its output holds: "logits", ...; NULL: unknown
    const char *assumed[3];        // what was found in place of the usual, for people; "": nothing
} gb_report_model;

typedef struct gb_report {
    const gb_device_info *device;
    gb_report_model model;
    const gb_attack_config *config; // resolved
    const char *sheet;              // contact sheet written, NULL: none
    const gb_report_image *image;
    size_t n;
    size_t unlisted;                // pictures that failed besides those of image[]
    const gb_failures *failures;    // all that failed; NULL: not counted
    double seconds; // of the whole run
} gb_report;

typedef struct gb_report_summary {
    size_t images, failed, success, broken, zero_gradient;
    size_t labelled, correct; // true class known; of those, clean pictures classified as it
    double mean_iterations, mean_linf, mean_l2, seconds; // means over successes, 0 without
} gb_report_summary;
void gb_report_summarize(gb_report_summary *out, const gb_report *report);

// attack --json (report/attack_json.c): device, model, attack, images[], summary. *out: the caller
// calls json_decref.
int gb_report_json(json_t **out, const gb_report *report);
// Any bytes, U+FFFD for those that are no UTF-8. NULL: null.
json_t *gb_report_text_json(const char *text);
// {"path","preprocess","batch","scores","assumed":[...]}; NULL: out of memory
json_t *gb_report_model_json(const gb_report_model *model);
json_t *gb_report_device_json(const gb_device_info *info); // NULL: out of memory
json_t *gb_report_attack_json(const gb_attack_config *config); // the method and its parameters

// For people (report/attack_text.c): a block per image, then the summary.
void gb_report_head_text(FILE *out, const gb_report *report);
void gb_report_attack_text(FILE *out, const gb_attack_config *config); // the line of the attack
void gb_report_image_text(FILE *out, const gb_report *report, const gb_report_image *image);
void gb_report_summary_text(FILE *out, const gb_report *report);

#endif
