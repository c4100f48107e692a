"""Makes tests/golden/data/losses.bin: losses and their gradients as PyTorch computes them in double.

usage: make_losses.py OUT.bin      (needs torch; the file is committed)

A sequence of cases for tests/op/test_loss_train.c, little-endian: int32 loss (gb_loss), int32
classes, float smoothing; int32 labels[6]; floats weights[6], logits[6][classes],
targets[6][classes]; then the results, losses[6] and the gradient of sum(weights * losses).
"""
import struct
import sys

import torch
from torch.nn import functional as F

CE, KL, TRADES, N = 1, 5, 6, 6


def losses(kind, z, labels, targets, smoothing):
    if kind == CE:
        return F.cross_entropy(z, labels, reduction="none", label_smoothing=smoothing)
    if kind == KL:
        return F.kl_div(F.log_softmax(z, 1), F.softmax(targets, 1), reduction="none").sum(1)
    clean, perturbed = z[:N // 2], z[N // 2:]
    ce = F.cross_entropy(clean, labels[:N // 2], reduction="none", label_smoothing=smoothing)
    kl = F.kl_div(F.log_softmax(perturbed, 1), F.softmax(clean, 1), reduction="none").sum(1)
    return torch.cat([ce, kl])


def main():
    torch.manual_seed(3)
    with open(sys.argv[1], "wb") as f:
        for kind, classes, smoothing in [(CE, 10, 0), (CE, 7, 0.1), (KL, 10, 0), (TRADES, 10, 0),
                                         (TRADES, 33, 0.2)]:
            smoothing = float(torch.tensor(smoothing))
            labels = torch.randint(classes, (N,))
            weights = torch.rand(N)
            z = (3 * torch.randn(N, classes)).double().requires_grad_()
            targets = 3 * torch.randn(N, classes)
            z.data = z.data.float().double()
            out = losses(kind, z, labels, targets.double(), smoothing)
            (out * weights.double()).sum().backward()
            f.write(struct.pack("<iif", kind, classes, smoothing))
            f.write(labels.int().numpy().tobytes())
            for t in (weights, z.detach(), targets, out.detach(), z.grad):
                f.write(t.float().numpy().tobytes())


main()
