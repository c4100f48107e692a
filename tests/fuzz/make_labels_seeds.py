"""Makes tests/fuzz/labels: class names in the forms that people have.

usage: make_labels_seeds.py OUTDIR      (the files are committed)
"""
import os
import sys


def main():
    out = sys.argv[1]
    os.makedirs(out, exist_ok=True)
    names = ["tench, Tinca tinca", "goldfish", "potter's wheel"]
    wnid = ["n01440764", "n01443537", "n03992509"]
    files = {
        "plain.txt": "\n".join(names),
        "crlf.txt": "\r\n".join(names) + "\r\n",
        "comma.csv": "".join(f"{i},{n}\n" for i, n in enumerate(names)),
        "quoted.csv": "class_id,wnid,name\n" + "".join(f'{i},{w},"{n}"\n' for i, (w, n) in enumerate(zip(wnid, names))),
        "semicolon.csv": "name;ClassId\ncat;1\ndog;0\n",
        "tabs.txt": "".join(f"{i}\t{w}\t{n}\n" for i, (w, n) in enumerate(zip(wnid, names))),
        "synsets.txt": "".join(f"{w} {n}\n" for w, n in zip(wnid, names)),
        "colon.txt": "".join(f"{i}: {n!r},\n" for i, n in enumerate(names)),
        "behind.txt": "cat 1\ndog 0\n",
        "comment.txt": "# classes\ncat\ndog\n",
        "list.json": '["cat", "dog"]',
        "pairs.json": '{"0": ["n01440764", "tench"], "1": ["n01443537", "goldfish"]}',
        "config.json": '{"id2label": {"0": "cat", "1": "dog"}, "label2id": {"cat": 0, "dog": 1}}',
        "index.json": '{"class_to_idx": {"cat": 0, "dog": 1}}',
        "dict.py": "labels = {0: 'tench', 1: u'it\\'s', 2: \"\\xe9\", # end\n}",
        "tuple.py": "[('n01440764', 'tench'), ('n01443537', 'goldfish'),]",
        "numbered.txt": "1. cat\n2. dog\n",
        "tree.yaml": "names:\n  0: cat\n  1: dog\n",
    }
    data = {name: text.encode() for name, text in files.items()}
    data["bom.txt"] = b"\xef\xbb\xbf" + data["plain.txt"]
    data["wide.txt"] = files["plain.txt"].encode("utf-16")
    data["wide_big.txt"] = "a\nb\U0001f600".encode("utf-16-be")
    data["latin1.txt"] = "requin g\u00e9ant\ncat".encode("latin-1")
    for name, content in data.items():
        with open(os.path.join(out, name), "wb") as f:
            f.write(content)


main()
