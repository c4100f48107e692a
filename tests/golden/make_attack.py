#!/usr/bin/env python3
"""Makes attack_model.onnx and attack_walks.bin: a small smooth classifier and the iterates of FGSM and
PGD on it, computed by PyTorch in double precision.

Usage: make_attack.py (writes into data; needs torch and onnx, which running the test does not)

The attacks follow torchattacks and foolbox: gradient of the cross-entropy; x + step * sign(g) clipped
to the Linf ball, or x + step * g / max(|g|, 1e-12) scaled back onto the L2 ball; then the box [0,1]. No
random start. Images and eps are in [0,1]; the model normalises by itself here, and through gibbon's
preprocessing in the test. Signs must not depend on rounding: the seed is one for which, at each step,
every element of every gradient is far enough from zero.

attack_walks.bin, little-endian: int32 n, channels, height, width, walks; float32 images (n,c,h,w); then
each walk: int32 norm (0 Linf, 1 L2), targeted, steps; float32 eps, step; int32 labels (n); float32
iterates (steps,n,c,h,w).
"""
import pathlib
import struct

import torch

N, C, H, W, K = 3, 3, 9, 7, 6
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
WALKS = [  # name, norm, targeted, steps, eps, step
    ("fgsm", 0, 0, 1, 4 / 255, 4 / 255),
    ("pgd linf", 0, 0, 5, 8 / 255, 2.5 / 255),
    ("pgd linf targeted", 0, 1, 5, 6 / 255, 2 / 255),
    ("pgd l2", 1, 0, 5, 0.4, 0.15),
    ("pgd l2 targeted", 1, 1, 5, 0.3, 0.1),
]
HERE = pathlib.Path(__file__).parent / "data"


def make_model():
    nn = torch.nn
    model = nn.Sequential(
        nn.Conv2d(C, 10, 3, padding=1), nn.Tanh(),
        nn.Conv2d(10, 12, 3, stride=2, padding=1), nn.Sigmoid(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, K))
    with torch.no_grad():
        model[2].weight *= 3
        model[6].weight *= 6
    return model


def logits(model, x):
    shape = (1, C, 1, 1)
    return model((x - torch.tensor(MEAN, dtype=x.dtype).view(shape)) /
                 torch.tensor(STD, dtype=x.dtype).view(shape))


def norm(v):
    return v.flatten(1).norm(dim=1).view(-1, 1, 1, 1)


def walk(model, x0, labels, l2, targeted, steps, eps, step):
    """The iterates, and how far the smallest element of a gradient was from zero, over its largest."""
    x, out, margin = x0.clone(), [], 1.0
    for _ in range(steps):
        x = x.clone().requires_grad_(True)
        loss = torch.nn.functional.cross_entropy(logits(model, x), labels, reduction="sum")
        grad, = torch.autograd.grad(loss, x)
        x = x.detach()
        grad = -grad if targeted else grad
        flat = grad.abs().flatten(1)
        margin = min(margin, (flat.amin(1) / flat.amax(1)).min().item())
        if l2:
            delta = x + step * grad / norm(grad).clamp(min=1e-12) - x0
            delta = delta * (eps / norm(delta).clamp(min=1e-12)).clamp(max=1)
        else:
            delta = (x + step * grad.sign() - x0).clamp(-eps, eps)
        x = (x0 + delta).clamp(0, 1)
        out.append(x)
    return out, margin


def build(seed):
    torch.manual_seed(seed)
    model = make_model().eval()
    images = torch.nn.functional.interpolate(torch.rand(N, C, 4, 4), (H, W), mode="bicubic").clamp(0, 1)
    exact = make_model().double().eval()
    exact.load_state_dict(model.state_dict())
    x0 = images.double()
    labels = logits(exact, x0).argmax(1)
    parts, margin = [], 1.0
    for _, l2, targeted, steps, eps, step in WALKS:
        goal = (labels + 2) % K if targeted else labels
        # the numbers as C has them: float
        eps, step = torch.tensor(eps).item(), torch.tensor(step).item()
        iterates, far = walk(exact, x0, goal, l2, targeted, steps, eps, step)
        margin = min(margin, 1.0 if l2 else far)
        parts.append(struct.pack("<3i2f", l2, targeted, steps, eps, step) +
                     goal.int().numpy().tobytes() + torch.stack(iterates).float().numpy().tobytes())
    return model, images, parts, margin


def main():
    seed = max(range(300), key=lambda s: build(s)[3])
    model, images, parts, margin = build(seed)
    torch.onnx.export(model, images, HERE / "attack_model.onnx", opset_version=17, dynamo=False,
                      input_names=["image"], output_names=["logits"],
                      dynamic_axes={"image": {0: "N"}, "logits": {0: "N"}})
    head = struct.pack("<5i", N, C, H, W, len(WALKS)) + images.numpy().tobytes()
    (HERE / "attack_walks.bin").write_bytes(head + b"".join(parts))
    print(f"seed {seed}: the smallest element of a gradient is {margin:.1e} of the largest")


main()
