// Batches: their order, augmentation, slices and position, whatever thread filled them.
#include "data/data.h"

#include "support/check.h"
#include "support/folder.h"

#include <math.h>

// A set of COUNT pictures of 3x4 whose pixel p is (20 * picture + p) % 251 + 1, and label
// picture % 5.
enum { COUNT = 23, HEIGHT = 3, WIDTH = 4, PIXELS = HEIGHT * WIDTH };

static gb_dataset *ds;

static float pixel(size_t item, int y, int x)
{
    if (y < 0 || y >= HEIGHT || x < 0 || x >= WIDTH)
        return 0.0f;
    return (float)((20 * (int)item + y * WIDTH + x) % 251 + 1) / 255.0f;
}

static int set_up(void **state)
{
    (void)state;
    uint8_t images[16 + COUNT * PIXELS] = {0, 0, 8, 3, 0, 0, 0, COUNT, 0, 0, 0, HEIGHT, 0, 0, 0,
                                           WIDTH};
    uint8_t labels[8 + COUNT] = {0, 0, 8, 1, 0, 0, 0, COUNT};
    for (int i = 0; i < COUNT; i++) {
        labels[8 + i] = (uint8_t)(i % 5);
        for (int p = 0; p < PIXELS; p++)
            images[16 + i * PIXELS + p] = (uint8_t)((20 * i + p) % 251 + 1);
    }
    if (test_folder_make() < 0)
        return -1;
    put_file("images", images, sizeof images);
    put_file("labels", labels, sizeof labels);
    return gb_dataset_open(&ds, in_folder("images"), NULL);
}

static int tear_down(void **state)
{
    (void)state;
    gb_dataset_free(ds);
    return test_folder_remove();
}

static gb_loader *start(gb_loader_options o)
{
    gb_loader *l;
    assert_ok(gb_loader_open(&l, ds, &o));
    return l;
}

static const gb_batch *next(gb_loader *l)
{
    const gb_batch *b;
    assert_ok(gb_loader_next(&b, l));
    return b;
}

// The pictures that `epochs` epochs bring, in order: what no choice of batch or ranks may change.
typedef struct walk {
    size_t n, item[400];
    float image[400][PIXELS];
} walk;

static void append(walk *w, const gb_batch *b)
{
    for (size_t i = 0; i < b->count; i++, w->n++) {
        assert_int_equal(b->labels[i], b->item[i] % 5);
        w->item[w->n] = b->item[i];
        memcpy(w->image[w->n], b->images + i * PIXELS, sizeof w->image[0]);
    }
}

static void walk_epochs(walk *w, gb_loader_options o, size_t epochs)
{
    gb_loader *l = start(o);
    const size_t batches = gb_loader_batches(l);
    w->n = 0;
    for (size_t i = 0; i < epochs * batches; i++) {
        const gb_batch *b = next(l);
        assert_int_equal(b->epoch, i / batches);
        assert_int_equal(b->index, i % batches);
        append(w, b);
    }
    gb_loader_free(l);
}

static void same(const walk *a, const walk *b)
{
    assert_int_equal(a->n, b->n);
    assert_memory_equal(a->item, b->item, a->n * sizeof a->item[0]);
    assert_memory_equal(a->image, b->image, a->n * sizeof a->image[0]);
}

static walk one, two;

static void test_in_order(void **state)
{
    (void)state;
    gb_loader *l = start((gb_loader_options){.batch = 10});
    assert_int_equal(gb_loader_batches(l), 3);
    for (int round = 0; round < 7; round++) {
        const gb_batch *b = next(l);
        const size_t at = (size_t)(round % 3) * 10, n = round % 3 == 2 ? 3 : 10;
        assert_true(b->count == n && b->whole == n && b->start == 0 && b->capacity == 10);
        for (size_t i = 0; i < 10; i++) {
            assert_int_equal(b->item[i], i < n ? at + i : 0);
            assert_int_equal(b->labels[i], i < n ? (at + i) % 5 : 0);
            for (int p = 0; p < PIXELS; p++)
                assert_true(b->images[i * PIXELS + (size_t)p] ==
                            (i < n ? pixel(at + i, p / WIDTH, p % WIDTH)
                                   : 0.0f));
        }
    }
    gb_loader_free(l);
    walk_epochs(&one, (gb_loader_options){.batch = 10, .drop_last = true}, 2);
    assert_int_equal(one.n, 40);
    walk_epochs(&one, (gb_loader_options){.batch = 4, .first = 5, .count = 9}, 1);
    assert_int_equal(one.n, 9);
    assert_true(one.item[0] == 5 && one.item[8] == 13);
    const size_t some[] = {22, 3, 3, 0, 17};
    walk_epochs(&one, (gb_loader_options){.batch = 2, .items = some, .count = 5}, 2);
    assert_int_equal(one.n, 10);
    assert_memory_equal(some, one.item, sizeof some);
    assert_memory_equal(some, one.item + 5, sizeof some);
    walk_epochs(&one, (gb_loader_options){.batch = 1000}, 1); // no more rows than pictures
    assert_int_equal(one.n, COUNT);
}

static void test_shuffled(void **state)
{
    (void)state;
    gb_loader_options o = {.batch = 23, .shuffle = true, .seed = 42};
    walk_epochs(&one, o, 3);
    for (size_t epoch = 0; epoch < 3; epoch++) {
        bool seen[COUNT] = {false};
        for (size_t i = 0; i < COUNT; i++)
            seen[one.item[epoch * COUNT + i]] = true;
        for (size_t i = 0; i < COUNT; i++)
            assert_true(seen[i]); // a permutation
    }
    assert_memory_not_equal(one.item, one.item + COUNT, COUNT * sizeof one.item[0]);
    walk_epochs(&two, o, 3);
    same(&one, &two);
    o.seed = 43;
    walk_epochs(&two, o, 1);
    assert_memory_not_equal(one.item, two.item, COUNT * sizeof one.item[0]);
    o.seed = 42 + ((uint64_t)1 << 40); // all of the seed counts
    walk_epochs(&two, o, 1);
    assert_memory_not_equal(one.item, two.item, COUNT * sizeof one.item[0]);
}

// Each of the n! orders is as likely as the others: over many epochs every picture comes first
// equally often. 22 degrees of freedom; the 0.999 quantile of chi squared is 48.3.
static void test_shuffle_is_fair(void **state)
{
    (void)state;
    enum { EPOCHS = 2300 };
    size_t at[2][COUNT] = {{0}};
    gb_loader *l = start((gb_loader_options){.batch = COUNT, .shuffle = true, .seed = 7});
    for (int e = 0; e < EPOCHS; e++) {
        const gb_batch *b = next(l);
        at[0][b->item[0]]++;
        at[1][b->item[COUNT - 1]]++;
    }
    gb_loader_free(l);
    for (int end = 0; end < 2; end++) {
        const double want = (double)EPOCHS / COUNT;
        double chi = 0;
        for (int i = 0; i < COUNT; i++)
            chi += pow((double)at[end][i] - want, 2) / want;
        assert_true(chi < 48.3);
    }
}

// Each picture is one of the (2 pad + 1)^2 crops, mirrored or not, and over some epochs all occur.
static void test_augmented(void **state)
{
    (void)state;
    enum { PAD = 1, PLACES = 2 * PAD + 1 };
    int seen[2][PLACES][PLACES] = {{{0}}};
    walk_epochs(&one, (gb_loader_options){.batch = 8, .pad = PAD, .flip = true, .seed = 3}, 15);
    assert_int_equal(one.n, 15 * COUNT);
    for (size_t i = 0; i < one.n; i++) {
        int found = 0;
        for (int mirror = 0; mirror < 2; mirror++)
            for (int dy = -PAD; dy <= PAD; dy++)
                for (int dx = -PAD; dx <= PAD; dx++) {
                    bool equal = true;
                    for (int p = 0; p < PIXELS && equal; p++) {
                        const int x = mirror ? WIDTH - 1 - p % WIDTH : p % WIDTH;
                        equal = one.image[i][p] == pixel(one.item[i], p / WIDTH + dy, x + dx);
                    }
                    found += equal;
                    seen[mirror][dy + PAD][dx + PAD] += equal;
                }
        assert_int_equal(found, 1);
    }
    for (int k = 0; k < 2 * PLACES * PLACES; k++)
        assert_true((&seen[0][0][0])[k] > 5); // about 19 of 345
    // Drawn anew each epoch.
    assert_memory_not_equal(one.image, one.image + COUNT, COUNT * sizeof one.image[0]);
}

// Neither the batch nor the number of processes changes what is seen.
static void test_independent(void **state)
{
    (void)state;
    gb_loader_options o = {.batch = 5, .shuffle = true, .flip = true, .pad = 2, .seed = 9};
    walk_epochs(&one, o, 2);
    o.batch = 7;
    o.ahead = 5;
    walk_epochs(&two, o, 2);
    same(&one, &two);
    for (int ranks = 1; ranks <= 4; ranks++) {
        gb_loader *l[4];
        o.ranks = ranks;
        two.n = 0;
        for (o.rank = 0; o.rank < ranks; o.rank++)
            l[o.rank] = start(o);
        for (size_t i = 0; i < 2 * gb_loader_batches(l[0]); i++) {
            size_t sum = 0, whole = 0;
            for (int r = 0; r < ranks; r++) {
                const gb_batch *b = next(l[r]);
                assert_int_equal(b->start, sum);
                assert_true(b->count <= b->capacity);
                sum += b->count;
                whole = b->whole;
                append(&two, b);
            }
            assert_int_equal(sum, whole);
        }
        for (int r = 0; r < ranks; r++)
            gb_loader_free(l[r]);
        same(&one, &two);
    }
}

static void test_seek(void **state)
{
    (void)state;
    const gb_loader_options o = {.batch = 5, .shuffle = true, .flip = true, .pad = 1, .seed = 1};
    walk_epochs(&one, o, 3);
    gb_loader *l = start(o);
    for (size_t at = 15; at-- > 0;) {
        assert_ok(gb_loader_seek(l, at / 5, at % 5));
        two.n = 0;
        for (size_t i = at; i < 15; i++) {
            const gb_batch *b = next(l);
            assert_true(b->epoch == i / 5 && b->index == i % 5);
            append(&two, b);
        }
        const size_t from = at / 5 * COUNT + at % 5 * 5;
        assert_int_equal(two.n, one.n - from);
        assert_memory_equal(two.item, one.item + from, two.n * sizeof one.item[0]);
        assert_memory_equal(two.image, one.image + from, two.n * sizeof one.image[0]);
    }
    assert_err(GB_ERR_ARG, gb_loader_seek(l, 0, 5));
    gb_loader_free(l);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        gb_loader_options o;
        const char *text;
    } cases[] = {
        {{.batch = 0}, "batch of 0"},
        {{.batch = 1, .pad = -1}, "padding of -1"},
        {{.batch = 1, .pad = 4}, "more than the pictures' 3x4"},
        {{.batch = 8, .rank = 2, .ranks = 2}, "process 2 of 2"},
        {{.batch = 3, .ranks = 4}, "shared by 4"},
        {{.batch = 24, .drop_last = true}, "less than a batch of 24"},
        {{.batch = 8, .first = COUNT}, "none from number 23 on"},
    };
    gb_loader *l;
    for (size_t i = 0; i < GB_COUNT(cases); i++) {
        assert_err(GB_ERR_ARG, gb_loader_open(&l, ds, &cases[i].o));
        assert_null(l);
        if (!strstr(gb_last_error(), cases[i].text))
            fail_msg("%s: %s", cases[i].text, gb_last_error());
    }
    gb_loader_free(NULL);
    gb_loader_free(start((gb_loader_options){.batch = 2})); // never asked for a batch
}

// A picture that cannot be read fails its batch, with its reason, on the thread that asks.
static void test_failing(void **state)
{
    (void)state;
    gb_image image = {0};
    gb_dataset *pictures;
    gb_loader *l;
    const gb_batch *b;
    assert_ok(gb_image_init(&image, 2, 2, 1));
    put_file("pictures/c_2.png", "not a picture", 13);
    assert_ok(gb_image_write_png(in_folder("pictures/a_0.png"), &image));
    assert_ok(gb_image_write_png(in_folder("pictures/b_1.png"), &image));
    gb_image_finish(&image);
    assert_ok(gb_dataset_open(&pictures, in_folder("pictures"), NULL));
    assert_ok(gb_loader_open(&l, pictures, &(gb_loader_options){.batch = 2}));
    assert_ok(gb_loader_next(&b, l));
    assert_int_equal(b->count, 2);
    for (int again = 0; again < 2; again++) {
        assert_err(GB_ERR_FORMAT, gb_loader_next(&b, l));
        assert_null(b);
        assert_non_null(strstr(gb_last_error(), "c_2.png"));
    }
    assert_ok(gb_loader_seek(l, 0, 0));
    assert_ok(gb_loader_next(&b, l));
    gb_loader_free(l);

    // Or it is told, and the others come.
    assert_ok(gb_loader_open(&l, pictures, &(gb_loader_options){.batch = 2, .keep_going = true}));
    for (int epoch = 0; epoch < 2; epoch++) {
        assert_ok(gb_loader_next(&b, l));
        assert_true(b->count == 2 && !b->error[0] && !b->error[1]);
        assert_ok(gb_loader_next(&b, l));
        assert_true(b->count == 1 && b->labels[0] == 2 && b->images[0] == 0);
        assert_non_null(strstr(b->error[0], "c_2.png: neither a JPEG nor a PNG"));
    }
    gb_loader_free(l);
    gb_dataset_free(pictures);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_order),    cmocka_unit_test(test_shuffled),
        cmocka_unit_test(test_shuffle_is_fair), cmocka_unit_test(test_augmented),
        cmocka_unit_test(test_independent), cmocka_unit_test(test_seek),
        cmocka_unit_test(test_refused),     cmocka_unit_test(test_failing),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
