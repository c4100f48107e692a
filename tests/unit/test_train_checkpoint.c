// Checkpoints: what is written comes back, and nothing else does.
#include "train/checkpoint.h"

#include "support/check.h"
#include "support/folder.h"

#include <math.h>

static int set_up(void **state)
{
    (void)state;
    return test_folder_make();
}

static int tear_down(void **state)
{
    (void)state;
    return test_folder_remove();
}

static float param[] = {1.5f, -2, NAN, 4}, moments[] = {5, 6, 7, 8, 9, 10}, tally[] = {11, 12};
static gb_epoch history[] = {{.lr = 0.1, .loss = 2, .held_loss = NAN}, {.lr = 0.2, .loss = 1}};
static char settings[] = "optimizer adam\nlr 0.001\nseed 3\n";

static gb_checkpoint sample(void)
{
    return (gb_checkpoint){.model_hash = 0x123456789abcdef0u, .data_hash = 42,
                           .settings = settings, .epoch = 2, .next = 17, .steps = 1234567890123,
                           .seconds = 3.25, .n_param = 4, .n_state = 6, .n_tally = 2,
                           .n_history = 2, .param = param, .state = moments, .tally = tally,
                           .history = history};
}

static void test_round_trip(void **state)
{
    (void)state;
    const char *path = in_folder("run.ckpt");
    gb_checkpoint c = sample(), d = {0};
    assert_ok(gb_checkpoint_write(path, &c));
    assert_ok(gb_checkpoint_read(&d, path));
    assert_true(d.model_hash == c.model_hash && d.data_hash == 42 && d.seconds == 3.25);
    assert_true(d.epoch == 2 && d.next == 17 && d.steps == 1234567890123);
    assert_string_equal(settings, d.settings);
    assert_int_equal(4, d.n_param);
    assert_int_equal(6, d.n_state);
    assert_memory_equal(param, d.param, sizeof param);
    assert_memory_equal(moments, d.state, sizeof moments);
    assert_memory_equal(tally, d.tally, sizeof tally);
    assert_int_equal(2, d.n_history);
    assert_memory_equal(history, d.history, sizeof history);
    assert_ok(gb_checkpoint_match(&d, &c, path));
    gb_checkpoint_finish(&d);
}

// Every file that is shorter, and one with any byte changed, is refused.
static void test_damage(void **state)
{
    (void)state;
    const char *path = in_folder("damaged.ckpt");
    gb_checkpoint c = sample(), d = {0};
    void *bytes;
    size_t size;
    assert_ok(gb_checkpoint_write(path, &c));
    assert_ok(gb_file_read(&bytes, &size, path));
    for (size_t n = 0; n < size; n++) {
        assert_ok(gb_file_write(path, bytes, n));
        assert_err(GB_ERR_FORMAT, gb_checkpoint_read(&d, path));
        assert_null(strchr(gb_last_error(), '\n'));
    }
    for (size_t n = 0; n < size; n++) {
        ((char *)bytes)[n] ^= 0x10;
        assert_ok(gb_file_write(path, bytes, size));
        assert_true(gb_checkpoint_read(&d, path) < 0);
        ((char *)bytes)[n] ^= 0x10;
    }
    ((char *)bytes)[12] = 9; // behind the name and the byte order
    assert_ok(gb_file_write(path, bytes, size));
    assert_err(GB_ERR_UNSUPPORTED, gb_checkpoint_read(&d, path));
    assert_non_null(strstr(gb_last_error(), "version 9"));
    free(bytes);
    assert_err(GB_ERR_IO, gb_checkpoint_read(&d, in_folder("none.ckpt")));
}

static void test_match(void **state)
{
    (void)state;
    char other[] = "optimizer adam\nlr 0.01\nseed 3\n", fewer[] = "optimizer adam\nlr 0.001\n";
    gb_checkpoint found = sample(), want = sample();
    want.model_hash++;
    assert_err(GB_ERR_ARG, gb_checkpoint_match(&found, &want, "run.ckpt"));
    assert_string_equal("run.ckpt: a checkpoint of another model", gb_last_error());
    want = sample();
    want.data_hash++;
    assert_err(GB_ERR_ARG, gb_checkpoint_match(&found, &want, "run.ckpt"));
    assert_non_null(strstr(gb_last_error(), "other data"));
    want = sample();
    want.settings = other;
    assert_err(GB_ERR_ARG, gb_checkpoint_match(&found, &want, "run.ckpt"));
    assert_non_null(strstr(gb_last_error(), "made with lr 0.001, not lr 0.01:"));
    want.settings = fewer;
    assert_err(GB_ERR_ARG, gb_checkpoint_match(&found, &want, "run.ckpt"));
    assert_non_null(strstr(gb_last_error(), "made with seed 3, not nothing:"));
    char open_end[] = "optimizer adam\nlr 0.001\nseed 3"; // the lines are the same
    want.settings = open_end;
    assert_err(GB_ERR_ARG, gb_checkpoint_match(&found, &want, "run.ckpt"));
    want = sample();
    want.n_state--;
    assert_err(GB_ERR_FORMAT, gb_checkpoint_match(&found, &want, "run.ckpt"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_match),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
