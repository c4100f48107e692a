"""Random networks that behave like trained ones, and their reference results.

A freshly initialised network is a poor test: its batch statistics are 0 and 1, its layer scales
near zero, and its logits hardly depend on the picture. settle() repairs that without any download.
"""
import copy
import pathlib

import numpy as np
import torch
from torch import nn

from kinks import clear

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def pictures(folder, count, size, skip=0):
    """`count` normalised pictures (count, 3, size, size): of `folder`, or smooth noise."""
    files = sorted(pathlib.Path(folder).glob("*.JPEG"))[skip::7][:count] if folder else []
    if len(files) == count:
        from PIL import Image
        stack = []
        for file in files:
            image = Image.open(file).convert("RGB")
            side = min(image.size)
            left, top = (image.width - side) // 2, (image.height - side) // 2
            box = (left, top, left + side, top + side)
            stack.append(np.asarray(image.resize((size, size), Image.BILINEAR, box)))
        x = torch.from_numpy(np.stack(stack)).permute(0, 3, 1, 2).float() / 255
    else:
        noise = torch.randn(count, 3, max(size // 16, 4), max(size // 16, 4))
        x = torch.sigmoid(2 * nn.functional.interpolate(noise, (size, size), mode="bicubic"))
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (MEAN, STD))
    return ((x - mean) / std).contiguous()


@torch.no_grad()
def settle(model, calibration):
    """Spreads the parameters, measures the statistics, and gives the logits a useful range.

    Deep random networks are chaotic: rounding errors grow from layer to layer until float32
    gradients have no correct digit. Trained ones are not: filters without a common mode (Qiao et
    al., 2019) bring that about here. And each channel is mostly open or mostly shut, so that among
    millions of units few lie within rounding of a kink (kinks.py).
    """
    batch_norms = any(isinstance(m, nn.BatchNorm2d) for m in model.modules())
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d) and module.groups == 1 and module.in_channels > 3:
            module.weight -= module.weight.mean((1, 2, 3), keepdim=True)
        elif isinstance(module, nn.Conv2d) and module.groups == module.in_channels > 1:
            module.weight.normal_(0.1, 0.1)  # smooth rather than sharpen
        if isinstance(module, nn.BatchNorm2d):
            module.weight.uniform_(0.4, 0.8)
            trunk = name.endswith(("bn3", "downsample.1"))  # ends a residual branch: always open
            module.bias.copy_(module.weight * open_or_shut(len(module.bias), 0 if trunk else 0.25))
            if name.endswith(("conv.2", "conv.3")):  # MobileNet v2's, whose branches end linearly
                module.bias.normal_(0, 0.1)
        elif isinstance(module, nn.LayerNorm):
            module.weight.uniform_(0.7, 1.3)
            module.bias.normal_(0, 0.1)
        elif isinstance(module, (nn.Conv2d, nn.Linear)) and module.bias is not None:
            module.bias.normal_(0, 0.05)
    for name, parameter in model.named_parameters():
        if name.endswith("layer_scale"):
            parameter.uniform_(0.1, 0.4)
        elif name.endswith("class_token"):
            parameter.normal_(0, 0.5)
    model.eval()
    if batch_norms:
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = None  # a plain average over the batches
                module.reset_running_stats()
                module.train()
        for batch in calibration.split(8):
            model(batch)
        model.eval()
    layers = [m for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    norms = any(isinstance(m, (nn.BatchNorm2d, nn.LayerNorm)) for m in model.modules())
    layers[-1].weight.normal_(0, 0.05)
    # Without normalisation every layer is scaled, in order; with it, the last one alone.
    for layer in layers[-1:] if norms else layers:
        inner = layer is not layers[-1]
        mean = open_or_shut(len(layer.weight)) if inner else 0
        standardise(model, layer, calibration, mean, 1 if inner else 2)
    return model


def open_or_shut(channels, share_shut=0.25):
    """Means, in deviations, of what a rectifier will read."""
    shut = torch.rand(channels) < share_shut
    return torch.where(shut, -2.5, 3.0) + 0.3 * torch.randn(channels)


def standardise(model, layer, calibration, mean, std):
    """Scales and shifts a layer's output channels to that mean and deviation over the pictures."""
    seen = []
    hook = layer.register_forward_hook(lambda module, args, out: seen.append(out.clone()))
    for batch in calibration.split(8):
        model(batch)
    hook.remove()
    out = torch.cat(seen)
    old_std, old_mean = torch.std_mean(out, [i for i in range(out.dim()) if i != 1])
    scale = std / old_std
    layer.weight *= scale.view(-1, *[1] * (layer.weight.dim() - 1))
    if layer.bias is not None:
        layer.bias.sub_(old_mean).mul_(scale).add_(mean)


def vjp(function, x, v):
    """function(x) and the gradient of sum(v * function(x)) by x."""
    x = x.clone().requires_grad_()
    y = function(x)
    return y.detach(), torch.autograd.grad(y, x, v)[0]


def relative(a, b):
    """Relative L2 distance of a from b."""
    return ((a.double() - b).norm() / b.norm()).item()


def write_references(model, candidates, stem, keep=2, good=2e-5):
    """Writes STEM.{input,logits,seed,grad,logits64,grad64}.npy and returns the inputs.

    They are the first `keep` candidates that can be moved to where float32 determines the gradient
    (kinks.py) and where PyTorch's own, beside float64 and with the input off by a rounding, agrees
    to `good`, a fifth of what check_models.py allows: without kinks, too, some pictures make rounding
    errors grow in a random network.
    """
    exact = copy.deepcopy(model).double()
    noise = torch.Generator().manual_seed(1)
    shape = model(candidates[:1]).shape
    kept = []
    for seed, candidate in enumerate(candidates.split(1)):
        x = clear(model, exact, candidate, noise)
        if x is None:
            continue
        v = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
        y, g = vjp(model, x, v)
        y64, g64 = vjp(exact, x.double(), v.double())
        off = x * (1 + 1e-7 * torch.randn(x.shape, generator=noise))
        if max(relative(g, g64), relative(vjp(model, off, v)[1], g)) <= good:
            kept.append((x, v, y, g, y64, g64, x - candidate))
        if len(kept) == keep:
            break
    if not kept:
        raise RuntimeError(f"{stem}: float32 determines the gradient of none of the pictures")
    x, v, y, g, y64, g64, change = (torch.cat(part) for part in zip(*kept))
    for name, array in {"input": x, "seed": v, "logits": y, "grad": g, "logits64": y64,
                        "grad64": g64}.items():
        np.save(f"{stem}.{name}.npy", array.numpy())
    print(f"{pathlib.Path(stem).name}: {len(kept)} of {seed + 1} pictures, moved by at most "
          f"{(change.abs().max() / x.abs().max()).item():.0e}; float32 against float64, logits "
          f"{relative(y, y64):.1e}, gradient {relative(g, g64):.1e}", flush=True)
    return x


def export(model, x, path, exporter):
    """Writes an ONNX file with a symbolic batch where the exporter manages one; returns which."""
    names = {"input_names": ["input"], "output_names": ["logits"]}
    if exporter == "torchscript":
        torch.onnx.export(model, (x,), path, dynamo=False, opset_version=17,
                          dynamic_axes={"input": {0: "N"}, "logits": {0: "N"}}, **names)
        return "N"
    options = dict(dynamo=True, opset_version=18, external_data=False, verbose=False, **names)
    try:
        batch = torch.export.Dim("N", min=1, max=4096)
        torch.onnx.export(model, (x,), path, dynamic_shapes=({0: batch},), **options)
        return "N"
    except Exception as error:
        print(f"  a symbolic batch fails ({type(error).__name__}), fixed instead", flush=True)
        torch.onnx.export(model, (x,), path, **options)
        return str(x.shape[0])
