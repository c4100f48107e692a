// Writes the history of a run as CSV.
#include "train/log.h"

#include "base/file.h"
#include "base/number.h"
#include "base/status.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int gb_train_log(const char *path, const gb_epoch *history, size_t count)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return gb_fail(GB_ERR_NOMEM, "%s: out of memory", path);
    fputs("epoch,lr,loss,accuracy,adversarial_accuracy,held_loss,held_accuracy,fgsm_accuracy,"
          "pgd_accuracy,images_per_second,seconds\n", out);
    for (size_t i = 0; i < count; i++) {
        const gb_epoch *e = &history[i];
        const double value[] = {e->lr, e->loss, e->accuracy, e->adv_accuracy, e->held_loss,
                                e->held_accuracy, e->fgsm_accuracy, e->pgd_accuracy,
                                e->images / e->seconds, e->seconds};
        fprintf(out, "%zu", i + 1);
        for (size_t k = 0; k < sizeof value / sizeof *value; k++)
            isnan(value[k]) ? fputc(',', out) : gb_print(out, ",%.6g", value[k]);
        fputc('\n', out);
    }
    if (fclose(out)) {
        free(text);
        return gb_fail(GB_ERR_NOMEM, "%s: out of memory", path);
    }
    int err = gb_file_write(path, text, size);
    free(text);
    return err;
}
