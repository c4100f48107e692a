#!/usr/bin/env python3
"""gibbon against files that are not what they seem: names that control terminals, pipes, devices,
planted links, arrays that claim more than there is."""
import json
import os
import re
import subprocess

import files
import harness
from harness import GIBBON

UNIT = ["--preprocess", "unit"]
EVIL = "a\033[2Jb\nc\x7f\u009b31m\u202egnp\u2066"
SHOWN = r"a\x1b[2Jb\x0ac\x7f\u{9b}31m\u{202e}gnp\u{2066}"


# --- names ---

def raw_run(*args):
    """Standard output and errors together as bytes, and the exit code."""
    done = subprocess.run([GIBBON, *map(str, args)], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
    return done.stdout, done.returncode


def harmless(out):
    """Nothing in it can control a terminal, and all of it is UTF-8."""
    text = out.decode()
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]", text), out
    return text


def test_names_do_not_reach_the_terminal():
    here = harness.folder("names-evil")
    model = files.model(here / "evil.onnx",
                        [files.node("Flatten", ["x" + EVIL], ["f"]),
                         files.node("Gemm", ["f", "w" + EVIL], ["y" + EVIL], transB=1)],
                        [files.value("x" + EVIL, ["N", 3, 8, 8])],
                        [files.value("y" + EVIL, ["N", 4])],
                        [files.tensor("w" + EVIL, [4, 192], [i / 768 for i in range(768)])],
                        meta={"gibbon.classes": json.dumps([EVIL, "ümläut", "c", "d"])})
    name = f"p{EVIL}.png"
    picture = files.png(here / name, 8, 8)
    array = files.npy(here / "x.npy", [1, 3, 8, 8], [0.5] * 192)
    out = harness.folder("names-out")
    for args in (["info", model, "--layers", "--memory", "--verbose"], ["bench", model, "--layers", "-n", 1],
                 ["classify", model, picture, *UNIT, "--top", 4],
                 ["attack", model, picture, *UNIT, "-o", out],
                 ["run", model, "-o", out, "--input", array]):
        text = harmless(raw_run(*args)[0])
        assert SHOWN in text, (args[0], text)
    assert "ümläut" in raw_run("classify", model, picture, *UNIT, "--top", 4)[0].decode()
    # Files keep their names.
    assert (out / f"p{EVIL}_adversarial.png").exists(), os.listdir(out)


def test_names_in_errors():
    here = harness.folder("names-errors")
    odd = here / f"no{EVIL}.onnx"
    text, code = raw_run("info", odd)
    assert code == 1 and f"no{SHOWN}.onnx: No such file" in harmless(text) and text.count(b"\n") == 1
    unknown = files.model(here / "op.onnx", [files.node("Op" + EVIL, ["x"], ["y"])],
                          [files.value("x", ["N", 4])], [files.value("y", ["N", 4])])
    text, code = raw_run("classify", unknown, "p.png")
    assert code == 1 and "Op" + SHOWN in harmless(text), text
    assert "Op" + SHOWN in harmless(raw_run("info", unknown)[0])
    plain = files.linear(here / "m.onnx")
    picture = files.png(here / "p.png", 8, 8)
    for args in (["classify", plain, f"{EVIL}.png"], [EVIL], ["info", plain, "--" + EVIL],
                 ["classify", plain, picture, "--device", EVIL],
                 ["classify", plain, picture, "--preprocess", EVIL]):
        assert SHOWN in harmless(raw_run(*args)[0]), args
    bad = os.fsencode(here) + b"/bad\xff\xfeutf8\x9b.png"
    os.rename(picture, bad)
    text, code = raw_run("classify", plain, os.fsdecode(bad), *UNIT)
    assert code == 0 and r"bad\xff\xfeutf8\x9b.png" in harmless(text), text


harness.main(globals())
