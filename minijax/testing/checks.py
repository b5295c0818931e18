"""What must hold for an op at one sample: each check takes (op, sample) and raises `Mismatch`.

All run with the NumPy evaluator; `check_backend` alone compiles.  Derivatives are checked in double precision where
the op takes it, so that a difference is a mistake and not rounding.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from minijax import config
from minijax.errors import MissingRuleError, NonlinearError
from minijax.interpreters.batch import batch_flat, place_axis
from minijax.interpreters.dual import instantiate, jvp_flat, linearize_flat
from minijax.interpreters.evaluate import run_numpy, run_program, to_numpy
from minijax.interpreters.stage import stage
from minijax.interpreters.transpose import transpose_tape
from minijax.ir import dtypes
from minijax.ir.jaxpr import Jaxpr
from minijax.ir.op import Linear, Op
from minijax.ir.passes import dce
from minijax.ir.types import ArrayType, zero
from minijax.lowering.emit import compiled
from minijax.lowering.values import bare
from minijax.ops.structural import zeros_of
from minijax.testing.compare import Mismatch, agree, close_numbers, numbers, pairing, rounding
from minijax.testing.samples import Sample, function_of, random_array, result_types, wide
from minijax.tracing.array import Array, typeof

STEP = {"float64": 1e-6, "complex128": 1e-6, "float32": 5e-3, "complex64": 5e-3, "float16": 3e-2, "bfloat16": 0.1}
SLOPE_TOLERANCE = {1e-6: 1e-5, 5e-3: 5e-3, 3e-2: 5e-2, 0.1: 0.15}


def tangent_like(x: Any, seed: int) -> Any:
    """A random tangent of the type of `x`; `zero` if it has none."""
    type = typeof(x)
    if not type.differentiable:
        return zero
    tangent = random_array(type.update(weak_type=False), seed)
    return complex(tangent) if isinstance(x, complex) else float(tangent) if isinstance(x, float) else tangent


def tangents_of(values: Sequence[Any], seed: int = 0) -> list[Any]:
    """A random tangent for each value."""
    return [tangent_like(x, seed + i) for i, x in enumerate(values)]


def choices(sample: Sample) -> list[tuple[int, ...]]:
    """Sets of arguments to differentiate at once: all that can be, and each one alone."""
    floats = [i for i, t in enumerate(sample.types) if t.differentiable and (sample.wrt is None or i in sample.wrt)]
    return [tuple(floats), *[(i,) for i in floats if len(floats) > 1]] if floats else []


def chosen_only(tangents: Sequence[Any], chosen: Sequence[int]) -> list[Any]:
    """The tangents of the chosen arguments; `zero` for the others."""
    return [t if i in chosen else zero for i, t in enumerate(tangents)]


# ---- type, value, program ----

def check_type(op: Op, sample: Sample) -> None:
    """The NumPy meaning gives as many results, of the shapes, that the type rule says; the cost is a number."""
    operands, results = types_met(op, sample)
    types = op.type(*operands, **sample.params)
    if sample.around is None:
        results = [t.update(shape=np.shape(x)) for t, x in zip(types, meant(op, sample), strict=True)]
    if [t.shape for t in results] != [t.shape for t in types]:
        raise Mismatch("type", "shapes of the NumPy results, against the type rule", None,
                       [t.shape for t in results], [t.shape for t in types])
    if op.has("cost") and not op.cost(*operands, **sample.params) >= 0:
        raise Mismatch("cost", "operations", None, op.cost(*operands, **sample.params), ">= 0")


def types_met(op: Op, sample: Sample) -> tuple[Sequence[ArrayType], Sequence[ArrayType]]:
    """Types of the operands and results of the op where it is bound."""
    if sample.around is None:
        return sample.types, op.infer(sample.types, sample.params)
    found: list[Any] = []

    def bound(*xs: Any) -> Sequence[Any]:
        outs = op.bind(*xs, **sample.params)
        found.append(([typeof(x) for x in xs], [typeof(x) for x in outs]))
        return outs

    sample.around(bound)(*sample.args)
    return found[0]


def meant(op: Op, sample: Sample) -> Sequence[Any]:
    """The NumPy meaning of what is checked."""
    arrays = [to_numpy(x, t.dtype) for x, t in zip(sample.args, sample.types, strict=True)]
    if sample.meaning is not None:
        return sample.meaning(*arrays)
    return op.eval(*arrays, **sample.params) if sample.around is None else function_of(op, sample)(*arrays)


def check_staged(op: Op, sample: Sample) -> None:
    """A program of the op gives the values of the eager op, also when only one of its results is wanted."""
    eager = function_of(op, sample)(*sample.args)
    program = stage(function_of(op, sample), sample.types)
    arrays = [to_numpy(x, t.dtype) for x, t in zip(sample.args, sample.types, strict=True)]
    for number, (mine, other) in enumerate(zip(run_numpy(program, arrays), eager, strict=True)):
        agree("eval", f"result {number} in a program, against eager", mine, other, sample.rtol)
        if len(eager) > 1:
            part = dce(program, [i == number for i in range(len(eager))])
            agree("dce", f"result {number} alone", run_numpy(part, arrays)[0], other, sample.rtol)


def check_backend(op: Op, sample: Sample) -> None:
    """The compiled lowering gives the values of the NumPy meaning."""
    outs = function_of(op, sample)(*sample.args)
    for number, (mine, other) in enumerate(zip(outs, compiled_outs(op, sample), strict=True)):
        agree("eval or lowering", f"result {number} by NumPy, against the backend", mine, other, sample.rtol)


def check_meaning(op: Op, sample: Sample) -> None:
    """What is made of the op gives the values of its own NumPy meaning."""
    for number, (mine, other) in enumerate(zip(function_of(op, sample)(*sample.args), meant(op, sample), strict=True)):
        if sample.meaning is not None:
            agree("batch", f"result {number} of the whole, against its meaning", mine, np.asarray(other), sample.rtol)


def compiled_outs(op: Op, sample: Sample) -> Sequence[Any]:
    """The backend's results; kept by the sample, for the NumPy meaning to be compared again."""
    key = op, config.jax_enable_x64
    kept = _compiled.setdefault(sample, {})
    if key not in kept:
        run, args = sample.lowered or run_compiled(stage(function_of(op, sample), sample.types)), map(bare, sample.args)
        with config.override("evaluator", "xla"):  # rules in Python run while the backend traces
            kept[key] = [Array.backend.to_numpy(x) for x in run(*args)]
    return kept[key]


QUICKLY = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}


def run_compiled(program: Jaxpr) -> Callable[..., Any]:
    """The program as a function of the backend's values, which compiles it with as little work as it can."""
    function = compiled(program, program.debug_name)
    return lambda *xs: function.lower(*xs).compile(compiler_options=QUICKLY)(*xs)  # type: ignore[attr-defined]


_compiled: weakref.WeakKeyDictionary[Sample, dict[Any, Sequence[Any]]] = weakref.WeakKeyDictionary()


# ---- derivatives ----

def check_differences(op: Op, sample: Sample) -> None:
    """Where the op is smooth, central differences of its NumPy meaning agree with the jvp rule."""
    if not sample.smooth or not choices(sample):
        return
    sample = wide(op, sample)
    names = {t.dtype.name for t in (*sample.types, *result_types(op, sample)) if t.differentiable}
    if not names <= set(STEP):
        return
    step = max(STEP[name] for name in names)
    for chosen in choices(sample):
        tangents = [t if t is zero or sample.along is None else sample.along(t)
                    for t in chosen_only(tangents_of(sample.args), chosen)]
        high, low = [moved(op, sample, tangents, sign * step) for sign in (1, -1)]
        if "reverse only" in op.traits:
            check_pulled(op, sample, chosen, tangents, [(numbers(up) - numbers(down)) / (2 * step)
                                                        for up, down in zip(high, low, strict=True)])
            continue
        outs, found = jvp_flat(function_of(op, sample), sample.args, tangents)
        for number, (out, t, up, down) in enumerate(zip(outs, found, high, low, strict=True)):
            if typeof(out).differentiable:
                slope = (numbers(up) - numbers(down)) / (2 * step)
                known = np.abs(slope) * step < 0.05  # steeper is a jump or a pole
                close_numbers("jvp", f"tangent of result {number} for operands {chosen}, against differences",
                              np.where(known, numbers(instantiate(t, out)), 0), np.where(known, slope, 0),
                              SLOPE_TOLERANCE[step])
            elif t is not zero:
                raise Mismatch("jvp", f"tangent of result {number}, which has none", None, t, zero)


def check_pulled(op: Op, sample: Sample, chosen: Sequence[int], tangents: Sequence[Any], slopes: Sequence[Any]) -> None:
    """<u, J v> by differences is <transposed J u, v>; the results are the function's."""
    f, cts = function_of(op, sample), tangents_of(slopes, 70)
    outs, tape = linearize_flat(f, sample.args, [i in chosen for i in range(len(sample.args))])
    agree_all("linearize", f"while linearizing for operands {chosen}", outs, f(*sample.args), sample.rtol)
    pulled = transpose_tape(tape, cts)
    (left, size), (right, other) = pairing(cts, slopes), pairing(pulled, [tangents[i] for i in chosen])
    if not abs(left - right) <= SLOPE_TOLERANCE[1e-6] * max(size, other, 1.0):
        raise Mismatch("linearize", f"<transposed J u, v> for operands {chosen}, by differences", None, right, left)


def moved(op: Op, sample: Sample, tangents: Sequence[Any], step: float) -> Sequence[Any]:
    """Results a step along the tangents."""
    args = [x if t is zero else np.asarray(x) + np.asarray(step * np.asarray(t), typeof(x).dtype)
            for x, t in zip(sample.args, tangents, strict=True)]
    return function_of(op, sample)(*args)


def check_kinks(op: Op, sample: Sample) -> None:
    """At a kink of a continuous op of real numbers, the derivative lies between those of its two sides."""
    sample = wide(op, sample)
    names = {t.dtype.name for t in (*sample.types, *result_types(op, sample)) if t.differentiable}
    if sample.smooth or names != {"float64"} or not choices(sample):
        return
    if not all(np.all(np.isfinite(numbers(x))) for x, t in zip(sample.args, sample.types, strict=True)
               if t.differentiable):
        return
    tangents, step = chosen_only(tangents_of(sample.args), choices(sample)[0]), 1e-6
    outs, found = jvp_flat(function_of(op, sample), sample.args, tangents)
    sides = [(h, moved(op, sample, tangents, h)) for h in (step, -step, step / 2, -step / 2)]
    for number, (out, t) in enumerate(zip(outs, found, strict=True)):
        if typeof(out).differentiable:
            slopes = [(numbers(values[number]) - numbers(out)) / h for h, values in sides]
            between_sides(f"tangent of result {number} at a kink, against the slopes of both sides",
                          numbers(instantiate(t, out)), *slopes)


def between_sides(what: str, got: np.ndarray, right: np.ndarray, left: np.ndarray, near_right: np.ndarray,
                  near_left: np.ndarray) -> None:
    """Raise `Mismatch` unless slopes lie between those of the two sides, wherever both sides have one."""
    close = 1e-3 * (1 + np.abs(left) + np.abs(right))
    has_sides = (np.abs(right - near_right) < close) & (np.abs(left - near_left) < close)
    between = np.clip(got, np.minimum(left, right) - close, np.maximum(left, right) + close)
    expected = np.where(np.isnan(got), left, between)
    close_numbers("jvp", what, np.where(has_sides, got, 0), np.where(has_sides, expected, 0), 1e-9)


def pulled_back(f: Callable[..., Any], args: Sequence[Any], chosen: Sequence[int], cts: Sequence[Any]) -> list[Any]:
    """Cotangents of the chosen arguments, by linearize and transpose."""
    _, tape = linearize_flat(f, args, [i in chosen for i in range(len(args))])
    return transpose_tape(tape, cts)


def check_reverse(op: Op, sample: Sample) -> None:
    """Linearize gives the jvp rule's tangents; and <u, J v> = <transposed J u, v>."""
    sample = wide(op, sample)
    f = function_of(op, sample)
    for chosen in choices(sample) if "reverse only" not in op.traits else ():
        tangents = chosen_only(tangents_of(sample.args), chosen)
        outs, pushed = jvp_flat(f, sample.args, tangents)
        agree_all("jvp", f"while differentiating for operands {chosen}", outs, f(*sample.args), sample.rtol)
        primals, tape = linearize_flat(f, sample.args, [i in chosen for i in range(len(sample.args))])
        cts = [zero if ct is zero or t is zero else ct for ct, t in zip(tangents_of(outs, 70), tape.outs, strict=True)]
        linear = iter(run_program(tape.to_jaxpr(), *[tangents[i] for i in chosen]))
        for number, (out, primal, t, own) in enumerate(zip(outs, primals, tape.outs, pushed, strict=True)):
            agree("linearize", f"result {number} while linearizing, for operands {chosen}", primal, out, sample.rtol)
            if (t is zero) != (own is zero) and np.any(numbers(instantiate(own, out))):
                raise Mismatch("linearize", f"tangent of result {number} for operands {chosen}", None, t, own)
            if t is not zero:
                agree("linearize", f"tangent of result {number} for operands {chosen}, against jvp", next(linear),
                      instantiate(own, out), sample.rtol)
        pulled = transpose_tape(tape, cts)
        check_pairing(f"operands {chosen}", cts, pushed, pulled, [tangents[i] for i in chosen],
                      lambda vs: jvp_flat(f, sample.args, spread(vs, chosen, sample.args))[1])


def agree_all(rule: str, when: str, outs: Sequence[Any], expected: Sequence[Any], rtol: float | None) -> None:
    """Raise `Mismatch` unless all results agree."""
    for number, (mine, other) in enumerate(zip(outs, expected, strict=True)):
        agree(rule, f"result {number} {when}", mine, other, rtol)


def spread(vs: Sequence[Any], chosen: Sequence[int], args: Sequence[Any]) -> list[Any]:
    """Tangents of all arguments, from those of the chosen."""
    given = dict(zip(chosen, vs, strict=True))
    return [given.get(i, zero) for i in range(len(args))]


def check_pairing(what: str, us: Sequence[Any], pushed: Sequence[Any], pulled: Sequence[Any], vs: Sequence[Any],
                  push: Callable[[Sequence[Any]], Sequence[Any]]) -> None:
    """Raise `Mismatch`, naming the first element of the first cotangent that is wrong, unless the pairings agree."""
    for number, (ct, v) in enumerate(zip(pulled, vs, strict=True)):
        if ct is not zero and (typeof(ct).shape, typeof(ct).dtype) != (typeof(v).shape, typeof(v).dtype):
            raise Mismatch("transpose", f"type of cotangent {number} for {what}", None, typeof(ct), typeof(v))
    left, size = pairing(us, pushed)
    right, other_size = pairing(pulled, vs)
    scale = max(size, other_size, 1.0)
    tolerance = max([10 * rounding(x) for x in (*pushed, *vs) if x is not zero], default=0.0)
    if not np.isfinite(scale) or abs(left - right) <= tolerance * scale:
        return
    for number, v in enumerate(vs):
        for index in np.ndindex(np.shape(v)):
            unit = np.zeros(np.shape(v), typeof(v).dtype)
            unit[index] = 1
            expected = pairing(us, push([unit if i == number else np.zeros_like(x) for i, x in enumerate(vs)]))[0]
            got = 0.0 if pulled[number] is zero else float(numbers(pulled[number])[index].real)
            if abs(got - expected) > 10 * tolerance * scale:
                raise Mismatch("transpose", f"cotangent {number} for {what}", index, got, expected)
    raise Mismatch("transpose", f"<u, J v> and <transposed J u, v> for {what}", None, right, left)


def check_transpose(op: Op, sample: Sample) -> None:
    """Where the op is linear in some of its operands, its transpose rule is the transposed map."""
    if not op.has("transpose") or sample.around is not None:
        return
    sample = wide(op, sample)
    for chosen in choices(sample):
        vs = [tangent_like(sample.args[i], 3 + i) for i in chosen]
        push = linear_map(op, sample, chosen)
        outs = push(vs)
        if not all(typeof(x).differentiable for x in outs) or not is_linear(push, vs, outs):
            continue
        cts = tangents_of(outs, 70)
        args = [Linear(typeof(x)) if i in chosen else x for i, x in enumerate(sample.args)]
        try:
            found = op.transpose(cts, *args, **sample.params)
        except (NonlinearError, MissingRuleError):
            continue
        pulled = [zero if found[i] is None else found[i] for i in chosen]
        check_pairing(f"linear operands {chosen}", cts, outs, pulled, vs, push)


def linear_map(op: Op, sample: Sample, chosen: Sequence[int]) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """The op as a function of the chosen operands, the others as they are."""
    def push(vs: Sequence[Any]) -> Sequence[Any]:
        given = dict(zip(chosen, vs, strict=True))
        return function_of(op, sample)(*[given.get(i, x) for i, x in enumerate(sample.args)])

    return push


def is_linear(push: Callable[[Sequence[Any]], Sequence[Any]], vs: Sequence[Any], outs: Sequence[Any]) -> bool:
    """Whether f(-2 v + w) = -2 f(v) + f(w) for random v and w."""
    ws = tangents_of(vs, 40)
    both = push([np.asarray(-2 * np.asarray(v) + np.asarray(w), typeof(v).dtype) for v, w in zip(vs, ws, strict=True)])
    return all(np.allclose(numbers(x), -2 * numbers(y) + numbers(z), rtol=1e-4, atol=1e-4)
               for x, y, z in zip(both, outs, push(ws), strict=True))


# ---- batching ----

def example(x: Any, number: int) -> np.ndarray:
    """One of several examples of the type of `x`."""
    array = np.asarray(x, typeof(x).dtype) if not dtypes.is_key(typeof(x).dtype) else np.asarray(x)
    if array.dtype.names is None and dtypes.is_inexact(array.dtype):
        return array * array.dtype.type(1 - number / 16)
    if array.dtype == bool and not array.shape:
        return np.asarray(number % 2 == 0)
    return np.roll(array, number)


def patterns(sample: Sample, limit: int = 27) -> Iterator[tuple[int | None, ...]]:
    """Places of the batch axis for each argument: none, first, last; at least one is batched."""
    places = [(None, 0, np.ndim(x)) if np.ndim(x) else (None, 0) for x in sample.args]
    found = [axes for axes in itertools.product(*places) if any(axis is not None for axis in axes)]
    return iter(found if len(found) <= limit else found[:: len(found) // limit + 1] + found[-1:])


def batch_of(x: Any, axis: int | None, size: int) -> Any:
    """Examples of `x` along an axis; `x` itself without one."""
    if axis is None:
        return x
    examples = [example(x, i) for i in range(size)] or [np.asarray(x)]
    return np.take(np.stack(examples, axis), range(size), axis)


def examples_of(sample: Sample, axes: Sequence[int | None], size: int) -> list[list[Any]]:
    """The arguments of each example."""
    return [[x if a is None else example(x, i) for x, a in zip(sample.args, axes, strict=True)] for i in range(size)]


def vmapped(f: Callable[..., Any], axes: Sequence[int | None], size: int) -> Callable[..., list[Any]]:
    """`f` over batches: results have the batch axis in front."""
    def over_batches(*xs: Any) -> list[Any]:
        outs, places = batch_flat(f, size, xs, axes)
        return [place_axis(x, size, axis, 0) for x, axis in zip(outs, places, strict=True)]

    return over_batches


def check_batch(op: Op, sample: Sample) -> None:
    """Batching equals a loop over examples, whichever arguments are batched and along whichever axis."""
    f = function_of(op, sample)
    for axes in patterns(sample) if sample.loops else ():
        outs = vmapped(f, axes, 3)(*[batch_of(x, a, 3) for x, a in zip(sample.args, axes, strict=True)])
        loop = [f(*args) for args in examples_of(sample, axes, 3)]
        for number, mine in enumerate(outs):
            expected = np.stack([np.asarray(each[number]) for each in loop])
            agree("batch", f"result {number} for batch axes {axes}, against a loop", mine, expected, sample.rtol)


def check_empty_batch(op: Op, sample: Sample) -> None:
    """A batch of no examples gives results of no examples."""
    types, axes = result_types(op, sample), tuple([0] * len(sample.args))
    empty = bool(axes) and sample.loops
    outs = vmapped(function_of(op, sample), axes, 0)(*[batch_of(x, 0, 0) for x in sample.args]) if empty else []
    for number, (mine, type) in enumerate(zip(outs, types, strict=empty)):
        if mine.shape != (0, *type.shape):
            raise Mismatch("batch", f"shape of result {number} for a batch of none", None, mine.shape, (0, *type.shape))


def check_batched_derivatives(op: Op, sample: Sample) -> None:
    """vmap of jvp equals jvp of vmap; the reverse derivative of vmap is that of each example."""
    for chosen in choices(sample)[:1]:
        axes, size = (0,) * len(sample.args), 2
        stacked = [batch_of(x, 0, size) for x in sample.args]
        whole = vmapped(function_of(op, sample), axes, size)
        if "reverse only" not in op.traits:
            compare_pushed(op, sample, whole, stacked, chosen, lambda f, count: vmapped(f, (0,) * count, size))
        outs = whole(*stacked)
        cts = tangents_of(outs, 70)
        found = pulled_back(whole, stacked, chosen, cts)
        for number, args in enumerate(examples_of(sample, axes, size)):
            own = pulled_back(function_of(op, sample), args, chosen, [ct if ct is zero else ct[number] for ct in cts])
            agree_pulled(f"example {number}: vjp of vmap, against its own", chosen, args,
                         [ct if ct is zero else ct[number] for ct in found], own, sample.rtol)


def compare_pushed(op: Op, sample: Sample, whole: Callable[..., Any], stacked: Sequence[Any], chosen: Sequence[int],
                   mapped: Callable[[Callable[..., Any], int], Callable[..., Any]],
                   function: Callable[..., Any] | None = None) -> None:
    """The tangents of a function of batches, against the derivative of each example, `mapped` over all operands."""
    f, count = function or function_of(op, sample), len(stacked)
    tangents = chosen_only(tangents_of(stacked), chosen)
    outs, of_batch = jvp_flat(whole, stacked, tangents)
    smooth = [i for i, out in enumerate(outs) if typeof(out).differentiable]

    def pushed(*xs: Any) -> list[Any]:
        values, found = jvp_flat(f, xs[:count], spread(xs[count:], chosen, xs[:count]))
        return [instantiate(found[i], values[i]) for i in smooth]

    each = mapped(pushed, count + len(chosen))(*stacked, *[tangents[i] for i in chosen])
    for number, other in zip(smooth, each, strict=True):
        agree("batch", f"tangent of result {number}: jvp of vmap, against vmap of jvp",
              instantiate(of_batch[number], outs[number]), other, sample.rtol)


def agree_pulled(what: str, chosen: Sequence[int], args: Sequence[Any], found: Sequence[Any], expected: Sequence[Any],
                 rtol: float | None) -> None:
    """Raise `Mismatch` unless the cotangents of the chosen arguments agree."""
    for i, *pair in zip(chosen, found, expected, strict=True):
        type = ArrayType(np.shape(args[i]), typeof(args[i]).dtype)
        mine, other = [zeros_of(type) if x is zero else x for x in pair]
        agree("batch", f"cotangent of operand {i}, {what}", mine, other, rtol)
