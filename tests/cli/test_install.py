#!/usr/bin/env python3
"""meson install into a folder of its own: the program runs from there, and the library builds what
README.md shows."""
import os
import pathlib
import subprocess

import harness
from harness import BOOT, BUILD, FASHION, SOURCE, Skip


def install():
    root = harness.TEMP / "root"
    if not root.exists():
        done = subprocess.run(["meson", "install", "-C", BUILD, "--no-rebuild", "--destdir", root],
                              capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    return root


def find(root, pattern):
    found = sorted(root.rglob(pattern))
    assert found, f"{pattern} is not installed"
    return found[0]


def library_env(root):
    folder = find(root, "libgibbon.so.0").parent
    return {**os.environ, "LD_LIBRARY_PATH": str(folder)}, folder


def test_program_runs_from_anywhere():
    root = install()
    program = find(root, "bin/gibbon")
    env, _ = library_env(root)
    elsewhere = harness.folder("elsewhere")
    done = subprocess.run([program, "classify", FASHION, BOOT, "--preprocess", "unit"], env=env,
                          cwd=elsewhere, capture_output=True, text=True)
    assert done.returncode == 0 and " 9 " in done.stdout, done.stdout + done.stderr


def test_no_paths_of_the_build():
    root = install()
    for path in (find(root, "bin/gibbon"), find(root, "libgibbon.so.0")):
        dynamic = subprocess.run(["readelf", "-d", path], capture_output=True, text=True).stdout
        assert "RUNPATH" not in dynamic and "RPATH" not in dynamic, dynamic


def test_only_the_public_names():
    root = install()
    header = (SOURCE / "include" / "gibbon.h").read_text()
    names = subprocess.run(["nm", "-D", "--defined-only", find(root, "libgibbon.so.0")],
                           capture_output=True, text=True).stdout
    exported = {line.split()[-1] for line in names.splitlines()}
    foreign = {name for name in exported if f"{name}(" not in header}
    assert exported and not foreign, foreign


def test_manual_page_and_pkg_config():
    root = install()
    page = find(root, "man1/gibbon.1").read_text()
    for name in ("devices", "info", "run", "classify", "attack", "bench", "tune", "selftest"):
        assert f".Cm {name}" in page or f".It Cm {name}" in page, name
    assert "-lgibbon" in find(root, "pkgconfig/gibbon.pc").read_text()


def test_readme_example_builds_against_the_installed_library():
    root = install()
    env, folder = library_env(root)
    if b"__asan_init" in (folder / "libgibbon.so.0").read_bytes():
        raise Skip("a library with sanitizers needs programs with them")
    include = find(root, "include/gibbon.h").parent
    here = harness.folder("example")
    source = SOURCE / "tests" / "cli" / "example.c"
    compiler = os.environ.get("CC", "cc").split()
    for extra in ([], ["-xc++"]):
        header = here / "header.c"
        header.write_text('#include "gibbon.h"\nint main(void) { return gb_last_error()[0]; }\n')
        subprocess.run([*compiler, *extra, "-Wall", "-Wextra", "-Werror", "-pedantic", "-I", include,
                        "-fsyntax-only", header], check=True)
    program = here / "example"
    subprocess.run([*compiler, "-std=c11", "-Wall", "-Wextra", "-Werror", "-I", include, source, "-o",
                    program, "-L", folder, "-lgibbon", f"-Wl,-rpath-link,{folder}"], check=True)
    done = subprocess.run([program, FASHION, harness.BOOT, "unit", here / "out.png"], env=env, cwd=here,
                          capture_output=True, text=True)
    assert done.returncode == 0 and "class 9 became" in done.stdout, done.stdout + done.stderr


harness.main(globals())
