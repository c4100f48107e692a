#!/usr/bin/env python3
"""The experiments' scripts run through and print their tables; quick runs, whose figures are
none."""
import pathlib
import subprocess
import sys

import harness
from harness import BAG, FASHION, GIBBON, LABELS, SOURCE, Skip


def table(name, *args):
    """The cells of the Markdown table that a script prints, without its head."""
    done = subprocess.run([sys.executable, SOURCE / "tools" / name, "--gibbon", GIBBON,
                           *map(str, args)], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done
    rows = [[cell.strip() for cell in line.strip("|").split("|")]
            for line in done.stdout.splitlines() if line.startswith("|")]
    assert len({len(row) for row in rows}) == 1 and set(rows[1]) == {"---"}, done
    return rows[2:]


def need_data():
    if not pathlib.Path("/usr/share/datasets/fashion-mnist").exists():
        raise Skip("dataset-fashion-mnist is not installed")


def check_shares(rows, names):
    assert [row[0] for row in rows] == names, rows
    shares = [float(cell) for row in rows for cell in row[1:]]
    assert all(0 <= v <= 1 for v in shares) and max(shares) > 0.1, rows


def test_tutorial():
    need_data()
    rows = table("experiment-tutorial", "--quick", harness.folder("tutorial"))
    check_shares(rows, ["clean pictures", "and perturbed copies"])


def test_activations():
    need_data()
    rows = table("experiment-activations", "--quick", harness.folder("activations"))
    check_shares(rows, ["relu", "gelu", "silu", "silu, adversarial",
                        "silu, adversarial, nsl"])


def test_optimizers():
    rows = table("experiment-optimizers", FASHION, BAG, "--labels", LABELS, "--target", "sandal",
                 "--preprocess", "unit", "--steps", 3, "--top", 10, "--optimizers", "sign", "adam")
    assert [row[0] for row in rows] == ["sign", "adam"] and rows[0][3] == "-", rows
    for probability, distance in (cell.split() for row in rows for cell in row[1:] if cell != "-"):
        assert 0 <= float(probability) <= 1 and distance.startswith("("), rows


harness.main(globals())
