// The sizes of matrix products.
#ifndef GB_OP_GEMM_H
#define GB_OP_GEMM_H

#include "ir/ir.h"

// Gemm: Y[m,n] = alpha * sum_k A'[m,k] * B'[k,n] + beta * C[m,n], with A' = A or A transposed. C is
// optional and broadcasts to Y.
typedef struct gb_gemm {
    int64_t m, n, k;
    bool trans_a, trans_b;
    float alpha, beta;
} gb_gemm;
int gb_gemm_read(const gb_node *node, gb_gemm *g);

// MatMul, as numpy's matmul: matrices of the last two dimensions; the leading ones are a batch that
// broadcasts. A vector on the left is a row, one on the right a column, and that dimension is
// dropped from the result.
typedef struct gb_matmul {
    int64_t m, n, k;
    gb_shape a, b;  // with the vectors made matrices
    gb_shape batch; // the broadcast leading dimensions
    gb_shape out;   // as ONNX has it
} gb_matmul;
int gb_matmul_read(const gb_node *node, gb_matmul *g);

#endif
