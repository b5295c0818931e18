"""Traced values used as concrete ones, leaked tracers, and a trace state that survives every exception."""

import pickle
import threading

import jax
import numpy as np
import pytest
from error_checks import TRANSFORMS, X, frames_of, mistake

import minijax as mj
import minijax.numpy as jnp
from minijax.errors import (ConcretizationTypeError, MinijaxIndexError, MinijaxTypeError, MinijaxValueError,
                            TracerArrayConversionError, TracerBoolConversionError, TracerIntegerConversionError,
                            UnexpectedTracerError)

HERE = "test_errors_tracers.py"
kept = []


# ---- concrete values ----

def branch(x):
    return x if x[0] > 0 else -x


def loop(x):
    while jnp.sum(x) > 0:
        x = x - 1
    return x


def chain(x):
    return (x[0] > 0) and (x[0] < 1)


@pytest.mark.parametrize("transform", ["jit", "vmap", "jit of grad", "vmap of jit", "grad of vmap"])
@pytest.mark.parametrize("function", [branch, loop, chain, lambda x: not x[0], lambda x: sorted([x[0], x[1]]),
                                      lambda x: max(x[0], x[1]), lambda x: 2.0 in x])
def test_truth_of_a_tracer(function, transform):
    with mistake(TracerBoolConversionError, "needs a concrete value", HERE, "minijax.numpy.where", "static_argnums"):
        TRANSFORMS[transform](function)(X)


@pytest.mark.parametrize("transform", ["jit", "vmap", "jit of grad"])
@pytest.mark.parametrize("function, kind, words", [
    (lambda x: int(x[0]), ConcretizationTypeError, "`int(x)`"),
    (lambda x: float(x[0]), ConcretizationTypeError, ".astype('float32')"),
    (lambda x: complex(x[0]), ConcretizationTypeError, "`complex(x)`"),
    (lambda x: x[0].item(), ConcretizationTypeError, "`x.item()`"),
    (lambda x: x.tolist(), ConcretizationTypeError, "`x.tolist()`"),
    (lambda x: f"{x[0]:.3f}", ConcretizationTypeError, "A format such as"),
    (lambda x: pickle.dumps(x), ConcretizationTypeError, "cannot be pickled"),
    (lambda x: np.asarray(x), TracerArrayConversionError, "np.asarray(x)"),
    (lambda x: np.array([x, x]), TracerArrayConversionError, "minijax.numpy"),
    (lambda x: jax.numpy.sin(x), TracerArrayConversionError, "A function of JAX", ),
    (lambda x: range(x[0].astype("int32")), TracerIntegerConversionError, "`range(x)`"),
    (lambda x: [1, 2, 3][x[0].astype("int32")], TracerIntegerConversionError, "index an array with it"),
    (lambda x: [1, 2, 3][:x[0].astype("int32")], TracerIntegerConversionError, "static_argnums"),
    (lambda x: np.sin(x, out=np.zeros(3)), MinijaxTypeError, "minijax.numpy"),
], ids=lambda v: "" if not isinstance(v, str) else v)
def test_concrete_values(function, kind, words, transform):
    with mistake(kind, words):
        TRANSFORMS[transform](function)(X)


def test_the_message_says_what_is_traced():
    with mistake(TracerBoolConversionError, "(bool[])", "It is a result of 'gt', computed at", HERE, "in branch"):
        mj.jit(branch)(X)
    with mistake(TracerBoolConversionError, "It is argument params['go'][0] of"):
        mj.jit(lambda params: 1.0 if params["go"][0] else 2.0)({"go": [True]})
    with mistake(TracerBoolConversionError, "It is one example (bool[]) of a batch (bool[4]) under vmap"):
        TRANSFORMS["vmap"](branch)(X)


def test_concrete_values_under_grad_are_known():
    def f(x):
        assert int(x[2]) == 3 and f"{x[0]:.2f}" == "1.00" and x[1].item() == 2.0 and len([*range(int(x[1]))]) == 2
        return jnp.sum(branch(x) * x)

    assert np.allclose(mj.grad(f)(X), 2 * X)
    with mistake(MinijaxValueError, "truth value of an array of 3 elements", ".any() or", HERE):
        mj.grad(lambda x: x if x > 0 else x)(X)
    with mistake(MinijaxTypeError, "takes an integer scalar, got f32[]"):
        mj.grad(lambda x: range(x[0]))(X)


# ---- arrays ----

@pytest.mark.parametrize("transform", list(TRANSFORMS))
def test_assignment(transform):
    def assign(x):
        x[0] = 1.0
        return x

    def add(x):
        x[0] += 1.0
        return x

    for function in (assign, add):
        with mistake(MinijaxTypeError, "immutable", "x.at[i].set(y)", bare=True):
            TRANSFORMS[transform](lambda x, f=function: f(jnp.asarray(x)))(X)


@pytest.mark.parametrize("transform", list(TRANSFORMS))
@pytest.mark.parametrize("index", [3, -4, (0, 0), (slice(None), 0), "a", 1.5, (None, 5)], ids=repr)
def test_static_indices_as_numpy(index, transform):
    kind = MinijaxIndexError if not isinstance(index, (str, float)) else (MinijaxTypeError, MinijaxIndexError)
    with pytest.raises(IndexError):
        X[index]
    with mistake(kind, bare=True):
        TRANSFORMS[transform](lambda x: jnp.asarray(x)[index])(X)


def test_arrays_that_are_no_scalars():
    x = jnp.asarray(X)
    with mistake(MinijaxValueError, "truth value of an array of 3 elements (bool[3])", HERE, bare=True):
        bool(x > 0)
    with mistake(MinijaxTypeError, "takes an integer scalar", HERE, bare=True):
        range(x[0])
    with mistake(MinijaxTypeError, "len()", ".size", bare=True):
        len(x[0])
    with mistake(MinijaxTypeError, "x[None]", bare=True):
        list(x[0])
    for wrong in (lambda: x + "abc", lambda: x + None, lambda: hash(x), lambda: x(3)):
        with pytest.raises(TypeError):
            wrong()
    with pytest.raises(AttributeError, match="foo"):
        x.foo


# ---- leaks ----

def leak(transform=mj.jit):
    """A tracer whose trace has finished."""
    kept.clear()
    transform(lambda x: (kept.append(x * 2.0), jnp.sum(x))[1])(X)
    return kept[0]


USES = {"eager": lambda t: t + 1.0, "jit argument": lambda t: mj.jit(lambda x: x + 1.0)(t),
        "jit closure": lambda t: mj.jit(lambda x: x + t)(X), "grad": lambda t: mj.grad(jnp.sum)(t),
        "vmap": lambda t: mj.vmap(lambda x: x * t)(np.stack([X, X])), "result": lambda t: mj.jit(lambda x: t)(X),
        "grad result": lambda t: mj.grad(lambda x: jnp.sum(t))(X), "jvp": lambda t: mj.jvp(lambda x: t, (X,), (X,)),
        "make_jaxpr": lambda t: mj.make_jaxpr(lambda x: x + t)(X)}


@pytest.mark.parametrize("use", list(USES))
@pytest.mark.parametrize("made", [mj.jit, mj.grad, lambda f: lambda x: mj.vmap(f)(np.stack([x, x])),
                                  lambda f: mj.jit(mj.grad(f))], ids=["jit", "grad", "vmap", "jit of grad"])
def test_leaks_from_a_finished_trace(made, use):
    tracer = leak(made)
    with mistake(UnexpectedTracerError, "outside the trace that made it", "has finished", "Return the value",
                 "the list 'kept' of module", bare=True):
        USES[use](tracer)


def test_leak_into_a_compiled_function():
    f = mj.jit(lambda x: x + 1.0)
    f(X)
    with mistake(UnexpectedTracerError, "It is a result of 'mul', computed at", HERE):
        f(leak())


def test_leak_through_an_attribute():
    class Model:
        pass

    model = Model()
    mj.jit(lambda x: setattr(model, "hidden", x * 2.0))(X)
    with mistake(UnexpectedTracerError, "attribute 'hidden' of a Model", bare=True):
        model.hidden + 1.0


def test_leak_through_a_closure():
    def outer():
        cell = None

        def f(x):
            nonlocal cell
            cell = x * 2.0
            return x

        mj.jit(f)(X)
        return lambda: cell + 1.0

    with mistake(UnexpectedTracerError, "the closure of", bare=True):
        outer()()


def test_leak_from_a_sibling_and_an_inner_trace():
    def sibling(x):
        kept.clear()
        mj.jit(lambda y: kept.append(y * 2.0))(x)
        return mj.jit(lambda y: y + kept[0])(x)

    def inner(x):
        kept.clear()
        mj.grad(lambda y: (kept.append(y * 2.0), jnp.sum(y))[1])(x)
        return x + kept[0]

    for function in (sibling, inner):
        for transform in (mj.jit, mj.vmap):
            with mistake(UnexpectedTracerError, "has finished", "the list 'kept'"):
                transform(function)(np.stack([X, X]))


def test_leaked_pullbacks_and_generators():
    def f(x):
        kept[:] = [mj.vjp(lambda y: y * x, x)[1], numbers(x)]
        next(kept[1])
        return x

    def numbers(x):
        yield x * 1.0
        yield x * 2.0

    mj.jit(f)(X)
    for use in (lambda: kept[0](X), lambda: next(kept[1])):
        with mistake(UnexpectedTracerError, "It is argument x of f", bare=True):
            use()


def test_leak_to_another_thread():
    ready, done, found = threading.Event(), threading.Event(), []

    def f(x):
        kept[:] = [x * 2.0]
        ready.set()
        assert done.wait(30)
        return x

    def thief():
        ready.wait(30)
        for use in (lambda: kept[0] + 1.0, lambda: mj.jit(lambda y: y + kept[0])(X)):
            try:
                use()
            except UnexpectedTracerError as error:
                found.append(str(error))
        done.set()

    thread = threading.Thread(target=thief)
    thread.start()
    assert np.allclose(mj.jit(f)(X), X)
    thread.join()
    assert len(found) == 2 and all("is not the one running here" in text for text in found)


def test_unused_tracers_of_enclosing_traces_are_no_leaks():
    def f(x):
        return mj.jit(lambda y: mj.grad(lambda z: jnp.sum(z * x * y))(y))(x)

    assert np.allclose(mj.jit(f)(X), X * X)
    assert np.allclose(mj.vmap(f)(X[:, None])[:, 0], X * X)


# ---- exceptions leave everything as it was ----

class Interrupt(KeyboardInterrupt):
    """Not an `Exception`."""


@pytest.mark.parametrize("kind", [ValueError, ZeroDivisionError, Interrupt, SystemExit, GeneratorExit])
@pytest.mark.parametrize("transform", [t for t in TRANSFORMS if t != "eager"])
def test_the_users_exceptions_pass_and_leave_no_trace(transform, kind):
    def f(x):
        y = x * 2.0
        if fail:
            raise kind("mine")
        return y

    fail = True
    with pytest.raises(kind, match="mine") as found:
        TRANSFORMS[transform](f)(X)
    if issubclass(kind, Exception):
        assert len(frames_of(found.value, "/minijax/")) <= 2
    fail = False
    assert np.allclose(TRANSFORMS[transform](f)(X), TRANSFORMS[transform](lambda x: x * 2.0)(X))


def test_a_function_that_traces_itself_without_end():
    def f(x):
        return mj.jit(lambda y: f(y))(x)

    with pytest.raises(RecursionError):
        f(X)
    assert np.allclose(mj.jit(lambda x: x + 1)(X), X + 1)


def test_threads_trace_at_once():
    barrier, results = threading.Barrier(4), {}

    def work(n):
        barrier.wait(30)
        for _ in range(5):
            f = mj.jit(mj.grad(lambda x: jnp.sum(x ** n)))
            results[n] = np.asarray(f(X))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(2, 6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for n in range(2, 6):
        assert np.allclose(results[n], n * X ** (n - 1))


# ---- NaNs ----

def bad(x):
    return jnp.log(x - 2.0) * 2.0


@pytest.mark.parametrize("transform", list(TRANSFORMS))
def test_nans_name_the_op_and_the_line(transform):
    with mj.debug_nans():
        with pytest.raises(FloatingPointError, match="invalid value.*in log.*" + HERE):
            TRANSFORMS[transform](lambda x: bad(jnp.asarray(x)))(X)
    assert np.isnan(np.asarray(TRANSFORMS[transform](lambda x: bad(jnp.asarray(x)))(X))).any()
