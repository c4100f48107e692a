// Rehearsals: a run of a session compiles all that a real one would launch, and no more.
#include "support/device.h"

#include "engine/internal.h"
#include "models/builtin.h"

#include <string.h>

static void count_builds(void *user, bool on)
{
    ((int *)user)[on]++;
}

static size_t made(const gb_session *s)
{
    size_t count = 0;
    for (size_t i = 0; i < s->emit.n_launch; i++)
        count += s->emit.launch[i]->ready != NULL;
    return count;
}

static void test_everything_is_made(void **state)
{
    gb_device *dev = NULL;
    gb_graph *model = NULL;
    gb_session *s = NULL;
    int builds[2] = {0};
    (void)state;
    assert_ok(gb_device_open(&dev, getenv("GIBBON_TEST_DEVICE"), NULL));
    assert_ok(gb_model_read(&model, NULL, GB_BUILTIN "cnn-a", NULL));
    gb_device_watch(dev, count_builds, builds);
    gb_device_rehearse(dev);
    assert_ok(gb_session_create(&s, dev, model, &(gb_session_options){.batch = 2, .grad = true,
                                                                      .loss = GB_LOSS_CE}));
    assert_int_equal(0, made(s));
    assert_ok(gb_session_forward(s));
    assert_int_equal(s->n_forward, made(s));
    assert_ok(gb_session_gradient(s));
    assert_int_equal(s->n_backward, made(s));
    assert_ok(gb_device_finish(dev));
    // Drivers that a second process can help tell of each program, the others of none.
    const bool pocl = strstr(gb_device_get_info(dev)->platform_name, "Portable Computing") != NULL;
    assert_int_equal(builds[1], builds[0]);
    assert_true(pocl == (builds[1] > 0));
    gb_session_free(s);
    gb_graph_free(model);
    gb_device_close(dev);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything_is_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
