// The transfer between models: what counts, and how it ends early. The command's tests compare
// whole tables with models done by hand (tests/cli/test_transfer.py).
#include "attack_toy.h"
#include "support/folder.h"

#include "eval/transfer.h"

static gb_dataset *ds;
static size_t right; // pictures whose label is the model's

static int make_data(void **state)
{
    const int64_t dim[4] = {MAX, C, H, W}, count = MAX;
    float truth[MAX];
    if (setup(state) < 0 || test_folder_make() < 0)
        return -1;
    for (int n = 0; n < MAX; n++) {
        const bool wrong = n % 3 == 1;
        truth[n] = (float)((labels[n] + wrong) % K);
        right += !wrong;
    }
    put_file("images.npy", "", 0);
    if (gb_npy_write(in_folder("images.npy"), images, 4, dim) < 0 ||
        gb_npy_write(in_folder("labels.npy"), truth, 1, &count) < 0)
        return -1;
    return gb_dataset_open(&ds, in_folder("images.npy"), NULL);
}

static int remove_data(void **state)
{
    gb_dataset_free(ds);
    return test_folder_remove() | test_device_close(state);
}

typedef struct watch {
    size_t source, calls, furthest;
} watch;

static int look(void *user, size_t source, size_t done, size_t total)
{
    watch *w = user;
    assert_true(source <= 2 && done <= total && total == MAX);
    w->calls++;
    w->furthest = source < 2 && source >= w->furthest ? source : w->furthest;
    return source == w->source;
}

static int run(gb_transfer *out, watch *w)
{
    static const char *const names[] = {"one", "two"};
    const gb_transfer_options options = {.name = names, .look = look, .user = w};
    gb_attack_config c;
    assert_ok(gb_attack_default(&c, "pgd"));
    c.eps = 0.02f;
    c.steps = 2;
    c.early_stop = 0;
    gb_attack *attack[2] = {make(&c, 3), make(&c, 5)};
    int err = gb_transfer_run(out, attack, 2, ds, &options);
    gb_attack_free(attack[0]);
    gb_attack_free(attack[1]);
    return err;
}

// Two models that are one: every pair is the attack's own success.
static void test_twins(void **state)
{
    (void)state;
    gb_transfer t;
    watch w = {.source = 9};
    assert_ok(run(&t, &w));
    assert_int_equal(t.models, 2);
    assert_int_equal(t.images, MAX);
    assert_true(t.correct[0] == right && t.correct[1] == right);
    assert_true(t.fooled[0] > 0);
    for (int pair = 0; pair < 4; pair++) {
        assert_int_equal(t.both[pair], right);
        assert_int_equal(t.fooled[pair], t.fooled[0]);
    }
    assert_int_equal(w.furthest, 1);
    gb_transfer_finish(&t);
    gb_transfer_finish(&t);
}

static void test_cancelled(void **state)
{
    (void)state;
    static const char *const text[] = {"against one", "against two", "interrupted"};
    for (size_t source = 0; source < 3; source++) {
        gb_transfer t;
        watch w = {.source = source};
        assert_err(GB_ERR_CANCELLED, run(&t, &w));
        assert_non_null(strstr(gb_last_error(), text[source]));
        assert_null(t.fooled);
    }
}

static void test_not_a_number(void **state)
{
    (void)state;
    gb_transfer t;
    watch w = {.source = 9};
    const float before = images[2 * D];
    const int64_t dim[4] = {MAX, C, H, W};
    broken = true;
    images[2 * D] = 1.0f;
    assert_ok(gb_npy_write(in_folder("images.npy"), images, 4, dim));
    assert_err(GB_ERR_NUMERIC, run(&t, &w));
    assert_string_equal(gb_last_error(), "one: its logits are NaN or infinite");
    broken = false;
    images[2 * D] = before;
    assert_ok(gb_npy_write(in_folder("images.npy"), images, 4, dim));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_twins),
        cmocka_unit_test(test_cancelled),
        cmocka_unit_test(test_not_a_number),
    };
    return cmocka_run_group_tests(tests, make_data, remove_data);
}
