#!/usr/bin/env python3
"""The files that gibbon writes are what others take for ONNX: check_saved.py GIBBON RESAVE.

Every built-in architecture, with every activation, and every golden model saved again must pass
onnx's checker with shape inference, and ONNX Runtime must compute from it what gibbon computes, or
what it computes from the file before. Needs onnx and onnxruntime: $GIBBON_PYTHON may name the Python
that has them. Exits with 77 where they are missing."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

if os.environ.get("GIBBON_PYTHON", sys.executable) != sys.executable:
    os.execv(os.environ["GIBBON_PYTHON"], [os.environ["GIBBON_PYTHON"], *sys.argv])
try:
    import numpy as np
    import onnx
    import onnxruntime
except ImportError as why:
    print(f"SKIP: {why}; GIBBON_PYTHON can name a Python that has it")
    sys.exit(77)

GIBBON, RESAVE = sys.argv[1:3]
DATA = pathlib.Path(__file__).parent / "data"
TEMP = pathlib.Path(tempfile.mkdtemp(prefix="gibbon-saved-"))
SMALL = {"cnn-a", "cnn-b", "resnet-20"}  # every activation; the others with their own alone


def outputs(path, x):
    """What ONNX Runtime makes of x, after the checker has passed the file."""
    onnx.checker.check_model(str(path), full_check=True)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x})


def opset(model):
    return [o.version for o in model.opset_import if o.domain in ("", "ai.onnx")]


def pictures(shape):
    return np.random.default_rng(0).random([2, *shape], dtype=np.float32)


def architecture(name, shape, classes, activation):
    path = TEMP / f"{name}-{activation}.onnx"
    subprocess.run([GIBBON, "models", name, "--activation", activation, "-o", path], check=True,
                   stdout=subprocess.DEVNULL)
    x = pictures(shape)
    want, = outputs(path, x)
    assert want.shape == (2, classes) and np.isfinite(want).all() and want.std() > 0
    np.save(TEMP / "x.npy", x)
    subprocess.run([GIBBON, "run", path, "-i", TEMP / "x.npy", "-o", TEMP / "out", "--quiet"],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    error = np.abs(np.load(TEMP / "out" / "logits.npy") - want).max() / np.abs(want).max()
    assert error < 1e-4, f"{name} with {activation}: off by {error:.1e} of the largest logit"
    path.unlink()


def golden(path):
    again = TEMP / path.name
    subprocess.run([RESAVE, path, again], check=True)
    before, after = onnx.load(str(path)), onnx.load(str(again))
    assert opset(before) == opset(after), path.name
    dims = before.graph.input[0].type.tensor_type.shape.dim
    x = pictures([d.dim_value for d in dims[1:]])
    if dims[0].HasField("dim_value"):
        x = x[:dims[0].dim_value]
    for a, b in zip(outputs(path, x), outputs(again, x), strict=True):
        assert np.array_equal(a, b), path.name


def main():
    models = json.loads(subprocess.run([GIBBON, "models", "--json"], check=True,
                                       capture_output=True).stdout)
    count = 0
    for arch in models["architectures"]:
        for activation in models["activations"] if arch["name"] in SMALL else [arch["activation"]]:
            architecture(arch["name"], arch["input"], arch["classes"], activation)
            count += 1
    for path in sorted(DATA.glob("*.onnx")):
        golden(path)
        count += 1
    print(f"[  PASSED  ] {count} test(s).")


main()
