// Options declared as tables: parsing, --help and the answers to wrong names all come from them.
#ifndef TOOLS_OPTIONS_H
#define TOOLS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef enum option_kind {
    OPTION_FLAG,   // bool, set by --name
    OPTION_SWITCH, // const char *, "yes" by --name, "no" by --no-name
    OPTION_INT,    // int64_t in [min, max]
    OPTION_SEED,   // uint64_t
    OPTION_TEXT,   // const char *
    OPTION_TEXTS,  // option_texts; may be repeated
    OPTION_CHOICE  // const char *, one of `choices`
} option_kind;

// Words from the command line, not copied.
typedef struct option_texts {
    const char **text;
    size_t count, capacity;
} option_texts;

typedef struct option_entry {
    const char *name; // without the dashes
    char letter;      // its short form, 0: none
    option_kind kind;
    size_t offset;   // of the field in the group's values
    const char *arg; // what help calls the value: "N", "FILE"
    const char *help;
    int64_t min, max;           // INT; both 0: any
    const char *const *choices; // CHOICE; ends with NULL
} option_entry;

// Entries whose fields lie in one struct.
typedef struct option_group {
    const char *title; // a heading in --help; NULL: "options"
    const option_entry *entry;
    size_t count;
    void *values;
} option_group;

// Parses argv[0..argc) into the groups' values and the words that are no options into `words`. The
// first error is recorded for gb_last_error(). *help is set, and parsing ends, at --help or -h.
int options_parse(const option_group *group, size_t n_group, int argc, char **argv,
                  option_texts *words, bool *help);

// The options, their values and what they do, wrapped for a terminal.
void options_help(FILE *to, const option_group *group, size_t n_group);

int option_texts_add(option_texts *texts, const char *text);
void option_texts_finish(option_texts *texts);

// The candidate nearest to `word` in edits, NULL where none is near enough to be a slip.
// next(state, i) gives candidate i, NULL after the last.
const char *option_nearest(const char *word, const char *(*next)(const void *state, size_t i),
                           const void *state);

#endif
