"""Small files for the tests, written from nothing: ONNX models, PNG pictures, NPY arrays."""
import struct
import zlib


# --- protocol buffers: a message is the concatenation of its fields ---

def varint(n):
    n &= (1 << 64) - 1
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    return bytes(out) + bytes([n])


def number(field, value):
    return varint(field << 3) + varint(value)


def data(field, value):
    value = value.encode() if isinstance(value, str) else bytes(value)
    return varint(field << 3 | 2) + varint(len(value)) + value


# --- ONNX; field numbers from onnx.proto ---

FLOAT, INT64 = 1, 7


def tensor(name, dims, values, kind=FLOAT):
    raw = struct.pack(f"<{len(values)}{'f' if kind == FLOAT else 'q'}", *values)
    return b"".join(number(1, d) for d in dims) + number(2, kind) + data(8, name) + data(9, raw)


def value(name, dims, kind=FLOAT):
    shape = b"".join(data(1, data(2, d) if isinstance(d, str) else number(1, d)) for d in dims)
    return data(1, name) + data(2, data(1, number(1, kind) + data(2, shape)))


def attribute(name, v):
    if isinstance(v, int):
        return data(1, name) + number(3, v) + number(20, 2)
    if isinstance(v, list):
        return data(1, name) + b"".join(number(8, i) for i in v) + number(20, 7)
    return data(1, name) + data(4, v) + number(20, 3)


def node(kind, inputs, outputs, **attributes):
    return (b"".join(data(1, i) for i in inputs) + b"".join(data(2, o) for o in outputs) +
            data(3, outputs[0] + "_node") + data(4, kind) +
            b"".join(data(5, attribute(k, v)) for k, v in attributes.items()))


def model(path, nodes, inputs, outputs, tensors=(), opset=17, meta=None):
    graph = (b"".join(data(1, n) for n in nodes) + data(2, "g") +
             b"".join(data(5, t) for t in tensors) + b"".join(data(11, i) for i in inputs) +
             b"".join(data(12, o) for o in outputs))
    props = b"".join(data(14, data(1, k) + data(2, v)) for k, v in (meta or {}).items())
    path.write_bytes(number(1, 8) + data(7, graph) + data(8, data(1, "") + number(2, opset)) + props)
    return str(path)


def linear(path, channels=3, size=8, classes=4, batch="N", weights=None, meta=None, ending=()):
    """A classifier of small pictures: flatten and one dense layer."""
    count = channels * size * size
    if weights is None:
        weights = [((i * 2654435761 >> 7) % 2001 - 1000) / 4000 for i in range(count * classes)]
    nodes = [node("Flatten", ["x"], ["f"]), node("Gemm", ["f", "w"], ["y"], transB=1), *ending]
    last = "y" if not ending else "z"
    return model(path, nodes, [value("x", [batch, channels, size, size])],
                 [value(last, [batch, classes])], [tensor("w", [classes, count], weights)], meta=meta)


def attention(path, batch="N"):
    """A classifier of pictures of 3x8x8: a layer of self-attention over 12 tokens of 16 numbers,
    tokens in front of images as PyTorch's MultiheadAttention has them."""
    def weight(name, dims):
        count = dims[0] * dims[1]
        return tensor(name, dims, [((i * 2654435761 >> 7) % 2001 - 1000) / 4000
                                   for i in range(count)])
    nodes = [node("Reshape", ["x", "shape"], ["i"]),
             node("Transpose", ["i"], ["t"], perm=[1, 0, 2]),
             *(node("MatMul", ["t", "w" + name], ["t" + name]) for name in "qkv"),
             node("Transpose", ["tq"], ["q"], perm=[1, 0, 2]),
             node("Transpose", ["tk"], ["k"], perm=[1, 2, 0]),
             node("Transpose", ["tv"], ["v"], perm=[1, 0, 2]), node("MatMul", ["q", "k"], ["s"]),
             node("Softmax", ["s"], ["p"], axis=-1), node("MatMul", ["p", "v"], ["o"]),
             node("Flatten", ["o"], ["f"]), node("MatMul", ["f", "w"], ["y"])]
    return model(path, nodes, [value("x", [batch, 3, 8, 8])], [value("y", [batch, 4])],
                 [tensor("shape", [3], [0, 12, 16], INT64), weight("w", [192, 4]),
                  *(weight(name, [16, 16]) for name in ("wq", "wk", "wv"))])


def png(path, width, height, channels=3, value=lambda x, y, c: (x * 29 + y * 17 + c * 71) % 256):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = b"".join(b"\0" + bytes(value(x, y, c) for x in range(width) for c in range(channels))
                    for y in range(height))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" +
                     chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2 if channels == 3 else 0,
                                                0, 0, 0)) +
                     chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
    return str(path)


def read_png(path):
    """(width, height, channels, pixels) of an 8-bit grey or RGB picture without interlacing."""
    blob = open(path, "rb").read()
    assert blob[:8] == b"\x89PNG\r\n\x1a\n"
    at, packed = 8, b""
    while at < len(blob):
        size, kind = struct.unpack(">I4s", blob[at:at + 8])
        body = blob[at + 8:at + 8 + size]
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack(">IIBB", body[:10])
            assert depth == 8 and colour in (0, 2)
        if kind == b"IDAT":
            packed += body
        at += 12 + size
    channels = 3 if colour == 2 else 1
    stride, raw, rows = width * channels, zlib.decompress(packed), []
    above = bytearray(stride)
    for y in range(height):
        start = y * (stride + 1)
        how, row = raw[start], bytearray(raw[start + 1:start + 1 + stride])
        for i in range(stride):
            a = row[i - channels] if i >= channels else 0
            b, c = above[i], above[i - channels] if i >= channels else 0
            p = a + b - c
            near = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
            row[i] = (row[i] + (0, a, b, (a + b) // 2, near)[how]) & 255
        rows.append(bytes(row))
        above = row
    return width, height, channels, b"".join(rows)


def npy(path, dims, values):
    shape = "(" + "".join(f"{d}, " for d in dims) + ")"
    head = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}"
    head += " " * (-(len(head) + 11) % 64) + "\n"
    path.write_bytes(b"\x93NUMPY\x01\0" + struct.pack("<H", len(head)) + head.encode() +
                     struct.pack(f"<{len(values)}f", *values))
    return str(path)


def read_npy(path):
    blob = open(path, "rb").read()
    size = struct.unpack("<H", blob[8:10])[0]
    head = eval(blob[10:10 + size].decode(), {})
    body = blob[10 + size:]
    return head["shape"], struct.unpack(f"<{len(body) // 4}f", body)
