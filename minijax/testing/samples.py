"""Where to check an op: samples given by the caller, harvested from programs, or made up from the type rule."""

from __future__ import annotations

import dataclasses
import itertools
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import ml_dtypes
import numpy as np

from minijax.api.trace import make_jaxpr
from minijax import pytree
from minijax.errors import MinijaxError, MinijaxValueError
from minijax.interpreters.batch import batch_flat, place_axis
from minijax.interpreters.evaluate import evaluate_numpy
from minijax.interpreters.stage import stage
from minijax.ir import dtypes
from minijax.ir.jaxpr import Jaxpr, Literal, held_programs
from minijax.ir.op import Op
from minijax.ir.types import ArrayType
from minijax.tracing.array import typeof
from minijax.tracing.source import at_line


Function = Callable[..., Sequence[Any]]  # of flat values


@dataclass(frozen=True, eq=False)
class Sample:
    """Arguments (NumPy arrays or scalars) and parameters at which an op is checked.

    `smooth`: derivatives exist here, so that differences must agree with them.
    `rtol`: relative tolerance of values; by default that of the dtypes.
    `wrt`: the arguments in which the op has derivatives; by default all that are floats.
    `along`: makes an allowed direction of any, where the derivative holds in some only (symmetric matrices).
    `loops`: whether batching equals a loop over examples: not so for an op that draws or that reads the batch.
    `around`: makes of the op's function the one that is checked: of a collective, that of the whole batch, which
        `args` hold along their first axes (see `over_axis`); of one that draws, what is known of what it draws.
    `meaning`: of a function around the op, its NumPy meaning: a function of `args`, without the op.
    `lowered`: a function of `args` that runs the op's lowering; by default the function is compiled.
    `calls`: the list in which a callback among the parameters notes what it is called with.
    """

    args: tuple[Any, ...]
    params: dict[str, Any] = field(default_factory=dict)
    smooth: bool = True
    rtol: float | None = None
    wrt: tuple[int, ...] | None = None
    loops: bool = True
    along: Callable[[np.ndarray], np.ndarray] | None = None
    around: Callable[[Function], Function] | None = None
    meaning: Function | None = None
    lowered: Function | None = None
    calls: list[Any] | None = None

    @property
    def types(self) -> tuple[ArrayType, ...]:
        """Types of the arguments."""
        return tuple([typeof(x) for x in self.args])

    def cast(self, changes: dict[str, Any]) -> Sample:
        """The sample with arguments of the named dtypes converted to others."""
        args = [np.asarray(x).astype(changes[typeof(x).dtype.name])
                if not dtypes.is_key(typeof(x).dtype) and typeof(x).dtype.name in changes else x for x in self.args]
        return dataclasses.replace(self, args=tuple(args))

    @property
    def holds_programs(self) -> bool:
        """Whether programs or functions among the parameters fix the types of the arguments."""
        return any(held_programs(self.params)) or any(map(callable, self.params.values()))

    @property
    def is_double(self) -> bool:
        """Whether an argument is in double precision, which needs `jax_enable_x64`."""
        return any(getattr(x, "dtype", None) in (np.float64, np.complex128, np.int64) for x in self.args)

    def __str__(self) -> str:
        dtypes_and_shapes = [f"{x.dtype}{list(x.shape)}" if hasattr(x, "dtype") else repr(x) for x in self.args]
        params = [f"{name}={value}" for name, value in self.params.items() if not any(held_programs({"": value}))]
        return f"({', '.join([*dtypes_and_shapes, *params])})"


def function_of(op: Op, sample: Sample) -> Function:
    """What is checked: the op, or what the sample makes of it, as a function of flat values."""
    def bound(*xs: Any) -> Sequence[Any]:
        return op.bind(*xs, **sample.params)

    return bound if sample.around is None else sample.around(bound)


def result_types(op: Op, sample: Sample) -> Sequence[ArrayType]:
    """Types of the results of what is checked."""
    if sample.around is None:
        return op.infer(sample.types, sample.params)
    return stage(function_of(op, sample), sample.types).out_types


def over_axis(name: Any, size: int) -> Callable[[Function], Function]:
    """Makes of a function of examples that of batches along first axes, where the axis has a name."""
    def mapped(function: Function) -> Function:
        def whole(*xs: Any) -> list[Any]:
            outs, places = batch_flat(function, size, xs, (0,) * len(xs), name)
            return [place_axis(x, size, axis, 0) for x, axis in zip(outs, places, strict=True)]

        return whole

    return mapped


def accepted(op: Op, sample: Sample) -> bool:
    """Whether the op's type rule takes the sample."""
    try:
        result_types(op, sample)
    except (MinijaxError, TypeError, ValueError, AssertionError, KeyError, AttributeError):
        return False
    return True


def random_array(type: ArrayType, seed: int, low: float = -1.0, high: float = 1.0) -> np.ndarray:
    """Repeatable numbers of a type, between `low` and `high`."""
    random = np.random.default_rng(zlib.crc32(repr((type, seed, low, high)).encode()))
    values = random.uniform(low, high, type.shape)
    if dtypes.is_complex(type.dtype):
        values = values + 1j * random.uniform(low, high, type.shape)
    if type.dtype == np.dtype(bool):
        return np.asarray(values > (low + high) / 2)
    return np.asarray(np.floor(values * 4) if dtypes.is_integer(type.dtype) else values).astype(type.dtype)


# ---- made up from the type rule ----

DTYPES = ("float32", "complex64", "int32", "uint32", "bool")
RANGES = ((-0.9, 0.9), (0.1, 0.9), (1.2, 3.0))


def generated_samples(op: Op) -> list[Sample]:
    """Samples of an op without parameters: matrices of each dtype that it takes, where its values are finite.

    Raises `MinijaxValueError` if nothing fits: then the caller gives samples.
    """
    for count in (1, 2, 3):
        found = [sample for dtype in DTYPES if (sample := _finite(op, count, np.dtype(dtype))) is not None]
        if found:
            return found
    raise MinijaxValueError(f"check_op({op}): its type rule takes no one, two or three matrices of one dtype without "
                            f"parameters{at_line()}. Pass samples=[Sample(args, params), ...].")


def _finite(op: Op, count: int, dtype: Any) -> Sample | None:
    for low, high in RANGES:
        type = ArrayType((2, 3), dtype)
        sample = Sample(tuple(random_array(type, i, low, high) for i in range(count)))
        if not accepted(op, sample):
            return None
        try:
            outs = [np.asarray(x) for x in evaluate_numpy(op, sample.args, {})]
        except TypeError:  # takes another number of operands
            return None
        if all(np.all(np.isfinite(x.astype(np.complex128))) for x in outs if dtypes.is_inexact(x.dtype)):
            return sample
    return None


# ---- variants of a sample ----

def variants(op: Op, sample: Sample) -> Iterator[tuple[str, Sample]]:
    """Like samples of other dtypes; of an elementwise op, of no axes, and with a scalar or one row beside arrays."""
    if any(t.dtype.name == "float32" for t in sample.types) and not sample.holds_programs:
        for name, changed in (("bfloat16", sample.cast({"float32": ml_dtypes.bfloat16})), ("complex", turned(sample))):
            if accepted(op, changed):
                yield name, changed
    if "elementwise" in op.traits and all(np.size(x) for x in sample.args):
        if any(np.ndim(x) for x in sample.args):
            yield "0-d", dataclasses.replace(sample, args=tuple(map(scalar_of, sample.args)))
        if len({np.shape(x) for x in sample.args}) == 1 < len(sample.args) and np.ndim(sample.args[0]):
            for i, part in itertools.product(range(len(sample.args)), (scalar_of, row_of)):
                args = [part(x) if i == j else x for j, x in enumerate(sample.args)]
                if accepted(op, mixed := dataclasses.replace(sample, args=tuple(args))):
                    yield "broadcast", mixed


def scalar_of(x: Any) -> Any:
    """The first element of an array; a scalar as it is."""
    return np.asarray(x).reshape(-1)[0] if np.ndim(x) else x


def row_of(x: Any) -> Any:
    """The first row of an array, as an array whose first axis has size 1."""
    return np.asarray(x)[:1]


def turned(sample: Sample) -> Sample:
    """The sample with real numbers turned into complex ones off the axis."""
    args = [np.asarray(x * np.complex64(1 + 0.25j)).astype(np.complex64) if t.dtype.name == "float32" else x
            for x, t in zip(sample.args, sample.types, strict=True)]
    return dataclasses.replace(sample, args=tuple(args))


def wide(op: Op, sample: Sample) -> Sample:
    """The sample in double precision, if the op takes that; needs `jax_enable_x64`."""
    changed = sample.cast({"bfloat16": np.float64, "float16": np.float64, "float32": np.float64,
                           "complex64": np.complex128})
    return changed if accepted(op, changed) and not sample.holds_programs else sample


# ---- harvested from a program ----

def harvest(function: Callable[..., Any], *args: Any, op: Op | None = None) -> list[tuple[Op, Sample]]:
    """Trace a function at `args`; each equation of its program with the values it meets, as (op, sample).

    With `op`, only equations of that op.  This is how ops that hold programs get their samples:

    >>> from minijax.ops.families import mul_p
    >>> [str(sample) for _, sample in harvest(lambda x: 2.0 * x, np.ones(3, np.float32), op=mul_p)]
    ['(float32[], float32[3])']
    """
    program = make_jaxpr(function)(*args)
    found = [(eqn.op, Sample(tuple(values), eqn.params)) for eqn, values in _met(program, pytree.leaves(args))]
    return [pair for pair in found if op is None or pair[0] is op]


def _met(program: Jaxpr, args: Sequence[Any]) -> Iterator[tuple[Any, list[Any]]]:
    env: dict[Any, Any] = dict(zip(program.constvars, program.consts, strict=True))
    env.update(zip(program.invars, args, strict=True))
    for eqn in program.eqns:
        values = [atom.value if type(atom) is Literal else env[atom] for atom in eqn.inputs]
        yield eqn, [x if np.isscalar(x) or dtypes.is_key(typeof(x).dtype) else np.asarray(x) for x in values]
        env.update(zip(eqn.outvars, evaluate_numpy(eqn.op, tuple(values), eqn.params), strict=True))
