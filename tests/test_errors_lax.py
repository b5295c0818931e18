"""Mistakes in what loops are given, as a newcomer makes them, under every transformation: the message says all."""

import numpy as np
import pytest
from error_checks import TRANSFORMS, X, mistake

import minijax
from minijax import lax, numpy as jnp
from minijax.errors import MinijaxError, MinijaxTypeError, TreeError

HERE = "test_errors_lax.py:"
BOUNDS = {"known bounds": 3, "bounds not known": None}


def shorter(i, x):
    """A body that cuts its carry."""
    return {"x": x["x"][:1]}


def whole(i, x):
    """A body that makes integers of its carry."""
    return {"x": x["x"].astype("int32")}


def wrapped(i, x):
    """A body that puts its carry into a tuple."""
    return {"x": (x["x"], i)}


@pytest.mark.parametrize("bounds", BOUNDS)
@pytest.mark.parametrize("transform", TRANSFORMS)
def test_bodies_of_fori_loop(transform, bounds):
    """They speak of fori_loop, of `init_val` and of the user's body, whatever loop it becomes."""
    def loop(body):
        def f(x):
            stop = minijax.jit(lambda x: x.size + (0 * x.sum()).astype("int32"))(x) if BOUNDS[bounds] is None else 3
            return lax.fori_loop(0, stop, body, {"x": x})
        return TRANSFORMS[transform](f)

    with mistake(MinijaxTypeError, "fori_loop (", "init_val['x'] is f32[3]", "f32[1]", "shorter (", HERE, "Reshape"):
        loop(shorter)(X)
    with mistake(MinijaxTypeError, "fori_loop (", "init_val['x'] is f32[3]", "i32[3]", "whole (", HERE, ".astype"):
        loop(whole)(X)
    with mistake(TreeError, "fori_loop (", "init_val", "wrapped (", "result['x'] is one leaf in the first", HERE):
        loop(wrapped)(X)


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_functions_of_other_arguments(transform):
    """What a loop calls takes as many arguments as the loop gives it: the function and its line are named."""
    def add(a, b):
        return a + b

    for f, words in ((lambda x: lax.map(add, (x, x)), "missing a required argument: 'b'"),
                     (lambda x: lax.map(add, (x, x), batch_size=2), "missing a required argument: 'b'"),
                     (lambda x: lax.fori_loop(0, 3, lambda x: x, x), "too many"),
                     (lambda x: lax.associative_scan(lambda x: x, x), "too many"),
                     (lambda x: lax.while_loop(lambda x: x.sum() < 3.0, add, x), "missing a required argument: 'b'"),
                     (lambda x: lax.cond(True, add, add, x), "missing a required argument: 'b'")):
        with mistake(MinijaxTypeError, "arguments that do not fit", words, HERE):
            TRANSFORMS[transform](f)(X)


def test_what_is_no_function():
    for f, words in ((lambda: lax.cond(True, jnp.sin, X), "cond: false_fun is array"),
                     (lambda: lax.scan(X, 0.0, X), "scan: f is array"), (lambda: lax.map(X, X), "map: f is array"),
                     (lambda: lax.platform_dependent(X, cpu=3), "platform_dependent: cpu is 3"),
                     (lambda: lax.custom_root(jnp.sin, X, 3, 3), "custom_root: solve is 3"),
                     (lambda: lax.custom_linear_solve(X, X, jnp.sin), "custom_linear_solve: matvec is array")):
        with mistake(MinijaxTypeError, words, "not a function", HERE, "not its result"):
            f()
    with mistake(MinijaxTypeError, "function name_of_mine", "'text' of type str"):
        lax.map(name_of_mine, X)


def name_of_mine(x):
    """A function that returns text."""
    return "text"


def test_loops_are_traced_once_for_each_function():
    """Calling a loop again with the same function traces and compiles nothing."""
    calls = []

    def double(*args):
        calls.append(args)
        return args[-1] * 2

    for loop in (lambda: lax.map(double, X), lambda: lax.map(double, X, batch_size=2),
                 lambda: lax.fori_loop(0, 3, double, 1.0)):
        first = loop()
        count = len(calls)
        np.testing.assert_array_equal(first, loop())
        assert len(calls) - count <= (1 if len(first.shape) else 0)  # the last, smaller batch


PARAMETERS = [
    (lambda x: lax.full((-3,), 0.0) + x, "full: shape is (-3,)", "below 0"),
    (lambda x: lax.full((3.0,), 0.0) + x, "full: an element of shape is 3.0", "not an integer"),
    (lambda x: lax.iota("float32", -3) + x, "iota: size is (-3,)", "below 0"),
    (lambda x: lax.broadcast(x, (-2,)), "broadcast: sizes is (-2,)", "below 0"),
    (lambda x: lax.broadcast_in_dim(x, (-1, 3), (1,)), "broadcast_in_dim: shape is (-1, 3)", "below 0"),
    (lambda x: lax.broadcast_in_dim(x, 3, (0,)), "broadcast_in_dim: shape is 3", "(n,)"),
    (lambda x: lax.reshape(x, (-1,)), "reshape: new_sizes is (-1,)", "below 0"),
    (lambda x: lax.tile(x, (2, 2)), "tile: reps is (2, 2) for f32[3]", "one number for each axis"),
    (lambda x: lax.pad(x, 0.0, (1, 1, 0)), "pad: an item (low, high, interior) of padding_config is 1", "tuple"),
    (lambda x: lax.integer_pow(x, 1.5), "integer_pow: the power is 1.5", "not an integer"),
    (lambda x: lax.top_k(x, 2.0), "top_k: k is 2.0", "not an integer"),
    (lambda x: lax.cumsum(x, 0.5), "cumsum: an axis is 0.5", "not an integer"),
    (lambda x: lax.reduce_precision(x, 0, 3), "reduce_precision: there is no format of 0 exponent", "at least"),
    (lambda x: lax.dot_general(x, x, ((0,), (0,))), "dot_general: dimension_numbers is ((0,), (0,))", "(batch axes"),
    (lambda x: lax.gather(x, np.int32([[0]]), ((), (0,), (0,)), (1,)), "gather: dimension_numbers is ((), (0,), (0,))",
     "GatherDimensionNumbers(offset_dims"),
]


@pytest.mark.parametrize("number", range(len(PARAMETERS)))
def test_parameters(number):
    """A parameter that is no whole number, or negative where sizes are meant, is named with its function and line."""
    f, *words = PARAMETERS[number]
    for transform in ("jit", "grad", "vmap"):
        with mistake(MinijaxError, *words, HERE):
            TRANSFORMS[transform](f)(X)
    with mistake(MinijaxError, *words, HERE, bare=True):
        f(X)
