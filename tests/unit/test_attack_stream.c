// Streams of images: every image's result is the one it has alone, and places do not stay empty.
#include "attack_toy.h"

enum { N = 30 };

static float pixels[N * D];
static int truth[N];

typedef struct stream {
    gb_attack *attack;
    bool classifies; // between steps, on the attack's own session
    size_t taken, done;
    float adversarial[N * D];
    gb_attack_result result[N];
} stream;

static int next(void *user, gb_attack_item *item)
{
    stream *s = user;
    float logits[2 * K], want[K], loss;
    if (s->taken == N)
        return 0;
    size_t i = s->taken++;
    *item = (gb_attack_item){.number = i, .image = pixels + i * D, .label = truth[i]};
    if (s->classifies) {
        size_t from = i < N - 1 ? i : i - 1;
        assert_ok(gb_attack_logits(s->attack, logits, pixels + from * D, 2));
        for (size_t k = 0; k < 2; k++) {
            model(want, &loss, NULL, pixels + (from + k) * D, 0);
            assert_memory_equal(want, logits + k * K, sizeof want);
        }
    }
    return 1;
}

static int done(void *user, const gb_attack_item *item, const float *adversarial,
                const gb_attack_result *result)
{
    stream *s = user;
    assert_true(item->number < N && !s->result[item->number].done);
    assert_memory_equal(pixels + item->number * D, item->image, D * sizeof(float));
    memcpy(s->adversarial + item->number * D, adversarial, D * sizeof *adversarial);
    s->result[item->number] = *result;
    s->done++;
    return 0;
}

static void run(stream *s, const gb_attack_config *config, int64_t batch, bool classifies)
{
    *s = (stream){.attack = make(config, batch), .classifies = classifies};
    const gb_attack_feed feed = {.user = s, .next = next, .done = done};
    assert_ok(gb_attack_stream(s->attack, &feed));
    assert_int_equal(N, s->done);
    gb_attack_free(s->attack);
}

static void configure(gb_attack_config *c, int mode)
{
    assert_ok(gb_attack_default(c, "pgd"));
    c->norm = mode & 1 ? GB_NORM_L2 : GB_NORM_LINF;
    c->eps = mode & 1 ? 0.8f : 0.03f; // some break at once, one in a later restart, some never
    c->steps = 3;
    c->step_size = c->eps / 12;
    c->restarts = 3;
    c->early_stop = mode & 2 ? 0 : 1;
    c->seed = 17;
    if (mode & 4) // with moments that belong to an image's restart
        c->optimizer = GB_STEP_ADAM;
}

static void test_bits(void **state)
{
    static stream alone, s;
    (void)state;
    static const int64_t batches[] = {2, 3, 8, 40};
    for (int mode = 0; mode < 5; mode++) {
        gb_attack_config c;
        int fallen = 0, first = 0;
        configure(&c, mode);
        run(&alone, &c, 1, false);
        for (int i = 0; i < N; i++) {
            fallen += alone.result[i].success;
            first += alone.result[i].success && alone.result[i].iterations <= c.steps;
        }
        assert_true(fallen < N && first > 0 && first < fallen);
        for (size_t b = 0; b < GB_COUNT(batches); b++) {
            run(&s, &c, batches[b], b % 2);
            assert_memory_equal(alone.result, s.result, sizeof s.result);
            assert_memory_equal(alone.adversarial, s.adversarial, sizeof s.adversarial);
        }
    }
}

// What the gradients of a full device would cost, and no more than the last images' way beyond it.
static void test_full_batches(void **state)
{
    enum { BATCH = 5 };
    static stream s;
    gb_attack_config c;
    int ticks = 0, way;
    (void)state;
    configure(&c, 0);
    c.eight_bit = 0;
    c.steps = 40;
    c.restarts = 1;
    c.step_size = 0.0005f;
    way = c.steps + 1;
    n_gradients = 0;
    run(&s, &c, BATCH, false);
    for (int i = 0; i < N; i++)
        ticks += 1 + s.result[i].iterations;
    assert_true(ticks < N * way * 3 / 4); // many rest early
    int looks = 8 * N / BATCH; // a place stays empty until the next look
    if (n_gradients > ticks / BATCH + looks + way)
        fail_msg("%d gradients for %d steps in %d places", n_gradients, ticks, BATCH);
}

static int refuse(void *user, const gb_attack_item *item, const float *adversarial,
                  const gb_attack_result *result)
{
    (void)user, (void)adversarial, (void)result;
    return item->number == 7 ? gb_fail(GB_ERR_IO, "the disk is full") : 0;
}

static int stop_feeding(void *user, gb_attack_item *item)
{
    stream *s = user;
    return s->taken == 9 ? gb_fail(GB_ERR_FORMAT, "truncated") : next(user, item);
}

static void test_errors_end_it(void **state)
{
    static stream s;
    gb_attack_config c;
    (void)state;
    configure(&c, 0);
    s.attack = make(&c, 4);
    gb_attack_feed feed = {.user = &s, .next = next, .done = refuse};
    assert_err(GB_ERR_IO, gb_attack_stream(s.attack, &feed));
    assert_string_equal("the disk is full", gb_last_error());
    s.taken = 0;
    feed = (gb_attack_feed){.user = &s, .next = stop_feeding, .done = done};
    assert_err(GB_ERR_FORMAT, gb_attack_stream(s.attack, &feed));

    // The same attack still works.
    static stream again;
    gb_attack *attack = s.attack;
    run(&again, &c, 4, false);
    s = (stream){.attack = attack};
    feed = (gb_attack_feed){.user = &s, .next = next, .done = done};
    assert_ok(gb_attack_stream(attack, &feed));
    assert_memory_equal(again.adversarial, s.adversarial, sizeof s.adversarial);
    gb_attack_free(attack);
}

static int make_pixels(void **state)
{
    float logits[K], loss;
    for (int i = 0; i < N * D; i++)
        pixels[i] = floorf(256 * gb_uniform(gb_philox4x32((gb_philox){{(uint32_t)i}}, 7, 8).v[0])) /
                    255.0f;
    for (int i = 0; i < N; i++) {
        model(logits, &loss, NULL, pixels + i * D, 0);
        truth[i] = gb_argmax(logits, K);
    }
    return setup(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bits),
        cmocka_unit_test(test_full_batches),
        cmocka_unit_test(test_errors_end_it),
    };
    return cmocka_run_group_tests(tests, make_pixels, test_device_close);
}
