#!/usr/bin/env python3
"""Checks the house's rules by reading the sources: a file includes only its own folder or the ones
below it, and OpenCL is called in src/device alone. Usage: check_layers.py SOURCE_ROOT"""
import pathlib
import re
import sys

# folder: the folders whose headers it may include besides its own
ALLOWED = {
    "base": "",
    "device": "base",
    "ir": "base",
    "ref": "base ir op",  # op: how attributes are read, shared by the evaluators and the kernels
    "onnx": "base ir",
    "models": "base ir onnx",
    "op": "base device ir ref",
    "engine": "base device ir ref op",
    "classifier": "base ir op engine",
    "optim": "base device",
    "image": "base",
    "data": "base image",
    "attack": "base device ir engine optim image",
    "train": "base device ir engine optim data",
    "eval": "base image data attack",
    "report": "base ir image data attack eval",
    "api": "base device ir onnx models op engine classifier optim image data attack train eval report",
    "tools": "base device ir ref onnx models op engine classifier optim image data attack train eval report",
}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
CL_CALL = re.compile(r"\b(cl[A-Z]\w+|CLBlast\w+)\s*\(")


def layer(path):
    if path.parts[0] == "tools":
        return "tools"
    return path.parts[1] if len(path.parts) > 2 else "api"


def check(root):
    problems = []
    files = sorted(p.relative_to(root) for folder in ("src", "tools")
                   for p in (root / folder).rglob("*.[ch]"))
    for path in files:
        here = layer(path)
        if here not in ALLOWED:
            problems.append(f"{path}: src/{here} has no place in {pathlib.Path(__file__).name}")
            continue
        allowed = {here, *ALLOWED[here].split()}
        for number, line in enumerate((root / path).read_text().splitlines(), 1):
            where = f"{path}:{number}"
            include = INCLUDE.match(line)
            if include:
                kind, name = include.groups()
                folder = name.split("/")[0] if "/" in name else None
                if kind == "<" and re.match(r"(CL/|clblast)", name) and here != "device":
                    problems.append(f"{where}: {name} belongs to src/device")
                elif kind == '"' and folder and folder not in allowed:
                    problems.append(f"{where}: {here} may not include {name}")
                elif kind == '"' and not folder and name != "gibbon.h" and here != "tools" and \
                        not (root / path.parent / name).exists() and not name.endswith(".pb-c.h"):
                    problems.append(f"{where}: {name} is not named by its folder")
            code = re.sub(r"//.*", "", line)
            call = CL_CALL.search(code)
            if call and here != "device":
                problems.append(f"{where}: {call[1]} is called outside src/device")
    return problems, len(files)


def main():
    problems, count = check(pathlib.Path(sys.argv[1]))
    for problem in problems:
        print(problem)
    print(f"{count} files, {len(problems)} problems")
    return 1 if problems or not count else 0


sys.exit(main())
