"""checkpoint against JAX: the same values and derivatives, the same values kept, and computed again what is not."""

import io
import re
from contextlib import redirect_stdout

import jax
import numpy as np
import pytest
from error_checks import mistake
from jax import ad_checkpoint as jax_ad_checkpoint

import minijax
from minijax import ad_checkpoint, config, lax
from minijax import numpy as jnp
from minijax.errors import MinijaxTypeError, MinijaxValueError
from minijax.inspect.residuals import residual_table
from minijax.language import same_program
from minijax.ir.walk import all_programs
from minijax.language import from_json, parse, to_json

RNG = np.random.default_rng(0)
W, V, X = (RNG.normal(size=shape).astype(np.float32) * 0.7 for shape in ((4, 5), (5, 3), (2, 4)))


class Ours:
    """What the functions below are written with: minijax."""

    lax, np, name = lax, jnp, staticmethod(minijax.checkpoint_name)
    grad, vmap, jvp, jit, checkpoint = minijax.grad, minijax.vmap, minijax.jvp, minijax.jit, minijax.checkpoint
    policies = minijax.checkpoint_policies


class Theirs:
    """The same of JAX."""

    lax, np, name = jax.lax, jax.numpy, staticmethod(jax_ad_checkpoint.checkpoint_name)
    grad, vmap, jvp, jit, checkpoint = jax.grad, jax.vmap, jax.jvp, jax.jit, jax.checkpoint
    policies = jax.checkpoint_policies


def network(m):
    """Two layers, with named values and a product with a batch axis."""
    def run(w, v, x):
        h = m.name(m.np.sin(x @ w), "hidden")
        z = m.name(m.np.cos(h @ v), "out")
        return m.np.sum(m.np.exp(m.np.sin(m.lax.dot_general(z, z, (((1,), (1,)), ((0,), (0,)))))))

    return run


POLICIES = {
    "none": lambda p: None,
    "everything_saveable": lambda p: p.everything_saveable,
    "nothing_saveable": lambda p: p.nothing_saveable,
    "dots_saveable": lambda p: p.dots_saveable,
    "checkpoint_dots": lambda p: p.checkpoint_dots,
    "dots_with_no_batch_dims_saveable": lambda p: p.dots_with_no_batch_dims_saveable,
    "checkpoint_dots_with_no_batch_dims": lambda p: p.checkpoint_dots_with_no_batch_dims,
    "save_only_these_names": lambda p: p.save_only_these_names("hidden"),
    "save_any_names_but_these": lambda p: p.save_any_names_but_these("hidden"),
    "save_anything_except_these_names": lambda p: p.save_anything_except_these_names("hidden", "out"),
    "save_from_both_policies": lambda p: p.save_from_both_policies(p.dots_with_no_batch_dims_saveable,
                                                                   p.save_only_these_names("out")),
    "offload_dot_with_no_batch_dims": lambda p: p.offload_dot_with_no_batch_dims("device", "pinned_host"),
    "save_and_offload_only_these_names": lambda p: p.save_and_offload_only_these_names(
        names_which_can_be_saved=["hidden"], names_which_can_be_offloaded=["out"], offload_src="device",
        offload_dst="pinned_host"),
}


def kept_by_jax(function, *args):
    """The shapes that JAX's table of residuals lists."""
    out = io.StringIO()
    with redirect_stdout(out):
        jax_ad_checkpoint.print_saved_residuals(function, *args)
    return sorted(re.findall(r"(?m)^\w+(?:<host>)?\[([\d,]*)\]", out.getvalue()))


def kept_by_us(function, *args):
    """The shapes that ours lists."""
    return sorted(",".join(map(str, row.type.shape)) for row in minijax.saved_residuals(function, *args))


def close(ours, theirs, rtol=1e-4):
    """Two trees of arrays agree."""
    for x, y in zip(minijax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(np.asarray(x), np.asarray(y), rtol=rtol, atol=1e-5)


@pytest.mark.parametrize("name", POLICIES)
def test_policy(name):
    ours = minijax.checkpoint(network(Ours), policy=POLICIES[name](Ours.policies))
    theirs = jax.checkpoint(network(Theirs), policy=POLICIES[name](Theirs.policies))
    close(minijax.jit(minijax.value_and_grad(ours, (0, 1, 2)))(W, V, X), jax.value_and_grad(theirs, (0, 1, 2))(W, V, X))
    close(minijax.grad(ours)(W, V, X), jax.grad(theirs)(W, V, X))
    assert kept_by_us(ours, W, V, X) == kept_by_jax(theirs, W, V, X)
    with config.override("evaluator", "numpy"):
        close(minijax.grad(ours)(W, V, X), jax.grad(theirs)(W, V, X))


def test_every_policy_of_jax_is_here():
    found = {name for name in dir(jax.checkpoint_policies) if not name.startswith("_")}
    assert found <= set(dir(minijax.checkpoint_policies)) and found <= set(POLICIES)


def test_a_users_policy_is_asked_about_ops():
    asked = []

    def policy(op, *types, **params):
        asked.append((op.name, types, tuple(params)))
        return op.name == "sin"

    function = minijax.checkpoint(network(Ours), policy=policy)
    close(minijax.jit(minijax.grad(function))(W, V, X), jax.grad(network(Theirs))(W, V, X))
    assert ("name", "f32[2,5]", ("name",)) in {(name, repr(types[0]), params) for name, types, params in asked}
    assert kept_by_us(function, W, V, X) == ["2", "2,3", "2,4", "2,5", "4,5", "5,3"]


# ---- computed again

def count(jaxpr, op):
    """Equations of an op in a program and in those it holds."""
    return sum(eqn.op.name == op for program in all_programs(jaxpr) for eqn in program.eqns)


def sines(m):
    """A chain of sines."""
    return lambda x: m.np.sum(m.np.sin(m.np.sin(m.np.sin(x))))


def test_the_backward_pass_computes_again():
    plain = minijax.make_jaxpr(minijax.grad(sines(Ours)))(X)
    again = minijax.make_jaxpr(minijax.grad(minijax.checkpoint(sines(Ours))))(X)
    assert (count(plain, "sin"), count(again, "sin")) == (3, 5)  # 3 forward, 2 of them again
    text = str(again)
    assert "differentiated=False" in text and "differentiated=True" in text


def flops(function, *args):
    """What XLA counts after its optimizations."""
    cost = function.lower(*args).compile().cost_analysis()
    return (cost[0] if isinstance(cost, list) else cost).get("flops", 0.0)


def test_xla_does_not_undo_it():
    plain, kept, merged = [minijax.jit(minijax.grad(f)) for f in (
        network(Ours), minijax.checkpoint(network(Ours)), minijax.checkpoint(network(Ours), prevent_cse=False))]
    assert "optimization_barrier" in kept.lower(W, V, X).as_text()
    assert "optimization_barrier" not in merged.lower(W, V, X).as_text()
    theirs = jax.jit(jax.grad(jax.checkpoint(network(Theirs))))
    assert flops(kept, W, V, X) == pytest.approx(flops(theirs, W, V, X), rel=0.1)
    assert flops(kept, W, V, X) > flops(plain, W, V, X)


def test_effects_are_not_repeated():
    seen = []

    def twice(x):
        seen.append("io")
        return np.float32(2.0)

    def noisy(x):
        minijax.debug.callback(lambda v: seen.append(float(v)), x)
        factor = minijax.io_callback(twice, minijax.ShapeDtypeStruct((), np.float32), lax.stop_gradient(x))
        return jnp.sin(jnp.sin(x)) * factor

    theirs = jax.grad(lambda x: 2.0 * jax.numpy.sin(jax.numpy.sin(x)))(0.5)
    assert float(minijax.grad(minijax.checkpoint(noisy))(0.5)) == pytest.approx(float(theirs), rel=1e-5)
    minijax.effects_barrier()
    assert sorted(map(str, seen)) == ["0.5", "io"]


# ---- compositions

def scanned(m):
    """A scan whose body is checkpointed."""
    def run(w, v, x):
        def step(h, _):
            return m.np.tanh(m.np.sin(h @ w) @ v @ m.np.ones((3, 4), m.np.float32)), None

        return m.np.sum(m.lax.scan(m.checkpoint(step), x, None, length=3)[0])

    return run


def inside_out(m):
    """A scan inside of a checkpoint."""
    def run(w, v, x):
        def step(h, row):
            return m.np.sin(h * m.np.sum(row)), h

        return m.np.sum(m.np.exp(m.lax.scan(step, m.np.sum(x @ w @ v), w)[0]))

    return lambda *args: m.checkpoint(run)(*args)


def nested(m):
    """A checkpoint inside of one, and a jit in both."""
    inner = m.checkpoint(m.jit(lambda h: m.np.sin(m.np.cos(h))), policy=m.policies.dots_saveable)
    return m.checkpoint(lambda w, v, x: m.np.sum(inner(inner(x @ w) @ v)))


@pytest.mark.parametrize("make", [scanned, inside_out, nested], ids=lambda f: f.__name__)
def test_compositions(make):
    def all_of(m):
        f = make(m)

        def run(w, v, x):
            g = m.grad(f)
            batch = m.np.stack([x, x * 2.0])
            hessian = m.grad(lambda w: m.np.sum(m.grad(f)(w, v, x) ** 2))(w)
            return (g(w, v, x), m.vmap(g, (None, None, 0))(w, v, batch),
                    m.grad(lambda w: m.np.sum(m.vmap(f, (None, None, 0))(w, v, batch)))(w), hessian,
                    m.jvp(lambda w: g(w, v, x), (w,), (w,)), m.jvp(lambda w: f(w, v, x), (w,), (w,)))

        return m.jit(run)

    close(all_of(Ours)(W, V, X), all_of(Theirs)(W, V, X), rtol=1e-3)


def test_eager_compositions():
    f, g = minijax.checkpoint(network(Ours)), network(Theirs)
    close(minijax.vmap(minijax.grad(f), (None, None, 0))(W, V, np.stack([X, X + 1])),
          jax.vmap(jax.grad(g), (None, None, 0))(W, V, np.stack([X, X + 1])), rtol=1e-3)
    close(minijax.linearize(f, W, V, X)[1](W, V, X), jax.jvp(g, (W, V, X), (W, V, X))[1])


@pytest.mark.parametrize("policy", ["none", "dots_saveable", "save_only_these_names", "save_from_both_policies"])
def test_jax_differentiates_it_alike(policy):
    ours = minijax.jit(minijax.checkpoint(network(Ours), policy=POLICIES[policy](Ours.policies)))
    theirs = jax.checkpoint(network(Theirs), policy=POLICIES[policy](Theirs.policies))

    close(jax.grad(ours)(W, V, X), jax.grad(theirs)(W, V, X))
    assert kept_by_jax(ours, W, V, X) == kept_by_jax(theirs, W, V, X)


def test_names_and_policies_are_part_of_the_language():
    policies = minijax.checkpoint_policies
    function = minijax.grad(minijax.checkpoint(network(Ours), policy=policies.save_from_both_policies(
        policies.save_only_these_names("hidden", "out"), policies.dots_saveable)))
    program = minijax.make_jaxpr(function)(W, V, X)
    for again in (parse(str(program)), from_json(to_json(program))):
        assert same_program(program, again)
    assert "name=hidden" in str(program) and "save_only_these_names" in str(program)


# ---- the function

def test_arguments():
    @minijax.checkpoint(static_argnums=(1,), policy=minijax.checkpoint_policies.nothing_saveable)
    def function(tree, power, *, shift=0.0):
        assert type(power) is int
        return {"sum": jnp.sum(tree["a"] ** power + shift)}

    out = minijax.grad(lambda t: function(t, 3, shift=jnp.float32(1.0))["sum"])({"a": X})
    close(out["a"], 3 * X ** 2)
    assert minijax.remat is minijax.checkpoint and function.__name__ == "function"
    assert minijax.tree.structure(minijax.checkpoint_name({"a": X, "b": 1.0}, "n")) == minijax.tree.structure(
        {"a": 0, "b": 0})


def test_captured_values_are_differentiated():
    def outer(w):
        return jnp.sum(minijax.checkpoint(lambda x: jnp.sin(x @ w))(X))

    close(minijax.grad(outer)(W), jax.grad(lambda w: jax.numpy.sum(jax.numpy.sin(X @ w)))(W))


def test_offloaded_values_lie_in_the_memory_of_the_host():
    policy = minijax.checkpoint_policies.offload_dot_with_no_batch_dims("device", "pinned_host")
    _, pull = minijax.vjp(minijax.checkpoint(network(Ours), policy=policy), W, V, X)
    kinds = {value.value.sharding.memory_kind for _, value, _ in pull.tape.captured.values()
             if value.shape in ((2, 5), (2, 3))}
    assert kinds == {"pinned_host"}


@pytest.mark.parametrize("call, kind, words", [
    (lambda: minijax.checkpoint(3), MinijaxTypeError, ("checkpoint takes a function", "3")),
    (lambda: minijax.checkpoint(network(Ours), policy="dots"), MinijaxTypeError, ("policy", "'dots'", "run")),
    (lambda: minijax.checkpoint(network(Ours), prevent_cse=1), MinijaxTypeError, ("prevent_cse",)),
    (lambda: minijax.checkpoint(network(Ours), static_argnums=7), MinijaxValueError, ("7", "3 positional")),
    (lambda: minijax.checkpoint(network(Ours))(W, V, "x"), MinijaxTypeError, ("argument x", "'x'")),
    (lambda: minijax.checkpoint(lambda x: "y")(X), MinijaxTypeError, ("returned 'y'",)),
    (lambda: minijax.checkpoint_name(X, 3), MinijaxTypeError, ("name", "3")),
])
def test_errors(call, kind, words):
    with mistake(kind, *words):
        call()


@pytest.mark.parametrize("call, kind, words", [
    (lambda p: p.save_only_these_names("a", 3), MinijaxTypeError, ("strings", "3")),
    (lambda p: p.save_from_both_policies(p.dots_saveable, "a"), MinijaxTypeError, ("two policies", "'a'")),
    (lambda p: p.offload_dot_with_no_batch_dims("device", "disk"), MinijaxValueError, ("'disk'", "pinned_host")),
    (lambda p: p.save_and_offload_only_these_names(
        names_which_can_be_saved=["a"], names_which_can_be_offloaded=["a"], offload_src="device",
        offload_dst="pinned_host"), MinijaxValueError, ("['a']",)),
    (lambda p: minijax.grad(minijax.checkpoint(network(Ours), policy=p.save_from_both_policies(
        p.dots_saveable, p.offload_dot_with_no_batch_dims("device", "pinned_host"))))(W, V, X),
     MinijaxValueError, ("Offloadable", "one policy")),
])
def test_errors_of_policies(call, kind, words):
    with mistake(kind, *words, bare=True):
        call(minijax.checkpoint_policies)


# ---- the table of residuals

def held_bytes(pull):
    """Bytes of the arrays that a vjp function holds."""
    return sum(np.asarray(value).nbytes for _, value, _ in pull.tape.captured.values())


@pytest.mark.parametrize("make", [
    lambda m: network(m), lambda m: m.jit(network(m)), lambda m: m.checkpoint(network(m)), scanned, inside_out, nested,
    lambda m: lambda w, v, x: m.np.sum(m.lax.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, m.np.sin(c[1])), (
        0, x @ w))[1])], ids=range(7))
def test_the_total_is_what_vjp_holds(make):
    args = [jnp.asarray(a) for a in (W, V, X)]
    _, pull = minijax.vjp(make(Ours), *args)
    rows = minijax.saved_residuals(make(Ours), *args)
    total = sum(row.nbytes for row in rows)
    assert total == held_bytes(pull) > 0
    table = residual_table(rows)
    assert table.splitlines()[-1].split() == ["total", f"{total:,}"] and len(table.splitlines()) == len(rows) + 2


def test_the_columns(capsys):
    def function(x):
        y = jnp.sin(x)
        return jnp.sum(minijax.jit(jnp.cos)(y) * y)

    minijax.print_saved_residuals(function, X)
    head, *rows, total = capsys.readouterr().out.splitlines()
    assert head.split("  ")[0] == "value" and total.split() == ["total", "128"]
    line = function.__code__.co_firstlineno
    assert any(row.startswith("cos ") and f"test_checkpoint.py:{line + 1}" in row and "linearize of sin" in row
               and f"mul at test_checkpoint.py:{line + 1}" in row and "32" in row for row in rows), rows
    found = ad_checkpoint.saved_residuals(lambda x, y: x * y, X, X)
    assert sorted((row.value, row.asked_by, row.used_by.op.name) for row in found) == [
        ("argument x", "linearize of mul", "mul"), ("argument y", "linearize of mul", "mul")]
