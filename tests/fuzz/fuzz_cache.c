// A compiled program as the kernel cache keeps it: only what was stored under the key comes back.
#include "device/internal.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const keys[] = {"", "fuzz", "platform|device|driver|gemm|-DMR=8|0123"};
    for (size_t i = 0; i < GB_COUNT(keys); i++) {
        size_t length;
        const uint8_t *sound = gb_cache_decode(&length, data, size, keys[i]);
        // What is taken lies in the file, to its end, behind its key.
        if (sound ? sound <= data || length == 0 || sound + length != data + size ||
                        !memmem(data, (size_t)(sound - data), keys[i], strlen(keys[i]))
                  : length != 0)
            abort();
    }
    return 0;
}
