"""Makes tests/fuzz/image: a small file of every kind that the picture readers know.

usage: make_image_seeds.py OUTDIR      (needs Pillow and numpy; the files are committed)
"""
import io
import os
import struct
import sys
import zlib

import numpy as np
from PIL import Image


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def chunks(*parts):
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, data) for kind, data in parts)


def png(pixels, depth, color, interlace=False, extra=b""):
    """A PNG from an array (H, W, samples) of integers; color is the format's colour type."""
    def rows(part):
        out = b""
        for row in part:
            bits = "".join(format(int(v), f"0{depth}b") for v in row.reshape(-1))
            bits += "0" * (-len(bits) % 8)
            out += b"\0" + int(bits, 2).to_bytes(len(bits) // 8, "big")
        return out

    h, w = pixels.shape[:2]
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2),
              (1, 0, 2, 1)] if interlace else [(0, 0, 1, 1)]
    parts = [pixels[y::dy, x::dx] for y, x, dy, dx in passes]
    data = b"".join(rows(p) for p in parts if p.size)
    return (b"\x89PNG\r\n\x1a\n" +
            chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, depth, color, 0, 0, int(interlace))) +
            (chunk(extra[0][0], extra[0][1]) if extra else b"") +
            (chunk(extra[1][0], extra[1][1]) if len(extra) > 1 else b"") +
            chunk(b"IDAT", zlib.compress(data, 9)) + chunk(b"IEND", b""))


def main():
    out = sys.argv[1]
    os.makedirs(out, exist_ok=True)
    rng = np.random.default_rng(2)
    y, x = np.mgrid[0:13, 0:11]
    rgb = np.stack([x * 20, y * 17, (x * y * 3) % 256], 2).astype(np.uint8)
    picture = Image.fromarray(rgb)

    def save(name, data):
        with open(os.path.join(out, name), "wb") as f:
            f.write(data)

    def jpeg(name, image, **options):
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", **options)
        save(name, buffer.getvalue())

    exif = picture.getexif()
    exif[0x0112] = 6
    jpeg("rgb.jpg", picture, quality=60)
    jpeg("rgb444_restart.jpg", picture, quality=60, subsampling=0, restart_marker_blocks=1)
    jpeg("progressive.jpg", picture, quality=60, progressive=True)
    jpeg("grey.jpg", picture.convert("L"), quality=60)
    jpeg("cmyk.jpg", picture.convert("CMYK"), quality=60)
    jpeg("exif6.jpg", picture, quality=60, exif=exif)

    wide = rgb.astype(np.int64) * 257
    alpha = np.dstack([rgb, (x * 25) % 256])
    palette = bytes(rng.integers(0, 256, 48, dtype=np.uint8))
    index = (x + y)[..., None] % 16
    save("rgb8.png", png(rgb, 8, 2))
    save("rgba8.png", png(alpha, 8, 6))
    save("rgb16_adam7.png", png(wide, 16, 2, True))
    save("grey1.png", png((x + y)[..., None] % 2, 1, 0))
    save("grey16_alpha.png", png(wide[..., :2], 16, 4))
    save("palette_trns.png", png(index, 4, 3, False,
                                 [(b"PLTE", palette), (b"tRNS", bytes([0, 128, 255]))]))
    save("palette_adam7.png", png(index, 4, 3, True, [(b"PLTE", palette)]))

    # Hostile ones: floods of segments and chunks, bombs, headers that promise too much.
    for orientation in (5, 7):
        exif[0x0112] = orientation
        jpeg(f"exif{orientation}.jpg", picture, quality=60, exif=exif)
    jpeg("cmyk_progressive.jpg", picture.convert("CMYK"), quality=60, progressive=True)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=60)
    plain = buffer.getvalue()
    for name, segment in (("app1", b"\xff\xe1\0\2"), ("comment", b"\xff\xfe\0\3x"), ("fill", b"\xff" * 5)):
        save(f"flood_{name}.jpg", plain[:2] + segment * 1500 + plain[2:])
    at = plain.index(b"\xff\xc0") + 5
    save("promise.jpg", plain[:at] + b"\x20\0\x20\0" + plain[at + 4:])
    header = lambda w, h, color=0, interlace=0: (b"IHDR", struct.pack(">IIBBBBB", w, h, 8, color, 0, 0, interlace))
    rows, end = (b"IDAT", zlib.compress(bytes(3 * 2))), (b"IEND", b"")
    zeros = zlib.compress(bytes(1 << 20), 9)
    save("flood_text.png", chunks(header(2, 2), *[(b"tEXt", b"k\0v")] * 500, rows, end))
    save("flood_idat.png", chunks(header(2, 2), *[(b"IDAT", b"")] * 300, rows, *[(b"IDAT", b"")] * 300, end))
    save("bombs.png", chunks(header(2, 2), (b"zTXt", b"k\0\0" + zeros), (b"iCCP", b"k\0\0" + zeros),
                             (b"iTXt", b"k\0\1\0\0\0" + zeros), (b"eXIf", b"II*\0" + bytes(50)), rows, end))
    save("more_rows.png", chunks(header(2, 2), (b"IDAT", zeros), end))
    save("promise.png", chunks(header(8192, 8192), rows, end))
    save("too_large.png", chunks(header(10000, 10001), rows, end))
    save("black_adam7.png", chunks(header(1000, 1000, 0, 1), (b"IDAT", zlib.compress(bytes(1004 * 1000), 9)), end))
    save("tall_rgba_adam7.png", png(alpha.repeat(9, 0), 8, 6, True))
    save("webp.jpg", b"RIFF\x24\0\0\0WEBPVP8 " + bytes(24))

    for kind in ("f4", "f2", "u1", "i8"):
        buffer = io.BytesIO()
        np.save(buffer, np.arange(6, dtype=kind).reshape(1, 2, 3))
        save(kind + ".npy", buffer.getvalue())


main()
