"""What the experiments on Fashion-MNIST share: training, measuring, and perturbed test sets."""
import argparse
import array
import gzip
import json
import math
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
FASHION = pathlib.Path("/usr/share/datasets/fashion-mnist")
CLASSES = 10


def arguments(doc):
    p = argparse.ArgumentParser(description=doc,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("folder", type=pathlib.Path,
                   help="where models go; those that are there are taken")
    p.add_argument("--seed", type=int, default=0, help="of the training")
    p.add_argument("--gibbon", default=str(ROOT / "build/tools/gibbon"))
    p.add_argument("--quick", action="store_true", help="an epoch of few pictures, and few to "
                   "measure on: shows that it runs, and nothing else")
    a = p.parse_args()
    a.count = 100 if a.quick else 10000
    a.folder.mkdir(parents=True, exist_ok=True)
    return a


def gibbon(a, *args):
    done = subprocess.run([a.gibbon, *map(str, args), "--quiet"], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr.strip())
    return done.stdout


def train(a, name, arch, *how):
    """The path of a trained model."""
    name += f"-{a.seed}{'-quick' * a.quick}"
    path = a.folder / f"{name}.onnx"
    if not path.exists():
        print(f"training {path}", file=sys.stderr)
        part = a.folder / f"{name}-unfinished.onnx"
        data, less = "fashion-mnist", []
        if a.quick:
            pictures(a.folder, 1000)
            data, less = f"{a.folder}/images.npy,{a.folder}/labels.npy", ["--epochs", 1]
        gibbon(a, "train", arch, data, "-o", part, "--held", "none", "--seed", a.seed, *how, *less)
        part.rename(path)
    return path


def accuracy(a, model, data="fashion-mnist", *attack):
    """Of all test pictures; under an attack if one is given, and wrong pictures count as lost."""
    report = json.loads(gibbon(a, "eval", model, data, *attack, "--limit", a.count, "--json"))
    return report["robust_accuracy" if attack else "accuracy"]["value"]


def write_npy(path, values, *shape):
    kind = f"<{values.typecode}{values.itemsize}"
    head = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}"
    head += " " * (-(len(head) + 11) % 64) + "\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head.encode()
                     + values.tobytes())
    return path


def read_npy(path):
    data = path.read_bytes()
    return array.array("f", data[10 + int.from_bytes(data[8:10], "little"):])


def pictures(folder, count):
    """The first test pictures as images.npy and labels.npy in a folder, and both as lists."""
    labels = gzip.open(FASHION / "t10k-labels-idx1-ubyte.gz").read()[8:][:count]
    pixels = gzip.open(FASHION / "t10k-images-idx3-ubyte.gz").read()[16:][:count * 28 * 28]
    x = array.array("f", (v / 255 for v in pixels))
    write_npy(folder / "labels.npy", array.array("i", list(labels)), count)
    write_npy(folder / "images.npy", x, count, 1, 28, 28)
    return x, labels


def fgsm(a, model, eps, only_brighter=False):
    """The whole test set, each picture one step along its loss's gradient at the model, as data for
    gibbon eval. Unlike that command's own attack it changes pictures that the model gets wrong too,
    as a published set does. only_brighter: the sign is clipped to [0,1]."""
    work = a.folder / f"{model.stem}-fgsm-{eps:g}{'-brighter' * only_brighter}"
    work.mkdir(exist_ok=True)
    x, labels = pictures(work, a.count)
    clean = work / "images.npy"
    gibbon(a, "run", model, "-i", clean, "-o", work, "--batch", 100)
    slope = read_npy(work / "logits.npy")
    # becomes cross-entropy's gradient, softmax - one-hot, times what keeps it from underflow
    for i, label in enumerate(labels):
        row = slope[CLASSES * i:CLASSES * (i + 1)]
        row[label] = -math.inf
        e = [math.exp(z - max(row)) for z in row]
        e[label] = -sum(e)
        slope[CLASSES * i:CLASSES * (i + 1)] = array.array("f", e)
    slope = write_npy(work / "slope.npy", slope, a.count, CLASSES)
    gibbon(a, "run", model, "-i", clean, "-o", work, "--batch", 100, "--grad", f"logits={slope}")
    down = 0 if only_brighter else -eps
    step = ((eps if g > 0 else down if g < 0 else 0) for g in read_npy(work / "pixels.grad.npy"))
    return write_npy(work / "images.npy", array.array(
        "f", (min(1, max(0, v + s)) for v, s in zip(x, step))), a.count, 1, 28, 28)
