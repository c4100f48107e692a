// Normalisations, by the formulas of op/norm.h.
#include "ref/arithmetic.h"
#include "op/norm.h"

#include <math.h>

// Mean and biased variance of `count` neighbouring elements.
static void moments(const gb_tensor *x, int64_t first, int64_t count, double *mean, double *var)
{
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < count; i++)
        sum += gb_tensor_get(x, first + i);
    *mean = sum / (double)count;
    for (int64_t i = 0; i < count; i++) {
        const double d = gb_tensor_get(x, first + i) - *mean;
        squares += d * d;
    }
    *var = squares / (double)count;
}

// Mean and biased variance of a channel over the whole batch.
static void batch_moments(const gb_tensor *x, const gb_norm_args *n, int64_t c, double *mean,
                          double *var)
{
    const double count = (double)(n->outer * n->inner);
    double sum = 0, squares = 0;
    for (int64_t o = 0; o < n->outer; o++)
        for (int64_t i = 0; i < n->inner; i++)
            sum += gb_tensor_get(x, (o * n->channels + c) * n->inner + i);
    *mean = sum / count;
    for (int64_t o = 0; o < n->outer; o++) {
        for (int64_t i = 0; i < n->inner; i++) {
            const double d = gb_tensor_get(x, (o * n->channels + c) * n->inner + i) - *mean;
            squares += d * d;
        }
    }
    *var = squares / count;
}

GB_REF(gb_ref_batch_norm)
{
    gb_norm_args n;
    int err = gb_norm_read(node, &n);
    if (err < 0)
        return err;
    const double count = (double)(n.outer * n.inner), old = (double)n.momentum;
    for (int64_t c = 0; c < n.channels; c++) {
        const double scale = gb_tensor_get(in[1], c), bias = gb_tensor_get(in[2], c);
        double mean = gb_tensor_get(in[3], c), var = gb_tensor_get(in[4], c);
        if (n.training) {
            const double old_mean = mean, old_var = var;
            batch_moments(in[0], &n, c, &mean, &var);
            const double unbias = n.unbiased && count > 1 ? count / (count - 1) : 1;
            if (node->n_out > 1 && node->out[1])
                gb_tensor_set(out[1], c, old * old_mean + (1 - old) * mean);
            if (node->n_out > 2 && node->out[2])
                gb_tensor_set(out[2], c, old * old_var + (1 - old) * var * unbias);
        }
        for (int64_t o = 0; o < n.outer; o++) {
            for (int64_t i = 0; i < n.inner; i++) {
                const int64_t at = (o * n.channels + c) * n.inner + i;
                const double x = gb_tensor_get(in[0], at);
                gb_tensor_set(out[0], at, (x - mean) / sqrt(var + n.epsilon) * scale + bias);
            }
        }
    }
    return 0;
}

GB_REF(gb_ref_instance_norm)
{
    gb_norm_args n;
    int err = gb_norm_read(node, &n);
    if (err < 0)
        return err;
    for (int64_t r = 0; r < n.outer * n.channels; r++) {
        const double scale = gb_tensor_get(in[1], r % n.channels);
        const double bias = gb_tensor_get(in[2], r % n.channels);
        double mean, var;
        moments(in[0], r * n.inner, n.inner, &mean, &var);
        for (int64_t i = r * n.inner; i < (r + 1) * n.inner; i++) {
            const double x = gb_tensor_get(in[0], i);
            gb_tensor_set(out[0], i, (x - mean) / sqrt(var + n.epsilon) * scale + bias);
        }
    }
    return 0;
}

GB_REF(gb_ref_layer_norm)
{
    gb_norm_args n;
    int err = gb_norm_read(node, &n);
    if (err < 0)
        return err;
    const gb_tensor *bias = node->n_in > 2 ? in[2] : NULL;
    const gb_shape *shape = &in[0]->shape;
    int64_t at[GB_MAX_RANK] = {0};
    for (int64_t r = 0; r < n.outer; r++) {
        double mean, var;
        moments(in[0], r * n.inner, n.inner, &mean, &var);
        const double inv_std = 1 / sqrt(var + n.epsilon);
        for (int64_t i = r * n.inner; i < (r + 1) * n.inner; i++, gb_ref_next(shape, at)) {
            const int64_t k = gb_ref_at_broadcast(&in[1]->shape, at, shape->rank);
            double y = (gb_tensor_get(in[0], i) - mean) * inv_std * gb_tensor_get(in[1], k);
            if (bias)
                y += gb_tensor_get(bias, gb_ref_at_broadcast(&bias->shape, at, shape->rank));
            gb_tensor_set(out[0], i, y);
        }
        if (node->n_out > 1 && node->out[1])
            gb_tensor_set(out[1], r, mean);
        if (node->n_out > 2 && node->out[2])
            gb_tensor_set(out[2], r, inv_std);
    }
    return 0;
}

GB_REF(gb_ref_lrn)
{
    gb_lrn l;
    int err = gb_lrn_read(node, &l);
    if (err < 0)
        return err;
    for (int64_t i = 0; i < l.outer * l.channels * l.inner; i++) {
        const int64_t c = i / l.inner % l.channels;
        double squares = 0;
        const int64_t first = c > l.before ? c - l.before : 0;
        for (int64_t k = first; k <= c + l.after && k < l.channels; k++) {
            const double x = gb_tensor_get(in[0], i + (k - c) * l.inner);
            squares += x * x;
        }
        const double scale = l.bias + l.alpha / (double)l.size * squares;
        gb_tensor_set(out[0], i, gb_tensor_get(in[0], i) / pow(scale, l.beta));
    }
    return 0;
}
