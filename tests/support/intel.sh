#!/bin/sh
# Runs a test on Intel's OpenCL runtime for processors: the machine's, or that of PyPI, fetched once
# into the user's cache folder. A skip where neither can be had. Usage: intel.sh GIBBON PROGRAM [ARGUMENTS]
gibbon=$1
shift
version=2026.2.0
cache=${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/gibbon-test
folder=$cache/intel-opencl-$version

skip() { echo "skip: $*"; exit 77; }

# The wheels' shared libraries and the compiler's files beside them, in $folder/lib. What was not
# reachable is not tried again for ten minutes: other tests wait for this one.
fetch() {
    failed=$cache/unreachable
    [ -z "$(find "$failed" -mmin -10 2>/dev/null)" ] || return 1
    work=$(mktemp -d "$cache/XXXXXX") || return 1
    timeout 400 python3 -m pip download --quiet --disable-pip-version-check --no-input --retries 1 \
        --timeout 15 --only-binary :all: --dest "$work" "intel-opencl-rt==$version" \
        "intel-cmplr-lib-rt==$version" >/dev/null 2>&1 &&
        python3 - "$work" <<'P' && mv "$work/runtime" "$folder" || touch "$failed"
import pathlib, sys, zipfile
work = pathlib.Path(sys.argv[1])
lib, same = work / "runtime/lib", {}
lib.mkdir(parents=True)
for wheel in work.glob("*.whl"):
    with zipfile.ZipFile(wheel) as z:
        for entry in z.infolist():
            part = pathlib.PurePosixPath(entry.filename).parts
            if len(part) != 4 or not part[0].endswith(".data") or part[1:3] != ("data", "lib"):
                continue
            first = same.setdefault((entry.CRC, entry.file_size), part[3])
            if first == part[3]: # a wheel has no links, but the same file under several names
                (lib / first).write_bytes(z.read(entry))
            else:
                (lib / part[3]).symlink_to(first)
P
    rm -rf "$work"
    [ -d "$folder" ]
}

has_intel() { "$gibbon" devices 2>/dev/null | grep -q 'platform *Intel(R) OpenCL$'; }
export GIBBON_TEST_DEVICE='Intel(R) OpenCL' GIBBON_TEST_SMALL=1
has_intel && exec "$@"

if [ ! -d "$folder" ]; then
    [ "$(uname -m)" = x86_64 ] || skip "Intel's runtime is for x86-64"
    command -v flock >/dev/null && python3 -m pip --version >/dev/null 2>&1 || skip "no pip"
    mkdir -p "$cache" 2>/dev/null || skip "no cache folder to keep Intel's runtime in"
    (
        flock 9
        [ -d "$folder" ] || fetch
    ) 9>"$cache/lock" || skip "Intel's runtime cannot be fetched from PyPI"
fi
vendors=$(mktemp -d)
trap 'rm -rf "$vendors"' EXIT
echo "$folder/lib/libintelocl.so" >"$vendors/intel.icd"
export OCL_ICD_VENDORS="$vendors/"
has_intel || skip "Intel's runtime shows no device here"
"$@"
