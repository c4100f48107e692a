// Preprocessing as JSON, from a file or a model's metadata: what is read is written as the same,
// and fits models or is refused.
#include "image/preproc.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_written(const gb_preproc *p)
{
    gb_preproc again;
    char *json;
    if (gb_preproc_json(&json, p) < 0)
        abort();
    if (gb_preproc_parse(&again, json, p->name) < 0 || again.resize != p->resize ||
        again.crop_w != p->crop_w || again.crop_h != p->crop_h || again.bgr != p->bgr ||
        again.range != p->range || again.channels != p->channels)
        abort();
    const size_t n = p->channels ? (size_t)p->channels : 1;
    if (memcmp(again.mean, p->mean, n * sizeof *p->mean) ||
        memcmp(again.std, p->std, n * sizeof *p->std))
        abort();
    free(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int models[][3] = {{1, 28, 28}, {3, 224, 224}, {3, 0, 0}, {3, 7, 0}, {4, 1, 1},
                                    {3, 65536, 65536}};
    char text[256], *json = malloc(size + 1);
    gb_preproc p;
    if (!json)
        return 0;
    memcpy(json, data, size);
    json[size] = 0;
    if (gb_preproc_parse(&p, json, "fuzz.json") == 0) {
        check_written(&p);
        gb_preproc_text(text, sizeof text, &p);
        for (size_t i = 0; i < GB_COUNT(models); i++) {
            gb_preproc settled = p;
            if (gb_preproc_fit_model(&settled, models[i][0], models[i][1], models[i][2]) == 0 &&
                (settled.crop_w < 1 || settled.crop_h < 1 || settled.resize < 0 ||
                 settled.channels != models[i][0]))
                abort();
        }
    }
    free(json);
    return 0;
}
