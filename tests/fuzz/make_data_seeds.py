"""Makes tests/fuzz/data: small idx files, plain and compressed, and two records of CIFAR-10.

usage: make_data_seeds.py OUTDIR      (the files are committed)
"""
import gzip
import os
import struct
import sys


def main():
    out = sys.argv[1]
    os.makedirs(out, exist_ok=True)
    images = struct.pack(">BBBBIII", 0, 0, 8, 3, 3, 2, 5) + bytes(range(30))
    labels = struct.pack(">BBBBI", 0, 0, 8, 1, 3) + bytes([2, 0, 1])
    huge = struct.pack(">BBBBIII", 0, 0, 8, 3, 0xFFFFFFFF, 0x4000, 0x4000)
    record = bytes([7]) + bytes(i % 256 for i in range(3072))
    files = {
        "images.idx": images,
        "labels.idx": labels,
        "images.gz": gzip.compress(images, mtime=0),
        "labels.gz": gzip.compress(labels, mtime=0),
        "truncated.gz": gzip.compress(images, mtime=0)[:-3],
        "huge.idx": huge,
        "huge.gz": gzip.compress(huge, mtime=0),
        "two.bin": record + record,
        "label.bin": b"\x0a" + record[1:],
    }
    for name, data in files.items():
        with open(os.path.join(out, name), "wb") as f:
            f.write(data)


main()
