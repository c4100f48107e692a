"""Moves pictures to where float32 determines a network's gradient.

A rectifier's input or a pooled window's gap (its best value less the next one) may lie within
rounding of zero, its kink. Two correct float32 programs may then take either side, and the
gradients differ by 1e-3 and more where their logits agree to 1e-6. Among millions of units a few
nearly always do so, hence nearly every picture says nothing about a program.

clear() therefore measures how far every unit is from its kink in float64 and how far float32 is off
there, and moves the picture by an invisible amount that puts every unit beyond MARGIN of such
roundings. PyTorch alone is asked, never the program under test.
"""
import torch
from torch.autograd import forward_ad
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

MARGIN, AIM = 10, 20  # rms rounding errors: at least so far from its kink; moved so far


def nearest(z, *kinks):
    """Signed distances from the nearest of the kinks."""
    distances = torch.stack([z - kink for kink in kinks if kink is not None])
    return distances.gather(0, distances.abs().argmin(0, keepdim=True))[0]


def gap(z, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """The best of each window less the next value, over sqrt(2): it has two values' errors.

    Equal values in a window are one, pooled twice before, or rectified zeros: no kink among them.
    """
    kernel, stride, padding, dilation = (v if isinstance(v, (tuple, list)) else (v, v) for v in
                                         (kernel_size, stride or kernel_size, padding, dilation))
    n, channels = z.shape[:2]
    out = F.max_pool2d(z.detach(), kernel, stride, padding, dilation, ceil_mode).shape[2:]
    # Padded so that the last windows of ceil_mode are whole; one more than `out` does no harm.
    edges = [(p, p + s) for p, s in zip(padding, stride)]
    z = F.pad(z, [*edges[1], *edges[0]], value=-torch.inf)
    rows, columns = ((size - d * (k - 1) - 1) // s + 1 for size, d, k, s in
                     zip(z.shape[2:], dilation, kernel, stride))
    windows = F.unfold(z, kernel, dilation, 0, stride).view(n, channels, -1, rows, columns)
    windows = windows[..., :out[0], :out[1]]
    best = windows.amax(2, keepdim=True)
    following = windows.masked_fill(windows == best, -torch.inf).amax(2)
    return (best.squeeze(2) - following) / 2**0.5


DISTANCE = {  # of a function's every unit from its kink; the arguments are the function's
    "relu": lambda z, *rest, **options: z,
    "relu6": lambda z, *rest, **options: nearest(z, 0, 6),
    "hardtanh": lambda z, min_val=-1, max_val=1, **options: nearest(z, min_val, max_val),
    "hardswish": lambda z, *rest, **options: nearest(z, -3, 3),
    "hardsigmoid": lambda z, *rest, **options: nearest(z, -3, 3),
    "clamp": lambda z, min=None, max=None: nearest(z, min, max),
    "max_pool2d": gap,
}


class Kinks(TorchFunctionMode):
    """Lists, for each call under it, the distances of all units and what they are computed from."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = getattr(function, "__name__", None)
        if name in DISTANCE and args[0].is_floating_point():
            self.found.append((DISTANCE[name](*args, **kwargs), args[0]))
            args = (args[0].clone(), *args[1:])  # it may be overwritten
        return function(*args, **kwargs)


def find(model, x):
    with Kinks() as kinks:
        model(x)
    return kinks.found


def measure(model, exact, x):
    """For each call, every unit's distance in float64 over the rms error of float32, and that.

    Each channel has its own error, for there are channels a thousand times smaller than the rest;
    where a channel has few units they have one together.
    """
    measured = []
    with torch.no_grad():
        for (_, single), (distance, double) in zip(find(model, x), find(exact, x.double())):
            where = (0, *range(2, double.dim())) if double[0, 0].numel() > 32 else None
            real = (double != 0) & double.isfinite()  # not rectified before, nor padding
            square = torch.where(real, single - double, 0).square().sum(where, True)
            error = (square / real.sum(where, True)).sqrt().expand(distance.shape)
            ratio = torch.where((distance == 0) | distance.isinf(), torch.inf, distance / error)
            assert not ratio.isnan().any()
            measured.append((ratio, error.float()))
    return measured


def push(model, x, units, want, iterations=30):
    """About the least change of x that to first order changes the distances of `units` by `want`.

    units: for each call, which, and what they are measured in. With J the derivatives by x this is
    least squares, J change = want, by conjugate gradients from 0: every step is a product with J
    and one with its transpose.
    """
    def pick(found):
        return torch.cat([d[near] / error for (d, _), (near, error) in zip(found, units)])

    def ahead(change):
        with torch.no_grad(), forward_ad.dual_level():
            dual = pick(find(model, forward_ad.make_dual(x, change)))
            return forward_ad.unpack_dual(dual).tangent

    leaf = x.clone().requires_grad_()
    reached = pick(find(model, leaf))
    # The rows of J differ a thousandfold; noise tells their lengths, by which they are divided.
    lengths = sum(ahead(torch.randn(x.shape)).square() for _ in range(4)).div(4).sqrt()
    lengths += 1e-6 * lengths.max()  # a unit that nothing moves
    change, rest, way, size = torch.zeros_like(x), want / lengths, 0, 1
    for _ in range(iterations):
        slope = torch.autograd.grad(reached, leaf, rest / lengths, retain_graph=True)[0]
        size, before = slope.square().sum(), size
        way = slope + size / before * way
        image = ahead(way) / lengths
        step = size / image.square().sum()
        change += step * way
        rest = rest - step * image
        if (rest * lengths).abs().max() < (AIM - MARGIN) / 2:
            break
    return change


def clear(model, exact, x, noise, rounds=10):
    """x, moved until no unit is within MARGIN rounding errors of its kink.

    None: not in `rounds`, or not without changing a pixel by a 255th of their range.
    exact: the model in float64. noise: a random generator.
    """
    # First a little noise, so that flat parts of a picture have no ties of their own.
    start, x = x, x + 1e-4 * x.abs().max() * torch.randn(x.shape, generator=noise)
    for _ in range(rounds):
        units, want, critical = [], [], 0
        for ratio, error in measure(model, exact, x):
            near = ratio.abs() < AIM
            units.append((near, error[near]))
            want.append((AIM * ratio.sign() - ratio)[near].float())
            critical += (ratio.abs() < MARGIN).sum().item()
        if not critical:
            return x
        x = x + push(model, x, units, torch.cat(want))
        if (x - start).abs().max() > (start.max() - start.min()) / 255:
            break
    return None
