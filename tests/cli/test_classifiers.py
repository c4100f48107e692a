"""Models as their files have them: layouts of the input, heads of every kind, several outputs."""
import math

import files
import harness
from harness import errors, folder, gibbon

UINT8 = 2
UNIT = ["--preprocess", "unit"]


def weights(count, scale=4000, step=2654435761):
    return [((i * step >> 7) % 2001 - 1000) / scale for i in range(count)]


def model(path, head=(), tail=(), dims=("N", 3, 8, 8), kind=files.FLOAT, outputs=None, classes=4,
          source="x", tensors=(), channels=3, size=8, name="x"):
    """Flatten and a dense layer; `head` leads from the input to `source`, `tail` from 'y' on."""
    count = channels * size * size
    nodes = [*head, files.node("Flatten", [source], ["f"]),
             files.node("Gemm", ["f", "w"], ["y"], transB=1), *tail]
    return files.model(path, nodes, [files.value(name, list(dims), kind)],
                       outputs or [files.value("y", ["N", classes])],
                       [files.tensor("w", [classes, count], weights(count * classes)),
                        files.tensor("first", [3], [-1, 3, 64], files.INT64),
                        files.tensor("zero", [1], [0], files.INT64),
                        files.tensor("one", [1], [1], files.INT64),
                        files.tensor("full", [], [255.0]), *tensors])


def turn(perm, source="x", to="h"):
    return files.node("Transpose", [source], [to], perm=perm)


def pictures(home, count=3, channels=3, size=8):
    return [files.png(home / f"p{i}.png", size, size, channels,
                      lambda x, y, c, i=i: (x * 29 + y * 17 + c * 71 + i * 53) % 256)
            for i in range(count)]


def seen(path, shown, *options):
    """Of each picture the class and the probabilities by class, and the document."""
    done = gibbon("classify", path, *shown, "--json", "--top", 100, *UNIT, *options)
    rows = []
    for image in done.json()["images"]:
        p = {c["class"]: c["probability"] for c in image["classes"]}
        rows.append([p[k] for k in sorted(p)])
    return rows, done


def same(a, b, within=1e-6):
    assert len(a) == len(b)
    for p, q in zip(a, b):
        assert len(p) == len(q) and all(abs(x - y) <= within for x, y in zip(p, q)), (p, q)


def attacked(home, path, shown, name, *options):
    out = home / name
    document = gibbon("attack", path, *shown, "-o", out, "--eps", "8/255", "--steps", 5, "--json",
                      *UNIT, *options).json()
    return document, [(out / f"p{i}_adversarial.png").read_bytes() for i in range(len(shown))]


def test_layouts():
    home = folder("layouts")
    shown = pictures(home)
    usual = model(home / "nchw.onnx")
    want, done = seen(usual, shown)
    assert "model:" not in done.err
    _, pngs = attacked(home, usual, shown, "nchw")
    to_first = [turn([0, 3, 1, 2])]
    variants = {
        "nhwc": model(home / "nhwc.onnx", to_first, dims=("N", 8, 8, 3), source="h"),
        "fixed": model(home / "fixed.onnx", to_first, dims=(1, 8, 8, 3), source="h"),
        "flat": model(home / "flat.onnx", [files.node("Identity", ["x"], ["h"])],
                      dims=("N", 192), source="h"),
        "row": model(home / "row.onnx", [files.node("Unsqueeze", ["x", "zero"], ["h"])],
                     dims=(192,), source="h"),
        "unbatched": model(home / "unbatched.onnx", [files.node("Unsqueeze", ["x", "zero"], ["h"])],
                           dims=(3, 8, 8), source="h"),
        "unbatched_last": model(
            home / "unbatched_last.onnx",
            [files.node("Unsqueeze", ["x", "zero"], ["u"]), turn([0, 3, 1, 2], "u")],
            dims=(8, 8, 3), source="h"),
        "squeezed": model(home / "squeezed.onnx", tail=[files.node("Squeeze", ["y", "zero"], ["z"])],
                          dims=(1, 3, 8, 8), outputs=[files.value("z", [4])]),
        # A name that is a number, as old exporters gave.
        "number": model(home / "number.onnx", [turn([0, 3, 1, 2], "0")], dims=("N", 8, 8, 3),
                        source="h", name="0"),
    }
    for name, path in variants.items():
        got, done = seen(path, shown)
        same(want, got)
        assumed = done.json()["model"]["assumed"]
        assert name == "squeezed" or any("takes pictures as" in a for a in assumed), (name, assumed)
        assert name == "squeezed" or "model: input '" in done.err, str(done)
        document, got = attacked(home, path, shown, name)
        assert got == pngs, name
        assert document["model"]["assumed"] == assumed


def test_grey_and_whole_numbers():
    home = folder("whole")
    grey = pictures(home, channels=1, size=6)
    want, _ = seen(model(home / "grey.onnx", dims=("N", 1, 6, 6), channels=1, size=6), grey)
    for name, dims, head in (
            ("nhw", ("N", 6, 6), [files.node("Unsqueeze", ["x", "one"], ["h"])]),
            ("last", ("N", 6, 6, 1), [turn([0, 3, 1, 2])])):
        got, _ = seen(model(home / f"{name}.onnx", head, dims=dims, channels=1, size=6, source="h"),
                      grey)
        same(want, got)
    (home / "rgb").mkdir()
    colour = pictures(home / "rgb")
    want, _ = seen(model(home / "float.onnx"), colour)
    head = [files.node("Cast", ["x"], ["c"], to=files.FLOAT), files.node("Div", ["c", "full"], ["h"])]
    whole = model(home / "bytes.onnx", head, kind=UINT8, source="h")
    got, done = seen(whole, colour)
    same(want, got, 1e-5)
    assert "whole numbers from 0 to 255" in done.err
    document, _ = attacked(home, whole, colour, "out")
    assert all(image["verified"] for image in document["images"])
    gibbon("classify", whole, colour[0], "--preprocess", "inception", code=2,
           says="takes whole pixels from 0 to 255")
    # Without a word of preprocessing nothing is normalised twice.
    assert "minus 0" in gibbon("classify", whole, colour[0]).err


def convolutional(path, dims, head=(), source="x"):
    """Any size of picture: a convolution and a mean over it."""
    nodes = [*head, files.node("Conv", [source, "k"], ["c"]),
             files.node("GlobalAveragePool", ["c"], ["g"]), files.node("Flatten", ["g"], ["y"])]
    return files.model(path, nodes, [files.value("x", list(dims))], [files.value("y", ["N", 4])],
                       [files.tensor("k", [4, 3, 3, 3], weights(108, 500))])


def test_open_sizes():
    home = folder("open")
    shown = pictures(home)
    want, _ = seen(convolutional(home / "fixed.onnx", ("N", 3, 8, 8)), shown)
    first = convolutional(home / "first.onnx", ("N", 3, "H", "W"))
    last = convolutional(home / "last.onnx", ("N", "H", "W", 3), [turn([0, 3, 1, 2])], "h")
    unknown = convolutional(home / "unknown.onnx", ("N", "a", "b", "c"), [turn([0, 3, 1, 2])], "h")
    for path in (first, last, unknown):
        got, _ = seen(path, shown, "--input-size", "8x8")
        same(want, got)
        gibbon("classify", path, *shown, *UNIT, code=2, says="leaves its input's size open")
    gibbon("classify", home / "fixed.onnx", *shown, "--input-size", "9x9", *UNIT, code=2,
           says="--input-size: input 'x' is of")
    for size in ("8x", "x8", "0", "8x8x8", "-8", "99999"):
        gibbon("classify", first, *shown, f"--input-size={size}", *UNIT, code=2,
               says="is no size such as 224x224")


def test_told_layout():
    home = folder("told")
    shown = pictures(home)
    # Nothing in the file tells: 3x8x8x3 may be either.
    either = model(home / "either.onnx", dims=("N", 8, 8, 8), channels=8)
    gibbon("classify", either, *shown, *UNIT, code=1, says="has 8 channels, and pictures have 1 or 3")
    square = model(home / "square.onnx", dims=("N", 3, 3, 3), size=3)
    (home / "small").mkdir()
    small = pictures(home / "small", size=3)
    first, done = seen(square, small)
    assert "assumed" in done.err
    last, _ = seen(square, small, "--input-layout", "nhwc")
    assert first != last
    gibbon("classify", square, *small, "--input-layout", "hwc", *UNIT, code=2, says="unknown layout")
    gibbon("classify", square, *small, "--input-layout", "flat", *UNIT, code=2, says="4 dimensions")
    odd = model(home / "odd.onnx", [files.node("Reshape", ["x", "first"], ["h"])],
                dims=("N", 3 * 4 * 16), source="h")
    (home / "wide").mkdir()
    wide = [files.png(home / "wide" / "p0.png", 16, 4)]
    gibbon("classify", odd, *wide, "--input-size", "4x16", *UNIT)
    gibbon("classify", model(home / "prime.onnx", [files.node("Flatten", ["x"], ["h"])],
                             dims=("N", 191), source="h"), *wide, *UNIT, code=1,
           says="--input-size HxW")


def softmax(z):
    e = [math.exp(v - max(z)) for v in z]
    return [v / sum(e) for v in e]


def test_outputs():
    home = folder("outputs")
    shown = pictures(home)
    want, _ = seen(model(home / "one.onnx"), shown)
    features = files.node("Identity", ["f"], ["features"])
    argmax = files.node("ArgMax", ["y"], ["label"], axis=1)
    soft = files.node("Softmax", ["y"], ["p"], axis=1)
    y, p = files.value("y", ["N", 4]), files.value("p", ["N", 4])
    label = files.value("label", ["N", 1], files.INT64)
    f = files.value("features", ["N", 192])
    cases = {
        "features_first": ([features], [f, y], "y"),
        "label_first": ([argmax, soft], [label, p], "p"),
        "label_last": ([soft, argmax], [p, label], "p"),
        "both": ([soft], [y, p], "p"),
        "all": ([features, soft, argmax], [label, f, p], "p"),
        # What only other outputs need refuses no model.
        "foreign": ([files.node("Nonesuch", ["y"], ["q"])], [files.value("q", ["N", 4]), y], "y"),
    }
    for name, (tail, outputs, chosen) in cases.items():
        path = model(home / f"{name}.onnx", tail=tail, outputs=outputs)
        got, done = seen(path, shown)
        same(want, got)
        assert f"output '{chosen}', of {len(outputs)}, holds the classes" in done.err, str(done)
        got, done = seen(path, shown, "--output", chosen)
        same(want, got)
        assert "holds the classes" not in done.err
    gibbon("classify", home / "both.onnx", *shown, "--output", "z", *UNIT, code=2,
           says="no output 'z'; it has 'y', 'p'")
    gibbon("classify", home / "label_first.onnx", *shown, "--output", "label", *UNIT, code=1,
           says="ArgMax|whole numbers")
    twin = [files.node("Gemm", ["f", "v"], ["z"], transB=1)]
    outputs = [files.value("z", ["N", 7]), y]
    path = model(home / "twins.onnx", tail=twin, outputs=outputs,
                 tensors=[files.tensor("v", [7, 192], weights(7 * 192))])
    gibbon("classify", path, *shown, *UNIT, code=1,
           says="not clear which of the outputs 'z' of .x7, 'y' of .x4 holds the classes.*--output")
    same(want, seen(path, shown, "--output", "y")[0])


def test_maps_are_no_classifiers():
    home = folder("maps")
    shown = pictures(home)
    nodes = [files.node("Conv", ["x", "k"], ["y"])]
    path = files.model(home / "map.onnx", nodes, [files.value("x", ["N", 3, 8, 8])],
                       [files.value("y", ["N", 4, 6, 6])],
                       [files.tensor("k", [4, 3, 3, 3], weights(108, 500))])
    for command in ("classify", "attack"):
        gibbon(command, path, *shown, *UNIT, code=1, says="no list of classes.*--output.*--classes")
    got, done = seen(path, shown, "--classes", 1)
    same(seen(convolutional(home / "mean.onnx", ("N", 3, 8, 8)), shown)[0], got)
    assert "axis 1 of output 'y' counts the classes" in done.err
    gibbon("classify", path, *shown, "--classes", 4, *UNIT, code=1, says="--classes 4")


def test_heads():
    home = folder("heads")
    shown = pictures(home)
    logits = [[math.log(v) for v in row] for row in seen(model(home / "plain.onnx"), shown)[0]]
    soft = files.node("Softmax", ["y"], ["p"], axis=1)
    path = model(home / "renamed.onnx", tail=[soft, files.node("Identity", ["p"], ["q"])],
                 outputs=[files.value("q", ["N", 4])])
    got, done = seen(path, shown)
    same([softmax(row) for row in logits], got)
    document = done.json()["model"]
    assert document["scores"] == "probabilities" and "before the softmax" in document["assumed"][0]
    plain = attacked(home, home / "plain.onnx", shown, "plain")[1]
    assert attacked(home, path, shown, "renamed")[1] == plain
    many = model(home / "many.onnx", tail=[files.node("Sigmoid", ["y"], ["p"])],
                 outputs=[files.value("p", ["N", 4])])
    got, done = seen(many, shown)
    assert "multi-label" in done.err and done.json()["model"]["scores"] == "sigmoids"
    assert any(abs(sum(row) - 1) > 0.1 for row in got)
    # Its logits differ from the softmax's by a number that all classes share.
    for row, z in zip(got, logits):
        odds = [math.log(p / (1 - p)) for p in row]
        assert max(abs((a - odds[0]) - (b - z[0])) for a, b in zip(odds, z)) < 1e-4


def test_two_classes():
    home = folder("binary")
    shown = pictures(home)
    names = home / "names.txt"
    names.write_text("cat\ndog\n")
    tail = [files.node("Sigmoid", ["y"], ["p"])]
    logit = model(home / "logit.onnx", classes=1)
    path = model(home / "sigmoid.onnx", tail=tail, outputs=[files.value("p", ["N", 1])], classes=1)
    got, done = seen(path, shown, "--labels", names)
    assert "class 1 where it is above one half" in done.err
    assert all(len(row) == 2 and abs(sum(row) - 1) < 1e-6 for row in got)
    same(got, seen(logit, shown)[0])
    raw = home / "raw"
    x = files.npy(home / "x.npy", [3, 3, 8, 8],
                  [v for image in shown for v in planes(image)])
    gibbon("run", path, "-i", x, "-o", raw)
    dims, values = files.read_npy(raw / "p.npy")[:2]
    same([[1 - v, v] for v in values], got)
    document, _ = attacked(home, path, shown, "out", "--labels", names)
    assert {image["clean"]["name"] for image in document["images"]} <= {"cat", "dog"}
    fooled = [image for image in document["images"] if image["success"]]
    assert fooled
    for image in fooled:
        assert image["clean"]["class"] != image["adversarial"]["class"]
        assert image["adversarial"]["probability"] >= 0.5


def planes(path):
    width, height, channels, rows = files.read_png(path)
    return [rows[i * channels + c] / 255 for c in range(channels) for i in range(width * height)]


def test_info():
    home = folder("info")
    path = model(home / "m.onnx", [turn([0, 3, 1, 2])], dims=("N", 8, 8, 3), source="h",
                 tail=[files.node("Softmax", ["y"], ["p"], axis=1)],
                 outputs=[files.value("p", ["N", 4])])
    k = gibbon("info", path, "--json").json()["classifier"]
    assert k["layout"] == "nhwc" and k["pictures"] == [None, 3, 8, 8] and k["output"] == "p"
    assert k["scores"] == "probabilities" and k["count"] == 4
    assert "takes pictures as N,H,W,C" in gibbon("info", path).out
    two = files.model(home / "two.onnx", [files.node("Add", ["a", "b"], ["y"])],
                      [files.value("a", ["N", 4]), files.value("b", ["N", 4])],
                      [files.value("y", ["N", 4])])
    assert "no: a classifier of pictures has one input; this model has 2: 'a', 'b'" in \
        gibbon("info", two).out
    gibbon("classify", two, code=1, says="has 2: 'a', 'b' \\(gibbon run takes any model\\)")


def test_training_keeps_the_files_input():
    home = folder("train")
    for name in "ab":
        (home / "data" / name).mkdir(parents=True)
        pictures(home / "data" / name, 8)
    path = model(home / "m.onnx", [turn([0, 3, 1, 2])], dims=("N", 8, 8, 3), source="h", classes=2)
    gibbon("train", path, home / "data", "-o", home / "t.onnx", "--epochs", 1, "--batch", 4,
           "--held", "none", *UNIT)
    inputs = gibbon("info", home / "t.onnx", "--json").json()["inputs"]
    assert [i["shape"] for i in inputs] == [[None, 8, 8, 3]]
    gibbon("classify", home / "t.onnx", home / "data" / "a" / "p0.png")


harness.main(globals())
