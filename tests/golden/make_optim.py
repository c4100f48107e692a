#!/usr/bin/env python3
"""Makes optim.bin: what PyTorch's optimisers and schedules do in 50 steps, in double precision.

Usage: make_optim.py (writes into data; needs torch, which running the test does not)

Each case moves the same parameters along the same gradients, whose sizes differ by orders of
magnitude. FTRL, which PyTorch has not, is written out here from its definition (McMahan et al. 2013):
the parameters minimise sum over s <= t of g_s p + 1/2 sum of (their learning rates' inverse
differences) |p - p_s|^2 + l1 |p| + l2 |p|^2.

optim.bin, little-endian: int32 n, steps, kept; int32 step[kept]; float32 p[n], g[steps][n]; int32 cases;
each: char text[96] (the optimiser, then settings and values), float32 p[kept][n] after those steps;
int32 schedules; each: char text[96], int32 epoch (steps in one), float32 rate[steps] for lr 0.5.
"""
import pathlib
import struct

import numpy as np
import torch

N, STEPS, KEPT = 37, 50, (1, 2, 5, 10, 25, 50)
OPTIM = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW,
         "rmsprop": torch.optim.RMSprop, "adagrad": torch.optim.Adagrad}
RENAMED = {"opt-eps": "eps", "weight-decay": "weight_decay", "lr-decay": "lr_decay",
           "accumulator": "initial_accumulator_value"}
CASES = [
    "sgd", "sgd lr 0.1 momentum 0.9", "sgd lr 0.05 momentum 0.9 nesterov yes weight-decay 0.0005",
    "sgd weight-decay 0.1", "adam", "adam lr 0.05 beta1 0.8 beta2 0.99 weight-decay 0.01",
    "adam opt-eps 0.001", "adamw", "adamw lr 0.02 weight-decay 0.1", "rmsprop",
    "rmsprop alpha 0.9 momentum 0.9 weight-decay 0.01 lr 0.001", "adagrad",
    "adagrad lr 0.1 lr-decay 0.01 accumulator 0.2 weight-decay 0.02", "ftrl lr 0.1",
    "ftrl lr 0.5 l1 0.01 l2 0.05 accumulator 0.3", "ftrl lr 0.2 lr-power -0.7",
]
SCHEDULES = [  # text, steps of an epoch, the scheduler, stepped every epoch
    ("constant", 5, None, False),
    ("step lr-step 2 lr-gamma 0.3", 5,
     lambda o: torch.optim.lr_scheduler.StepLR(o, 2, 0.3), True),
    ("cosine lr-min 0.01", 5,
     lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, STEPS, 0.01), False),
    ("one-cycle", 5, lambda o: torch.optim.lr_scheduler.OneCycleLR(
        o, 0.5, STEPS, cycle_momentum=False), False),
    ("one-cycle lr-warmup 0.2 lr-start-div 10 lr-end-div 100", 7,
     lambda o: torch.optim.lr_scheduler.OneCycleLR(
         o, 0.5, STEPS, pct_start=0.2, div_factor=10, final_div_factor=100,
         cycle_momentum=False), False),
]
HERE = pathlib.Path(__file__).parent / "data"


def settings(text):
    words = text.split()
    return words[0], {k: v == "yes" if v in ("yes", "no") else float(v)
                      for k, v in zip(words[1::2], words[2::2])}


def ftrl(p, gradients, lr=1e-3, power=-0.5, accumulator=0.1, l1=0.0, l2=0.0):
    total, z, p = np.full(N, accumulator), np.zeros(N), p.copy()
    for g in gradients:
        grown = total + g * g
        z += g - (grown ** -power - total ** -power) / lr * p
        total = grown
        p = np.where(np.abs(z) <= l1, 0, (np.sign(z) * l1 - z) / (total ** -power / lr + 2 * l2))
        yield p


def steps(text, p, gradients):
    name, given = settings(text)
    if name == "ftrl":
        yield from ftrl(p, gradients, **{k.replace("lr-", ""): v for k, v in given.items()
                                         if k != "lr"}, lr=given["lr"])
        return
    options = {RENAMED.get(k, k): v for k, v in given.items()}
    if "beta1" in options:
        options["betas"] = (options.pop("beta1"), options.pop("beta2"))
    if name == "sgd":
        options.setdefault("lr", 0.01)  # as in every version of PyTorch
    value = torch.nn.Parameter(torch.tensor(p))
    optim = OPTIM[name]([value], **options)
    for g in gradients:
        value.grad = torch.tensor(g)
        optim.step()
        yield value.detach().numpy().copy()


def rates(epoch, make, every_epoch):
    optim = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.5)
    schedule = make(optim) if make else None
    for step in range(STEPS):
        yield optim.param_groups[0]["lr"]
        optim.step()
        if schedule and step + 1 < STEPS and (not every_epoch or (step + 1) % epoch == 0):
            schedule.step()


def floats(values):
    return np.asarray(values, "<f4").tobytes()


def main():
    rng = np.random.default_rng(1)
    p = rng.normal(size=N).astype("f4")
    size = 10.0 ** rng.uniform(-4, 1, N)
    g = (size * rng.normal(0.3, 1, (STEPS, N))).astype("f4")
    out = struct.pack("<iii", N, STEPS, len(KEPT)) + struct.pack(f"<{len(KEPT)}i", *KEPT)
    out += floats(p) + floats(g) + struct.pack("<i", len(CASES))
    for text in CASES:
        walk = list(steps(text, p.astype("f8"), g.astype("f8")))
        out += struct.pack("<96s", text.encode()) + b"".join(floats(walk[k - 1]) for k in KEPT)
    out += struct.pack("<i", len(SCHEDULES))
    for text, epoch, make, every_epoch in SCHEDULES:
        out += struct.pack("<96si", text.encode(), epoch) + floats(list(rates(epoch, make,
                                                                             every_epoch)))
    (HERE / "optim.bin").write_bytes(out)
    print(f"optim.bin: {len(out)} bytes, torch {torch.__version__}")


main()
