// What an evaluation has found so far, in files: so that it can be interrupted and go on.
//
// In the evaluation's folder, settings.txt says what it is of, images.csv has a row for each
// picture, and while ranks are at work each appends its rows to part-RANK.csv.
#ifndef GB_EVAL_RECORD_H
#define GB_EVAL_RECORD_H

#include "eval/metrics.h"

#include <stdio.h>

typedef struct gb_eval_setting { // what rows depend on
    const char *key, *text;      // of one line each
} gb_eval_setting;

// Rows, one a picture, in the order of their numbers. A zeroed one is empty and valid.
typedef struct gb_eval_rows {
    gb_eval_row *row;
    size_t n, capacity;
} gb_eval_rows;

int gb_eval_rows_add(gb_eval_rows *rows, const gb_eval_row *row, size_t n);
void gb_eval_rows_sort(gb_eval_rows *rows); // the first of each picture stays
void gb_eval_rows_finish(gb_eval_rows *rows);

// Adds the rows of images.csv's or a part's text; `name` is for messages. GB_ERR_FORMAT: a line is
// no row.
int gb_eval_rows_decode(gb_eval_rows *rows, const void *text, size_t size, const char *name);

typedef struct gb_record {
    const char *folder;
    const gb_eval_setting *setting;
    size_t n_setting;
    bool attack, eight_bit;                        // what rows have
    const char *(*name)(void *user, int64_t item); // what a picture is called
    void *user;
} gb_record;

// Makes the folder, or takes up what it has: *rows become those that were finished there,
// images.csv holds them all, and no part is left. GB_ERR_ARG: it holds an evaluation of something
// else (the line says what differs), or rows without settings. For one process at a time.
int gb_record_begin(gb_eval_rows *rows, const gb_record *record);
// The text of settings.txt against the record's own. GB_ERR_ARG says what differs.
int gb_record_match(const gb_record *record, const void *text, size_t size);
// Writes images.csv, all or nothing, and removes the parts.
int gb_record_end(const gb_record *record, const gb_eval_rows *rows);

// A part that grows row by row; a killed process loses what was not flushed.
typedef struct gb_part {
    FILE *file;
    char path[4096];
} gb_part;

int gb_part_open(gb_part *out, const char *folder, int rank);
int gb_part_add(gb_part *part, const gb_eval_row *row);
int gb_part_flush(gb_part *part); // GB_ERR_IO: a full disk, ...
int gb_part_close(gb_part *part); // the same; a zeroed part is fine

#endif
