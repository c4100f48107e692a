// Built-in models: this program carries one of the golden models in place of the library's own.
#include "support/check.h"

#include "base/file.h"
#include "models/builtin.h"
#include "onnx/load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void embedded(void **state)
{
    char path[4096];
    void *bytes = NULL;
    size_t size = 0;
    gb_graph *model = NULL;
    const gb_arch *arch = NULL;
    (void)state;
    snprintf(path, sizeof path, "%s/fashion.onnx", getenv("GIBBON_GOLDEN"));
    assert_ok(gb_file_read(&bytes, &size, path));
    assert_string_equal("fashion", gb_builtin_models[0].name);
    assert_int_equal(size, gb_builtin_models[0].size);
    assert_memory_equal(bytes, gb_builtin_models[0].bytes, size);
    assert_null(gb_builtin_models[1].name);
    free(bytes);
    assert_ok(gb_model_read(&model, &arch, "builtin:fashion", NULL));
    assert_null(arch);
    assert_int_equal(28, model->in[0]->shape.dim[2]);
    gb_graph_free(model);
    assert_ok(gb_model_read(&model, NULL, path, NULL));
    gb_graph_free(model);
}

static void architectures(void **state)
{
    gb_graph *model = NULL;
    const gb_arch *arch = NULL;
    (void)state;
    assert_ok(gb_model_read(&model, &arch, "builtin:cnn-b", NULL));
    assert_string_equal("cnn-b", arch->name);
    gb_graph_free(model);
    assert_ok(gb_model_read(&model, NULL, "builtin:cnn-b", &(gb_arch_options){.classes = 3}));
    assert_int_equal(3, model->out[0]->shape.dim[1]);
    gb_graph_free(model);
}

static void refused(void **state)
{
    gb_graph *model = NULL;
    (void)state;
    assert_err(GB_ERR_ARG, gb_model_read(&model, NULL, "builtin:resnet50", NULL));
    assert_string_equal("no built-in model 'resnet50'; there are fashion, cnn-a, cnn-b, resnet-20, "
                        "resnet-56, wrn-28-10", gb_last_error());
    assert_err(GB_ERR_ARG, gb_model_read(&model, NULL, "builtin:", NULL));
    assert_err(GB_ERR_IO, gb_model_read(&model, NULL, "cnn-a", NULL)); // a file's name
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(embedded),
        cmocka_unit_test(architectures),
        cmocka_unit_test(refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
