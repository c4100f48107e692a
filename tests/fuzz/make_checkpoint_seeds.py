"""Makes tests/fuzz/checkpoint: small checkpoints of training, whole and broken.

usage: make_checkpoint_seeds.py OUTDIR      (the files are committed; for little-endian machines)
"""
import os
import struct
import sys


def fnv(data):
    value = 0xcbf29ce484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001b3 % 2**64
    return value


def checkpoint(version=2, order=0x01020304, params=3, epoch=1, history=1, extra=b"",
               settings=b"optimizer adam\nlr 0.001\n"):
    head = b"gb-train" + struct.pack("<IIQQqqqd5Q", order, version, 1, 2, epoch, 5, 100, 1.5,
                                     len(settings), params, 2, 4, history)
    body = head + settings + struct.pack("<9f", *range(9)) + struct.pack("<10d", *range(10)) + extra
    return body + struct.pack("<Q", fnv(body))


def main():
    out = sys.argv[1]
    os.makedirs(out, exist_ok=True)
    whole = checkpoint()
    files = {
        "whole": whole,
        "cut": whole[:-20],
        "grown": checkpoint(extra=b"abc"),
        "damaged": whole[:120] + b"??" + whole[122:],
        "old": checkpoint(version=1),
        "order": checkpoint(order=0x04030201),
        "huge": checkpoint(params=2**62),
        "epoch": checkpoint(epoch=-1),
        "settings": checkpoint(settings=b"optimizer sgd\nlr 0.001\n\xff"),
        "open_end": checkpoint(settings=b"optimizer adam\nlr 0.001"), # once compared for ever
        "head": whole[:60],
    }
    for name, data in files.items():
        with open(os.path.join(out, name), "wb") as f:
            f.write(data)


main()
