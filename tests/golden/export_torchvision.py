#!/usr/bin/env python3
"""Exports torchvision's networks as ONNX, with random but sensible weights, and their references.

    export_torchvision.py OUTDIR [--models NAME ...] [--exporter torchscript|dynamo]
                          [--images FOLDER] [--smooth]

Writes NAME.EXPORTER.onnx and NAME.{input,logits,seed,grad,logits64,grad64}.npy for check_models.py.
Needs torch, torchvision, onnx, onnxscript and Pillow.
"""
import argparse
import pathlib
import time
import warnings

import torch
import torchvision

from torch_models import export, pictures, settle, write_references

MODELS = """alexnet vgg16 googlenet inception_v3 resnet50 resnext50_32x4d wide_resnet50_2
densenet121 squeezenet1_1 shufflenet_v2_x1_0 mobilenet_v2 mobilenet_v3_large mnasnet1_0
efficientnet_b0 efficientnet_v2_s regnet_y_400mf convnext_tiny vit_b_16 swin_t""".split()
IMAGES = pathlib.Path(__file__).resolve().parents[3] / "shared/data/images/imagenet"


def build(name, images):
    torch.manual_seed(0)
    options = {"weights": None}
    if name in ("googlenet", "inception_v3"):  # as its pretrained form is
        options |= {"aux_logits": False, "transform_input": True, "init_weights": True}
    size = 299 if name == "inception_v3" else 224
    model = getattr(torchvision.models, name)(**options)
    return settle(model, pictures(images, 8, size, skip=3)), pictures(images, 20, size)


def make_smooth():
    """ReLU becomes ELU and max pooling average pooling: no kinks that rounding could cross."""
    functional = torch.nn.functional
    functional.relu = lambda x, inplace=False: functional.elu(x)
    functional.max_pool2d = (
        lambda x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False,
        return_indices=False: functional.avg_pool2d(x, kernel_size, stride, padding, ceil_mode,
                                                    False))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("outdir", type=pathlib.Path)
    parser.add_argument("--models", nargs="+", default=MODELS, metavar="NAME")
    parser.add_argument("--exporter", choices=["torchscript", "dynamo"])
    parser.add_argument("--images", default=IMAGES, help="a folder of .JPEG files")
    parser.add_argument("--smooth", action="store_true", help="the same networks without kinks")
    args = parser.parse_args()
    if args.smooth:
        make_smooth()
    args.outdir.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")
    for name in args.models:
        start = time.time()
        model, candidates = build(name, args.images)
        x = write_references(model, candidates, args.outdir / name)
        for exporter in [args.exporter] if args.exporter else ["torchscript", "dynamo"]:
            path = args.outdir / f"{name}.{exporter}.onnx"
            batch = export(model, x, str(path), exporter)
            print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB, batch {batch}", flush=True)
        print(f"{name}: {time.time() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
