#!/bin/sh
# Runs a test on another OpenCL driver where the machine has it: rusticl (package mesa-opencl-icd).
# Usage: stack.sh GIBBON PLATFORM PROGRAM [ARGUMENTS]
gibbon=$1
platform=$2
shift 2
export RUSTICL_ENABLE="${RUSTICL_ENABLE:-llvmpipe}"
"$gibbon" devices 2>/dev/null | grep -qi "platform *$platform" ||
    { echo "skip: no device of the platform '$platform'"; exit 77; }
GIBBON_TEST_DEVICE="$platform" GIBBON_TEST_SMALL=1 exec "$@"
