"""gibbon run: a file for every array, and integers that stay what they are."""
import struct

import files
import harness
from harness import gibbon

CODES = {"f4": "f", "f8": "d", "u1": "B", "i1": "b", "u2": "H", "i2": "h", "u4": "I", "i4": "i",
         "u8": "Q", "i8": "q", "b1": "?"}
# ONNX's number of an element type and numpy's code
UINT8, INT8, UINT16, INT16, INT32, INT64, BOOL, UINT32, UINT64 = 2, 3, 4, 5, 6, 7, 9, 12, 13
NUMPY = {UINT8: "u1", INT8: "i1", UINT16: "u2", INT16: "i2", INT32: "i4", INT64: "i8", BOOL: "b1",
         UINT32: "u4", UINT64: "u8"}


def write(path, code, dims, values):
    shape = "(" + "".join(f"{d}, " for d in dims) + ")"
    order = "|" if code[1] == "1" else "<"
    head = f"{{'descr': '{order}{code}', 'fortran_order': False, 'shape': {shape}, }}"
    head += " " * (-(len(head) + 11) % 64) + "\n"
    path.write_bytes(b"\x93NUMPY\x01\0" + struct.pack("<H", len(head)) + head.encode() +
                     struct.pack(f"<{len(values)}{CODES[code]}", *values))
    return path


def read(path):
    """(code, shape, values) of an array."""
    blob = path.read_bytes()
    size = struct.unpack("<H", blob[8:10])[0]
    head = eval(blob[10:10 + size].decode(), {})
    code, body = head["descr"][1:], blob[10 + size:]
    return code, head["shape"], struct.unpack(f"<{len(body) // int(code[1])}{CODES[code]}", body)


# --- names ---

def named(here, names, inputs=("x",)):
    """Output number i of the model is its first input plus i."""
    nodes = [files.node("Add", [inputs[0], f"k{i}"], [name]) for i, name in enumerate(names)]
    return files.model(here / "m.onnx", nodes, [files.value(i, [1, 2]) for i in inputs],
                       [files.value(name, [1, 2]) for name in names],
                       [files.tensor(f"k{i}", [1], [i]) for i in range(len(names))])


def files_of(names, *more):
    """Where the outputs of such a model went, each checked to hold its own numbers."""
    here = harness.folder("names")
    path, x = named(here, names), write(here / "x.npy", "f4", [1, 2], [5, 7])
    report = gibbon("run", path, "-i", x, "-o", here / "o", "--json", *more).json()
    assert [o["name"] for o in report["outputs"]] == names
    where = [here / "o" / o["file"].rsplit("/", 1)[1] for o in report["outputs"]]
    for i, file in enumerate(where):
        assert file.parent == here / "o" and read(file)[2] == (5 + i, 7 + i), file
    stems = [file.name[:-4] for file in where]
    assert len({stem.lower() for stem in stems}) == len(names), stems
    assert len(list((here / "o").iterdir())) == len(names) + 0
    return stems


def test_names_that_collide():
    assert files_of(["y:0", "y_0", "y/0"]) == ["y_0~2", "y_0", "y_0~3"]
    assert files_of(["a/b", "a:b", "plain"]) == ["a_b", "a_b~2", "plain"]
    assert files_of(["Y", "y", "y~2", "/y"]) == ["Y", "y~3", "y~2", "_y"]


def test_hostile_names():
    long = "n" * 300
    stems = files_of(["..", ".", long, long + "m", "a\x01\nb", "ünï", "../../up", "a\\b"])
    assert stems[0] == ".." and stems[1] == "." and stems[5] == "ünï" and stems[6] == ".._.._up"
    assert stems[2] == "n" * 200 and stems[3] == "n" * 200 + "~2" and stems[4] == "a__b"
    # a character is not cut in two
    assert files_of(["n" * 199 + "ü"]) == ["n" * 199]


def test_names_that_are_not_utf8():
    here = harness.folder("bytes")
    path = named(here, ["yA", "y_"])
    blob = open(path, "rb").read()
    open(path, "wb").write(blob.replace(b"yA", b"y\xff"))
    x = write(here / "x.npy", "f4", [1, 2], [5, 7])
    report = gibbon("run", path, "-i", x, "-o", here / "o", "--json").json()
    assert [o["name"] for o in report["outputs"]] == ["y\ufffd", "y_"]
    assert sorted(p.name for p in (here / "o").iterdir()) == ["y_.npy", "y_~2.npy"]
    assert read(here / "o" / "y_~2.npy")[2] == (5, 7)


def test_gradients_have_files_of_their_own():
    here = harness.folder("gradients")
    path = named(here, ["y", "x.grad"])
    x, v = write(here / "x.npy", "f4", [1, 2], [5, 7]), write(here / "v.npy", "f4", [1, 2], [3, 4])
    run = ["run", path, "-i", x, "-o", here / "o", "--grad", f"y={v}"]
    report = gibbon(*run, "--json").json()
    assert [o["file"] for o in report["outputs"]] == [str(here / "o" / "y.npy"),
                                                      str(here / "o" / "x.grad.npy")]
    assert report["gradients"][0]["file"] == str(here / "o" / "x.grad~2.npy")
    assert read(here / "o" / "x.grad.npy")[2] == (6, 8)
    assert read(here / "o" / "x.grad~2.npy")[2] == (3, 4)
    lines = gibbon(*run).out.splitlines()
    assert lines == [f"{here}/o/y.npy  1x2", f"{here}/o/x.grad.npy  1x2",
                     f"{here}/o/x.grad~2.npy  1x2  'x.grad'"], lines


# --- integers ---

def pass_on(here, kind):
    """A model that gives an input of integers back, and the same through a Cast to float."""
    return files.model(here / f"{kind}.onnx",
                       [files.node("Identity", ["i"], ["same"]),
                        files.node("Cast", ["i"], ["f"], to=1), files.node("Add", ["x", "f"], ["y"])],
                       [files.value("x", [2]), files.value("i", [2], kind)],
                       [files.value("same", [2], kind), files.value("y", [2])])


def test_every_kind_of_integer():
    here = harness.folder("integers")
    x = write(here / "x.npy", "f4", [2], [0.5, 0.25])
    for kind, code in NUMPY.items():
        bits = 8 * int(code[1])
        low = -(1 << bits - 1) if code[0] == "i" else 0
        ends = [low, low + (1 << bits) - 1] if kind != BOOL else [0, 1]
        i = write(here / f"{code}.npy", code, [2], ends)
        out = here / f"o{code}"
        gibbon("run", pass_on(here, kind), "-i", x, "-i", i, "-o", out)
        assert read(out / "same.npy") == (code, (2,), tuple(ends)), (code, read(out / "same.npy"))
        single = [struct.unpack("f", struct.pack("f", float(v) + add))[0]
                  for v, add in zip(ends, (0.5, 0.25))]
        assert read(out / "y.npy")[2] == tuple(single), (code, read(out / "y.npy"))


def test_integers_are_exact():
    """Identifiers beyond 2^24 and 2^53, as a difference of which a float is made."""
    here = harness.folder("exact")
    for base in (1 << 24, 1 << 53, (1 << 63) - 2):
        path = files.model(here / "m.onnx",
                           [files.node("Sub", ["i", "k"], ["d"]), files.node("Cast", ["d"], ["f"], to=1),
                            files.node("Add", ["x", "f"], ["y"])],
                           [files.value("x", [1, 2]), files.value("i", [1], INT64)],
                           [files.value("y", [1, 2]), files.value("d", [1], INT64)],
                           [files.tensor("k", [1], [base], files.INT64)])
        x = write(here / "x.npy", "f4", [1, 2], [0.5, -3])
        i = write(here / "i.npy", "i8", [1], [base + 1])
        gibbon("run", path, "-i", x, "-i", i, "-o", here / "o")
        assert read(here / "o" / "y.npy") == ("f4", (1, 2), (1.5, -2))
        assert read(here / "o" / "d.npy") == ("i8", (1,), (1,))


def test_kinds_that_differ():
    """Another kind will do where each number fits; none is changed in silence."""
    here = harness.folder("kinds")
    x = write(here / "x.npy", "f4", [2], [0, 0])
    path = pass_on(here, UINT8)
    run = ["run", path, "-i", x, "-o", here / "o"]
    gibbon(*run, "-i", write(here / "wide.npy", "i8", [2], [255, 0]))
    assert read(here / "o" / "same.npy") == ("u1", (2,), (255, 0))
    gibbon(*run, "-i", write(here / "whole.npy", "f4", [2], [7, 200]))
    assert read(here / "o" / "same.npy") == ("u1", (2,), (7, 200))
    for code, values, wrong in (("i8", [256, 0], "256"), ("i1", [-1, 0], "-1"),
                                ("f4", [0.5, 0], "0.5"), ("f8", [float("nan"), 0], "nan"),
                                ("u8", [(1 << 64) - 1, 0], "18446744073709551615")):
        bad = write(here / "bad.npy", code, [2], values)
        gibbon(*run, "-i", bad, code=2, says=f"bad.npy: {wrong} is no uint8")
    gibbon("run", pass_on(here, BOOL), "-i", x, "-i", write(here / "b.npy", "u1", [2], [2, 0]),
           "-o", here / "o", code=2, says="b.npy: 2 is no bool")
    # an integer that single precision would round is no float input
    whole = write(here / "big.npy", "i8", [2], [16777217, 0])
    i = write(here / "i.npy", "u1", [2], [0, 0])
    gibbon("run", path, "-i", whole, "-i", i, "-o", here / "o", code=1,
           says="big.npy: float32 does not hold 16777217")


def test_booleans_out():
    """A comparison of activations: computed on the device, written as booleans."""
    here = harness.folder("booleans")
    path = files.model(here / "m.onnx", [files.node("Greater", ["x", "z"], ["y"])],
                       [files.value("x", ["N", 2])], [files.value("y", ["N", 2], BOOL)],
                       [files.tensor("z", [1], [0.0])])
    x = write(here / "x.npy", "f4", [3, 2], [1, -1, 0, 2, -3, 4])
    for more in ([], ["--batch", 2]):
        gibbon("run", path, "-i", x, "-o", here / "o", *more)
        assert read(here / "o" / "y.npy") == ("b1", (3, 2), (1, 0, 0, 1, 0, 1))


def test_masks_and_exponents():
    """Booleans become floats on the device; floats may have powers of integers."""
    here = harness.folder("masks")
    path = files.model(here / "m.onnx",
                       [files.node("Greater", ["x", "z"], ["c"]), files.node("Cast", ["c"], ["f"], to=1),
                        files.node("Mul", ["x", "f"], ["a"]), files.node("Pow", ["a", "three"], ["y"])],
                       [files.value("x", [1, 3])], [files.value("y", [1, 3])],
                       [files.tensor("z", [1], [0.5]), files.tensor("three", [], [3], files.INT64)])
    x, v = write(here / "x.npy", "f4", [1, 3], [2, -3, 0.25]), write(here / "v.npy", "f4", [1, 3], [1] * 3)
    gibbon("run", path, "-i", x, "-o", here / "o", "--grad", f"y={v}")
    assert read(here / "o" / "y.npy")[2] == (8, 0, 0)
    assert read(here / "o" / "x.grad.npy")[2] == (12, 0, 0)


def test_integers_on_the_device():
    """What float32 holds is chosen there and comes back as integers, what it rounds is refused."""
    here = harness.folder("chosen")
    x = write(here / "x.npy", "f4", [1, 2], [1, -1])
    for value in (1 << 24, (1 << 24) + 1, (1 << 63) - 1):
        path = files.model(here / "m.onnx", [files.node("Greater", ["x", "z"], ["c"]),
                                             files.node("Where", ["c", "a", "b"], ["y"])],
                           [files.value("x", [1, 2])], [files.value("y", [1, 2], INT64)],
                           [files.tensor("z", [1], [0.0]), files.tensor("a", [1], [value], files.INT64),
                            files.tensor("b", [1], [-5], files.INT64)])
        if value == 1 << 24:
            gibbon("run", path, "-i", x, "-o", here / "o")
            assert read(here / "o" / "y.npy") == ("i8", (1, 2), (value, -5))
        else:
            gibbon("run", path, "-i", x, "-o", here / "o", code=1,
                   says="Where.*its constant 'a' holds .*, which float32")


def test_only_integers():
    """Nothing is left for the device to compute."""
    here = harness.folder("only")
    path = files.model(here / "m.onnx", [files.node("Mul", ["i", "i"], ["y"])],
                       [files.value("i", [2], INT32)], [files.value("y", [2], INT32)])
    i = write(here / "i.npy", "i4", [2], [65537, -3])
    report = gibbon("run", path, "-i", i, "-o", here / "o", "--json").json()
    assert read(here / "o" / "y.npy") == ("i4", (2,), (131073, 9))
    assert report["outputs"][0]["type"] == "int32"


harness.main(globals())
