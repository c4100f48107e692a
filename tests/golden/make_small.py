#!/usr/bin/env python3
"""Makes tests/golden/data/small_*: tiny networks of each family with PyTorch's results.

Each NAME.ts.onnx (TorchScript exporter, opset 17) and NAME.dynamo.onnx (opset 18) comes with
NAME.{input,seed,logits,grad}.npy: grad is the gradient of sum(seed * logits) by the input; logits
and grad are computed in float64. Needs torch, torchvision, onnx and onnxscript.
"""
import pathlib
import tempfile
import warnings

import numpy as np
import onnx
import torch
from torch import nn
from torchvision.models.convnext import CNBlockConfig, ConvNeXt
from torchvision.models.swin_transformer import SwinTransformer
from torchvision.models.vision_transformer import VisionTransformer
from torchvision.ops import SqueezeExcitation

from torch_models import export, pictures, settle, write_references

DATA = pathlib.Path(__file__).parent / "data"


def unit(inputs, outputs, kernel=3, stride=1, groups=1, act=nn.ReLU):
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups,
                                   bias=False), nn.BatchNorm2d(outputs), act())


class Residual(nn.Module):
    def __init__(self, *layers, act=None):
        super().__init__()
        self.layers, self.act = nn.Sequential(*layers), act or nn.Identity()

    def forward(self, x):
        return self.act(x + self.layers(x))


class Branches(nn.Module):
    def __init__(self, *branches):
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x):
        return torch.cat([branch(x) for branch in self.branches], 1)


def cnn():
    """Stride 2, a residual, grouped and depthwise convolutions, both pools, ceil_mode."""
    return nn.Sequential(
        unit(3, 8, 5, 2),
        Residual(unit(8, 8), unit(8, 8, act=nn.Identity), act=nn.ReLU()),
        unit(8, 8, 3, 1, groups=8, act=nn.ReLU6), unit(8, 12, 1), nn.MaxPool2d(3, 2, 1),
        unit(12, 12, 3, 1, groups=3), nn.AvgPool2d(2, 2, ceil_mode=True, count_include_pad=False),
        nn.Flatten(), nn.Linear(12 * 3 * 3, 10))


def dense():
    """Concatenations in the ways of Inception and DenseNet, and the activations in between."""
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, bias=True), nn.LeakyReLU(0.1),
        Branches(unit(6, 4, 1), nn.Sequential(unit(6, 3, 1), unit(3, 5, 3, act=nn.ELU)),
                 nn.Sequential(nn.AvgPool2d(3, 1, 1), unit(6, 3, 1, act=nn.Sigmoid))),
        Branches(nn.Identity(), unit(12, 4, 3, act=nn.SiLU)), nn.MaxPool2d(2),
        Branches(nn.Identity(), unit(16, 4, 3, act=nn.Softplus)),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(20, 10))


def squeeze_excite():
    """MobileNetV3's and EfficientNet's gates."""
    return nn.Sequential(
        unit(3, 8, 3, 2, act=nn.Hardswish),
        Residual(unit(8, 16, 1, act=nn.Hardswish), unit(16, 16, 5, 1, 16, act=nn.Hardswish),
                 SqueezeExcitation(16, 4, nn.ReLU, nn.Hardsigmoid),
                 unit(16, 8, 1, act=nn.Identity)),
        Residual(unit(8, 16, 1, act=nn.SiLU), SqueezeExcitation(16, 4, nn.SiLU, nn.Sigmoid),
                 unit(16, 8, 1, act=nn.Identity)),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))


def vit():
    return VisionTransformer(image_size=16, patch_size=4, num_layers=1, num_heads=2, hidden_dim=12,
                             mlp_dim=24, num_classes=10)


def swin():
    """A block of each kind: plain and shifted windows, and the merging of patches."""
    return SwinTransformer([2, 2], 8, [2, 1], [2, 2], [4, 4], mlp_ratio=2, num_classes=10)


def convnext():
    return ConvNeXt([CNBlockConfig(8, 12, 1), CNBlockConfig(12, None, 1)], num_classes=10)


# name: (maker, height, width)
MODELS = {"cnn": (cnn, 22, 21), "dense": (dense, 15, 16), "se": (squeeze_excite, 16, 15),
          "vit": (vit, 16, 16), "swin": (swin, 16, 16), "convnext": (convnext, 16, 16)}


def strip(path):
    """Drops what no loader reads, as names and notes outweigh these weights, and shortens names."""
    model = onnx.load(path)
    graph, short = model.graph, {"": "", "input": "input", "logits": "logits"}

    def rename(name):
        return short.setdefault(name, f"v{len(short)}")

    for holder in [graph, *graph.node, *graph.initializer, *graph.input, *graph.output]:
        holder.doc_string = ""
        if hasattr(holder, "metadata_props"):
            del holder.metadata_props[:]
    for tensor in graph.initializer:
        tensor.name = rename(tensor.name)
    for node in graph.node:
        node.name = ""
        node.input[:] = [rename(name) for name in node.input]
        node.output[:] = [rename(name) for name in node.output]
    del graph.value_info[:], model.metadata_props[:]
    onnx.checker.check_model(model)
    return model


def main():
    warnings.simplefilter("ignore")
    for name, (make, height, width) in MODELS.items():
        torch.manual_seed(1)
        size = max(height, width)
        model = settle(make(), pictures(None, 32, size)[:, :, :height, :width])
        candidates = pictures(None, 8, size)[:, :, :height, :width]
        with tempfile.TemporaryDirectory() as folder:
            x = write_references(model, candidates, f"{folder}/x")
            for key, source in (("input", "input"), ("seed", "seed"), ("logits", "logits64"),
                                ("grad", "grad64")):
                array = np.load(f"{folder}/x.{source}.npy").astype(np.float32)
                np.save(DATA / f"small_{name}.{key}.npy", array)
            for exporter, suffix in (("torchscript", "ts"), ("dynamo", "dynamo")):
                if (name, suffix) == ("swin", "ts"):
                    continue  # 90 kB of unrolled window masks
                path = f"{folder}/x.onnx"
                export(model, x, path, exporter)
                onnx.save(strip(path), DATA / f"small_{name}.{suffix}.onnx")
    total = sum(f.stat().st_size for f in DATA.glob("small_*"))
    print(f"{total / 1000:.0f} kB")


if __name__ == "__main__":
    main()
