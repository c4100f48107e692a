#!/usr/bin/env python3
"""Compares gibbon with PyTorch on whole models: outputs and the gradient of the input.

    check_models.py FOLDER|MODEL.onnx ... [--gibbon PROGRAM] [--device SPEC] [--limit 1e-4]

Each STEM[.EXPORTER].onnx is run on STEM.input.npy by `gibbon run --grad`; its output and its
vector-Jacobian product with STEM.seed.npy are compared with STEM.{logits,grad}[64].npy, as relative
L2 errors. The columns torch are PyTorch's own float32 against its float64.

The pictures are such that float32 determines the gradient (kinks.py). The last columns are
the gradient's error on the worst picture and how many pictures are within the limit. Exit 1: the
logits or the gradient of some picture are above the limit, or a run failed.
Needs numpy and onnx.
"""
import argparse
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnx


def names(path):
    graph = onnx.load(path, load_external_data=False).graph
    constants = {t.name for t in graph.initializer}
    return next(i.name for i in graph.input if i.name not in constants), graph.output[0].name


def file_name(name):
    return name.replace("/", "_").replace(":", "_")


def error(a, b):
    return np.linalg.norm(a.astype(np.float64) - b) / np.linalg.norm(b.astype(np.float64))


def run(args, path):
    """The figures of one line, and the gradient's error for each picture."""
    stem = path.parent / path.name.removesuffix(".onnx")
    while not pathlib.Path(f"{stem}.input.npy").exists():
        if not stem.suffix:
            raise FileNotFoundError(f"{path}: no {stem}.input.npy")
        stem = stem.with_suffix("")
    ref = {key: np.load(f"{stem}.{key}.npy") for key in
           ("logits", "grad", "logits64", "grad64")}
    inputs, output = names(str(path))
    with tempfile.TemporaryDirectory() as folder:
        command = [args.gibbon, "run", str(path), "-i", f"{stem}.input.npy", "-o", folder,
                   "--grad", f"{output}={stem}.seed.npy"]
        command += ["--device", args.device] if args.device else []
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr.strip().splitlines()[-1] if done.stderr else
                               f"exit {done.returncode}")
        logits = np.load(f"{folder}/{file_name(output)}.npy")
        grad = np.load(f"{folder}/{file_name(inputs)}.grad.npy")
    each = [error(got, want) for got, want in zip(grad, ref["grad"])]
    return [error(logits, ref["logits"]), error(logits, ref["logits64"]),
            error(ref["logits"], ref["logits64"]), error(grad, ref["grad"]),
            error(grad, ref["grad64"]), error(ref["grad"], ref["grad64"]), max(each)], each


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paths", nargs="+", type=pathlib.Path)
    parser.add_argument("--gibbon", default="gibbon")
    parser.add_argument("--device")
    parser.add_argument("--limit", type=float, default=1e-4)
    args = parser.parse_args()
    models = [m for p in args.paths for m in (sorted(p.glob("*.onnx")) if p.is_dir() else [p])]
    bad = 0
    print(f"{'':32}{'logits against':^27}{'dL/dx against':^27}")
    print(f"{'model':32}" + f"{'fp32':>9}{'fp64':>9}{'torch':>9}" * 2 + f"{'worst':>9}  within")
    for path in models:
        try:
            figures, each = run(args, path)
        except (RuntimeError, OSError) as problem:
            print(f"{path.stem:32} FAILED: {problem}", flush=True)
            bad += 1
            continue
        over = not (figures[0] <= args.limit and figures[-1] <= args.limit)  # NaN is over, too
        bad += over
        within = f"  {sum(e <= args.limit for e in each)}/{len(each)}"
        print(f"{path.stem:32}" + "".join(f"{f:9.1e}" for f in figures) + within
              + "  OVER" * over, flush=True)
    print(f"{len(models)} models, {bad} failed or above {args.limit:g}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
