// Records the reductions of cl/reduce.cl, in two stages where there is much to reduce.
#include "op/fold.h"

#include <string.h>

// A kept and a reduced nest over the same operands: 0 the output, 1 to 3 the inputs.
typedef struct gb_nests {
    gb_nd kept, reduced;
} gb_nests;

static bool steps(const gb_nd *nd, int n_in, int64_t max)
{
    for (int i = 1; i <= n_in; i++)
        if (nd->stride[0][i] < 0 || nd->stride[0][i] > max)
            return false;
    return true;
}

// Vectors along the reduced elements where those are contiguous and the kept ones are not.
static bool folds_along(const gb_nests *nests, int n_in)
{
    const gb_nd *kept = &nests->kept, *reduced = &nests->reduced;
    return reduced->size[0] >= 8 && steps(reduced, n_in, 1) &&
           (kept->size[0] < 4 || kept->stride[0][1] != 1);
}

static void record(gb_emit *e, const gb_nests *nests, const gb_fold *fold, const gb_view *out,
                   bool add, const gb_view *const *in, int n_in, int64_t segments,
                   int64_t out_seg)
{
    const gb_nd *kept = &nests->kept, *reduced = &nests->reduced;
    const gb_view none = {0};
    int64_t seg_size = (reduced->size[0] + segments - 1) / segments;
    const char *kernel = gb_nd_count(reduced) == 1 ? "fold_map"
                         : folds_along(nests, n_in) ? "fold_along" : "fold_across";
    bool common = fold->by == GB_FOLD_SUM &&
                  (fold->term == GB_TERM_P || fold->term == GB_TERM_MUL);
    if (common)
        gb_emit_launch(e, "reduce", kernel, "-DBY=%d -DTERM=%d", fold->by, fold->term);
    else
        gb_emit_launch(e, "reduce", kernel, "%s", "");
    gb_put_nd(e, kept, 1);
    gb_put_split(e, kept->size[0], gb_nd_outer(kept), segments,
                 (gb_nd_count(reduced) + segments - 1) / segments);
    gb_put_nd(e, reduced, 1);
    gb_put_i32(e, gb_nd_outer(reduced));
    gb_put_i32(e, reduced->size[0]);
    gb_put_i32(e, seg_size);
    gb_put_i32(e, out_seg);
    gb_put_operand(e, kept, 0, out);
    for (int i = 1; i <= 3; i++) {
        gb_put_operand(e, kept, i, i <= n_in ? in[i - 1] : &none);
        gb_put_i32(e, reduced->stride[0][i]);
    }
    gb_put_i32(e, n_in);
    gb_put_i32(e, fold->by);
    gb_put_i32(e, fold->term);
    gb_put_f32(e, fold->scale);
    gb_put_i32(e, add);
}

// Sums pieces of the longest reduced dimension into a temporary first: more work-items, and shorter
// sums. The pieces depend on the length alone, so no image's sum knows about its batch.
static void record_staged(gb_emit *e, gb_nests *nests, const gb_fold *fold, const gb_view *out,
                          bool add, const gb_view *const *in, int n_in, int64_t segments)
{
    gb_nests first = *nests, second = {.kept = {.n_operand = 2}, .reduced = {.n_operand = 2}};
    gb_fold join = {.by = fold->by, .term = GB_TERM_P, .scale = fold->scale};
    gb_fold part = {.by = fold->by, .term = fold->term, .scale = 1};
    int64_t count = 1;
    for (int d = 0; d < nests->kept.n_dim; d++) {
        int64_t stride[GB_ND_OPERANDS] = {nests->kept.stride[d][0], count};
        first.kept.stride[d][0] = count;
        gb_nd_add(&second.kept, nests->kept.size[d], stride);
        count *= nests->kept.size[d];
    }
    gb_nd_add(&second.reduced, segments, (int64_t[GB_ND_OPERANDS]){0, count});
    gb_nd_finish(&second.kept);
    gb_nd_finish(&second.reduced);
    gb_view parts = {.store = gb_emit_temp(e, (size_t)(count * segments) * sizeof(float),
                                           "partial sums")};
    record(e, &first, &part, &parts, false, in, n_in, segments, count);
    record(e, &second, &join, out, add, (const gb_view *[]){&parts}, 1, 1, 0);
}

void gb_emit_fold(gb_emit *e, const gb_shape *shape, const bool *over, const gb_fold *fold,
                  const gb_view *out, bool add, const gb_view *const *in, int n_in)
{
    enum { SEGMENT = 1024 };
    gb_nests nests = {.kept = {.n_operand = n_in + 1}, .reduced = {.n_operand = n_in + 1}};
    if (e->status || gb_shape_count(shape) == 0)
        return;
    for (int d = shape->rank - 1; d >= 0; d--) {
        int64_t stride[GB_ND_OPERANDS] = {over[d] ? 0 : out->stride[d]};
        for (int i = 0; i < n_in; i++)
            stride[i + 1] = in[i]->stride[d];
        gb_nd_add(over[d] ? &nests.reduced : &nests.kept, shape->dim[d], stride);
    }
    gb_nd_finish(&nests.kept);
    gb_nd_finish(&nests.reduced);
    int64_t longest = nests.reduced.size[0];
    if (longest < 2 * SEGMENT)
        record(e, &nests, fold, out, add, in, n_in, 1, 0);
    else
        record_staged(e, &nests, fold, out, add, in, n_in, (longest + SEGMENT - 1) / SEGMENT);
}
