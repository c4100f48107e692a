// Attacks a grey picture: how little must change before the model sees something else?
#include <gibbon.h>
#include <stdio.h>
#include <stdlib.h>

static void check(int status)
{
    if (status < 0) {
        fprintf(stderr, "%s\n", gb_last_error());
        exit(1);
    }
}

int main(int argc, char **argv)
{
    gb_device *device = NULL;
    gb_model *model = NULL;
    gb_attack *attack = NULL;
    gb_attack_config config;
    gb_attack_result result;
    int channels, height, width, classes, label = 0;

    check(gb_device_open(&device, NULL, NULL)); // $GIBBON_DEVICE, or the best there is
    check(gb_model_load(&model, argc > 1 ? argv[1] : "model.onnx"));
    check(gb_model_size(model, &channels, &height, &width, &classes));
    check(gb_attack_default(&config, "pgd"));
    config.eps = 8.0f / 255;
    check(gb_attack_open(&attack, device, model, 1, &config));

    size_t count = (size_t)(channels * height * width); // (C,H,W), pixels from 0 to 1
    float *image = malloc(count * sizeof *image);
    for (size_t i = 0; image && i < count; i++)
        image[i] = 0.5f;
    check(gb_attack_images(image, &result, attack, image, &label, 1, NULL));
    printf("class %d of %d, linf %.4f: %s\n", result.predicted, classes, result.linf,
           result.success ? "not class 0" : "still class 0");

    free(image);
    gb_attack_free(attack);
    gb_model_free(model);
    gb_device_close(device);
    return 0;
}
