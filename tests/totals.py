#!/usr/bin/env python3
"""Sums up the logs that `meson test` leaves: names what failed, why things were skipped, and ends
with "N passed, N failed, N skipped", counting single cases where a test reports them.
Usage: totals.py TESTLOG.json..."""
import collections
import json
import re
import sys

CASES = {  # cmocka's summary lines and those of tests/cli
    "passed": re.compile(r"^\[  PASSED  \] (\d+) test", re.M),
    "failed": re.compile(r"^\[  FAILED  \] (\d+) test", re.M),
    "skipped": re.compile(r"^\[  SKIPPED \] (\d+) test", re.M),
}
STATUS = {"OK": "passed", "EXPECTEDFAIL": "passed", "SKIP": "skipped"}


def main():
    totals = collections.Counter()
    for path in sys.argv[1:]:
        for line in open(path):
            record = json.loads(line)
            text = (record.get("stdout") or "") + "\n" + (record.get("stderr") or "")
            status = STATUS.get(record["result"], "failed")
            counts = {kind: sum(map(int, pattern.findall(text))) for kind, pattern in CASES.items()}
            if not any(counts.values()):
                counts[status] = 1
            if status == "failed":
                counts["failed"] = counts["failed"] or 1  # it crashed, or ran out of time
                print(f"FAILED: {record['name']} ({record['result']}) in {path}")
            for reason in sorted(set(re.findall(r"^(?:SKIP|skip(?:ped)?): .*", text, re.M))):
                print(f"{record['name']}: {reason}")
            totals.update(counts)
    print(", ".join(f"{totals[kind]} {kind}" for kind in ("passed", "failed", "skipped")))
    return 1 if totals["failed"] or not totals["passed"] else 0


sys.exit(main())
