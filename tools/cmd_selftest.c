// gibbon selftest: every operator on the device against the reference on the host.
#include "cli.h"

#include "engine/selftest.h"
#include "report/report.h"

typedef struct values {
    cli cli;
    const char *only;
    json_t *failures;
    size_t done;
} values;

static const option_entry table[] = {
    {"op", 0, OPTION_TEXT, offsetof(values, only), "NAME",
     "test this ONNX operator only (default: all)"},
    CLI_DEVICE,
    CLI_PRECISION,
    CLI_JSON,
    CLI_QUIET,
    CLI_VERBOSE,
};

static bool on_case(void *user, const gb_case *tested, gb_case_form form, int status)
{
    values *v = user;
    char text[512];
    gb_case_text(text, sizeof text, tested);
    cli_progress(&v->cli, "%zu: %s", ++v->done, text);
    if (status < 0 && v->cli.json)
        json_array_append_new(v->failures, json_pack("{s:s, s:s, s:o}", "case", text, "form",
                                                     gb_case_form_name[form], "reason",
                                                     gb_report_text_json(gb_last_error())));
    else if (status < 0)
        gb_say("FAILED  %s (%s): %s\n", text, gb_case_form_name[form], gb_last_error());
    else if (v->cli.verbose && !v->cli.json)
        gb_say("ok      %s (%s)\n", text, gb_case_form_name[form]);
    return !cli_interrupted();
}

static int execute(values *v, gb_device **dev)
{
    cli *c = &v->cli;
    gb_selftest_totals totals = {0};
    int err = 0;
    if (c->words.count)
        return cli_usage(c, "unexpected argument '%s'", c->words.text[0]);
    GB_TRY(cli_open_device(dev, c));
    cli_catch_interrupt();
    err = gb_selftest(&totals, *dev, v->only, on_case, v);
    if (!totals.run)
        goto fail;
    if (c->json) {
        json_t *device = gb_report_device_json(gb_device_get_info(*dev));
        int printed = cli_print_json(json_pack("{s:o, s:I, s:I, s:O}", "device", device, "cases",
                                               (json_int_t)totals.run, "failed",
                                               (json_int_t)totals.failed, "failures",
                                               v->failures));
        err = err < 0 ? err : printed;
    } else {
        printf("%zu cases, %zu failed\n", totals.run, totals.failed);
    }
fail:
    return err;
}

static int run(int argc, char **argv)
{
    values v = {.failures = json_array()};
    gb_device *dev = NULL;
    const option_group groups[] = {{NULL, table, GB_COUNT(table), &v}};
    int code;
    if (cli_begin(&v.cli, &cmd_selftest, groups, GB_COUNT(groups), argc, argv, &code)) {
        code = cli_end(&v.cli, execute(&v, &dev));
        gb_device_close(dev);
        cli_finish(&v.cli);
    }
    json_decref(v.failures);
    return code;
}

const cli_command cmd_selftest = {
    .name = "selftest",
    .synopsis = "[options]",
    .summary = "compare every kernel on a device with the reference",
    .details = "For a new device or a doubtful driver: small cases of every operator, forward and\n"
               "backward, against plain C on the host.",
    .run = run,
};
