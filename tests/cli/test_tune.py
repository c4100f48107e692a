#!/usr/bin/env python3
"""gibbon tune: every layer gets a way, wrong, crashing and hanging ones are survived, and what was
found is used from then on."""
import json
import os
import shutil
import signal
import subprocess
import time

import files
import harness
from harness import BOOT, FASHION, GIBBON, SOURCE, gibbon

# The ways that are tried depend on the form of the kernels.
FORM = {"GIBBON_KERNEL_FORM": "cpu16"}


def cache(name, like=None):
    """An environment with a cache folder of its own, a copy of another one's where that is given."""
    path = harness.folder(name)
    if like:
        shutil.copytree(like["XDG_CACHE_HOME"], path, dirs_exist_ok=True)
    # Compiled kernels are no part of what is tested.
    return {**FORM, "XDG_CACHE_HOME": str(path), "POCL_CACHE_DIR": str(harness.TEMP / "pocl")}


def algorithms(env, model=FASHION):
    report = gibbon("bench", model, "--rounds", 1, "--layers", "--json", env=env).json()
    return [layer["algorithm"] for layer in report["layers"]]


TUNED = cache("tuned")


def test_tune():
    first = gibbon("tune", FASHION, "--json", env=TUNED).json()
    layers = first["layers"]
    # Three convolutions and a dense layer, and their gradients but the first's, which is no GEMM.
    assert len(layers) == first["summary"]["tuned"] == first["summary"]["fresh"] == 7, first
    assert not first["rejected"]
    for layer in layers:
        assert 0 < layer["ms"] <= layer["heuristic_ms"], layer
        assert layer["way"] == layer["heuristic"] or layer["ms"] < layer["heuristic_ms"], layer
    assert any(layer["key"] == "F 9x24>32 at 49 of 49" for layer in layers)
    stored = json.load(open(first["database"]))
    assert {row["key"]: row["way"] for row in stored["layers"]} == \
           {row["key"]: row["way"] for row in layers}

    # The second time there is nothing to do.
    second = gibbon("tune", FASHION, "--json", env=TUNED).json()
    assert second["summary"]["fresh"] == 0 and second["summary"]["tuned"] == len(layers)
    text = gibbon("tune", FASHION, env=TUNED).out
    assert f"{len(layers)} of {len(layers)} layers tuned, 0 in this run" in text, text


def test_again():
    env = cache("again")
    model = files.linear(harness.folder("again-model") / "dense.onnx")
    for words, fresh in (((), 2), ((), 0), (("--again",), 2)):
        report = gibbon("tune", model, "--json", *words, env=env).json()
        assert report["summary"]["tuned"] == 2 and report["summary"]["fresh"] == fresh, report


def test_sessions_use_it():
    env = cache("used", TUNED)
    path = gibbon("tune", FASHION, "--json", env=env).json()["database"]
    # Choices that no heuristic makes, so that they are seen.
    stored = json.load(open(path))
    for row in stored["layers"]:
        row["way"] = "gemm 7x32"
    with open(path, "w") as file:
        json.dump(stored, file)
    assert sum(way.startswith("gemm 7x32") for way in algorithms(env)) == len(stored["layers"])
    off = {**env, "GIBBON_TUNE": "off"}
    assert not any(way.startswith("gemm 7x32") for way in algorithms(off))
    assert algorithms(off) == algorithms(cache("empty"))

    # The same pictures from the same database, whatever the batch.
    written = []
    for batch in (1, 1, 2):
        out = harness.folder("out")
        gibbon("attack", FASHION, BOOT, harness.BAG, "--preprocess", "unit", "--batch", batch,
               "--eps", "16/255", "-o", out, env=env)
        written.append([path.read_bytes() for path in sorted(out.iterdir())])
    assert written[0] and all(one == written[0] for one in written)


def test_attention():
    """Products of two activations are layers, too, and CLBlast is right where it is chosen."""
    env = cache("attention")
    folder = harness.folder("attention-model")
    model = files.attention(folder / "attention.onnx")
    report = gibbon("tune", model, "--batch", 2, "--json", env=env).json()
    assert report["summary"]["tuned"] == len(report["layers"]) and not report["rejected"], report
    products = {row["key"] for row in report["layers"] if "product" in row["key"]}
    # As they lie: q k' and p v; of these dq, dk, dp and dv, where d(q k') k is as dp is.
    assert products == {"F product nt 12x16x12 in 1", "F product nn 12x12x16 in 1",
                        "B product nn 12x12x16 in 1", "B product tn 12x12x16 in 1",
                        "B product nt 12x16x12 in 1"}, products

    stored = json.load(open(report["database"]))
    for row in stored["layers"]:
        row["way"] = "clblast"
    with open(report["database"], "w") as file:
        json.dump(stored, file)
    assert algorithms(env, model).count("clblast") >= len(report["layers"])
    assert "clblast" not in algorithms({**env, "GIBBON_TUNE": "off"}, model)
    answers = []
    for tuned in ("on", "off"):
        done = gibbon("classify", model, harness.BAG, "--preprocess", "unit", "--json",
                      env={**env, "GIBBON_TUNE": tuned}).json()
        answers.append([(c["class"], c["probability"]) for c in done["images"][0]["classes"]])
    for got, expected in zip(*answers):
        assert got[0] == expected[0] and abs(got[1] - expected[1]) < 1e-5, answers


def test_damaged_database():
    env = cache("damaged", TUNED)
    path = gibbon("tune", FASHION, "--json", env=env).json()["database"]
    whole = open(path).read()
    for text in ("", "{", '{"device": "another", "layers": []}', whole.replace('"way"', '"weigh"', 1)):
        with open(path, "w") as file:
            file.write(text)
        done = gibbon("classify", FASHION, BOOT, "--preprocess", "unit", env=env)
        assert f"warning: {path} is no database of this device" in done.err, done
    # Tuning writes it anew.
    model = files.linear(harness.folder("damaged-model") / "dense.onnx")
    assert gibbon("tune", model, "--json", env=env).json()["summary"]["fresh"] == 2
    assert "warning" not in gibbon("classify", FASHION, BOOT, "--preprocess", "unit", env=env).err


def test_bad_ways():
    """A tile that computes nonsense, one that does not compile, one that crashes, one that hangs."""
    kernels = harness.folder("kernels")
    source = (SOURCE / "cl" / "gemm.cl").read_text()
    start = source.index("kernel void gemm(")
    body = source.index("{", start) + 1
    bad = source[:body] + """
#if MR == 10
    y0 += 1; // one channel beside where it belongs
#elif MR == 14 && NR == 32
    this does not compile;
#elif MR == 12
    *(volatile global float *)0 = 1.0f;
#elif MR == 7
    for (volatile int i = 0; i < 1 && k_count == 192;)
        ;
#endif
""" + source[body:]
    (kernels / "gemm.cl").write_text(bad)
    # A sanitizer must not turn the crash into an exit.
    sanitizer = (os.environ.get("ASAN_OPTIONS", "") + ":handle_segv=0").strip(":")
    env = {**cache("bad"), "GIBBON_KERNELS": str(kernels), "ASAN_OPTIONS": sanitizer}
    model = files.linear(kernels / "dense.onnx")
    report = gibbon("tune", model, "--time-limit", 30, "--json", env=env).json()
    assert report["summary"]["tuned"] == len(report["layers"]) > 0, report
    why = {}
    for row in report["rejected"]:
        why.setdefault(row["way"], set()).add(row["why"].split(" by")[0])
    assert why.pop("gemm 10x32") == {"differs"}, report["rejected"]
    assert "clBuildProgram" in why.pop("gemm 14x32").pop(), report["rejected"]
    assert why.pop("gemm 12x32") == {"crashed"}, report["rejected"]
    assert why.pop("gemm 7x32") == {"hung"}, report["rejected"]
    why.pop("clblast", None)  # its kernels compile for as long as the machine is busy
    assert not why, why
    for layer in report["layers"]:
        assert layer["way"] not in ("gemm 10x32", "gemm 12x32", "gemm 14x32"), layer


def test_interrupted():
    """What was done before Ctrl-C is kept, and the next run goes on from there."""
    env = cache("interrupted")
    process = subprocess.Popen([GIBBON, "tune", FASHION, "--json"], stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, env={**os.environ, **env})
    folder = harness.TEMP / "interrupted" / "gibbon"
    for _ in range(6000):
        if folder.exists() and list(folder.glob("tuned-*.json")):
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    report = json.loads(process.communicate(timeout=60)[0])
    assert process.returncode == 130, process.returncode
    kept = report["summary"]["tuned"]
    assert 0 < kept < len(report["layers"]), report["summary"]
    report = gibbon("tune", FASHION, "--json", env=env).json()
    assert report["summary"]["fresh"] == len(report["layers"]) - kept


def test_errors():
    gibbon("tune", code=2, says="give one model")
    gibbon("tune", "nowhere.onnx", code=1, says="nowhere.onnx: No such file")
    gibbon("tune", FASHION, "--time-limit", 0, code=2, says="--time-limit 0: must be between 1")
    gibbon("tune", FASHION, "--device", "nosuchdevice", code=2, says="nosuchdevice")


harness.main(globals())
