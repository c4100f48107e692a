#!/usr/bin/env python3
"""gibbon info, run and bench, and models that are damaged, hostile or beyond gibbon."""
import math
import pathlib
import random

import files
import harness
from harness import FASHION, Skip, gibbon

NO_DEVICE = {"OCL_ICD_VENDORS": str(harness.folder("no-vendors")) + "/"}


# --- info ---

def test_info_text():
    out = gibbon("info", FASHION, "--layers").out
    for piece in ("opset 17", "pixels  float32 ?x1x28x28", "Conv 3", "parameters", "12.57 k",
                  "unsupported  nothing", "gradient", "MiB"):
        assert piece in out, f"{piece}\n{out}"


def test_info_json():
    report = gibbon("info", FASHION, "--json", "--layers", "--batch", 4).json()
    assert report["inputs"] == [{"name": "pixels", "type": "float32", "shape": [None, 1, 28, 28]}]
    assert report["operators"]["Conv"] == 3 and report["unsupported"] is None
    # convolutions 1->12 at 28x28, 12->24 at 14x14, 24->32 at 7x7, and 288 -> 10
    macs = 12 * 9 * 784 + 24 * 12 * 9 * 196 + 32 * 24 * 9 * 49 + 288 * 10
    assert report["flops"] == 4 * 2 * macs
    assert report["parameters"] == 12 * 10 + 24 * 109 + 32 * 217 + 2890
    assert len(report["layers"]) == 11 and report["layers"][0]["output"] == [4, 12, 28, 28]
    for plan in ("forward", "gradient"):
        assert report["memory"][plan]["arena_bytes"] <= report["memory"][plan]["without_reuse_bytes"]


def test_info_memory():
    report = gibbon("info", FASHION, "--json", "--memory", "--batch", 2).json()
    for plan in report["memory"].values():
        assert plan["allocated_bytes"] == sum(plan[key] for key in
                                              ("weight_bytes", "arena_bytes", "io_bytes")), plan
    memory, plan = report["memory"]["gradient"], report["memory_plan"]
    stores = plan["stores"]
    sums = {kind: sum(s["bytes"] for s in stores if s["kind"] == kind)
            for kind in ("value", "constant")}
    assert sums["constant"] == memory["weight_bytes"] == sum(plan["constants"].values())
    assert sums["value"] <= memory["without_reuse_bytes"]
    # What lives at each launch follows from the stores; the arena holds the peak, and little more.
    live = [sum(s["bytes"] for s in stores if s["kind"] == "value" and s["first"] <= i <= s["last"])
            for i in range(plan["launches"])]
    assert live == plan["live_bytes"] and max(live) == plan["peak_bytes"]
    first, last = plan["peak_launches"]
    assert live[first] == live[last] == max(live)
    assert plan["peak_bytes"] <= memory["arena_bytes"] <= 1.5 * plan["peak_bytes"] + 65536
    text = gibbon("info", FASHION, "--memory").out
    assert "MiB at most, at launch" in text and "= backward" in text and "to data" in text, text
    assert max(map(len, text.split("values that live")[1].splitlines())) <= 100


def test_parameters_made_by_constant_of_shape():
    path = harness.folder("filled") / "filled.onnx"
    node, value, tensor = files.node, files.value, files.tensor
    files.model(path, [node("ConstantOfShape", ["shape"], ["w"]), node("Gemm", ["x", "w"], ["y"])],
                [value("x", ["N", 6])], [value("y", ["N", 5])],
                [tensor("shape", [2], [6, 5], files.INT64)])
    assert gibbon("info", path, "--json").json()["parameters"] == 30
    light = harness.shared("models/onnx_light/light_resnet50.onnx")
    assert 25.5e6 < gibbon("info", light, "--json").json()["parameters"] < 25.7e6


def test_info_without_a_device():
    done = gibbon("info", FASHION, env=NO_DEVICE)
    assert "12.57 k" in done.out and "memory plan needs one" in done.err


def test_info_operators():
    out = gibbon("info", "--operators", env=NO_DEVICE).out
    assert "Conv" in out and "opset  7 to 21" in out
    names = [o["name"] for o in gibbon("info", "--operators", "--json").json()["operators"]]
    assert len(names) == len(set(names)) and {"Conv", "Gemm", "Softmax", "Resize"} <= set(names)


def test_info_names_what_is_unsupported():
    path = files.model(harness.folder("odd") / "odd.onnx",
                       [files.node("Relu", ["x"], ["h"]), files.node("FrobnicateV2", ["h"], ["y"])],
                       [files.value("x", ["N", 3])], [files.value("y", ["N", 3])])
    assert "FrobnicateV2" in gibbon("info", path).out
    assert "FrobnicateV2" in gibbon("info", path, "--json").json()["unsupported"]
    gibbon("bench", path, code=1, says="operators that gibbon does not have: FrobnicateV2")


# --- run ---

def small():
    here = harness.folder("run")
    weights = [0.5, -1, 2, 0.25, 1, -0.5]
    path = files.model(here / "m.onnx",
                       [files.node("Gemm", ["in:x", "w"], ["h"], transB=1),
                        files.node("Relu", ["h"], ["out/y"])],
                       [files.value("in:x", ["N", 3])], [files.value("out/y", ["N", 2])],
                       [files.tensor("w", [2, 3], weights)])
    return here, path, weights


def test_run_forward_and_gradient():
    here, path, w = small()
    x = [1, 2, 3, -1, 0.5, 0, 4, -2, 1]
    v = [1, 10, 2, 20, 3, 30]
    files.npy(here / "x.npy", [3, 3], x)
    files.npy(here / "v.npy", [3, 2], v)
    h = [[sum(w[o * 3 + i] * x[n * 3 + i] for i in range(3)) for o in range(2)] for n in range(3)]
    y = [max(0, value) for row in h for value in row]
    dx = [sum(v[n * 2 + o] * (h[n][o] > 0) * w[o * 3 + i] for o in range(2))
          for n in range(3) for i in range(3)]
    for extra in ([], ["--batch", 2], ["--batch", 1]):
        out = harness.folder("run-out")
        done = gibbon("run", path, "-i", f"in:x={here / 'x.npy'}", "-o", out, "--grad",
                      f"out/y={here / 'v.npy'}", *extra)
        assert files.read_npy(out / "out_y.npy") == ((3, 2), tuple(y)), done
        assert files.read_npy(out / "in_x.grad.npy") == ((3, 3), tuple(dx)), done
        assert str(out / "out_y.npy") + "  3x2" in done.out


def test_run_whole_arrays_and_integers():
    """Fixed shapes without a batch, and an input of integers, which is fixed for the run."""
    here = harness.folder("whole")
    path = files.model(here / "m.onnx", [files.node("Gather", ["x", "i"], ["y"], axis=0)],
                       [files.value("x", [4, 2]), files.value("i", [3], files.INT64)],
                       [files.value("y", [3, 2])])
    files.npy(here / "x.npy", [4, 2], range(8))
    files.npy(here / "i.npy", [3], [2, 0, 2])
    gibbon("run", path, "-i", here / "x.npy", "-i", f"i={here / 'i.npy'}", "-o", here / "o")
    assert files.read_npy(here / "o" / "y.npy") == ((3, 2), (4, 5, 0, 1, 4, 5))


def test_run_json():
    here, path, _ = small()
    files.npy(here / "x.npy", [2, 3], [0] * 6)
    report = gibbon("run", path, "-i", here / "x.npy", "-o", here / "o", "--json").json()
    assert report["outputs"] == [{"name": "out/y", "type": "float32", "shape": [2, 2],
                                  "file": str(here / "o" / "out_y.npy")}]


def test_run_wrong_inputs():
    here, path, _ = small()
    files.npy(here / "x.npy", [2, 4], [0] * 8)
    files.npy(here / "good.npy", [2, 3], [0] * 6)
    (here / "bad.npy").write_bytes(b"not an array")
    run = ["run", path, "-o", here / "o"]
    gibbon(*run, code=2, says="input 'in:x' is not given: -i in:x=FILE.npy")
    gibbon(*run, "-i", here / "x.npy", code=2, says="x.npy is 2x4, but 'in:x' of the model is 2x3")
    gibbon(*run, "-i", here / "missing.npy", code=1, says="missing.npy: No such file")
    gibbon(*run, "-i", here / "bad.npy", code=1, says="bad.npy")
    gibbon(*run, "-i", here / "good.npy", "-i", here / "good.npy", code=2,
           says="every input has its file already; the model's inputs are 'in:x'")
    gibbon(*run, "-i", here / "good.npy", "--grad", f"nope={here / 'good.npy'}", code=2,
           says="no output 'nope'; the model has 'out/y'")
    gibbon(*run, "-i", here / "good.npy", "--grad", "out/y", code=2, says="write OUTPUT=FILE.npy")
    gibbon(*run, "-i", here / "good.npy", "--grad", f"out/y={here / 'good.npy'}", code=2,
           says="good.npy is 2x3, but 'out/y' of the model is 2x2")
    blocked = harness.folder("blocked") / "file"
    blocked.write_text("")
    gibbon("run", path, "-i", here / "good.npy", "-o", blocked / "o", code=1, says="file")


# --- bench ---

def test_bench():
    report = gibbon("bench", FASHION, "--batch", 2, "--rounds", 2, "--json").json()
    assert report["batch"] == 2 and report["peak_bytes"] > 0 and report["compile_seconds"] >= 0
    for part in ("forward", "gradient", "pgd"):
        assert report[part]["ms"] > 0 and report[part]["gflops"] > 0
        assert math.isclose(report[part]["images_per_second"], 2000 / report[part]["ms"],
                            rel_tol=1e-6)
    out = gibbon("bench", FASHION, "--rounds", 1).out
    assert "images/s" in out and "peak device memory" in out
    assert report["peak"]["gflops"] > 0 and report["peak"]["gbytes_per_second"] > 0


def test_bench_tells_what_it_measured():
    """A device whose memory the session fills, one whose peak cannot be measured, and one without
    room for the gradient."""
    full = gibbon("bench", FASHION, "--batch", 8, "--rounds", 1, "--json").json()
    limit = {"GIBBON_MEMORY_LIMIT": str(full["peak_bytes"] + 4096)}
    report = gibbon("bench", FASHION, "--batch", 8, "--rounds", 1, "--json", env=limit).json()
    assert report["batch"] == 8 and report["pgd"]["ms"] > 0, report
    assert report["peak"]["gflops"] > 0 and report["peak"]["gbytes_per_second"] > 0, report

    broken = harness.folder("broken")
    source = (harness.SOURCE / "cl" / "peak.cl").read_text()
    for name, lost in ("copy", ["gbytes_per_second"]), ("peak", ["gflops", "gbytes_per_second"]):
        (broken / "peak.cl").write_text(source.replace(f"kernel void {name}(", "kernel void lost("))
        env = {"GIBBON_KERNELS": str(broken)}
        done = gibbon("bench", FASHION, "--rounds", 1, "--layers", "--json", env=env)
        report = done.json()
        assert "the device's peak: " in done.err, done
        assert report["forward"]["ms"] > 0 and report["pgd"]["ms"] > 0
        for key in "gflops", "gbytes_per_second":
            assert (report["peak"][key] is None) == (key in lost), report["peak"]
        for row in report["layers"] + list(report["layers_total"].values()):
            assert row["ms"] > 0 and row["roofline_share"] is None and row["bound"] is None
        out = gibbon("bench", FASHION, "--rounds", 1, "--layers", env=env).out
        assert "not measured" in out and "inf" not in out and "nan" not in out

    forward = gibbon("info", FASHION, "--batch", 8, "--json").json()["memory"]["forward"]["allocated_bytes"]
    done = gibbon("bench", FASHION, "--batch", 8, "--rounds", 1, "--json", code=1,
                  env={"GIBBON_MEMORY_LIMIT": str(forward)})
    report = done.json()
    assert report["forward"]["ms"] > 0 and "gradient" not in report, done
    assert "the gradient does not fit at a batch of 8: try " in done.err, done


def test_bench_layers():
    report = gibbon("bench", FASHION, "--batch", 2, "--rounds", 2, "--layers", "--json").json()
    total = report["layers_total"]
    for direction in ("forward", "backward"):
        rows = [layer for layer in report["layers"] if layer["direction"] == direction]
        types = [layer["type"] for layer in rows]
        assert "Conv" in types and "Gemm" in types, types
        for key in ("ms", "flops", "bytes", "launches"):
            assert math.isclose(sum(row[key] for row in rows), total[direction][key], rel_tol=1e-6)
        for row in rows:
            assert row["ms"] > 0 and row["bytes"] > 0 and row["algorithm"], row
            assert row["bound"] in ("compute", "memory") and row["roofline_share"] >= row["fma_share"]
    # Forward the layers do what `info` counts.
    flops = gibbon("info", FASHION, "--batch", 2, "--json").json()["flops"]
    assert flops == sum(row["flops"] for row in report["layers"]
                        if row["direction"] == "forward" and row["type"] in ("Conv", "Gemm"))
    table = gibbon("bench", FASHION, "--rounds", 1, "--layers").out.split("\n\n")[-2]
    assert table.startswith("layer") and max(map(len, table.splitlines())) <= 100
    assert len(table.splitlines()) == len(report["layers"]) + 4


# --- damaged and hostile models ---

def test_no_model():
    gibbon("info", "nowhere.onnx", code=1, says="nowhere.onnx: No such file")
    gibbon("info", str(harness.TEMP), code=1, says="not a regular file")
    empty = harness.folder("empty") / "empty.onnx"
    empty.write_bytes(b"")
    gibbon("info", empty, code=1, says="empty.onnx")


def test_truncated_models():
    whole = pathlib.Path(FASHION).read_bytes()
    path = harness.folder("cut") / "cut.onnx"
    for size in (1, 10, 100, 1000, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        gibbon("info", path, code=1, says="cut.onnx")


def test_flipped_bits():
    """A flipped bit is refused or harmless, never a crash."""
    whole = pathlib.Path(FASHION).read_bytes()
    path = harness.folder("flip") / "flip.onnx"
    rng = random.Random(1)
    for _ in range(60):
        bits = bytearray(whole)
        for _ in range(3):
            # half of them where the structure is dense: in front and behind
            at = rng.randrange(len(bits)) if rng.random() < 0.5 else rng.randrange(-3000, 600)
            bits[at] ^= 1 << rng.randrange(8)
        path.write_bytes(bits)
        try:
            gibbon("info", path, "--json", env=NO_DEVICE)
        except AssertionError:
            gibbon("info", path, code=1, env=NO_DEVICE, says="flip.onnx")


def test_cycle_and_missing_input():
    here = harness.folder("graphs")
    x, y = files.value("x", ["N", 3]), files.value("y", ["N", 3])
    cycle = files.model(here / "cycle.onnx", [files.node("Add", ["x", "b"], ["a"]),
                                              files.node("Relu", ["a"], ["b"]),
                                              files.node("Relu", ["b"], ["y"])], [x], [y])
    gibbon("info", cycle, code=1, says="cycle.onnx.*cycle")
    orphan = files.model(here / "orphan.onnx", [files.node("Add", ["x", "ghost"], ["y"])], [x], [y])
    gibbon("info", orphan, code=1, says="ghost")


def test_absurd_sizes():
    here = harness.folder("sizes")
    x, y = files.value("x", ["N", 3]), files.value("y", ["N", 3])
    for name, dims in (("huge", [1 << 40, 1 << 40]), ("negative", [-5, 3]), ("short", [1000, 1000])):
        path = files.model(here / f"{name}.onnx", [files.node("MatMul", ["x", "w"], ["y"])], [x], [y],
                           [files.tensor("w", dims, [0.0] * 9)])
        gibbon("info", path, code=1, says=f"{name}.onnx")
    path = files.model(here / "wide.onnx", [files.node("Relu", ["x"], ["y"])],
                       [files.value("x", [1 << 33, 1 << 33])], [files.value("y", [1 << 33, 1 << 33])])
    gibbon("run", path, "-i", files.npy(here / "x.npy", [1, 3], [0] * 3), "-o", here, code=1,
           says="too large")


def test_wrong_ranks():
    here = harness.folder("ranks")
    path = files.model(here / "rank.onnx", [files.node("Conv", ["x", "w"], ["y"])],
                       [files.value("x", ["N", 3])], [files.value("y", ["N", 3])],
                       [files.tensor("w", [3, 3], [0.0] * 9)])
    gibbon("info", path, code=1, says="y_node|Conv")
    gibbon("attack", path, harness.BOOT, "-o", here, code=1, says="its input has 2 dimensions")


def test_nan_weights():
    here = harness.folder("nan")
    picture = files.png(here / "p.png", 8, 8)
    path = files.linear(here / "nan.onnx", weights=[math.nan] + [0.0] * 766 + [math.inf])
    says = "2 of the 768 values of 'w' are NaN or infinite; --allow-nonfinite"
    assert "2 of the 768 values of 'w'" in gibbon("info", path).out
    for command in (["classify", path, picture], ["bench", path], ["attack", path, picture, "-o", here]):
        gibbon(*command, "--preprocess", "unit", code=1, says=says)
    gibbon("classify", path, picture, "--preprocess", "unit", "--allow-nonfinite", code=1,
           says="logits are NaN or infinite")


def test_real_models_describe_themselves():
    for name in ("resnet50_pqf", "mobilenetv2_1.0_224", "squeezenet1.1_fp16", "cifar10_resnet20_torchpad"):
        report = gibbon("info", harness.shared(f"models/{name}.onnx"), "--json", env=NO_DEVICE).json()
        assert report["unsupported"] is None and report["flops"] > 1e7, report


harness.main(globals())
