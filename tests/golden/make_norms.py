"""Makes tests/golden/data/norms.bin: normalisations and PReLU in training, forward and backward, by PyTorch.

usage: make_norms.py OUT.bin      (needs torch; the file is committed)

A sequence of cases for tests/op/test_norm_train.c, little-endian: int32 operator (0 to 3: batch,
instance and layer normalisation, PReLU), rank, 4 dimensions, parameters (elements of the scale or
slope; the bias has as many); then floats: x, dy, scale, bias and, for batch normalisation, the
running mean and variance; then the results y, dx, dscale, dbias and the new running ones. PReLU has
no bias. PyTorch computes in double; eps is 1e-5, ONNX's momentum 0.9.
"""
import struct
import sys

import torch
from torch.nn import functional as F

BATCH, INSTANCE, LAYER, PRELU = range(4)


def case(op, shape, parameters, offset=0.0):
    def noise(*size):
        return torch.randn(*size).float().double()

    x = (offset + noise(*shape)).float().double().requires_grad_()
    dy = noise(*shape)
    scale, bias = (noise(parameters).requires_grad_() for _ in range(2))
    mean, var = noise(parameters), noise(parameters).abs() + 0.5
    given = [x, dy, scale] + [bias] * (op != PRELU) + [mean, var] * (op == BATCH)
    given = [t.detach().clone() for t in given]
    if op == BATCH:
        y = F.batch_norm(x, mean, var, scale, bias, training=True, momentum=0.1, eps=1e-5)
    elif op == INSTANCE:
        y = F.instance_norm(x, weight=scale, bias=bias, eps=1e-5)
    elif op == LAYER:
        row = shape[-1:] if shape[-1] == parameters else shape[-2:]
        y = F.layer_norm(x, row, scale.reshape(row), bias.reshape(row), eps=1e-5)
    else:
        y = F.prelu(x, scale)
    y.backward(dy)
    made = [y, x.grad, scale.grad] + [bias.grad] * (op != PRELU) + [mean, var] * (op == BATCH)
    size = list(shape) + [1] * (4 - len(shape))
    return struct.pack("<7i", op, len(shape), *size, parameters) + b"".join(
        t.detach().float().numpy().tobytes() for t in given + made)


def main():
    torch.manual_seed(5)
    with open(sys.argv[1], "wb") as f:
        f.write(case(BATCH, (3, 5, 4, 6), 5))
        f.write(case(BATCH, (9, 17), 17))
        f.write(case(BATCH, (4, 3, 6, 6), 3, offset=1000.0))
        f.write(case(INSTANCE, (3, 5, 4, 6), 5))
        f.write(case(LAYER, (2, 7, 19), 19))
        f.write(case(LAYER, (2, 3, 4, 5), 20))
        f.write(case(PRELU, (3, 5, 4, 3), 5))


main()
