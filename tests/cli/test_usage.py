#!/usr/bin/env python3
"""Arguments: help, versions, wrong names and values, and what standard output may refuse."""
import os
import re
import signal
import subprocess

import files
import harness
from harness import BOOT, FASHION, GIBBON, Skip, gibbon

COMMANDS = ["devices", "info", "run", "classify", "attack", "eval", "bench", "selftest", "transfer",
            "tune"]


def test_version():
    assert re.fullmatch(r"gibbon \d+\.\d+\.\d+\n", gibbon("--version").out)


def test_help_lists_the_commands():
    out = gibbon("--help").out
    for name in COMMANDS:
        assert re.search(rf"^  {name} ", out, re.M), name
    assert gibbon("help").out == out


def test_help_of_each_command():
    for name in COMMANDS:
        done = gibbon(name, "--help")
        assert done.out.startswith(f"usage: gibbon {name}"), done
        assert not done.err
        assert gibbon("help", name).out == done.out
        assert all(len(line) <= 100 for line in done.out.splitlines()), done


def test_no_command():
    done = gibbon(code=2)
    assert not done.out and "usage: gibbon" in done.err


def test_unknown_command():
    gibbon("atack", code=2, says="unknown command 'atack'; did you mean 'attack'")
    done = gibbon("frobnicate", code=2, says="the valid ones are")
    for name in COMMANDS:
        assert name in done.err


def test_unknown_option():
    gibbon("attack", "--epss", "1", code=2, says="unknown option --epss; did you mean --eps?")
    gibbon("devices", "--jsn", code=2, says="did you mean --json")
    gibbon("devices", "--frobnicate=3", code=2,
           says="unknown option --frobnicate; the valid ones are --json, .*--help")
    gibbon("devices", "-x", code=2, says="unknown option -x; the valid ones are")


def test_option_values():
    gibbon("bench", FASHION, "--batch", code=2, says="--batch needs a value")
    gibbon("bench", FASHION, "--batch", "--json", code=2, says="--batch needs a value")
    gibbon("bench", FASHION, "--batch", "0", code=2, says="--batch 0: must be between 1 and")
    gibbon("bench", FASHION, "--batch=many", code=2, says="--batch many: not a whole number")
    gibbon("devices", "--json=yes", code=2, says="--json takes no value")
    gibbon("attack", FASHION, BOOT, "-o", "x", "--seed", "-1", code=2, says="--seed -1: not a whole")


def test_missing_arguments():
    gibbon("devices", "what", code=2, says="unexpected argument 'what'")
    gibbon("info", code=2, says="give one model .usage: gibbon info MODEL")
    gibbon("run", FASHION, code=2, says="give -o DIR")
    gibbon("classify", FASHION, code=2, says="give a model and pictures")
    gibbon("attack", FASHION, code=2, says="give a model and pictures")
    gibbon("attack", code=2, says="give a model and pictures")


def test_attack_parameters():
    common = ["attack", FASHION, BOOT, "-o", harness.folder("unused")]
    gibbon(*common, "--eps", "-0.1", code=2, says="eps -0.1 is negative")
    gibbon(*common, "--eps", "8/0", code=2, says="divides by zero")
    gibbon(*common, "--eps", "much", code=2, says="neither a number nor a fraction")
    gibbon(*common, "--eps", "8", code=2, says="8/255")
    gibbon(*common, "--method", "magic", code=2, says="unknown method 'magic'; it is one of fgsm, pgd")
    gibbon(*common, "--norm", "l7", code=2, says="it is one of linf, l2")
    gibbon(*common, "--method", "fgsm", "--steps", "5", code=2, says="fgsm has no parameter 'steps'")
    gibbon(*common, "--steps", "0", code=2, says="steps 0 is outside")
    gibbon(*common, "--preprocess", "magic", code=2, says="unknown preprocessing 'magic'")


def talkative():
    """Command lines that print results: helps, tables and JSON of every command."""
    here = harness.folder("talk")
    model = files.linear(here / "m.onnx")
    picture = files.png(here / "p.png", 8, 8)
    (here / "data").mkdir()
    files.png(here / "data" / "cat_2.png", 8, 8)
    unit = ["--preprocess", "unit", "-q"]
    attack = ["attack", model, picture, *unit, "--steps", "2", "-o", here / "o"]
    lines = [["--help"], ["--version"], ["help", "run"], ["devices"], ["info", "--operators"],
             ["info", model], ["classify", model, picture, *unit], attack,
             ["run", model, "-i", files.npy(here / "x.npy", [1, 3, 8, 8], [0] * 192), "-o", here / "r"],
             ["bench", model, "--rounds", "1", "-q"], ["models"], ["selftest", "--op", "Relu"],
             ["eval", model, here / "data", "--label", "from-name", *unit]]
    return lines + [[*line, "--json"] for line in lines if line[0][0] != "-" and line[0] != "help"]


def test_standard_output_full():
    if not os.path.exists("/dev/full"):
        raise Skip("no /dev/full")
    for args in talkative():
        with open("/dev/full", "w") as full:
            done = gibbon(*args, code=1, stdout=full)
            assert "standard output: No space left" in done.err, done


def test_standard_output_closed():
    for args in talkative():
        done = gibbon(*args, code=1, prefix=["sh", "-c", 'exec "$0" "$@" >&-'])
        assert "standard output: Bad file descriptor" in done.err, done


def test_closed_descriptors_are_not_reused():
    """What is printed must not land in a file that took the place of a standard one."""
    here = harness.folder("closed")
    model, picture = files.linear(here / "m.onnx"), files.png(here / "p.png", 8, 8)
    before = open(picture, "rb").read()
    line = ["attack", model, picture, "--preprocess", "unit", "--steps", "2", "-o", here / "o"]
    gibbon(*line, prefix=["sh", "-c", 'exec "$0" "$@" <&-'])
    gibbon(*line, prefix=["sh", "-c", 'exec "$0" "$@" 2>&-'])
    gibbon(*line, code=1, prefix=["sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-'])
    assert open(picture, "rb").read() == before
    width, height, channels, _ = files.read_png(here / "o" / "p_adversarial.png")
    assert (width, height, channels) == (8, 8, 3)
    gibbon("devices", code=1, prefix=["sh", "-c", 'exec "$0" "$@" >&- 2>&-'])


def test_closed_pipe():
    """Dies of SIGPIPE as other programs do, without a word."""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([GIBBON, "info", "--operators"], stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    assert done.returncode == -signal.SIGPIPE and not done.stderr, done


harness.main(globals())
