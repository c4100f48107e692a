// Kernel sources: the table embedded at build time, or a folder that replaces parts of it.
#include "base/file.h"
#include "base/hash.h"
#include "device/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// The text of NAME.cl; *owned is what to free.
static int find_text(const char **text, char **owned, const char *name)
{
    const char *folder = getenv("GIBBON_KERNELS");
    *owned = NULL;
    if (folder && *folder) {
        char path[4096];
        size_t size;
        void *data;
        snprintf(path, sizeof path, "%s/%s.cl", folder, name);
        if (access(path, F_OK) == 0) {
            int err = gb_file_read(&data, &size, path);
            if (err < 0)
                return err;
            *text = *owned = data;
            return 0;
        }
    }
    for (const gb_embedded *e = gb_embedded_kernels; e->name; e++) {
        if (!strcmp(e->name, name)) {
            *text = e->text;
            return 0;
        }
    }
    return gb_fail(GB_ERR_ARG, "no kernel program '%s' is built in%s%s", name,
                   folder && *folder ? " or found in " : "", folder ? folder : "");
}

// Small programs that nearly every model needs are built as one: each costs a driver about 0.1 s
// the first time and 0.02 s later, however small it is.
static const char small[] = "small";
static const char *const small_programs[] = {"attack", "binary", "copy", "mask"};

const char *gb_program_group(const char *name, const char *options)
{
    for (size_t i = 0; i < GB_COUNT(small_programs); i++)
        if (!*options && !strcmp(name, small_programs[i]))
            return small;
    return name;
}

// Line directives make compiler messages point into the files.
static int append(FILE *to, const char *name, const gb_log *log)
{
    const char *text;
    char *own = NULL;
    int err = find_text(&text, &own, name);
    if (err < 0)
        return err;
    if (own)
        gb_log_line(log, GB_LOG_INFO, "kernels %s.cl read from $GIBBON_KERNELS", name);
    fprintf(to, "#line 1 \"%s.cl\"\n%s\n", name, text);
    free(own);
    return 0;
}

// What goes in front of every program.
static const char *const prelude[] = {"vectors", "random", "loops", "epilogue", "rows",
                                      "functions"};

int gb_program_source(char **out, const char *name, const gb_log *log)
{
    size_t size;
    char *text = NULL;
    FILE *to = open_memstream(&text, &size);
    int err = 0;
    if (!to)
        return gb_fail(GB_ERR_NOMEM, "out of memory for the source of %s", name);
    for (size_t i = 0; i < GB_COUNT(prelude); i++)
        GB_TRY(append(to, prelude[i], log));
    for (size_t i = 0; i < GB_COUNT(small_programs) && name == small; i++)
        GB_TRY(append(to, small_programs[i], log));
    if (name != small)
        GB_TRY(append(to, name, log));
fail:
    if (fclose(to) && err >= 0)
        err = gb_fail(GB_ERR_NOMEM, "out of memory for the source of %s", name);
    if (err < 0)
        free(text);
    else
        *out = text;
    return err;
}

int gb_kernels_hash(uint64_t *out)
{
    *out = GB_HASH_INIT;
    for (const gb_embedded *e = gb_embedded_kernels; e->name; e++) {
        const char *text;
        char *own;
        int err = find_text(&text, &own, e->name);
        if (err < 0)
            return err;
        *out = gb_hash(*out, text, strlen(text) + 1);
        free(own);
    }
    return 0;
}
