#!/usr/bin/env python3
"""gibbon transfer: whose adversarial examples fool whom, on models small enough to do by hand."""
import math
import random

import files
import harness
from harness import FASHION, gibbon, ranks

SIZE, CLASSES, COUNT, EPS = 4, 3, 40, 0.125
PIXELS = SIZE * SIZE


class Linear:
    """A model of one dense layer over (x - mean) / std, in Python as in ONNX."""

    def __init__(self, folder, name, seed, mean=0.0, std=1.0):
        rng = random.Random(seed)
        self.w = [rng.uniform(-1, 1) for _ in range(PIXELS * CLASSES)]
        self.mean, self.std = mean, std
        self.path = files.linear(folder / f"{name}.onnx", 1, SIZE, CLASSES, weights=self.w)

    def logits(self, x):
        z = [(v - self.mean) / self.std for v in x]
        return [sum(self.w[k * PIXELS + i] * z[i] for i in range(PIXELS)) for k in range(CLASSES)]

    def sees(self, x):
        z = self.logits(x)
        return z.index(max(z))

    def fgsm(self, x, label):
        z = self.logits(x)
        e = [math.exp(v - max(z)) for v in z]
        p = [v / sum(e) - (k == label) for k, v in enumerate(e)]
        step = [sum(p[k] * self.w[k * PIXELS + i] for k in range(CLASSES)) for i in range(PIXELS)]
        return [min(1, max(0, v + math.copysign(EPS, g))) for v, g in zip(x, step)]


def make(name):
    """Two models and pictures with labels that each of them mostly gets right."""
    folder = harness.folder(name)
    models = [Linear(folder, "a", 1), Linear(folder, "b", 2, mean=0.5, std=0.5)]
    rng = random.Random(3)
    pictures = [[rng.random() for _ in range(PIXELS)] for _ in range(COUNT)]
    labels = [models[rng.randrange(2)].sees(x) for x in pictures]
    files.npy(folder / "images.npy", [COUNT, 1, SIZE, SIZE], [v for x in pictures for v in x])
    files.npy(folder / "labels.npy", [COUNT], labels)
    return folder, models, pictures, labels


def transfer(folder, models, *args, **how):
    return gibbon("transfer", *[m.path for m in models], "--data", folder / "images.npy",
                  "--preprocess", "unit", "--preprocess", "inception", "--method", "fgsm", "--eps",
                  EPS, *args, **how)


def test_matrix():
    folder, models, pictures, labels = make("matrix")
    for batch in (7, 64):
        report = transfer(folder, models, "--json", "--batch", batch).json()
        assert report["data"]["images"] == COUNT
        assert report["attack"]["method"] == "fgsm" and report["attack"]["eps"] == EPS
        for s, source in enumerate(models):
            right = [source.sees(x) == y for x, y in zip(pictures, labels)]
            told = report["models"][s]
            assert told["path"] == source.path and told["correct"] == sum(right), told
            assert abs(told["accuracy"] - sum(right) / COUNT) < 1e-6 and 0 < sum(right) < COUNT
            for t, target in enumerate(models):
                both = [(source.fgsm(x, y), y) for x, y in zip(pictures, labels)
                        if source.sees(x) == y and target.sees(x) == y]
                fooled = sum(target.sees(x) != y for x, y in both)
                cell = report["matrix"][s][t]
                assert (cell["images"], cell["fooled"]) == (len(both), fooled), (s, t, cell)
                assert abs(cell["rate"] - fooled / len(both)) < 1e-6, cell
        assert report["models"][1]["preprocess"] == "inception"
    assert len({cell["fooled"] for row in report["matrix"] for cell in row}) > 2  # a real table


def test_text_and_picture():
    folder, models, _, _ = make("text")
    done = transfer(folder, models, "-o", folder / "out", "--limit", 30)
    assert "data     30 pictures of " in done.out and "attack   fgsm" in done.out, done
    rows = [line.split() for line in done.out.splitlines() if line[:5].strip().isdigit()]
    report = transfer(folder, models, "--json", "--limit", 30).json()
    assert [row[1] for row in rows] == ["a", "b"], done
    for row, cells, model in zip(rows, report["matrix"], report["models"]):
        assert float(row[2]) == round(100 * model["accuracy"], 2)
        assert [float(v) for v in row[3:]] == [round(100 * c["rate"], 2) for c in cells], done
    width, height, channels, pixels = files.read_png(folder / "out" / "transfer.png")
    assert channels == 3 and width > 100 and height > 80 and len(set(pixels)) > 10


def test_ranks():
    """Ranks share the pictures and count the same, also where some of them get none."""
    folder, models, _, _ = make("ranks")
    for limit in (3, 17, COUNT):
        how = ["--json", "--limit", limit, "--batch", 4]
        one, three = (transfer(folder, models, *how, prefix=p).json() for p in ([], ranks(3)))
        assert one["matrix"] == three["matrix"] and one["models"] == three["models"], limit
        assert three["data"]["images"] == limit
    done = transfer(folder, models, "--method", "magic", code=2, prefix=ranks(2))
    assert done.err.count("unknown method") == 1, done


def test_limit_is_drawn_from_all():
    folder, models, _, _ = make("limit")
    one = transfer(folder, models, "--json", "--limit", 10, "--seed", 1).json()
    again = transfer(folder, models, "--json", "--limit", 10, "--seed", 1, "--batch", 3).json()
    assert one["data"]["images"] == 10 and one["matrix"] == again["matrix"]
    others = [transfer(folder, models, "--json", "--limit", 10, "--seed", s).json()["matrix"]
              for s in (2, 3)]
    assert any(other != one["matrix"] for other in others)
    assert transfer(folder, models, "--json", "--limit", 1000).json()["data"]["images"] == COUNT


def test_all_steps_unless_asked():
    folder, models, _, _ = make("steps")
    run = lambda *a: gibbon("transfer", *[m.path for m in models], "--data",
                            folder / "images.npy", "--preprocess", "unit", "--json", *a).json()
    assert run()["attack"]["early_stop"] is False
    assert run("--early-stop")["attack"]["early_stop"] is True


def test_wrong_usage():
    folder, models, _, _ = make("usage")
    a, b = models[0].path, models[1].path
    data = ["--data", folder / "images.npy"]
    gibbon("transfer", a, *data, code=2, says="give two models or more")
    gibbon("transfer", a, b, code=2, says="give --data")
    gibbon("transfer", a, b, a, *data, "--preprocess", "unit", "--preprocess", "unit", code=2,
           says="--preprocess is given 2 times for 3 models")
    gibbon("transfer", a, b, "--data", folder / "none", code=1, says="none: No such file")
    gibbon("transfer", a, FASHION, *data, code=2,
           says="a takes pictures of 1x4x4, fashion of 1x28x28")
    ten = files.linear(folder / "ten.onnx", 1, SIZE, 10)
    gibbon("transfer", a, ten, *data, code=2, says="ten: has 10 classes, a 3")
    wide = files.linear(folder / "wide.onnx", 1, 8, CLASSES)
    gibbon("transfer", wide, wide, *data, code=2, says="pictures of 1x4x4, but the model takes 1x8x8")
    files.npy(folder / "labels.npy", [COUNT], [5] * COUNT)
    gibbon("transfer", a, b, *data, code=2, says="has label 5; the model has classes 0 to 2")
    files.npy(folder / "labels.npy", [2], [0, 1])
    gibbon("transfer", a, b, *data, code=1, says="has 40 pictures, but .*labels.npy has 2 labels")


def test_a_model_without_a_right_answer():
    folder, models, pictures, _ = make("hopeless")
    files.npy(folder / "labels.npy", [COUNT], [(models[0].sees(x) + 1) % CLASSES for x in pictures])
    report = transfer(folder, models, "--json").json()
    assert report["models"][0]["correct"] == 0
    assert report["matrix"][0] == [{"images": 0, "fooled": 0, "rate": None}] * 2
    assert report["matrix"][1][1]["images"] == report["models"][1]["correct"] > 0
    assert transfer(folder, models).out.count(" -") >= 3


harness.main(globals())
