// Piecewise-linear activations, alone or behind a scale and shift of each channel, and their
// one-bit derivatives. One work-item: `per` of `count` pixels and every get_global_size(0)-th word
// of 32 channels.
#define FOR_WORDS(p, word)                                                                   \
    for (int p = get_global_id(1) * per, p##_end = min(p + per, count); p < p##_end; p++)    \
        for (int word = get_global_id(0); word < words; word += get_global_size(0))

// y = act(scale[c] x + shift[c]), or act(x) where scale is NULL; y may be x.
kernel void act(global float *y, int y0, int y_pitch, global const float *x, int x0, int x_pitch,
                int count, int channels, int per, global const float *scale,
                global const float *shift, float lo, float hi, float slope, global uint *mask)
{
    int words = (channels + 31) / 32;
    FOR_WORDS (p, word) {
        int c0 = word * 32, c1 = min(channels - c0, 32);
        global float *to = y + y0 + (size_t)p * y_pitch + c0;
        global const float *from = x + x0 + (size_t)p * x_pitch + c0;
        uint bits = 0;
        for (int c = 0; c < c1; c += VW) {
            vf v = vload_first(from + c, c1 - c);
            if (scale)
                v = fma(v, vload_first(scale + c0 + c, c1 - c),
                        vload_first(shift + c0 + c, c1 - c));
            bits |= act_bits(v, lo, hi) << c;
            vstore_first(act_apply(v, lo, hi, slope), to + c, c1 - c);
        }
        if (mask)
            mask[(size_t)p * words + word] = bits;
    }
}

kernel void mask_apply(global float *restrict dy, int dy0, int pitch, int count, int channels,
                       int per, global const uint *restrict mask, float slope)
{
    int words = (channels + 31) / 32;
    FOR_WORDS (p, word) {
        int c0 = word * 32, c1 = min(channels - c0, 32);
        uint bits = mask[(size_t)p * words + word];
        global float *row = dy + dy0 + (size_t)p * pitch + c0;
        for (int c = 0; c < c1; c += VW) {
            vf v = vload_first(row + c, c1 - c) * bits_select(bits >> c, slope);
            vstore_first(v, row + c, c1 - c);
        }
    }
}
