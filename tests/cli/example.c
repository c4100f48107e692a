/* The library in 30 lines: MODEL.onnx PICTURE PRESET OUT.png writes a picture that fools the model.
 */
#include <gibbon.h>
#include <stdio.h>
#include <stdlib.h>

#define TRY(call) if ((call) < 0) return fprintf(stderr, "%s\n", gb_last_error()), 1

int main(int argc, char **argv)
{
    gb_device *dev;
    gb_model *model;
    gb_attack *attack;
    gb_attack_config config;
    gb_attack_result result;
    int c, h, w, seen;
    if (argc != 5)
        return fprintf(stderr, "usage: %s MODEL.onnx PICTURE PRESET OUT.png\n", argv[0]), 2;
    TRY(gb_device_open(&dev, NULL, NULL));
    TRY(gb_model_load(&model, argv[1]));
    TRY(gb_model_set_preprocess(model, argv[3]));
    TRY(gb_model_size(&c, &h, &w, model));
    float *image = malloc(sizeof(float) * c * h * w), *changed = malloc(sizeof(float) * c * h * w);
    TRY(gb_model_read_image(image, model, argv[2]));
    TRY(gb_attack_default(&config, "pgd"));
    config.eps = 8.0f / 255;
    TRY(gb_attack_open(&attack, dev, model, 1, &config));
    TRY(gb_attack_images(changed, &result, attack, image, NULL, 1, NULL));
    TRY(gb_attack_write_png(argv[4], attack, changed, image));
    TRY(gb_model_read_image(changed, model, argv[4])); /* what counts is the file */
    TRY(gb_attack_classify(&seen, attack, changed, 1));
    printf("class %d became %d after %d steps\n", result.label, seen, result.iterations);
    gb_attack_free(attack);
    gb_model_free(model);
    gb_device_close(dev);
    free(image);
    free(changed);
    return seen == result.label;
}
