// The ONNX project's operator cases: a folder each, with a model, its inputs and the outputs that
// are expected.
#ifndef GB_TEST_ONNX_CASES_H
#define GB_TEST_ONNX_CASES_H

#include "ir/ir.h"

enum { ONNX_CASE_MAX = 16 };

typedef struct onnx_case {
    char name[320];  // "node/test_add"
    gb_graph *graph; // as loaded, and of supported operators only
    size_t n_in, n_out;
    gb_tensor *in[ONNX_CASE_MAX];   // of graph->in
    gb_tensor *want[ONNX_CASE_MAX]; // of graph->out
} onnx_case;

typedef enum onnx_verdict { ONNX_PASS, ONNX_SKIP, ONNX_FAIL } onnx_verdict;

// Runs one case; `why` gets the reason of a skip or a failure.
typedef onnx_verdict (*onnx_run)(void *user, onnx_case *c, char *why, size_t size);

typedef struct onnx_counts {
    int ran, skipped, failed;
} onnx_counts;

// Runs every case of a group ("node", "simple") and prints the failures, and the number of skips by
// reason. Returns false if the group is not there. $GIBBON_ONNX_DATA is where the groups are;
// $GIBBON_ONNX_CASE names the one case to run.
bool onnx_cases(const char *group, onnx_run run, void *user, onnx_counts *counts);

// A group as a cmocka test, skipped where it is not there.
typedef struct onnx_group {
    const char *name;
    onnx_run run;
} onnx_group;
#define ONNX_GROUP(name, run) {name, onnx_group_test, NULL, NULL, &(onnx_group){name, run}}
void onnx_group_test(void **state); // *state: an onnx_group

// Compares with ONNX's own tolerances: |got - want| <= 1e-7 + 1e-3 |want|.
bool onnx_close(const gb_tensor *got, const gb_tensor *want, char *why, size_t size);

// gb_last_error() as a reason to be counted: the operator, but not the node's name.
void onnx_reason(char *why, size_t size);

#endif
