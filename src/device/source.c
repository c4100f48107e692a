// Kernel sources: the table embedded at build time, or a folder that replaces parts of it.
#include "base/file.h"
#include "device/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
        FILE *there = fopen(path, "rb");
        if (there) {
            fclose(there);
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

int gb_program_source(char **out, gb_device *dev, const char *name)
{
    const char *common, *text;
    char *own_common = NULL, *own_text = NULL;
    int err = 0;
    GB_TRY(find_text(&common, &own_common, "common"));
    GB_TRY(find_text(&text, &own_text, name));
    if (own_text)
        gb_log_line(&dev->log, GB_LOG_INFO, "kernels %s.cl read from $GIBBON_KERNELS", name);
    // Line directives make compiler messages point into the files.
    if (asprintf(out, "#line 1 \"common.cl\"\n%s\n#line 1 \"%s.cl\"\n%s\n", common, name, text) < 0)
        err = gb_fail(GB_ERR_NOMEM, "out of memory for the source of %s", name);
fail:
    free(own_common);
    free(own_text);
    return err;
}
