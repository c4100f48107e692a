"""Runs an ONNX graph with PyTorch operators, so that models that only exist as ONNX have a
reference for gradients, in float32 and float64. Covers what the models under test use."""
import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch.nn import functional as F


def padded(x, a, kernel, stride, dilation, value):
    """x with its pads made explicit, ceil_mode's included."""
    n = len(kernel)
    pads = list(a.get("pads", [0] * 2 * n))
    for i in range(n):
        size, reach = x.shape[2 + i], (kernel[i] - 1) * dilation[i] + 1
        auto = a.get("auto_pad", b"NOTSET")
        if auto in (b"SAME_UPPER", b"SAME_LOWER"):
            total = max((-(-size // stride[i]) - 1) * stride[i] + reach - size, 0)
            small, large = total // 2, total - total // 2
            pads[i], pads[n + i] = (small, large) if auto == b"SAME_UPPER" else (large, small)
        if a.get("ceil_mode"):
            rest = (size + pads[i] + pads[n + i] - reach) % stride[i]
            pads[n + i] += stride[i] - rest if rest else 0
    order = [p for i in reversed(range(n)) for p in (pads[i], pads[n + i])]
    return F.pad(x, order, value=value) if any(order) else x


def window(a, kernel):
    n = len(kernel)
    return kernel, list(a.get("strides", [1] * n)), list(a.get("dilations", [1] * n))


def conv(a, x, w, b=None):
    kernel, stride, dilation = window(a, list(w.shape[2:]))
    x = padded(x, a, kernel, stride, dilation, 0)
    return F.conv2d(x, w, b, stride, 0, dilation, a.get("group", 1))


def max_pool(a, x):
    kernel, stride, dilation = window(a, list(a["kernel_shape"]))
    x = padded(x, a, kernel, stride, dilation, -np.inf)
    return F.max_pool2d(x, kernel, stride, 0, dilation)


def average_pool(a, x):
    kernel, stride, dilation = window(a, list(a["kernel_shape"]))
    total = F.avg_pool2d(padded(x, a, kernel, stride, dilation, 0), kernel, stride)
    inside = torch.ones_like(x)
    if a.get("count_include_pad"):
        inside, a = padded(inside, dict(a, ceil_mode=0), kernel, stride, dilation, 1), \
            dict(a, pads=[0] * 4)
    return total / F.avg_pool2d(padded(inside, a, kernel, stride, dilation, 0), kernel, stride)


def gemm(a, x, w, c=None):
    x = x.T if a.get("transA") else x
    w = w.T if a.get("transB") else w
    y = a.get("alpha", 1.0) * (x @ w)
    return y if c is None else y + a.get("beta", 1.0) * c


def lrn(a, x):
    size = a["size"]
    square = F.pad((x * x).unsqueeze(1), (0, 0, 0, 0, (size - 1) // 2, size // 2))
    total = F.avg_pool3d(square, (size, 1, 1), 1).squeeze(1)  # sum / size
    return x / (a.get("bias", 1.0) + a.get("alpha", 1e-4) * total) ** a.get("beta", 0.75)


def reshape(a, x, shape):
    shape = [x.shape[i] if s == 0 else s for i, s in enumerate(shape.tolist())]
    return x.reshape(shape)


def slices(a, x, starts=None, ends=None, axes=None, steps=None):
    starts = a["starts"] if starts is None else starts.tolist()
    ends = a["ends"] if ends is None else ends.tolist()
    axes = a.get("axes", list(range(len(starts)))) if axes is None else axes.tolist()
    for start, end, axis, step in zip(starts, ends, axes, [1] * 9 if steps is None
                                      else steps.tolist()):
        index = list(range(x.shape[axis]))[slice(start, end if end > -2**62 else None, step)]
        x = x.index_select(axis, torch.tensor(index, dtype=torch.int64))
    return x


def pad(a, x, pads=None, value=None):
    pads = a["pads"] if pads is None else pads.tolist()
    n = x.dim()
    order = [p for i in reversed(range(n)) for p in (pads[i], pads[n + i])]
    return F.pad(x, order, value=0.0 if value is None else float(value))


def softmax(a, x, opset):
    if opset >= 13:
        return torch.softmax(x, a.get("axis", -1))
    axis = a.get("axis", 1) % x.dim()
    return torch.softmax(x.flatten(axis), -1).reshape(x.shape)


def unsqueeze(a, x, axes=None):
    for axis in sorted(a["axes"] if axes is None else axes.tolist()):
        x = x.unsqueeze(axis)
    return x


def norm(a, x, scale, bias, mean, var):
    return F.batch_norm(x, mean, var, scale, bias, False, 0.0, a.get("epsilon", 1e-5))


def gather(a, x, index):
    axis = a.get("axis", 0) % x.dim()
    y = x.index_select(axis, index.reshape(-1) % x.shape[axis])
    return y.reshape(x.shape[:axis] + index.shape + x.shape[axis + 1:])


def clip(a, x, low=None, high=None):
    low, high = a.get("min") if low is None else low, a.get("max") if high is None else high
    return torch.clamp(x, low, high)


def constant_of_shape(a, shape, dtype):
    fill = a["value"] if "value" in a else torch.zeros(1)
    fill = fill.to(dtype) if fill.is_floating_point() else fill
    return fill.expand(*shape.tolist()).contiguous()


def mean(a, x):
    return x.mean(list(a["axes"]), keepdim=bool(a.get("keepdims", 1)))


SIMPLE = {
    "Add": lambda a, x, y: x + y, "Mul": lambda a, x, y: x * y, "Sub": lambda a, x, y: x - y,
    "Div": lambda a, x, y: x / y, "Sum": lambda a, *x: sum(x), "Relu": lambda a, x: F.relu(x),
    "MatMul": lambda a, x, y: x @ y, "Concat": lambda a, *x: torch.cat(x, a["axis"]),
    "Dropout": lambda a, x, *rest: x, "Identity": lambda a, x: x,
    "GlobalAveragePool": lambda a, x: x.mean((2, 3), keepdim=True),
    "Flatten": lambda a, x: x.reshape(int(np.prod(x.shape[:a.get("axis", 1)])), -1),
    "Transpose": lambda a, x: x.permute(*a.get("perm", range(x.dim() - 1, -1, -1))),
    "Shape": lambda a, x: torch.tensor(x.shape), "Conv": conv, "MaxPool": max_pool, "LRN": lrn,
    "AveragePool": average_pool, "Gemm": gemm, "Reshape": reshape, "Slice": slices, "Pad": pad,
    "Unsqueeze": unsqueeze, "BatchNormalization": norm, "Gather": gather, "Clip": clip,
    "ReduceMean": mean, "Tanh": lambda a, x: x.tanh(), "Sigmoid": lambda a, x: x.sigmoid(),
}


class OnnxTorch:
    """A callable from one input tensor to the first output."""

    def __init__(self, path):
        self.model = onnx.load(path)
        graph = self.model.graph
        self.opset = next(o.version for o in self.model.opset_import if o.domain in ("", "ai.onnx"))
        self.constants = {t.name: self.tensor(t) for t in graph.initializer}
        self.input = next(i for i in graph.input if i.name not in self.constants)
        self.output = graph.output[0].name
        self.shape = [d.dim_value for d in self.input.type.tensor_type.shape.dim]

    @staticmethod
    def tensor(proto):
        t = torch.from_numpy(numpy_helper.to_array(proto).copy())
        return t.float() if t.is_floating_point() else t

    def attribute(self, proto):
        value = onnx.helper.get_attribute_value(proto)
        return self.tensor(value) if isinstance(value, onnx.TensorProto) else value

    def __call__(self, x):
        def cast(t):
            return t.to(x.dtype) if t.is_floating_point() else t

        values = {name: cast(t) for name, t in self.constants.items()}
        values[self.input.name] = x
        for node in self.model.graph.node:
            a = {p.name: self.attribute(p) for p in node.attribute}
            args = [values[name] if name else None for name in node.input]
            if node.op_type == "Constant":
                y = cast(torch.as_tensor(next(iter(a.values()))))
            elif node.op_type == "ConstantOfShape":
                y = constant_of_shape(a, *args, x.dtype)
            elif node.op_type == "Softmax":
                y = softmax(a, *args, self.opset)
            elif node.op_type == "Cast":
                y = cast(args[0].to({1: torch.float32, 7: torch.int64}[a["to"]]))
            else:
                y = SIMPLE[node.op_type](a, *args)
            values[node.output[0]] = y
        return values[self.output]
