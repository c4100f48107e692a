"""What the tests of the command line share: running gibbon, checking how it ends, counting.

A test file defines functions named test_* and ends with harness.main(globals()). The environment
gives GIBBON (the program), GIBBON_SOURCE (the project's root) and GIBBON_BUILD."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import traceback

GIBBON = os.environ["GIBBON"]
SOURCE = pathlib.Path(os.environ["GIBBON_SOURCE"])
BUILD = pathlib.Path(os.environ["GIBBON_BUILD"])
SHARED = SOURCE.parent / "shared" / "data"
EXAMPLE = SOURCE / "tests" / "golden" / "data"
FASHION = str(EXAMPLE / "fashion.onnx")
LABELS = str(EXAMPLE / "fashion_labels.txt")
BOOT = str(EXAMPLE / "fashion_ankle_boot_9.png")
BAG = str(EXAMPLE / "fashion_bag_8.png")
TROUSER = str(EXAMPLE / "fashion_trouser_1.png")
TEMP = pathlib.Path(tempfile.mkdtemp(prefix="gibbon-cli-"))


class Skip(Exception):
    """Raised by a test that cannot run here; says why."""


class Done:
    """How a run ended."""

    def __init__(self, args, code, out, err):
        self.args, self.code, self.out, self.err = args, code, out, err

    def json(self):
        return json.loads(self.out)

    def __str__(self):
        return f"gibbon {' '.join(self.args)}\nexit code {self.code}\n--- stdout\n{self.out[-3000:]}" \
               f"\n--- stderr\n{self.err[-3000:]}"


def gibbon(*args, code=0, env=None, stdout=None, says=None, prefix=()):
    """Runs the program and checks its exit code; with `says`, that one line of stderr is the error
    and that it matches."""
    args = [str(a) for a in args]
    process = subprocess.run([*prefix, GIBBON, *args], env={**os.environ, **(env or {})},
                             stdin=subprocess.DEVNULL, stdout=stdout or subprocess.PIPE,
                             stderr=subprocess.PIPE, timeout=600)
    done = Done(args, process.returncode, (process.stdout or b"").decode(errors="replace"),
                process.stderr.decode(errors="replace"))
    assert done.code == code, f"expected exit code {code}\n{done}"
    assert "Sanitizer" not in done.err and "runtime error" not in done.err, str(done)
    if says is not None:
        lines = errors(done)
        assert len(lines) == 1, f"expected one line of error\n{done}"
        assert re.search(says, lines[0]), f"expected /{says}/ in the error\n{done}"
    return done


def errors(done):
    """The lines of stderr that are errors, not notes."""
    notes = ("device: ", "preprocess: ", "model: ", "labels: ", "gibbon: warning: ",
             "the model leaves ")
    return [line for line in done.err.splitlines() if not line.startswith(notes)]


def folder(name):
    """A fresh folder for a test's files."""
    path = TEMP / name
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path


def shared(path):
    full = SHARED / path
    if not full.exists():
        raise Skip(f"no ../shared/data/{path}")
    return str(full)


def ranks(n):
    """What goes in front of gibbon for n processes; MPI's own leaks are not looked for."""
    if not os.environ.get("GIBBON_MPIRUN"):
        raise Skip("built without MPI")
    sanitizer = os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"
    return ["env", "OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1",
            "OMPI_MCA_rmaps_base_oversubscribe=1", f"ASAN_OPTIONS={sanitizer.strip(':')}",
            os.environ["GIBBON_MPIRUN"], "-n", str(n)]


def main(names):
    passed, failed, skipped = 0, 0, 0
    only = sys.argv[1:]
    for name, test in list(names.items()):
        if not name.startswith("test_") or (only and name not in only):
            continue
        try:
            test()
            passed += 1
            print(f"[       OK ] {name}", flush=True)
        except Skip as why:
            skipped += 1
            print(f"SKIP: {name}: {why}", flush=True)
        except Exception:
            failed += 1
            print(f"[  FAILED  ] {name}", flush=True)
            traceback.print_exc(file=sys.stdout)
    shutil.rmtree(TEMP, ignore_errors=True)
    print(f"[  PASSED  ] {passed} test(s).")
    if skipped:
        print(f"[  SKIPPED ] {skipped} test(s).")
    if failed:
        print(f"[  FAILED  ] {failed} test(s).")
    sys.exit(1 if failed else 0 if passed else 77)
