// Fuzzes the model loader: decode, sort, prune and print; then the same bytes as a lone tensor.
#include "onnx/load.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    gb_graph *graph = NULL;
    gb_arena arena = {0};
    gb_tensor *tensor = NULL;
    const gb_value *first;
    // "." lets external data be resolved; the fuzzer runs where nothing worth reading lies.
    if (gb_onnx_decode(&graph, data, size, "fuzz.onnx", ".") == 0) {
        gb_graph_nonfinite(graph, &first);
        free(gb_graph_dump(graph));
        gb_graph_free(graph);
    }
    gb_onnx_decode_tensor(&tensor, &arena, data, size, "fuzz.pb");
    gb_arena_finish(&arena);
    return 0;
}
