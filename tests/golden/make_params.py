#!/usr/bin/env python3
"""Makes params.bin: PyTorch's gradients of sum(seed * logits) by every float initializer of the tiny
networks of make_small.py, in double precision.

Usage: make_params.py (writes into data; needs torch and onnx, which running the test does not)

params.bin, little-endian: int32 models; each: char name[16] (of small_NAME.ts.onnx), int32
initializers; each: char name[16], int32 n, float32 gradient[n].
"""
import pathlib
import struct

import numpy as np
import torch
from torch.nn import functional as F

from onnx_torch import SIMPLE, OnnxTorch

DATA = pathlib.Path(__file__).parent / "data"
MODELS = ("cnn", "dense", "se", "vit", "convnext")


def squeeze(a, x, axes=None):
    for axis in sorted(a["axes"] if axes is None else axes.tolist(), reverse=True):
        x = x.squeeze(axis)
    return x


def layer_norm(a, x, scale, bias=None):
    assert a.get("axis", -1) == -1
    return F.layer_norm(x, x.shape[-1:], scale, bias, a.get("epsilon", 1e-5))


SIMPLE.update({
    "LeakyRelu": lambda a, x: F.leaky_relu(x, a.get("alpha", 0.01)),
    "Elu": lambda a, x: F.elu(x, a.get("alpha", 1.0)), "Sigmoid": lambda a, x: torch.sigmoid(x),
    "Softplus": lambda a, x: F.softplus(x, threshold=1e9),
    "HardSwish": lambda a, x: x * (x / 6 + 0.5).clamp(0, 1),
    "HardSigmoid": lambda a, x: (x * a.get("alpha", 0.2) + a.get("beta", 0.5)).clamp(0, 1),
    "LayerNormalization": layer_norm, "Erf": lambda a, x: torch.erf(x), "Squeeze": squeeze,
    "Equal": lambda a, x, y: x == y, "Where": lambda a, c, x, y: torch.where(c, x, y),
    "Expand": lambda a, x, shape: x.expand(torch.broadcast_shapes(x.shape, shape.tolist())),
    "Mod": lambda a, x, y: x % y, "Sqrt": lambda a, x: torch.sqrt(x),
    "Div": lambda a, x, y: x / y if x.is_floating_point() else x // y,
})


def text(name):
    data = name.encode()
    assert len(data) < 16
    return data.ljust(16, b"\0")


def main():
    out = [struct.pack("<i", len(MODELS))]
    for name in MODELS:
        net = OnnxTorch(str(DATA / f"small_{name}.ts.onnx"))
        leaves = {key: t.double().requires_grad_() for key, t in net.constants.items()
                  if t.is_floating_point()}
        net.constants.update(leaves)
        x, seed, want = (torch.tensor(np.load(DATA / f"small_{name}.{key}.npy")).double()
                         for key in ("input", "seed", "logits"))
        logits = net(x)
        assert torch.allclose(logits, want, atol=1e-5), name
        (logits * seed).sum().backward()
        out.append(text(name) + struct.pack("<i", len(leaves)))
        for key, leaf in leaves.items():
            grad = torch.zeros_like(leaf) if leaf.grad is None else leaf.grad
            out.append(text(key) + struct.pack("<i", leaf.numel()))
            out.append(grad.numpy().astype("<f4").tobytes())
    (DATA / "params.bin").write_bytes(b"".join(out))
    print(f"{sum(map(len, out)) / 1000:.0f} kB")


if __name__ == "__main__":
    main()
