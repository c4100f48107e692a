// Fuzzes the model loader: decode, sort, prune, print and instantiate; then the same bytes as a
// lone tensor.
#include "engine/instance.h"
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
        for (int64_t batch = 0; batch < 4; batch += 3) {
            gb_graph *instance;
            if (gb_graph_instantiate(&instance, graph, batch, NULL, 0) == 0)
                gb_graph_free(instance);
        }
        gb_graph_free(graph);
    }
    gb_onnx_decode_tensor(&tensor, &arena, data, size, "fuzz.pb");
    gb_arena_finish(&arena);
    return 0;
}
