"""Wrong branches, carries and predicates: which leaf, both types, the user's lines, one fix."""

import numpy as np
import pytest
from error_checks import X, mistake

import minijax
from minijax import lax, numpy as jnp
from minijax.calls.cond import cond_p
from minijax.calls.while_loop import while_p
from minijax.errors import (MinijaxTypeError, MinijaxValueError, NonlinearError, TracerBoolConversionError, TreeError,
                            UnexpectedTracerError)

HERE = "test_errors_control_flow.py:"


def one(x):
    """A branch that returns a dict of one array."""
    return {"a": (x, x)}


def two(x):
    """A branch that returns a dict of two arrays."""
    return {"a": (x, x[:1])}


def three(x):
    """A branch with another key."""
    return {"b": (x, x)}


@pytest.mark.parametrize("transform", [lambda f: f, minijax.jit, lambda f: lambda x: minijax.vjp(f, x)])
def test_branches_that_differ(transform):
    with mistake(MinijaxTypeError, "result['a'][1] is f32[3] from false_fun", "two", "f32[1] from true_fun", "one",
                 HERE, "shapes differ", "Reshape"):
        transform(lambda x: lax.cond(True, two, one, x))(X)
    with mistake(TreeError, "cond", "false_fun, one", "true_fun, three", "result", "same structure", HERE):
        transform(lambda x: lax.cond(True, three, one, x))(X)
    with mistake(MinijaxTypeError, "switch", "result is", "branches[0]", "branches[2]", "dtypes differ"):
        transform(lambda x: lax.switch(1, [lambda x: x, lambda x: x, lambda x: x > 0], x))(X)


def test_predicates():
    for pred, words in ((X > 0, "bool[3]"), ("yes", "'yes' of type str"), (None, "None"), ([True], "[True]")):
        with mistake(MinijaxTypeError, "cond: the predicate is", words, "not a scalar", HERE):
            lax.cond(pred, one, one, X)
    with mistake(MinijaxTypeError, "cond: the predicate", "c64", "Compare"):
        lax.cond(1j, one, one, X)
    for index, words in ((1.0, "f32[]"), (True, "bool[]")):
        with mistake(MinijaxTypeError, "switch: the index is of type", words, "not an integer", "cond for a bool"):
            lax.switch(index, [one, one], X)
    with mistake(MinijaxTypeError, "switch: the index is", "i32[2]", "not a scalar", "vmap"):
        lax.switch(np.int32([1, 2]), [one, one], X)


def test_functions_and_operands():
    with mistake(MinijaxTypeError, "cond", "true_fun", "3 of type int"):
        lax.cond(True, 3, one, X)
    with mistake(MinijaxTypeError, "switch", "branches[1]", "None"):
        lax.switch(0, [one, None], X)
    with mistake(MinijaxValueError, "switch", "no branches"):
        lax.switch(0, [], X)
    with mistake(MinijaxTypeError, "switch", "list of functions", "3"):
        lax.switch(0, 3, X)
    with mistake(MinijaxTypeError, "one(x)", "do not fit", "too many positional"):
        lax.cond(True, one, one, X, X)
    with mistake(MinijaxTypeError, "cond", "operands[1]['w']", "'text' of type str"):
        lax.cond(True, lambda x, y: x, lambda x, y: x, X, {"w": "text"})
    with mistake(MinijaxTypeError, "operand=", "by position"):
        lax.cond(True, one, one, X, operand=X)
    with mistake(MinijaxTypeError, "returned 'no' of type str", "result"):
        lax.cond(True, lambda: "no", lambda: "no")
    for name in ("cond_fun", "body_fun"):
        with mistake(MinijaxTypeError, "while_loop", name, "7 of type int"):
            lax.while_loop(**{"cond_fun": one, "body_fun": one, "init_val": X, name: 7})
    with mistake(MinijaxTypeError, "fori_loop", "body_fun", "7 of type int"):
        lax.fori_loop(0, 3, 7, X)


def narrower(carry):
    """A body that cuts one leaf."""
    return {"x": carry["x"][:1], "n": carry["n"] + 1}


@pytest.mark.parametrize("transform", [lambda f: f, minijax.jit, lambda f: lambda x: minijax.jvp(f, (x,), (x,))])
def test_carries_that_change(transform):
    def loop(body, init=None, test=lambda c: True):
        return transform(lambda x: lax.while_loop(test, body, {"x": x, "n": 0} if init is None else init))

    with mistake(MinijaxTypeError, "while_loop", "init_val['x'] is f32[3]", "f32[1]", "narrower", HERE, "shapes differ",
                 "Reshape"):
        loop(narrower)(X)
    with mistake(MinijaxTypeError, "init_val['n'] is f32[]", "i32[]", "dtypes differ"):
        loop(lambda c: {**c, "n": jnp.int32(3)}, {"n": np.float32(0)})(X)
    with mistake(TreeError, "while_loop", "init_val has the structure", "body_fun, <lambda>", "n"):
        loop(lambda c: {"x": c["x"]})(X)


def test_tests_of_loops():
    for test, words in ((lambda x: x, "f32[3]"), (lambda x: (x.sum() > 0,), "(bool[],)"), (lambda x: 1, "i32[]"),
                        (lambda x: x > 0, "bool[3]")):
        with mistake(MinijaxTypeError, "cond_fun", words, "one bool scalar", ".any()", HERE):
            lax.while_loop(test, lambda x: x, X)


def test_bounds():
    with mistake(MinijaxTypeError, "fori_loop", "upper", "f32[]", "not an integer"):
        lax.fori_loop(0, 3.0, lambda i, x: x, X)
    with mistake(MinijaxTypeError, "fori_loop", "lower", "i32[3]", "not a scalar"):
        lax.fori_loop(np.int32([1, 2, 3]), 3, lambda i, x: x, X)
    with mistake(MinijaxTypeError, "fori_loop", "i16[]", "i8[]", ".astype"):
        lax.fori_loop(np.int16(0), np.int8(3), lambda i, x: x, X)
    with mistake(MinijaxValueError, "fori_loop", "unroll=2", "not known"):
        minijax.jit(lambda n: lax.fori_loop(0, n, lambda i, x: x, 0.0, unroll=2))(3)


def test_python_control_flow_inside():
    with mistake(TracerBoolConversionError, "x"):
        lax.cond(True, lambda x: x if x > 0 else -x, lambda x: x, 1.0)


def test_leaks():
    kept = []
    lax.cond(True, lambda x: kept.append(x) or x, lambda x: x, 1.0)
    with mistake(UnexpectedTracerError, "outside the trace"):
        minijax.jit(lambda x: x + kept[0])(1.0)


def test_transposing_a_loop():
    with mistake(NonlinearError, "while", "fori_loop"):
        minijax.linear_transpose(lambda x: lax.while_loop(lambda c: c.sum() < 3.0, lambda c: c * 2.0, x), X)(X)


def test_effects_under_a_batched_predicate():
    def acts(x):
        minijax.io_callback(lambda: None, None)
        return x

    for f in (lambda x: lax.cond(x > 0, acts, lambda x: x, x), lambda x: lax.while_loop(lambda x: x > 0, acts, x)):
        with mistake(minijax.errors.UnhandledEffectError, "vmap", "batched predicate", "'io'"):
            minijax.vmap(f)(X)


def test_programs_that_do_not_fit():
    eqn, = minijax.make_jaxpr(lambda x, p: lax.cond(p, lambda x: x, lambda x: x * 2.0, x))(X, True).eqns
    index, operand = (atom.type for atom in eqn.inputs)
    for types, words in (((operand, operand), "index into 2 branches"),
                         ((index, index), "inputs of branch 0")):
        with pytest.raises(MinijaxTypeError, match=words):
            cond_p.type(*types, **eqn.params)
    eqn, = minijax.make_jaxpr(lambda x: lax.while_loop(lambda c: c.sum() < 3.0, lambda c: c * 2.0, x))(X).eqns
    with pytest.raises(MinijaxTypeError, match="inputs of the condition"):
        while_p.type(index, **eqn.params)
