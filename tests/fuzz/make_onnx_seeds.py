#!/usr/bin/env python3
"""Writes the seeds of fuzz_onnx into tests/fuzz/onnx (needs the onnx package)."""
import pathlib

import numpy as np
import onnx
from onnx import TensorProto as T, helper as h, numpy_helper

here = pathlib.Path(__file__).parent / "onnx"
here.mkdir(exist_ok=True)


def save(name, nodes, initializers=(), opset=13, inputs=("x",), dims=("N", 3, 4, 4), kind=T.FLOAT,
         outputs=("y",), **model):
    info = [h.make_tensor_value_info(i, kind, dims) for i in inputs]
    ends = [h.make_tensor_value_info(o, T.FLOAT, None) for o in outputs]
    graph = h.make_graph(nodes, "g", info, ends, list(initializers))
    domains = [h.make_opsetid("", opset)] + [h.make_opsetid(d, 1) for d in model.pop("domains", ())]
    proto = h.make_model(graph, opset_imports=domains, ir_version=8, **model)
    (here / f"{name}.onnx").write_bytes(proto.SerializeToString())


w = numpy_helper.from_array(np.arange(54, dtype=np.float32).reshape(2, 3, 3, 3), "w")
save("conv", [h.make_node("Conv", ["x", "w"], ["a"], pads=[1, 1, 1, 1], auto_pad="NOTSET"),
              h.make_node("LeakyRelu", ["a"], ["y"], alpha=0.1)], [w], producer_name="seed")

types = [np.float16, np.float64, np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32,
         np.int64, np.uint64, np.bool_]
raw = [numpy_helper.from_array(np.ones((2, 1), t), f"r{i}") for i, t in enumerate(types)]
typed = [h.make_tensor(f"t{i}", t, [2], [1, 0]) for i, t in enumerate(
    [T.FLOAT, T.DOUBLE, T.FLOAT16, T.BFLOAT16, T.INT32, T.INT64, T.UINT32, T.UINT64, T.BOOL])]
save("types", [h.make_node("Sum", ["x"] + [t.name for t in raw + typed], ["y"])], raw + typed)

save("constants", [
    h.make_node("Constant", [], ["a"], value=w),
    h.make_node("Constant", [], ["b"], value_floats=[1.0, 2.0]),
    h.make_node("Constant", [], ["c"], value_int=3),
    h.make_node("Foo", ["x", "", "a", "b", "c"], ["", "y"], domain="com.example", l=[1, 2], s="s")],
    domains=("com.example",))

external = T(name="e", dims=[2], data_type=T.FLOAT, data_location=T.EXTERNAL)
for key, value in (("location", "data.bin"), ("offset", "0"), ("length", "8")):
    external.external_data.add(key=key, value=value)
save("external", [h.make_node("Add", ["x", "e"], ["y"])], [external])

branch = h.make_graph([h.make_node("Identity", ["x"], ["o"])], "b", [],
                      [h.make_tensor_value_info("o", T.FLOAT, None)])
save("subgraph", [h.make_node("If", ["k"], ["y"], then_branch=branch, else_branch=branch),
                  h.make_node("Constant", [], ["k"], value=h.make_tensor("", T.BOOL, [], [1]))])
(here / "tensor.pb").write_bytes(w.SerializeToString())


# Shape arithmetic and operators whose constants decide shapes, at a symbolic and at a fixed batch.
def ints(name, *v):
    return numpy_helper.from_array(np.array(v, np.int64), name)


save("shapes", [
    h.make_node("Shape", ["x"], ["s"]),
    h.make_node("Gather", ["s", "zero"], ["n"], axis=0),
    h.make_node("Concat", ["n", "rest"], ["dims"], axis=0),
    h.make_node("Reshape", ["x", "dims"], ["a"]),
    h.make_node("ConstantOfShape", ["dims"], ["k"], value=h.make_tensor("", T.FLOAT, [1], [2])),
    h.make_node("Add", ["a", "k"], ["b"]),
    h.make_node("Slice", ["b", "zero", "rest2", "axis2", "step"], ["c"]),
    h.make_node("Pad", ["c", "pads"], ["d"], mode="reflect"),
    h.make_node("Expand", ["d", "wide"], ["e"]),
    h.make_node("Split", ["e", "sizes"], ["f", "g"], axis=1),
    h.make_node("Tile", ["f", "wide"], ["y"])],
    [ints("zero", 0), ints("rest", 3, 16), ints("rest2", 9), ints("axis2", 2), ints("step", 2),
     ints("pads", 0, 0, 1, 0, 0, 2), ints("wide", 1, 3, 1), ints("sizes", 1, 2)])
save("resize", [
    h.make_node("Transpose", ["x"], ["t"], perm=[0, 2, 1, 3]),
    h.make_node("Resize", ["t", "", "scales"], ["r"], mode="linear"),
    h.make_node("SpaceToDepth", ["r"], ["d"], blocksize=2),
    h.make_node("Flatten", ["d"], ["f"]),
    h.make_node("Unsqueeze", ["f", "two"], ["u"]),
    h.make_node("Squeeze", ["u"], ["y"])],
    [numpy_helper.from_array(np.array([1, 1, 2, 1.5], np.float32), "scales"), ints("two", 2)])

# Classifiers: layouts of the input, and ways to end.
dense = numpy_helper.from_array(np.linspace(-1, 1, 48 * 3, dtype=np.float32).reshape(48, 3), "d")
number = [numpy_helper.from_array(np.float32(v), n) for n, v in (("half", 0.5), ("full", 255), ("one", 1))]
head = [h.make_node("Transpose", ["c"], ["t"], perm=[0, 3, 1, 2]), h.make_node("Flatten", ["t"], ["f"]),
        h.make_node("MatMul", ["f", "d"], ["z"])]
cast = [h.make_node("Cast", ["x"], ["i"], to=T.FLOAT), h.make_node("Div", ["i", "full"], ["c"])]
same = [h.make_node("Identity", ["x"], ["c"])]
soft = h.make_node("Softmax", ["z"], ["p"], axis=1)
cut = h.make_node("Slice", ["p", "zero", "two2", "axis1"], ["y"])
save("softmax", cast + head + [soft, cut, h.make_node("ArgMax", ["z"], ["a"], axis=1)],
     [dense, *number, ints("zero", 0), ints("two2", 2), ints("axis1", 1)], dims=("N", 4, 4, 3),
     kind=T.UINT8, outputs=("f", "a", "y"))
save("mixture", same + head + [
    soft, h.make_node("Exp", ["z"], ["e"]), h.make_node("ReduceSum", ["e", "axis1"], ["s"]),
    h.make_node("Div", ["e", "s"], ["q"]), h.make_node("Add", ["p", "q"], ["m"]),
    h.make_node("Mul", ["m", "half"], ["y"])], [dense, *number, ints("axis1", 1)], dims=("N", 4, 4, 3))
save("binary", [h.make_node("MatMul", ["x", "d1"], ["z"]), h.make_node("Sigmoid", ["z"], ["p"]),
                h.make_node("Sub", ["one", "p"], ["r"]), h.make_node("Concat", ["r", "p"], ["y"], axis=1)],
     [numpy_helper.from_array(np.linspace(-1, 1, 16, dtype=np.float32).reshape(16, 1), "d1"), *number],
     dims=("N", 16))
