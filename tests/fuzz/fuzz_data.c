// The readers of data sets: an idx file of pictures or labels, plain or compressed, and CIFAR-10.
#include "data/internal.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    gb_idx idx;
    for (int rank = 1; rank <= 3; rank += 2) {
        if (gb_idx_decode(&idx, data, size, rank, "fuzz") == 0)
            free(idx.data);
    }
    gb_dataset ds = {0};
    for (int twice = 0; twice < 2; twice++)
        gb_cifar_append(&ds, data, size, "fuzz");
    free(ds.label);
    free(ds.bytes);
    return 0;
}
