#!/usr/bin/env python3
"""A model that subtracts the mean of its whole input, over the pictures of a batch as well: what a
picture gives never depends on its neighbours, and what cannot be computed so is refused."""
import math
import random
import struct

import files
import harness
from harness import gibbon

SIZE, CLASSES, COUNT = 6, 4, 7
PIXELS = SIZE * SIZE
NOTE = "one image at a time: "
RNG = random.Random(4)
WEIGHTS = [RNG.uniform(-1, 1) for _ in range(PIXELS * CLASSES)]
HERE = harness.folder("mixing")
# Every picture has a brightness of its own, so that the mean of a batch is none of theirs.
PICTURES = [[min(255, RNG.randrange(60) + 27 * i) for _ in range(PIXELS)] for i in range(COUNT)]


def make(name, batch):
    nodes = [files.node("ReduceMean", ["x"], ["m"]), files.node("Sub", ["x", "m"], ["c"]),
             files.node("Mul", ["c", "c"], ["q"]), files.node("ReduceMean", ["q"], ["v"]),
             files.node("Sqrt", ["v"], ["s"]), files.node("Div", ["c", "s"], ["h"]),
             files.node("Flatten", ["h"], ["f"]), files.node("Gemm", ["f", "w"], ["y"], transB=1)]
    return files.model(HERE / name, nodes, [files.value("x", [batch, 1, SIZE, SIZE])],
                       [files.value("y", [batch, CLASSES])],
                       [files.tensor("w", [CLASSES, PIXELS], WEIGHTS)])


OPEN, ONE, FOUR = make("open.onnx", "N"), make("one.onnx", 1), make("four.onnx", 4)
PLAIN = files.linear(HERE / "plain.onnx", 1, SIZE, CLASSES, weights=WEIGHTS)
PNGS = [files.png(HERE / f"p{i}.png", SIZE, SIZE, 1, lambda x, y, c: p[y * SIZE + x])
        for i, p in enumerate(PICTURES)]


def logits(pictures):
    """Of the model for these pictures together, as ONNX has it."""
    x = [v / 255 for p in pictures for v in p]
    mean = sum(x) / len(x)
    x = [v - mean for v in x]
    deviation = math.sqrt(sum(v * v for v in x) / len(x))
    return [[sum(WEIGHTS[k * PIXELS + i] * x[n * PIXELS + i] for i in range(PIXELS)) / deviation
             for k in range(CLASSES)] for n in range(len(pictures))]


def softmax(z):
    e = [math.exp(v - max(z)) for v in z]
    return [v / sum(e) for v in e]


LABELS = [z.index(max(z)) for z in (logits([p])[0] for p in PICTURES)]
files.npy(HERE / "images.npy", [COUNT, 1, SIZE, SIZE], [v / 255 for p in PICTURES for v in p])
files.npy(HERE / "labels.npy", [COUNT], LABELS)


def near(one, other, tolerance=1e-5):
    return all(abs(a - b) < tolerance for a, b in zip(one, other, strict=True))


def test_classify():
    right = [softmax(logits([p])[0]) for p in PICTURES]
    assert not near(softmax(logits(PICTURES)[0]), right[0], 0.01)  # the case is one
    args = ["--preprocess", "unit", "--json", "--top", CLASSES]
    for model in (OPEN, ONE):
        together = gibbon("classify", model, *PNGS, *args)
        assert together.err.count(NOTE) == 1 and "ReduceMean" in together.err, together
        seen = together.json()["images"]
        for i, (told, want) in enumerate(zip(seen, right)):
            if i < 3:
                alone = gibbon("classify", model, PNGS[i], *args).json()["images"]
                assert alone == [told], (alone, told)
            got = {c["class"]: c["probability"] for c in told["classes"]}
            assert near([got[k] for k in range(CLASSES)], want), (got, want)
        done = gibbon("classify", model, *PNGS, *args, "--batch", 3, "--quiet")
        assert done.json()["images"] == seen and NOTE not in done.err
    done = gibbon("classify", PLAIN, *PNGS, *args)
    assert NOTE not in done.err, done


def test_attack():
    args = ["--preprocess", "unit", "--json", "--eps", "8/255", "--steps", 5]
    for model in (OPEN, ONE):
        done = gibbon("attack", model, *PNGS, "-o", HERE / "out", *args)
        assert done.err.count(NOTE) == 1 and done.json()["model"]["batch"] == 1, done
        for picture, told in zip(PNGS[:3], done.json()["images"]):
            alone, = gibbon("attack", model, picture, "-o", HERE / "alone", *args).json()["images"]
            for key in ("clean", "adversarial", "success", "iterations", "linf"):
                assert alone[key] == told[key], (key, alone, told)
            want = softmax(logits([PICTURES[PNGS.index(picture)]])[0])
            assert near([told["clean"]["probability"]], [max(want)]), told


def test_eval_and_transfer():
    args = ["--preprocess", "unit", "--json"]
    for model in (OPEN, ONE):
        for attack in ([], ["--attack", "fgsm", "--eps", "0.01"]):
            done = gibbon("eval", model, HERE / "images.npy", *args, *attack)
            assert done.err.count(NOTE) == 1, done
            assert done.json()["accuracy"]["count"] == COUNT, done
            assert done.json()["model"]["batch"] == 1, done
    how = ["--data", HERE / "images.npy", *args, "--method", "fgsm", "--eps", 0.05]
    done = gibbon("transfer", PLAIN, OPEN, ONE, *how)
    assert done.err.count(NOTE) == 2, done
    again = gibbon("transfer", PLAIN, OPEN, ONE, *how, "--batch", 1).json()
    assert again["matrix"] == done.json()["matrix"] and again["models"] == done.json()["models"]


def test_bench_and_info():
    done = gibbon("bench", OPEN, "--batch", 4, "--rounds", 1, "--preprocess", "unit", "--json")
    assert done.json()["batch"] == 1 and done.err.count(NOTE) == 1, done
    for model in (OPEN, ONE, FOUR):
        told = gibbon("info", model, "--json").json()
        assert "ReduceMean" in told["no_batches"] and told["flops"] > 0, told
    assert gibbon("info", OPEN, "--batch", 4, "--json").json()["batch"] == 1
    assert "batches      none: ReduceMean 'm_node'" in gibbon("info", OPEN).out
    told = gibbon("info", PLAIN, "--batch", 4, "--json").json()
    assert told["no_batches"] is None and told["batch"] == 4
    assert "batches" not in gibbon("info", PLAIN).out


def rows(count):
    return files.npy(HERE / f"rows{count}.npy", [count, 1, SIZE, SIZE],
                     [v / 255 for p in PICTURES[:count] for v in p])


def run(model, count, *args, **how):
    done = gibbon("run", model, "-i", rows(count), "-o", HERE / "run", *args, **how)
    return None if how else files.read_npy(HERE / "run" / "y.npy")[1]


def test_run():
    """A bare model is what ONNX says; rows that see each other are not split."""
    flat = [v for z in logits(PICTURES) for v in z]
    assert near(run(OPEN, COUNT), flat, 1e-4)
    each = [v for p in PICTURES for v in logits([p])[0]]
    assert near(run(ONE, COUNT), each, 1e-4) and near(run(ONE, COUNT, "--batch", 2), each, 1e-4)
    assert near(run(FOUR, 4), [v for z in logits(PICTURES[:4]) for v in z], 1e-4)
    for batch in (1, 2, 6):
        run(OPEN, COUNT, "--batch", batch, code=1,
            says=f"ReduceMean 'm_node': .*: 7 rows cannot go through it {batch} at a time")
    for count in (3, 6):
        run(FOUR, count, code=1, says=f"{count} rows cannot go through it 4 at a time")
    assert len(run(PLAIN, COUNT, "--batch", 2)) == COUNT * CLASSES


def test_own_batch_of_several():
    says = "ReduceMean 'm_node': what comes of an image depends on the rest of its batch, and the " \
           "model takes 4 at once"
    for batch in (1, 4):
        how = ["--preprocess", "unit", "--batch", batch]
        gibbon("classify", FOUR, *PNGS, *how, code=1, says=says)
        gibbon("attack", FOUR, *PNGS, *how, "-o", HERE / "none", code=1, says=says)
        gibbon("eval", FOUR, HERE / "images.npy", *how, code=1, says=says)


def test_train():
    data = harness.folder("mixing_data")
    for part in ("train", "t10k"):
        for kind, dims, values in (("images-idx3", [32, SIZE, SIZE], [7] * 32 * PIXELS),
                                   ("labels-idx1", [32], [i % CLASSES for i in range(32)])):
            blob = struct.pack(f">BBBB{len(dims)}I", 0, 0, 8, len(dims), *dims) + bytes(values)
            (data / f"{part}-{kind}-ubyte").write_bytes(blob)
    how = ["-o", HERE / "trained.onnx", "--batch", 16, "--epochs", 1, "--held", "none"]
    for model in (OPEN, ONE, FOUR):
        gibbon("train", model, data, *how, code=1,
               says="ReduceMean 'm_node': what comes of an image depends on the rest of its batch")
    gibbon("train", PLAIN, data, *how, "--adversarial", "static", "--source", OPEN, code=1,
           says="what static perturbs against takes one image at a time")
    assert not (HERE / "trained.onnx").exists()
    # The statistics of a batch are what training is about.
    learns = files.model(HERE / "learns.onnx",
                         [files.node("BatchNormalization", ["x", *"sbmv"], ["n"], training_mode=1),
                          files.node("Flatten", ["n"], ["f"]),
                          files.node("Gemm", ["f", "w"], ["y"], transB=1)],
                         [files.value("x", ["N", 1, SIZE, SIZE])], [files.value("y", ["N", CLASSES])],
                         [files.tensor("w", [CLASSES, PIXELS], WEIGHTS),
                          *(files.tensor(name, [1], [1.0]) for name in "sbmv")])
    gibbon("train", learns, data, *how)
    done = gibbon("classify", learns, *PNGS[:2], "--preprocess", "unit")
    assert done.err.count(NOTE + "BatchNormalization") == 1, done


harness.main(globals())
