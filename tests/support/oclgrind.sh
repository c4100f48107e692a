#!/bin/sh
# Runs a test on oclgrind's simulated device; fails too if a kernel reads or writes where it must
# not, or races, or a call is wrong. (Its check for uninitialised reads is left out: version 21.10
# ends with status 255 in the middle of correct kernels.) Usage: oclgrind.sh PROGRAM [ARGUMENTS]
command -v oclgrind >/dev/null || { echo "skip: oclgrind is not installed"; exit 77; }
log=$(mktemp)
trap 'rm -f "$log"' EXIT
GIBBON_TEST_DEVICE=oclgrind GIBBON_TEST_SMALL=1 oclgrind --data-races --check-api --log "$log" "$@"
status=$?
if [ -s "$log" ]; then
    echo "oclgrind found:"
    head -n 60 "$log"
    exit 1
fi
exit $status
