// Messages, exit codes, interruption and the choice of the device.
#include "cli.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

void cli_catch_interrupt(void)
{
    struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = SA_RESETHAND};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

bool cli_interrupted(void)
{
    return interrupted;
}

// --- messages ---

static bool progress_shown; // a progress line waits to be cleared; messages are one thread's

static void clear_progress(void)
{
    if (progress_shown)
        fputs("\r\033[K", stderr);
    progress_shown = false;
}

static void write_log(void *user, gb_log_level level, const char *line)
{
    static const char *const mark[] = {"error: ", "warning: ", "", ""};
    (void)user;
    clear_progress();
    gb_text(stderr, "gibbon: %s%s\n", mark[level], line);
}

void cli_note(const cli *c, const char *format, ...)
{
    va_list args;
    if (c->quiet)
        return;
    clear_progress();
    va_start(args, format);
    gb_text_args(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

void cli_progress(const cli *c, const char *format, ...)
{
    va_list args;
    if (c->quiet || !isatty(STDERR_FILENO))
        return;
    clear_progress();
    if (!*format)
        return;
    va_start(args, format);
    gb_text_args(stderr, format, args);
    va_end(args);
    progress_shown = true;
}

int cli_usage(const cli *c, const char *format, ...)
{
    char line[512];
    va_list args;
    va_start(args, format);
    gb_text_buffer_args(line, sizeof line, format, args);
    va_end(args);
    return gb_fail(GB_ERR_ARG, "%s (usage: gibbon %s %s)", line, c->command->name,
                   c->command->synopsis);
}

// --- begin and end ---

void cli_join(cli *c)
{
    c->joined = gb_ranks_start(&c->ranks);
    c->quiet = c->ranks.rank > 0;
}

static void print_help(const cli_command *command, const option_group *group, size_t n_group)
{
    gb_say("usage: gibbon %s %s\n\n%s\n", command->name, command->synopsis, command->summary);
    if (command->details) {
        putchar('\n');
        gb_put_lines(stdout, command->details);
        putchar('\n');
    }
    options_help(stdout, group, n_group);
}

bool cli_begin(cli *c, const cli_command *command, const option_group *group, size_t n_group,
               int argc, char **argv, int *code)
{
    bool help = false;
    int err = c->joined;
    c->command = command;
    for (size_t i = 0; i < n_group && err >= 0; i++)
        err = group[i].entry ? err : GB_ERR_NOMEM;
    if (err >= 0)
        err = options_parse(group, n_group, argc, argv, &c->words, &help);
    c->log = (gb_log){.write = write_log,
                      .level = c->verbose ? GB_LOG_DEBUG : c->quiet ? GB_LOG_ERROR : GB_LOG_WARN};
    if (!err && !help)
        return true;
    if (help && !c->ranks.rank)
        print_help(command, group, n_group);
    *code = cli_end(c, err);
    cli_finish(c);
    return false;
}

void cli_finish(cli *c)
{
    rehearsal_finish(&c->rehearsal);
    gb_failures_finish(&c->failures);
    option_texts_finish(&c->words);
    if (c->ranks.size)
        gb_ranks_finish();
}

bool cli_error(cli *c, const char *name)
{
    if (!gb_failures_add(&c->failures, name, gb_last_error()))
        return false;
    clear_progress();
    gb_text(stderr, "gibbon %s: %s\n", c->command->name, gb_last_error());
    return true;
}

double cli_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

int cli_end(const cli *c, int err)
{
    char name[64];
    if (c->rehearsal.here) // it did not come to a session; the first process says why
        _exit(EXIT_FAILED);
    clear_progress();
    const int unwritten = fflush(stdout);
    if (err >= 0 && (unwritten || ferror(stdout)))
        err = gb_fail(GB_ERR_IO, "standard output: %s",
                      unwritten ? strerror(errno) : "not everything could be written");
    snprintf(name, sizeof name, "gibbon %s", c->command->name);
    gb_failures_text(stderr, &c->failures, name);
    if (err >= 0)
        return c->failures.count ? EXIT_FAILED : EXIT_DONE;
    if (!c->ranks.rank)
        gb_text(stderr, "gibbon %s: %s\n", c->command->name, gb_last_error());
    switch (err) {
    case GB_ERR_ARG:
    case GB_ERR_AMBIGUOUS:
        return EXIT_USAGE;
    case GB_ERR_CANCELLED:
        return EXIT_INTERRUPTED;
    default:
        return EXIT_FAILED;
    }
}

// --- the device ---

// Which of the devices like the chosen one is this rank's.
static size_t take_turns(const gb_device_info *list, size_t count, size_t chosen, const cli *c)
{
    const char *spec = c->device ? c->device : getenv("GIBBON_DEVICE");
    int left = c->ranks.local_rank;
    if (spec && strchr(spec, ':'))
        return chosen;
    for (size_t k = chosen;; k = (k + 1) % count) {
        const gb_device_info *d = &list[k];
        if (d->platform == list[chosen].platform && !strcmp(d->name, list[chosen].name) &&
            left-- == 0)
            return k;
    }
}

int cli_set_precision(gb_device **dev, const cli *c)
{
    int err = c->precision ? gb_device_set_precision(*dev, c->precision) : 0;
    if (err < 0) {
        gb_device_close(*dev);
        *dev = NULL;
    }
    return err;
}

void cli_rehearse(cli *c)
{
    if (c->ranks.size <= 1) // ranks have their processors to themselves
        rehearsal_start(&c->rehearsal);
}

int cli_open_device(gb_device **out, const cli *c)
{
    static const char *const type[] = {"CPU", "GPU", "other"};
    gb_device_info *list = NULL;
    size_t count = 0, chosen = 0;
    char spec[32];
    int err = 0;
    GB_TRY(gb_device_list(&list, &count, &c->log));
    if (!count) {
        err = GB_ERR_NO_DEVICE; // the reason is recorded
        goto fail;
    }
    err = gb_device_choose(&chosen, list, count, c->device);
    if (err < 0) {
        if (err == GB_ERR_NO_DEVICE) // there are devices: the name is what is wrong
            err = GB_ERR_ARG;
        goto fail;
    }
    const gb_device_info *info = &list[take_turns(list, count, chosen, c)];
    if (c->ranks.size > 1)
        fprintf(stderr, "rank %d of %d, ", c->ranks.rank, c->ranks.size);
    gb_text(stderr, "device: %d:%d %s (%s, %s, %d compute units)\n", info->platform, info->device,
            info->name, info->platform_name, type[info->type], info->compute_units);
    snprintf(spec, sizeof spec, "%d:%d", info->platform, info->device);
    GB_TRY(gb_device_open(out, spec, &c->log));
    rehearsal_open(&c->rehearsal, *out);
    GB_TRY(cli_set_precision(out, c));
fail:
    free(list);
    return err;
}

// --- JSON ---

int cli_print_json(json_t *json)
{
    if (!json)
        return gb_fail(GB_ERR_NOMEM, "out of memory for the JSON report");
    int failed = json_dump_callback(json, gb_put_json, stdout,
                                    JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    json_decref(json);
    if (!failed)
        failed = fputc('\n', stdout) == EOF || fflush(stdout) == EOF;
    return failed ? gb_fail(GB_ERR_IO, "standard output: %s", strerror(errno)) : 0;
}
