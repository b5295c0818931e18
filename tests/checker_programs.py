"""Samples for the rule checker of ops that no case of tests/cases can have: they hold programs or functions, see the
whole batch, call back to Python, take keys, or draw."""

import dataclasses

import jax
import numpy as np

import minijax
import minijax.numpy as jnp
from minijax import config, lax
from minijax.custom_batching import custom_vmap
from minijax.lowering.table import apply_rule
from minijax.ops import parallel
from minijax.ops.meshes import DeviceMesh, Placement
from minijax.ops.placement import device_put_p, sharding_constraint_p
from minijax.ops.generators import rng_uniform_p
from minijax.ops.random import random_unwrap_p, random_wrap_p
from minijax.sharding import P
from minijax.testing import Sample, harvest
from minijax.testing.samples import over_axis
from tests.cases import array

X = array((3,), "float64")
M = array((2, 3), "float64", seed=1)


# ---- ops that hold programs, and functions with rules: harvested

@minijax.custom_jvp
def cubed(x):
    return x ** 3


cubed.defjvp(lambda primals, tangents: (primals[0] ** 3, 3 * primals[0] ** 2 * tangents[0]))


@minijax.custom_jvp
def weighted(x, y):
    return 3.0 * x, jnp.sin(x) * y


weighted.defjvp(lambda primals, tangents: (
    weighted(*primals), (3.0 * tangents[0], jnp.cos(primals[0]) * tangents[0] * primals[1]
                         + jnp.sin(primals[0]) * tangents[1])))


@minijax.custom_jvp
def halved(x):
    return 0.5 * x[::-1]


halved.defjvp(lambda primals, tangents: (halved(*primals), 0.5 * tangents[0][::-1]))


@minijax.custom_vjp
def sine(x):
    return jnp.sin(x)


sine.defvjp(lambda x: (jnp.sin(x), x), lambda x, ct: (jnp.cos(x) * ct,))


@minijax.custom_vjp
def product(x, y):
    return x * y, jnp.sum(x)


product.defvjp(lambda x, y: (product(x, y), (x, y)), lambda xy, cts: (cts[0] * xy[1] + cts[1], cts[0] * xy[0]))


@minijax.custom_vjp
def doubled(x):
    return 2.0 * x[::-1]


doubled.defvjp(lambda x: (doubled(x), None), lambda _, ct: (2.0 * ct[::-1],))


def with_rules(function, *, vmap=None, **rules):
    """A `custom` function with some of its rules."""
    custom = minijax.custom(function)
    for kind, rule in rules.items():
        getattr(custom, f"def{kind}")(*rule)
    if vmap:
        custom.defvmap(vmap)
    return custom


def each(function):
    """The vmap rule of a function of one array, elementwise."""
    return lambda size, batched, x: (function(x), batched[0])


forward = with_rules(lambda x: jnp.tanh(x) * 2.0, jvp=(lambda xs, ts: (
    2.0 * jnp.tanh(xs[0]), 2.0 * (1.0 - jnp.tanh(xs[0]) ** 2) * ts[0]),), vmap=each(lambda x: 2.0 * jnp.tanh(x)))
backward = with_rules(lambda x, y: jnp.exp(x) * y, vjp=(
    lambda x, y: (jnp.exp(x) * y, (jnp.exp(x), y)), lambda saved, ct: (ct * saved[0] * saved[1], ct * saved[0])))
scaled = minijax.custom_transpose(lambda factor, x: jnp.sin(factor) * x)
scaled.deftranspose(lambda factor, ct: jnp.sin(factor) * ct)
flipped = with_rules(lambda x: 3.0 * x[::-1], transpose=(lambda ct: 3.0 * ct[::-1],))

mapped = custom_vmap(lambda x, y: (jnp.sin(x) * y, 2.0 * x))
mapped.def_vmap(lambda size, batched, x, y: ((jnp.sin(x) * y, 2.0 * x), (any(batched), batched[0])))
turned = custom_vmap(lambda x: 2.0 * x[::-1])
turned.def_vmap(lambda size, batched, x: (2.0 * x[..., ::-1], batched[0]))


def positive(x):
    return x[0] > 0


ROW = DeviceMesh((("d", 3),))


def on_row(function, in_specs, out_specs, **options):
    """A function of blocks on three devices."""
    return minijax.shard_map(function, mesh=ROW, in_specs=in_specs, out_specs=out_specs, **options)


PROGRAMS = (
    (on_row(lambda x: lax.psum(jnp.sin(x), "d") * x, P("d"), P("d")), X),
    (on_row(lambda w, x: lax.psum(jnp.sum(w * x), "d"), (P(), P("d")), P()), X[:2], X),
    (on_row(lambda w, x: lax.psum(w * x, "d"), (P(), P("d")), P(), check_vma=False), X[:1], X),
    (on_row(lambda x: (2.0 * lax.ppermute(x, "d", [(0, 1), (1, 2)]), lax.psum(x, "d")), P("d"), (P("d"), P())), X),
    (on_row(lambda x: (2.0 * x, lax.psum(x, "d")), P("d"), (P("d"), P()), check_vma=False), X),
    (lambda x: minijax.jit(lambda y: jnp.sin(y) * x)(2.0 * x), X),
    (lambda x: minijax.jit(lambda y, z: (3.0 * y[::-1], y * z))(x, 2.0 * x), X),
    (lambda x: minijax.jit(lambda y: (2.0 * y[::-1], jnp.sum(y)))(x), X),
    (lambda x: lax.cond(positive(x), jnp.sin, lambda y: y * x[1], x), X),
    (lambda x: lax.cond(x[0] < 0, jnp.sin, lambda y: y * x[1], x), X),
    (lambda x: lax.cond(positive(M[0]), lambda y: 2.0 * y[::-1], lambda y: -y, x), X),
    (lambda i, x: lax.switch(i, [jnp.sin, lambda y: y * y, lambda y: y[::-1]], x), np.int32(1), X),
    (lambda i, x: lax.switch(i, [lambda y: (y, 3.0 * y), lambda y: (y[::-1], y)], x), np.int32(1), X),
    (lambda x: lax.scan(lambda c, a: (c * jnp.cos(a), c + a), x[0], x), X),
    (lambda x: lax.scan(lambda c, a: (c * a, (c, jnp.sin(a))), x, np.array([0.7, 1.0, 0.5]), reverse=True), X),
    (lambda x: lax.scan(lambda c, a: (2.0 * c + a, c - a), x[0], x), X),
    (lambda x: lax.while_loop(lambda s: s[0] < 3, lambda s: (s[0] + 1, jnp.sin(s[1]) * 2.0), (0, x)), X),
    (lambda x: lax.while_loop(lambda s: (s[0] < 4) & (jnp.sum(s[1]) < 9.0), lambda s: (s[0] + 1, s[1] * x + 2.0),
                              (0, jnp.abs(x))), X),
    (lambda x: lax.fori_loop(0, 3, lambda i, s: 0.5 * s[::-1] + s, x), X),
    (lambda x: minijax.checkpoint(lambda y: jnp.sin(jnp.sin(y)))(x), X),
    (lambda x: minijax.checkpoint(lambda y, z: (y * z, 2.0 * y))(x, x[::-1]), X),
    (lambda x: minijax.checkpoint(lambda y: 2.0 * y[::-1])(x), X),
    (lambda x: lax.custom_linear_solve(lambda v: 3.0 * v, x, lambda f, b: b / 3.0, symmetric=True), X),
    (lambda x: lax.custom_linear_solve(lambda v: x * v, 2.0 * x, lambda f, b: b / x, symmetric=True), X),
    (lambda x: lax.reduce((x, jnp.sin(x)), (1.0, 0.0), lambda a, b: (a[0] * b[0], a[1] + b[1]), (0,)), X),
    (lambda x: lax.reduce(x, 1.0, lambda a, b: a * b + a + b, (1,)), M),
    (lambda x: lax.reduce_window(x, 1.0, lambda a, b: a * b, (2,), (1,), "valid"), X),
    (lambda x: lax.reduce_window(x, 0.0, lambda a, b: a + b + a * b, (2, 2), (1, 2), "same"), M),
    (cubed, X), (weighted, X, X[::-1]), (halved, X),
    (sine, X), (product, X, X[::-1]), (doubled, X),
    (forward, X), (backward, X, X[::-1]), (mapped, X, X[::-1]), (turned, X), (scaled, X, X[::-1]), (flipped, X),
    (lambda x: minijax.linearize(backward, x, x)[1](x, 2.0 * x), X),
    (lambda x: minijax.linearize(lambda y: backward(x, y), x)[1](x), X),
)


def held_samples():
    """Samples of the ops that hold programs or functions, by op."""
    found = {}
    with config.override("jax_enable_x64", True), config.override("evaluator", "numpy"):
        for function, *args in PROGRAMS:
            for op, sample in harvest(function, *args):
                if sample.holds_programs:
                    found.setdefault(op, []).append(sample)
    return found


# ---- collectives: functions of a whole batch of four

BATCH = array((4, 4, 2), seed=5)
TO_ONE = {"axis_name": ("i",), "axis_index_groups": None}
AMONG = {**TO_ONE, "axis_size": 4}
RING = ((0, 1), (1, 2), (2, 3), (3, 0))


def of_batch(op, meaning, params, args=(BATCH,)):
    """A sample of a collective over the axis 'i'; `meaning` is a NumPy function of the whole batch.

    Its lowering runs under JAX's own vmap, which takes whole permutations only.
    """
    lowered = jax.vmap(lambda *xs: apply_rule(op, xs, params), axis_name="i", axis_size=4)
    return Sample(args, params, around=over_axis("i", 4), meaning=lambda *xs: (meaning(*xs),),
                  lowered=None if len(params.get("perm", RING)) < 4 else lowered)


def to_all(reduced):
    """What every example has of a reduced batch."""
    return np.broadcast_to(reduced, (4, *np.shape(reduced)))


def permuted(x, pairs):
    """The batch, each example of `pairs` moved from source to destination; zeros elsewhere."""
    out = np.zeros_like(x)
    for source, target in pairs:
        out[target] = x[source]
    return out


def on_each_device(function):
    """Makes of a function of a value that all devices share the one of all their results, joined."""
    return lambda *xs: [on_row(lambda *shared: function(*shared)[0], P(), P("d"))(*xs)]


def collective_samples():
    """Samples of the collectives, by op."""
    return {
        parallel.pvary_p: [Sample((M,), {"axis_name": ("d",)}, around=on_each_device, loops=False,
                                  meaning=lambda x: (np.concatenate([x] * 3),))],
        parallel.psum_p: [of_batch(parallel.psum_p, lambda x: to_all(x.sum(0)), TO_ONE),
                          of_batch(parallel.psum_p, lambda x: to_all(x.sum(0)), TO_ONE, (np.arange(8).reshape(4, 2),))],
        parallel.pmax_p: [of_batch(parallel.pmax_p, lambda x: to_all(x.max(0)), TO_ONE)],
        parallel.pmin_p: [of_batch(parallel.pmin_p, lambda x: to_all(x.min(0)), TO_ONE)],
        parallel.all_gather_p: [
            of_batch(parallel.all_gather_p, lambda x, axis=axis: to_all(np.moveaxis(x, 0, axis)),
                     {**AMONG, "axis": axis}) for axis in (0, 1, 2)],
        parallel.psum_scatter_p: [
            of_batch(parallel.psum_scatter_p, lambda x: x.sum(0), {**AMONG, "axis": 0}),
            of_batch(parallel.psum_scatter_p, lambda x: np.moveaxis(x.sum(0), 1, 0), {**AMONG, "axis": 1},
                     (BATCH.swapaxes(1, 2),))],
        parallel.all_to_all_p: [
            of_batch(parallel.all_to_all_p, lambda x: x.swapaxes(0, 1), {**AMONG, "split_axis": 0, "concat_axis": 0}),
            of_batch(parallel.all_to_all_p, lambda x: x.transpose(1, 2, 0),
                     {**AMONG, "split_axis": 0, "concat_axis": 1})],
        parallel.ppermute_p: [
            of_batch(parallel.ppermute_p, lambda x, pairs=pairs: permuted(x, pairs),
                     {"axis_name": ("i",), "perm": pairs, "axis_size": 4}) for pairs in (RING, ((3, 0), (1, 2)))],
        parallel.axis_index_p: [
            of_batch(parallel.axis_index_p, lambda: np.arange(4, dtype=np.int32), {"axis_name": ("i",)}, ())],
    }


# ---- callbacks

def called(make, *args, **changes):
    """The sample of a callback in a program; `make` is given a function that notes what it is called with."""
    calls = []

    def noting(function):
        def note(*xs):
            calls.append([np.array(x) for x in xs])
            return function(*xs)

        return note

    with config.override("jax_enable_x64", True), config.override("evaluator", "numpy"):
        (op, sample), = [pair for pair in harvest(make(noting), *args) if "host" in pair[0].traits]
    return op, dataclasses.replace(sample, calls=calls, **changes)


def callback_samples():
    """Samples of calls back to Python, by op."""
    found = {}
    shape, pure, io = jax.ShapeDtypeStruct((3,), np.float64), minijax.pure_callback, minijax.io_callback

    def both(x, y):
        return x * y, np.sum(x, -1)

    for op, sample in (
            called(lambda note: lambda x: minijax.debug.callback(note(lambda x: None), x), X),
            called(lambda note: lambda x: minijax.debug.callback(note(lambda x, y: None), x, 2, ordered=True), X),
            called(lambda note: lambda x: pure(note(np.sin), shape, x, vmap_method="sequential"), X, wrt=()),
            called(lambda note: lambda x: pure(note(np.sin), shape, x, vmap_method="expand_dims"), X, wrt=()),
            called(lambda note: lambda x: pure(
                note(both), (shape, jax.ShapeDtypeStruct((), np.float64)), x, 3.0 - x, vmap_method="broadcast_all"),
                X, wrt=()),
            called(lambda note: lambda x: io(note(np.cos), shape, x), X, wrt=()),
            called(lambda note: lambda x: io(note(both), (shape, jax.ShapeDtypeStruct((), np.float64)), x, -x), X,
                   wrt=()),
            called(lambda note: lambda x: io(note(np.cos), shape, x, ordered=True), X, wrt=(), loops=False)):
        found.setdefault(op, []).append(sample)
    return found


# ---- keys and draws

WORDS = np.arange(12, dtype=np.uint32).reshape(2, 3, 2)


def key_samples():
    """Samples of ops that make and read keys, and of the one that draws from hidden state, by op."""
    keys = random_wrap_p.eval(WORDS, impl="fry")[0]
    within = Sample((np.float32(-1.0), np.float32(2.0)), {"shape": (4, 2)}, wrt=(), loops=False, around=lambda draw: (
        lambda a, b: [(x >= a) & (x < b) for x in draw(a, b)]), meaning=lambda a, b: [np.full((4, 2), True)])
    level = Sample((np.float32(1.5), np.float32(1.5)), {"shape": (3,)}, wrt=(), loops=False)
    return {
        random_wrap_p: [Sample((words,), {"impl": "fry"}) for words in (WORDS, WORDS[0, 0])],
        random_unwrap_p: [Sample((some,)) for some in (keys, np.asarray(keys[0, 0]))],
        rng_uniform_p: [within, level],
    }


# ---- where values lie

def placement_samples():
    """Samples of ops that put values elsewhere, by op."""
    first, cut = Placement(DeviceMesh((), (0,), "cpu"), ((), ())), Placement(DeviceMesh((("d", 2),)), (("d",), ()))
    return {device_put_p: [Sample((M,), {"placement": first, "source": None}),
                           Sample((M,), {"placement": first, "source": first})],
            sharding_constraint_p: [Sample((M,), {"placement": cut})]}
