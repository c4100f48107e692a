"""Makes tests/fuzz/record: the settings and rows of evaluations, as fuzz_record.c wants them.

usage: make_record_seeds.py OUTDIR      (the files are committed)
"""
import os
import sys

HEADER = ("item,label,clean,probability,correct,adversarial,robust,robust_8bit,iterations,"
          "zero_gradients,linf,l2,stamp,image\n")


def main():
    out = sys.argv[1]
    os.makedirs(out, exist_ok=True)
    settings = "version: 2\nmodel: abc\n"
    row = "0,3,3,0.9,1,5,0,0,7,0,0.0313725509,0.5,123,a.png\n"
    clean = '4,1,2,0.25,0,,,,,,,,0,"a,""b"".png"\n'
    files = {
        "whole": settings + "\0" + HEADER + row + clean,
        "cut": settings + "\0" + HEADER + row + clean[:9],
        "old": "version: 1\nmodel: abc\n\0" + HEADER,
        "other": "version: 2\nmodel: abd\n\0",
        "twice": settings + "\0" + HEADER + row + row,
        "range": settings + "\0" + HEADER + row.replace("0,3,", "2147483648,3,", 1),
        "nan": settings + "\0" + HEADER + row.replace("0.9", "nan"),
        "hello": settings + "\0hello\n",
    }
    for name, text in files.items():
        with open(os.path.join(out, name), "wb") as f:
            f.write(text.encode())


main()
