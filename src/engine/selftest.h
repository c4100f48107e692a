// Small cases of every operator, on the device against the host reference: for people with a
// doubtful driver (`gibbon selftest`) and for the tests.
#ifndef GB_ENGINE_SELFTEST_H
#define GB_ENGINE_SELFTEST_H

#include "device/device.h"
#include "ir/ir.h"

// A chain of nodes over made-up inputs.
//
// in: one word for each input of the operator:
//     2x3x5      a variable of that shape, in [-2, 2], no value twice, away from 0
//     =5x3       a constant of floats, likewise            =s   a scalar one
//     (2,0.5)    a constant list of floats; (2) a scalar, (2,) a list of one
//     [0,2,-1]   a constant list of integers; [0,1;2,3] a matrix; [] an empty list; #3 a scalar
//     ?2x3       a constant of booleans
//     -          omitted
//   With + after = or in front of the shape: values in [0.25, 2.25]; with ~: in [-6, 6];
//   with %: in [-0.9, 0.9].
// attr: NAME=VALUE words: 2, 0.5, 1,2 (a list; 1, has one element), SAME_UPPER, (1.5,) a tensor.
// then: words for nodes that follow the first output: Relu, LeakyRelu, Relu6, Add (a new variable),
//     BatchNormalization (constants), And, Or, Xor (a constant), Equal (to 1), Where (choosing
//     between two new variables), Dense (three layers joined by Concat, as DenseNet has them),
//     Conv1 and Conv3 (convolutions of that edge, padded), or any other operator of one input.
typedef struct gb_case {
    const char *op;
    int opset;
    const char *in, *attr, *then; // attr and then may be NULL
    int n_out;                    // 0: one
    bool forward_only;            // piecewise constant, or without a gradient
} gb_case;

extern const gb_case gb_cases[];
extern const size_t gb_case_count;

// "Conv 2x3x7x9 =5x3x3x3 strides=2,2 | Relu". Returns buf.
char *gb_case_text(char *buf, size_t size, const gb_case *c);

// What lies between the graph's inputs and the case: operators see other memory layouts then, and
// more than one reader of a value.
typedef enum gb_case_form {
    GB_CASE_PLAIN,
    GB_CASE_SLICED,     // each variable is a slice of a larger input
    GB_CASE_TRANSPOSED, // each variable is a transposed input
    GB_CASE_ACTIVATED,  // each variable comes out of a LeakyRelu, whose mask waits for its reader
    GB_CASE_TWICE,      // the chain is there twice, and the outputs are added
    GB_CASE_PARAMETERS, // weights are parameters, read at every run, and get gradients
    GB_CASE_FORMS
} gb_case_form;
extern const char *const gb_case_form_name[GB_CASE_FORMS];

// Whether the form changes anything for the case.
bool gb_case_has_form(const gb_case *c, gb_case_form form);
// The case as a model.
int gb_case_graph(gb_graph **out, const gb_case *c, gb_case_form form);
// The values for an input of that model, in double but exact in float.
void gb_case_fill(gb_tensor *t, const gb_graph *graph, size_t input);

// Tolerances, relative to the largest magnitude in the tensor. A precision other than float32 adds
// what its rounding may do; gradients through functions that bend are then not compared.
#define GB_CASE_FORWARD_TOLERANCE 1e-5
#define GB_CASE_GRADIENT_TOLERANCE 1e-4

// Runs one case on the device, forward and backward, and compares: outputs with the reference, the
// vector-Jacobian product with central differences of the reference. GB_ERR_NUMERIC: they differ.
int gb_case_run(gb_device *dev, const gb_case *c, gb_case_form form);

// Every case whose operator is `only` (NULL: all) in every form that it has. `done` (may be NULL)
// is called after each with gb_case_run's status; it returns false to stop.
typedef struct gb_selftest_totals {
    size_t run, failed;
} gb_selftest_totals;
typedef bool gb_selftest_done(void *user, const gb_case *c, gb_case_form form, int status);
int gb_selftest(gb_selftest_totals *totals, gb_device *dev, const char *only,
                gb_selftest_done *done, void *user);

#endif
