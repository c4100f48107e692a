#!/usr/bin/env python3
"""What README.md says is what is in the tree."""
import re

import harness
from harness import SOURCE, gibbon

README = (SOURCE / "README.md").read_text()


def packages(text):
    return {word for line in text.splitlines() for word in line.split("#")[0].replace("\\", " ").split()}


def test_packages():
    block = re.search(r"```sh\nsudo apt-get install (.*?)```", README, re.S)
    assert block, "no apt-get install block in README.md"
    assert packages(block[1]) == packages((SOURCE / "tools" / "packages").read_text())


def test_library_example():
    block = re.search(r"```c\n(.*?)```", README, re.S)
    example = (SOURCE / "tests" / "cli" / "example.c").read_text()
    assert block and block[1] == example, "README.md and tests/cli/example.c differ"
    assert len(example.splitlines()) <= 48


def test_options_exist():
    """Every option that README.md and the manual page mention is one of some command,
    or of the script that README.md explains."""
    known = {"--version", "--help", "--buildtype", "--cflags", "--libs"}
    for command in ("devices", "info", "run", "classify", "attack", "eval", "models", "bench", "selftest",
                    "train", "transfer", "tune"):
        for name in re.findall(r"--(?:\[no-\])?[a-z][a-z0-9-]*", gibbon(command, "--help").out):
            known.update((name.replace("[no-]", ""), name.replace("[no-]", "no-")))
    known.update(re.findall(r'"(--[a-z]+)"', (SOURCE / "tools" / "versus-torch").read_text()))
    used = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", README))
    page = (SOURCE / "tools" / "gibbon.1").read_text()
    used |= {"-" + name for name in re.findall(r"Fl (-[a-z][a-z0-9-]*)", page)}
    assert used <= known, used - known


def test_links():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert "://" in target or (SOURCE / target).exists(), target


harness.main(globals())
