// Scores of any number of images through a session of a fixed batch.
#include "engine/internal.h"

#include "base/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int64_t gb_session_classes(const gb_session *s)
{
    if (!s)
        return gb_fail(GB_ERR_ARG, "gb_session_classes: an argument is NULL");
    return gb_shape_count(&gb_session_output(s, 0)->shape) / gb_session_batch(s);
}

int64_t gb_session_pixels(const gb_session *s)
{
    return gb_shape_count(&gb_session_input(s, 0)->shape) / gb_session_batch(s);
}

int gb_check_images(const gb_session *s, size_t n)
{
    const size_t pixels = (size_t)gb_session_pixels(s), classes = (size_t)gb_session_classes(s);
    const size_t most = pixels > classes ? pixels : classes;
    return most && n > PTRDIFF_MAX / sizeof(float) / most
               ? gb_fail(GB_ERR_ARG, "%zu images are more than any memory holds", n) : 0;
}

int gb_session_logits(gb_session *s, float *logits, const float *images, size_t n)
{
    int err = 0;
    float *out = NULL, *in = NULL;
    size_t batch = (size_t)gb_session_batch(s), pixels = (size_t)gb_session_pixels(s);
    size_t classes = (size_t)gb_session_classes(s);
    gb_buf *labels = gb_session_labels(s);
    GB_TRY(gb_check_images(s, n));
    in = malloc(batch * pixels * sizeof *in);
    out = malloc(batch * classes * sizeof *out);
    if (!in || !out) {
        err = gb_fail(GB_ERR_NOMEM, "out of memory for a batch of %zu images", batch);
        goto fail;
    }
    if (labels) // the loss is computed along the way; any label will do
        GB_TRY(gb_buf_fill(labels, 0, batch * sizeof(int32_t), 0));
    for (size_t first = 0; first < n; first += batch) {
        size_t count = n - first < batch ? n - first : batch;
        for (size_t i = 0; i < batch; i++) {
            size_t from = first + (i < count ? i : count - 1);
            memcpy(in + i * pixels, images + from * pixels, pixels * sizeof *in);
        }
        GB_TRY(gb_session_upload(s, gb_session_input(s, 0), in));
        GB_TRY(gb_session_forward(s));
        GB_TRY(gb_session_download(s, gb_session_output(s, 0), out));
        memcpy(logits + first * classes, out, count * classes * sizeof *out);
    }
fail:
    free(in);
    free(out);
    return err;
}

int gb_argmax(const float *v, size_t count)
{
    size_t best = 0;
    for (size_t i = 1; i < count; i++)
        best = v[i] > v[best] ? i : best;
    return (int)best;
}

bool gb_all_finite(const float *v, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!isfinite(v[i]))
            return false;
    return true;
}

int gb_probe_scores(gb_scores *found, gb_session *s)
{
    enum { PICTURES = 4 };
    size_t pixels = (size_t)gb_session_pixels(s), classes = (size_t)gb_session_classes(s);
    float *images = calloc(PICTURES * pixels + 1, sizeof *images);
    float *rows = calloc(PICTURES * classes + 1, sizeof *rows);
    bool binary = gb_session_head(s)->binary, all = true;
    int err = images && rows ? 0 : gb_fail(GB_ERR_NOMEM, "out of memory for %d images", PICTURES);
    GB_TRY(err);
    for (size_t i = 0; i < PICTURES * pixels; i++)
        images[i] = gb_uniform(gb_philox4x32((gb_philox){{(uint32_t)i}}, 0, 0).v[0]);
    GB_TRY(gb_session_logits(s, rows, images, PICTURES));
    for (size_t i = 0; i < PICTURES; i++) {
        double sum = 0;
        for (size_t k = 0; k < classes; k++) {
            float p = rows[i * classes + k]; // of one unit's two scores, the first is 0
            all = all && p >= -1e-5f && p <= 1 + 1e-5f;
            sum += (double)p;
        }
        all = all && (binary || fabs(sum - 1) < 1e-3);
    }
    *found = all ? GB_SCORES_PROBABILITIES : GB_SCORES_LOGITS;
fail:
    free(images);
    free(rows);
    return err;
}
