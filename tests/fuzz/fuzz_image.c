// The picture readers: JPEG, PNG and NPY, and the resizer over whatever came out, which must be
// what it makes of the rows while they are decoded.
#include "image/image.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    gb_image picture, want, got;
    gb_npy npy;
    // Decoding megapixels tells the fuzzer nothing new and makes it slow.
    enum { MAX_BYTES = 1 << 14, MAX_AREA = 1 << 22 };
    const gb_fit fit = {.resize = size % 3 ? 19 : 0, .width = 16, .height = 17,
                        .channels = size % 2 ? 3 : 0, .columns_first = size % 5 == 0};
    if (size > MAX_BYTES)
        return 0;
    const int read = gb_image_decode(&picture, data, size, "fuzz", 0);
    if (read == 0 && picture.width < MAX_AREA / picture.height) {
        if (gb_image_fit(&want, &picture, &fit) == 0) {
            if (gb_image_decode_fit(&got, data, size, "fuzz", &fit) < 0 ||
                memcmp(got.data, want.data, (size_t)(16 * 17 * got.channels)))
                abort();
            gb_image_finish(&want);
            gb_image_finish(&got);
        }
    } else if (read < 0 && gb_image_decode_fit(&got, data, size, "fuzz", &fit) == 0) {
        abort();
    }
    gb_image_finish(&picture);
    if (gb_npy_decode(&npy, data, size, "fuzz") == 0)
        gb_npy_finish(&npy);
    return 0;
}
