// Losses of logits z[n][i] with labels y[n], and their gradients; one work-item: one image.
// kind 1: cross-entropy, 2: margin, 3: difference of logits ratio (gb_loss).

// The index of the largest logit that is none of the three given (-1: none); the first of equals.
static int largest(global const float *z, int stride, int count, int a, int b, int c)
{
    int best = -1;
    for (int i = 0; i < count; i++)
        if (i != a && i != b && i != c && (best < 0 || z[i * stride] > z[best * stride]))
            best = i;
    return best;
}

// log(sum(exp(z))) as its two parts: the maximum, and the sum of exp(z - maximum).
static float2 log_sum(global const float *z, int stride, int count)
{
    float most = z[largest(z, stride, count, -1, -1, -1) * stride], sum = 0.0f;
    for (int i = 0; i < count; i++)
        sum += exp(z[i * stride] - most);
    return (float2)(most, sum);
}

kernel void loss_forward(global const float *restrict z, int z0, int z_row, int z_stride, int count,
                         global const int *restrict labels, global float *restrict losses, int kind)
{
    int n = get_global_id(0), y = clamp(labels[n], 0, count - 1);
    z += z0 + (size_t)n * z_row;
    float zy = z[y * z_stride];
    if (kind == 1) {
        float2 s = log_sum(z, z_stride, count);
        losses[n] = log(s.y) + (s.x - zy);
        return;
    }
    float gap = z[largest(z, z_stride, count, y, -1, -1) * z_stride] - zy;
    if (kind == 3) {
        int first = largest(z, z_stride, count, -1, -1, -1);
        int second = largest(z, z_stride, count, first, -1, -1);
        int third = largest(z, z_stride, count, first, second, -1);
        gap /= z[first * z_stride] - z[third * z_stride] + 1e-12f;
    }
    losses[n] = gap;
}

kernel void loss_backward(global const float *restrict z, int z0, int z_row, int z_stride,
                          int count, global const int *restrict labels,
                          global float *restrict dz, int dz0, int add, int kind)
{
    int n = get_global_id(0), y = clamp(labels[n], 0, count - 1);
    z += z0 + (size_t)n * z_row;
    dz += dz0 + (size_t)n * z_row;
    if (kind == 1) {
        float2 s = log_sum(z, z_stride, count);
        for (int i = 0; i < count; i++) {
            float d = exp(z[i * z_stride] - s.x) / s.y - (i == y ? 1.0f : 0.0f);
            dz[i * z_stride] = add ? dz[i * z_stride] + d : d;
        }
        return;
    }
    if (!add)
        for (int i = 0; i < count; i++)
            dz[i * z_stride] = 0.0f;
    int other = largest(z, z_stride, count, y, -1, -1);
    float scale = 1.0f;
    if (kind == 3) {
        int first = largest(z, z_stride, count, -1, -1, -1);
        int second = largest(z, z_stride, count, first, -1, -1);
        int third = largest(z, z_stride, count, first, second, -1);
        scale = 1.0f / (z[first * z_stride] - z[third * z_stride] + 1e-12f);
        float slope = (z[other * z_stride] - z[y * z_stride]) * scale * scale;
        dz[first * z_stride] -= slope;
        dz[third * z_stride] += slope;
    }
    dz[other * z_stride] += scale;
    dz[y * z_stride] -= scale;
}
