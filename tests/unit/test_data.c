// Data sets of every kind from small made files, and each kind of damage.
#include "data/internal.h"

#include "support/check.h"
#include "support/folder.h"

#include <zlib.h>

// --- made files ---

static const uint8_t idx_images[] = {0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 2, // 3 of 2x2
                                     0, 51, 102, 153, 204, 255, 1, 2, 3, 4, 5, 6};
static const uint8_t idx_labels[] = {0, 0, 8, 1, 0, 0, 0, 3, 2, 0, 1};
enum { RECORD = 3073 };

static size_t squeeze(uint8_t *out, size_t size, const void *in, size_t n)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)in, .avail_in = (uInt)n, .next_out = out,
                  .avail_out = (uInt)size};
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    return size - z.avail_out;
}

static void put_gzip(const char *name, const void *in, size_t n)
{
    uint8_t out[1024];
    put_file(name, out, squeeze(out, sizeof out, in, n));
}

// `n` records whose pixels are plane + 10 * picture, and whose labels count from `first` on.
static void put_cifar(const char *name, int n, int first)
{
    static uint8_t record[4 * RECORD];
    for (int i = 0; i < n; i++) {
        record[i * RECORD] = (uint8_t)(first + i);
        for (int c = 0; c < 3; c++)
            memset(record + i * RECORD + 1 + c * 1024, c + 10 * i, 1024);
    }
    put_file(name, record, (size_t)n * RECORD);
}

static void put_picture(const char *name, int grey)
{
    gb_image image = {0};
    put_file(name, "", 0);
    assert_ok(gb_image_init(&image, 4, 2, 1));
    memset(image.data, grey, 8);
    assert_ok(gb_image_write_png(in_folder(name), &image));
    gb_image_finish(&image);
}

// --- opening, and failing to ---

static char logged[2000];

static void write_log(void *user, gb_log_level level, const char *line)
{
    (void)user;
    if (level <= GB_LOG_WARN)
        snprintf(logged, sizeof logged, "%s", line);
}

static const gb_log log_here = {write_log, NULL, GB_LOG_DEBUG};

static gb_dataset *open_with(const char *spec, gb_dataset_options o)
{
    gb_dataset *ds = NULL;
    logged[0] = 0;
    o.log = &log_here;
    assert_ok(gb_dataset_open(&ds, spec, &o));
    return ds;
}

static gb_dataset *open_plain(const char *name)
{
    return open_with(in_folder(name), (gb_dataset_options){0});
}

// Refused with that status, in one line that says `text`.
static void refuse_with(int status, const char *spec, const char *text, gb_dataset_options o)
{
    gb_dataset *ds;
    int err = gb_dataset_open(&ds, spec, &o);
    if (err != status || !strstr(gb_last_error(), text) || strchr(gb_last_error(), '\n'))
        fail_msg("%s -> %d %s", spec, err, gb_last_error());
    assert_null(ds);
}

static void refuse(int status, const char *name, const char *text)
{
    refuse_with(status, in_folder(name), text, (gb_dataset_options){0});
}

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

// --- idx ---

static void check_idx(const gb_dataset *ds)
{
    float x[4];
    int label;
    assert_int_equal(ds->count, 3);
    assert_int_equal(ds->classes, 3);
    assert_true(ds->channels == 1 && ds->height == 2 && ds->width == 2 && ds->pixels == 4);
    assert_ok(gb_dataset_read(ds, 1, x, &label));
    assert_int_equal(label, 0);
    static const int want[4] = {204, 255, 1, 2};
    for (int i = 0; i < 4; i++)
        assert_true(x[i] == (float)want[i] / 255.0f);
    assert_err(GB_ERR_ARG, gb_dataset_read(ds, 3, x, &label));
}

static void test_idx(void **state)
{
    (void)state;
    char spec[600], text[300];
    put_file("set/train-images-idx3-ubyte", idx_images, sizeof idx_images);
    put_file("set/train-labels-idx1-ubyte", idx_labels, sizeof idx_labels);
    put_gzip("set/t10k-images-idx3-ubyte.gz", idx_images, sizeof idx_images);
    put_gzip("set/t10k-labels-idx1-ubyte.gz", idx_labels, sizeof idx_labels);
    put_file("pair/a", idx_images, sizeof idx_images);
    put_gzip("pair/b", idx_labels, sizeof idx_labels);
    static const char *const names[] = {"set", "set/", "set:test", "set:train",
                                        "set/train-images-idx3-ubyte",
                                        "set/t10k-images-idx3-ubyte.gz"};
    static const gb_split split[] = {GB_SPLIT_TEST, GB_SPLIT_TEST, GB_SPLIT_TEST, GB_SPLIT_TRAIN,
                                     GB_SPLIT_ANY, GB_SPLIT_ANY};
    for (size_t i = 0; i < GB_COUNT(names); i++) {
        gb_dataset *ds = open_plain(names[i]);
        check_idx(ds);
        assert_int_equal(ds->split, split[i]);
        snprintf(spec, sizeof spec, "%s[2]", in_folder(names[i]));
        assert_string_equal(gb_dataset_item_text(text, sizeof text, ds, 2), spec);
        gb_dataset_free(ds);
    }
    gb_dataset *ds =
        open_with(in_folder("set"), (gb_dataset_options){.split = GB_SPLIT_TRAIN, .classes = 10});
    assert_int_equal(ds->split, GB_SPLIT_TRAIN);
    assert_int_equal(ds->classes, 10);
    assert_non_null(strstr(logged, "no picture of 7 of 10 classes: class 3, class 4"));
    gb_dataset_free(ds);
    snprintf(spec, sizeof spec, "%s,%s", in_folder("pair/a"), in_folder("pair/b"));
    ds = open_with(spec, (gb_dataset_options){0});
    check_idx(ds);
    assert_string_equal(logged, "");
    gb_dataset_free(ds);
    refuse_with(GB_ERR_ARG, in_folder("set"), "label 2; the model has classes 0 to 1",
                (gb_dataset_options){.classes = 2});
    refuse(GB_ERR_ARG, "set/train-images-idx3-ubyte:test", "a file");
}

// As a package installs it: found by its bare name.
static void test_installed(void **state)
{
    (void)state;
    char text[100];
    put_gzip("share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz", idx_images,
             sizeof idx_images);
    put_gzip("share/datasets/fashion-mnist/t10k-labels-idx1-ubyte.gz", idx_labels,
             sizeof idx_labels);
    snprintf(text, sizeof text, "/nonexistent:%s", in_folder("share"));
    setenv("XDG_DATA_DIRS", text, 1);
    gb_dataset *ds = open_with("fashion-mnist", (gb_dataset_options){0});
    assert_int_equal(ds->count, 3);
    assert_int_equal(ds->classes, 10);
    assert_string_equal(gb_dataset_class_text(text, sizeof text, ds, 9), "Ankle boot");
    assert_string_equal(gb_dataset_class_text(text, sizeof text, ds, 10), "class 10");
    assert_non_null(strstr(logged, "Sandal"));
    gb_dataset_free(ds);
    refuse_with(GB_ERR_ARG, "fashion-mnist:train", "train-images", (gb_dataset_options){0});
    setenv("XDG_DATA_DIRS", "/nonexistent", 1);
    refuse_with(GB_ERR_IO, "fashion-mnist", "dataset-fashion-mnist", (gb_dataset_options){0});
    refuse_with(GB_ERR_IO, "no-such-set", "installed", (gb_dataset_options){0});
    refuse_with(GB_ERR_IO, "no/such/set", "No such file", (gb_dataset_options){0});
    unsetenv("XDG_DATA_DIRS");
}

static void check_refused(const char *what, const void *bytes, size_t size, int rank, int status)
{
    gb_idx idx;
    int err = gb_idx_decode(&idx, bytes, size, rank, "x");
    if (err != status || !strstr(gb_last_error(), what))
        fail_msg("%s: %d %s", what, err, gb_last_error());
    assert_null(idx.data);
}

static void test_idx_damaged(void **state)
{
    (void)state;
    uint8_t bytes[sizeof idx_images + 1], gzip[200];
    // Every shorter piece is refused, compressed or not, and so is a longer one.
    for (size_t n = 0; n <= sizeof bytes; n++) {
        gb_idx idx;
        memcpy(bytes, idx_images, n < sizeof idx_images ? n : sizeof idx_images);
        bytes[sizeof idx_images] = 0;
        const int want = n == sizeof idx_images ? 0 : GB_ERR_FORMAT;
        assert_err(want, gb_idx_decode(&idx, bytes, n, 3, "x"));
        free(idx.data);
        const size_t m = squeeze(gzip, sizeof gzip, bytes, n);
        assert_err(want, gb_idx_decode(&idx, gzip, m, 3, "x"));
        free(idx.data);
    }
    const size_t whole = squeeze(gzip, sizeof gzip, idx_images, sizeof idx_images);
    for (size_t n = 2; n < whole; n++) {
        gb_idx idx;
        assert_err(GB_ERR_FORMAT, gb_idx_decode(&idx, gzip, n, 3, "x"));
    }
    check_refused("truncated", gzip, whole - 3, 3, GB_ERR_FORMAT); // in the checksum at the end
    gzip[whole - 6] ^= 1;
    check_refused("damaged gzip", gzip, whole, 3, GB_ERR_FORMAT);
}

static void test_idx_headers(void **state)
{
    (void)state;
    uint8_t bytes[sizeof idx_images], gzip[200];
    check_refused("3 dimensions; labels have 1", idx_images, sizeof idx_images, 1, GB_ERR_FORMAT);
    check_refused("1 dimension; pictures have 3", idx_labels, sizeof idx_labels, 3,
                  GB_ERR_FORMAT);
    check_refused("not an idx file", "GIF89a", 6, 3, GB_ERR_FORMAT);
    memcpy(bytes, idx_images, sizeof bytes);
    bytes[2] = 0x0d; // floats
    check_refused("0x0d", bytes, sizeof bytes, 3, GB_ERR_UNSUPPORTED);
    bytes[2] = 8;
    bytes[7] = 0; // no pictures
    check_refused("size of 0", bytes, sizeof bytes, 3, GB_ERR_FORMAT);
    memset(bytes + 4, 0xff, 4);
    check_refused("where its header asks for", bytes, sizeof bytes, 3, GB_ERR_FORMAT);
    size_t n = squeeze(gzip, sizeof gzip, bytes, sizeof bytes); // 4 billion pictures in 40 bytes
    check_refused("cannot hold", gzip, n, 3, GB_ERR_FORMAT);
    memset(bytes + 8, 0xff, 4);
    check_refused("size of 4294967295", bytes, sizeof bytes, 3, GB_ERR_FORMAT);
}

static void test_idx_files_refused(void **state)
{
    (void)state;
    uint8_t labels[12] = {0, 0, 8, 1, 0, 0, 0, 4, 0, 1, 2, 3};
    put_file("odd/test-images-idx3-ubyte", idx_images, sizeof idx_images);
    refuse(GB_ERR_ARG, "odd", "no labels found");
    put_file("odd/test-labels-idx1-ubyte", labels, sizeof labels);
    refuse(GB_ERR_FORMAT, "odd", "has 3 pictures, but");
    put_file("odd/test-labels-idx1-ubyte", labels, 11);
    refuse(GB_ERR_FORMAT, "odd", "truncated");
    put_file("odd/test-labels-idx1-ubyte", "not this", 8);
    refuse(GB_ERR_FORMAT, "odd", "not an idx file");
    refuse(GB_ERR_ARG, "odd:train", "train-images");
}

// --- CIFAR-10 ---

static void test_cifar(void **state)
{
    (void)state;
    static const char names[] = "airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\n"
                                "truck\n\n";
    float x[3072];
    char text[300];
    int label;
    put_cifar("cifar/data_batch_1.bin", 3, 0);
    put_cifar("cifar/data_batch_2.bin", 4, 3);
    put_cifar("cifar/test_batch.bin", 2, 8);
    put_file("cifar/batches.meta.txt", names, sizeof names - 1);
    gb_dataset *ds = open_plain("cifar:train");
    assert_int_equal(ds->count, 7);
    assert_int_equal(ds->classes, 10);
    assert_int_equal(ds->split, GB_SPLIT_TRAIN);
    assert_non_null(strstr(logged, "no picture of 3 of 10 classes: horse, ship, truck"));
    assert_true(ds->channels == 3 && ds->height == 32 && ds->width == 32);
    assert_ok(gb_dataset_read(ds, 5, x, &label)); // the third of the second file
    assert_int_equal(label, 5);
    assert_string_equal(gb_dataset_class_text(text, sizeof text, ds, label), "dog");
    for (int i = 0; i < 3072; i++)
        assert_true(x[i] == (float)(20 + i / 1024) / 255.0f);
    gb_dataset_free(ds);
    ds = open_plain("cifar");
    assert_int_equal(ds->count, 2);
    assert_int_equal(ds->split, GB_SPLIT_TEST);
    gb_dataset_free(ds);
    ds = open_plain("cifar/data_batch_2.bin");
    assert_int_equal(ds->count, 4);
    assert_string_equal(gb_dataset_class_text(text, sizeof text, ds, 3), "cat");
    gb_dataset_free(ds);

    put_file("cifar/batches.meta.txt", "cat\ndog\n", 8);
    refuse(GB_ERR_FORMAT, "cifar", "names 2 classes");
    put_cifar("bad/data_batch_1.bin", 2, 9);
    refuse(GB_ERR_FORMAT, "bad/data_batch_1.bin", "picture 1 has label 10");
    refuse(GB_ERR_ARG, "bad", "no test_batch.bin");
    put_file("bad/test_batch.bin", idx_images, sizeof idx_images);
    refuse(GB_ERR_FORMAT, "bad", "truncated");
    put_file("bad/test_batch.bin", "", 0);
    refuse(GB_ERR_FORMAT, "bad", "truncated");
}

// --- folders ---

static void test_class_folders(void **state)
{
    (void)state;
    char text[300];
    float x[8];
    int label;
    put_picture("tree/b/2.png", 20);
    put_picture("tree/b/1.png", 10);
    put_picture("tree/a_cat/x.png", 30);
    put_picture("tree/C/y.png", 40);
    put_file("tree/README", "", 0);
    gb_dataset *ds = open_plain("tree"); // byte order: C, a_cat, b
    assert_int_equal(ds->count, 4);
    assert_int_equal(ds->classes, 3);
    assert_int_equal(ds->split, GB_SPLIT_ANY);
    assert_true(ds->channels == 1 && ds->height == 2 && ds->width == 4);
    static const int want[4][2] = {{0, 40}, {1, 30}, {2, 10}, {2, 20}};
    for (size_t i = 0; i < 4; i++) {
        assert_ok(gb_dataset_read(ds, i, x, &label));
        assert_int_equal(label, want[i][0]);
        assert_true(x[7] == (float)want[i][1] / 255.0f);
    }
    assert_string_equal(gb_dataset_class_text(text, sizeof text, ds, 1), "a_cat");
    assert_string_equal(gb_dataset_item_text(text, sizeof text, ds, 2), in_folder("tree/b/1.png"));
    gb_dataset_free(ds);
    refuse_with(GB_ERR_ARG, in_folder("tree"), "has 3 class folders, the model 5 classes",
                (gb_dataset_options){.classes = 5});
    refuse(GB_ERR_ARG, "tree:train", "has no train part");
    assert_ok(gb_make_dirs(in_folder("tree/empty")));
    refuse(GB_ERR_ARG, "tree", "tree/empty: no .jpg");
}

// Links among class folders: one to the whole is none of them, and no picture has two classes.
static void test_class_links(void **state)
{
    (void)state;
    put_picture("linked/a/1.png", 1);
    put_picture("linked/b/2.png", 2);
    assert_int_equal(0, symlink(".", in_folder("linked/self")));
    gb_dataset *ds = open_plain("linked");
    assert_true(ds->count == 2 && ds->classes == 2);
    gb_dataset_free(ds);
    assert_int_equal(0, symlink("a", in_folder("linked/c")));
    refuse(GB_ERR_ARG, "linked", "c are the same folder");
}

static void test_class_names(void **state)
{
    (void)state;
    static const char names[] = "0 n01 tench\n3 n02123159 tiger cat\n7 n02510455 giant panda\n";
    gb_labels labels;
    char text[100];
    put_picture("named/n02510455/a.png", 1);
    put_picture("named/tiger_cat/a.png", 2);
    assert_ok(gb_labels_decode(&labels, names, sizeof names - 1, "labels.txt"));
    const gb_dataset_options o = {.labels = &labels, .classes = 10};
    gb_dataset *ds = open_with(in_folder("named"), o);
    assert_int_equal(ds->classes, 10);
    assert_int_equal(ds->label[0], 7);
    assert_int_equal(ds->label[1], 3);
    assert_string_equal(gb_dataset_class_text(text, sizeof text, ds, 7), "giant panda");
    gb_dataset_free(ds);
    put_picture("named/giant panda/a.png", 1);
    refuse_with(GB_ERR_ARG, in_folder("named"), "are both class 7", o);
    put_picture("mythical/unicorn/a.png", 1);
    refuse_with(GB_ERR_ARG, in_folder("mythical"), "called 'unicorn'", o);
    gb_labels_finish(&labels);
}

// Folders that are numbers mean those, where byte order would make "10" the class 2.
static void test_class_numbers(void **state)
{
    (void)state;
    put_picture("digits/1/a.png", 1);
    put_picture("digits/10/a.png", 10);
    put_picture("digits/2/a.png", 2);
    gb_dataset *ds = open_plain("digits");
    assert_int_equal(ds->classes, 11);
    assert_int_equal(ds->label[1], 10);
    assert_int_equal(ds->label[2], 2);
    gb_dataset_free(ds);
    refuse_with(GB_ERR_ARG, in_folder("digits"), "0 to 9", (gb_dataset_options){.classes = 10});
}

static void test_parts(void **state)
{
    (void)state;
    put_picture("parts/train/a/1.png", 1);
    put_picture("parts/train/b/1.png", 1);
    put_picture("parts/val/a/2.png", 2);
    put_picture("parts/val/b/2.png", 2);
    put_picture("parts/val/b/3.png", 2);
    gb_dataset *ds = open_plain("parts");
    assert_int_equal(ds->count, 3);
    assert_int_equal(ds->split, GB_SPLIT_TEST);
    gb_dataset_free(ds);
    ds = open_plain("parts:train");
    assert_int_equal(ds->count, 2);
    assert_int_equal(ds->split, GB_SPLIT_TRAIN);
    gb_dataset_free(ds);
}

static void test_file_names(void **state)
{
    (void)state;
    put_picture("flat/cat_3.png", 9);
    put_picture("flat/dog_5.png", 9);
    gb_dataset *ds = open_plain("flat");
    assert_int_equal(ds->count, 2);
    assert_int_equal(ds->classes, 6);
    assert_true(ds->label[0] == 3 && ds->label[1] == 5);
    gb_dataset_free(ds);
    refuse(GB_ERR_ARG, "flat/dog_5.png", "say --label from-name"); // alone it may be a counter
    ds = open_with(in_folder("flat/dog_5.png"), (gb_dataset_options){.from = GB_LABEL_FILE});
    assert_true(ds->count == 1 && ds->label[0] == 5);
    assert_string_equal("file name", ds->label_source);
    gb_dataset_free(ds);
    put_picture("flat/what.png", 9);
    refuse(GB_ERR_ARG, "flat", "no label in its name");
    put_file("text", "hello", 5);
    refuse(GB_ERR_FORMAT, "text", "neither a JPEG nor a PNG");
    assert_ok(gb_make_dirs(in_folder("void")));
    refuse(GB_ERR_ARG, "void", "no pictures, class folders");
}

// As ImageNet's validation pictures come: numbered, with a list.
static void test_listed(void **state)
{
    static const char list[] = "val_0002.png 1\r\nval_0001.png 0\n\n";
    static const char wnids[] = "val_0001.png\tn02\t0\t0\n";
    static const char names[] = "0 n00000001 cat\n1 n00000002 dog\n";
    gb_labels labels;
    (void)state;
    put_picture("listed/val_0001.png", 9);
    put_picture("listed/val_0002.png", 9);
    put_file("list.txt", list, sizeof list - 1);
    char spec[600];
    snprintf(spec, sizeof spec, "%s,%s", in_folder("listed"), in_folder("list.txt"));
    gb_dataset *ds = open_with(spec, (gb_dataset_options){.classes = 2});
    assert_true(ds->count == 2 && ds->label[0] == 1 && ds->label[1] == 0);
    assert_string_equal("labels file", ds->label_source);
    gb_dataset_free(ds);
    refuse_with(GB_ERR_ARG, spec, "line 1: class 1 is out", (gb_dataset_options){.classes = 1});
    assert_ok(gb_labels_decode(&labels, names, sizeof names - 1, "names"));
    put_file("list.txt", "val_0002.png,n00000002,x\n", 25);
    ds = open_with(spec, (gb_dataset_options){.labels = &labels, .classes = 2});
    assert_true(ds->count == 1 && ds->label[0] == 1);
    gb_dataset_free(ds);
    gb_labels_finish(&labels);
    const gb_dataset_options two = {.classes = 2};
    put_file("list.txt", wnids, sizeof wnids - 1);
    refuse_with(GB_ERR_ARG, spec, "a name needs a labels file", two);
    put_file("list.txt", "val_0009.png 1\n", 15);
    refuse_with(GB_ERR_ARG, spec, "val_0009.png is no picture", two);
    put_file("list.txt", "val_0001.png\n", 13);
    refuse_with(GB_ERR_FORMAT, spec, "line 1: no NAME and LABEL", two);
    put_file("list.txt", "\n", 1);
    refuse_with(GB_ERR_FORMAT, spec, "lists no pictures", two);
}

// --- NPY ---

// A little-endian NPY of whole numbers of `size` bytes.
static void put_integers(const char *name, const char *type, int size, const int64_t *v, int n)
{
    uint8_t file[512];
    char dict[128];
    memset(file, ' ', 128);
    memcpy(file, "\x93NUMPY\x01\x00\x76\x00", 10);
    snprintf(dict, sizeof dict, "{'descr': '%s', 'fortran_order': False, 'shape': (%d,), }", type,
             n);
    memcpy(file + 10, dict, strlen(dict));
    for (int i = 0; i < n; i++)
        memcpy(file + 128 + i * size, &v[i], (size_t)size);
    put_file(name, file, 128 + (size_t)(n * size));
}

static void test_npy(void **state)
{
    (void)state;
    char spec[600];
    float data[12], x[4];
    int label;
    const int64_t dim[4] = {3, 1, 2, 2}, labels[4] = {1, 0, 5, 2};
    for (int i = 0; i < 12; i++)
        data[i] = (float)i / 11.0f;
    put_file("npy/x", "", 0);
    assert_ok(gb_npy_write(in_folder("npy/images.npy"), data, 4, dim));
    put_integers("npy/labels.npy", "<i8", 8, labels, 3);
    put_integers("npy/four.npy", "<i4", 4, labels, 4);
    put_integers("npy/three.npy", "<i4", 4, labels, 3);
    gb_dataset *ds = open_plain("npy/images.npy");
    assert_int_equal(ds->count, 3);
    assert_int_equal(ds->classes, 6);
    assert_ok(gb_dataset_read(ds, 2, x, &label));
    assert_int_equal(label, 5);
    assert_memory_equal(x, data + 8, sizeof x);
    gb_preproc p;
    assert_ok(gb_preproc_find(&p, "unit"));
    assert_ok(gb_preproc_fit_model(&p, 1, 4, 4));
    assert_err(GB_ERR_ARG, gb_dataset_fit(ds, &p));
    assert_non_null(strstr(gb_last_error(), "1x2x2, but the model takes 1x4x4"));
    gb_dataset_free(ds);
    snprintf(spec, sizeof spec, "%s,%s", in_folder("npy/images.npy"), in_folder("npy/three.npy"));
    gb_dataset_free(open_with(spec, (gb_dataset_options){0}));
    snprintf(spec, sizeof spec, "%s,%s", in_folder("npy/images.npy"), in_folder("npy/four.npy"));
    refuse_with(GB_ERR_FORMAT, spec, "has 3 pictures, but", (gb_dataset_options){0});
    snprintf(spec, sizeof spec, "%s,%s", in_folder("npy/images.npy"), in_folder("npy/images.npy"));
    refuse_with(GB_ERR_FORMAT, spec, "4 dimensions", (gb_dataset_options){0});
    assert_ok(gb_npy_write(in_folder("npy/labels.npy"), data, 1, (int64_t[]){3}));
    refuse(GB_ERR_FORMAT, "npy/images.npy", "label 1 is 0.0909091, no class");
    put_integers("npy/labels.npy", "<i8", 8, (int64_t[]){0, -1, 2}, 3);
    refuse(GB_ERR_ARG, "npy/images.npy", "[1]: has label -1");
}

// --- the model's size ---

static void test_fit(void **state)
{
    (void)state;
    float x[3 * 8 * 8];
    int label;
    gb_preproc p;
    put_file("fit/test-images", idx_images, sizeof idx_images);
    put_file("fit/test-labels", idx_labels, sizeof idx_labels);
    gb_dataset *ds = open_plain("fit");
    assert_ok(gb_preproc_find(&p, "unit"));
    assert_ok(gb_preproc_fit_model(&p, 3, 8, 8));
    assert_ok(gb_dataset_fit(ds, &p));
    assert_true(ds->channels == 3 && ds->height == 8 && ds->width == 8 && ds->pixels == 192);
    // The same way that a picture file of these pixels takes.
    gb_image picture = {2, 2, 1, (uint8_t *)(uintptr_t)idx_images + 16}, want;
    assert_ok(gb_preproc_image(&want, &picture, &p));
    float y[192];
    gb_image_to_chw(y, &want);
    gb_image_finish(&want);
    assert_ok(gb_dataset_read(ds, 0, x, &label));
    assert_int_equal(label, 2);
    assert_memory_equal(x, y, sizeof x);
    gb_dataset_free(ds);
    gb_dataset_free(NULL);
}

// Debian's package, where it is installed.
static void test_fashion_mnist(void **state)
{
    (void)state;
    if (!gb_path_is_folder("/usr/share/datasets/fashion-mnist")) {
        print_message("dataset-fashion-mnist is not installed\n");
        skip();
    }
    size_t count[10] = {0};
    gb_dataset *ds = open_with("fashion-mnist:train", (gb_dataset_options){.classes = 10});
    assert_int_equal(ds->count, 60000);
    for (size_t i = 0; i < ds->count; i++)
        count[ds->label[i]]++;
    for (int c = 0; c < 10; c++)
        assert_int_equal(count[c], 6000);
    gb_dataset_free(ds);
    ds = open_with("fashion-mnist", (gb_dataset_options){0});
    assert_int_equal(ds->count, 10000);
    assert_true(ds->height == 28 && ds->label[0] == 9); // an ankle boot comes first
    gb_dataset_free(ds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_idx),           cmocka_unit_test(test_installed),
        cmocka_unit_test(test_idx_damaged),   cmocka_unit_test(test_idx_headers),
        cmocka_unit_test(test_idx_files_refused), cmocka_unit_test(test_cifar),
        cmocka_unit_test(test_class_folders), cmocka_unit_test(test_class_links),
        cmocka_unit_test(test_class_names),
        cmocka_unit_test(test_class_numbers), cmocka_unit_test(test_parts),
        cmocka_unit_test(test_file_names),
        cmocka_unit_test(test_listed),    cmocka_unit_test(test_npy),
        cmocka_unit_test(test_fit),           cmocka_unit_test(test_fashion_mnist),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
