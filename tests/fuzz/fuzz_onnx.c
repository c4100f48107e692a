// Fuzzes the model loader: decode, sort, prune, print and instantiate, then as a classifier up to
// its scores; then the same bytes as a lone tensor.
#include "classifier/classifier.h"
#include "engine/instance.h"
#include "engine/internal.h"
#include "onnx/load.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// The model as a classifier: changes it.
static void classify(gb_graph *graph)
{
    gb_classifier k;
    if (gb_classifier_open(&k, graph, &(gb_classifier_options){0}) < 0)
        return;
    for (int axis = 0; axis < 3; axis += 2) {
        const gb_session_options o = {.batch = 2, .scores = GB_SCORES_FIND, .class_axis = axis};
        gb_graph *instance = NULL;
        gb_head head;
        gb_prepare(&instance, &head, graph, &o);
        gb_graph_free(instance);
    }
    gb_classifier_wrap(&k, graph, gb_classifier_unwrap(&k, graph));
}

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
        classify(graph);
        gb_graph_free(graph);
    }
    gb_onnx_decode_tensor(&tensor, &arena, data, size, "fuzz.pb");
    gb_arena_finish(&arena);
    return 0;
}
