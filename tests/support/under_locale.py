#!/usr/bin/env python3
"""Runs a test in a locale, which is compiled into FOLDER unless it is there.
Usage: under_locale.py FOLDER de_DE PROGRAM [ARGUMENT...]"""
import os
import pathlib
import subprocess
import sys
import tempfile

folder, locale = pathlib.Path(sys.argv[1]), sys.argv[2]
name = locale + ".UTF-8"
folder.mkdir(exist_ok=True)
if not (folder / name).exists():
    with tempfile.TemporaryDirectory(dir=folder) as fresh:
        # 1: made, with warnings; the test itself looks at what it got
        made = subprocess.run(["localedef", "-i", locale, "-f", "UTF-8", f"{fresh}/{name}"],
                              capture_output=True, text=True)
        if made.returncode > 1:
            sys.exit(f"localedef: {made.stderr}")
        try:
            os.rename(f"{fresh}/{name}", folder / name)
        except OSError:
            pass  # another test was faster
env = dict(os.environ, LOCPATH=str(folder), GIBBON_TEST_LOCALE=name)
sys.exit(subprocess.run(sys.argv[3:], env=env).returncode)
