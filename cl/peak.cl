// The device's peak: chains of fused multiply-adds that stay in registers, 16 vectors wide.
kernel void peak(global float *restrict out, int loops)
{
    vf acc[16];
#pragma unroll
    for (int i = 0; i < 16; i++)
        acc[i] = VBROADCAST((float)(get_global_id(0) + i));
    vf scale = VBROADCAST(0.999f), shift = VBROADCAST(0.001f);
    for (int n = 0; n < loops; n++)
#pragma unroll
        for (int i = 0; i < 16; i++)
            acc[i] = fma(acc[i], scale, shift);
    float sum = 0.0f;
#pragma unroll
    for (int i = 0; i < 16; i++)
        sum += vsum(acc[i]);
    out[get_global_id(0)] = sum;
}

// The device's memory: copies `count` vectors, every work-item `per` neighbouring ones, or one of
// every get_global_size() where per is 0.
kernel void copy(global const float *restrict in, global float *restrict out, int count, int per)
{
    int first = get_global_id(0) * max(per, 1), step = per ? 1 : get_global_size(0);
    int last = per ? min(first + per, count) : count;
    for (int i = first; i < last; i += step)
        VSTORE(VLOAD(in + (size_t)i * VW), out + (size_t)i * VW);
}
