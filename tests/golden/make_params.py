#!/usr/bin/env python3
"""Makes params.bin: PyTorch's gradients of sum(seed * logits) by every float initializer of the
tiny networks of make_small.py, in double precision; and a residual network in training mode,
small_resnet.*, whose logits are by the statistics of the batch, with its new running statistics.

Usage: make_params.py (writes into data; needs torch and onnx, which running the test does not)

params.bin, little-endian: int32 models; each: char name[24] (of small_NAME.ts.onnx), int32
initializers; each: char name[24], int32 n, float32 gradient[n], or of running statistics what they
become.
"""
import copy
import pathlib
import struct

import numpy as np
import torch
from torch import nn
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
    assert len(data) < 24
    return data.ljust(24, b"\0")


class Block(nn.Module):
    def __init__(self, n, out, stride):
        super().__init__()
        self.c1, self.n1 = nn.Conv2d(n, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out)
        self.c2, self.n2 = nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out)
        if stride > 1:
            self.c3, self.n3 = nn.Conv2d(n, out, 1, stride), nn.BatchNorm2d(out, momentum=0.3)
        self.stride = stride

    def forward(self, x):
        y = self.n2(self.c2(torch.relu(self.n1(self.c1(x)))))
        return torch.relu(y + (self.n3(self.c3(x)) if self.stride > 1 else x))


def entries(pairs):
    """A model's initializers and what belongs to them."""
    yield struct.pack("<i", len(pairs))
    for key, values in pairs:
        yield text(key) + struct.pack("<i", values.numel())
        yield values.detach().numpy().astype("<f4").tobytes()


def make_resnet():
    torch.manual_seed(7)
    net = nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
                        Block(16, 16, 1), Block(16, 24, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                        nn.Linear(24, 5))
    for name, v in net.state_dict().items():
        if ".n" in name or name.startswith("1."):
            v.copy_(torch.rand_like(v.float()) + 0.5) if v.is_floating_point() else None
    x, seed = torch.randn(6, 3, 9, 9) + 0.3, torch.randn(6, 5)
    torch.onnx.export(copy.deepcopy(net).eval(), (x[:1],), str(DATA / "small_resnet.ts.onnx"),
                      opset_version=17, dynamo=False, do_constant_folding=False,
                      training=torch.onnx.TrainingMode.PRESERVE, input_names=["input"],
                      output_names=["logits"], dynamic_axes={"input": {0: "n"}, "logits": {0: "n"}})
    net.double().train()
    logits = net(x.double())
    (logits * seed).sum().backward()
    for key, values in (("input", x), ("seed", seed), ("logits", logits)):
        np.save(DATA / f"small_resnet.{key}.npy", values.detach().float().numpy())
    pairs = [(key, p.grad) for key, p in net.named_parameters()]
    return pairs + [(key, v) for key, v in net.named_buffers() if "running" in key]


def main():
    out = [struct.pack("<i", len(MODELS) + 1)]
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
        out += [text(name), *entries([
            (key, torch.zeros_like(leaf) if leaf.grad is None else leaf.grad)
            for key, leaf in leaves.items()])]
    out += [text("resnet"), *entries(make_resnet())]
    (DATA / "params.bin").write_bytes(b"".join(out))
    print(f"{sum(map(len, out)) / 1000:.0f} kB")


if __name__ == "__main__":
    main()
