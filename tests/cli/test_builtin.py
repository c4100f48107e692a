#!/usr/bin/env python3
"""gibbon models, builtin:NAME in place of a file, and models that bring pictures to be tried on."""
import gzip
import json
import os
import struct

import files
import harness
from harness import BOOT, Skip, gibbon

TRAINED = ["fashion-cnn", "fashion-cnn-robust"]
NAMES = ["cnn-a", "cnn-b", "resnet-20", "resnet-56", "wrn-28-10"]


# --- the list, and files from it ---

def test_list():
    out = gibbon("models").out
    for name in NAMES:
        assert name in out, out
    report = gibbon("models", "--json").json()
    assert [a["name"] for a in report["architectures"]] == NAMES
    assert report["activations"] == ["relu", "gelu", "silu", "softplus"]
    assert report["architectures"][0]["input"] == [1, 28, 28]
    assert [m["name"] for m in report["trained"]] == TRAINED
    for model in report["trained"]: # those that the box has can be read, and say what they are
        info = gibbon("info", "builtin:" + model["name"], "--json").json()
        assert info["inputs"][0]["shape"][1:] == model["input"] and info["unsupported"] is None
        assert len(model["class_names"]) == model["classes"] and model["summary"], model
        assert model["bytes"] <= 2 << 20, model


def test_write():
    here = harness.folder("write")
    for extra, name in (([], "relu"), (["--seed", 1], "seed"), (["--activation", "silu"], "silu")):
        assert gibbon("models", "cnn-b", "-o", here / f"{name}.onnx", *extra).out == f"{here / name}.onnx\n"
    gibbon("models", "cnn-b", "-o", here / "again.onnx")
    data = {name: (here / f"{name}.onnx").read_bytes() for name in ("relu", "seed", "silu", "again")}
    assert data["relu"] == data["again"] != data["seed"] and len(data["relu"]) == len(data["seed"])
    operators = gibbon("info", here / "silu.onnx", "--json").json()["operators"]
    assert operators.get("Sigmoid", operators.get("Swish")) == 4, operators


def test_wrong_models():
    here = harness.folder("wrong")
    gibbon("models", "cnn-b", code=2, says="give no model, or one and -o FILE")
    gibbon("models", "-o", here / "x.onnx", code=2, says="give no model, or one and -o FILE")
    gibbon("models", "vgg", "-o", here / "x.onnx", code=2, says="no built-in model 'vgg'; there are .*cnn-a")
    gibbon("models", "cnn-b", "-o", here / "x.onnx", "--activation", "tanh", code=2, says="relu, gelu")
    gibbon("models", "cnn-b", "-o", here / "none" / "x.onnx", code=1, says="No such file")
    gibbon("info", "builtin:vgg", code=2, says="no built-in model 'vgg'")


def test_untrained():
    done = gibbon("classify", "builtin:cnn-a", BOOT)
    assert "builtin:cnn-a: untrained" in done.err and "class" not in done.err, done
    done = gibbon("info", "builtin:resnet-56", "--json").json()
    assert done["inputs"] == [{"name": "pixels", "type": "float32", "shape": [None, 3, 32, 32]}]


# --- a model's own pictures ---

def with_data(name):
    """A model whose metadata name data, and the environment where that data is installed: 4 classes
    of 8x8 pictures, the first of class 1 being number 2, and none of class 3."""
    here = harness.folder(name)
    data = here / "share" / "datasets" / "dots"
    data.mkdir(parents=True)
    labels, side = [0, 0, 1, 2, 1, 2], 8
    pixels = bytes((i * 37 + k * 5) % 256 for i in range(len(labels)) for k in range(side * side))
    for part in ("train", "t10k"):
        (data / f"{part}-images-idx3-ubyte.gz").write_bytes(
            gzip.compress(struct.pack(">IIII", 0x803, len(labels), side, side) + pixels))
        (data / f"{part}-labels-idx1-ubyte.gz").write_bytes(
            gzip.compress(struct.pack(">II", 0x801, len(labels)) + bytes(labels)))
    meta = {"gibbon.data": "dots", "gibbon.preprocess": "{}",
            "gibbon.classes": json.dumps(["ant", "bee", "cat", "dog"])}
    return here, files.linear(here / "m.onnx", channels=1, meta=meta), {"XDG_DATA_DIRS": str(here / "share")}


def test_own_pictures():
    here, model, env = with_data("own")
    done = gibbon("attack", model, "-o", here / "out", "--json", env=env).json()
    assert [i["label"] for i in done["images"]] == [0, 1, 2], done
    assert {i["label_source"] for i in done["images"]} == {"data set"}
    names = [i["input"] for i in done["images"]]
    assert len(set(names)) == 3 and "_0_" in names[0] and "_2_" in names[1] and "_3_" in names[2], names
    assert done["summary"]["labelled"] == 3 and done["sheet"] == str(here / "out" / "sheet.png")
    seen = gibbon("classify", model, "--json", env=env).json()["images"]
    assert [i["input"] for i in seen] == names
    # The option's label is stronger than the data's.
    done = gibbon("attack", model, "-o", here / "out", "--json", "--label", "bee", env=env).json()
    assert [i["label"] for i in done["images"]] == [1, 1, 1]


def test_box():
    """Without a picture: one of each class, which the robust model defends better."""
    if not os.path.exists("/usr/share/datasets/fashion-mnist"):
        raise Skip("dataset-fashion-mnist is not installed")
    fooled = []
    for name in TRAINED:
        out = harness.folder("box") / name
        done = gibbon("attack", "builtin:" + name, "-o", out, "--eps", 0.1, "--json").json()
        assert [i["label"] for i in done["images"]] == list(range(10)), done
        assert (out / "sheet.png").exists()
        fooled.append(sum(i["success"] for i in done["images"]))
    assert fooled[0] == 10 and fooled[1] <= 6, fooled


def test_own_pictures_missing():
    here, model, _ = with_data("missing")
    gibbon("attack", model, "-o", here / "out", env={"XDG_DATA_DIRS": str(here / "nothing")}, code=1,
           says="m.onnx has test pictures of its own, but give others: dots: ")


harness.main(globals())
