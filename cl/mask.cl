// Multiplies a gradient by the one-bit derivative of a piecewise-linear activation, in place.
// One work-item: 16 pixels, the 32 channels of one mask word.
kernel void mask_apply(global float *restrict dy, int dy0, int pitch, int count, int channels,
                       global const uint *restrict mask, float slope)
{
    int word = get_global_id(0), words = (channels + 31) / 32;
    int c1 = min(channels - word * 32, 32);
    int p0 = get_global_id(1) * 16, p1 = min(p0 + 16, count);
    for (int p = p0; p < p1; p++) {
        uint bits = mask[(size_t)p * words + word];
        global float *row = dy + dy0 + (size_t)p * pitch + word * 32;
        for (int c = 0; c < c1; c++)
            row[c] *= (bits >> c) & 1 ? 1.0f : slope;
    }
}
