// Records the sums of cl/norm_sums.cl and gives them to scale and bias.
#include "op/norm_sums.h"
#include "op/fold.h"

int64_t gb_norm_segment(int64_t pixels)
{
    int64_t segment = pixels / 64; // 64 parts and more: work for graphics processors
    return segment < 32 ? 32 : segment > 512 ? 512 : segment;
}

void gb_norm_items(gb_emit *e, int64_t channels, int64_t depth)
{
    int64_t width = e->info->wide ? 1 : e->info->vector_width;
    gb_emit_size(e, (size_t)((channels + width - 1) / width), (size_t)depth, 1);
}

static bool needs(const gb_value *v)
{
    return v && v->needs_grad;
}

// True where the kernel can write the gradient itself: one number after the other.
static bool is_plain(const gb_norm_sums *s, const gb_value *v)
{
    return needs(v) && v->shape.rank == 1 && gb_shape_equal(&v->shape, &s->row) &&
           (v->view.stride[0] == 1 || v->shape.dim[0] == 1);
}

// Such a gradient's target; nothing otherwise.
static gb_target plain_target(gb_emit *e, const gb_norm_sums *s, gb_value *v)
{
    return is_plain(s, v) ? gb_emit_target(e, v) : (gb_target){0};
}

static void put_target(gb_emit *e, const gb_target *target)
{
    gb_put_view(e, &target->view);
    gb_put_i32(e, target->add);
}

// The sums from `offset` on as the gradient of a parameter that broadcasts to the row.
static void give(gb_emit *e, const gb_norm_sums *s, gb_value *v, gb_store *sums, int64_t offset)
{
    if (e->status || !needs(v) || is_plain(s, v))
        return;
    gb_target target = gb_emit_target(e, v);
    gb_fold fold = {.by = GB_FOLD_SUM, .term = GB_TERM_P, .scale = 1};
    gb_view from = {.store = sums, .offset = offset};
    gb_view to = gb_view_broadcast(&target.view, &v->shape, &s->row);
    bool over[GB_MAX_RANK] = {0};
    int skip = s->row.rank - v->shape.rank;
    gb_view_dense(&from, &s->row, GB_ORDER_PLAIN);
    for (int d = 0; d < s->row.rank; d++)
        over[d] = s->row.dim[d] > 1 && (d < skip || v->shape.dim[d - skip] == 1);
    gb_emit_fold(e, &s->row, over, &fold, &to, target.add, (const gb_view *[]){&from}, 1);
}

// The sums of so many parts, and what they are as gradients of scale and bias.
static gb_store *join(gb_emit *e, gb_store *parts, int64_t count, int64_t channels,
                      const gb_target *scale, const gb_target *bias)
{
    gb_store *sums = gb_emit_temp(e, (size_t)channels * 2 * sizeof(float), "norm sums");
    gb_emit_launch(e, "norm_sums", "norm_sums_join", "%s", "");
    gb_put_store(e, parts);
    gb_put_i32(e, count);
    gb_put_i32(e, channels);
    gb_put_store(e, sums);
    put_target(e, scale);
    put_target(e, bias);
    gb_norm_items(e, channels, 1);
    return sums;
}

gb_store *gb_emit_norm_sums_of_ranks(gb_emit *e, gb_store *sums, int64_t channels)
{
    const gb_target none = {0};
    if (e->ranks == 1)
        return sums;
    return join(e, gb_emit_gather(e, sums), e->ranks, channels, &none, &none);
}

gb_store *gb_emit_norm_sums(gb_emit *e, const gb_norm_sums *s)
{
    int64_t channels = s->x.channels, segment = gb_norm_segment(s->x.count);
    int64_t segments = (s->x.count + segment - 1) / segment;
    size_t bytes = (size_t)channels * 2 * sizeof(float);
    gb_store *parts = gb_emit_temp(e, bytes * (size_t)segments, "norm parts");
    gb_emit_launch(e, "norm_sums", "norm_sums", "%s", "");
    gb_put_pixels(e, &s->dy);
    gb_put_pixels(e, &s->x);
    gb_put_i32(e, s->x.count);
    gb_put_i32(e, channels);
    gb_put_i32(e, segment);
    gb_put_store(e, s->stats);
    gb_put_i32(e, s->per);
    gb_put_i32(e, s->step);
    gb_put_i32(e, s->channel_step);
    gb_put_i32(e, s->rate_at);
    gb_put_store(e, parts);
    gb_norm_items(e, channels, segments);

    gb_target scale = plain_target(e, s, s->scale), bias = plain_target(e, s, s->bias);
    gb_store *sums = join(e, parts, segments, channels, &scale, &bias);
    give(e, s, s->scale, sums, channels);
    give(e, s, s->bias, sums, 0);
    return sums;
}
