"""The bridge's far corners: named axes, samplers, references, sparse arrays, and what it refuses and why."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.experimental import sparse

import minijax
import minijax.numpy as mnp
from minijax import config
from minijax.errors import JaxprSyntaxError, MinijaxTypeError, MinijaxValueError, MissingRuleError
from minijax.interop import from_jax, to_jax
from minijax.interpreters.evaluate import run_program

X = np.random.default_rng(0).normal(size=(3, 3)).astype(np.float32)
STACK = np.stack([X, 2 * X])


def agree(ours, theirs, rtol=1e-4):
    """Both pytrees have the same leaves, to rounding."""
    theirs, ours = jax.tree.leaves(theirs), minijax.tree.leaves(ours)
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs, strict=True):
        mine, other = np.asarray(mine), np.asarray(other)
        assert mine.dtype == other.dtype
        np.testing.assert_allclose(mine, other, rtol=rtol, atol=1e-5)


# ---- named axes

COLLECTIVES = {
    "psum": lambda x: lax.psum(x, "i"),
    "psum over two": lambda x: lax.psum(x, ("i", "j")) * x,
    "psum of an axis": lambda x: lax.psum(x, ("i", 0)),
    "psum of bools": lambda x: lax.psum(x > 0, "i") * x,
    "pmean": lambda x: x - lax.pmean(x, "j"),
    "all_gather": lambda x: lax.all_gather(x, "i"),
    "tiled all_gather": lambda x: lax.all_gather(x, "i", axis=0, tiled=True),
    "psum_scatter": lambda x: lax.psum_scatter(x, "i"),
    "tiled psum_scatter": lambda x: lax.psum_scatter(jnp.concatenate([x, 2 * x]), "i", tiled=True),
    "ppermute": lambda x: lax.ppermute(x, "i", [(0, 1), (1, 2), (2, 0)]),
    "pshuffle": lambda x: lax.pshuffle(x, "i", [2, 0, 1]),
    "all_to_all": lambda x: lax.all_to_all(x, "i", 0, 0),
    "tiled all_to_all": lambda x: lax.all_to_all(x, "i", 0, 0, tiled=True),
    "axis_index": lambda x: x * lax.axis_index("i") + lax.axis_index(("i", "j")),
    "axis_size": lambda x: x * lax.axis_size("j"),
}


def mapped(m, f):
    return m.vmap(m.vmap(f, axis_name="i"), axis_name="j")


def test_collectives():
    def everything(m, functions):
        return lambda x: [mapped(m, f)(x) for f in functions]

    def total(m, functions):
        return lambda x: sum((out ** 2).sum() for out in everything(m, functions)(x))

    theirs, ours = list(COLLECTIVES.values()), [from_jax(f) for f in COLLECTIVES.values()]
    agree(minijax.jit(everything(minijax, ours))(STACK), jax.jit(everything(jax, theirs))(STACK))
    agree(minijax.jit(minijax.grad(total(minijax, ours)))(STACK), jax.jit(jax.grad(total(jax, theirs)))(STACK))


def test_extrema_over_an_axis():
    f = lambda x: (lax.pmax(x, "i"), lax.pmin(x, "i"))  # noqa: E731
    agree(minijax.vmap(from_jax(f), axis_name="i")(X), jax.vmap(f, axis_name="i")(X))


@jax.custom_vjp
def own_vjp(x):
    return lax.psum(x, "i") * x


own_vjp.defvjp(lambda x: (own_vjp(x), (x,)), lambda saved, ct: (lax.psum(ct, "i") * saved[0] * 3,))


@jax.custom_jvp
def own_jvp(x):
    return lax.psum(x, "i") * x


own_jvp.defjvp(lambda primals, tangents: (own_jvp(*primals), lax.psum(tangents[0], "i") * primals[0] * 3))
HOLDERS = [own_vjp, own_jvp, jax.jit(lambda x: x / lax.psum(x, "i")),
           jax.checkpoint(lambda x: jnp.sin(lax.psum(x, "i") * x)),
           lambda x: lax.scan(lambda c, y: (c + lax.psum(y, "i"), c * y), x[0], x)[1],
           lambda x: lax.cond(x[0] > 0, lambda x: x * 2, lambda x: x - lax.psum(x, "i"), x),
           lambda x: lax.fori_loop(0, 3, lambda i, c: c * lax.pmean(c, "i"), x)]


def test_collectives_in_held_programs():
    def slopes(m, functions):
        return lambda x: [[m.vmap(m.grad(lambda x: (f(x) ** 2).sum()), axis_name="i")(x),
                           m.grad(lambda x: (m.vmap(f, axis_name="i")(x) ** 2).sum())(x)] for f in functions]

    agree(minijax.jit(slopes(minijax, [from_jax(f) for f in HOLDERS]))(X), jax.jit(slopes(jax, HOLDERS))(X))


def test_one_bridge_under_axes_of_several_sizes():
    f = lambda x: x / lax.psum(1, "i")  # noqa: E731
    ours = from_jax(f)
    for rows in (X, X[:2]):
        agree(minijax.vmap(ours, axis_name="i")(rows), jax.vmap(f, axis_name="i")(rows))
    with pytest.raises(NameError, match="unbound axis name"):
        ours(X)


# ---- samplers

SHAPE = np.float32([0.3, 1.0, 5.0, 0.01])
KEY = jax.random.key(3)


def test_random_gamma():
    def f(a):
        draws = jax.random.gamma(KEY, a), jax.random.loggamma(jax.random.key(4), a[:3])
        return jnp.sum(draws[0] ** 2) + jnp.sum(draws[1]), draws

    agree(minijax.jit(minijax.value_and_grad(from_jax(f), has_aux=True))(SHAPE),
          jax.jit(jax.value_and_grad(f, has_aux=True))(SHAPE))


# ---- implemented by others

def test_a_primitive_with_an_implementation_needs_no_rule():
    twice = jax.extend.core.Primitive("twice_and_more")
    twice.def_abstract_eval(lambda x, **_: x)
    twice.def_impl(lambda x, more: jnp.sin(x) * 2 + more)
    agree(minijax.grad(lambda x: from_jax(lambda x: twice.bind(x, more=1.0))(x).sum())(X), 2 * np.cos(X))


def test_sparse_arrays():
    f = lambda x: jnp.sum(sparse.BCOO.fromdense(x, nse=9).todense() * x)  # noqa: E731
    agree(minijax.jit(minijax.value_and_grad(from_jax(f)))(X), jax.jit(jax.value_and_grad(f))(X))


def test_products_of_sparse_arrays():
    f = lambda x, y: ((sparse.BCOO.fromdense(x, nse=11).T @ y) ** 2).sum()  # noqa: E731
    agree(minijax.jit(minijax.grad(from_jax(f), (0, 1)))(X, X[:, :2]), jax.jit(jax.grad(f, (0, 1)))(X, X[:, :2]))
    places, stack = np.int32([[0, 1], [2, 2], [1, 0], [3, 0]]), np.stack([X, 2 * X])
    inner, batches = (((1,), (0,)), ((), ())), (((2,), (1,)), ((0,), (0,)))

    def products(x):  # of dense rows, of batches, of one batch of places for several, of BCSR
        return (sparse.bcoo_dot_general(sparse.BCOO.fromdense(x, n_dense=1, nse=3), x,
                                        dimension_numbers=(((0,), (0,)), ((), ()))),
                sparse.bcoo_dot_general(sparse.BCOO.fromdense(stack, n_batch=1, nse=9), x * stack,
                                        dimension_numbers=batches),
                sparse.bcoo_dot_general(sparse.BCOO((x[:2, :1], places[None, :1]), shape=(2, 3, 3)), x,
                                        dimension_numbers=(((2,), (0,)), ((), ()))),
                sparse.bcsr_dot_general(sparse.BCSR.fromdense(x, nse=11), x, dimension_numbers=inner),
                sparse.bcsr_dot_general(sparse.BCSR.fromdense(stack, n_batch=1, nse=9), x * stack,
                                        dimension_numbers=batches))

    agree(minijax.jit(from_jax(products))(X), jax.jit(products)(X))


# ---- references

def with_references(x, i):
    ref = jax.new_ref(x)
    ref[i] = x[1] * 2
    ref[0:2] += 1.0
    columns, part = ref[:, jnp.array([0, 1])], ref[jax.ds(i, 2), 1]
    jax.ref.addupdate(ref, (0,), x[0])
    ref[jax.ds(i, 2), 0] = x[:2, 2] ** 2
    return columns, part, jax.jit(lambda: ref[...] * 2)(), jax.ref.freeze(ref)


def test_references():
    ours = from_jax(with_references)
    agree(ours(X, 1), with_references(X, 1))
    total = lambda f: lambda x: sum((out ** 2).sum() for out in f(x, 1))  # noqa: E731
    agree(minijax.jit(minijax.grad(total(ours)))(X), jax.jit(jax.grad(total(with_references)))(X))


def test_references_in_loops_are_refused():
    def f(x):
        ref = jax.new_ref(x)
        lax.fori_loop(0, 2, lambda i, c: (ref.__setitem__(i, ref[i] * 2), c)[1], 0)
        return ref[...]

    with pytest.raises(MissingRuleError, match="a mutable reference goes into JAX's '(scan|while)' at .*test_bridge"):
        from_jax(f)(X)


# ---- calls with a meaning

def test_linear_call():
    def f(x, t):
        return jax.custom_derivatives.linear_call(lambda r, t: r * t, lambda r, ct: r * ct * 2, x, t)

    ours = from_jax(f)
    agree(ours(X, X), f(X, X))
    agree(minijax.jvp(lambda t: ours(X, t), (X,), (X,)), jax.jvp(lambda t: f(X, t), (X,), (X,)))
    agree(minijax.grad(lambda t: ours(X, t).sum())(X), jax.grad(lambda t: f(X, t).sum())(X))
    agree(minijax.vmap(minijax.grad(lambda t, x: ours(x, t).sum()))(X, X), 2 * X)


def test_composite():
    f = from_jax(lambda x: lax.composite(lambda x: jnp.sin(x) * x, "my.layer")(x))
    eqn, = minijax.make_jaxpr(f)(X).eqns
    assert eqn.op.name == "jit" and eqn.params["name"] == "my.layer"
    agree(minijax.grad(lambda x: f(x).sum())(X), np.cos(X) * X + np.sin(X))


def test_custom_vjp_that_makes_remat_cheaper():
    f = jax.custom_vjp(lambda x: x * 2)
    f.defvjp(lambda x: (x * 2, x), lambda x, ct: (ct * x,), optimize_remat=True)
    agree(minijax.grad(lambda x: from_jax(f)(x).sum())(X), jax.grad(lambda x: f(x).sum())(X))
    agree(from_jax(lambda x: jax.vjp(f, x)[0])(X), 2 * X)


def test_what_only_marks():
    def f(x):
        lax.dce_sink(x)
        token = lax.after_all(lax.create_token())
        del token
        return x + 0 * lax.empty((3,), jnp.float32)

    agree(from_jax(f)(X), X)


def test_bits_by_counters():
    with jax.threefry_partitionable(True):
        f = lambda x: x * jax.random.uniform(jax.random.key(0), (3, 3))  # noqa: E731
        agree(from_jax(f)(X), f(X))


@pytest.mark.parametrize("dtype", ["int32", "uint8", "float32"])
def test_windows_of_integers(dtype):
    x = np.random.default_rng(0).integers(0, 9, (4, 6)).astype(dtype)
    f = functools.partial(lax.select_and_scatter_add_p.bind, select_prim=lax.ge_p, window_dimensions=(2, 2),
                          window_strides=(1, 1), padding=((0, 0), (0, 0)))
    ours, source = from_jax(lambda s, x: f(s, x)), np.full((3, 5), 2, dtype)
    agree(minijax.jit(ours)(source, x), jax.jit(lambda s, x: f(s, x))(source, x))
    with config.override("evaluator", "numpy"):
        agree(ours(source, x), jax.jit(lambda s, x: f(s, x))(source, x))


# ---- refusals

@jax.custom_vjp
def reverse_only(x):
    return x * 2


reverse_only.defvjp(lambda x: (x * 2, x), lambda x, ct: (ct * x,))


@pytest.mark.parametrize("f, reason", [
    (lambda x: jax.linearize(reverse_only, x)[1](x), "'custom_lin' at .*test_bridge.*custom_jvp"),
    (lambda x: jax.export.export(jax.jit(jnp.sin))(x).call(x), "'call_exported'.*compiled code"),
    (lambda x: sparse.CSR.fromdense(x, nse=9) @ x, "'csr_fromdense'.*BCSR, or register"),
    (lambda x: x + jax.random.normal(jax.random.key(0, impl="rbg"), (3, 3)), "keys of the kind 'rbg'")])
def test_refusals_say_why(f, reason):
    with pytest.raises(MissingRuleError, match=reason):
        from_jax(f)(X)


# ---- programs that are kept

def test_a_kept_program_holds_no_value_of_a_trace_of_jax():
    table = np.arange(3, dtype=np.float32)
    inner = minijax.jit(lambda x: minijax.lax.mul(x, minijax.lax.rev(table, (0,))))
    agree(minijax.jit(lambda x: inner(x))(table), table * table[::-1])
    agree(minijax.jit(lambda x: inner(x) + 1)(table), table * table[::-1] + 1)
    agree(jax.grad(to_jax(lambda x: inner(x).sum()))(table), table[::-1])


# ---- details of lax and numpy

@pytest.mark.parametrize("pair", [(lambda x: 1.0, lambda x: x), (lambda x: x, lambda x: 1.0)])
def test_branches_that_differ_in_weakness(pair):
    def f(m):
        return m.make_jaxpr(lambda p, x: m.lax.cond(p, *pair, x))(True, np.float32(2))

    ours = f(minijax).out_types[0]
    assert (ours.dtype, ours.weak_type) == (f(jax).out_avals[0].dtype, f(jax).out_avals[0].weak_type)
    agree(minijax.lax.cond(True, *pair, np.float32(2)), jax.lax.cond(True, *pair, np.float32(2)))
    slope = jax.grad(lambda x: lax.cond(True, *pair, x))(2.0)
    agree(minijax.grad(lambda x: minijax.lax.cond(True, *pair, x))(2.0), slope)


@pytest.mark.parametrize("args", [([1 + 1j], 0, 1), ([1.0], 0j, 1), ([1.0], None, 1j)])
def test_complex_numbers_are_not_clipped(args):
    for numpy in (jnp, mnp):
        with pytest.raises(ValueError, match="omplex"):
            numpy.clip(numpy.array(args[0]), *args[1:])
    assert issubclass(MinijaxValueError, ValueError)


def test_markers():
    ours = minijax.lax
    layer = ours.composite(lambda x, *, power: x ** power, "my.power", version=2)
    agree(minijax.jit(minijax.grad(lambda x: layer(x, power=3).sum()))(X), 3 * X ** 2)
    assert minijax.make_jaxpr(lambda x: layer(x, power=2))(X).eqns[0].params["name"] == "my.power.v2"
    agree(ours.shape_as_value((2, 3)), lax.shape_as_value((2, 3)))
    assert ours.after_all(ours.create_token(), X).shape == (0,)
    assert ours.stage(X) is X
    for bad in (lambda: ours.composite(3, "name"), lambda: ours.composite(abs, 3), lambda: ours.composite(abs, "")):
        with pytest.raises(MinijaxTypeError):
            bad()


# ---- text that names Python objects

def test_text_with_rules_and_callbacks_is_read_with_what_it_names():
    @minijax.custom_jvp
    def tenfold(x):
        return x * x

    @tenfold.defjvp
    def tenfold_jvp(primals, tangents):
        return tenfold(*primals), 10.0 * tangents[0]

    program = minijax.make_jaxpr(lambda x: tenfold(x) + minijax.pure_callback(np.sin, x, x))(np.float32(2))
    named = {value.__name__: value for eqn in program.eqns for value in eqn.params.values() if callable(value)}
    read = minijax.parse(str(program), objects=named)
    assert str(read) == str(program)
    agree(run_program(read, np.float32(2)), [np.float32(4 + np.sin(2))])
    only_rule = minijax.make_jaxpr(tenfold)(np.float32(2))
    read = minijax.parse(str(only_rule), objects=named)
    agree(minijax.grad(lambda x: run_program(read, x)[0])(2.0), np.float32(10))
    with pytest.raises(JaxprSyntaxError, match=r"<callable \w+> stands for .* objects="):
        minijax.parse(str(program))


# ---- programs over devices ----

def on_devices():
    """Functions (w, x) of JAX's that run on eight devices."""
    P = jax.sharding.PartitionSpec
    mesh = jax.make_mesh((8,), ("i",), (jax.sharding.AxisType.Auto,))
    specs = {"mesh": mesh, "in_specs": (P(), P("i")), "out_specs": P()}
    yield jax.pmap(lambda w, x: jax.lax.pmean(jnp.sin(x * w), "i") * x, axis_name="i", in_axes=(None, 0))
    for check in (True, False):
        def loss(w, x):
            return jax.lax.psum(((x * w) ** 2).sum(), "i")

        yield jax.shard_map(loss, check_vma=check, **specs)
        yield jax.shard_map(jax.grad(loss), check_vma=check, **specs)


@pytest.mark.parametrize("number", range(5))
def test_programs_over_devices(number):
    f, w, x = list(on_devices())[number], 0.5, np.arange(32, dtype=np.float32).reshape(8, 4) / 10
    ours = from_jax(f)
    np.testing.assert_allclose(np.asarray(ours(w, x)), f(w, x), rtol=1e-5)
    np.testing.assert_allclose(np.asarray(minijax.grad(lambda w: ours(w, x).sum())(w)),
                               jax.grad(lambda w: f(w, x).sum())(w), rtol=1e-5)


def test_jax_over_our_programs_on_devices():
    x = np.arange(32, dtype=np.float32).reshape(8, 4) / 10
    ours = minijax.pmap(lambda w, x: minijax.lax.pmean(w * x, "i") * x, "i", in_axes=(None, 0))
    f = to_jax(ours)
    np.testing.assert_allclose(jax.grad(lambda w: f(w, x).sum())(0.5),
                               np.asarray(minijax.grad(lambda w: ours(w, x).sum())(0.5)), rtol=1e-5)
    assert len(jax.jit(f)(0.5, x).sharding.device_set) == 8


@pytest.mark.parametrize("namespace, name, arguments", [
    ("numpy", "percentile", (X, 30.0)), ("nn", "dot_product_attention", (X[None, None],) * 3)])
def test_names_that_only_jax_has_point_to_the_bridge_and_come_over_it(namespace, name, arguments):
    theirs = getattr(getattr(jax, namespace), name)
    with pytest.raises(AttributeError, match=rf"use\s+minijax.interop.from_jax\(jax.{namespace}.{name}\)"):
        getattr(getattr(minijax, namespace), name)
    agree(from_jax(theirs)(*arguments), theirs(*arguments))
