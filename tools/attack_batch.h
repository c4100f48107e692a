// One attack over a list of pictures: batch by batch, each result saved, read back and judged.
#ifndef TOOLS_ATTACK_BATCH_H
#define TOOLS_ATTACK_BATCH_H

#include "pictures.h"

#include "attack/attack.h"
#include "report/panel.h"
#include "report/report.h"

typedef enum label_source {
    LABEL_PREDICTED, // or LABEL_DATA, where the pictures are a data set's
    LABEL_GIVEN, LABEL_FILE, LABEL_FOLDER, LABEL_DATA
} label_source;

enum { ATTACK_SHEET = 40 }; // the most pictures on one sheet

typedef struct attack_shown {
    gb_image before, after;
} attack_shown;

typedef struct attack_task {
    cli *cli;
    gb_device *dev;
    gb_attack *attack;
    pictures p;
    label_source source;
    int label, target;    // where they are given; target -1: untargeted
    gb_report report;     // the pictures so far; report.image is `done`
    gb_report_image *done;
    size_t batch, classes;
    // Rows of the batch at hand: pictures as decoded, as attacked; classes and results.
    float *clean, *attacked; // (batch, pixels)
    float *logits;           // (batch, classes)
    int *goal, *leave;       // [batch]: what the attack is told, and each picture's true class
    const char **name;       // [batch]: for messages
    gb_attack_result *result;
    gb_report_image **image; // [batch]: its entry in the report
    // What the sheet will show; one place more for a panel that is not on it.
    attack_shown shown[ATTACK_SHEET + 1];
    gb_panel panel[ATTACK_SHEET];
    size_t n_shown;
    gb_arena arena; // texts of the report
} attack_task;

// Makes room; the attack is ready, the list read.
int attack_prepare(attack_task *t);
// Attacks every picture, printing text as they finish unless --json. Pictures that cannot be read
// are said and passed over. GB_ERR_CANCELLED at Ctrl-C: what is finished is saved and reported.
int attack_pictures(attack_task *t);
void attack_finish(attack_task *t);

#endif
