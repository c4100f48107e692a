// Records the losses of cl/loss.cl and their gradients.
#include "op/loss.h"
#include "op/rows.h"

static void put_matrix(gb_emit *e, const gb_view *view)
{
    gb_put_view(e, view);
    gb_put_i32(e, view->stride[0]);
    gb_put_i32(e, view->stride[1]);
}

// The arguments that both kernels begin with.
static void launch(gb_emit *e, const gb_loss_spec *loss, gb_value *logits, const char *kernel)
{
    static const int least[] = {
        [GB_LOSS_CE] = 1, [GB_LOSS_MARGIN] = 2, [GB_LOSS_DLR] = 3, [GB_LOSS_PAIR] = 2,
        [GB_LOSS_KL] = 1, [GB_LOSS_TRADES] = 1,
    };
    const gb_shape *shape = &logits->shape;
    bool trades = loss->kind == GB_LOSS_TRADES;
    if (e->status)
        return;
    if (shape->rank != 2 || shape->dim[1] < least[loss->kind]) {
        gb_emit_fail(e, gb_fail(GB_ERR_ARG, "output '%s': the loss needs logits [N,K] of at least "
                                "%d classes", logits->name, least[loss->kind]));
        return;
    }
    if (trades && shape->dim[0] % 2) {
        gb_emit_fail(e, gb_fail(GB_ERR_ARG, "a batch of %lld is no clean half and no perturbed "
                                "half", (long long)shape->dim[0]));
        return;
    }
    gb_emit_launch(e, "loss", kernel, "-DKIND=%d", loss->kind);
    gb_put_row_split(e, shape->dim[0], shape->dim[1], 4);
    put_matrix(e, &logits->view);
    gb_put_i32(e, shape->dim[1]);
    gb_put_store(e, loss->labels);
    gb_put_store(e, loss->seconds);
    gb_put_store(e, loss->targets);
    gb_put_i32(e, trades ? shape->dim[0] / 2 : 0);
    gb_put_f32(e, loss->smoothing);
}

void gb_loss_forward(gb_emit *e, const gb_loss_spec *loss, gb_value *logits)
{
    if (loss->kind == GB_LOSS_NONE)
        return;
    launch(e, loss, logits, "loss");
    gb_put_store(e, loss->losses);
}

void gb_loss_backward(gb_emit *e, const gb_loss_spec *loss, gb_value *logits)
{
    if (loss->kind == GB_LOSS_NONE)
        return;
    gb_target dz = gb_emit_target(e, logits);
    launch(e, loss, logits, "loss_grad");
    gb_put_store(e, loss->weights);
    put_matrix(e, &dz.view);
    gb_put_i32(e, dz.add);
}
