// Pooling over gathered pixels. rows[tap * points + point] is the input pixel of an output point
// (the output pixel of an input point in the backward kernels), -1 outside. One work-item: one
// point and every get_global_size(0)-th vector of its channels: all of them on a processor, one on
// a graphics card, where neighbours read neighbouring memory. arg[point][arg_pitch]: the tap of
// each maximum; its rows are padded to whole vectors.
#if VW == 1
#define ARG_LOAD(p) (*(p))
#define ARG_STORE(v, p) (*(p) = (v))
#else
#define ARG_LOAD(p) CAT(convert_int, VW)(CAT(vload, VW)(0, p))
#define ARG_STORE(v, p) CAT(vstore, VW)(CAT(CAT(convert_, ARG), VW)(v), 0, p)
#endif

kernel void max_forward(global const float *restrict x, int x0, int x_pitch, int x_image,
                        global const int *restrict rows, int taps, int points, int channels,
                        global float *restrict y, int y0, int y_pitch, global ARG *restrict arg,
                        int arg_pitch)
{
    int m = get_global_id(1), image = m / points, point = m - image * points;
    x += x0 + (size_t)image * x_image * x_pitch;
    y += y0 + (size_t)m * y_pitch;
    for (int c = get_global_id(0) * VW; c < channels; c += get_global_size(0) * VW) {
        int left = channels - c;
        vf best = VBROADCAST(-INFINITY);
        vi which = (vi)(0);
        for (int t = 0; t < taps; t++) {
            int r = rows[t * points + point];
            if (r < 0)
                continue;
            vf v = vload_first(x + (size_t)r * x_pitch + c, left);
            vi better = v > best || isnan(v); // the first of equals stays; NaN wins
            best = select(best, v, better);
            which = select(which, (vi)(t), better);
        }
        vstore_first(best, y + c, left);
        if (arg)
            ARG_STORE(which, arg + (size_t)m * arg_pitch + c);
    }
}

kernel void max_backward(global const float *restrict dy, int dy0, int dy_pitch, int y_image,
                         global const int *restrict rows, int taps, int points, int channels,
                         global const ARG *restrict arg, int arg_pitch,
                         global float *dx, int dx0, int dx_pitch, int add,
                         global const uint *mask, float mask_slope)
{
    int m = get_global_id(1), image = m / points, point = m - image * points;
    int words = (channels + 31) / 32;
    dy += dy0;
    dx += dx0 + (size_t)m * dx_pitch;
    for (int c = get_global_id(0) * VW; c < channels; c += get_global_size(0) * VW) {
        int left = channels - c;
        vf sum = VBROADCAST(0.0f);
        for (int t = 0; t < taps; t++) {
            int r = rows[t * points + point];
            if (r < 0)
                continue;
            size_t q = (size_t)image * y_image + r;
            vi which = ARG_LOAD(arg + q * arg_pitch + c);
            vf v = vload_first(dy + q * dy_pitch + c, left);
            sum += select(VBROADCAST(0.0f), v, which == (vi)(t));
        }
        uint kept = 0, bits = mask ? mask[(size_t)m * words + c / 32] >> (c % 32) : 0;
        epilogue(sum, min(left, VW), dx + c, add, 0, 0, 0.0f, 0.0f, 0.0f, &kept, 0, mask != 0, bits,
                 mask_slope);
    }
}

// Average, both ways: forward sums the inputs of a point and multiplies by its scale; backward sums
// the outputs that read a point, each times that output's scale.
kernel void average(global const float *restrict x, int x0, int x_pitch, int x_image,
                    global const int *restrict rows, int taps, int points, int channels,
                    global const float *restrict scale, int backward,
                    global float *y, int y0, int y_pitch, int add,
                    global const uint *mask, float mask_slope)
{
    int m = get_global_id(1), image = m / points, point = m - image * points;
    int words = (channels + 31) / 32;
    x += x0 + (size_t)image * x_image * x_pitch;
    y += y0 + (size_t)m * y_pitch;
    for (int c = get_global_id(0) * VW; c < channels; c += get_global_size(0) * VW) {
        int left = channels - c;
        vf sum = VBROADCAST(0.0f);
        for (int t = 0; t < taps; t++) {
            int r = rows[t * points + point];
            if (r >= 0)
                sum = fma(VBROADCAST(backward ? scale[r] : 1.0f),
                          vload_first(x + (size_t)r * x_pitch + c, left), sum);
        }
        if (!backward)
            sum *= scale[point];
        uint kept = 0, bits = mask ? mask[(size_t)m * words + c / 32] >> (c % 32) : 0;
        epilogue(sum, min(left, VW), y + c, add, 0, 0, 0.0f, 0.0f, 0.0f, &kept, 0, mask != 0, bits,
                 mask_slope);
    }
}
