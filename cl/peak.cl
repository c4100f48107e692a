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
