// How a picture becomes a model's input: a preset, a JSON file, or a model's own metadata.
//
// The picture is resized and cropped to 8-bit pixels; those, in [0,1], are what attacks change. The
// model sees x[c] = (pixel[c] * range - mean[c]) / std[c], its channels reversed first if bgr, with
// mean and std in the model's channel order. That part runs on the device (gb_normalize).
//
// The JSON is one object; absent keys mean what the table says:
//     resize  the shorter side before cropping, 0: straight to the model's size        (0)
//     crop    N or [width, height], 0: the model's size                                (0)
//     bgr     true where the model wants blue first                                    (false)
//     range   what a full pixel becomes before mean is taken away: 1, 255, ...         (1)
//     mean    a number for all channels, or an array with one for each                 (0)
//     std     the same                                                                 (1)
#ifndef GB_IMAGE_PREPROC_H
#define GB_IMAGE_PREPROC_H

#include "image/image.h"

#define GB_PREPROC_META "gibbon.preprocess" // the metadata key of an ONNX file that holds the JSON

typedef struct gb_preproc {
    char name[32];
    int resize, crop_w, crop_h; // 0: see above
    bool bgr;
    float range, mean[4], std[4];
    int channels; // that mean and std were given for; 0: any number, all alike
    int64_t max_pixels; // files with larger pictures are refused; 0: GB_DEFAULT_PIXELS
} gb_preproc;

// `spec` is a preset's name or the path of a JSON file (recognised by ".json").
int gb_preproc_find(gb_preproc *out, const char *spec);
// The JSON itself; `name` is for messages and becomes the result's name.
int gb_preproc_parse(gb_preproc *out, const char *json, const char *name);
// The JSON of p, which parses to the same numbers. *out is malloc'ed.
int gb_preproc_json(char **out, const gb_preproc *p);
// The presets' names as "imagenet, inception, ...", for help texts.
const char *gb_preproc_names(void);

// Settles p for a model's input; 0 for a height or width that the model leaves open. Afterwards
// crop_w, crop_h and channels are what the model gets. A model's fixed size overrides the crop, and
// resize keeps its ratio to it: imagenet's 256 and 224 become 342 and 299.
int gb_preproc_fit_model(gb_preproc *p, int channels, int height, int width);
// For a model that takes whole pixels, 0 to 255, and normalises them itself: resizing and cropping
// alone. GB_ERR_ARG where `given`, the user's or the model's own word, also normalises.
int gb_preproc_whole(gb_preproc *p, bool given);
// Resizes and crops as settled, and makes it grey or RGB as the model wants. A picture that has the
// model's size already is taken as it is, so that an attack's saved result reads back unchanged.
int gb_preproc_image(gb_image *out, const gb_image *in, const gb_preproc *p);
int gb_preproc_read(gb_image *out, const char *path, const gb_preproc *p); // of a JPEG or PNG file
// The picture as the newest Pillow resizes it, where that is another (gb_fit_differs); else *out is
// empty.
int gb_preproc_read_newest(gb_image *out, const char *path, const gb_preproc *p);

// One line for people: "imagenet: resize 256, crop 224x224, RGB in 0..1, minus 0.485 0.456 0.406,
// over 0.229 0.224 0.225". Returns buf.
char *gb_preproc_text(char *buf, size_t size, const gb_preproc *p);

#endif
