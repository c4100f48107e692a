"""Makes tests/golden/resize.bin: what Pillow and torchvision make of small noise pictures.

usage: make_resize.py OUT.bin      (needs Pillow and torchvision; the file is committed)

The file is a sequence of cases: uint16 little-endian side (0: resize straight to the size), width, height,
channels of the input, width and height of the result, 1 for columns first, then the result's bytes.
The input is not stored: its bytes are the high bytes of x = x * 1664525 + 1013904223 mod 2^32,
starting from x = width * 65536 + height. Each pass is a call of its own, which makes the same file
with every version of Pillow; that a single call takes the passes in the order that the version's
rule says (src/image/fit.c) is checked on the way.
"""
import struct
import sys

import numpy as np
import PIL
from PIL import Image
from torchvision.transforms import functional as F

CASES = [  # side, input w, h, channels, result w, h
    (0, 41, 29, 3, 13, 9), (0, 7, 5, 3, 23, 17), (0, 33, 21, 1, 20, 40), (0, 17, 31, 1, 8, 8),
    (0, 64, 3, 1, 5, 3), (0, 9, 40, 3, 9, 7), (0, 1, 1, 3, 4, 3), (0, 50, 50, 1, 1, 1),
    (0, 12, 12, 3, 13, 11), (0, 300, 200, 1, 17, 19),
    (20, 37, 53, 3, 16, 16), (12, 30, 20, 1, 24, 9), (15, 19, 19, 3, 20, 18),
    (24, 61, 40, 1, 13, 12), (9, 10, 25, 3, 6, 6), (8, 8, 11, 1, 8, 8),
    (0, 3, 400, 3, 5, 9), (0, 40, 90, 1, 30, 7),
]


def noise(w, h, c):
    x, out = w * 65536 + h, []
    for _ in range(w * h * c):
        x = (x * 1664525 + 1013904223) % 2**32
        out.append(x >> 24)
    return Image.fromarray(np.array(out, np.uint8).reshape((h, w, c) if c == 3 else (h, w)))


def columns_first(w, h, rw, rh):
    version = tuple(int(n) for n in PIL.__version__.split(".")[:2])
    if version >= (13, 0):
        return h > rh and h - rh > 2 * (w - rw)
    return version >= (12, 2) and h > 100 * w and h > rh


def main():
    with open(sys.argv[1], "wb") as f:
        for side, w, h, c, ow, oh in CASES:
            image = noise(w, h, c)
            rw, rh = ow, oh
            if side:
                short, long = min(w, h), max(w, h)
                rw, rh = (side, int(side * long / short)) if w <= h else \
                    (int(side * long / short), side)
            both = [image.resize(middle, Image.BILINEAR).resize((rw, rh), Image.BILINEAR)
                    for middle in ((rw, h), (w, rh))]
            assert image.resize((rw, rh), Image.BILINEAR) == both[columns_first(w, h, rw, rh)]
            for order, result in enumerate(both):
                if side:
                    result = F.center_crop(result, [oh, ow])
                assert result.size == (ow, oh)
                f.write(struct.pack("<7H", side, w, h, c, ow, oh, order) +
                        np.asarray(result).tobytes())


main()
