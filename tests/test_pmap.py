"""pmap: the same program on JAX, on one device (vmap) and with NumPy; values, derivatives, compositions."""

import jax
import numpy as np
import pytest

import minijax
import minijax.numpy as jnp
from minijax import config, lax
from minijax.interop.pieces import placed
from minijax.sharding import NamedSharding, P, set_mesh, shard_map, with_sharding_constraint

N = 8
X = np.random.RandomState(0).randn(N, 4).astype("float32")
W = np.random.RandomState(1).randn(4).astype("float32")
RING = [(i, (i + 1) % N) for i in range(N)]
GROUPS = [[0, 3, 5, 1], [2, 4, 6, 7]]

# Twelve ways in which devices depend on each other: functions of (the library, shared weights, one example).
PATTERNS = {
    "no collective": lambda np, lax, w, x: np.sin(x * w),
    "psum of the loss": lambda np, lax, w, x: lax.psum((x @ w) ** 2, "i"),
    "pmean of a product": lambda np, lax, w, x: lax.pmean(x * w, "i") * x,
    "pmax": lambda np, lax, w, x: lax.pmax(x * w, "i") * w,
    "softmax over devices": lambda np, lax, w, x: np.exp(x * w) / lax.psum(np.exp(x * w), "i"),
    "all_gather": lambda np, lax, w, x: np.tanh(lax.all_gather(x * w, "i")).sum(0) * x,
    "psum_scatter": lambda np, lax, w, x: lax.psum_scatter(np.outer(np.arange(8.0), x * w), "i") ** 2,
    "all_to_all": lambda np, lax, w, x: lax.all_to_all(np.outer(np.arange(8.0), np.sin(x * w)), "i", 0, 0),
    "ring": lambda np, lax, w, x: lax.ppermute(x * w, "i", RING) * x,
    "axis_index": lambda np, lax, w, x: x * w * lax.axis_index("i"),
    "groups": lambda np, lax, w, x: lax.psum(np.sin(x * w), "i", axis_index_groups=GROUPS) * x,
    "normalization": lambda np, lax, w, x: (x - lax.pmean(x, "i")) * (lax.pmean(x ** 2, "i") + 1.0) ** -0.5 * w,
}


def close(ours, theirs, tolerance=2e-5):
    for x, y in zip(minijax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        x, y = np.asarray(x), np.asarray(y)
        assert x.shape == y.shape and x.dtype == y.dtype
        np.testing.assert_allclose(x, y, tolerance, tolerance)


def mapped(pattern, transform, library, lax_of_library):
    """The pattern under `pmap` or `vmap`, its weights shared by all."""
    return transform(lambda w, x: pattern(library, lax_of_library, w, x), axis_name="i", in_axes=(None, 0))


def weighted(f, sum):
    """A scalar that depends on every element of f(w, x) in another way."""
    def loss(w, x):
        y = f(w, x)
        return sum(y * (0.1 * np.arange(y.size, dtype="float32").reshape(y.shape) - 1.0))

    return loss


@pytest.mark.parametrize("name", PATTERNS)
def test_gradient_is_that_of_one_device(name):
    ours = mapped(PATTERNS[name], minijax.pmap, jnp, lax)
    one_device = mapped(PATTERNS[name], minijax.vmap, jnp, lax)
    theirs = mapped(PATTERNS[name], jax.pmap, jax.numpy, jax.lax)
    close(ours(W, X), theirs(W, X))
    close(ours(W, X), one_device(W, X))
    gradients = minijax.grad(weighted(ours, jnp.sum), (0, 1))(W, X)
    close(gradients, minijax.grad(weighted(one_device, jnp.sum), (0, 1))(W, X))
    if name != "pmax":  # JAX has no derivative of it
        close(gradients, jax.grad(weighted(theirs, jax.numpy.sum), (0, 1))(W, X))
    close(minijax.jit(minijax.grad(weighted(ours, jnp.sum), (0, 1)))(W, X), gradients)


@pytest.mark.parametrize("name", PATTERNS)
def test_gradient_inside_is_that_of_jax(name):
    def inside(transform, library, lax_of_library, grad):
        def gradient(w, x):
            return grad(lambda w, x: (PATTERNS[name](library, lax_of_library, w, x) ** 2).sum(), (0, 1))(w, x)

        return transform(gradient, axis_name="i", in_axes=(None, 0))

    ours = inside(minijax.pmap, jnp, lax, minijax.grad)(W, X)
    close(ours, inside(minijax.vmap, jnp, lax, minijax.grad)(W, X))
    if name != "pmax":
        close(ours, inside(jax.pmap, jax.numpy, jax.lax, jax.grad)(W, X))


@pytest.mark.parametrize("name", ["softmax over devices", "psum of the loss", "ring", "normalization"])
def test_second_derivatives_jvp_and_vmap(name):
    ours = mapped(PATTERNS[name], minijax.pmap, jnp, lax)
    one_device = mapped(PATTERNS[name], minijax.vmap, jnp, lax)
    close(minijax.jvp(ours, (W, X), (W, X)), minijax.jvp(one_device, (W, X), (W, X)))
    close(minijax.hessian(weighted(ours, jnp.sum))(W, X), minijax.hessian(weighted(one_device, jnp.sum))(W, X), 1e-4)
    both = np.stack([W, 2 * W])
    close(minijax.vmap(ours, (0, None))(both, X), minijax.vmap(one_device, (0, None))(both, X))
    close(minijax.vmap(minijax.grad(weighted(ours, jnp.sum)), (0, None))(both, X),
          minijax.vmap(minijax.grad(weighted(one_device, jnp.sum)), (0, None))(both, X))


@pytest.mark.parametrize("name", PATTERNS)
def test_numpy_meaning(name):
    ours = mapped(PATTERNS[name], minijax.pmap, jnp, lax)
    compiled = ours(W, X)
    with config.override("evaluator", "numpy"):
        close(ours(W, X), compiled)


def test_axes_of_arguments_and_results():
    x = X.T  # the mapped axis last
    f = minijax.pmap(lambda tree, y: {"sum": tree["a"] + y, "mean": lax.pmean(y, "i")}, "i",
                     in_axes=({"a": 1}, None), out_axes={"sum": -1, "mean": None})
    out = f({"a": x}, 2.0)
    close(out, {"sum": x + 2, "mean": np.float32(2)})
    assert out["sum"].sharding.spec == jax.sharding.PartitionSpec(None, "i")
    assert len(out["sum"].addressable_shards) == N and out["mean"].shape == ()
    close(minijax.pmap(lambda x, *, k: x * k)(X, k=X), X * X)


def test_loops_and_branches_on_devices():
    def f(w, x):
        w, rows = lax.scan(lambda c, t: (c * t.sum(), lax.psum(c * t, "i")), w, x.reshape(2, 2))
        w = lax.while_loop(lambda c: c < 9.0, lambda c: c * 2.0 + 1.0, w ** 2)
        return lax.cond(x[0] > 0, lambda: w * rows.sum(), lambda: w + x[1])

    loss = weighted(minijax.pmap(f, "i", in_axes=(None, 0)), jnp.sum)
    one_device = weighted(minijax.vmap(f, (None, 0), axis_name="i"), jnp.sum)
    close(minijax.value_and_grad(loss, (0, 1))(1.5, X), minijax.value_and_grad(one_device, (0, 1))(1.5, X), 1e-4)


def test_static_arguments_donation_and_devices():
    f = minijax.pmap(lambda n, x: x * n, static_broadcasted_argnums=0)
    close(f(3, X), X * 3)
    close(f(4, X), X * 4)
    x = minijax.pmap(lambda x: x)(X)
    close(minijax.pmap(lambda x: x + 1, donate_argnums=0)(x), X + 1)
    assert x.is_deleted()
    y = minijax.pmap(lambda x: x * 2, devices=minijax.devices()[4:])(X[:4])
    assert {d.id for d in y.devices()} == {4, 5, 6, 7}
    assert minijax.pmap(lambda: lax.axis_index("i"), "i", axis_size=3)().tolist() == [0, 1, 2]


def test_arguments_are_put_where_the_devices_are():
    x = minijax.device_put(X, minijax.devices()[3])  # committed elsewhere
    close(minijax.pmap(lambda x: x * 2)(x), X * 2)
    close(minijax.grad(lambda x: jnp.sum(minijax.pmap(lambda x: x ** 2)(x)))(x), 2 * X)


def test_inside_itself_it_is_a_batch_on_each_device():
    f = minijax.pmap(minijax.pmap(lambda x: x / lax.psum(x, ("i", "j")), "j"), "i")
    x = np.arange(1.0, 9.0, dtype="float32").reshape(2, 4)
    close(f(x), x / x.sum())


def test_the_program_is_compiled_once_and_shows_what_is_mapped():
    traced = []

    def f(x):
        traced.append(x)
        return lax.psum(x, "devices")

    g = minijax.pmap(f, "devices")
    g(X), g(X), g(X + 1)
    assert len(traced) == 1
    assert "shard_map[" in (text := str(minijax.make_jaxpr(g)(X))) and "psum" in text and "f32[1,4]" in text
    assert str(minijax.language.parse(text)) == text
    program = minijax.make_jaxpr(minijax.grad(lambda x: jnp.sum(g(x))))(X)
    assert minijax.language.same_program(minijax.language.from_json(minijax.language.to_json(program)), program)


def test_the_lowered_program():
    weights = jnp.asarray(W)
    f = minijax.pmap(lambda n, x, *, k: lax.psum(x, "i") * n * weights + minijax.random.normal(k, ()), "i",
                     static_broadcasted_argnums=0)
    keys = minijax.random.split(minijax.random.key(0), N)
    for args in ((X, keys), (minijax.ShapeDtypeStruct(X.shape, X.dtype), minijax.ShapeDtypeStruct((N,), keys.dtype))):
        lowered = f.lower(2, args[0], k=args[1])
        assert "all_reduce" in lowered.as_text() and "num_partitions = 8" in lowered.as_text()
        compiled = lowered.compile()
        assert "all-reduce" in compiled.as_text()
        for x in (X, minijax.pmap(lambda x: x)(X)):
            close(compiled(x, k=keys), f(2, x, k=keys), 0)
    with pytest.raises(minijax.errors.MinijaxValueError, match="there are 8"):
        minijax.pmap(lambda x: x).lower(np.ones((9, 2)))


def test_under_jit_and_around_it():
    f = minijax.pmap(minijax.jit(lambda x: lax.psum(x, "i") * x), "i")
    close(minijax.jit(lambda x: f(x * 2))(X), (2 * X).sum(0) * 2 * X)
    with minijax.disable_jit():
        close(minijax.pmap(lambda x: lax.psum(x, "i") * x, "i")(X), X.sum(0) * X)


def test_keys_and_integers():
    keys = minijax.random.split(minijax.random.key(0), N)
    draws = minijax.pmap(lambda k: minijax.random.normal(k, (3,)))(keys)
    close(draws, minijax.vmap(lambda k: minijax.random.normal(k, (3,)))(keys), 0)
    close(minijax.pmap(lambda x: lax.psum(x, "i"), "i")(np.arange(N)), np.full(N, 28, "int32"))


# ---- errors ----

@pytest.mark.parametrize("call, words", [
    (lambda: minijax.pmap(lambda a, b: a)(X, X[:4]), ["argument a: 8", "argument b: 4", "sizes"]),
    (lambda: minijax.pmap(lambda a: a)(np.ones((9, 2), "float32")), ["9", "there are 8", "vmap"]),
    (lambda: minijax.pmap(lambda a: lax.psum(a, "k"), "i")(X), ["'k'", "'i'", "pmap"]),
    (lambda: lax.psum(X, "i"), ["'i'", "shard_map"]),
    (lambda: minijax.pmap(lambda p: p["w"])({"w": 1.0}), ["p['w']", "no axis 0"]),
    (lambda: minijax.pmap(lambda a: a, in_axes=({"x": 0},))({"y": X}), ["in_axes"]),
    (lambda: minijax.pmap(lambda a: a, out_axes=(0, 0))(X), ["out_axes"]),
    (lambda: minijax.pmap(lambda a: a, in_axes=None)(X), ["axis_size"]),
    (lambda: minijax.pmap(lambda a: a)("text"), ["'text'", "argument a"]),
    (lambda: minijax.pmap(3), ["pmap takes a function"]),
    (lambda: minijax.pmap(lambda a: lax.psum(a, "i", axis_index_groups=[[0, 1], [2]]), "i")(X), ["groups", "once"]),
])
def test_errors(call, words):
    with pytest.raises((minijax.errors.MinijaxError, ValueError, TypeError)) as caught:
        call()
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("call, words", [
    (lambda f: f(X[:3]), ["size 6 in all", "2 processes have 8 devices", "one example for each device of this"]),
    (lambda f: minijax.jit(f)(X[:4]), ["size 4 in all", "make_array_from_process_local_data", "pmap(grad(f))"]),
    (lambda f: minijax.grad(lambda x: f(x).sum())(X[:4]), ["size 4 in all", "make_array_from_process_local_data"]),
])
def test_parts_of_processes(monkeypatch, call, words):
    monkeypatch.setattr("minijax.interop.runtime.process_count", lambda backend=None: 2)
    with pytest.raises(minijax.errors.MinijaxValueError) as caught:
        call(minijax.pmap(lambda x: x * 2))
    for word in ["(" + __file__ + ":", *words]:
        assert word in str(caught.value)


def test_arrays_that_lie_where_they_should_are_not_moved(monkeypatch):
    double, add = minijax.pmap(lambda x: 2 * x), minijax.pmap(lambda x: x + 1)
    x = double(X)
    moved = []
    monkeypatch.setattr("minijax.sharding.blocks.placed", lambda x, where: moved.append(x) or placed(x, where))
    close(add(double(x)), 4 * X + 1)
    spelled = NamedSharding(x.sharding.mesh, P(x.sharding.mesh.axis_names[0], None))  # the same place, in more words
    close(add(minijax.device_put(X, spelled)), X + 1)
    close(minijax.pmap(lambda n, x, y: n * x + y, in_axes=(None, 0, 0), static_broadcasted_argnums=0)(2, X, x), 4 * X)
    close(minijax.pmap(lambda a, b: a["x"] * b, in_axes=(0, None))({"x": X, "none": None}, 2.0), 2 * X)
    assert moved == []  # NumPy arrays are cut by the compiled function
    close(add(jnp.asarray(X[:2])), X[:2] + 1)
    close(minijax.pmap(lambda x, *, y: x * y)(x, y=X), 2 * X * X)
    assert len(moved) == 2


def test_a_shard_map_follows_the_current_mesh():
    f = minijax.shard_map(lambda x: x + lax.axis_index("x"), in_specs=minijax.sharding.P("x"),
                          out_specs=minijax.sharding.P("x"))
    for count in (4, 2, 4):
        with minijax.set_mesh(minijax.make_mesh((count,), ("x",))):
            close(f(np.zeros(8, "float32")), np.repeat(np.arange(count, dtype="float32"), 8 // count))


# ---- the current mesh ----

def test_compiled_functions_follow_the_current_mesh():
    constrain = minijax.jit(lambda x: with_sharding_constraint(x * 2, P("a")))
    total = shard_map(lambda x: lax.psum(x, "a"), in_specs=P("a"), out_specs=P())
    inside = minijax.jit(lambda x: total(x))
    x = np.arange(8.0, dtype="float32")
    devices = minijax.devices()
    for shape, chosen in (((2, 4), devices), ((2, 4), devices[::-1]), ((2, 2), devices[4:]), ((4, 2), devices)):
        mesh = minijax.make_mesh(shape, ("a", "b"), devices=chosen)
        with set_mesh(mesh):
            close([total(x), inside(x)], [x.reshape(shape[0], -1).sum(0)] * 2)
            assert constrain(x).sharding == NamedSharding(mesh, P("a"))
