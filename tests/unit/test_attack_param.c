// Attack settings: numbers and fractions, ranges, names, defaults.
#include "support/check.h"

#include "attack/attack.h"

#include <math.h>
#include <string.h>

static void test_eps(void **state)
{
    float v;
    (void)state;
    assert_ok(gb_parse_eps(&v, "8/255", "eps"));
    assert_true(v == 8.0f / 255);
    assert_ok(gb_parse_eps(&v, "0.5/2", "eps"));
    assert_true(v == 0.25f);
    assert_ok(gb_parse_eps(&v, "3e-2", "eps"));
    assert_true(v == 0.03f);
    static const char *const wrong[] = {"", "x", "8/", "/255", "8/255/2", "8 /255", "8/0", "nan",
                                        "inf", "1e999", "1e300", "0.03x", "8/nan", "-"};
    for (size_t i = 0; i < GB_COUNT(wrong); i++) {
        v = 7;
        assert_err(GB_ERR_ARG, gb_parse_eps(&v, wrong[i], "eps"));
        assert_true(v == 7);
        assert_non_null(strstr(gb_last_error(), "eps '"));
    }
    assert_err(GB_ERR_ARG, gb_parse_eps(&v, "8/0", "eps"));
    assert_non_null(strstr(gb_last_error(), "zero"));
}

static void set(gb_attack_config *config, const char *name, const char *text, int want)
{
    const gb_method *method;
    const gb_setting *param;
    assert_ok(gb_method_find(&method, config->method));
    assert_ok(gb_attack_setting(&param, method, name));
    assert_int_equal(want, gb_setting_set(config, param, text));
}

static void expect_text(const gb_attack_config *config, const char *name, const char *want)
{
    const gb_method *method;
    const gb_setting *param;
    char text[64];
    assert_ok(gb_method_find(&method, config->method));
    assert_ok(gb_attack_setting(&param, method, name));
    assert_string_equal(want, gb_setting_text(text, sizeof text, config, param));
}

static void test_set(void **state)
{
    gb_attack_config c;
    (void)state;
    assert_ok(gb_attack_default(&c, "pgd"));
    set(&c, "eps", "-8/255", GB_ERR_ARG);
    assert_non_null(strstr(gb_last_error(), "negative"));
    set(&c, "eps", "1/-4", GB_ERR_ARG);
    set(&c, "eps", "8/255", 0);
    set(&c, "step-size", "2/255", 0);
    set(&c, "steps", "40", 0);
    set(&c, "steps", "0", GB_ERR_ARG);
    set(&c, "steps", "4.5", GB_ERR_ARG);
    set(&c, "steps", "99999999999999999999", GB_ERR_ARG);
    set(&c, "norm", "l2", 0);
    set(&c, "norm", "l3", GB_ERR_ARG);
    assert_non_null(strstr(gb_last_error(), "linf, l2"));
    set(&c, "loss", "margin", 0);
    set(&c, "random-start", "no", 0);
    set(&c, "random-start", "maybe", GB_ERR_ARG);
    assert_int_equal(GB_NORM_L2, c.norm);
    assert_int_equal(GB_LOSS_MARGIN, c.loss);
    assert_int_equal(40, c.steps);
    assert_int_equal(0, c.random_start);
    assert_true(c.eps == 8.0f / 255 && c.step_size == 2.0f / 255);
    expect_text(&c, "eps", "8/255");
    expect_text(&c, "norm", "l2");
    expect_text(&c, "loss", "margin");
    expect_text(&c, "random-start", "no");
    expect_text(&c, "steps", "40");
    c.eps = 0.3f;
    expect_text(&c, "eps", "0.3");
    c.eps = NAN;
    expect_text(&c, "eps", "8/255 for linf, 1 for l2");
}

static void test_names(void **state)
{
    gb_attack_config c;
    const gb_method *method;
    const gb_setting *param;
    (void)state;
    assert_err(GB_ERR_ARG, gb_attack_default(&c, "pdg"));
    assert_non_null(strstr(gb_last_error(), "fgsm, pgd"));
    assert_err(GB_ERR_ARG, gb_method_find(&method, NULL));
    assert_ok(gb_method_find(&method, "fgsm"));
    assert_err(GB_ERR_ARG, gb_attack_setting(&param, method, "steps"));
    assert_non_null(strstr(gb_last_error(), "norm, eps, loss"));

    // Every name that a method lists is a parameter.
    size_t count;
    const gb_method *const *all = gb_method_all(&count);
    for (size_t i = 0; i < count; i++) {
        for (const char *const *name = all[i]->params; *name; name++)
            assert_ok(gb_attack_setting(&param, all[i], *name));
        c = all[i]->defaults;
        c.method = all[i]->name;
        assert_ok(gb_attack_resolve(&c));
    }
}

static void test_resolve(void **state)
{
    gb_attack_config c;
    (void)state;
    assert_ok(gb_attack_default(&c, "pgd"));
    c.steps = 20;
    assert_ok(gb_attack_resolve(&c));
    assert_true(c.eps == 8.0f / 255);
    assert_float_equal(2.5f * 8 / 255 / 20, c.step_size, 1e-9);

    assert_ok(gb_attack_default(&c, "fgsm"));
    c.eps = 0.1f;
    assert_ok(gb_attack_resolve(&c));
    assert_true(c.step_size == 0.1f);

    assert_ok(gb_attack_default(&c, "pgd"));
    c.norm = GB_NORM_L2;
    assert_ok(gb_attack_resolve(&c));
    assert_true(c.eps == 1.0f);

    static const struct {
        const char *method;
        gb_attack_config change;
        const char *says;
    } wrong[] = {
        {"pgd", {.eps = 8}, "8/255"},
        {"pgd", {.eps = -0.1f}, "eps"},
        {"pgd", {.eps = INFINITY}, "eps"},
        {"pgd", {.steps = -1}, "steps"},
        {"pgd", {.restarts = -2}, "restarts"},
        {"pgd", {.norm = (gb_norm)7}, "norm"},
        {"pgd", {.loss = (gb_loss)4}, "loss"},
        {"pgd", {.early_stop = 2}, "early-stop"},
        {"fgsm", {.steps = 5}, "pgd"},
        {"fgsm", {.restarts = 3}, "pgd"},
    };
    for (size_t i = 0; i < GB_COUNT(wrong); i++) {
        const gb_attack_config *w = &wrong[i].change;
        assert_ok(gb_attack_default(&c, wrong[i].method));
        c.eps = w->eps != 0 ? w->eps : c.eps;
        c.steps = w->steps ? w->steps : c.steps;
        c.restarts = w->restarts ? w->restarts : c.restarts;
        c.norm = w->norm ? w->norm : c.norm;
        c.loss = w->loss ? w->loss : c.loss;
        c.early_stop = w->early_stop ? w->early_stop : c.early_stop;
        assert_err(GB_ERR_ARG, gb_attack_resolve(&c));
        if (!strstr(gb_last_error(), wrong[i].says))
            fail_msg("case %zu says: %s", i, gb_last_error());
    }
    assert_ok(gb_attack_default(&c, "pgd"));
    c.restarts = 2;
    c.random_start = 0;
    assert_err(GB_ERR_ARG, gb_attack_resolve(&c));
    c.loss = GB_LOSS_NONE; // an attack without a loss is none
    assert_err(GB_ERR_ARG, gb_attack_resolve(&c));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_eps),
        cmocka_unit_test(test_set),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_resolve),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
