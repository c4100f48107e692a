// Checkpoints of training: the bytes as they are, and with a checksum that fits, which no fuzzer
// finds.
#include "train/checkpoint.h"

#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_it(const void *bytes, size_t size)
{
    static char settings[] = "optimizer adam\nlr 0.001\n";
    const gb_checkpoint want = {.model_hash = 1, .data_hash = 2, .settings = settings,
                                .n_param = 3, .n_state = 2};
    gb_checkpoint c;
    if (gb_checkpoint_decode(&c, bytes, size, "fuzz") < 0)
        return;
    gb_checkpoint_match(&c, &want, "fuzz");
    gb_checkpoint_finish(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t hash;
    read_it(data, size);
    uint8_t *copy = size >= sizeof hash ? malloc(size) : NULL;
    if (!copy)
        return 0;
    memcpy(copy, data, size);
    hash = gb_hash(GB_HASH_INIT, copy, size - sizeof hash);
    memcpy(copy + size - sizeof hash, &hash, sizeof hash);
    read_it(copy, size);
    free(copy);
    return 0;
}
