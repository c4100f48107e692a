// Records the gradient of convolutions with respect to few channels.
#include "op/conv_thin.h"
#include "op/gathered.h"

enum { FEW = 4, MOST_STRIDE = 4, MOST_KERNEL = 11, MOST_ROWS = 16, MAX_SCRATCH = 1 << 19 };

static bool suits(const gb_emit *e, const gb_window *w, const gb_pixel_target *t)
{
    bool plane = w->kernel[0] == 1 && w->in[0] == 1 && w->stride[0] == 1 && !w->pad_begin[0];
    for (int i = 1; i < GB_MAX_SPATIAL; i++)
        plane = plane && w->dilation[i] == 1 && w->stride[i] <= MOST_STRIDE &&
                w->stride[i] <= w->kernel[i] && w->kernel[i] <= MOST_KERNEL &&
                w->pad_begin[i] < w->kernel[i];
    return plane && !e->info->wide && e->info->vector_width >= 4 &&
           w->groups == 1 && w->c_in <= FEW && !t->mask && !t->slopes &&
           t->pixels.pitch == w->c_in;
}

// Vectors of a work-item: as many as registers hold sums, with little computed beside the row.
static int64_t vectors(const gb_device_info *info, const gb_window *w, int64_t pixels)
{
    int64_t most = (info->vector_width == 16 ? 24 : 9) / w->c_in, best = 1, least = INT64_MAX;
    for (int64_t v = 1; v <= most && v <= 8; v++) {
        int64_t whole = gb_ceil_div(pixels, v * info->vector_width) * v;
        if (whole <= least) {
            least = whole;
            best = v;
        }
    }
    return best;
}

// Rows of the output that `rows` rows of the input may read.
static int64_t lines_of(const gb_window *w, int64_t rows)
{
    return (rows + w->kernel[1] - 2) / w->stride[1] + 1;
}

// Rows of a work-item: more share what they read, but a second-level cache must hold it. 0: none.
static int64_t band(const gb_device_info *info, const gb_window *w, int64_t line)
{
    int64_t room = info->local_memory < MAX_SCRATCH ? (int64_t)info->local_memory : MAX_SCRATCH;
    int64_t rows = MOST_ROWS < w->in[1] ? MOST_ROWS : w->in[1];
    while (rows > 0 && lines_of(w, rows) * line > room)
        rows--;
    return rows;
}

static gb_store *pack(gb_emit *e, const gb_window *w, gb_value *weights, const char *what)
{
    const int64_t kh = w->kernel[1], kw = w->kernel[2];
    int64_t element = 0; // [n][c][ky][kx]
    gb_pack p;
    gb_pack_begin(&p, e, weights, (size_t)(kh * kw * w->c_out * w->c_in), 1);
    for (int64_t n = 0; n < w->c_out; n++)
        for (int64_t c = 0; c < w->c_in; c++)
            for (int64_t ky = 0; ky < kh; ky++)
                for (int64_t kx = 0; kx < kw; kx++)
                    gb_pack_put(&p, (size_t)(((ky * w->c_out + n) * kw + kx) * w->c_in + c),
                                element++);
    return gb_pack_end(&p, e, what);
}

bool gb_thin_backward(gb_emit *e, const gb_window *w, gb_value *weights, const gb_pixels *dy,
                      const gb_pixel_target *t, const char *what)
{
    if (e->status || !suits(e, w, t))
        return false;
    const int64_t ow = w->out[2], vw = e->info->vector_width;
    const int64_t sx = w->stride[2], pixels = gb_ceil_div(w->in[2], sx);
    const int64_t v = vectors(e->info, w, pixels), parts = gb_ceil_div(pixels, v * vw);
    // A pixel reads the outputs from `lead` before to `trail` behind its own.
    const int64_t lead = (w->kernel[2] - 1 - w->pad_begin[2]) / sx;
    const int64_t trail = (sx - 1 + w->pad_begin[2]) / sx, reach = parts * v * vw + trail;
    const int64_t pitch = gb_ceil_div(lead + (reach > ow ? reach : ow), vw) * vw;

    const int64_t line = w->c_out * pitch * (int64_t)sizeof(float);
    const int64_t rows = band(e->info, w, line), lines = lines_of(w, rows);
    if (!rows)
        return false;

    gb_store *packed = pack(e, w, weights, what);
    gb_launch *l = gb_emit_launch(e, "thin_gradient", "thin_gradient",
                                  "-DV=%d -DCI=%d -DKH=%d -DKW=%d -DSY=%d -DSX=%d -DPAD_Y=%d "
                                  "-DPAD_X=%d -DLEAD=%d", (int)v, (int)w->c_in,
                                  (int)w->kernel[1], (int)w->kernel[2], (int)w->stride[1],
                                  (int)sx, (int)w->pad_begin[1], (int)w->pad_begin[2], (int)lead);
    gb_put_pixels(e, dy);
    gb_put_i32(e, w->out[1]);
    gb_put_i32(e, ow);
    gb_put_i32(e, w->c_out);
    gb_put_local(e, (size_t)(lines * line));
    gb_put_i32(e, pitch);
    gb_put_store(e, packed);
    gb_put_store(e, t->pixels.store);
    gb_put_i32(e, t->pixels.offset);
    gb_put_i32(e, w->in[1]);
    gb_put_i32(e, w->in[2]);
    gb_put_i32(e, rows);
    gb_put_i32(e, t->add);
    gb_emit_size(e, (size_t)gb_ceil_div(w->in[1], rows), (size_t)w->batch, 1);
    gb_emit_local(e, 1, 1, 1);
    if (l)
        l->flops = 2.0 * (double)(w->batch * gb_window_out(w) * w->c_out) *
                   (double)(gb_window_taps(w) * w->c_in);
    return true;
}
