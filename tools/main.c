// The program's front door: finds the subcommand and hands it its words.
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const cli_command *const commands[] = {
    &cmd_devices, &cmd_info, &cmd_run, &cmd_classify, &cmd_attack, &cmd_eval, &cmd_transfer,
    &cmd_train, &cmd_models, &cmd_bench, &cmd_tune, &cmd_selftest,
};

static const char *name_at(const void *state, size_t i)
{
    (void)state;
    return i < GB_COUNT(commands) ? commands[i]->name : NULL;
}

static void print_help(FILE *to)
{
    fputs("usage: gibbon COMMAND [arguments]\n\n"
          "Finds adversarial examples for image classifiers (ONNX) on any OpenCL device.\n\n", to);
    for (size_t i = 0; i < GB_COUNT(commands); i++)
        gb_text(to, "  %-10s%s\n", commands[i]->name, commands[i]->summary);
    fputs("\ngibbon COMMAND --help explains a command, gibbon --version tells the version.\n"
          "Exit status: 0 done, 1 failed, 2 wrong usage, 3 a threshold was not met,\n"
          "130 interrupted.\n", to);
}

static int end(const char *name, int code)
{
    const cli_command whole = {.name = name};
    const cli c = {.command = &whole};
    int flushed = cli_end(&c, 0);
    return flushed == EXIT_DONE ? code : flushed;
}

// A standard file that is closed gives its number to the next file that is opened, and what is
// printed would go there. /dev/null takes its place, opened the wrong way round, so that reading
// and writing fail as they do on a closed file.
static void hold_standard_files(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF &&
            open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
            exit(EXIT_FAILED);
}

int main(int argc, char **argv)
{
    hold_standard_files();
    if (argc < 2) {
        print_help(stderr);
        return EXIT_USAGE;
    }
    const char *word = argv[1];
    if (!strcmp(word, "--version") || !strcmp(word, "-V")) {
        gb_say("gibbon %s\n", GIBBON_VERSION);
        return end(word, EXIT_DONE);
    }
    bool help = !strcmp(word, "help");
    if (!strcmp(word, "--help") || !strcmp(word, "-h") || (help && argc == 2)) {
        print_help(stdout);
        return end(word, EXIT_DONE);
    }
    if (help)
        word = argv[2];
    for (size_t i = 0; i < GB_COUNT(commands); i++) {
        char *ask[] = {"--help"};
        if (!strcmp(commands[i]->name, word))
            return help ? commands[i]->run(1, ask) : commands[i]->run(argc - 2, argv + 2);
    }
    const char *near = option_nearest(word, name_at, NULL);
    if (near) {
        gb_text(stderr, "gibbon: unknown command '%s'; did you mean '%s'?\n", word, near);
        return EXIT_USAGE;
    }
    gb_text(stderr, "gibbon: unknown command '%s'; the valid ones are", word);
    for (size_t i = 0; i < GB_COUNT(commands); i++)
        gb_text(stderr, "%s %s", i ? "," : "", commands[i]->name);
    fputc('\n', stderr);
    return EXIT_USAGE;
}
