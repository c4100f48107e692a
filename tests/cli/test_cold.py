#!/usr/bin/env python3
"""A first run, when no driver has anything in its cache: a second process may help to compile, but
results and messages are those of any run, and nothing is left of it."""
import os
import signal
import subprocess
import time

import harness
from harness import BOOT, FASHION, GIBBON, folder, gibbon


def cold(name):
    path = folder(name)
    return {"XDG_CACHE_HOME": str(path), "POCL_CACHE_DIR": str(path / "pocl")}


def attack(out, env):
    done = gibbon("attack", FASHION, BOOT, "--method", "pgd", "-o", out, "--quiet", env=env)
    assert not harness.errors(done), str(done)
    return (out / "fashion_ankle_boot_9_adversarial.png").read_bytes(), done.out


def test_results_are_those_of_any_run():
    env, out = cold("results-cache"), folder("results")
    picture, text = attack(out, env)
    again, text_again = attack(out, env)
    assert picture == again
    strip = [line for line in text.splitlines() if " s" not in line]
    assert strip == [line for line in text_again.splitlines() if " s" not in line]


def test_no_process_is_left():
    for number, seconds in ((signal.SIGINT, 0.7), (signal.SIGKILL, 0.7), (None, 0)):
        process = subprocess.Popen([GIBBON, "attack", FASHION, BOOT, "-o", folder("left")],
                                   env={**os.environ, **cold("left-cache")},
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   start_new_session=True)
        time.sleep(seconds)
        if number:
            process.send_signal(number)
        process.wait(timeout=300)
        end = time.monotonic() + 120  # what compiles may come to its end
        while True:
            try:
                os.killpg(process.pid, 0)
            except ProcessLookupError:
                break
            assert time.monotonic() < end, f"signal {number}: a process is left"
            time.sleep(0.1)


harness.main(globals())
