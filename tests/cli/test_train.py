#!/usr/bin/env python3
"""gibbon train on a data set of a few hundred small pictures: what it writes, going on after a kill,
adversaries, ranks, and every wrong use."""
import csv
import math
import os
import pathlib
import random
import shutil
import signal
import struct
import subprocess
import time

import harness
from harness import GIBBON, gibbon, ranks

CLASSES, SIZE = 3, 12
HERE = harness.folder("train")
CNN = ("cnn-a", HERE / "data")
QUICK = ("--batch", 16, "--epochs", 2)


def idx(path, dims, values):
    path.write_bytes(struct.pack(f">BBBB{len(dims)}I", 0, 0, 8, len(dims), *dims) + bytes(values))


def make_data(folder, counts, seed=0):
    """Bright squares, whose place in the noise tells the class."""
    rng = random.Random(seed)
    folder.mkdir()
    for part, count in counts.items():
        labels = [i % CLASSES for i in range(count)]
        pixels = bytearray(rng.randrange(80) for _ in range(count * SIZE * SIZE))
        for i, label in enumerate(labels):
            top = i * SIZE * SIZE + SIZE * rng.randrange(2) + 4 * label
            for y in range(4):
                for x in range(3):
                    pixels[top + (4 + y) * SIZE + x] += 150
        idx(folder / f"{part}-images-idx3-ubyte", [count, SIZE, SIZE], pixels)
        idx(folder / f"{part}-labels-idx1-ubyte", [count], labels)


make_data(HERE / "data", {"train": 160, "t10k": 48})


def log(path):
    with open(path.with_suffix(".csv")) as file:
        return list(csv.DictReader(file))


def test_learns_and_writes():
    out = HERE / "learns.onnx"
    done = gibbon("train", *CNN, "-o", out, "--batch", 16, "--epochs", 6, "--lr", 0.002)
    assert "epoch 6: loss " in done.out and "images/s" in done.out, str(done)
    rows = log(out)
    assert len(rows) == 6 and float(rows[5]["held_accuracy"]) > 0.9, rows
    assert float(rows[5]["loss"]) < 0.5 * float(rows[0]["loss"]) and rows[0]["pgd_accuracy"] == ""
    assert out.with_suffix(".png").read_bytes()[:4] == b"\x89PNG"
    info = gibbon("info", out, "--json").json()
    assert info["inputs"][0]["shape"][1:] == [1, SIZE, SIZE]
    # what gibbon models and builtin:NAME tell of it
    right = f"{100 * float(rows[5]['held_accuracy']):.2f} % of held-out images right"
    assert f"cnn-a, 6 epochs of adam; {right}".encode() in out.read_bytes(), right
    assert b"gibbon.data" not in out.read_bytes() # a folder is no installed set
    # another run from there begins where that one ended
    more = HERE / "more.onnx"
    gibbon("train", out, HERE / "data", "-o", more, "--epochs", 1, "--held", "none")
    rows = log(more)
    assert float(rows[0]["accuracy"]) > 0.9 and rows[0]["held_accuracy"] == ""


def test_json():
    done = gibbon("train", *CNN, "-o", HERE / "json.onnx", *QUICK, "--json", "--optimizer", "sgd",
                  "--momentum", 0.9, "--schedule", "one-cycle", "--flip", "--crop", 1,
                  "--label-smoothing", 0.1)
    report = done.json()
    assert len(report["epochs"]) == 2 and report["images"] == 160 and report["classes"] == CLASSES
    assert report["epochs"][1]["loss"] > 0 and report["epochs"][0]["pgd_accuracy"] is None


def start(args):
    return subprocess.Popen([GIBBON, "train", *map(str, args)], stdout=subprocess.DEVNULL,
                            stderr=subprocess.PIPE, start_new_session=True)


def stopped(signal_number, name):
    """A run ended by a signal once it has written a checkpoint within an epoch, then resumed."""
    whole, part = HERE / f"{name}-whole.onnx", HERE / f"{name}-part.onnx"
    options = (*CNN, "--batch", 4, "--epochs", 4, "--adversarial", "pgd", "--eps", 0.1, "--steps", 3,
               "--checkpoint-every", 7, "--seed", 5)
    gibbon("train", *options, "-o", whole)
    process = start((*options, "-o", part))
    ckpt = part.with_suffix(".ckpt")
    while not ckpt.exists() and process.poll() is None:
        time.sleep(0.001)
    process.send_signal(signal_number)
    code = process.wait()
    err = process.stderr.read().decode()
    done = gibbon("train", *options, "-o", part, "--resume")
    assert part.read_bytes() == whole.read_bytes(), str(done)
    for a, b in zip(log(whole), log(part)):
        assert all(a[k] == b[k] for k in a if "second" not in k), (a, b)
    return code, err


def test_resume_after_kill():
    assert stopped(signal.SIGKILL, "kill")[0] == -signal.SIGKILL


def test_resume_after_interrupt():
    code, err = stopped(signal.SIGINT, "interrupt")
    assert code == 130 and "--resume goes on" in err, err


def test_longer():
    """A run that is over can be made longer, and is then what the long one had been."""
    long, short = HERE / "long.onnx", HERE / "short.onnx"
    gibbon("train", *CNN, "-o", long, "--batch", 16, "--epochs", 2)
    gibbon("train", *CNN, "-o", short, "--batch", 16, "--epochs", 1)
    gibbon("train", *CNN, "-o", short, "--batch", 16, "--epochs", 2, "--resume")
    assert long.read_bytes() == short.read_bytes()


def test_adversaries():
    for name in ("fgsm", "fgsm-rs", "pgd", "trades", "static"):
        out = HERE / f"{name}.onnx"
        gibbon("train", *CNN, "-o", out, *QUICK, "--adversarial", name, "--eps", "8/255")
        row = log(out)[1]
        assert 0 <= float(row["pgd_accuracy"]) <= float(row["fgsm_accuracy"]) + 0.2, row
        assert float(row["adversarial_accuracy"]) > 0, row
    gibbon("train", *CNN, "-o", out, *QUICK, "--adversarial", "static", "--compat", "tutorial",
           "--source", HERE / "pgd.onnx", "--eps", 0.05)
    gibbon("train", *CNN, "-o", out, *QUICK, "--source", HERE / "pgd.onnx", code=2,
           says="--source is for --adversarial static")
    gibbon("train", *CNN, "-o", out, *QUICK, "--adversarial", "fgsm", "--beta", 6, code=2,
           says="fgsm has no parameter 'beta'; it has eps, lambda, compat")


def test_nan():
    out = HERE / "nan.onnx"
    done = gibbon("train", *CNN, "-o", out, "--batch", 16, "--epochs", 5, "--optimizer", "sgd",
                  "--schedule", "one-cycle", "--lr", 10, "--lr-start-div", 1e6, "--lr-warmup", 1,
                  "--weight-decay", 10, code=1)
    assert "NaN or infinite; the last good checkpoint stays in" in done.err, str(done)
    assert out.with_suffix(".ckpt").exists() and len(log(out)) >= 1


def refuse(says, *args, code=2):
    gibbon("train", *args, code=code, says=says)


def test_wrong_resume():
    out = HERE / "resume.onnx"
    options = (*CNN, "-o", out, "--batch", 16, "--epochs", 1)
    refuse("resume.ckpt: No such file", *options, "--resume", code=1)
    gibbon("train", *options)
    refuse("made with lr 0.001, not lr 0.01: resume with the same options", *options, "--lr", 0.01,
           "--resume")
    refuse("made with batch 16, not batch 8", *options, "--batch", 8, "--resume")
    refuse("a checkpoint of another model", *options, "--activation", "gelu", "--resume")
    other = HERE / "other"
    make_data(other, {"train": 160, "t10k": 48}, seed=1)
    refuse("a checkpoint of a run on other data", "cnn-a", other, *options[2:], "--resume")
    # What people do not see: numbers to the last bit, the form of the kernels, pictures' way in.
    refuse("made with exact numbers", *options, "--lr", 0.0010000000001, "--resume")
    refuse("made with preprocessing {", *options, "--preprocess", "inception", "--resume")
    refuse("made with held-out data", *options, "--held", "none", "--resume")
    emulated = {"GIBBON_KERNEL_FORM": "gpu"}
    gibbon("train", *options, "--resume", code=2, says="made with device .*, not device ", env=emulated)
    gibbon("train", *options, "--precision", "bf16", "--resume", code=2, env=emulated,
           says="made with precision float32, not precision bf16")
    ckpt = out.with_suffix(".ckpt")
    whole = ckpt.read_bytes()
    ckpt.write_bytes(whole[:-100])
    refuse("resume.ckpt: cut off", *options, "--resume", code=1)
    ckpt.write_bytes(whole[:12] + b"\x63" + whole[13:])
    refuse("a checkpoint of version 99; this gibbon reads version 2", *options, "--resume", code=1)
    ckpt.write_bytes(whole[:500] + b"??" + whole[502:])
    refuse("damaged", *options, "--resume", code=1)
    shutil.copy(harness.BOOT, ckpt)
    refuse("not a checkpoint of gibbon", *options, "--resume", code=1)


def test_wrong_use():
    out = ("-o", HERE / "wrong.onnx")
    refuse("give a model or an architecture, and a data set", "cnn-a", *out)
    refuse("give -o FILE.onnx", *CNN)
    refuse("unknown optimizer 'adamx'; it is one of sgd, adam", *CNN, *out, "--optimizer", "adamx")
    refuse("sgd has no parameter 'beta1'", *CNN, *out, "--optimizer", "sgd", "--beta1", 0.5)
    refuse("nesterov needs a momentum", *CNN, *out, "--optimizer", "sgd", "--nesterov")
    refuse("lr -1 is outside", *CNN, *out, "--lr", -1)
    refuse("epochs 0 is outside", *CNN, *out, "--epochs", 0)
    refuse("has 160 images, fewer than a batch of 161", *CNN, *out, "--batch", 161)
    refuse("unknown schedule", *CNN, *out, "--schedule", "linear")
    refuse("is no architecture", harness.FASHION, CNN[1], *out, "--activation", "relu")
    two = HERE / "two"
    make_data(two, {"train": 32})
    idx(two / "train-labels-idx1-ubyte", [32], [0, 12] * 16)  # and no test part, which is noted
    done = gibbon("train", harness.FASHION, two, *out, "--batch", 8, code=2)
    assert "two has 13 classes, the model has 10" in done.err, str(done)
    assert "nothing is held out: " in done.err, str(done)
    refuse("no-such", "cnn-a", HERE / "no-such", *out, code=1)
    assert not (HERE / "wrong.onnx").exists()


def test_ranks():
    """Two ranks with half a batch each do what one does with the whole."""
    options = (*CNN, *QUICK, "--adversarial", "pgd", "--eps", 0.1, "--steps", 2, "--seed", 1)
    one, two = HERE / "one.onnx", HERE / "ranks.onnx"
    done = gibbon("train", *options, "-o", two, prefix=ranks(2))
    gibbon("train", *options, "-o", one)
    assert done.out.count("epoch 1:") == 1, str(done)
    for a, b in zip(log(one), log(two)):
        for key in ("loss", "held_loss"):
            assert abs(float(a[key]) - float(b[key])) < 1e-4 * float(a[key]), (key, a, b)
        assert abs(float(a["held_accuracy"]) - float(b["held_accuracy"])) < 0.05, (a, b)
    done = gibbon("train", *options, "-o", two, "--batch", 15, prefix=ranks(2), code=2)
    assert done.err.count("gibbon train: a batch of 15 does not divide among 2 ranks") == 1, done


def weights(path):
    """What the checkpoint of a run holds: trainable parameters and running statistics."""
    saved = path.with_suffix(".ckpt").read_bytes()
    lengths = struct.unpack_from("<5Q", saved, 64) # in elements: settings, parameters, ...
    return struct.unpack_from(f"<{lengths[1]}f", saved, 104 + lengths[0])


def apart(one, other):
    """The relative distance of two vectors."""
    return math.dist(one, other) / math.hypot(*one)


def test_ranks_normalize_together():
    """BatchNormalization's statistics are of the whole batch, forward, backward and running; clean
    and perturbed images of adversarial training are one batch, too. Epochs are of one step each; a
    ReLU at which rounding decides would be more than float error."""
    make_data(HERE / "one-batch", {"train": 48, "t10k": 24})
    options = ("resnet-20", HERE / "one-batch", "--activation", "softplus", "--batch", 48,
               "--epochs", 6, "--optimizer", "sgd", "--lr", 0.02, "--momentum", 0.9, "--seed", 3)
    one, many = HERE / "bn-one.onnx", HERE / "bn-ranks.onnx"
    for more, counts in ((), (2, 3)), (("--adversarial", "fgsm-rs", "--lambda", 1), (2,)):
        gibbon("train", *options, *more, "-o", one)
        for n in counts:
            gibbon("train", *options, *more, "-o", many, prefix=ranks(n))
            distance = apart(weights(one), weights(many))
            assert distance < 1e-6, (n, more, distance)
            for a, b in zip(log(one), log(many)):
                for key in ("loss", "held_loss"):
                    assert abs(float(a[key]) - float(b[key])) < 1e-5 * float(a[key]), (n, more, a, b)


def test_rank_dies():
    """The job ends with a message, and the last checkpoint is good; also where ranks wait for each
    other in the middle of the network, for BatchNormalization."""
    for model in ("cnn-a", "resnet-20"):
        out = HERE / f"{model}-dies.onnx"
        options = ("train", model, str(HERE / "data"), "-o", str(out), "--batch", "8")
        job = subprocess.Popen([*ranks(2), GIBBON, *options, "--epochs", "10000"],
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        while not out.with_suffix(".ckpt").exists() and job.poll() is None:
            time.sleep(0.01)
        children = pathlib.Path(f"/proc/{job.pid}/task/{job.pid}/children").read_text().split()
        os.kill(int(children[-1]), signal.SIGKILL)
        err = job.communicate(timeout=60)[1].decode()
        assert job.returncode != 0 and "signal 9" in err, err
        gibbon(*options, "--epochs", 1, "--resume")


if __name__ == "__main__":
    harness.main(globals())
