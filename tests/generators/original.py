"""The original's five models in plain numpy, channels last, BGR, weights in Keras' order and layout.

Written from docs/architectures.md (Notation, Architectures, Weight exchange) alone, as the reference that weight
exchange is checked against; float64 inside. Nothing here knows torch or the code in generators/.
"""

from collections.abc import Iterator

import numpy as np

Array = np.ndarray


def convolution(x: Array, kernel: Array, bias: Array, stride: int = 1) -> Array:
    """[N, H, W, in], [k, k, in, out] -> [N, H / stride, W / stride, out], TensorFlow's "same" padding."""
    size, k = x.shape[1], len(kernel)
    out = -(-size // stride)
    pad = max((out - 1) * stride + k - size, 0)
    x = np.pad(x, [(0, 0), (pad // 2, pad - pad // 2), (pad // 2, pad - pad // 2), (0, 0)])
    total = np.zeros((len(x), out, out, kernel.shape[3])) + bias
    reach = (out - 1) * stride + 1
    for row in range(k):
        for column in range(k):
            total += x[:, row : row + reach : stride, column : column + reach : stride] @ kernel[row, column]
    return total


def leaky_relu(x: Array, slope: float) -> Array:
    return np.where(x > 0, x, slope * x)


def depth_to_space(x: Array) -> Array:
    """[N, H, W, 4C] -> [N, 2H, 2W, C]: a pixel's channels are (row of the block, column, channel)."""
    n, h, w, c = x.shape
    out = np.empty((n, 2 * h, 2 * w, c // 4))
    for row in (0, 1):
        for column in (0, 1):
            first = (2 * row + column) * (c // 4)
            out[:, row::2, column::2] = x[..., first : first + c // 4]
    return out


def down(x: Array, w: Iterator[Array]) -> Array:
    """C."""
    return leaky_relu(convolution(x, next(w), next(w), stride=2), 0.1)


def up(x: Array, w: Iterator[Array], slope: float = 0.1) -> Array:
    """U; with slope 0.2 U*, whose LeakyReLU comes after the shuffle."""
    x = convolution(x, next(w), next(w))
    return leaky_relu(depth_to_space(x), slope) if slope == 0.2 else depth_to_space(leaky_relu(x, slope))


def residual(x: Array, w: Iterator[Array]) -> Array:
    """R."""
    y = leaky_relu(convolution(x, next(w), next(w)), 0.2)
    return leaky_relu(convolution(y, next(w), next(w)) + x, 0.2)


def dense(x: Array, w: Iterator[Array]) -> Array:
    """D."""
    return x @ next(w) + next(w)


def picture(x: Array, w: Iterator[Array]) -> Array:
    """O."""
    return 1 / (1 + np.exp(-convolution(x, next(w), next(w))))


def encode(name: str, x: Array, weights: list[Array]) -> Array:
    w = iter(weights)
    for _ in range(3 if name == "lightweight" else 4):
        x = down(x, w)
    x = x.reshape(len(x), -1)
    if name == "iae":
        return x
    x = dense(dense(x, w), w)
    size = 8 if name == "dfl_h128" else 4
    return up(x.reshape(len(x), size, size, -1), w)


def decode(name: str, x: Array, weights: list[Array]) -> Array:
    w = iter(weights)
    if name == "dfaker":
        for _ in range(3):
            x = residual(up(x, w, slope=0.2), w)
        return picture(up(x, w), w)
    for _ in range(4 if name == "iae" else 3):
        x = up(x, w)
    return picture(x, w)


def intermediate(x: Array, weights: list[Array]) -> Array:
    w = iter(weights)
    x = dense(dense(x, w), w)
    return x.reshape(len(x), 4, 4, -1)


def predict(name: str, weights: dict[str, list[Array]], faces: Array, side: str) -> Array:
    """Faces BGR [N, S, S, 3] in 0..1, encoded and decoded as side "a" or "b" -> BGR [N, T, T, 3]."""
    code = encode(name, faces.astype(np.float64), weights["encoder"])
    if name != "iae":
        return decode(name, code, weights[f"decoder_{side}"])
    parts = [intermediate(code, weights[part]) for part in (f"inter_{side}", "inter_both")]
    return decode(name, np.concatenate(parts, axis=-1), weights["decoder"])


def shapes(name: str, scale: float = 1) -> dict[str, list[tuple[int, ...]]]:
    """Every array's shape by the table of architectures, every hidden count times `scale`."""

    def s(count: int) -> int:
        return max(1, round(count * scale))

    def layers(*parts: tuple[int, ...]) -> list[tuple[int, ...]]:
        return [shape for kernel in parts for shape in (kernel, (kernel[-1],))]

    def downs(*counts: int) -> list[tuple[int, ...]]:
        return [(5, 5, before, after) for before, after in zip((3, *counts), counts)]

    def ups(first: int, *counts: int) -> list[tuple[int, ...]]:
        return [(3, 3, before, 4 * after) for before, after in zip((first, *counts), counts)]

    c = [s(128), s(256), s(512), s(1024)]
    out: dict[str, list[tuple[int, ...]]] = {}
    if name == "iae":
        out["encoder"] = layers(*downs(*c))
        for part in ("inter_a", "inter_b", "inter_both"):
            out[part] = layers((16 * c[3], s(1024)), (s(1024), 16 * s(512)))
        counts = [s(512), s(256), s(128), s(64)]
        out["decoder"] = layers(*ups(2 * s(512), *counts), (5, 5, counts[-1], 3))
        return out
    if name == "lightweight":
        out["encoder"] = layers(*downs(*c[:3]), (64 * c[2], s(512)), (s(512), 16 * s(512)), *ups(s(512), s(256)))
        code, counts = s(256), [s(512), s(256), s(128)]
    elif name == "dfl_h128":
        out["encoder"] = layers(*downs(*c), (64 * c[3], s(512)), (s(512), 64 * s(512)), *ups(s(512), s(512)))
        code, counts = s(512), [s(512), s(256), s(128)]
    else:
        out["encoder"] = layers(*downs(*c), (16 * c[3], s(1024)), (s(1024), 16 * c[3]), *ups(c[3], s(512)))
        code, counts = s(512), [s(256), s(128), s(64)]
    kernels = ups(code, *counts)
    if name == "dfaker":
        counts = [s(512), s(256), s(128), s(64)]
        kernels = []
        for before, after in zip((code, *counts[:3]), counts[:3]):
            kernels += [*ups(before, after), (3, 3, after, after), (3, 3, after, after)]
        kernels += ups(counts[2], counts[3])
    for part in ("decoder_a", "decoder_b"):
        out[part] = layers(*kernels, (5, 5, counts[-1], 3))
    return out


def random_weights(name: str, scale: float = 1, seed: int = 0) -> dict[str, list[Array]]:
    """Weights of a size that keeps signals alive through the layers, and biases that matter."""
    rng = np.random.default_rng(seed)

    def array(shape: tuple[int, ...]) -> Array:
        spread = 0.1 if len(shape) == 1 else np.sqrt(2 / np.prod(shape[:-1]))
        return rng.standard_normal(shape, dtype=np.float32) * np.float32(spread)

    return {part: [array(shape) for shape in list_] for part, list_ in shapes(name, scale).items()}
