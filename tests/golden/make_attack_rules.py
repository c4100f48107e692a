#!/usr/bin/env python3
"""Makes attack_rules.bin: targeted walks on attack_model.onnx driven by PyTorch's own optimisers.

Usage: make_attack_rules.py (writes into data; needs torch and onnx, which running the test does not)

The loss is cross-entropy with the target minus that with the class that the model sees. Walks begin
at the images of attack_walks.bin. Each step moves the perturbation by torch.optim, in double, and
clips it to the ball and the box, or adds to it what its clipping makes, as the tutorial does with
levels of 0 to 255 (and without a box). PyTorch's Adam adds its epsilon to the corrected root, Keras's
to the bare one, so it is told a corrected epsilon.

attack_rules.bin, little-endian: each walk is int32 optimiser (gb_step_rule), tutorial, steps; float32
eps, step; int32 targets (n); float32 last iterate (n,c,h,w).
"""
import pathlib
import struct

import numpy as np
import torch

import onnx_torch

N, C, H, W = 3, 3, 9, 7
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
HERE = pathlib.Path(__file__).parent / "data"
SGD, ADAM, RMSPROP, ADAGRAD = 1, 2, 3, 4
WALKS = [  # optimiser, tutorial, steps, eps, step
    (SGD, 0, 6, 8 / 255, 0.05), (ADAM, 0, 6, 8 / 255, 2 / 255), (RMSPROP, 0, 6, 8 / 255, 2 / 255),
    (ADAGRAD, 0, 6, 8 / 255, 0.02), (SGD, 1, 12, 2 / 255 / 255, 0.05),
    (ADAGRAD, 1, 12, 2 / 255 / 255, 5 / 255),
]


def optimiser(which, p, rate):
    if which == SGD:
        return torch.optim.SGD([p], rate)
    if which == ADAM:
        return torch.optim.Adam([p], rate)
    if which == RMSPROP:
        return torch.optim.RMSprop([p], rate, alpha=0.9, eps=1e-7)
    return torch.optim.Adagrad([p], rate, initial_accumulator_value=0.1, eps=1e-7)


def walk(logits, x0, target, which, tutorial, steps, eps, step):
    unit = 255 if tutorial else 1
    p = torch.zeros_like(x0).requires_grad_()
    rule = optimiser(which, p, step * unit)
    source = logits(x0).argmax(1)
    for t in range(1, steps + 1):
        if which == ADAM:
            rule.param_groups[0]["eps"] = 1e-7 / (1 - 0.999 ** t) ** 0.5
        x = (x0 + p.detach() / unit).clamp(0, 1).requires_grad_()
        z = logits(x)
        ce = torch.nn.functional.cross_entropy
        loss = ce(z, target, reduction="sum") - ce(z, source, reduction="sum")
        p.grad, = torch.autograd.grad(loss, x)
        p.grad /= unit
        rule.step()
        with torch.no_grad():
            if tutorial:
                p += p.clamp(-eps * unit, eps * unit)
            else:
                p.copy_((x0 + p.clamp(-eps, eps)).clamp(0, 1) - x0)
    return (x0 + p.detach() / unit).clamp(0, 1)


def main():
    run = onnx_torch.OnnxTorch(str(HERE / "attack_model.onnx"))
    blob = (HERE / "attack_walks.bin").read_bytes()
    x0 = torch.from_numpy(np.frombuffer(blob, "<f4", N * C * H * W, 20).reshape(N, C, H, W).copy()).double()
    shape = (1, C, 1, 1)
    mean, std = (torch.tensor(v).double().view(shape) for v in (MEAN, STD))

    def logits(x):
        return run((x - mean) / std)

    labels = logits(x0).argmax(1)
    target = (labels + 2) % logits(x0).shape[1]
    with open(HERE / "attack_rules.bin", "wb") as f:
        for which, tutorial, steps, eps, step in WALKS:
            eps, step = (torch.tensor(v).item() for v in (eps, step))
            x = walk(logits, x0, target, which, tutorial, steps, eps, step)
            f.write(struct.pack("<3i2f", which, tutorial, steps, eps, step) + target.int().numpy().tobytes() +
                    x.float().numpy().tobytes())


main()
