// A session for an operator case, with its inputs uploaded.
#ifndef GB_TEST_ONNX_SESSION_H
#define GB_TEST_ONNX_SESSION_H

#include "engine/session.h"
#include "op/onnx_cases.h"

// Inputs of floats are given at run time, others are bound. Where an operator wants parameters to
// be constant (GB_ERR_UNSUPPORTED), one input is left free: the first that will do. free_input[i]:
// whether input i is. With `seed`, an output's name, gradients are planned too.
int onnx_session(gb_session **out, gb_device *dev, const onnx_case *c, const char *seed,
                 bool *free_input);

// The same where every input is a constant, and the device computes of constants all that it can.
int onnx_session_unfolded(gb_session **out, gb_device *dev, const onnx_case *c);

#endif
