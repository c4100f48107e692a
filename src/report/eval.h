// What an evaluation tells its user: as text, as JSON, as CSV and as pictures.
#ifndef GB_REPORT_EVAL_H
#define GB_REPORT_EVAL_H

#include "data/data.h"
#include "eval/metrics.h"
#include "report/report.h"

typedef struct gb_eval_report {
    const gb_device_info *device;
    gb_report_model model;
    int ranks;
    const gb_dataset *data;
    bool data_classes;              // seen classes are among those of the data
    const gb_attack_config *config; // resolved; NULL: no attack
    const char *const *class_name;  // [metrics->classes]
    const gb_metrics *metrics;
    const gb_eval_bad *bad; // [n_bad]: pictures that could not be read
    size_t n_bad;
    size_t earlier; // pictures taken over from an interrupted run
    double seconds; // of this run
} gb_eval_report;

// Accuracies, a table of classes where there are at most 40 with pictures, and what is taken for
// what where there are at most 12.
void gb_eval_text(FILE *out, const gb_eval_report *report);

// {"device","model","data","attack","images","accuracy",...}; see README.md.
int gb_eval_json(json_t **out, const gb_eval_report *report);

// FOLDER/classes.csv, confusion.csv and confusion_adversarial.csv, and where there are at most 100
// classes with pictures confusion.png and confusion_adversarial.png, over those.
int gb_eval_write(const char *folder, const gb_eval_report *report);

#endif
