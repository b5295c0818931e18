"""Prints and callbacks through every transformation and pass, against JAX where it has the thing; and their errors."""

import functools
import io

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import minijax
import minijax.numpy as mnp
from minijax import config, debug, lax
from minijax.errors import (DtypeError, FormatError, MinijaxTypeError, MinijaxValueError, MissingRuleError, ShapeError,
                            TreeError, UnhandledEffectError)
from minijax.experimental import io_callback
from minijax.ir.op import Op, ops
from minijax.ir.passes import dce, inline
from minijax.optimize import cse, fold, forward

X, POINT = np.float32([0.5, -1.0, 2.0]), np.float32(1.5)
Y = jax.ShapeDtypeStruct((), np.float32)


@pytest.fixture(params=["numpy", "xla"])
def evaluator(request):
    with config.override("evaluator", request.param):
        yield request.param


# ---- what is printed, against JAX

def printing(print_, numpy):
    def f(x):
        print_("x = {x:.2f}, twice {}", {"x": 2 * x}, x=x, ordered=True)
        return numpy.sin(x) * 2

    return f


def loops(print_, lax_, numpy):
    def f(x):
        def body(c, a):
            print_("{} {}", c, a, ordered=True)
            return c * a, c

        c, ys = lax_.scan(body, x, X)
        c = lax_.while_loop(lambda s: s[0] < 2, lambda s: (s[0] + 1, s[1] * step(s[0])), (0, c))[1]
        return lax_.cond(c > 0, lambda: positive(c), lambda: c) + numpy.sum(ys)

    def step(i):
        print_("step {}", i, ordered=True)
        return 2.0

    def positive(c):
        print_("positive {}", c, ordered=True)
        return c

    return f


COMPOSITIONS = {
    "eager": lambda m, f: f(POINT),
    "jit": lambda m, f: m.jit(f)(POINT),
    "grad": lambda m, f: m.grad(f)(POINT),
    "grad of jit": lambda m, f: m.grad(m.jit(f))(POINT),
    "jit of grad": lambda m, f: m.jit(m.grad(f))(POINT),
    "grad of grad": lambda m, f: m.grad(m.grad(f))(POINT),
    "jvp of grad": lambda m, f: m.jvp(m.grad(f), (POINT,), (POINT,))[1],
    "vmap": lambda m, f: m.vmap(f)(X),
    "vmap of grad": lambda m, f: m.vmap(m.grad(f))(X),
    "jit of vmap of grad": lambda m, f: m.jit(m.vmap(m.grad(f)))(X),
}


def printed(capsys, module, run, f):
    value = run(module, f)
    module.effects_barrier()
    return np.asarray(value), capsys.readouterr().out


@pytest.mark.parametrize("name", COMPOSITIONS)
def test_prints_what_jax_prints(name, evaluator, capsys):
    ours = printed(capsys, minijax, COMPOSITIONS[name], printing(debug.print, mnp))
    theirs = printed(capsys, jax, COMPOSITIONS[name], printing(jax.debug.print, jnp))
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-6)
    assert ours[1] == theirs[1] != ""


@pytest.mark.parametrize("name", ["eager", "jit", "grad"])
def test_prints_in_loops_in_order(name, evaluator, capsys):
    if name == "grad":  # JAX has no reverse mode of while
        run = COMPOSITIONS["jit"]
        ours = printed(capsys, minijax, COMPOSITIONS[name], loops(debug.print, lax, mnp))
    else:
        run = COMPOSITIONS[name]
        ours = printed(capsys, minijax, run, loops(debug.print, lax, mnp))
    theirs = printed(capsys, jax, run, loops(jax.debug.print, jax.lax, jnp))
    if name != "grad":
        np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-6)
        assert ours[1] == theirs[1]
    assert ours[1].startswith(theirs[1][:10]) and "step 1" in ours[1]


FORMATS = [(("{}", 1), {}), (("{0} {a[0]}", 1), {"a": (X, 2)}), (("{x!r:>5} {{}}",), {"x": "text"}),
           (("no field",), {}), (("shape {x.shape}",), {"x": X}), (("{}", X), {"ordered": True})]


@pytest.mark.parametrize("args, kwargs", FORMATS)
def test_formats_as_jax_does(args, kwargs, capsys):
    debug.print(*args, **kwargs)
    ours = capsys.readouterr().out
    jax.debug.print(*args, **kwargs)
    assert ours == capsys.readouterr().out


def test_options_in_a_call_of_their_own(capsys):
    debug.print(ordered=True)("{}", 3)
    debug.print(skip_format_check=True)("values", 1, 2)
    debug.callback(ordered=True)(lambda x: print("saw", x), 4)
    assert capsys.readouterr().out == "3\nvalues 1 2\nsaw 4\n"
    with pytest.raises(MinijaxTypeError, match="x=.* has nothing to call or print"):
        debug.print(x=3)


def test_log_goes_to_the_logger(caplog):
    caplog.set_level("INFO", "minijax.debug")
    minijax.jit(lambda x: debug.log("x is {}", x))(2.0)
    minijax.effects_barrier()
    assert caplog.messages == ["x is 2.0"]


def test_callback_gets_trees_and_what_is_no_array(evaluator):
    seen = []
    minijax.jit(lambda x: debug.callback(lambda *a, **k: seen.append((a, k)), {"x": x}, "name", key=(x, None)))(X)
    minijax.effects_barrier()
    ((tree, name), kwargs), = seen
    assert name == "name" and kwargs["key"][1] is None and isinstance(tree["x"], np.ndarray)
    np.testing.assert_array_equal(tree["x"], X)


def test_print_of_keys(capsys, evaluator):
    debug.print("{}", minijax.random.key(7))
    minijax.jit(lambda key: debug.print("{}", key))(minijax.random.key(7))
    minijax.effects_barrier()
    assert capsys.readouterr().out == "[0 7]\n[0 7]\n"


def test_ordered_calls_keep_their_order_between_eager_and_compiled(evaluator):
    seen = []

    def note(x):
        io_callback(lambda x: seen.append(int(x)), None, x, ordered=True)

    jitted = minijax.jit(lambda x: lax.fori_loop(0, 50, lambda i, x: (note(x), x + 1)[1], x))
    for start in range(0, 200, 100):
        jitted(start)
        for i in range(start + 50, start + 100):
            note(i)
    minijax.effects_barrier()
    assert seen == list(range(200))


# ---- pure_callback and io_callback

def sine(callback=minijax.pure_callback, **options):
    return lambda x: callback(np.sin, jax.ShapeDtypeStruct(np.shape(x), np.float32), x, **options)


@pytest.mark.parametrize("method", ["sequential", "sequential_unrolled", "expand_dims", "broadcast_all",
                                    "legacy_vectorized"])
def test_vmap_methods_are_jaxs(method, evaluator):
    def shapes_seen(module, pure_callback, numpy):
        seen = []

        def host(x, y):
            seen.append((np.shape(x), np.shape(y)))
            return np.asarray(x + np.reshape(y, np.shape(y) or (1,) * (np.ndim(x) > 0)) if np.ndim(x) else x + y)

        def f(x, y):
            return pure_callback(host, Y, x, y, vmap_method=method)

        value = module.vmap(f, in_axes=(0, None))(numpy.asarray(X), numpy.float32(2.0))
        return np.asarray(value), seen

    ours, theirs = shapes_seen(minijax, minijax.pure_callback, mnp), shapes_seen(jax, jax.pure_callback, jnp)
    np.testing.assert_allclose(ours[0], theirs[0])
    assert ours[1] == theirs[1]


def test_pure_callback_through_transformations(evaluator):
    f = minijax.custom_jvp(sine(vmap_method="broadcast_all"))
    f.defjvp(lambda primals, tangents: (f(*primals), mnp.cos(*primals) * tangents[0]))
    np.testing.assert_allclose(minijax.jit(minijax.vmap(f))(X), np.sin(X), rtol=1e-6)
    np.testing.assert_allclose(minijax.vmap(minijax.grad(f))(X), np.cos(X), rtol=1e-6)
    np.testing.assert_allclose(minijax.jit(minijax.grad(lambda x: f(x).sum()))(X), np.cos(X), rtol=1e-6)
    np.testing.assert_allclose(lax.scan(lambda c, x: (c, sine()(x)), 0, X)[1], np.sin(X), rtol=1e-6)


def test_results_are_trees(evaluator):
    promised = {"a": jax.ShapeDtypeStruct((2,), np.int32), "b": (Y, None)}
    f = functools.partial(minijax.pure_callback, lambda: {"a": np.int32([1, 2]), "b": (3.0, None)}, promised)
    for found in (f(), minijax.jit(f)()):
        assert found["a"].tolist() == [1, 2] and float(found["b"][0]) == 3.0 and found["b"][1] is None


def test_io_callback_runs_each_time_and_once_for_each_example(evaluator):
    counter = iter(range(100))
    draw = functools.partial(io_callback, lambda *x: np.int32(next(counter)), jax.ShapeDtypeStruct((), np.int32))
    f = minijax.jit(lambda: (draw(), draw()))
    assert sorted(map(int, (*f(), *f()))) == [0, 1, 2, 3]
    assert minijax.vmap(draw)(X).tolist() == [4, 5, 6]
    minijax.jit(lambda: (draw(), 1)[1])()  # its result is not used
    assert int(draw()) == 8


def test_vmap_over_no_examples(evaluator):
    f = minijax.vmap(sine(vmap_method="sequential"))
    assert f(np.zeros((0, 2), np.float32)).shape == (0, 2)
    minijax.vmap(lambda x: debug.print("{}", x))(np.zeros((0, 2), np.float32))


# ---- effects in programs

def effectful(x):
    debug.print("{}", 1.0)
    debug.print("{}", 1.0)
    y = io_callback(np.sin, Y, x)
    z = minijax.jit(lambda x: (debug.print("inner {}", x, ordered=True), x)[1])(x)
    unused = minijax.pure_callback(np.sin, Y, x)  # noqa: F841: has no effect, and may go
    return x + 0 * y + z


@pytest.mark.parametrize("passes", [(dce,), (cse,), (fold,), (forward,), (inline,), (inline, fold, cse, forward, dce)])
def test_passes_keep_effects_in_order(passes):
    program = minijax.make_jaxpr(effectful)(1.0)
    assert program.effects == {"debug", "ordered_debug", "io"}
    for change in passes:
        program = change(program)
    assert program.effects == {"debug", "ordered_debug", "io"}
    names = [str(eqn.op) for eqn in inline(program).eqns if eqn.op.effects_of(eqn.params)]
    assert names == ["debug_callback", "debug_callback", "io_callback", "debug_callback"]
    assert not (dce in passes and "pure_callback" in str(program))


def test_constant_callbacks_are_not_folded():
    program = minijax.make_jaxpr(lambda: minijax.pure_callback(np.sin, Y, np.float32(1)))()
    assert "pure_callback" in str(fold(program))


def test_programs_with_callbacks_print_and_refuse_to_be_saved():
    program = minijax.make_jaxpr(lambda x: debug.callback(lambda x: None, x))(1.0)
    assert "debug_callback[callback=<callable lambda> ordered=False partitioned=False] a" in str(program)
    with pytest.raises(minijax.errors.MinijaxError):
        minijax.parse(str(program))


def test_an_effect_without_lowering_is_refused_with_its_line():
    op = Op("t_effect", type=lambda: (), effects=frozenset({"t"}))
    del ops[op.name]
    with pytest.raises(UnhandledEffectError, match="'t' of 't_effect' at .*test_callbacks.py"):
        minijax.jit(lambda x: (op.bind(), x)[1])(1.0)


# ---- errors

def fail(*args):
    raise KeyError("the user's own mistake")


@pytest.mark.parametrize("call", [lambda x: minijax.pure_callback(fail, Y, x), lambda x: io_callback(fail, Y, x),
                                  lambda x: debug.callback(fail, x)])
def test_the_users_traceback_shows(call, evaluator):
    def run(f):
        f(1.0)
        minijax.effects_barrier()

    with pytest.raises(KeyError, match="the user's own mistake"):
        run(call)
    with pytest.raises(Exception, match="the user's own mistake") as caught:
        run(minijax.jit(call))
    if evaluator == "xla":
        assert "test_callbacks.py" in str(caught.value) and "in fail" in str(caught.value)


WRONG_RESULTS = [
    (np.float32([1, 2]), ShapeError, r"callback wrong of pure_callback .*shape \(2,\) at result; expected \(\)"),
    (np.float64(1), DtypeError, "dtype float64 at result; expected float32"),
    ((1.0, 2.0), TreeError, "another structure"),
]


@pytest.mark.parametrize("result, error, message", WRONG_RESULTS)
def test_a_wrong_result_is_named(result, error, message, evaluator):
    def wrong(x):
        return result

    f = functools.partial(minijax.pure_callback, wrong, Y)
    with pytest.raises(error, match=message):
        f(1.0)
    with pytest.raises(Exception, match=message):
        minijax.jit(f)(1.0).block_until_ready()


def test_promises_are_checked():
    with pytest.raises(MinijaxTypeError, match=r"result_shape_dtypes\[1\] is 3"):
        minijax.pure_callback(np.sin, (Y, 3), 1.0)
    with pytest.raises(MinijaxValueError, match="float64.*64-bit types are off"):
        minijax.pure_callback(np.sin, np.float64(0), 1.0)
    with pytest.raises(MinijaxValueError, match="vmap_method is one of"):
        minijax.pure_callback(np.sin, Y, 1.0, vmap_method="all")
    with pytest.raises(MinijaxTypeError):
        minijax.pure_callback(3, Y, 1.0)
    with pytest.raises(MinijaxTypeError):
        debug.callback("print", 1.0)


def test_derivatives_and_vmap_are_refused(evaluator):
    with pytest.raises(MinijaxValueError, match="pure_callback does not support differentiation.*custom_jvp"):
        minijax.grad(sine())(1.0)
    with pytest.raises(MinijaxValueError, match="io_callback does not support differentiation"):
        minijax.grad(sine(io_callback))(1.0)
    with pytest.raises(MinijaxValueError, match="pure_callback does not support transposition"):
        minijax.linear_transpose(sine(), X)(X)
    with pytest.raises(MissingRuleError, match="vmap_method is None.*'sequential'"):
        minijax.vmap(sine())(X)
    with pytest.raises(MinijaxValueError, match="vmap of an ordered io_callback"):
        minijax.vmap(sine(io_callback, ordered=True))(X)


@pytest.mark.parametrize("args, kwargs, message", [
    (("{} {}", 1), {}, "asks for more arguments"), (("{x}", ), {"y": 1}, "asks for argument 'x'"),
    (("{}", 1, 2), {}, "does not mention the argument 1"), (("x is 3",), {"x": 1}, "argument 'x'. An f-string"),
    (("{", 1), {}, "Single '{'")])
def test_bad_formats_are_refused_while_tracing(args, kwargs, message):
    with pytest.raises(FormatError, match=message) as caught:
        minijax.make_jaxpr(lambda: debug.print(*args, **kwargs))()
    assert "test_callbacks.py" in str(caught.value)
    with pytest.raises((ValueError, IndexError, KeyError)):
        jax.debug.print(*args, **kwargs)


# ---- breakpoint

def test_breakpoint_hands_over_the_local_variables(evaluator):
    seen = []

    def f(x):
        doubled, label = 2 * x, "here"  # noqa: F841
        debug.breakpoint(backend=lambda values, line: seen.append((values, line)), extra=x + 1)
        return doubled

    minijax.jit(f)(1.5)
    minijax.effects_barrier()
    (values, line), = seen
    assert float(values["x"]) == 1.5 and float(values["doubled"]) == 3.0 and float(values["extra"]) == 2.5
    assert values["label"] == "here" and "test_callbacks.py" in line


def test_breakpoint_opens_the_debugger(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO("p doubled + 1\nc\n"))

    def f(x):
        doubled = 2 * x
        debug.breakpoint()
        return doubled

    assert float(f(1.5)) == 3.0
    out = capsys.readouterr().out
    assert "minijax breakpoint" in out and "4.0" in out
