// Pooling over gathered pixels. rows[i * points + point] is the i-th input pixel of an output point
// (the output pixel of an input point in the backward kernels) and its tap, of at most `most`; a
// pixel of -1 ends them. One work-item: `per` of
// `count` points and every get_global_size(0)-th vector of their channels: many points and all
// channels on a processor, one of each on a graphics card, where neighbours read neighbouring
// memory. arg[point][arg_pitch]: the tap of each maximum; its rows are padded to whole vectors.
// AT_ONCE vectors of channels go together: a comparison waits for the one before it.
#define FOR_POINTS(m, count, per) \
    for (int m = get_global_id(1) * per, m##_end = min(m + per, count); m < m##_end; m++)
#ifdef GB_CPU
#define AT_ONCE 4
#else
#define AT_ONCE 1
#endif
#define STEP (AT_ONCE * VW)
#define FOR_CHANNELS(c, channels) \
    for (int c = get_global_id(0) * STEP; c < channels; c += get_global_size(0) * STEP)
// Each of them that has channels left.
#define FOR_VECTORS(j, left)                                    \
    _Pragma("unroll") for (int j = 0; j < STEP; j += VW)        \
        if (j < left)

#if VW == 1
#define ARG_LOAD(p) (*(p))
#define ARG_STORE(v, p) (*(p) = (v))
#else
typedef CAT(ARG, VW) va;
typedef va va_anywhere __attribute__((aligned(1))); // moved at once, as vf_anywhere
#define ARG_LOAD(p) CAT(convert_int, VW)(*(global const va_anywhere *)(p))
#define ARG_STORE(v, p) (*(global va_anywhere *)(p) = CAT(CAT(convert_, ARG), VW)(v))
#endif

kernel void max_forward(global const float *restrict x, int x0, int x_pitch, int x_image,
                        global const int2 *restrict rows, int most, int points, int channels,
                        int count, int per, global float *restrict y, int y0, int y_pitch,
                        global ARG *restrict arg, int arg_pitch)
{
    FOR_POINTS (m, count, per) {
        int image = m / points, point = m - image * points;
        global const float *from = x + x0 + (size_t)image * x_image * x_pitch;
        global float *to = y + y0 + (size_t)m * y_pitch;
        FOR_CHANNELS (c, channels) {
            int left = channels - c;
            vf best[STEP];
            vi which[STEP];
            FOR_VECTORS (j, left) {
                best[j] = VBROADCAST(-INFINITY);
                which[j] = (vi)(0);
            }
            for (int i = 0; i < most; i++) {
                int2 r = rows[i * points + point];
                if (r.x < 0)
                    break;
                FOR_VECTORS (j, left) {
                    vf v = vload_first(from + (size_t)r.x * x_pitch + c + j, left - j);
                    vi better = v > best[j] || isnan(v); // the first of equals stays; NaN wins
                    best[j] = select(best[j], v, better);
                    which[j] = select(which[j], (vi)(r.y), better);
                }
            }
            FOR_VECTORS (j, left) {
                vstore_first(best[j], to + c + j, left - j);
                if (arg)
                    ARG_STORE(which[j], arg + (size_t)m * arg_pitch + c + j);
            }
        }
    }
}

// Writes a gradient (or an average) of channels from c on; the mask's words start at `word`.
static void finish(vf sum, int left, global float *to, int add, global const uint *mask,
                   size_t word, int c, float mask_slope)
{
    uint kept = 0, bits = mask ? mask[word + c / 32] >> (c % 32) : 0;
    epilogue(sum, min(left, VW), to, add, 0, 0, 0.0f, 0.0f, 0.0f, &kept, 0, mask != 0, bits,
             mask_slope, 0);
}

kernel void max_backward(global const float *restrict dy, int dy0, int dy_pitch, int y_image,
                         global const int2 *restrict rows, int most, int points, int channels,
                         int count, int per, global const ARG *restrict arg, int arg_pitch,
                         global float *dx, int dx0, int dx_pitch, int add,
                         global const uint *mask, float mask_slope)
{
    int words = (channels + 31) / 32;
    FOR_POINTS (m, count, per) {
        int image = m / points, point = m - image * points;
        global float *to = dx + dx0 + (size_t)m * dx_pitch;
        FOR_CHANNELS (c, channels) {
            int left = channels - c;
            vf sum[STEP];
            FOR_VECTORS (j, left)
                sum[j] = VBROADCAST(0.0f);
            for (int i = 0; i < most; i++) {
                int2 r = rows[i * points + point];
                if (r.x < 0)
                    break;
                size_t q = (size_t)image * y_image + r.x;
                FOR_VECTORS (j, left) {
                    vi which = ARG_LOAD(arg + q * arg_pitch + c + j);
                    vf v = vload_first(dy + dy0 + q * dy_pitch + c + j, left - j);
                    sum[j] += select(VBROADCAST(0.0f), v, which == (vi)(r.y));
                }
            }
            FOR_VECTORS (j, left)
                finish(sum[j], left - j, to + c + j, add, mask, (size_t)m * words, c + j,
                       mask_slope);
        }
    }
}

// Average, both ways: forward sums the inputs of a point and multiplies by its scale; backward sums
// the outputs that read a point, each times that output's scale.
kernel void average(global const float *restrict x, int x0, int x_pitch, int x_image,
                    global const int2 *restrict rows, int most, int points, int channels,
                    int count, int per, global const float *restrict scale, int backward,
                    global float *restrict y, int y0, int y_pitch, int add,
                    global const uint *mask, float mask_slope)
{
    int words = (channels + 31) / 32;
    FOR_POINTS (m, count, per) {
        int image = m / points, point = m - image * points;
        global const float *from = x + x0 + (size_t)image * x_image * x_pitch;
        global float *to = y + y0 + (size_t)m * y_pitch;
        FOR_CHANNELS (c, channels) {
            int left = channels - c;
            vf sum[STEP];
            FOR_VECTORS (j, left)
                sum[j] = VBROADCAST(0.0f);
            for (int i = 0; i < most; i++) {
                int r = rows[i * points + point].x;
                if (r < 0)
                    break;
                FOR_VECTORS (j, left)
                    sum[j] = fma(VBROADCAST(backward ? scale[r] : 1.0f),
                                 vload_first(from + (size_t)r * x_pitch + c + j, left - j), sum[j]);
            }
            FOR_VECTORS (j, left)
                finish(backward ? sum[j] : sum[j] * scale[point], left - j, to + c + j, add, mask,
                       (size_t)m * words, c + j, mask_slope);
        }
    }
}
