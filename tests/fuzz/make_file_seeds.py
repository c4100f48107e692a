"""Makes tests/fuzz/cache, preproc, rows and tuned: small files of the formats that gibbon keeps beside
models and pictures.

usage: make_file_seeds.py OUTDIR      (tests/fuzz; the files are committed)
"""
import json
import os
import struct
import sys


def fnv(data):
    """The hash of base/hash.h: FNV-1a of 64 bits."""
    value = 0xcbf29ce484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001b3 & (1 << 64) - 1
    return value


def cache(key, data, claimed=None):
    return b"gibbon-kernel 1\n%s\n%016x\n" % (key, fnv(claimed or data)) + data


def npy(descr, shape, data, version=1):
    head = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}"
    length = struct.pack("<H" if version == 1 else "<I", len(head) + 1)
    return b"\x93NUMPY" + bytes([version, 0]) + length + head.encode() + b"\n" + data


def tuned(device="fuzz", layers=()):
    return json.dumps({"device": device, "layers": list(layers)}).encode()


def main():
    out = sys.argv[1]
    layer = {"key": "F 9x64>64 at 3136 of 3136", "way": "winograd 4", "usual": "gemm 14x16",
             "ms": 1.25, "usual_ms": 2}
    folders = {
        "cache": {
            "fuzz": cache(b"fuzz", b"\x7fELF program"),
            "empty_key": cache(b"", b"x"),
            "long_key": cache(b"platform|device|driver|gemm|-DMR=8|0123", bytes(range(256))),
            "damaged": cache(b"fuzz", b"program", b"another"),
            "other_key": cache(b"other", b"program"),
            "no_data": cache(b"fuzz", b""),
            "cut": cache(b"fuzz", b"program")[:20],
        },
        "preproc": {
            "empty.json": b"{}",
            "full.json": b'{"resize": 256, "crop": [224, 192], "bgr": true, "range": 255, '
                         b'"mean": [104, 117.5, 123], "std": [1, 2e-3, 0.1]}',
            "one.json": b'{"crop": 28, "mean": 0.1307, "std": 0.3081}',
            "half.json": b'{"crop": [0, 5]}',
            "zero_std.json": b'{"std": 0}',
            "huge.json": b'{"mean": 1e39, "resize": 16385}',
            "unknown.json": b'{"\\u001b[2J": 1}',
            "twice.json": b'{"crop": 1, "crop": 2}',
            "deep.json": b"[" * 3000,
        },
        "rows": {
            "set.npy": npy("|u1", (3, 1, 2, 2), bytes([0, 1] * 6)),
            "floats.npy": npy("<f4", (2, 3, 1, 1), struct.pack("<6f", 0, .5, 1, .25, 2, -1), 2),
            "one.npy": npy("<f2", (1, 2, 2), b"\0\x3c" * 4),
            "flat.npy": npy("<f8", (2, 3), bytes(48)),
            "zero.npy": npy("<f4", (9 * 10**18, 0, 32, 32), b""),
            "claims.npy": npy("<f4", (10**9, 3, 0, 32), b""),
            "short.npy": npy("|u1", (300, 1, 1, 1), b"abc"),
            "overflow.npy": npy("<i8", (1 << 62, 3, 2, 2), b""),
        },
        "tuned": {
            "none.json": tuned(),
            "two.json": tuned(layers=[layer, {**layer, "key": "P 4x4", "way": "clblast"}]),
            "twice.json": tuned(layers=[layer, {**layer, "ms": -1}]),
            "other.json": tuned("another", [layer]),
            "lacks.json": tuned(layers=[layer, {"key": "x"}]),
            "types.json": tuned(layers=[{**layer, "ms": "fast"}]),
            "array.json": b'{"device": "fuzz", "layers": {"0": []}}',
            "cut.json": tuned(layers=[layer])[:-9],
            "deep.json": b'{"device": "fuzz", "layers": ' + b"[" * 3000,
        },
    }
    for folder, files in folders.items():
        os.makedirs(os.path.join(out, folder), exist_ok=True)
        for name, data in files.items():
            with open(os.path.join(out, folder, name), "wb") as f:
                f.write(data)


main()
