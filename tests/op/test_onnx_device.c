// The ONNX project's operator cases on the device, forward.
#include "support/device.h"

#include "op/onnx_session.h"

#include <stdio.h>

static int forward(gb_session *s, const onnx_case *c, gb_tensor **out, gb_arena *arena)
{
    int err = 0;
    GB_TRY(gb_session_forward(s));
    for (size_t i = 0; i < c->n_out; i++) {
        const gb_io *io = gb_session_output(s, i);
        out[i] = gb_tensor_create(arena, GB_F32, &io->shape);
        if (!out[i])
            return GB_ERR_NOMEM;
        GB_TRY(gb_session_download(s, io, out[i]->data));
    }
fail:
    return err;
}

static onnx_verdict run_with(onnx_case *c, bool unfolded, char *why, size_t size)
{
    gb_arena arena = {0};
    gb_session *s = NULL;
    gb_tensor *out[ONNX_CASE_MAX];
    onnx_verdict verdict = ONNX_PASS;
    for (size_t i = 0; i < c->n_out; i++) {
        if (c->want[i]->type != GB_F32) {
            snprintf(why, size, "output of integers");
            return ONNX_SKIP;
        }
    }
    bool free_input[ONNX_CASE_MAX];
    int err = unfolded ? onnx_session_unfolded(&s, test_device(), c)
                       : onnx_session(&s, test_device(), c, NULL, free_input);
    if (err < 0) {
        onnx_reason(why, size);
        return err == GB_ERR_UNSUPPORTED ? ONNX_SKIP : ONNX_FAIL;
    }
    err = forward(s, c, out, &arena);
    if (err < 0) {
        snprintf(why, size, "%s", gb_last_error());
        verdict = ONNX_FAIL;
    }
    for (size_t i = 0; i < c->n_out && verdict == ONNX_PASS; i++)
        if (!onnx_close(out[i], c->want[i], why, size))
            verdict = ONNX_FAIL;
    gb_session_free(s);
    gb_arena_finish(&arena);
    return verdict;
}

static onnx_verdict run(void *user, onnx_case *c, char *why, size_t size)
{
    (void)user;
    return run_with(c, false, why, size);
}

// What is beyond the budget of constant folding.
static onnx_verdict run_unfolded(void *user, onnx_case *c, char *why, size_t size)
{
    (void)user;
    return run_with(c, true, why, size);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ONNX_GROUP("node", run),
        ONNX_GROUP("node", run_unfolded),
        ONNX_GROUP("simple", run),
        ONNX_GROUP("pytorch-operator", run),
        ONNX_GROUP("pytorch-converted", run),
    };
    return cmocka_run_group_tests(tests, test_device_open, test_device_close);
}
