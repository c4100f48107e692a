// Forward and backward recorders that stand in files of their own, for the descriptors.
#ifndef GB_OP_RECORD_H
#define GB_OP_RECORD_H

#include "op/emit.h"

int gb_conv_forward(gb_emit *e, gb_node *node);
int gb_conv_backward(gb_emit *e, gb_node *node);
int gb_gemm_forward(gb_emit *e, gb_node *node);
int gb_gemm_backward(gb_emit *e, gb_node *node);
bool gb_gemm_is_layer(const gb_node *node); // weights and a bias, not a product of activations
int gb_matmul_forward(gb_emit *e, gb_node *node);
int gb_matmul_backward(gb_emit *e, gb_node *node);
int gb_max_pool_forward(gb_emit *e, gb_node *node);
int gb_max_pool_backward(gb_emit *e, gb_node *node);
int gb_average_pool_forward(gb_emit *e, gb_node *node);
int gb_average_pool_backward(gb_emit *e, gb_node *node);

#endif
