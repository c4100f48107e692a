// Piecewise-linear activations in place, and their one-bit derivatives. One work-item: 16 pixels,
// the 32 channels of one mask word.
kernel void act(global float *restrict y, int y0, int pitch, int count, int channels,
                float lo, float hi, float slope, global uint *restrict mask)
{
    int word = get_global_id(0), words = (channels + 31) / 32;
    int c1 = min(channels - word * 32, 32);
    int p0 = get_global_id(1) * 16, p1 = min(p0 + 16, count);
    for (int p = p0; p < p1; p++) {
        global float *row = y + y0 + (size_t)p * pitch + word * 32;
        uint bits = 0;
        for (int c = 0; c < c1; c += VW) {
            vf v = vload_first(row + c, c1 - c);
            bits |= act_bits(v, lo, hi) << c;
            vstore_first(act_apply(v, lo, hi, slope), row + c, c1 - c);
        }
        if (mask)
            mask[(size_t)p * words + word] = bits;
    }
}

kernel void mask_apply(global float *restrict dy, int dy0, int pitch, int count, int channels,
                       global const uint *restrict mask, float slope)
{
    int word = get_global_id(0), words = (channels + 31) / 32;
    int c1 = min(channels - word * 32, 32);
    int p0 = get_global_id(1) * 16, p1 = min(p0 + 16, count);
    for (int p = p0; p < p1; p++) {
        uint bits = mask[(size_t)p * words + word];
        global float *row = dy + dy0 + (size_t)p * pitch + word * 32;
        for (int c = 0; c < c1; c += VW) {
            vf v = vload_first(row + c, c1 - c) * bits_select(bits >> c, slope);
            vstore_first(v, row + c, c1 - c);
        }
    }
}
