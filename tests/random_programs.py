"""Random programs: each is built twice, from minijax's namespaces and from JAX's, and must agree.

`program(seed)` draws inputs and a list of steps; `programs()` is a hypothesis strategy of the same, which shrinks.
`Program.function(space)` is the program as a Python function over a `Space`, the namespaces and transformations of one
of the two libraries.  Values stay of order one, and shapes come from a small set, so that kernels are reused.
"""

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import numpy as np

TRANSFORMS = ("jit", "vmap", "grad", "jvp", "linear")
COMPOSITIONS = tuple(itertools.chain.from_iterable(itertools.product(TRANSFORMS, repeat=n) for n in range(4)))
STEPS = 7


@dataclasses.dataclass(frozen=True)
class Space:
    """What a program is built from: one library's namespaces and transformations."""

    np: Any
    lax: Any
    jit: Callable
    vmap: Callable
    grad: Callable
    jvp: Callable
    vjp: Callable
    linearize: Callable
    map: Callable


@dataclasses.dataclass(frozen=True)
class Step:
    """One value from the values so far: `apply(space, *operands)`, of this shape."""

    name: str
    operands: tuple[int, ...]
    shape: tuple[int, ...]
    apply: Callable

    def __str__(self):
        return f"{self.name}({', '.join(f'v{i}' for i in self.operands)}) : {self.shape}"


@dataclasses.dataclass(frozen=True)
class Program:
    """Inputs (a pytree of NumPy arrays), steps, and the transformations to apply, the innermost first."""

    seed: int
    inputs: dict
    steps: tuple[Step, ...]
    transforms: tuple[str, ...]

    def function(self, space):
        """The program, transformed, as a function of a tree like `inputs`."""
        result = self.body(space)
        for number, name in enumerate(self.transforms):
            result = APPLY[name](space, result, np.random.default_rng((self.seed, number)))
        return result

    def body(self, space):
        """The program itself: steps in a Python loop."""
        def run(x):
            values = [space.np.asarray(a) for a in (x["vector"], *x["pair"])]
            for step in self.steps:
                values.append(step.apply(space, *[values[i] for i in step.operands]))
            return {"last": values[-1], "rest": (values[-2], space.np.sum(values[-3]))}

        return run

    @property
    def branches(self):
        """Whether it has a Python branch on a value."""
        return any(step.name == "branch" for step in self.steps)

    def __str__(self):
        transformed = " of ".join(reversed(self.transforms)) or "untransformed"
        lines = [f"v{i + 3} = {step}" for i, step in enumerate(self.steps)]
        return "\n".join([f"program({self.seed}), {transformed}:", *lines])


# ---- transformations: a function of a tree becomes another one

def _jit(space, f, rng):
    return space.jit(f)


def _vmap(space, f, rng):
    unbatched, out_axis = rng.random() < 0.3, int(rng.integers(2)) - 1
    in_axes = {"vector": 0, "pair": (0, None if unbatched else 0)}

    def mapped(x):
        def stack(a):
            return space.np.stack([a, 0.7 * a, 0.3 - a])

        first, second = x["pair"]
        batch = {"vector": stack(x["vector"]), "pair": (stack(first), second if unbatched else stack(second))}
        out = space.vmap(f, in_axes=(in_axes,), out_axes=out_axis)(batch)
        return space.map(lambda a: space.np.mean(a, axis=out_axis), out)

    return mapped


def _scalar(space, tree):
    total = 0.0
    for a in (tree["last"], *tree["rest"]) if "last" in tree else (tree["vector"], *tree["pair"]):
        total = total + space.np.sum(a * 0.7) + 0.1 * space.np.sum(a * a)
    return total


def _grad(space, f, rng):
    return lambda x: space.grad(lambda y: _scalar(space, f(y)))(x)


def _jvp(space, f, rng):
    shift = float(rng.normal())
    return lambda x: space.jvp(f, (x,), (space.map(lambda a: shift + 0.3 * a, x),))[1]


def _linear(space, f, rng):
    """By linearize or by vjp, in turn."""
    if rng.random() < 0.5:
        return lambda x: space.linearize(f, x)[1](space.map(lambda a: 0.2 + space.np.cos(a), x))

    def pulled(x):
        out, pull = space.vjp(f, x)
        return pull(space.map(lambda a: 0.5 * a + 0.1, out))[0]

    return pulled


APPLY = {"jit": _jit, "vmap": _vmap, "grad": _grad, "jvp": _jvp, "linear": _linear}


# ---- steps of one operand that keep its shape

UNARY = {
    "sin": lambda s, x: s.np.sin(x),
    "cos": lambda s, x: s.np.cos(1.3 * x),
    "tanh": lambda s, x: s.np.tanh(x),
    "exp": lambda s, x: s.np.exp(-x * x),
    "log": lambda s, x: s.np.log(1.5 + s.np.square(x)),
    "log1p": lambda s, x: s.np.log1p(x * x),
    "sqrt": lambda s, x: s.np.sqrt(1.0 + x ** 2),
    "reciprocal": lambda s, x: 1.0 / (1.0 + x * x),
    "power": lambda s, x: 0.3 * s.np.tanh(x) ** 3,
    "float power": lambda s, x: (1.5 + s.np.sin(x)) ** 1.7,
    "arctan": lambda s, x: s.np.arctan(x),
    "abs": lambda s, x: s.np.abs(x) - 0.5,
    "negative": lambda s, x: -x,
    "expm1": lambda s, x: s.np.expm1(-s.np.abs(x)),
    "sinh": lambda s, x: 0.5 * s.np.sinh(s.np.tanh(x)),
    "where": lambda s, x: s.np.where(x > 0.1, x * 0.9, s.np.sin(x)),
    "relu": lambda s, x: s.np.maximum(x, 0.05),
    "clip": lambda s, x: s.np.clip(x, -0.8, 0.9),
    "lax logistic": lambda s, x: s.lax.logistic(x) - 0.4,
    "lax rsqrt": lambda s, x: s.lax.rsqrt(2.0 + x * x),
    "lax erf": lambda s, x: s.lax.erf(x),
    "stop gradient": lambda s, x: x * s.lax.stop_gradient(s.np.cos(x)),
    "round": lambda s, x: x + 0.1 * s.np.floor(2.0 * x),
    "loop": lambda s, x: _loop(s, x),
    "jit": lambda s, x: s.jit(lambda a: s.np.sin(a) * a)(x),
    "two jits": lambda s, x: s.jit(lambda a: s.jit(lambda b: s.np.tanh(b) + a)(0.5 * a))(x),
    "grad": lambda s, x: s.grad(lambda a: s.np.sum(s.np.sin(a) * a))(x) * 0.4,
    "grad of jit": lambda s, x: s.grad(s.jit(lambda a: s.np.sum(s.np.tanh(a) * s.np.cos(a))))(x),
    "jvp": lambda s, x: s.jvp(lambda a: s.np.sin(a) * x, (x,), (s.np.cos(x),))[1],
    "closure": lambda s, x: s.grad(lambda a: s.np.sum(a * a * x))(0.3 * x),
    "pytree": lambda s, x: _through_tree(s, x),
}

UNARY_OF_RANK = {
    "cumsum": lambda s, x: 0.4 * s.np.cumsum(x, axis=-1),
    "cumprod": lambda s, x: s.np.cumprod(s.np.sin(x) + 0.2, axis=0),
    "cummax": lambda s, x: s.lax.cummax(x, axis=0),
    "sort": lambda s, x: s.np.sort(x, axis=-1),
    "flip": lambda s, x: s.np.flip(x, axis=0),
    "reverse slice": lambda s, x: x[::-1],
    "roll": lambda s, x: s.np.concatenate([x[1:], x[:1]], axis=0),
    "softmax": lambda s, x: s.np.exp(x) / s.np.sum(s.np.exp(x), axis=-1, keepdims=True),
    "centre": lambda s, x: x - s.np.mean(x, axis=0, keepdims=True),
    "by largest": lambda s, x: x - 0.5 * s.np.max(x, axis=-1, keepdims=True),
    "at add": lambda s, x: x.at[0].add(s.np.sin(x[1])),
    "at set": lambda s, x: x.at[-1].set(0.3 * x[0]),
    "indices": lambda s, x: x[np.arange(x.shape[0])[::-1]],
    "traced index": lambda s, x: x + x[s.np.argmax(s.np.reshape(x, (-1,))) % x.shape[0]],
    "pad": lambda s, x: s.np.pad(x, [(1, 0)] + [(0, 0)] * (x.ndim - 1))[:-1],
    "take": lambda s, x: s.np.take(x, np.array([1] * x.shape[0]), axis=0) * 0.5 + x,
    "vmap": lambda s, x: s.vmap(lambda row: s.np.sin(row) * s.np.sum(row))(x) * 0.3,
    "vmap of grad": lambda s, x: s.vmap(s.grad(lambda row: s.np.sum(s.np.tanh(row) ** 2)))(x),
    "dynamic slice": lambda s, x: s.np.tanh(x * s.np.sum(s.lax.dynamic_slice(x, (1,) * x.ndim, (1,) * x.ndim))),
    "rows": lambda s, x: s.np.stack([0.5 * row * (i + 1) for i, row in enumerate(x)]),
}


def _loop(s, x):
    for i in range(3):
        x = s.np.sin(x) if i % 2 else x * 0.8 + 0.1
    return x


def _through_tree(s, x):
    tree = {"a": x, "b": [s.np.sin(x), (0.5 * x, None)]}
    tree = s.map(lambda a: a * 0.5, tree)
    return tree["a"] + tree["b"][0] * tree["b"][1][0]


# ---- steps through other dtypes, and through control flow

OTHER_DTYPES = {
    "through int32": lambda s, x: x * 0.5 * (s.np.floor(2.0 * x).astype("int32") % 3),
    "through uint8": lambda s, x: x + 0.1 * s.np.clip(s.np.abs(x) * 7, 0, 200).astype("uint8"),
    "through bool": lambda s, x: s.np.where((x > 0) ^ (x < -0.5), x, 0.3 * x + 0.1),
    "through complex": lambda s, x: s.np.real((x + 0.5j) * (x - 1j * s.np.sin(x))) * 0.5,
    "complex abs": lambda s, x: s.np.abs(x + 1j * s.np.cos(x)) - 0.7,
}

CONTROL = {
    "cond": lambda s, x: s.lax.cond(s.np.sum(x) > 0.1, s.np.sin, lambda a: 0.5 * a, x),
    "cond over closures": lambda s, x: s.lax.cond(s.np.max(x) > 0.3, lambda: x * 0.7, lambda: s.np.tanh(x) * x),
    "switch": lambda s, x: s.lax.switch((s.np.sum(x) * 3).astype("int32") % 3,
                                        [s.np.sin, lambda a: 0.5 * a, lambda a: s.np.tanh(a) * x], x),
    "scan": lambda s, x: _mixed(s, s.lax.scan(lambda c, a: (s.np.tanh(c + a), c * a), x, np.arange(3.0) * 0.3)),
    "scan in reverse": lambda s, x: _mixed(s, s.lax.scan(lambda c, a: (0.8 * c + s.np.sin(a * x), s.np.cos(c)), x,
                                                         np.arange(3.0) * 0.3, reverse=True)),
    "fori_loop": lambda s, x: s.lax.fori_loop(0, 3, lambda i, a: s.np.sin(a) + 0.1 * i, x),
    "map": lambda s, x: s.np.mean(s.lax.map(lambda a: a * s.np.cos(x), np.arange(3.0)), axis=0),
    "scan of cond": lambda s, x: s.lax.scan(lambda c, a: (s.lax.cond(s.np.sum(c) > a, s.np.sin, s.np.tanh, c), None),
                                            x, np.array([0.5, -0.5]))[0],
}

FORWARD_ONLY = {  # JAX has no reverse mode of it
    "while_loop": lambda s, x: s.lax.while_loop(lambda a: s.np.sum(s.np.abs(a)) > 1.0, lambda a: 0.5 * s.np.sin(a), x),
    "counted while_loop": lambda s, x: s.lax.while_loop(lambda v: v[0] < 3, lambda v: (v[0] + 1, v[1] * 0.5 + x),
                                                        (0, x))[1] * 0.5,
}


def _mixed(s, pair):
    carry, stacked = pair
    return 0.5 * carry + s.np.mean(stacked, axis=0)


# ---- steps that change the shape, or take two operands

REDUCE = {
    "sum": lambda s, x, axis: 0.4 * s.np.sum(x, axis=axis),
    "mean": lambda s, x, axis: s.np.mean(x, axis=axis),
    "max": lambda s, x, axis: s.np.max(x, axis=axis),
    "min": lambda s, x, axis: s.np.min(x, axis=axis),
    "prod": lambda s, x, axis: s.np.prod(s.np.sin(x) + 0.3, axis=axis),
    "var": lambda s, x, axis: s.np.var(x, axis=axis),
    "logsumexp": lambda s, x, axis: s.np.log(s.np.sum(s.np.exp(x), axis=axis)),
}

BINARY = {
    "add": lambda s, x, y: x + 0.5 * y,
    "subtract": lambda s, x, y: x - y * 0.6,
    "multiply": lambda s, x, y: s.np.tanh(x) * y,
    "divide": lambda s, x, y: x / (1.5 + y * y),
    "maximum": lambda s, x, y: s.np.maximum(x, y),
    "minimum": lambda s, x, y: s.np.minimum(x, y),
    "arctan2": lambda s, x, y: s.np.arctan2(x, 2.0 + y * y),
    "where": lambda s, x, y: s.np.where(x > y, x, 0.5 * y),
    "logaddexp": lambda s, x, y: s.np.logaddexp(x, y) - 0.5,
    "power": lambda s, x, y: (1.5 + s.np.sin(x)) ** s.np.tanh(y),
    "inner derivative": lambda s, x, y: s.jvp(lambda a: s.np.sin(a) * y, (x,), (x * 0.0 + 0.5,))[1],
}


def pick(rng, shapes, fits):
    """The position of a value whose shape fits, the newest more likely; None if there is none."""
    found = [i for i, shape in enumerate(shapes) if fits(shape)]
    if not found:
        return None
    weights = np.arange(1, len(found) + 1) ** 1.5
    return int(rng.choice(found, p=weights / weights.sum()))


def choice(rng, table):
    name = sorted(table)[int(rng.integers(len(table)))]
    return name, table[name]


def unary_step(rng, shapes):
    i = pick(rng, shapes, lambda shape: True)
    name, apply = choice(rng, UNARY)
    return Step(name, (i,), shapes[i], apply)


def ranked_step(rng, shapes):
    i = pick(rng, shapes, lambda shape: shape and min(shape) > 1)
    name, apply = choice(rng, UNARY_OF_RANK)
    return None if i is None else Step(name, (i,), shapes[i], apply)


def special_step(rng, shapes, table):
    i = pick(rng, shapes, lambda shape: True)
    name, apply = choice(rng, table)
    return Step(name, (i,), shapes[i], apply)


def dtype_step(rng, shapes):
    return special_step(rng, shapes, OTHER_DTYPES)


def control_step(rng, shapes):
    return special_step(rng, shapes, CONTROL)


def while_step(rng, shapes):
    return special_step(rng, shapes, FORWARD_ONLY)


def reduce_step(rng, shapes):
    i = pick(rng, shapes, len)
    name, apply = choice(rng, REDUCE)
    axis = None if rng.random() < 0.2 else int(rng.integers(len(shapes[i])))
    shape = () if axis is None else shapes[i][:axis] + shapes[i][axis + 1:]
    return Step(f"{name} axis {axis}", (i,), shape, lambda s, x: apply(s, x, axis))


def binary_step(rng, shapes):
    i = pick(rng, shapes, lambda shape: True)
    j = pick(rng, shapes, lambda shape: broadcast(shape, shapes[i]) is not None)
    name, apply = choice(rng, BINARY)
    return Step(name, (i, j), broadcast(shapes[i], shapes[j]), apply)


def broadcast(*shapes):
    """The common shape; None if there is none, or it is large."""
    try:
        found = np.broadcast_shapes(*shapes)
    except ValueError:
        return None
    return found if np.prod(found) <= 18 else None


def dot_step(rng, shapes):
    i = pick(rng, shapes, lambda shape: 1 <= len(shape) <= 2)
    j = None if i is None else pick(rng, shapes, lambda shape: 1 <= len(shape) <= 2 and (
        shape[max(len(shape) - 2, 0)] == shapes[i][-1]))
    if j is None:
        return None
    x, y = shapes[i], shapes[j]
    shape = x[:-1] + (y[1:] if len(y) == 2 else ())
    letters = "ab"[2 - len(x):] + ",b" + "c" * (len(y) - 1) + "->" + "a" * (len(x) - 1) + "c" * (len(y) - 1)
    forms = {
        "matmul": lambda s, a, b: 0.4 * (a @ b),
        "dot": lambda s, a, b: s.np.tanh(s.np.dot(a, b)),
        "einsum": lambda s, a, b: 0.4 * s.np.einsum(letters, a, b),
        "dot_general": lambda s, a, b: 0.4 * s.lax.dot_general(a, b, (((a.ndim - 1,), (0,)), ((), ()))),
    }
    name, apply = choice(rng, forms)
    return Step(f"{name} {letters}", (i, j), shape, apply)


def shape_step(rng, shapes):
    i = pick(rng, shapes, lambda shape: len(shape) == 2)
    j = pick(rng, shapes, lambda shape: len(shape) == 1)
    matrices = {} if i is None else {
        "transpose": ((i,), shapes[i][::-1], lambda s, x: x.T),
        "row": ((i,), shapes[i][1:], lambda s, x: x[-1]),
        "column": ((i,), shapes[i][:1], lambda s, x: x[:, 0]),
        "outer rows": ((i,), (shapes[i][0],) * 2, lambda s, x: 0.4 * s.np.einsum("ab,cb->ac", x, x)),
        "swap": ((i,), shapes[i], lambda s, x: s.np.reshape(s.np.swapaxes(x, 0, 1), x.shape)),
    }
    vectors = {} if j is None else {
        "element": ((j,), (), lambda s, x: x[1]),
        "outer": ((j,), (shapes[j][0],) * 2, lambda s, x: s.np.outer(x, s.np.sin(x))),
        "new axis": ((j,), (2, shapes[j][0]), lambda s, x: s.np.broadcast_to(x[None, :], (2, x.shape[0]))),
        "stack": ((j,), (2, shapes[j][0]), lambda s, x: s.np.stack([x, s.np.cos(x)])),
        "double": ((j,), (3,), lambda s, x: s.np.concatenate([x, s.np.sin(x)])[:3]),
    }
    table = {**matrices, **vectors}
    if not table:
        return None
    name, (operands, shape, apply) = choice(rng, table)
    return Step(name, operands, shape, apply)


def branch_step(rng, shapes):
    """A Python branch on a value: only where no transformation makes values abstract (and JAX runs op by op)."""
    i = pick(rng, shapes, lambda shape: True)

    def branch(s, x):
        return s.np.sin(x) if s.np.sum(x) > 0.2 else 0.5 * x

    return Step("branch", (i,), shapes[i], branch)


MAKERS = (unary_step, unary_step, ranked_step, ranked_step, reduce_step, binary_step, binary_step, dot_step, shape_step,
          dtype_step, control_step)


def program(seed, steps=STEPS):
    """The random program of a seed; compositions of up to three transformations come round in turn, some have four."""
    rng = np.random.default_rng(seed)
    transforms = COMPOSITIONS[seed % len(COMPOSITIONS)]
    if seed % 10 == 9:
        transforms = tuple(TRANSFORMS[int(i)] for i in rng.integers(len(TRANSFORMS), size=4))
    return build(rng, seed, steps, transforms)


def build(rng, seed, steps, transforms):
    """A program of so many steps, drawn from `rng`."""
    abstract = len(transforms) > 2 or {"jit", "vmap"} & set(transforms)
    makers = MAKERS if abstract else (*MAKERS, branch_step)
    makers = makers if {"grad", "linear"} & set(transforms) else (*makers, while_step)
    inputs = {"vector": rng.normal(size=3), "pair": (rng.normal(size=(2, 3)), rng.normal(size=()))}
    shapes, made = [(3,), (2, 3), ()], []
    while len(made) < steps:
        step = makers[int(rng.integers(len(makers)))](rng, shapes)
        if step is not None:
            made.append(step)
            shapes.append(step.shape)
    return Program(seed, inputs, tuple(made), transforms)


class Drawn:
    """The part of NumPy's generator that `build` uses, drawn by hypothesis: the first choices are the simplest."""

    def __init__(self, draw):
        self.draw = draw

    def integers(self, count):
        return self.draw(st.integers(0, count - 1))

    def random(self):
        return self.draw(st.integers(0, 9)) / 10

    def choice(self, items, p):
        return items[-1 - self.integers(len(items))]

    def normal(self, size):
        return np.random.default_rng(self.draw(st.integers(0, 3))).normal(size=size)


@st.composite
def programs(draw):
    """A strategy of programs; what fails shrinks to few steps and transformations."""
    transforms = tuple(draw(st.lists(st.sampled_from(TRANSFORMS), max_size=4)))
    return build(Drawn(draw), draw(st.integers(0, 3)), draw(st.integers(1, STEPS)), transforms)


# ---- the comparison

def disagreement(ours, theirs):
    """The largest difference between two lists of arrays, relative to their size; inf if their types differ."""
    worst = 0.0
    for a, b in zip(ours, theirs, strict=True):
        a, b = np.asarray(a), np.asarray(b)
        if a.shape != b.shape or a.dtype != b.dtype or not (np.isfinite(a) == np.isfinite(b)).all():
            return np.inf
        scale = 1.0 + np.max(np.abs(b), initial=0.0)
        worst = max(worst, float(np.max(np.abs(a - b), initial=0.0) / scale))
    return worst
