// Counts and means over the images of a report.
#include "report/report.h"

#include <string.h>

void gb_report_summarize(gb_report_summary *out, const gb_report *report)
{
    *out = (gb_report_summary){.images = report->n + report->unlisted,
                                 .failed = report->unlisted, .seconds = report->seconds};
    for (size_t i = 0; i < report->n; i++) {
        const gb_report_image *image = &report->image[i];
        if (image->error) {
            out->failed++;
            continue;
        }
        bool labelled = !image->label_source || strcmp(image->label_source, "prediction") != 0;
        out->labelled += labelled;
        out->correct += labelled && image->clean.index == image->label;
        out->broken += image->broken;
        out->zero_gradient += image->zero_gradients > 0;
        if (!image->success)
            continue;
        out->success++;
        out->mean_iterations += image->iterations;
        out->mean_linf += image->linf;
        out->mean_l2 += image->l2;
    }
    if (out->success) {
        out->mean_iterations /= (double)out->success;
        out->mean_linf /= (double)out->success;
        out->mean_l2 /= (double)out->success;
    }
}
