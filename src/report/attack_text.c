// The report for people: what was attacked with what, a block per image, and a summary.
#include "report/report.h"

#include "base/text.h"

#include <string.h>

void gb_report_attack_text(FILE *out, const gb_attack_config *config)
{
    const gb_method *method;
    const gb_setting *param;
    char value[64];
    gb_text(out, "attack   %s%s", config->method, config->targeted ? ", targeted" : "");
    if (gb_method_find(&method, config->method) == 0) {
        for (const char *const *name = method->params; *name; name++) {
            if (gb_attack_setting(&param, method, *name) == 0)
                gb_text(out, ", %s %s", *name, gb_setting_text(value, sizeof value, config, param));
        }
    }
    fprintf(out, ", seed %llu\n", (unsigned long long)config->seed);
}

void gb_report_head_text(FILE *out, const gb_report *report)
{
    gb_text(out, "device   %s (%s)\n", report->device->name, report->device->platform_name);
    gb_text(out, "model    %s", report->model.path);
    if (report->model.preprocess)
        gb_text(out, ", preprocessing %s", report->model.preprocess);
    fputc('\n', out);
    gb_report_attack_text(out, report->config);
}

static void verdict_text(FILE *out, const char *what, const gb_verdict *v)
{
    gb_text(out, "  %-12s ", what);
    if (v->name)
        gb_text(out, "%s (class %d)", v->name, v->index);
    else
        fprintf(out, "class %d", v->index);
    gb_text(out, ", %.1f %%\n", 100 * v->probability);
}

static void class_text(FILE *out, const char *what, int index, const char *name, const char *note)
{
    gb_text(out, "  %-12s ", what);
    if (name)
        gb_text(out, "%s (class %d)", name, index);
    else
        fprintf(out, "class %d", index);
    gb_text(out, "%s%s\n", note ? ", from " : "", note ? note : "");
}

static const char *outcome(const gb_report_image *image)
{
    if (image->success)
        return "fooled";
    if (image->broken)
        return image->verified ? "lost in rounding to 8 bits" : "not verified";
    return "not fooled";
}

void gb_report_image_text(FILE *out, const gb_report *report, const gb_report_image *image)
{
    gb_text(out, "\n%s\n", image->input);
    if (image->error) {
        gb_text(out, "  %-12s %s\n", "failed", image->error);
        return;
    }
    class_text(out, "true class", image->label, image->label_name,
               image->label_source && !strcmp(image->label_source, "prediction")
                   ? "the model's own prediction"
                   : image->label_source);
    if (report->config->targeted)
        class_text(out, "target", image->target.index, image->target.name, NULL);
    verdict_text(out, "before", &image->clean);
    verdict_text(out, "after", &image->adversarial);
    gb_text(out, "  %-12s %s%s\n", "result", outcome(image),
            image->success && image->clean.index != image->label && !report->config->targeted
                ? " (it was misclassified already)"
                : "");
    gb_text(out, "  %-12s linf %.2f/255, l2 %.3f, as saved\n", "distance", 255 * image->linf,
            image->l2);
    if (image->resized_otherwise)
        gb_text(out, "  %-12s linf %.2f/255, l2 %.3f from the input as newer versions of Pillow "
                     "resize it\n", "", 255 * image->other_linf, image->other_l2);
    gb_text(out, "  %-12s %d iterations, %.2f s\n", "effort", image->iterations, image->seconds);
    if (image->zero_gradients)
        gb_text(out,
                "  %-12s the gradient was zero everywhere in %d of them: masked or saturated\n",
                "warning", image->zero_gradients);
    if (image->output)
        gb_text(out, "  %-12s %s\n", "written", image->output);
    if (image->original)
        gb_text(out, "  %-12s %s\n", "original", image->original);
    if (image->picture)
        gb_text(out, "  %-12s %s\n", "picture", image->picture);
}

void gb_report_summary_text(FILE *out, const gb_report *report)
{
    gb_report_summary s;
    gb_report_summarize(&s, report);
    fprintf(out, "\n%zu of %zu images fooled the model as saved", s.success, s.images);
    if (s.broken > s.success)
        fprintf(out, " (%zu before rounding to 8 bits)", s.broken);
    if (s.failed)
        fprintf(out, "; %zu failed", s.failed);
    if (s.labelled)
        fprintf(out, "; %zu of %zu were classified correctly before", s.correct, s.labelled);
    gb_text(out, "; %.2f s\n", s.seconds);
    if (s.success)
        gb_text(out, "on average %.1f iterations, linf %.2f/255, l2 %.3f\n", s.mean_iterations,
                 255 * s.mean_linf, s.mean_l2);
    if (report->sheet)
        gb_text(out, "all of them in %s\n", report->sheet);
    if (s.zero_gradient)
        fprintf(out,
                "%zu images had steps with a gradient of zero: the model may mask its gradients\n",
                s.zero_gradient);
}
