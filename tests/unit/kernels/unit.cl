// Small kernels for the tests of src/device and of what goes in front of every program.
kernel void scale(global const float *x, global float *y, float a, int n)
{
    int i = get_global_id(0);
    if (i < n)
        y[i] = a * x[i] + OFFSET;
}

// One group sums its items through local memory.
kernel void group_sum(global const float *x, global float *sum, local float *part)
{
    int i = get_local_id(0), n = get_local_size(0);
    part[i] = x[get_global_id(0)];
    barrier(CLK_LOCAL_MEM_FENCE);
    if (i == 0) {
        float s = 0;
        for (int k = 0; k < n; k++)
            s += part[k];
        sum[get_group_id(0)] = s;
    }
}

// Tells whether its buffer is NULL.
kernel void is_null(global const float *x, global int *out)
{
    out[0] = x == 0;
}

kernel void philox(global uint4 *out, uint k0, uint k1)
{
    uint i = get_global_id(0);
    out[i] = philox4x32((uint4)(i, 7u * i, 0xffffffffu - i, 5u), k0, k1);
}

kernel void uniform(global const uint *bits, global float *out)
{
    out[get_global_id(0)] = uniform01(bits[get_global_id(0)]);
}

// y = act(x) by vectors with a tail, and by scalars.
kernel void act(global const float *x, global float *y, global float *y1, int n, float lo, float hi,
                float slope)
{
    for (int i = 0; i < n; i += VW)
        vstore_first(act_apply(vload_first(x + i, n - i), lo, hi, slope), y + i, n - i);
    for (int i = 0; i < n; i++)
        y1[i] = act_apply1(x[i], lo, hi, slope);
}

kernel void sums(global const float *x, global float *out)
{
    out[get_global_id(0)] = vsum(VLOAD(x + get_global_id(0) * VW));
}

// a * b + c with two roundings: a compiler that contracts gives another result.
kernel void two_roundings(global const float *a, global float *out)
{
    out[0] = a[0] * a[1] + a[2];
}
