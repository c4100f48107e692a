// Lists of inputs, class names, and the labels in file and folder names.
#include "image/list.h"

#include "base/file.h"
#include "support/check.h"
#include "support/folder.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char imagenet[] = "0\tn01440764\ttench, Tinca tinca\n"
                               "134\tn02012849\tcrane\n"
                               "292\tn02129604\ttiger, Panthera tigris\n"
                               "282\tn02123159\ttiger cat\n"
                               "387\tn02509815\tlesser panda, red panda, panda\r\n"
                               "388\tn02510455\tgiant panda, panda, panda bear\n"
                               "517\tn03126707\tcrane\n";

static int decode(gb_labels *labels, const char *text)
{
    return gb_labels_decode(labels, text, strlen(text), "labels.txt");
}

static void test_labels_text(void **state)
{
    (void)state;
    gb_labels labels;
    char text[40];
    assert_ok(decode(&labels, imagenet));
    assert_int_equal(labels.count, 7);
    assert_string_equal(gb_labels_at(&labels, 387)->name, "lesser panda, red panda, panda");
    assert_string_equal(gb_labels_at(&labels, 387)->wnid, "n02509815");
    assert_null(gb_labels_at(&labels, 1));
    assert_null(gb_labels_at(&labels, -1));
    assert_null(gb_labels_at(&labels, (int64_t)1 << 32));
    assert_int_equal(gb_labels_wnid(&labels, "n02129604")->index, 292);
    assert_null(gb_labels_wnid(&labels, "n00000000"));
    assert_null(gb_labels_wnid(&labels, ""));
    assert_string_equal(gb_labels_text(text, sizeof text, &labels, 0), "tench");
    assert_string_equal(gb_labels_text(text, sizeof text, &labels, 5), "class 5");
    assert_string_equal(gb_labels_text(text, sizeof text, NULL, 5), "class 5");
    gb_labels_finish(&labels);
}

static void test_labels_forms(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int index;
        const char *wnid, *name;
    } cases[] = {
        {"airplane\nautomobile\nbird", 1, "", "automobile"},
        {"\xEF\xBB\xBF" "a\n b c \n\n", 1, "", "b c"},
        {"0\n1\n2\n", 2, "", "2"},                      // MNIST: the names are numbers
        {"3 wheeler\nplain car\n", 0, "", "3 wheeler"}, // not an index
        {"0 cat\n2 dog house\n", 2, "", "dog house"},
        {"n01440764 tench, Tinca tinca\nn01443537 goldfish\n", 1, "n01443537", "goldfish"},
        {"[\"a\", \"b\"]", 1, "", "b"},
        {"{\"7\": \"seven\", \"3\": \"three\"}", 3, "", "three"},
        {"{\"1\": [\"n01443537\", \"goldfish\"]}", 1, "n01443537", "goldfish"},
        // Lines: other ends, other separators, quotes, headings.
        {"a\rb\rc", 1, "", "b"},
        {"0,tench, Tinca tinca\r\n1,goldfish\r\n", 0, "", "tench, Tinca tinca"},
        {"0, cat\n1, dog\n", 1, "", "dog"},
        {"0;cat\n1;dog\n", 1, "", "dog"},
        {"0: 'tench, Tinca tinca',\n1: \"potter's wheel\",\n", 1, "", "potter's wheel"},
        {"0: tench, Tinca tinca\n1: goldfish\n", 0, "", "tench, Tinca tinca"},
        {"0 = cat\n1 = dog\n", 1, "", "dog"},
        {"0 -> cat\n1 -> dog\n", 1, "", "dog"},
        {"0 - cat\n1 - dog\n", 1, "", "dog"},
        {"0, \"tench, Tinca tinca\"\n1, \"dog\"\n", 0, "", "tench, Tinca tinca"},
        {"\"tench, Tinca tinca\",1\n\"dog\",0\n", 1, "", "tench, Tinca tinca"},
        {"index,name\n0,\"tench, Tinca tinca\"\n1,\"a \"\"b\"\"\"\n", 1, "", "a \"b\""},
        {"index,name\n0,\"tench, Tinca tinca\"\n1,x\n", 0, "", "tench, Tinca tinca"},
        {"name,class_id,count\ncat,1,3\ndog,0,4\n", 1, "", "cat"},
        {"ClassId;SignName\n0;Speed limit (20km/h)\n1;Stop\n", 0, "", "Speed limit (20km/h)"},
        {",label,name\n0,4,cat\n1,3,dog\n", 4, "", "cat"},
        {"wnid,name\nn01440764,tench\nn01443537,goldfish\n", 1, "n01443537", "goldfish"},
        {"0,n01440764,tench, Tinca tinca\n1,n01443537,goldfish\n", 0, "n01440764",
         "tench, Tinca tinca"},
        {"n02119789 1 kit_fox\nn02100735 0 English_setter\n", 1, "n02119789", "kit_fox"},
        {"n01440764\nn01443537\n", 1, "n01443537", "n01443537"},
        {"n01440764\ttench\nn01443537\tgoldfish\n", 1, "n01443537", "goldfish"},
        {"tench, Tinca tinca,1\ngoldfish,0\n", 1, "", "tench, Tinca tinca"},
        {"cat,1,n01440764\ndog,0,n01443537\n", 1, "n01440764", "cat"},
        {"cat 1\ndog 0\n", 1, "", "cat"},
        {"type 0\ntype 1\n", 1, "", "type 1"},
        {"area 51\narea 7\n", 0, "", "area 51"}, // not indices
        {"tench, Tinca tinca\ngoldfish\n", 0, "", "tench, Tinca tinca"},
        {"# the names\n# of classes\ncat\ndog\n", 1, "", "dog"},
        {"#cat\n#dog\n", 1, "", "#dog"},
        {"'cat',\n'dog'\n", 0, "", "cat"},
        {"0\t0\n1\t1\n", 1, "", "1"},
        {"0 none\n1 n01443537 goldfish\n", 1, "n01443537", "goldfish"},
        {"0,7,cat\n1,9,dog\n", 1, "", "dog"},
        {"707-320\n727-200\n737-400\n", 2, "", "737-400"},
        // Encodings.
        {"requin g\xe9" "ant\nb\n", 0, "", "requin g\xc3\xa9" "ant"},
        // Trees.
        {"{0: 'tench, Tinca tinca',\n 1: \"potter's\", 2: u'it\\'s \"x\"',}", 2, "",
         "it's \"x\""},
        {"classes = ('cat', 'dog')", 1, "", "dog"},
        {"labels = ['cat', # the first\n 'd\\xe9" "g',]\n", 1, "", "d\xc3\xa9" "g"},
        {"{0: ('n01440764', 'tench')}", 0, "n01440764", "tench"},
        {"{\"cat\": 0, \"dog\": 1}", 1, "", "dog"},
        {"{'n01440764': 0, 'n01443537': 1}", 1, "n01443537", "n01443537"},
        {"{\"0\": \"0\", \"1\": \"7\"}", 1, "", "7"},
        {"{\"a\": 1, \"id2label\": {\"0\": \"x\", \"1\": \"y\"}, \"label2id\": {}}", 1, "", "y"},
        {"{\"class_to_idx\": {\"cat\": 0, \"dog\": 1}}", 0, "", "cat"},
        {"{\"classes\": [\"cat\", \"dog\"]}", 1, "", "dog"},
    };
    for (size_t i = 0; i < GB_COUNT(cases); i++) {
        gb_labels labels;
        assert_ok(decode(&labels, cases[i].text));
        const gb_class *c = gb_labels_at(&labels, cases[i].index);
        assert_non_null(c);
        assert_string_equal(c->wnid, cases[i].wnid);
        assert_string_equal(c->name, cases[i].name);
        gb_labels_finish(&labels);
    }
}

// UTF-16 with and without its mark, in both orders; a pair of surrogates.
static void test_labels_wide(void **state)
{
    static const uint16_t text[] = {0xfeff, 'c', 'a', 't', '\r', '\n', 0xe9, 0xd83d, 0xde00, '\n'};
    uint8_t bytes[2 * GB_COUNT(text)];
    (void)state;
    for (int big = 0; big < 2; big++) {
        for (size_t i = 0; i < GB_COUNT(text); i++) {
            bytes[2 * i + !big] = (uint8_t)(text[i] >> 8);
            bytes[2 * i + big] = (uint8_t)text[i];
        }
        for (size_t mark = 0; mark < 2; mark++) {
            gb_labels labels;
            assert_ok(gb_labels_decode(&labels, bytes + 2 * mark, sizeof bytes - 2 * mark, "wide"));
            assert_int_equal(2, labels.count);
            assert_string_equal("cat", gb_labels_at(&labels, 0)->name);
            assert_string_equal("\xc3\xa9\xf0\x9f\x98\x80", gb_labels_at(&labels, 1)->name);
            gb_labels_finish(&labels);
        }
    }
}

static void test_labels_written(void **state)
{
    static const char *const names[] = {"T-shirt", NULL, "ankle boot, \"boot\"", "", "\xc3\xa4"};
    gb_labels labels;
    char *json = NULL, text[64];
    (void)state;
    assert_ok(gb_labels_json(&json, names, 5));
    assert_ok(gb_labels_decode(&labels, json, strlen(json), "written"));
    assert_int_equal(5, labels.count);
    assert_string_equal("T-shirt", gb_labels_at(&labels, 0)->name);
    assert_string_equal("class 1", gb_labels_text(text, sizeof text, &labels, 1));
    assert_string_equal("ankle boot, \"boot\"", gb_labels_at(&labels, 2)->name);
    assert_string_equal("class 3", gb_labels_at(&labels, 3)->name);
    assert_string_equal("\xc3\xa4", gb_labels_at(&labels, 4)->name);
    gb_labels_finish(&labels);
    free(json);
    assert_err(GB_ERR_FORMAT, gb_labels_json(&json, (const char *const[]){"\xff"}, 1));
}

static void test_labels_refused(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", "no class names"},           {"\n\n", "no class names"},
        {"a\n\nb\n", "line 2 is empty"},  {"1 a\n1 b\n", "twice"},
        {"99999999999 a\n", "range"},     {"[\"a\", 3]", "class 1"},
        {"{\"x\": \"a\"}", "\"x\""},      {"[\"a\"", "line 1"},
        {"{\"0\": [\"n1\"]}", "class 0"}, {"{\"-1\": \"a\"}", "\"-1\""},
        {"1. cat\n2. dog\n", "line 1, '1. cat', is neither"},
        {"0.0,cat\n1.0,dog\n", "line 1"},
        {"-1,none\n0,cat\n1,dog\n", "line 1"},
        {"0 cat\n1 dog\nhog\n", "line 3, 'hog', does not begin with a class index"},
        {"tench\n1,goldfish\n2,shark\n", "line 1"},
        {"name\ncat\ndog\n", "heading"},
        {"3,7,cat\n1,9,dog\n", "more than one number"},
        {"0,\n1,dog\n", "class 0 has no name"},
        {"item {\n  name: 'cat'\n}\n", "line 3"},
        {"  - cat\n  - dog\n", "YAML"},
        {"names:\n  - cat\n  - dog\n", "line 1"},
        {"nc: 2\nnames: ['cat', 'dog']\n", "line 2"},
        {"import x\nnames = ['cat']\n", "line 2"},
        {"<html>\ncat\n", "line 1"},
        {"cat\n# dogs\ndog\n", "comment"},
        {"n01440764 tench\nn01443537\n", "WordNet"},
        {"index,name\n0,cat,x\n1\n", "line"},
        {"{0: 'a' 1: 'b'}", "line 1"},
        {"{0: open('x')}", "line 1"},
        {"{'a': 0, 'b': 0}", "twice"},
        {"{\"n01440764\": \"tench\"}", "nor is what it stands for"},
        {"caf\xe9 \x92\n", "neither UTF-8, UTF-16 nor Latin-1"},
    };
    gb_labels labels;
    for (size_t i = 0; i < GB_COUNT(cases); i++) {
        assert_err(GB_ERR_FORMAT, decode(&labels, cases[i][0]));
        if (!strstr(gb_last_error(), cases[i][1]))
            fail_msg("'%s' -> %s", cases[i][0], gb_last_error());
        assert_int_equal(labels.count, 0);
    }
    assert_err(GB_ERR_FORMAT, gb_labels_decode(&labels, "a\0b", 3, "labels.txt"));
    assert_err(GB_ERR_FORMAT, gb_labels_decode(&labels, "\xff\xfe" "a", 3, "labels.txt"));
    assert_err(GB_ERR_FORMAT, gb_labels_decode(&labels, "\xff\xfe\0\xd8" "a\0", 6, "labels.txt"));
    assert_err(GB_ERR_IO, gb_labels_read(&labels, "/nonexistent"));
    assert_err(GB_ERR_IO, gb_labels_read(&labels, "/tmp"));
    assert_err(GB_ERR_IO, gb_labels_read(&labels, "/dev/null"));
    assert_int_equal(0, mkfifo(in_folder("fifo"), 0600));
    assert_err(GB_ERR_IO, gb_labels_read(&labels, in_folder("fifo")));
    put_file("huge.txt", "a\n", 2);
    assert_int_equal(0, truncate(in_folder("huge.txt"), (off_t)1 << 40));
    assert_err(GB_ERR_FORMAT, gb_labels_read(&labels, in_folder("huge.txt")));
    assert_non_null(strstr(gb_last_error(), "too many"));
    unlink(in_folder("fifo"));
    unlink(in_folder("huge.txt"));
}

static void test_find(void **state)
{
    (void)state;
    gb_labels labels;
    int found;
    static const struct {
        const char *text;
        int index;
    } cases[] = {{"388", 388},         {"n02510455", 388},   {"Giant Panda", 388},
                 {"red_panda", 387},   {"tiger", 292},       {"TINCA", 0},
                 {"tigris", 292},      {"panda bear", 388},  {"17", 17},
                 {"giant panda, panda, panda bear", 388}};
    assert_ok(decode(&labels, imagenet));
    for (size_t i = 0; i < GB_COUNT(cases); i++) {
        assert_ok(gb_labels_find(&found, &labels, cases[i].text, 1000));
        assert_int_equal(found, cases[i].index);
    }
    assert_err(GB_ERR_AMBIGUOUS, gb_labels_find(&found, &labels, "crane", 1000));
    assert_non_null(strstr(gb_last_error(), "134 crane; 517 crane"));
    assert_err(GB_ERR_AMBIGUOUS, gb_labels_find(&found, &labels, "panda", 1000));
    assert_err(GB_ERR_AMBIGUOUS, gb_labels_find(&found, &labels, "tig", 1000));
    assert_err(GB_ERR_ARG, gb_labels_find(&found, &labels, "unicorn", 1000));
    assert_non_null(strstr(gb_last_error(), "unicorn"));
    assert_err(GB_ERR_ARG, gb_labels_find(&found, &labels, "", 1000));
    assert_err(GB_ERR_ARG, gb_labels_find(&found, &labels, "1000", 1000));
    assert_non_null(strstr(gb_last_error(), "0 to 999"));
    assert_err(GB_ERR_ARG, gb_labels_find(&found, &labels, "giant panda", 10));
    assert_err(GB_ERR_ARG, gb_labels_find(&found, &labels, "99999999999999999999", 0));
    assert_err(GB_ERR_ARG, gb_labels_find(&found, &labels, "-1", 0));
    assert_err(GB_ERR_ARG, gb_labels_find(&found, NULL, "tiger", 1000));
    assert_non_null(strstr(gb_last_error(), "labels file"));
    assert_ok(gb_labels_find(&found, NULL, "3", 0));
    assert_int_equal(found, 3);
    gb_labels_finish(&labels);
}

// The real thing: ImageNet's names, and pictures whose file names hold their labels.
static void test_shared_data(void **state)
{
    (void)state;
    char path[4096];
    const char *shared = getenv("GIBBON_SHARED");
    gb_labels labels;
    gb_list list = {0};
    gb_preproc p;
    int found;
    snprintf(path, sizeof path, "%s/data/labels/imagenet_classes.txt", shared ? shared : "");
    if (!shared || access(path, R_OK) != 0) {
        print_message("%s is not there\n", path);
        skip();
    }
    assert_ok(gb_labels_read(&labels, path));
    assert_int_equal(labels.count, 1000);
    assert_ok(gb_labels_find(&found, &labels, "gibbon", 1000));
    assert_int_equal(found, 368);
    snprintf(path, sizeof path, "%s/data/images", shared);
    assert_ok(gb_list_add(&list, path));
    assert_true(list.count > 200);
    float *chw = malloc(3 * 224 * 224 * sizeof *chw);
    assert_non_null(chw);
    assert_ok(gb_preproc_find(&p, "imagenet"));
    assert_ok(gb_preproc_fit_model(&p, 3, 224, 224));
    for (size_t i = 0; i < list.count; i++) {
        assert_ok(gb_item_label(&found, &list.item[i], GB_LABEL_FILE, &labels, 1000));
        if (i % 8 == 0)
            assert_ok(gb_item_load(chw, &list.item[i], &p));
    }
    free(chw);
    gb_list_finish(&list);
    gb_labels_finish(&labels);
}

static void test_many_matches_fit(void **state)
{
    (void)state;
    static char text[40000];
    gb_labels labels;
    int found;
    size_t n = 0;
    for (int i = 0; i < 200; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%d thing %0150d\n", i, i);
    assert_ok(decode(&labels, text));
    assert_err(GB_ERR_AMBIGUOUS, gb_labels_find(&found, &labels, "thing", 0));
    assert_non_null(strstr(gb_last_error(), "; ..."));
    gb_labels_finish(&labels);
}

static void test_item_labels(void **state)
{
    (void)state;
    gb_labels labels;
    static const struct {
        const char *path;
        gb_label_from from;
        int label; // or the error
    } cases[] = {
        {"a/n02510455_giant_panda.JPEG", GB_LABEL_FILE, 388},
        {"n02510455.jpg", GB_LABEL_FILE, 388},
        {"ILSVRC2012_val_00000293_n02129604.JPEG", GB_LABEL_FILE, 292},
        {"cifar10_00_3.png", GB_LABEL_FILE, 3},
        {"x/y.z/mnist_7.png", GB_LABEL_FILE, 7},
        {"x/n00000001_a.png", GB_LABEL_FILE, GB_ERR_ARG},
        {"x_5000.png", GB_LABEL_FILE, GB_ERR_ARG},
        {"panda.png", GB_LABEL_FILE, GB_ERR_ARG},
        {"panda_.png", GB_LABEL_FILE, GB_ERR_ARG},
        {"panda_3b.png", GB_LABEL_FILE, GB_ERR_ARG},
        {"set/n02129604/x.png", GB_LABEL_FOLDER, 292},
        {"set/tiger_cat/x.png", GB_LABEL_FOLDER, 282},
        {"12/x.png", GB_LABEL_FOLDER, 12},
        {"set/crane/x.png", GB_LABEL_FOLDER, GB_ERR_AMBIGUOUS},
        {"x.png", GB_LABEL_FOLDER, GB_ERR_ARG},
        {"./x.png", GB_LABEL_FOLDER, GB_ERR_ARG},
        {"/x.png", GB_LABEL_FOLDER, GB_ERR_ARG},
    };
    assert_ok(decode(&labels, imagenet));
    for (size_t i = 0; i < GB_COUNT(cases); i++) {
        const gb_item item = {cases[i].path, -1, false};
        int label = -1, err = gb_item_label(&label, &item, cases[i].from, &labels, 1000);
        if ((err < 0 ? err : label) != cases[i].label)
            fail_msg("%s -> %d %d %s", cases[i].path, err, label, gb_last_error());
        if (err < 0)
            assert_non_null(strstr(gb_last_error(), cases[i].path));
    }
    const gb_item panda = {"n02510455_x.jpg", -1, false};
    int label;
    assert_err(GB_ERR_ARG, gb_item_label(&label, &panda, GB_LABEL_FILE, NULL, 1000));
    gb_labels_finish(&labels);
}

// Which sets of names are taken for labels without being asked for.
static void test_names_of_a_set(void **state)
{
    (void)state;
    static const struct {
        const char *names[5], *doubt; // NULL: labels
    } cases[] = {
        {{"cifar10_00_3.png", "cifar10_01_8.png", "cifar10_02_8.png"}, NULL},
        {{"a/cifar10_00_3.png"}, NULL}, // something else counts
        {{"a_0.png", "b_3.png"}, NULL},
        {{"a_0.png", "b_1.png", "c_2.png"}, NULL}, // one of each class
        {{"cat_3.png", "dog_5.png", "hog_5.png"}, NULL},
        {{"n02510455_1.JPEG", "n02510455_2.JPEG"}, NULL}, // the ID is the label
        {{"val_00000001_n02510455.JPEG", "val_00000002_n02129604.JPEG"}, NULL},
        {{"d/x_2.png", "e/x_7.png"}, NULL},
        {{"val_00000001.JPEG", "val_00000002.JPEG"}, "val_00000001.JPEG: the number in its name"},
        {{"a_01.png", "b_07.png"}, "zeros"},
        {{"frame_1.png", "frame_2.png", "frame_17.png"}, "all that tells it from another"},
        {{"cat_1.png", "cat_2.png", "dog_1.png"}, "cat_2.png"},
        {{"val_0.JPEG", "val_3.JPEG"}, "all that tells it"},
        {{"IMG_20240131_930.jpg", "IMG_20240203_412.jpg"}, "date"},
        {{"x-2023-12-01_7.png", "y-2023-12-01_9.png"}, "date"},
        {{"cat_224.png", "dog_224.png"}, "the same in every name"},
        {{"beach_1.png", "hill_2.png", "town_3.png"}, "can count"},
        {{"dog_5.png"}, "can count"},
        {{"DSC01234.JPG", "DSC01235.JPG"}, "no label in its name"},
        {{"P1010001.JPG"}, "no label in its name"},
        {{"cat_3 (1).png", "dog_4.png", "hog_4.png"}, "no label in its name"},
        {{"photo1.png", "photo2.png"}, "no label in its name"},
        {{"7.png", "8.png"}, "no label in its name"},
    };
    gb_labels labels;
    assert_ok(decode(&labels, imagenet));
    for (size_t i = 0; i < GB_COUNT(cases); i++) {
        gb_item item[5];
        int label[5];
        const char *source;
        gb_list list = {.item = item};
        for (; list.count < 5 && cases[i].names[list.count]; list.count++)
            item[list.count] = (gb_item){cases[i].names[list.count], -1, false};
        int err = gb_list_labels(label, &source, &list, GB_LABEL_AUTO, &labels, 1000);
        if ((err < 0) != (cases[i].doubt != NULL) ||
            (err < 0 && !strstr(gb_last_error(), cases[i].doubt)))
            fail_msg("%s: %d %s", cases[i].names[0], err, err < 0 ? gb_last_error() : "");
    }
    // What is asked for is done.
    gb_item item[2] = {{"val_0007.png", -1, false}, {"val_0012.png", -1, false}};
    const gb_list list = {.item = item, .count = 2};
    const char *source;
    int label[2];
    assert_ok(gb_list_labels(label, &source, &list, GB_LABEL_FILE, &labels, 1000));
    assert_true(label[0] == 7 && label[1] == 12);
    assert_string_equal("the ends of the file names", source);
    gb_labels_finish(&labels);
}

// --- lists, in a folder of our own ---

static int set_up(void **state)
{
    (void)state;
    static const char *const files[] = {"b.png", "a.JPEG", "c.jpg", "note.txt", ".hidden.png",
                                        "cats/2.png", "cats/1.png", "cats/deep/0.png",
                                        "birds/z.PNG", "none/readme", "none/x.npy"};
    gb_image image;
    if (test_folder_make() < 0 || gb_image_init(&image, 4, 2, 3) < 0)
        return -1;
    for (int i = 0; i < 24; i++)
        image.data[i] = (uint8_t)(i * 10);
    gb_make_dirs(in_folder("cats/deep"));
    gb_make_dirs(in_folder("birds"));
    gb_make_dirs(in_folder("none"));
    int err = 0;
    for (size_t i = 0; i < GB_COUNT(files); i++)
        err |= gb_image_write_png(in_folder(files[i]), &image);
    gb_image_finish(&image);
    err |= symlink("nowhere", in_folder("dangling.png"));
    return err;
}

static int tear_down(void **state)
{
    (void)state;
    return test_folder_remove();
}

static void test_folder(void **state)
{
    (void)state;
    static const char *const want[] = {"a.JPEG", "b.png", "c.jpg", "birds/z.PNG", "cats/1.png",
                                       "cats/2.png"};
    for (int slash = 0; slash < 2; slash++) {
        gb_list list = {0};
        assert_ok(gb_list_add(&list, slash ? in_folder("") : test_folder_));
        assert_int_equal(list.count, GB_COUNT(want));
        for (size_t i = 0; i < list.count; i++) {
            assert_string_equal(list.item[i].path, in_folder(want[i]));
            assert_true(list.item[i].row == -1 && !list.item[i].npy);
        }
        gb_list_finish(&list);
    }
}

// A folder is listed once, however it is reached; what cannot be read is counted.
static void test_links_and_others(void **state)
{
    (void)state;
    gb_image image;
    gb_list list = {0};
    char text[400];
    assert_ok(gb_image_init(&image, 2, 2, 3));
    assert_ok(gb_make_dirs(in_folder("loop/a/b/c")));
    assert_ok(gb_image_write_png(in_folder("loop/x.png"), &image));
    assert_ok(gb_image_write_png(in_folder("loop/a/y.png"), &image));
    assert_int_equal(0, symlink(".", in_folder("loop/self")));
    assert_int_equal(0, symlink("..", in_folder("loop/a/up")));
    assert_int_equal(0, symlink("a", in_folder("loop/z")));
    gb_image_finish(&image);
    assert_ok(gb_list_add(&list, in_folder("loop")));
    assert_int_equal(2, list.count);
    assert_string_equal("1 folder lies too deep", gb_list_skipped_text(text, sizeof text, &list));
    assert_ok(gb_list_add(&list, in_folder("loop"))); // asked for twice, there twice
    assert_int_equal(4, list.count);
    gb_list_finish(&list);

    put_file("mixed/a.webp", "x", 1);
    put_file("mixed/b.BMP", "x", 1);
    put_file("mixed/notes.txt", "x", 1);
    assert_int_equal(0, symlink("nowhere", in_folder("mixed/d.jpg")));
    assert_err(GB_ERR_ARG, gb_list_add(&list, in_folder("mixed")));
    assert_non_null(strstr(gb_last_error(), "this folder; 3 pictures are skipped"));
    assert_int_equal(3, list.skipped);
    gb_list_skipped_text(text, sizeof text, &list);
    assert_non_null(strstr(text, "3 pictures are skipped: not a JPEG or PNG file ("));
    assert_non_null(strstr(text, "a.webp"));
    gb_list_finish(&list);
}

static void test_arguments(void **state)
{
    (void)state;
    gb_list list = {0};
    char text[256];
    assert_ok(gb_list_add(&list, in_folder("note.txt"))); // content decides what it is
    assert_ok(gb_list_add(&list, in_folder("cats")));
    assert_int_equal(list.count, 4); // here deep/ is the one level
    assert_string_equal(list.item[3].path, in_folder("cats/deep/0.png"));
    assert_string_equal(gb_item_stem(text, sizeof text, &list.item[3]), "0");
    gb_list_finish(&list);

    list = (gb_list){0};
    assert_err(GB_ERR_ARG, gb_list_add(&list, in_folder("none")));
    assert_non_null(strstr(gb_last_error(), "no .jpg"));
    assert_err(GB_ERR_IO, gb_list_add(&list, in_folder("missing.png")));
    assert_err(GB_ERR_FORMAT, gb_list_add(&list, in_folder("none/x.npy"))); // a PNG in truth
    assert_int_equal(list.count, 0);
    gb_list_finish(&list);
}

static void test_npy(void **state)
{
    (void)state;
    const int64_t dim[4] = {2, 1, 2, 3};
    float data[12], out[6];
    char text[256];
    gb_list list = {0};
    gb_preproc p;
    for (int i = 0; i < 12; i++)
        data[i] = (float)i / 11.0f;
    assert_ok(gb_npy_write(in_folder("set.npy"), data, 4, dim));
    assert_ok(gb_npy_write(in_folder("one.npy"), data, 3, dim + 1));
    assert_ok(gb_npy_write(in_folder("flat.npy"), data, 2, dim + 2));
    assert_ok(gb_list_add(&list, in_folder("set.npy")));
    assert_ok(gb_list_add(&list, in_folder("one.npy")));
    assert_err(GB_ERR_FORMAT, gb_list_add(&list, in_folder("flat.npy")));
    static const int64_t empty[][4] = {{0, 3, 2, 2}, {1000000000, 0, 2, 2}, {1000000000, 3, 0, 2},
                                       {1000000000, 3, 2, 0}};
    for (size_t i = 0; i < GB_COUNT(empty); i++) {
        assert_ok(gb_npy_write(in_folder("empty.npy"), data, 4, empty[i]));
        assert_err(GB_ERR_FORMAT, gb_list_add(&list, in_folder("empty.npy")));
        assert_non_null(strstr(gb_last_error(), "holds no pixel"));
        if (i == 0)
            continue;
        assert_ok(gb_npy_write(in_folder("empty.npy"), data, 3, empty[i] + 1));
        assert_err(GB_ERR_FORMAT, gb_list_add(&list, in_folder("empty.npy")));
    }
    assert_int_equal(list.count, 3);
    assert_string_equal(gb_item_stem(text, sizeof text, &list.item[1]), "set_1");
    assert_string_equal(strrchr(gb_item_text(text, sizeof text, &list.item[1]), '/'),
                        "/set.npy[1]");
    assert_string_equal(gb_item_stem(text, sizeof text, &list.item[2]), "one");

    assert_ok(gb_preproc_find(&p, "unit"));
    assert_ok(gb_preproc_fit_model(&p, 1, 2, 3));
    assert_ok(gb_item_load(out, &list.item[1], &p));
    assert_memory_equal(out, data + 6, sizeof out);
    assert_ok(gb_item_load(out, &list.item[2], &p));
    assert_memory_equal(out, data, sizeof out);

    assert_ok(gb_preproc_find(&p, "unit"));
    assert_ok(gb_preproc_fit_model(&p, 1, 3, 2));
    assert_err(GB_ERR_FORMAT, gb_item_load(out, &list.item[1], &p));
    assert_non_null(strstr(gb_last_error(), "1x2x3"));
    // Where the model is known, an array of another size is not listed at all.
    gb_list fitted = {.fit = &p};
    assert_err(GB_ERR_FORMAT, gb_list_add(&fitted, in_folder("set.npy")));
    assert_non_null(strstr(gb_last_error(), "set.npy: pictures of 1x2x3, but the model takes 1x3"));
    assert_int_equal(fitted.count, 0);
    assert_ok(gb_preproc_fit_model(&p, 1, 2, 3));
    assert_ok(gb_list_add(&fitted, in_folder("set.npy")));
    assert_int_equal(fitted.count, 2);
    gb_list_finish(&fitted);
    static const float bad[3] = {1.5f, -0.1f, NAN};
    for (size_t i = 0; i < GB_COUNT(bad); i++) {
        data[1] = bad[i];
        assert_ok(gb_npy_write(in_folder("one.npy"), data, 3, dim + 1));
        assert_err(GB_ERR_ARG, gb_item_load(out, &list.item[2], &p));
    }
    assert_ok(gb_npy_write(in_folder("set.npy"), data, 4, dim));
    assert_err(GB_ERR_ARG, gb_item_load(out, &list.item[0], &p));
    assert_non_null(strstr(gb_last_error(), "/set.npy[0]: holds nan"));
    gb_list_finish(&list);
}

static void test_load_picture(void **state)
{
    (void)state;
    gb_preproc p;
    float out[24];
    gb_item item = {in_folder("b.png"), -1, false};
    assert_ok(gb_preproc_find(&p, "unit"));
    assert_ok(gb_preproc_fit_model(&p, 3, 2, 4));
    assert_ok(gb_item_load(out, &item, &p));
    for (int c = 0; c < 3; c++)
        for (int i = 0; i < 8; i++)
            assert_true(out[c * 8 + i] == (float)((3 * i + c) * 10) / 255.0f);
    item.path = in_folder("dangling.png");
    assert_err(GB_ERR_IO, gb_item_load(out, &item, &p));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_labels_text),      cmocka_unit_test(test_labels_forms),
        cmocka_unit_test(test_labels_refused),   cmocka_unit_test(test_labels_wide),
        cmocka_unit_test(test_labels_written),
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_many_matches_fit), cmocka_unit_test(test_item_labels),
        cmocka_unit_test(test_names_of_a_set),
        cmocka_unit_test(test_folder),           cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_npy),              cmocka_unit_test(test_load_picture),
        cmocka_unit_test(test_links_and_others), cmocka_unit_test(test_shared_data),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
