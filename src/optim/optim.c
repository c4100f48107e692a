// An optimiser at work: its state on the device and one launch a step.
#include "optim/optim.h"

#include <stdlib.h>
#include <string.h>

enum { ARG_COUNT = 4, ARG_COEFFICIENTS = 7 }; // cl/optim.cl

struct gb_optim {
    const gb_optimizer *rule;
    gb_optim_config config;
    gb_buf *state[GB_OPTIM_STATES]; // [count] floats each
    gb_kernel *kernel;
    size_t count;
    int64_t steps; // taken
};

static int make_kernel(gb_optim *o, gb_device *dev, gb_buf *value, gb_buf *grad)
{
    // On a processor an item takes a piece that is long beside the cost of starting it.
    bool wide = gb_device_get_info(dev)->wide;
    int per = wide ? 1 : 2048;
    int count = (int)o->count, err = 0;
    float up = o->config.ascend ? -1.0f : 1.0f;
    const size_t global[3] = {(o->count + (size_t)per - 1) / (size_t)per, 1, 1};
    const size_t local[3] = {wide ? 0 : 1, 1, 1};
    GB_TRY(gb_kernel_create(&o->kernel, dev, "optim", o->rule->name, ""));
    GB_TRY(gb_kernel_arg_buf(o->kernel, 0, value));
    GB_TRY(gb_kernel_arg_buf(o->kernel, 1, grad));
    GB_TRY(gb_kernel_arg_buf(o->kernel, 2, o->state[0]));
    GB_TRY(gb_kernel_arg_buf(o->kernel, 3, o->state[1]));
    GB_TRY(gb_kernel_arg(o->kernel, ARG_COUNT, sizeof count, &count));
    GB_TRY(gb_kernel_arg(o->kernel, ARG_COUNT + 1, sizeof per, &per));
    GB_TRY(gb_kernel_arg(o->kernel, ARG_COUNT + 2, sizeof up, &up));
    GB_TRY(gb_kernel_size(o->kernel, global, local));
fail:
    return err;
}

int gb_optim_create(gb_optim **out, gb_device *dev, const gb_optim_config *config, gb_buf *value,
                    gb_buf *grad, size_t count)
{
    int err = 0;
    gb_optim *o = calloc(1, sizeof *o);
    if (!o)
        return gb_fail(GB_ERR_NOMEM, "out of memory for an optimizer");
    o->config = *config;
    o->count = count;
    if (count > INT32_MAX) {
        err = gb_fail(GB_ERR_UNSUPPORTED, "%zu parameters: an optimizer takes up to 2^31", count);
        goto fail;
    }
    GB_TRY(gb_optim_check(config));
    GB_TRY(gb_optimizer_find(&o->rule, config->name));
    for (int i = 0; i < o->rule->states; i++)
        GB_TRY(gb_buf_create(&o->state[i], dev, count * sizeof(float)));
    GB_TRY(make_kernel(o, dev, value, grad));
    GB_TRY(gb_optim_reset(o));
    *out = o;
    return 0;
fail:
    gb_optim_free(o);
    return err;
}

void gb_optim_free(gb_optim *o)
{
    if (!o)
        return;
    gb_kernel_free(o->kernel);
    for (int i = 0; i < GB_OPTIM_STATES; i++)
        gb_buf_free(o->state[i]);
    free(o);
}

int gb_optim_step(gb_optim *o, double lr)
{
    double exact[8] = {[1] = o->config.weight_decay};
    float k[8];
    int err = 0;
    o->rule->coefficients(exact, &o->config, lr, ++o->steps);
    for (int i = 0; i < 8; i++)
        k[i] = (float)exact[i];
    GB_TRY(gb_kernel_arg(o->kernel, ARG_COEFFICIENTS, sizeof k, k));
    GB_TRY(gb_kernel_run(o->kernel));
fail:
    return err;
}

int gb_optim_reset(gb_optim *o)
{
    int err = 0;
    float accumulator = (float)o->config.accumulator; // the sum of squares is state 0
    uint32_t first;
    memcpy(&first, &accumulator, sizeof first);
    o->steps = 0;
    for (int i = 0; i < o->rule->states; i++)
        GB_TRY(gb_buf_fill(o->state[i], 0, o->count * sizeof(float), i == 0 ? first : 0));
fail:
    return err;
}

size_t gb_optim_state_count(const gb_optim *o)
{
    return (size_t)o->rule->states * o->count;
}

int64_t gb_optim_steps(const gb_optim *o)
{
    return o->steps;
}

int gb_optim_download(const gb_optim *o, float *state)
{
    int err = 0;
    for (int i = 0; i < o->rule->states; i++)
        GB_TRY(gb_buf_read(o->state[i], 0, state + (size_t)i * o->count, o->count * sizeof *state));
fail:
    return err;
}

int gb_optim_upload(gb_optim *o, const float *state, int64_t steps)
{
    int err = 0;
    for (int i = 0; i < o->rule->states; i++)
        GB_TRY(gb_buf_write(o->state[i], 0, state + (size_t)i * o->count,
                            o->count * sizeof *state));
    o->steps = steps;
fail:
    return err;
}
