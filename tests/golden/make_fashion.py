#!/usr/bin/env python3
"""Makes the example that the tests attack: data/fashion.onnx, a small CNN trained on
Fashion-MNIST, its labels, and test pictures that it classifies rightly.

Needs PyTorch, onnx, Pillow and the Debian package dataset-fashion-mnist; takes a minute or two. The
pictures come from Fashion-MNIST (Zalando SE, MIT licence, see data/fashion_LICENSE)."""
import gzip
import pathlib

import numpy as np
import onnx
import torch
from PIL import Image
from torch import nn

SOURCE = pathlib.Path("/usr/share/datasets/fashion-mnist")
HERE = pathlib.Path(__file__).parent / "data"
LABELS = ["T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag",
          "ankle boot"]


def idx(name, offset):
    return np.frombuffer(gzip.open(SOURCE / name).read(), np.uint8, offset=offset)


def images(part):
    pixels = idx(f"{part}-images-idx3-ubyte.gz", 16).reshape(-1, 1, 28, 28).copy()
    return torch.from_numpy(pixels), torch.from_numpy(idx(f"{part}-labels-idx1-ubyte.gz", 8).copy()).long()


def main():
    torch.manual_seed(0)
    torch.set_num_threads(2)
    x, y = images("train")
    xt, yt = images("t10k")
    net = nn.Sequential(
        nn.Conv2d(1, 12, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(12, 24, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(24, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(32 * 9, 10))
    epochs, size = 8, 128
    optimiser = torch.optim.Adam(net.parameters(), 3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 6e-3, total_steps=epochs * (len(x) // size))
    for epoch in range(epochs):
        order = torch.randperm(len(x))
        for i in range(len(x) // size):
            pick = order[i * size:(i + 1) * size]
            loss = nn.functional.cross_entropy(net(x[pick].float() / 255), y[pick])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        with torch.no_grad():
            right = (net(xt.float() / 255).argmax(1) == yt)
        print(f"epoch {epoch}: loss {loss.item():.3f}, test accuracy {right.float().mean():.4f}", flush=True)
    HERE.mkdir(exist_ok=True)
    path = HERE / "fashion.onnx"
    torch.onnx.export(net.eval(), torch.zeros(1, 1, 28, 28), str(path), opset_version=17, dynamo=False,
                      input_names=["pixels"], output_names=["logits"],
                      dynamic_axes={"pixels": {0: "batch"}, "logits": {0: "batch"}})
    model = onnx.load(str(path))
    onnx.checker.check_model(model)
    model.doc_string = f"Fashion-MNIST, {100 * right.float().mean():.1f} % of the test pictures"
    onnx.save(model, str(path))
    (HERE / "fashion_labels.txt").write_text("\n".join(LABELS) + "\n")
    for label in (9, 8, 1):  # ankle boot, bag, trouser
        first = int(torch.nonzero((yt == label) & right)[0])
        name = f"fashion_{LABELS[label].replace(' ', '_')}_{label}.png"
        Image.fromarray(xt[first, 0].numpy()).save(HERE / name)
        print(name, "test picture", first)


if __name__ == "__main__":
    main()
