#!/usr/bin/env python3
"""gibbon eval: accuracies of models small enough to do by hand, resuming, thresholds, ranks."""
import csv
import math
import os
import pathlib
import random
import signal
import subprocess
import time

import files
import harness
from harness import GIBBON, Skip, gibbon, ranks

SIZE, CLASSES, COUNT, EPS = 6, 4, 90, 0.03
PIXELS = SIZE * SIZE
SLOW = ["--attack", "pgd", "--steps", "2000", "--no-early-stop", "--batch", "1"]


def weights(seed):
    rng = random.Random(seed)
    return [rng.uniform(-1, 1) for _ in range(PIXELS * CLASSES)]


def logits(w, x):
    return [sum(w[k * PIXELS + i] * x[i] for i in range(PIXELS)) for k in range(CLASSES)]


def sees(w, x):
    z = logits(w, x)
    return z.index(max(z))


def fgsm(w, x, label):
    z = logits(w, x)
    e = [math.exp(v - max(z)) for v in z]
    p = [v / sum(e) - (k == label) for k, v in enumerate(e)]
    slope = [sum(p[k] * w[k * PIXELS + i] for k in range(CLASSES)) for i in range(PIXELS)]
    return [min(1, max(0, v + math.copysign(EPS, g))) for v, g in zip(x, slope)]


def make(name, count=COUNT):
    """A linear model, and pictures of which it gets about three quarters right."""
    folder = harness.folder(name)
    w, rng = weights(1), random.Random(2)
    model = files.linear(folder / "m.onnx", 1, SIZE, CLASSES, weights=w)
    pictures = [[rng.randrange(256) / 255 for _ in range(PIXELS)] for _ in range(count)]
    labels = [sees(w, x) if rng.random() < 0.75 else rng.randrange(CLASSES) for x in pictures]
    files.npy(folder / "images.npy", [count, 1, SIZE, SIZE], [v for x in pictures for v in x])
    files.npy(folder / "labels.npy", [count], labels)
    return folder, model, w, pictures, labels


def evaluate(folder, *args, **how):
    return gibbon("eval", folder / "m.onnx", folder / "images.npy", "--preprocess", "unit", *args, **how)


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def wilson(k, n):
    z, p = 1.959963984540054, k / n
    scale, middle = 1 + z * z / n, p + z * z / (2 * n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return [(middle - half) / scale, (middle + half) / scale]


def same(report, other):
    """But for how long it took, and in how many sittings and processes."""
    keys = ("seconds", "earlier", "ranks")
    return {k: v for k, v in report.items() if k not in keys} == \
        {k: v for k, v in other.items() if k not in keys}


def test_clean():
    folder, _, w, pictures, labels = make("clean")
    seen = [sees(w, x) for x in pictures]
    right = sum(s == t for s, t in zip(seen, labels))
    for batch in (7, 64):
        report = evaluate(folder, "--json", "--batch", batch, "-o", folder / f"o{batch}").json()
        assert report["images"] == COUNT and "attack" not in report
        got = report["accuracy"]
        assert got["count"] == right and got["total"] == COUNT and abs(got["value"] - right / COUNT) < 1e-8
        assert all(abs(a - b) < 1e-8 for a, b in zip(got["interval"], wilson(right, COUNT))), got
        matrix = {(t, s): n for t, s, n in report["confusion"]}
        assert matrix == {(t, s): sum(a == t and b == s for a, b in zip(labels, seen))
                          for t, s in set(zip(labels, seen))}
        for entry in report["classes"]:
            of = [s for s, t in zip(seen, labels) if t == entry["class"]]
            assert entry["accuracy"]["total"] == len(of)
            assert entry["accuracy"]["count"] == of.count(entry["class"])
        table = rows(folder / f"o{batch}" / "images.csv")
        assert [int(r["clean"]) for r in table] == seen
        assert [int(r["label"]) for r in table] == labels and table[3]["adversarial"] == ""
        assert table[3]["image"].endswith("images.npy[3]")
        e = [math.exp(v) for v in logits(w, pictures[3])]
        assert abs(float(table[3]["probability"]) - max(e) / sum(e)) < 1e-5
        grid = [line.split(",") for line in
                (folder / f"o{batch}" / "confusion.csv").read_text().splitlines()]
        assert int(grid[1 + labels[0]][1 + seen[0]]) == matrix[labels[0], seen[0]]
    assert files.read_png(folder / "o7" / "confusion.png")[2] == 3
    text = evaluate(folder).out
    assert f"({right} of {COUNT}; 95 % interval" in text and "rows are the true class" in text


def test_fgsm():
    folder, _, w, pictures, labels = make("fgsm")
    after = [sees(w, fgsm(w, x, t)) if sees(w, x) == t else sees(w, x)
             for x, t in zip(pictures, labels)]
    robust = sum(s == t for s, t in zip(after, labels))
    assert 0 < robust < sum(sees(w, x) == t for x, t in zip(pictures, labels))
    report = evaluate(folder, "--attack", "fgsm", "--eps", EPS, "--json", "-o", folder / "o").json()
    assert report["robust_accuracy"]["count"] == robust
    assert report["broken"] == report["attacked"] - robust
    assert report["attack"]["method"] == "fgsm" and abs(report["attack"]["eps"] - EPS) < 1e-7
    table = rows(folder / "o" / "images.csv")
    assert [int(r["adversarial"]) for r in table] == after
    for r, t in zip(table, labels):
        assert int(r["robust"]) == (int(r["adversarial"]) == t)
        assert (float(r["linf"]) == 0) == (r["correct"] == "0")
        assert float(r["linf"]) <= EPS + 1e-6 and r["robust_8bit"] == ""
    assert "robust accuracy" in evaluate(folder, "--attack", "fgsm", "--eps", EPS).out


def test_any_batch_and_what_attack_says():
    """The same rows whatever the batch; and gibbon attack finds the same pictures."""
    folder, model, _, pictures, labels = make("batches")
    args = ["--attack", "pgd", "--eps", EPS, "--steps", "5", "--restarts", "2", "--eight-bit", "--seed", "3"]
    tables = []
    for batch in (1, 8, 64):
        evaluate(folder, *args, "--batch", batch, "-o", folder / str(batch))
        tables.append((folder / str(batch) / "images.csv").read_bytes())
    assert tables[0] == tables[1] == tables[2]
    table = rows(folder / "8" / "images.csv")
    some = [i for i in range(COUNT) if table[i]["correct"] == "1"][:12]
    values = [v for i in some for v in pictures[i]]
    files.npy(folder / "some.npy", [len(some), 1, SIZE, SIZE], values)
    done = gibbon("attack", model, folder / "some.npy", "-o", folder / "a", "--preprocess", "unit", "--json",
                  *["--method" if a == "--attack" else a for a in args]).json()["images"]
    for i, image in zip(some, done):
        assert image["success_before_rounding"] == (table[i]["robust"] == "0"), (i, image, table[i])
        assert image["success"] == (table[i]["robust_8bit"] == "0")
        assert image["iterations"] == int(table[i]["iterations"])


def test_limit():
    folder, _, w, pictures, labels = make("limit")
    report = evaluate(folder, "--limit", 9, "--json", "-o", folder / "o").json()
    assert report["images"] == 9 and report["data"]["pictures"] == COUNT
    chosen = range(0, COUNT, 10)
    assert [int(r["item"]) for r in rows(folder / "o" / "images.csv")] == list(chosen)
    assert report["accuracy"]["count"] == sum(sees(w, pictures[i]) == labels[i] for i in chosen)
    more = evaluate(folder, "--limit", 18, "--json", "-o", folder / "o").json() # half is there
    assert more["images"] == 18 and more["earlier"] == 9
    again = evaluate(folder, "--limit", 9, "--json", "-o", folder / "o").json()
    assert again["earlier"] == 9 and same(again, report)


def test_resume():
    folder, _, _, _, _ = make("resume")
    args = ["--attack", "pgd", "--eps", EPS, "--json"]
    whole = evaluate(folder, *args, "-o", folder / "whole").json()
    text = (folder / "whole" / "images.csv").read_text()
    lines = text.splitlines(keepends=True)
    # As kill -9 leaves it: rows of a rank without images.csv, the last one cut.
    evaluate(folder, *args, "-o", folder / "o", "--limit", 1)
    (folder / "o" / "images.csv").unlink()
    (folder / "o" / "part-0.csv").write_text("".join(lines[:31]) + lines[31][:-5])
    report = evaluate(folder, *args, "-o", folder / "o").json()
    assert report["earlier"] == 30 and same(report, whole)
    assert (folder / "o" / "images.csv").read_text() == text
    assert not list((folder / "o").glob("part-*"))
    report = evaluate(folder, *args, "-o", folder / "o").json() # nothing left to do
    assert report["earlier"] == COUNT and same(report, whole)


def test_resume_refuses_what_differs():
    folder, _, _, _, _ = make("refuse")
    out = ["-o", folder / "o", "--limit", 5]
    evaluate(folder, "--attack", "fgsm", *out)
    for args, what in ((["--attack", "fgsm", "--eps", "0.1"], "attack: 'fgsm, norm linf, eps 8/255"),
                       (["--attack", "fgsm", "--seed", "1"], "attack"), ([], "attack.*now 'none'"),
                       (["--attack", "fgsm", "--preprocess", "inception"], "preprocessing")):
        evaluate(folder, *args, *out, code=2, says=f"holds an evaluation with another {what}.*another -o")
    files.linear(folder / "m.onnx", 1, SIZE, CLASSES, weights=weights(9))
    evaluate(folder, "--attack", "fgsm", *out, code=2, says="another model")
    (folder / "o" / "settings.txt").unlink()
    evaluate(folder, "--attack", "fgsm", *out, code=2, says="no settings.txt")


def test_resume_refuses_what_changes_bits():
    """Numbers to the last bit, precision, the form of the kernels, pictures written anew, old records."""
    folder, model, _, pictures, _ = make("exact", 8)
    out, emulated = ["-o", folder / "o", "--limit", 5], {"GIBBON_KERNEL_FORM": "gpu"}
    (folder / "p.json").write_text('{"mean": 0.1234567, "std": 1}')
    args = ["--attack", "fgsm", "--eps", "0.0300000", "--preprocess", folder / "p.json"]
    data = folder / "images.npy"
    gibbon("eval", model, data, *args, *out)
    settings = (folder / "o" / "settings.txt").read_text()
    for line in ("precision: float32", "device: ", "program: gibbon ", "preprocessing: {"):
        assert f"\n{line}" in settings, settings
    assert gibbon("eval", model, data, *args, *out, "--batch", 2, "--json").json()["earlier"] == 5
    assert gibbon("eval", model, data, *args, "--limit", 8, "-o", folder / "o", "--json").json()["earlier"] == 5

    def refuse(what, *words, env=None):
        gibbon("eval", model, data, *words, *out, code=2, says=f"holds an evaluation with another {what}: '", env=env)

    refuse("preprocessing", *args[:4], "--preprocess", "unit")
    (folder / "p.json").write_text('{"mean": 0.1234571, "std": 1}')
    refuse("preprocessing", *args)
    (folder / "p.json").write_text('{"mean": 0.1234567, "std": 1}')
    refuse("attack's numbers", *args[:3], "0.03000001", *args[4:])
    refuse("device", *args, env=emulated)
    refuse("precision", *args, "--precision", "bf16", env=emulated)
    files.npy(data, [8, 1, SIZE, SIZE], [1 - v for x in pictures for v in x]) # rows of another file
    anew = gibbon("eval", model, data, *args, *out, "--json")
    assert anew.json()["earlier"] == 0 and "8 of 8 pictures were written since" in anew.err
    files.npy(folder / "labels.npy", [8], [0] * 8)
    refuse("data set", *args)
    (folder / "o" / "settings.txt").write_text(settings.replace("version: 2", "version: 1"))
    refuse("version", *args)


def start(folder, prefix=()):
    args = [*prefix, GIBBON, "eval", folder / "m.onnx", folder / "images.npy", "--preprocess", "unit", *SLOW,
            "--json", "-o", folder / "o"]
    process = subprocess.Popen([str(a) for a in args], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.time() + 300
    while process.poll() is None and time.time() < deadline and not any(
            part.read_text().count("\n") > 3 for part in (folder / "o").glob("part-*.csv")):
        time.sleep(0.02)
    assert process.poll() is None, process.communicate()
    return process


def test_interrupt_keeps_what_is_finished():
    folder, _, _, _, _ = make("interrupt")
    for number in (signal.SIGINT, signal.SIGTERM):
        process = start(folder)
        process.send_signal(number)
        text, err = process.communicate(timeout=300)
        assert process.returncode == 130, err
        done = len(rows(folder / "o" / "images.csv"))
        assert 3 <= done < COUNT, done
        assert f"interrupted; {done} of {COUNT} pictures are finished and kept" in err.decode(), err
        assert f'"images": {done},'.encode() in text
        assert not list((folder / "o").glob("part-*"))


def test_killed():
    folder, _, _, _, _ = make("killed")
    process = start(folder)
    process.kill()
    process.communicate()
    done = sum(part.read_text().count("\n") - 1 for part in (folder / "o").glob("part-*.csv"))
    args = [*SLOW, "--json", "-o", folder / "o"]
    assert evaluate(folder, *args, "--limit", 1).json()["earlier"] == 1
    assert len(rows(folder / "o" / "images.csv")) == done


def test_many_classes():
    """Tables of 50,000 classes: what is not zero, also on disk."""
    folder, classes = harness.folder("many"), 50000
    weights = [float(k * 2 - classes) / classes * (1 if i % 2 else -1) for k in range(classes) for i in range(4)]
    model = files.linear(folder / "m.onnx", 1, 2, classes, weights=weights)
    count = 100
    files.npy(folder / "images.npy", [count, 1, 2, 2], [(i * 37 % 256) / 255 for i in range(count * 4)])
    files.npy(folder / "labels.npy", [count], [k * 499 for k in range(count)])
    report = gibbon("eval", model, folder / "images.npy", "--preprocess", "unit", "--json", "--batch", 4,
                    "--attack", "fgsm", "-o", folder / "o").json()
    assert sum(n for _, _, n in report["confusion"]) == count
    table = rows(folder / "o" / "confusion.csv")
    assert [[int(r["class"]), int(r["seen"]), int(r["images"])] for r in table] == report["confusion"]
    assert len(rows(folder / "o" / "classes.csv")) == len(report["classes"]) == count
    assert sum(f.stat().st_size for f in (folder / "o").iterdir()) < 1e6


def test_thresholds():
    folder, _, w, pictures, labels = make("thresholds")
    share = sum(sees(w, x) == t for x, t in zip(pictures, labels)) / COUNT
    evaluate(folder, "--min-accuracy", share - 1e-9)
    done = evaluate(folder, "--min-accuracy", share + 0.001, code=3, says="^gibbon eval: accuracy 0.* is below --min-")
    assert "95 % interval" in done.out
    attack = ["--attack", "pgd", "--eps", 0.1]
    evaluate(folder, *attack, "--min-robust-accuracy", 0)
    evaluate(folder, *attack, "--min-accuracy", share, "--min-robust-accuracy", 0.9, code=3,
             says="eval: robust accuracy .* is below --min-robust-accuracy 0.9$")
    evaluate(folder, *attack, "--min-accuracy", 1, "--min-robust-accuracy", 1, code=3,
             says="accuracy .*, and robust accuracy")


def test_folders_of_some_classes():
    """As ImageNet-A: folders for some of the model's classes, found by their WordNet IDs."""
    folder, model, w, pictures, labels = make("folders")
    names = folder / "names.txt"
    names.write_text("".join(f"{k}\tn0000000{k}\tthing {k}\n" for k in range(CLASSES)))
    data = folder / "data"
    own = (1, 3)
    for i, (x, t) in enumerate(zip(pictures, labels)):
        if t in own:
            (data / f"n0000000{t}").mkdir(parents=True, exist_ok=True)
            files.png(data / f"n0000000{t}" / f"{i:03}.png", SIZE, SIZE, 1,
                      lambda px, py, c, x=x: round(x[py * SIZE + px] * 255))
    chosen = [(x, t) for x, t in zip(pictures, labels) if t in own]
    right = sum(sees(w, x) == t for x, t in chosen)
    args = ["eval", model, data, "--preprocess", "unit", "--labels", names, "--json"]
    report = gibbon(*args).json()
    assert report["accuracy"]["count"] == right and report["accuracy"]["total"] == len(chosen)
    assert [c["name"] for c in report["classes"]] == ["thing 1", "thing 3"]
    among = sum(max(own, key=lambda k: logits(w, x)[k]) == t for x, t in chosen)
    assert among > right
    assert gibbon(*args, "--data-classes").json()["accuracy"]["count"] == among
    gibbon(*args, "--attack", "pgd", "--eps", EPS)
    gibbon(*args, "--attack", "pgd", "--data-classes", code=2, says="--data-classes is not for an --attack")
    (data / "n0000009").mkdir()
    files.png(data / "n0000009" / "a.png", SIZE, SIZE, 1)
    gibbon(*args, code=2, says="n0000009")


def test_bad_pictures():
    """They are listed and counted, the others judged; when they are repaired, a second run adds them."""
    folder, model, w, _, _ = make("bad-pictures", 1)
    data = folder / "data"
    data.mkdir()
    names = [f"p{i:02}_{(i * i) % CLASSES}.png" for i in range(12)]
    for i, name in enumerate(names):
        files.png(data / name, SIZE, SIZE, 1, lambda x, y, c, i=i: (x * 37 + y * i * 11) % 256)
    good = {name: (data / name).read_bytes() for name in names}
    args = ["eval", model, data, "--preprocess", "unit", "--attack", "fgsm", "--eps", EPS, "--json", "--batch", 4]
    whole = gibbon(*args).json()
    assert whole["images"] == 12 and whole["failed"] == []
    bad = (names[0], names[5])
    for name in bad:
        (data / name).write_bytes(good[name][:60])
    for prefix in ((), ranks(2) if os.environ.get("GIBBON_MPIRUN") else ()):
        done = gibbon(*args, "-o", folder / f"o{len(prefix)}", code=1, prefix=prefix)
        report = done.json()
        assert report["images"] == 10 and report["accuracy"]["total"] == 10, report
        assert [pathlib.Path(f["image"]).name for f in report["failed"]] == list(bad)
        assert all(f["image"] in f["error"] for f in report["failed"])
        assert all(done.err.count(name) == 1 for name in bad), done
        assert len(rows(folder / f"o{len(prefix)}" / "images.csv")) == 10
    out = folder / "o0"
    again = gibbon(*args, "-o", out, code=1).json()
    assert again["earlier"] == 10 and len(again["failed"]) == 2
    for name in bad:
        (data / name).write_bytes(good[name])
    last = gibbon(*args, "-o", out).json()
    assert last["earlier"] == 10 and last["failed"] == [] and same(last, whole)
    text = gibbon(*args[:-3]).out
    assert "failed" not in text
    (data / names[3]).write_bytes(b"")
    assert "1 picture could not be read and counts nowhere" in gibbon(*args[:-3], code=1).out


def test_labels_in_names():
    """A number at the end of a name is a label where it cannot be a running number; or on request."""
    folder, model, w, _, _ = make("names", 1)
    data = {}
    for kind, names in {"labels": ("cat_0", "dog_3", "hog_3"), "counted": ("IMG_0001", "IMG_0002"),
                        "frames": ("frame_1", "frame_2", "frame_3")}.items():
        for i, name in enumerate(names):
            data.setdefault(kind, folder / kind).mkdir(exist_ok=True)
            files.png(data[kind] / (name + ".png"), SIZE, SIZE, 1, lambda x, y, c: (x * 7 + y * i) % 256)
    args = ["--preprocess", "unit", "--json"]
    (data["labels"] / "more.webp").write_text("x")
    (data["labels"] / "self").symlink_to(".")
    done = gibbon("eval", model, data["labels"], *args)
    report = done.json()["data"]
    assert report["pictures"] == 3 and report["label_source"] == "file name" and report["skipped"] == 1
    assert report["labels"] == "the ends of the file names" and "1 picture is skipped" in done.err
    assert "labels: the ends of the file names" in done.err
    for kind, name in (("counted", "IMG_0001"), ("frames", "frame_2")):
        gibbon("eval", model, data[kind], *args, code=2, says=f"{name}.png: the number in its name .*--label from-name")
        rows = gibbon("eval", model, data[kind], *args, "--label", "from-name").json()["confusion"]
        assert {t for t, _, _ in rows} == {1, 2} | ({3} if kind == "frames" else set())
    (folder / "2").mkdir()
    (data["counted"] / "IMG_0001.png").rename(folder / "2" / "IMG_0001.png")
    report = gibbon("eval", model, folder / "2", *args, "--label", "from-folder").json()
    assert report["confusion"][0][0] == 2 and report["data"]["label_source"] == "folder"


def test_bad_input():
    folder, model, _, _, _ = make("bad")
    gibbon("eval", model, code=2, says="give a model and a data set")
    gibbon("eval", model, folder / "nothing", code=1, says="nothing")
    evaluate(folder, "--eps", EPS, code=2, says="--eps is of an attack: give --attack too")
    evaluate(folder, "--attack", "magic", code=2, says="unknown method 'magic'")
    evaluate(folder, "--min-accuracy", "90", code=2, says="--min-accuracy '90' is no share")
    evaluate(folder, "--min-accuracy", "much", code=2, says="no share")
    evaluate(folder, "--min-robust-accuracy", "0.5", code=2, says="needs an --attack")
    files.npy(folder / "labels.npy", [COUNT], [CLASSES] * COUNT)
    evaluate(folder, code=2, says="images.npy.0.: has label 4; the model has classes 0 to 3")
    files.npy(folder / "labels.npy", [COUNT - 1], [0] * (COUNT - 1))
    evaluate(folder, code=1, says="labels.npy")
    files.npy(folder / "labels.npy", [COUNT], [0] * COUNT)
    (folder / "blocked").write_text("")
    evaluate(folder, "-o", folder / "blocked" / "o", code=1, says="blocked")
    files.linear(folder / "m.onnx", 1, SIZE, CLASSES, weights=[1e38] * PIXELS * CLASSES)
    evaluate(folder, code=1, says="image 0: the model's logits are NaN or infinite")
    files.linear(folder / "m.onnx", 1, SIZE + 1, CLASSES)
    evaluate(folder, code=2, says="1x6x6, but the model takes 1x7x7")


def test_fashion_mnist():
    if not pathlib.Path("/usr/share/datasets/fashion-mnist").exists():
        raise Skip("dataset-fashion-mnist is not installed")
    report = gibbon("eval", harness.FASHION, "fashion-mnist", "--preprocess", "unit", "--limit", 500, "--json",
                    "--attack", "fgsm", "--eps", 0.05).json()
    assert 0.88 < report["accuracy"]["value"] < 0.94 and report["robust_accuracy"]["value"] < 0.4
    assert report["classes"][9]["name"] == "Ankle boot", report["classes"]


def test_ranks():
    folder, _, _, _, _ = make("ranks")
    args = ["--attack", "pgd", "--eps", EPS, "--json"]
    whole = evaluate(folder, *args, "-o", folder / "whole").json()
    for n in (2, 3):
        report = evaluate(folder, *args, "-o", folder / str(n), prefix=ranks(n)).json()
        assert report["ranks"] == n and same(report, whole)
        for name in ("images.csv", "classes.csv", "confusion_adversarial.csv", "settings.txt"):
            assert (folder / str(n) / name).read_bytes() == (folder / "whole" / name).read_bytes(), name
    assert same(evaluate(folder, *args, prefix=ranks(2)).json(), whole) # without files
    done = evaluate(folder, *args, "--min-robust-accuracy", 1, code=3, prefix=ranks(2))
    assert done.err.count("is below") == 1
    done = evaluate(folder, "--attack", "magic", code=2, prefix=ranks(2))
    assert done.err.count("unknown method 'magic'") == 1, done


def test_a_rank_that_dies_ends_the_job():
    folder, _, _, _, _ = make("dies")
    process = start(folder, ranks(2))
    children = [int(p.name) for p in pathlib.Path("/proc").iterdir() if p.name.isdigit()
                and (p / "stat").exists() and (p / "stat").read_text().split()[3] == str(process.pid)]
    ours = [p for p in children if os.path.realpath(f"/proc/{p}/exe") == os.path.realpath(GIBBON)]
    assert len(ours) == 2, children
    os.kill(ours[1], signal.SIGKILL)
    _, err = process.communicate(timeout=120)
    assert process.returncode not in (0, 130) and b"signal 9" in err, err
    args = [*SLOW, "--json", "-o", folder / "o"]
    assert evaluate(folder, *args, "--limit", 1).json()["images"] == 1
    assert len(rows(folder / "o" / "images.csv")) >= 3


harness.main(globals())
