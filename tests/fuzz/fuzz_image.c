// The picture readers: JPEG, PNG and NPY, then the resizer over whatever came out.
#include "image/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    gb_image picture, fitted;
    gb_npy npy;
    // Decoding megapixels tells the fuzzer nothing new and makes it slow.
    enum { MAX_BYTES = 1 << 14, MAX_AREA = 1 << 22 };
    if (size > MAX_BYTES)
        return 0;
    if (gb_image_decode(&picture, data, size, "fuzz", 0) == 0) {
        if (picture.width < MAX_AREA / picture.height &&
            gb_image_fit(&fitted, &picture, 19, 16, 17) == 0)
            gb_image_finish(&fitted);
        gb_image_finish(&picture);
    }
    if (gb_npy_decode(&npy, data, size, "fuzz") == 0)
        gb_npy_finish(&npy);
    return 0;
}
