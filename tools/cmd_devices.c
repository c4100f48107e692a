// gibbon devices: what there is to compute on, and which one is taken by default.
#include "cli.h"

#include "report/report.h"

#include <stdlib.h>

static const option_entry table[] = {CLI_JSON, CLI_QUIET, CLI_VERBOSE};

static int print_json(const gb_device_info *list, size_t count, size_t any)
{
    json_t *devices = json_array();
    for (size_t i = 0; i < count; i++) {
        json_t *device = gb_report_device_json(&list[i]);
        json_object_set_new(device, "default", json_boolean(i == any));
        json_array_append_new(devices, device);
    }
    return cli_print_json(json_pack("{s:o}", "devices", devices));
}

static void print_text(const gb_device_info *list, size_t count, size_t any)
{
    static const char *const type[] = {"CPU", "GPU", "other"};
    for (size_t i = 0; i < count; i++) {
        const gb_device_info *d = &list[i];
        gb_say("%s%d:%d  %s%s\n", i ? "\n" : "", d->platform, d->device, d->name,
               i == any ? "  [the default: --device any takes it]" : "");
        gb_say("     platform       %s\n", d->platform_name);
        gb_say("     vendor         %s\n", d->vendor);
        gb_say("     type           %s%s\n", type[d->type],
               d->integrated && d->type == GB_DEVICE_GPU ? ", integrated" : "");
        gb_say("     driver         %s\n", d->driver);
        if (d->unusable[0])
            gb_say("     unusable       %s\n", d->unusable);
        gb_say("     OpenCL C       %s\n", d->version);
        printf("     compute units  %d", d->compute_units);
        if (d->clock_mhz) // some drivers do not tell
            printf(" at %d MHz", d->clock_mhz);
        putchar('\n');
        printf("     memory         %.1f GiB, at most %.1f GiB a piece\n",
               (double)d->memory / 0x1p30, (double)d->max_alloc / 0x1p30);
        gb_say("     formats        fp32%s%s\n", d->fp16 ? ", fp16" : "", d->fp64 ? ", fp64" : "");
    }
}

static int run(int argc, char **argv)
{
    cli c = {0};
    const option_group groups[] = {{NULL, table, GB_COUNT(table), &c}};
    gb_device_info *list = NULL;
    size_t count = 0, any = 0;
    int code, err = 0;
    if (!cli_begin(&c, &cmd_devices, groups, GB_COUNT(groups), argc, argv, &code))
        return code;
    if (c.words.count) {
        err = cli_usage(&c, "unexpected argument '%s'", c.words.text[0]);
        goto fail;
    }
    GB_TRY(gb_device_list(&list, &count, &c.log));
    if (count)
        GB_TRY(gb_device_choose(&any, list, count, "any"));
    if (c.json)
        GB_TRY(print_json(list, count, any));
    else
        print_text(list, count, any);
    if (!count)
        err = GB_ERR_NO_DEVICE; // the reason is recorded
fail:
    free(list);
    code = cli_end(&c, err);
    cli_finish(&c);
    return code;
}

const cli_command cmd_devices = {
    .name = "devices",
    .synopsis = "[options]",
    .summary = "list the OpenCL devices and the one taken by default",
    .run = run,
};
