#!/usr/bin/env python3
"""Checks that .clang-format and .editorconfig say the same and that the sources obey what they
both say, that what is printed for people goes through base/text, and that numbers are printed and
read in one place. Usage: check_style.py SOURCE_ROOT"""
import configparser
import pathlib
import re
import sys

# Text of numbers goes through base/number.h: the C library's functions follow the host's locale.
CALL = re.compile(r"\b(v?(?:f|s|sn|d|as)?printf|strto(?:d|f|ld)|atof|setlocale|"
                  r"strn?casecmp|strcasestr|tolower|toupper)\s*\(")
FRACTION = re.compile(r"%[-+ #0']*(?:\d+|\*)?(?:\.(?:\d+|\*))?L?[aefgAEFG]|%\d*'")


def arguments(text, start):
    """The text of a call's arguments, from behind the parenthesis at its start."""
    literal, depth, at = None, 1, start
    while at < len(text) and depth:
        c = text[at]
        if literal:
            at += c == "\\"
            literal = None if c == literal else literal
        elif c in "\"'":
            literal = c
        else:
            depth += (c == "(") - (c == ")")
        at += 1
    return text[start:at]


def locale_calls(name, text):
    """Calls that follow the locale: all in the library; the program never leaves the C locale."""
    if name.parts[0] not in ("src", "tools") or name.stem == "number":
        return
    for call in CALL.finditer(text):
        prints = call[1].endswith("printf")
        shown = FRACTION.search(arguments(text, call.end()).replace("%%", ""))
        unknown = call[1].startswith("v")  # its format is somebody else's
        if not prints or (name.parts[0] == "src" and (shown or unknown)):
            yield text.count("\n", 0, call.start()) + 1, call[1]


def raw_strings(text):
    """The lines where printf prints a %s, which can hold names out of files: gb_say and gb_text
    escape it."""
    for match in re.finditer(r"(?<!\w)v?f?printf\(((?:[^;\"]|\"(?:[^\"\\\\]|\\\\.)*\")*);", text):
        if re.search(r"%[-+ #0]*[*\d]*(\.[*\d]+)?s", match.group(1)):
            yield text.count("\n", 0, match.start()) + 1


def main():
    root = pathlib.Path(sys.argv[1])
    editor = configparser.ConfigParser()
    editor.read_string("[top]\n" + (root / ".editorconfig").read_text())
    every = editor["*"]
    clang = dict(line.split(":", 1) for line in (root / ".clang-format").read_text().splitlines()
                 if ":" in line)
    problems = []
    for ours, theirs in (("ColumnLimit", "max_line_length"), ("IndentWidth", "indent_size")):
        if clang[ours].strip() != every[theirs].strip():
            problems.append(f".clang-format {ours} is not .editorconfig {theirs}")
    limit = int(every["max_line_length"])

    files = [p for folder in ("include", "src", "cl", "tools", "tests")
             for p in sorted((root / folder).rglob("*"))
             if p.suffix in (".c", ".h", ".cl") and p.is_file()]
    for path in files:
        name = path.relative_to(root)
        data = path.read_bytes()
        if not data.endswith(b"\n") or data.endswith(b"\n\n"):
            problems.append(f"{name}: must end with one newline")
        for number, call in locale_calls(name, data.decode()):
            problems.append(f"{name}:{number}: {call} follows the locale; see src/base/number.h")
        for number, line in enumerate(data.decode().splitlines(), 1):
            if len(line) > limit:
                problems.append(f"{name}:{number}: {len(line)} columns")
            if "\t" in line or "\r" in line or line != line.rstrip():
                problems.append(f"{name}:{number}: a tab, a carriage return or a trailing blank")
        if name.parts[0] == "tools" or path.name.endswith("_text.c"):
            problems += [f"{name}:{number}: printf with %s; use gb_say or gb_text of base/text.h"
                         for number in raw_strings(data.decode())]
    for problem in problems:
        print(problem)
    print(f"{len(files)} files, {len(problems)} problems")
    return 1 if problems or not files else 0


sys.exit(main())
