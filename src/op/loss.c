// Records the losses.
#include "op/loss.h"

// What both kernels begin with: the logits as rows, the labels.
static bool put_logits(gb_emit *e, const char *kernel, gb_loss loss, gb_value *logits,
                       const gb_view *view)
{
    int64_t classes = logits->shape.dim[1], least = loss == GB_LOSS_DLR ? 3 : 2;
    if (e->status)
        return false;
    if (classes < least) {
        gb_emit_fail(e, gb_fail(GB_ERR_UNSUPPORTED, "the %s loss needs %d classes or more; the model "
                                "has %d", loss == GB_LOSS_DLR ? "DLR" : "chosen", (int)least,
                                (int)classes));
        return false;
    }
    gb_emit_launch(e, "loss", kernel, "%s", "");
    gb_put_view(e, view);
    gb_put_i32(e, view->stride[0]);
    gb_put_i32(e, view->stride[1]);
    gb_put_i32(e, classes);
    return true;
}

void gb_loss_forward(gb_emit *e, gb_loss loss, gb_value *logits, gb_store *labels,
                     gb_store *losses)
{
    const gb_view *z = gb_emit_in(e, logits, GB_ORDER_PLAIN);
    if (!put_logits(e, "loss_forward", loss, logits, z))
        return;
    gb_put_store(e, labels);
    gb_put_store(e, losses);
    gb_put_i32(e, loss);
    gb_emit_size(e, (size_t)logits->shape.dim[0], 1, 1);
}

void gb_loss_backward(gb_emit *e, gb_loss loss, gb_value *logits, gb_store *labels)
{
    if (!logits->needs_grad)
        return;
    const gb_view *z = gb_emit_in(e, logits, GB_ORDER_PLAIN);
    gb_target target = gb_emit_target(e, logits);
    if (!put_logits(e, "loss_backward", loss, logits, z))
        return;
    gb_put_store(e, labels);
    gb_put_view(e, &target.view);
    gb_put_i32(e, target.add);
    gb_put_i32(e, loss);
    gb_emit_size(e, (size_t)logits->shape.dim[0], 1, 1);
}
