"""Collectives under vmap(axis_name=...) against JAX's: values, derivatives, nested names, held programs, errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import minijax
from minijax import config, lax
from minijax.errors import MinijaxValueError, ShapeError, UnboundAxisError

X = np.random.default_rng(0).normal(size=(4, 4, 2)).astype(np.float32)
LINEAR = {
    "psum": lambda lax, x: lax.psum(x, "i"),
    "psum_axes": lambda lax, x: lax.psum(x, ("i", 0)),
    "pmean": lambda lax, x: lax.pmean(x, "i"),
    "gather": lambda lax, x: lax.all_gather(x, "i", axis=1),
    "gather_tiled": lambda lax, x: lax.all_gather(x, "i", axis=-1, tiled=True),
    "scatter": lambda lax, x: lax.psum_scatter(x, "i"),
    "scatter_tiled": lambda lax, x: lax.psum_scatter(lax.concatenate([x, x], 0), "i", tiled=True),
    "exchange": lambda lax, x: lax.all_to_all(x, "i", 0, 1),
    "exchange_tiled": lambda lax, x: lax.all_to_all(x, "i", 0, 1, tiled=True),
    "swap": lambda lax, x: lax.pswapaxes(x, "i", 0),
    "permute": lambda lax, x: lax.ppermute(x, "i", [(0, 1), (1, 2), (2, 3), (3, 0)]),
    "shuffle": lambda lax, x: lax.pshuffle(x, "i", [3, 0, 2, 1]),
    "index": lambda lax, x: x * lax.convert_element_type(lax.axis_index("i"), np.float32),
    "size": lambda lax, x: x * lax.axis_size("i") * lax.psum(1, "i"),
    "of_constant": lambda lax, x: x + lax.psum(np.ones((4, 2), np.float32), "i"),
    "max": lambda lax, x: x * lax.pmax(lax.stop_gradient(x), "i") - lax.pmin(lax.stop_gradient(x), ("i", 0)),
    "tree": lambda lax, x: lax.psum({"a": x, "b": (2 * x,)}, "i")["b"][0],
}

JAX_FAILS = {("scatter", "vmap inside"),
             *(("exchange", order) for order in ("grad inside", "grad of jit", "twice"))}


def same(ours, theirs):
    for mine, other in zip(jax.tree.leaves(jax.tree.map(np.asarray, ours)), jax.tree.leaves(theirs), strict=True):
        assert (mine.shape, mine.dtype) == (other.shape, other.dtype)
        np.testing.assert_allclose(mine, other, rtol=1e-5, atol=1e-5)


def programs(mj, np_, lax, f):
    """What to do with a collective: map it, with the batch axis elsewhere, and differentiate inside and outside."""
    def loss(x):
        return np_.sum(np_.sin(f(lax, x)) * np_.cos(np_.arange(2.0)[1]))

    over = mj.vmap(lambda x: f(lax, x), axis_name="i")
    return {
        "value": over, "jit": mj.vmap(mj.jit(lambda x: f(lax, x)), axis_name="i"),
        "last": mj.vmap(lambda x: f(lax, x), in_axes=1, out_axes=-1, axis_name="i"),
        "vmap inside": mj.vmap(mj.vmap(lambda x: f(lax, x), in_axes=-1), in_axes=0, axis_name="i"),
        "vmap outside": mj.vmap(lambda x: over(x)),
        "grad inside": mj.vmap(mj.grad(loss), axis_name="i"),
        "grad outside": mj.grad(lambda x: np_.sum(np_.sin(over(x)))),
        "jvp": lambda x: mj.jvp(over, (x,), (np_.cos(x),))[1],
        "grad of jit": mj.vmap(mj.grad(mj.jit(loss)), axis_name="i"),
        "twice": mj.vmap(lambda x: mj.jvp(mj.grad(loss), (x,), (x,))[1], axis_name="i"),
    }


@pytest.mark.parametrize("name", LINEAR)
def test_against_jax(name):
    f = LINEAR[name]
    x = {"vmap inside": np.stack([X, 2 * X], -1), "vmap outside": np.stack([X, -X])}
    ours, theirs = programs(minijax, minijax.numpy, lax, f), programs(jax, jnp, jax.lax, f)
    expected = jax.jit(lambda: {k: p(x.get(k, X)) for k, p in theirs.items() if (name, k) not in JAX_FAILS})()
    with config.override("evaluator", "numpy"):
        for k in expected:
            same(ours[k](x.get(k, X)), expected[k])


def test_compiled_and_staged():
    def normalized(mj, lax):
        return mj.jit(mj.vmap(lambda x: (x - lax.pmean(x, "i")) / lax.psum(x * x, "i"), axis_name="i"))

    same(normalized(minijax, lax)(X), normalized(jax, jax.lax)(X))
    jaxpr = minijax.make_jaxpr(minijax.vmap(minijax.jit(lambda x: lax.psum(x, "i")), axis_name="i"))(X)
    assert "psum" not in str(jaxpr) and "reduce_sum" in str(jaxpr)


def test_nested_names():
    def both(mj, lax):
        def f(x):
            total = lax.psum(x, ("i", "j"))
            return total, lax.psum(x, "i"), lax.axis_index(("i", "j")), lax.axis_index("j"), lax.pmax(x, ("j", "i"))

        return mj.vmap(mj.vmap(f, axis_name="j"), axis_name="i")

    same(both(minijax, lax)(X), both(jax, jax.lax)(X))
    inner = minijax.vmap(minijax.vmap(lambda x: lax.psum(x, "i"), axis_name="i"), axis_name="i")  # the inner one counts
    same(inner(X), np.broadcast_to(X.sum(1, keepdims=True), X.shape))


def test_programs_whose_arguments_are_not_batched():
    @minijax.jit
    def place():
        return lax.axis_index("i")

    def control(mj, lax):
        def f(x):
            where = lax.axis_index("i")
            chosen = lax.cond(where > 1, lambda y: lax.psum(y, "i"), lambda y: y, x)
            carry, ys = lax.scan(lambda c, _: (c + lax.axis_index("i"), lax.psum(c, "i")), np.int32(0), None, length=3)
            return chosen, carry, ys, lax.fori_loop(0, 2, lambda k, v: v + lax.psum(v, "i"), x)

        return mj.vmap(f, axis_name="i")

    np.testing.assert_array_equal(minijax.vmap(lambda x: place(), axis_name="i")(X), range(4))
    same(control(minijax, lax)(X), control(jax, jax.lax)(X))


def test_a_jitted_function_is_traced_for_each_size_of_the_axis():
    gathered = minijax.jit(lambda x: lax.all_gather(x, "i"))
    for size in (2, 3):
        assert minijax.vmap(gathered, axis_name="i")(X[:size]).shape == (size, size, 4, 2)
    with pytest.raises(UnboundAxisError):
        gathered(X)


def test_partial_permutation_sends_zeros():
    out = minijax.vmap(lambda x: lax.ppermute(x, "i", [(0, 2), (3, 1)]), axis_name="i")(X)
    np.testing.assert_array_equal(out, [0 * X[0], X[3], X[0], 0 * X[0]])


def test_extrema_have_derivatives():
    x = np.float32([1, 3, 3, 2])
    slope = minijax.vmap(minijax.grad(lambda x: lax.pmax(x, "i")), axis_name="i")(x)
    same(slope, np.float32([0, 2, 2, 0]))  # each of the four results sends its share
    tangent = minijax.jvp(minijax.vmap(lambda x: lax.pmin(x, "i"), axis_name="i"), (x,), (x,))[1]
    same(tangent, np.float32([1, 1, 1, 1]))


def test_custom_rules_may_use_collectives():
    @minijax.custom_jvp
    def f(x):
        return lax.psum(x, "i")

    f.defjvp(lambda primals, tangents: (f(*primals), 3 * lax.psum(tangents[0], "i")))
    total = 3 * np.broadcast_to(X.sum(0), X.shape)
    same(minijax.jvp(minijax.vmap(f, axis_name="i"), (X,), (X,))[1], total)
    same(minijax.vmap(lambda x: minijax.jvp(f, (x,), (x,))[1], axis_name="i")(X), total)


def test_reverse_rules_and_checkpoint_may_use_collectives():
    def both(mj, lax, np_, X):
        @mj.custom_vjp
        def f(x):
            return lax.psum(np_.sin(x), "i")

        f.defvjp(lambda x: (f(x), x), lambda x, ct: (2 * np_.cos(x) * lax.psum(ct, "i"),))
        remat = mj.checkpoint(lambda x: np_.sin(lax.pmean(x, "i")) * x)
        over = mj.vmap(lambda x: (f(x), remat(x)), axis_name="i")
        return (mj.grad(lambda x: np_.sum(over(x)[0] * mj.lax.stop_gradient(x)))(X),
                mj.grad(lambda x: np_.sum(over(x)[1]))(X),
                mj.vmap(mj.grad(lambda x: np_.sum(f(x) * remat(x))), axis_name="i")(X))

    ours, theirs = both(minijax, lax, minijax.numpy, X), jax.jit(lambda x: both(jax, jax.lax, jnp, x))(X)
    same(ours[1:], theirs[1:])
    same(ours[0], 2 * np.cos(X) * X.sum(0))  # JAX's is four times that: it takes one cotangent for all examples


def test_ragged_exchange():
    rows = np.float32([[1, 2, 3, 0], [4, 5, 6, 7]])
    starts, sizes, targets = np.int32([[0, 1], [0, 3]]), np.int32([[1, 2], [3, 1]]), np.int32([[0, 0], [1, 2]])

    def send(x, start, size, target):
        return lax.ragged_all_to_all(x, np.full(4, -1, np.float32), start, size, target, size, axis_name="i")

    np.testing.assert_array_equal(minijax.vmap(send, axis_name="i")(rows, starts, sizes, targets),
                                  [[1, 4, 5, 6], [2, 3, 7, -1]])


def test_broadcast_from_one():
    np.testing.assert_array_equal(minijax.vmap(lambda x: lax.pbroadcast(x, "i", 2), axis_name="i")(X), [X[2]] * 4)


@pytest.mark.parametrize("f, error, text", [
    (lambda x: lax.psum(x, "k"), UnboundAxisError, r"no mapped axis named 'k' here .*Those around are 'i'"),
    (lambda x: lax.axis_index("k"), NameError, "vmap"),
    (lambda x: lax.all_to_all(x, "i", 1, 0), ShapeError, r"f32\[4,2\] needs an axis 1 of the 4 examples"),
    (lambda x: lax.psum_scatter(x, "i", scatter_dimension=1, tiled=True), MinijaxValueError, "into 4 equal blocks"),
    (lambda x: lax.ppermute(x, "i", [(0, 1), (0, 2)]), MinijaxValueError, "each source and each destination once"),
    (lambda x: lax.pshuffle(x, "i", [0, 0, 1, 2]), MinijaxValueError, "each of the 4 examples once"),
    (lambda x: lax.psum(x, "i", axis_index_groups=[[0, 1], [2]]), MinijaxValueError, "of equal size and name each"),
    (lambda x: lax.psum(x, ("i", "i"), axis_index_groups=[[0, 1], [2, 3]]), MinijaxValueError, "split one axis"),
    (lambda x: lax.all_gather(x, "i", to="reduced"), MinijaxValueError, "to='reduced'.*Leave it out"),
    (lambda x: lax.all_gather(x, ("i", "k")), UnboundAxisError, "no mapped axis named 'k'"),
])
def test_errors(f, error, text):
    with config.override("evaluator", "numpy"), pytest.raises(error, match=text):
        minijax.vmap(f, axis_name="i")(X)


def test_no_axis_at_all():
    with pytest.raises(UnboundAxisError, match="None around has a name"):
        lax.psum(X, "i")
