#!/usr/bin/env python3
"""Writes PyTorch references for ONNX models that have no PyTorch source.

    reference_models.py OUTDIR MODEL.onnx ... [--images FOLDER] [--ref FOLDER]

Writes OUTDIR/STEM.{input,logits,seed,grad,logits64,grad64}.npy and a link STEM.onnx for
check_models.py. The reference itself is compared with onnxruntime, and with the recorded input and
output --ref/STEM_*_{input,output}.f32 where there is one.
"""
import argparse
import pathlib

import numpy as np
import onnxruntime
import torch
from torch.nn import functional as F

from export_torchvision import IMAGES
from onnx_torch import OnnxTorch
from torch_models import pictures, write_references


class OneByOne:
    """Runs a model picture by picture: many files fix the batch at 1."""

    def __init__(self, model):
        self.model = model

    def __call__(self, x):
        return torch.cat([self.model(one) for one in x.split(1)])

    def double(self):
        return self  # it computes in its input's type


def candidates(model, images, count=12):
    channels, height, width = model.shape[1:]
    x = pictures(images, count, 256)
    x = F.interpolate(x, (height, width), mode="bilinear", antialias=True)
    if channels == 1:
        x = x.mean(1, keepdim=True)
    # Caffe's networks read 0 to 255, less a mean.
    return x * 60 if "data_0" in model.input.name else x


def check(model, path, ref, x):
    with torch.no_grad():
        y = OneByOne(model)(x).numpy()
    session = onnxruntime.InferenceSession(path)
    half = session.get_inputs()[0].type == "tensor(float16)"
    x = x.numpy().astype(np.float16 if half else np.float32)
    want = np.concatenate([session.run(None, {model.input.name: one[None]})[0] for one in x])
    print(f"  onnxruntime: {np.linalg.norm(y - want) / np.linalg.norm(want):.1e}", end="")
    for file in ref.glob(f"{path.stem}_*_input.f32") if ref else []:
        one = np.fromfile(file, np.float32).reshape(1, *model.shape[1:])
        want = np.fromfile(str(file).replace("_input", "_output"), np.float32)
        y = model(torch.from_numpy(one)).detach().numpy().ravel()
        print(f", {file.name}: {np.linalg.norm(y - want) / np.linalg.norm(want):.1e}", end="")
    print(flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("outdir", type=pathlib.Path)
    parser.add_argument("models", nargs="+", type=pathlib.Path)
    parser.add_argument("--images", default=IMAGES)
    parser.add_argument("--ref", type=pathlib.Path, default=IMAGES.parents[1] / "ref")
    args = parser.parse_args()
    args.outdir.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    for path in args.models:
        model = OnnxTorch(str(path))
        x = write_references(OneByOne(model), candidates(model, args.images),
                             args.outdir / path.stem, keep=4)
        check(model, path, args.ref, x)
        link = args.outdir / path.name
        link.unlink(missing_ok=True)
        link.symlink_to(path.resolve())


if __name__ == "__main__":
    main()
