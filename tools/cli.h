// What every subcommand shares: common options, messages, exit codes, the device, JSON.
#ifndef TOOLS_CLI_H
#define TOOLS_CLI_H

#include "base/ranks.h"
#include "base/text.h"
#include "device/device.h"
#include "engine/scores.h"
#include "options.h"
#include "rehearsal.h"
#include "report/failures.h"

#include <jansson.h>

// Exit codes of the program, part of its interface.
enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_THRESHOLD = 3, EXIT_INTERRUPTED = 130 };

typedef struct cli_command {
    const char *name;
    const char *synopsis; // what follows "gibbon NAME": "MODEL IMAGE... [options]"
    const char *summary;  // one line for `gibbon --help`
    const char *details;  // a paragraph for `gibbon NAME --help`, lines ready to print; NULL: none
    int (*run)(int argc, char **argv); // the words after the command's name; returns an exit code
} cli_command;

extern const cli_command cmd_devices, cmd_info, cmd_run, cmd_classify, cmd_attack, cmd_bench,
    cmd_eval, cmd_models, cmd_selftest, cmd_train, cmd_transfer, cmd_tune;

// The values of the common options. First member of each command's own struct of values, so that
// the entries below fit its table.
typedef struct cli {
    const cli_command *command;
    const char *device, *precision, *preprocess, *labels, *label_from, *output;
    int64_t batch, max_pixels; // 0: not given
    const char *input_layout, *input_size, *model_output, *scores; // how to take the model
    int64_t class_axis; // 0: not given
    uint64_t seed;
    bool json, quiet, verbose, allow_nonfinite;
    option_texts words; // arguments that are no options
    gb_failures failures; // parts that failed and were said; the rest went on
    gb_log log;
    gb_ranks ranks;     // after cli_join; else zeroed
    int joined;         // what came of that
    rehearsal rehearsal; // after cli_rehearse; else zeroed
} cli;

#define CLI_DEVICE \
    {"device", 0, OPTION_TEXT, offsetof(cli, device), "SPEC", \
     "where to compute: an index P:D, cpu, gpu, any, a driver (pocl, rusticl, intel, cuda ...) " \
     "or a piece of the platform's or device's name (default: $GIBBON_DEVICE, else any; see " \
     "gibbon devices)"}
#define CLI_PRECISION \
    {"precision", 0, OPTION_CHOICE, offsetof(cli, precision), "float32|tf32|bf16|fp16", \
     "what the factors of products are rounded to, by the tensor cores of NVIDIA GPUs " \
     "(default: float32, no rounding)", .choices = gb_precision_names}
#define CLI_PREPROCESS \
    {"preprocess", 0, OPTION_TEXT, offsetof(cli, preprocess), "PRESET|FILE", \
     "how pictures become the model's input: imagenet, inception, caffe, unit, cifar10 or a JSON " \
     "file (default: the model's metadata, else guessed and said)"}
#define CLI_MODEL \
    {"input-layout", 0, OPTION_TEXT, offsetof(cli, input_layout), "nchw|nhwc|flat", \
     "how the model takes a picture: channels first, channels last, or all in a row, channels " \
     "first (default: found in the graph, and said where it is not nchw)"}, \
    {"input-size", 0, OPTION_TEXT, offsetof(cli, input_size), "HxW", \
     "the size of its pictures where the file leaves it open or flat"}, \
    {"output", 0, OPTION_TEXT, offsetof(cli, model_output), "NAME", \
     "the model's output that holds the classes (default: the one that looks like it, and said " \
     "where there are several)"}, \
    {"classes", 0, OPTION_INT, offsetof(cli, class_axis), "AXIS", \
     "the axis of that output that counts the classes; scores are means over its other axes", 1, \
     7}, \
    {"scores", 0, OPTION_CHOICE, offsetof(cli, scores), \
     "find|logits|log-probabilities|probabilities|sigmoids", \
     "what that output holds (default: found in the graph, else by what it gives for noise, and " \
     "said where it is not logits)", .choices = gb_scores_names}
#define CLI_MAX_PIXELS \
    {"max-pixels", 0, OPTION_INT, offsetof(cli, max_pixels), "N", \
     "refuse picture files of more pixels, before they are decoded (default: 100000000)", 1, \
     1000000000000}
#define CLI_LABELS \
    {"labels", 0, OPTION_TEXT, offsetof(cli, labels), "FILE", \
     "class names: one a line, with or without an index or WordNet ID, CSV, JSON or a Python dict"}
#define CLI_BATCH \
    {"batch", 'b', OPTION_INT, offsetof(cli, batch), "N", \
     "pictures computed at once", 1, 65536}
#define CLI_LABEL_FROM \
    {"label", 0, OPTION_CHOICE, offsetof(cli, label_from), "from-name|from-folder", \
     "take the number or WordNet ID in a picture's name (cat_3.png), or the folder that it lies " \
     "in, as its class (default: names only where they leave no doubt)", \
     .choices = (const char *const[]){"from-name", "from-folder", NULL}}
#define CLI_SEED \
    {"seed", 0, OPTION_SEED, offsetof(cli, seed), "N", \
     "of the random numbers; the same seed gives the same result (default: 0)"}
#define CLI_OUTPUT(text) \
    {"out", 'o', OPTION_TEXT, offsetof(cli, output), "DIR", text}
#define CLI_JSON {"json", 0, OPTION_FLAG, offsetof(cli, json), NULL, "print JSON for programs"}
#define CLI_QUIET \
    {"quiet", 'q', OPTION_FLAG, offsetof(cli, quiet), NULL, "no notes and no progress"}
#define CLI_VERBOSE \
    {"verbose", 'v', OPTION_FLAG, offsetof(cli, verbose), NULL, "say more"}

#define CLI_NONFINITE \
    {"allow-nonfinite", 0, OPTION_FLAG, offsetof(cli, allow_nonfinite), NULL, \
     "run a model whose weights hold NaN or infinite values"}

// Before cli_begin, for commands that several processes may share: joins the job that mpirun
// started; cli_begin tells a failure. Ranks but the first are quiet: they say no errors, which are
// to be agreed upon (gb_ranks_agree) or end the job (gb_ranks_abort).
void cli_join(cli *c);

// Parses a command's words; fills in the log. False: the command ends with *code (an error already
// said, or --help already printed). A group whose entries could not be made has NULL for them.
bool cli_begin(cli *c, const cli_command *command, const option_group *group, size_t n_group,
               int argc, char **argv, int *code);
void cli_finish(cli *c);

// A wrong usage found after parsing: records the message plus where help is; returns GB_ERR_ARG.
int cli_usage(const cli *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

// Ends a command: says the recorded error on standard error, checks that standard output took
// everything, and returns the exit code.
int cli_end(const cli *c, int err);

// Says the recorded error and goes on: `name`, one picture of many, failed. The exit code will
// tell. False: there were such errors before, and cli_end will say how many more.
bool cli_error(cli *c, const char *name);

// A note on standard error, unless --quiet.
void cli_note(const cli *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

// Progress on standard error: one line that overwrites itself, only on a terminal and without
// --quiet. An empty text clears it.
void cli_progress(const cli *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

double cli_seconds(void); // of a clock that only moves forward

// After cli_catch_interrupt the first Ctrl-C or SIGTERM (mpirun's way to pass it on) only sets a
// flag; the second one kills.
void cli_catch_interrupt(void);
bool cli_interrupted(void);

// Opens the device that --device, $GIBBON_DEVICE or the default choose, and says which; products in
// --precision. Ranks of one machine take turns among the devices that are like it, unless an index
// P:D was given.
int cli_open_device(gb_device **out, const cli *c);
// Just before that, for commands that go on to make one session and run it: see rehearsal.h.
void cli_rehearse(cli *c);
// Sets the precision of an open device as --precision says; on failure closes it.
int cli_set_precision(gb_device **dev, const cli *c);

// Prints and releases it; NULL is out of memory.
int cli_print_json(json_t *json);

#endif
