#!/usr/bin/env python3
"""gibbon against files that are not what they seem: names that control terminals, pipes, devices,
planted links, arrays that claim more than there is."""
import json
import os
import re
import stat
import subprocess
import time

import files
import harness
from harness import GIBBON, gibbon

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
        assert args[0] == "run" or SHOWN in text, (args[0], text)  # its files have tame names
        if args[0] in ("info", "classify", "attack"): # JSON has escapes of its own
            report = subprocess.run([GIBBON, *map(str, args), "--json"], check=True, timeout=120,
                                    stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
            assert EVIL in json.dumps(json.loads(harmless(report)), ensure_ascii=False).replace(
                "\\u001b", "\033").replace("\\n", "\n"), report
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


# --- what is no file ---

def test_pipes_and_devices_do_not_block():
    here = harness.folder("fifo")
    model, picture = files.linear(here / "m.onnx"), files.png(here / "p.png", 8, 8)
    for name in ("f.png", "f.onnx", "f.npy", "f.json", "f.txt", "f.bin"):
        os.mkfifo(here / name)
    data = here / "data"
    data.mkdir()
    os.mkfifo(data / "train-images-idx3-ubyte")
    os.mkfifo(data / "train-labels-idx1-ubyte")
    record = here / "record"
    record.mkdir()
    os.mkfifo(record / "settings.txt")
    waits = "f[.][a-z]+: nothing came through this pipe for 5 s; write a file first"
    refused = "not a regular file but a pipe"
    for args, code, says in (
            (["classify", model, here / "f.png", *UNIT], 1, waits),
            (["info", here / "f.onnx"], 1, waits),
            (["classify", model, picture, *UNIT, "--labels", here / "f.txt"], 1, waits),
            (["classify", model, here / "f.npy", *UNIT], 1, refused),
            (["classify", model, picture, "--preprocess", here / "f.json"], 1, refused),
            (["run", model, "-i", here / "f.npy", "-o", here], 1, refused),
            (["eval", model, here / "f.bin", *UNIT], 1, refused),
            (["eval", model, f"{data}:train", *UNIT], 1, refused),
            (["eval", model, files.png(here / "p_1.png", 8, 8), *UNIT, "--label", "from-name", "-o", record],
             1, refused),
            (["classify", model, "/dev/zero", *UNIT], 1, "not a regular file but a device"),
            (["classify", "/dev/zero", picture], 1, "not a regular file but a device"),
            (["info", here], 1, "not a regular file but a folder"),
            (["classify", model, "-", *UNIT], 1, "/dev/stdin: not a regular file but a device")):
        start = time.monotonic()
        gibbon(*args, code=code, says=says)
        assert time.monotonic() - start < 20, args
    done = gibbon("models", "cnn-a", "-o", here / "f.png", code=1, says="f.png: is a pipe; give")
    assert stat.S_ISFIFO(os.lstat(here / "f.png").st_mode), done
    gibbon("models", "cnn-a", "-o", "/dev/null", code=1, says="/dev/null: is a device; give")
    assert stat.S_ISCHR(os.lstat("/dev/null").st_mode)


def test_models_and_pictures_from_pipes():
    here = harness.folder("pipes")
    model, picture = files.linear(here / "m.onnx"), files.png(here / "p.png", 8, 8)
    want = gibbon("classify", model, picture, *UNIT).out.splitlines()[1:]
    end = " ".join(UNIT)
    for line, name in ((f"{GIBBON} classify {model} - {end} < {picture}", "/dev/stdin"),
                       (f"cat {picture} | {GIBBON} classify {model} - {end}", "/dev/stdin"),
                       (f"cat {picture} | {GIBBON} classify {model} /dev/stdin {end}", "/dev/stdin"),
                       (f"{GIBBON} classify {model} <(cat {picture}) {end}", "/dev/fd/"),
                       (f"{GIBBON} classify <(cat {model}) {picture} {end}", picture),
                       (f"cat {model} | {GIBBON} classify - <(sleep 1; cat {picture}) {end}",
                        "/dev/fd/")):
        out = subprocess.run(["bash", "-c", line + " --quiet"], check=True, timeout=120,
                             stdout=subprocess.PIPE).stdout.decode().splitlines()
        assert out[0].startswith(name) and out[1:] == want, (line, out)
    out = harness.folder("pipes-out")
    subprocess.run(["bash", "-c", f"cat {picture} | {GIBBON} attack {model} - {end} -o {out}"],
                   check=True, stdout=subprocess.DEVNULL, timeout=120)
    assert (out / "stdin_adversarial.png").exists()


# --- many pictures of which none can be read ---

def test_arrays_that_claim_too_much():
    here = harness.folder("claims")
    model = files.linear(here / "m.onnx")
    for dims, says in (([9 * 10**18, 0, 32, 32], "its shape overflows"),
                       ([10**9, 3, 0, 8], "holds no pixel"), ([10**9, 0, 8, 8], "holds no pixel"),
                       ([0, 3, 8, 8], "holds no pixel"), ([3, 8, 0], "holds no pixel"),
                       ([10**9, 3, 8, 8], "holds 0 bytes of data where its shape asks for")):
        files.npy(here / "x.npy", dims, [])
        start = time.monotonic()
        for args in (["classify", model, here / "x.npy"], ["attack", model, here / "x.npy"],
                     ["eval", model, here / "x.npy"]):
            if args[0] == "eval":
                files.npy(here / "y.npy", [dims[0]], [])
                args[2] = f"{here / 'x.npy'},{here / 'y.npy'}"
            gibbon(*args, *UNIT, code=1, says="x.npy: " + says)
        assert time.monotonic() - start < 20, dims
    files.npy(here / "x.npy", [200, 1, 8, 8], [0.5] * 12800) # one line for all rows
    gibbon("classify", model, here / "x.npy", *UNIT, code=1, says="pictures of 1x8x8, but the model")


def test_errors_that_repeat_are_summed_up():
    here = harness.folder("repeats")
    model = files.linear(here / "m.onnx", channels=1)
    rows = 1200
    files.npy(here / "x.npy", [rows, 1, 8, 8], [2 + i / 7 for i in range(64 * rows)])
    many = here / "many"
    many.mkdir()
    for i in range(50):
        (many / f"{i:03}.png").write_bytes(b"")
    good = files.png(many / "good.png", 8, 8, 1)
    for command in ("classify", "attack"):
        args = [command, model, here / "x.npy", many, *UNIT]
        args += ["-o", here / "out"] if command == "attack" else []
        done = gibbon(*args, code=1)
        lines = harness.errors(done)
        assert len(lines) == 8, done
        assert lines[0] == f"gibbon {command}: {here}/x.npy[0]: holds 2; pixels are from 0 to 1", done
        assert sum("more like it" in line for line in lines) == 2, done
        assert lines[6] == f"gibbon {command}: and 1,197 more like it: {here}/x.npy[0]: holds 2; " \
                           "pixels are from 0 to 1", done
        assert lines[7].endswith(f"and 47 more like it: {many}/000.png: is empty"), done
        assert good in done.out
        report = gibbon(*args, "--json", code=1).json()
        assert [e["count"] for e in report["errors"]] == [rows, 50], report["errors"]
        assert report["errors"][1]["error"] == f"{many}/000.png: is empty"
        if command == "attack":
            assert "1250 failed" in done.out and done.out.count("\n  failed ") == 6, done
            assert report["summary"]["images"] == 1251 and report["summary"]["failed"] == 1250
            assert len(report["images"]) == 7 and sum("error" in i for i in report["images"]) == 6
        else:
            assert len(report["images"]) == 1
    assert "errors" not in gibbon("classify", model, good, *UNIT, "--json").json()


# --- what is written ---

def test_planted_links_are_not_followed():
    here = harness.folder("links")
    victim = here / "victim"
    victim.write_text("precious")
    result = here / "x.onnx"
    process = subprocess.Popen(["bash", "-c", f"read; exec {GIBBON} models cnn-a -o {result}"],
                               stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    for name in (f"x.onnx.tmp{process.pid}", "x.onnx"): # a name that the process number tells
        (here / name).symlink_to("victim")
    process.communicate(b"\n")
    assert process.returncode == 0 and victim.read_text() == "precious"
    assert result.is_file() and not result.is_symlink()
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(result.stat().st_mode) == 0o666 & ~umask
    assert sorted(os.listdir(here)) == ["victim", "x.onnx", f"x.onnx.tmp{process.pid}"]


def test_caches_are_private():
    here = harness.folder("private")
    model, picture = files.linear(here / "m.onnx"), files.png(here / "p.png", 8, 8)
    cache = here / "cache"
    env = {"XDG_CACHE_HOME": str(cache)}
    gibbon("tune", model, "--quiet", env=env)
    folder = cache / "gibbon"
    database, = folder.glob("tuned-*.json")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert all(stat.S_IMODE(f.stat().st_mode) == 0o600 for f in folder.iterdir())
    args = ["classify", model, picture, *UNIT]
    assert "another user" not in gibbon(*args, env=env).err
    database.chmod(0o666)
    assert "another user can have written it" in gibbon(*args, env=env).err
    if os.geteuid() == 0:
        database.chmod(0o600)
        os.chown(database, 12345, -1)
        assert "another user can have written it" in gibbon(*args, env=env).err


harness.main(globals())
