"""Makes tests/fuzz/folder: folders of data packed as fuzz_folder.c unpacks them.

usage: make_folder_seeds.py OUTDIR      (the files are committed)
"""
import os
import struct
import sys
import zlib


def png():
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 2, 8, 0, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(b"\0\1\2\0\3\4")) + chunk(b"IEND", b""))


def npy(kind, shape, data):
    head = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    head += b" " * (-(len(head) + 11) % 64) + b"\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(head)) + head + data


def main():
    out = sys.argv[1]
    os.makedirs(out, exist_ok=True)
    images = struct.pack(">BBBBIII", 0, 0, 8, 3, 2, 2, 3) + bytes(12)
    labels = struct.pack(">BBBBI", 0, 0, 8, 1, 2) + bytes([2, 0])
    record = bytes([7]) + bytes(i % 256 for i in range(3072))
    p = png()
    folders = {
        "flat": (0, {"cat_3.png": p, "dog_5.png": p, "hog_5.png": p}),
        "counted": (0, {"IMG_0001.png": p, "IMG_0002.png": p}),
        "asked": (4, {"IMG_0001.png": p, "x_2.png": p}),
        "dates": (0, {"a_20240131_3.png": p, "b_20240201_4.png": p}),
        "classes": (0, {"cat/a.png": p, "dog/b.png": p, "dog/c.webp": b"x"}),
        "numbers": (2, {"0/a.png": p, "10/b.png": p}),
        "parts": (1, {"train/a/1.png": p, "train/b/1.png": p, "val/a/1.png": p, "val/b/1.png": p}),
        "links": (0, {"a_3.png": p, "self@": b".", "b_5.png@": b"a_3.png", "gone.png@": b"nowhere"}),
        "idx": (0, {"t10k-images-idx3-ubyte": images, "t10k-labels-idx1-ubyte": labels}),
        "cifar": (0, {"test_batch.bin": record, "batches.meta.txt": b"\n".join(b"abcdefghij"[i:i + 1] for i in range(10))}),
        "listed": (16, {"val_1.png": p, "val_2.png": p, "list.txt": b"val_1.png 3\r\nval_2.png,1\n"}),
        "bad": (0, {"a_3.png": b"x", "b_5.png": p, "c_5.png": p[:40]}),
        "deep": (8, {"1/2/3/a.png": p, "1/b.png": p}),
        "array": (0, {"test-images.npy": npy("<f4", (2, 1, 1, 1), bytes(8)),
                      "test-labels.npy": npy("<i8", (2,), struct.pack("<2q", 1, 0))}),
    }
    for name, (choices, content) in folders.items():
        data = bytes([choices]) + b"".join(bytes([len(n)]) + n.encode() + struct.pack("<H", len(c)) + c
                                           for n, c in content.items())
        with open(os.path.join(out, name), "wb") as f:
            f.write(data)


main()
