#!/usr/bin/env python3
"""gibbon classify and attack: results as files and reports, seeds and batches, and bad pictures."""
import json
import os
import pathlib
import re
import shutil
import signal
import struct
import subprocess
import time
import zlib

import files
import harness
from harness import BAG, BOOT, FASHION, GIBBON, LABELS, TROUSER, Skip, gibbon

UNIT = ["--preprocess", "unit"]
FASHION_ARGS = [*UNIT, "--labels", LABELS]


def attack(*args, out, pictures=(BOOT,), **how):
    return gibbon("attack", FASHION, *pictures, "-o", out, *FASHION_ARGS, *args, **how)


# --- classify ---

def test_classify():
    done = gibbon("classify", FASHION, BOOT, BAG, TROUSER, *FASHION_ARGS, "--top", 2)
    lines = done.out.splitlines()
    assert [line.split()[-1] for line in (lines[1], lines[4], lines[7])] == ["boot", "bag", "trouser"]
    assert len(lines) == 9 and "device: " in done.err and "preprocess: unit" in done.err


def test_classify_json_and_batches():
    reports = [gibbon("classify", FASHION, BOOT, BAG, TROUSER, *FASHION_ARGS, "--json", "--batch", b)
               .json()["images"] for b in (1, 2, 3)]
    assert reports[0] == reports[1] == reports[2]
    assert [r["classes"][0]["class"] for r in reports[0]] == [9, 8, 1]
    assert sum(c["probability"] for c in reports[0][0]["classes"]) <= 1.000001


def test_names_that_are_not_utf8():
    """JSON keeps every entry, with U+FFFD for bytes that are no text."""
    here = harness.folder("bytes")
    model = files.linear(here / "m.onnx")
    picture = os.fsencode(here) + b"/p\xff\xe4.png"
    preset = os.fsencode(here) + b"/pre\xff.json"
    open(picture, "wb").write(open(files.png(here / "p.png", 8, 8), "rb").read())
    open(preset, "w").write('{"range": 1}')
    (here / "labels.txt").write_bytes(b"K\xe4se\nH\xf6hle, cave\n\xff\xfe\nplain\n")
    names = ["Käse", "Höhle", "ÿþ", "plain"]  # a file that is not UTF-8 is Latin-1
    common = ["--preprocess", os.fsdecode(preset), "--labels", here / "labels.txt", "-q", "--json"]
    line = [os.fsencode(str(a)) for a in
            (GIBBON, "classify", model, os.fsdecode(picture), *common, "--top", 4)]
    report = json.loads(subprocess.run(line, check=True, capture_output=True).stdout)
    assert report["model"]["preprocess"].endswith("pre\ufffd.json"), report
    assert report["images"][0]["input"].endswith("p\ufffd\ufffd.png")
    assert {c["class"]: c["name"] for c in report["images"][0]["classes"]} == dict(enumerate(names))
    line = [os.fsencode(str(a)) for a in (GIBBON, "attack", model, os.fsdecode(picture), *common,
                                          "--steps", 2, "-o", here / "o")]
    report = json.loads(subprocess.run(line, check=True, capture_output=True).stdout)
    assert report["images"][0]["output"].endswith("p\ufffd\ufffd_adversarial.png")
    assert report["images"][0]["clean"]["name"] in names


def test_final_softmax_is_seen():
    here = harness.folder("softmax")
    picture = files.png(here / "p.png", 8, 8)
    bare = files.linear(here / "bare.onnx")
    soft = files.linear(here / "soft.onnx", ending=[files.node("Softmax", ["y"], ["z"], axis=1)])
    one, two = (gibbon("classify", m, picture, "--preprocess", "unit", "--json").json()["images"][0]
                for m in (bare, soft))
    assert one["classes"] == two["classes"]


def test_preprocessing_from_metadata_and_guess():
    here = harness.folder("meta")
    picture = files.png(here / "p.png", 20, 10)
    path = files.linear(here / "meta.onnx", meta={"gibbon.preprocess": '{"range": 255, "bgr": true}'})
    done = gibbon("classify", path, picture)
    assert "preprocess: the model's metadata" in done.err and "assumed" not in done.err, done
    done = gibbon("classify", files.linear(here / "plain.onnx"), picture)
    assert "preprocess: unit" in done.err and "assumed" in done.err, done
    done = gibbon("classify", files.linear(here / "plain.onnx"), picture, "--quiet")
    assert "assumed" not in done.err and "device: " in done.err, done


def test_class_names_from_metadata():
    here = harness.folder("names")
    picture = files.png(here / "p.png", 8, 8)
    path = files.linear(here / "names.onnx", meta={"gibbon.classes": '["ant", "bee", "cat", "dog"]'})
    args = ["classify", path, picture, "--preprocess", "unit", "--json", "--top", 4]
    seen = [c["name"] for c in gibbon(*args).json()["images"][0]["classes"]]
    assert sorted(seen) == ["ant", "bee", "cat", "dog"], seen
    (here / "own.txt").write_text("a\nb\nc\nd\n")
    seen = [c["name"] for c in gibbon(*args, "--labels", here / "own.txt").json()["images"][0]["classes"]]
    assert sorted(seen) == ["a", "b", "c", "d"], seen
    broken = files.linear(here / "broken.onnx", meta={"gibbon.classes": '["ant", 2]'})
    gibbon("classify", broken, picture, code=1, says="the model's metadata: class 1 is neither")


def test_open_picture_size():
    here = harness.folder("open")
    path = files.model(here / "open.onnx",
                       [files.node("GlobalAveragePool", ["x"], ["p"]),
                        files.node("Flatten", ["p"], ["f"]),
                        files.node("Gemm", ["f", "w"], ["y"], transB=1)],
                       [files.value("x", ["N", 3, "H", "W"])], [files.value("y", ["N", 2])],
                       [files.tensor("w", [2, 3], [1.0, 0, 0, 0, 0, 1.0])])
    picture = files.png(here / "p.png", 30, 20, 3, lambda x, y, c: 255 * (c == 2))
    assert "leaves its input's size open" in gibbon("info", path).err
    gibbon("classify", path, picture, "--preprocess", "unit", code=2, says="size open")
    (here / "p.json").write_text('{"resize": 10, "crop": [12, 8]}')
    done = gibbon("classify", path, picture, "--preprocess", here / "p.json", "--json")
    assert "12x8" in done.err and done.json()["images"][0]["classes"][0]["class"] == 1, done


def test_folders_and_arrays():
    here = harness.folder("many")
    model = files.linear(here / "m.onnx", channels=1)
    inner = here / "pictures"
    inner.mkdir()
    for name in ("b.png", "a.png"):
        files.png(inner / name, 8, 8, 1)
    files.npy(here / "n.npy", [2, 1, 8, 8], [i / 127 for i in range(128)])
    images = gibbon("classify", model, inner, here / "n.npy", "--preprocess", "unit",
                    "--json").json()["images"]
    assert [pathlib.Path(i["input"]).name for i in images] == ["a.png", "b.png", "n.npy[0]", "n.npy[1]"]


def test_bad_pictures():
    here = harness.folder("bad")
    (here / "empty.png").write_bytes(b"")
    (here / "cut.png").write_bytes(pathlib.Path(BOOT).read_bytes()[:200])
    (here / "text.jpg").write_text("hello")
    files.npy(here / "wrong.npy", [1, 3, 28, 28], [0.5] * 3 * 784)
    files.npy(here / "range.npy", [1, 28, 28], [2.0] * 784)
    nothing = here / "nothing"
    nothing.mkdir()
    say = lambda what, says: gibbon("classify", FASHION, here / what, *FASHION_ARGS, code=1, says=says)
    say("missing.png", "missing.png: No such file")
    for name in ("empty.png", "cut.png", "text.jpg"):
        say(name, name)
    for name in ("wrong.npy", "range.npy"):
        done = gibbon("classify", FASHION, here / name, *FASHION_ARGS, code=1)
        assert name in harness.errors(done)[0], done
    gibbon("classify", FASHION, nothing, *FASHION_ARGS, code=2, says="nothing: no .*picture")


def test_sheet():
    out = harness.folder("sheet")
    report = attack("--json", out=out, pictures=(BOOT, BAG, TROUSER)).json()
    assert report["sheet"] == str(out / "sheet.png"), report
    width, height, channels, _ = files.read_png(report["sheet"])
    assert channels == 3 and width > 3 * 112 and height > 3 * 112
    assert "all of them in " in attack(out=out, pictures=(BOOT, BAG)).out
    alone = attack("--json", out=harness.folder("alone")).json()
    assert alone["sheet"] is None and not (harness.TEMP / "alone" / "sheet.png").exists()


def test_one_bad_picture_among_good_ones():
    here = harness.folder("among")
    (here / "bad.png").write_bytes(b"")
    done = gibbon("classify", FASHION, BOOT, here / "bad.png", BAG, *FASHION_ARGS, "--json", code=1,
                  says="bad.png")
    assert len(done.json()["images"]) == 2
    done = attack("--json", out=here / "out", pictures=(BOOT, here / "bad.png", BAG), code=1,
                  says="bad.png")
    images = done.json()["images"]
    assert len(images) == 3 and "error" in images[1] and os.path.exists(images[2]["output"]), done


def peak(*args):
    """The most kilobytes that a run of gibbon takes, and how it ended."""
    process = subprocess.Popen([GIBBON, *map(str, args)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    return usage.ru_maxrss, os.waitstatus_to_exitcode(status)


def bomb(path, side):
    """A black picture of side x side pixels in a thousandth of their bytes."""
    rows = zlib.compressobj(9)
    body = b"".join(rows.compress(bytes(side + 1)) for _ in range(side)) + rows.flush()
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)), (b"IDAT", body), (b"IEND", b""))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks))
    return path


def test_max_pixels():
    here = harness.folder("pixels")
    model = files.linear(here / "m.onnx", channels=1)
    args = ["--preprocess", "unit"]
    small = files.png(here / "small.png", 100, 90, 1)
    for command, more in (("classify", []), ("attack", ["-o", here / "out"])):
        gibbon(command, model, small, *args, *more, "--max-pixels", 8999, code=1,
               says="small.png: 100x90 pixels are more than the limit of 8999; --max-pixels 9000")
        gibbon(command, model, small, *args, *more, "--max-pixels", 9000)
    gibbon("classify", model, small, *args, "--max-pixels", 0, code=2, says="--max-pixels 0")
    for name in ("eval", "train", "transfer"):
        assert "--max-pixels" in gibbon(name, "--help").out
    large, over = bomb(here / "large.png", 10000), bomb(here / "over.png", 10001)
    gibbon("classify", model, over, *args, code=1, says="10001x10001 .*limit of 100000000; --max-pixels 100020001")
    (least, code), (most, also) = peak("classify", model, small, *args), peak("classify", model, large, *args)
    assert code == also == 0 and most - least < 50000, (least, most)  # the picture has 100 MB
    # One of several is refused, the others go on.
    done = gibbon("classify", model, small, over, *args, "--json", code=1, says="over.png")
    assert len(done.json()["images"]) == 1


def test_max_pixels_of_data():
    """The limit holds where a data set reads its pictures, too, and not where it looks at their size."""
    here = harness.folder("pixels-data")
    model = files.linear(here / "m.onnx", channels=1)
    for label in range(4):
        files.png(here / f"p_{label}.png", 20, 30, 1)
    args = ["eval", model, here, "--preprocess", "unit", "--label", "from-name", "--json", "--max-pixels"]
    done = gibbon(*args, 599, code=1)
    assert "p_0.png: 20x30 pixels are more than the limit of 599" in done.err, done
    assert len(done.json()["failed"]) == 4
    assert gibbon(*args, 600).json()["images"] == 4


def test_other_formats():
    here = harness.folder("formats")
    (here / "x.jpg").write_bytes(b"RIFF\x24\0\0\0WEBPVP8 " + bytes(40))
    gibbon("classify", FASHION, here / "x.jpg", *FASHION_ARGS, code=1,
           says="x.jpg: is a WebP picture; gibbon reads JPEG and PNG")


def test_wrong_channels():
    here = harness.folder("channels")
    model = files.linear(here / "five.onnx", channels=5)
    gibbon("classify", model, files.png(here / "p.png", 8, 8), "--preprocess", "unit", code=1,
           says="5|channels")
    gibbon("classify", FASHION, BOOT, "--preprocess", "imagenet", code=2, says="channel")


# --- attack ---

def check_image(image, eps, norm):
    for key in ("input", "output", "label", "clean", "adversarial", "success", "verified", "linf",
                "l2", "iterations", "seconds"):
        assert key in image, key
    for verdict in (image["clean"], image["adversarial"]):
        assert set(verdict) >= {"class", "name", "probability"} and 0 <= verdict["probability"] <= 1
    assert image["verified"] and image[norm] <= eps + 1e-6, image


def test_attack_report_and_files():
    out = harness.folder("attack")
    done = attack("--eps", "16/255", "--json", out=out, pictures=(BOOT, BAG))
    report = done.json()
    assert set(report) >= {"device", "model", "attack", "images", "summary"}
    assert len(report["images"]) == 2
    for image, source in zip(report["images"], (BOOT, BAG)):
        check_image(image, 16 / 255, "linf")
        w, h, c, after = files.read_png(image["output"])
        before = files.read_png(source)[3]
        assert (w, h, c) == (28, 28, 1)
        apart = max(abs(a - b) for a, b in zip(before, after))
        assert apart <= 16 and abs(apart / 255 - image["linf"]) < 1e-6
        # What the file is classified as is what the report says.
        seen = gibbon("classify", FASHION, image["output"], *FASHION_ARGS, "--json").json()
        assert seen["images"][0]["classes"][0]["class"] == image["adversarial"]["class"]
        assert image["success"] == (image["adversarial"]["class"] != image["label"])
        assert os.path.exists(image["output"].replace("_adversarial", "_panel"))
    assert any(image["success"] for image in report["images"]), report


def pass_along(row, out):
    """A line of pixels resized as Pillow does: triangles, weights of 22 bits, rounded to 8."""
    scale, result = len(row) / out, []
    support = max(scale, 1.0)
    for i in range(out):
        centre = (i + 0.5) * scale
        first, end = max(int(centre - support + 0.5), 0), min(int(centre + support + 0.5), len(row))
        weight = [max(1 - abs((k - centre + 0.5) * (1 / support)), 0) for k in range(first, end)]
        fixed = [int(0.5 + w / sum(weight) * (1 << 22)) for w in weight]
        result.append(sum(w * v for w, v in zip(fixed, row[first:end])) + (1 << 21) >> 22)
    return result


def resized(rows, width, height, columns_first):
    turn = lambda rows: [list(column) for column in zip(*rows)]
    for columns in (columns_first, not columns_first):
        if columns:
            rows = turn([pass_along(column, height) for column in turn(rows)])
        else:
            rows = [pass_along(row, width) for row in rows]
    return [v for row in rows for v in row]


def test_versions_of_pillow():
    """Versions of Pillow resize a tall picture a level apart: the result is near both."""
    here = harness.folder("tall")
    level = lambda x, y, c: (x * 2654435761 + y * 40503 + x * y * 977 >> 3) % 256
    tall = files.png(here / "tall.png", 40, 130, 1, level)
    wide = files.png(here / "wide.png", 130, 40, 1, level)
    rows = [[level(x, y, 0) for x in range(40)] for y in range(130)]
    older, newer = resized(rows, 28, 28, False), resized(rows, 28, 28, True)
    assert max(abs(a - b) for a, b in zip(older, newer)) == 1
    far = lambda a, b: max(abs(x - y) for x, y in zip(a, b))
    square = lambda a, b: sum((x - y) ** 2 for x, y in zip(a, b))
    for args, radius in ((["--eps", "1/255"], 1), (["--eps", "4/255"], 4), (["--norm", "l2", "--eps", "0.3"], None)):
        report = attack(*args, "--json", out=here / "out", pictures=(tall, wide)).json()
        image, other = report["images"]
        assert "newer_pillow" not in other and os.path.exists(other["original"])
        after, before = (files.read_png(image[key])[3] for key in ("output", "original"))
        assert list(before) == older and image["verified"]
        assert abs(image["linf"] * 255 - far(after, older)) < 1e-6
        assert abs(image["newer_pillow"]["linf"] * 255 - far(after, newer)) < 1e-6
        assert abs((image["newer_pillow"]["l2"] * 255) ** 2 - square(after, newer)) < 1e-3
        if radius:
            assert far(after, older) <= radius and far(after, newer) <= radius, (args, image)
        else:
            assert max(square(after, older), square(after, newer)) <= (0.3 * 255 + 1e-3) ** 2, image
    text = attack("--eps", "1/255", out=here / "out", pictures=(tall,)).out
    assert "newer versions of Pillow" in text and "tall_original.png" in text, text


def test_attack_text():
    done = attack("--eps", "16/255", out=harness.folder("text"))
    for piece in ("ankle boot", "16/255", "prediction"):
        assert piece in done.out, f"{piece}\n{done}"
    assert "device: " in done.err


def test_fgsm_l2_and_target():
    out = harness.folder("kinds")
    one = attack("--method", "fgsm", "--eps", "0.1", "--json", out=out).json()["images"][0]
    check_image(one, 0.1, "linf")
    two = attack("--norm", "l2", "--eps", "2", "--json", out=out).json()["images"][0]
    check_image(two, 2, "l2")
    three = attack("--target", "sneaker", "--eps", "32/255", "--steps", 20, "--json",
                   out=out).json()["images"][0]
    check_image(three, 32 / 255, "linf")
    assert three["success"] and three["adversarial"]["name"] == "sneaker", three


def test_optimizers():
    """Whatever makes the steps, the result is inside the ball."""
    for rule in ("sign", "sgd", "adam", "rmsprop", "adagrad", "ftrl"):
        out = harness.folder("rule-" + rule)
        report = attack("--optimizer", rule, "--target", "sneaker", "--loss", "pair", "--eps", "4/255",
                        "--step-size", "0.02" if rule in ("sgd", "adagrad", "ftrl") else "1/255", "--steps", 8,
                        "--no-random-start", "--json", out=out).json()
        image = report["images"][0]
        assert report["attack"]["optimizer"] == rule
        check_image(image, 4 / 255, "linf")
        assert image["linf"] > 0, rule
    attack("--optimizer", "lion", out=harness.folder("rule"), code=2, says="sign, sgd, adam")
    attack("--loss", "pair", out=harness.folder("rule"), code=2, says="target")


def test_compat_tutorial():
    """FGSM that only brightens, and PGD that no eps holds."""
    out = harness.folder("tutorial")
    image = attack("--method", "fgsm", "--eps", "5/255", "--compat", "tutorial", "--json", out=out).json()["images"][0]
    before, after = files.read_png(BOOT), files.read_png(image["output"])
    assert {b - a for a, b in zip(before[-1], after[-1])} <= set(range(6)) and before[-1] != after[-1]
    report = attack("--compat", "tutorial", "--target", "sneaker", "--steps", 60, "--step-size", "0.5/255", "--json",
                    out=out).json()
    assert report["attack"]["optimizer"] == "adam" and report["attack"]["loss"] == "pair"
    assert report["images"][0]["linf"] > 100 * report["attack"]["eps"], report
    attack("--compat", "tutorial", "--norm", "l2", out=out, code=2, says="linf")


def strip(report):
    for image in report["images"]:
        image.pop("seconds")
    return report["images"]


def test_same_seed_same_result_in_any_batch():
    out = harness.folder("seeds")
    args = ["--eps", "8/255", "--restarts", 2, "--json", "--seed", 7]
    runs = [attack(*args, "--batch", b, out=out, pictures=(BOOT, BAG, TROUSER)).json()
            for b in (1, 2, 3)]
    pictures = []
    for run in runs:
        pictures.append(strip(run))
    assert pictures[0] == pictures[1] == pictures[2]
    first = files.read_png(pictures[0][0]["output"])
    alone = strip(attack(*args, out=harness.folder("alone")).json())[0]
    assert files.read_png(alone["output"]) == first
    paths = dict.fromkeys(("output", "original", "picture"))
    assert {**alone, **paths} == {**pictures[0][0], **paths}


def test_labels_and_their_sources():
    out = harness.folder("sources")
    source = lambda *a, **k: attack("--json", "--eps", "1/255", *a, out=out, **k).json()["images"][0]
    assert source()["label_source"] == "prediction"
    given = source("--label", "bag")
    assert given["label"] == 8 and given["label_source"] == "option" and given["success"]
    assert source("--label", "from-name")["label_source"] == "file name"
    home = harness.folder("by-class") / "sandal"
    home.mkdir()
    shutil.copy(BOOT, home / "boot.png")
    folder = source("--label", "from-folder", pictures=(home / "boot.png",))
    assert folder["label"] == 5 and folder["label_source"] == "folder"


def test_labels_out_of_range():
    out = harness.folder("range")
    attack("--label", "10", out=out, code=2, says="--label.*10")
    attack("--target", "-1", out=out, code=2, says="--target.*-1")
    attack("--target", "panda", out=out, code=2, says="panda")
    attack("--label", "from-name", out=out, pictures=(files.png(out / "x_77.png", 28, 28, 1),), code=1,
           says="x_77.png")


def test_labels_of_another_model():
    here = harness.folder("labels")
    model = files.linear(here / "m.onnx", channels=1, size=28)
    done = gibbon("classify", model, BOOT, *FASHION_ARGS)
    assert "fashion_labels.txt names class 9, but the model has classes 0 to 3" in done.err, done


def test_labels_that_do_not_fit():
    """Too few names are said; names that count from 1, and what is no file of names, are refused."""
    here = harness.folder("counts")
    model = files.linear(here / "m.onnx", channels=1, size=28)
    args = ["classify", model, BOOT, "--preprocess", "unit", "--labels"]
    for text, says in (("a\nb\n", "names 2 classes, one after the other, but the model has 4"),
                       ("0 a\n3 d\n", "labels: .* names 2 of the model's 4 classes")):
        (here / "l.txt").write_text(text)
        assert re.search(says, gibbon(*args, here / "l.txt").err), text
    (here / "l.txt").write_text("1 a\n2 b\n3 c\n4 d\n")
    gibbon(*args, here / "l.txt", code=2, says="l.txt counts classes from 1 to 4, but the model has 0 to 3")
    (here / "l.csv").write_text('index,name\n0,"a, b"\n1,c\n2,d\n3,"e ""f"""\n')
    names = {c["class"]: c["name"] for c in gibbon(*args, here / "l.csv", "--json").json()["images"][0]["classes"]}
    assert names == {0: "a", 1: "c", 2: "d", 3: 'e "f"'}
    os.mkfifo(here / "fifo")
    gibbon(*args, here / "fifo", code=1, says="nothing came through this pipe")
    for bad in (here, "/dev/zero"):
        gibbon(*args, bad, code=1, says="not a regular file")


def test_same_names_from_two_folders():
    here = harness.folder("twins")
    pictures = []
    for name in ("one", "two"):
        (here / name).mkdir()
        pictures.append(shutil.copy(BOOT if name == "one" else BAG, here / name / "p.png"))
    images = attack("--json", out=here / "out", pictures=pictures).json()["images"]
    assert images[0]["output"] != images[1]["output"]
    assert all(os.path.exists(i["output"]) for i in images)


def test_long_names():
    here = harness.folder("long")
    pictures = [here / ("é" * 119 + end + ".png") for end in ("a", "b")]  # 239 bytes, then the ending
    for picture in pictures:
        shutil.copy(BOOT, picture)
    done = attack("--json", "--steps", 1, out=here / "out", pictures=pictures).json()
    written = sorted(os.listdir(here / "out"))
    assert written == sorted([f"{'é' * 100}{n}_{what}.png" for n in ("", "_2")
                              for what in ("adversarial", "original", "panel")] + ["sheet.png"]), written
    assert all(os.path.exists(image["output"]) for image in done["images"])


def test_unwritable_output():
    here = harness.folder("unwritable")
    (here / "file").write_text("")
    attack(out=here / "file", code=1, says="file")
    attack(out=here / "file" / "below", code=1, says="file")
    attack(out="/proc/nowhere", code=1, says="/proc/nowhere")
    if os.getuid() != 0:
        os.chmod(here, 0o500)
        attack(out=here / "new", code=1, says="Permission denied")
        attack(out=here, code=1, says="Permission denied")
        os.chmod(here, 0o700)


def test_full_disk():
    if os.getuid() != 0:
        raise Skip("mounting a small disk needs root")
    here = harness.folder("disk")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "none", here],
                             stderr=subprocess.DEVNULL)
    if mounted.returncode:
        raise Skip("mounting a small disk is not allowed here")
    try:
        (here / "filler").write_bytes(bytes(4096))
        attack(out=here, code=1, says="No space left")
        done = attack("--json", out=here, pictures=(BOOT, BAG), code=1)
        assert ["No space left" in i["error"] for i in done.json()["images"]] == [True, True], done
        assert [p.name for p in here.iterdir()] == ["filler"], "half a picture was left"
    finally:
        subprocess.run(["umount", here], check=True)


def test_files_that_cannot_be_written():
    """A picture that cannot be written is an error of its own; the others are told."""
    here = harness.folder("unwritten")
    model = files.linear(here / "m.onnx")
    pictures = [files.png(here / f"{name}.png", 8, 8) for name in "abc"]
    line = ["attack", model, *pictures, "--preprocess", "unit", "--method", "fgsm", "-q", "-o"]
    free = gibbon(*line, here / "free", "--json").json()
    out = here / "o"
    (out / "b_adversarial.png").mkdir(parents=True)
    (out / "c_panel.png").mkdir()
    done = gibbon(*line, out, "--json", code=1)
    images, summary = done.json()["images"], done.json()["summary"]
    assert [i.get("error") is None for i in images] == [True, False, True], images
    assert "b_adversarial.png: is a folder" in images[1]["error"], images
    assert images[0]["picture"] and images[2]["picture"] is None
    for i in (0, 2):
        assert images[i]["adversarial"] == free["images"][i]["adversarial"]
        assert images[i]["success"] == free["images"][i]["success"]
    assert summary["images"] == 3 and summary["failed"] == 1
    assert sorted(p.name for p in out.iterdir() if p.is_file()) == \
        ["a_adversarial.png", "a_original.png", "a_panel.png", "c_adversarial.png", "c_original.png"], \
        list(out.iterdir())
    done = gibbon(*line, out, code=1)
    assert "a.png" in done.out and "c.png" in done.out and "b_adversarial.png: is a folder" in done.err, done
    (here / "data").mkdir()
    shutil.copy(pictures[0], here / "data" / "a_1.png")
    (here / "e" / "classes.csv").mkdir(parents=True)
    done = gibbon("eval", model, here / "data", "--label", "from-name", *UNIT, "-q", "--json", "-o",
                  here / "e", code=1)
    assert done.json()["images"] == 1 and "classes.csv: is a folder" in done.err, done


def test_memory_limit_splits_the_batch():
    out = harness.folder("limit")
    pictures = (BOOT, BAG, TROUSER, BOOT, BAG, TROUSER, BOOT, BAG)
    free = attack("--json", out=out, pictures=pictures).json()
    for limit in range(2, 40):
        env = {"GIBBON_MEMORY_LIMIT": str(limit << 18)}
        try:
            done = attack("--json", out=out, pictures=pictures, env=env)
        except AssertionError:
            continue
        break
    assert "does not fit" in done.err and "trying 4" in done.err, done
    assert strip(done.json()) == strip(free)
    done = attack(out=out, env={"GIBBON_MEMORY_LIMIT": "1000"}, code=1)
    assert "memory" in harness.errors(done)[-1], done


def test_interrupt_keeps_what_is_finished():
    out = harness.folder("interrupt")
    args = [GIBBON, "attack", FASHION, *[BOOT, BAG, TROUSER] * 30, "-o", out, *FASHION_ARGS, "--batch",
            "1", "--no-early-stop", "--steps", "400", "--json"]
    process = subprocess.Popen([str(a) for a in args], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.time() + 300
    while not list(out.glob("*_panel.png")) and process.poll() is None and time.time() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    text, err = (b.decode() for b in process.communicate(timeout=300))
    assert process.returncode == 130, err
    images = json.loads(text)["images"]
    assert 1 <= len(images) < 90, len(images)
    assert f"interrupted; {len(images)} of 90 pictures are finished and kept" in err, err
    assert len(list(out.glob("*_adversarial.png"))) == len(images)


def test_fixed_batch():
    here = harness.folder("fixed")
    model = files.linear(here / "four.onnx", batch=4)
    pictures = [files.png(here / f"p{i}.png", 8, 8, 3, lambda x, y, c, i=i: (x * 9 + y * i * 7 + c) % 256)
                for i in range(6)]
    free = files.linear(here / "free.onnx")
    results = []
    for path in (model, free):
        report = gibbon("classify", path, *pictures, "--preprocess", "unit", "--json").json()
        results.append(report["images"])
    assert results[0] == results[1]


def test_a_photograph():
    model = harness.shared("models/mobilenetv2_1.0_224.onnx")
    picture = harness.shared("images/fullsize/n02510455_giant_panda.JPEG")
    labels = harness.shared("labels/imagenet_classes.txt")
    out = harness.folder("photo")
    image = gibbon("attack", model, picture, "--preprocess", "inception", "--labels", labels, "--eps",
                   "4/255", "--label", "from-name", "-o", out, "--json").json()["images"][0]
    check_image(image, 4 / 255, "linf")
    assert image["label"] == 388 and image["clean"]["class"] == 388 and image["success"], image


harness.main(globals())
