"""shard_map: the same program on JAX, on one device and with NumPy; values, derivatives, compositions, errors."""

import jax
import numpy as np
import pytest

import minijax
import minijax.numpy as jnp
from minijax import P, config, lax
from minijax.errors import MinijaxError, MinijaxTypeError, MinijaxValueError, ShapeError, TreeError, UnboundAxisError
from minijax.ir.passes import dce
from minijax.ops import parallel
from minijax.tracing.array import typeof

MESH = minijax.make_mesh((2, 4), ("x", "y"))
ROW = minijax.make_mesh((4,), ("i",))
BOTH, CUT = ("x", "y"), P("x", "y")
RANDOM = np.random.RandomState(0)
X = RANDOM.randn(4, 8).astype("float32")  # a block is [2, 2]
W = np.float32([0.7, -1.3])  # the same for all devices
RING = [(k, (k + 1) % 4) for k in range(4)]
GROUPS = [[0, 2], [1, 3]]


def tiled(np, w):
    """The weights beside every block of columns."""
    return np.tile(w, 4)


# name -> the spec of the result, the program of a device, and the one for the whole arrays.
PATTERNS = {
    "elementwise": (CUT, lambda np, lax, w, x: np.sin(x * w), lambda np, w, x: np.sin(x * tiled(np, w))),
    "sum along one axis": (P("x"), lambda np, lax, w, x: lax.psum(np.sin(x * w).sum(1), "y") ** 2,
                           lambda np, w, x: np.sin(x * tiled(np, w)).sum(1) ** 2),
    "sum along both": (P(), lambda np, lax, w, x: lax.psum(((x @ w) ** 2).sum(), BOTH) * w,
                       lambda np, w, x: ((x.reshape(4, 4, 2) @ w) ** 2).sum() * w),
    "mean along rows": (P("y"), lambda np, lax, w, x: lax.pmean((x * w).sum(0), "x") ** 2,
                        lambda np, w, x: ((x * tiled(np, w)).sum(0) / 2) ** 2),
    "normalized": (CUT, lambda np, lax, w, x: np.exp(x * w) / lax.psum(np.exp(x * w).sum(1, keepdims=True), "y"),
                   lambda np, w, x: np.exp(x * tiled(np, w)) / np.exp(x * tiled(np, w)).sum(1, keepdims=True)),
    "gathered": (CUT, lambda np, lax, w, x: np.tanh(lax.all_gather(x * w, "y", axis=1, tiled=True)).sum(1)[:, None] * x,
                 lambda np, w, x: np.tanh(x * tiled(np, w)).sum(1)[:, None] * x),
    "scattered": (CUT, lambda np, lax, w, x: lax.psum_scatter(x * w, "x", tiled=True) ** 2,
                  lambda np, w, x: (x * tiled(np, w)).reshape(2, 2, 8).sum(0) ** 2),
    "exchanged": (CUT, lambda np, lax, w, x: lax.all_to_all(np.sin(x), "x", 0, 0, tiled=True) * w,
                  lambda np, w, x: np.sin(x)[np.array([0, 2, 1, 3])] * tiled(np, w)),
    "ring": (CUT, lambda np, lax, w, x: lax.ppermute(x * w, "y", RING) * x,
             lambda np, w, x: np.roll(x * tiled(np, w), 2, 1) * x),
    "numbered": (CUT, lambda np, lax, w, x: x * w * (lax.axis_index("y") + 4.0 * lax.axis_index("x")),
                 lambda np, w, x: x * tiled(np, w) * (np.arange(8) // 2 + 4 * (np.arange(4) // 2)[:, None])),
    "shared beside varying": (P(), lambda np, lax, w, x: np.sin(w) + lax.psum(x.sum(0) * w ** 2, BOTH),
                              lambda np, w, x: np.sin(w) + (x * tiled(np, w ** 2)).sum(0).reshape(4, 2).sum(0)),
    "sum of what is shared": (CUT, lambda np, lax, w, x: lax.psum(w ** 2, BOTH) * x,
                              lambda np, w, x: 8 * tiled(np, w ** 2) * x),
    "groups": (CUT, lambda np, lax, w, x: lax.psum(np.sin(x * w), "y", axis_index_groups=GROUPS) * x,
               lambda np, w, x: np.tile(np.sin(x * tiled(np, w)).reshape(4, 2, 4).sum(1), 2) * x),
}
JAX_HAS_NO = ("groups",)


def close(ours, theirs, tolerance=2e-5):
    for x, y in zip(minijax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        x, y = np.asarray(x), np.asarray(y)
        assert x.shape == y.shape and x.dtype == y.dtype
        np.testing.assert_allclose(x, y, tolerance, tolerance)


def on_mesh(f, in_specs=CUT, out_specs=CUT, mesh=MESH, **options):
    return minijax.shard_map(f, mesh=mesh, in_specs=in_specs, out_specs=out_specs, **options)


def mapped(name, **options):
    """The pattern's program of a device on the mesh, its weights shared by all."""
    spec, f, _ = PATTERNS[name]
    return on_mesh(lambda w, x: f(jnp, lax, w, x), (P(), CUT), spec, **options)


def mapped_by_jax(function, spec):
    mesh = jax.make_mesh((2, 4), BOTH, (jax.sharding.AxisType.Auto,) * 2)
    return jax.shard_map(function, mesh=mesh, in_specs=(P(), CUT), out_specs=spec)


def loss_of(f, sum=jnp.sum):
    """A scalar that depends on every element of f(w, x) in another way."""
    def loss(w, x):
        y = f(w, x)
        return sum(y * (0.1 * np.arange(y.size, dtype="float32").reshape(y.shape) - 1.0) + y ** 2)

    return loss


def loss_inside(name, np_, lax_):
    """The sum of the squares of all the results, computed by every device."""
    spec, f, _ = PATTERNS[name]
    names = tuple(axis for axis in spec if axis)

    def loss(w, x):
        total = (f(np_, lax_, w, x) ** 2).sum()
        return lax_.psum(total, names) if names else total

    return loss


def derivatives(f, names=("value", "grad", "jvp", "grad of grad", "jvp of grad", "vmap", "vmap of grad")):
    """What there is to know of a function of the weights and the rows, as one program."""
    def all_of_them(w, x):
        grad = minijax.grad(loss_of(f), (0, 1))
        found = {"value": lambda: f(w, x), "grad": lambda: grad(w, x),
                 "jvp": lambda: minijax.jvp(f, (w, x), (x[0, :2], x + 1))[1],
                 "grad of grad": lambda: minijax.grad(lambda w: jnp.sum(grad(w, x)[1] ** 2))(w),
                 "jvp of grad": lambda: minijax.jvp(grad, (w, x), (w + 1, x))[1],
                 "vmap": lambda: minijax.vmap(f, (0, None))(x[:, :2], x),
                 "vmap of grad": lambda: minijax.vmap(grad, (None, 2))(w, jnp.stack([x, 2 * x], 2))}
        return {name: found[name]() for name in names}

    return minijax.jit(all_of_them)


@pytest.mark.parametrize("name", PATTERNS)
def test_patterns(name):
    spec, f, whole = PATTERNS[name]
    expected = derivatives(lambda w, x: whole(jnp, w, x))(W, X)
    close(derivatives(mapped(name))(W, X), expected, 1e-4)
    some = ("value", "grad of grad", "vmap of grad")
    close(derivatives(mapped(name, check_vma=False), some)(W, X), {key: expected[key] for key in some}, 1e-4)
    if name not in JAX_HAS_NO:
        theirs = mapped_by_jax(lambda w, x: f(jax.numpy, jax.lax, w, x), spec)
        close(expected["value"], theirs(W, X))
        close(expected["grad"], jax.jit(jax.grad(loss_of(theirs, jax.numpy.sum), (0, 1)))(W, X), 1e-4)


@pytest.mark.parametrize("name", PATTERNS)
def test_gradient_inside(name):
    _, _, whole = PATTERNS[name]
    ours = on_mesh(minijax.grad(loss_inside(name, jnp, lax), (0, 1)), (P(), CUT), (P(), CUT))
    found = ours(W, X)
    close(found, minijax.grad(lambda w, x: (whole(jnp, w, x) ** 2).sum(), (0, 1))(W, X), 1e-4)
    if name not in JAX_HAS_NO:
        close(found, mapped_by_jax(jax.grad(loss_inside(name, jax.numpy, jax.lax), (0, 1)), (P(), CUT))(W, X), 1e-4)


@pytest.mark.parametrize("name", PATTERNS)
def test_numpy_meaning_and_round_trips(name):
    for options in ({}, {"check_vma": False}):
        ours = minijax.grad(loss_of(mapped(name, **options)), (0, 1))
        program = minijax.make_jaxpr(ours)(W, X)
        text = str(program)
        parsed = minijax.language.parse(text, program.consts)
        assert str(parsed) == text and minijax.language.same_program(parsed, program)
        loaded = minijax.language.from_json(minijax.language.to_json(program))
        assert minijax.language.same_program(loaded, program)
        with config.override("evaluator", "numpy"):
            expected = minijax.grad(lambda w, x: loss_of(lambda w, x: PATTERNS[name][2](jnp, w, x))(w, x), (0, 1))(W, X)
            close(ours(W, X), expected, 1e-4)


# ---- what varies ----

def test_types_say_what_varies():
    seen = {}

    def f(w, x):
        seen.update(w=typeof(w), x=typeof(x), product=typeof(x * w), row=typeof(lax.psum(x, "y")),
                    all=typeof(lax.psum(x, BOTH)), index=typeof(lax.axis_index("x")),
                    gathered=typeof(lax.all_gather(x, "y")), constant=typeof(jnp.ones(3)))
        return x

    on_mesh(f, (P(), CUT))(W, X)
    assert {name: str(t) for name, t in seen.items()} == {
        "w": "f32[2]", "x": "f32[2,2]{x,y}", "product": "f32[2,2]{x,y}", "row": "f32[2,2]{x}", "all": "f32[2,2]",
        "index": "i32[]{x}", "gathered": "f32[4,2,2]{x,y}", "constant": "f32[3]"}
    on_mesh(f, (P(), CUT), check_vma=False)(W, X)
    assert {str(t) for name, t in seen.items() if name in ("x", "product", "row")} == {"f32[2,2]"}


def test_gradient_of_what_is_shared_is_summed_and_of_own_values_is_not():
    def own(w, x):
        return minijax.grad(lambda w: jnp.sum(x * w))(w)[None]

    blocks = X.reshape(2, 2, 4, 2)  # [x, rows, y, columns]
    shared = on_mesh(own, (P(), CUT), P())(W, X)
    close(shared, blocks.sum((0, 1, 2))[None])
    each = on_mesh(own, (P(), CUT), CUT, check_vma=False)(W, X)
    close(each, blocks.sum(1).reshape(2, 8))


def test_result_of_one_device_without_the_check():
    f = on_mesh(lambda x: x, P("x"), P(), check_vma=False)
    close(f(X), X[:2])
    close(minijax.grad(lambda x: jnp.sum(f(x) * 3.0))(np.tile(X[:2], (2, 1))).sum(), np.float32(48))


# ---- control flow ----

def scanned(w, x):
    c, ys = lax.scan(lambda c, t: (c * w + t.sum(), c * t), 0.0, jnp.reshape(x, (2, 1)))
    return c, ys.reshape(-1)


def counted(w, x):
    return lax.fori_loop(0, 3, lambda k, c: c * w + x.sum(), w), x * w


def repeated(w, x):  # as often as the device's own numbers say
    return lax.while_loop(lambda c: c < 3.0, lambda c: c * 1.5 + abs(w) * 0.1 + jnp.abs(x).sum(), w), x


def shared_repetition(w, x):
    return lax.while_loop(lambda c: c < 3.0, lambda c: c * 1.5 + 0.1, w ** 2) * x.sum(), x


def branched(w, x):
    return lax.cond(x.sum() > 0, lambda a: a * w, lambda a: w, w), x * lax.cond(w > 0, lambda: w * 2.0, lambda: 1.0)


def branch_summed(w, x):
    return lax.psum(lax.cond(w > 0, lambda x: (x ** 2).sum() * w, lambda x: w, x), "i"), x


def summed_in_branch(w, x):  # all devices take one branch
    return lax.cond(w > 0, lambda x: lax.psum((x ** 2).sum() * w, "i"), lambda x: w, x), x


def summed_in_scan(w, x):
    total, ys = lax.scan(lambda c, t: (c + lax.psum(t * w, "i"), c * t), w, x)
    return total, ys


def remembered(w, x):
    return (minijax.checkpoint(lambda w, x: jnp.sin(w * x).sum())(w, x),
            minijax.checkpoint(lambda x: lax.psum(x, "i") * x)(x * w))


def compiled(w, x):
    g = minijax.jit(lambda w, x: lax.psum(jnp.sin(w * x), "i") * w)
    return g(w, x).sum(), g(w, x) * x


@minijax.custom_vjp
def product(w, x):
    return w * x


product.defvjp(lambda w, x: (w * x, (w, x)), lambda known, g: ((g * known[1]).sum(), g * known[0]))


@minijax.custom_jvp
def sine(w, x):
    return jnp.sin(w * x)


@sine.defjvp
def sine_jvp(primals, tangents):
    (w, x), (dw, dx) = primals, tangents
    return sine(w, x), jnp.cos(w * x) * (dw * x + w * dx)


def with_own_rules(w, x):
    return product(w, x).sum() + sine(w, x).sum(), product(w, x) * sine(w, x)


def accumulated(w, x):
    return lax.associative_scan(jnp.multiply, x * w).sum(), jnp.cumsum(x) * w


@pytest.mark.parametrize("f", [scanned, counted, repeated, shared_repetition, branched, branch_summed, summed_in_branch,
                               summed_in_scan, remembered, compiled, with_own_rules, accumulated])
def test_control_flow_is_that_of_a_batch(f):
    w, x = np.float32(0.7), RANDOM.randn(8).astype("float32")

    def block(w, x):
        a, b = f(w, x)
        return a.reshape(1), b

    def examples(w, x):
        a, b = minijax.vmap(f, in_axes=(None, 0), axis_name="i")(w, x.reshape(4, 2))
        return a, b.reshape(8)

    def all_of(g):
        def loss(w, x):
            a, b = g(w, x)
            return jnp.sum(a * np.arange(1, 5, dtype="float32")) + jnp.sum(b ** 2)

        gradient = minijax.grad(loss, (0, 1))
        return minijax.jit(lambda w, x: {"value": g(w, x), "grad": gradient(w, x),
                                         "grad of grad": minijax.grad(lambda w: gradient(w, x)[0])(w)})(w, x)

    specs = {"mesh": ROW, "in_specs": (P(), P("i")), "out_specs": P("i")}
    expected = all_of(examples)
    close(all_of(minijax.shard_map(block, **specs)), expected, 1e-4)
    close(all_of(minijax.shard_map(block, check_vma=False, **specs)), expected, 1e-4)


# ---- compositions ----

def test_some_axes_of_the_mesh():
    f = on_mesh(lambda w, x: lax.psum(jnp.sin(x * w), "x"), (P(), P("x")), P(), axis_names={"x"})
    w = np.linspace(1, 2, 8, dtype="float32")
    whole = lambda w, x: jnp.sin(x * w).reshape(2, 2, 8).sum(0)
    close(f(w, X), whole(w, X))
    close(minijax.grad(loss_of(f), (0, 1))(w, X), minijax.grad(loss_of(whole), (0, 1))(w, X), 1e-4)
    close(minijax.jit(f)(w, minijax.device_put(X, minijax.NamedSharding(MESH, CUT))), whole(w, X))


def test_one_inside_another_over_the_other_axis():
    inner = on_mesh(lambda x: lax.psum(x, BOTH), P(None, "y"), P(), axis_names={"y"})
    f = on_mesh(lambda x: inner(jnp.sin(x)), P("x"), P(), axis_names={"x"})
    whole = lambda x: jnp.sin(x).reshape(2, 2, 4, 2).sum((0, 2))
    close(f(X), whole(X))
    expected = minijax.grad(loss_of(lambda w, x: whole(x)), 1)(W, X)
    close(minijax.grad(loss_of(lambda w, x: f(x)), 1)(W, X), expected, 1e-4)
    with config.override("evaluator", "numpy"):
        close(f(X), whole(X))


def test_vmap_with_a_name_around_and_inside():
    batch = np.stack([X, 2 * X, 3 * X])
    f = minijax.vmap(on_mesh(lambda x: x / lax.psum(x.sum(), ("x", "y", "b"))), axis_name="b")
    close(f(batch), batch / batch.sum(), 1e-4)
    rows = on_mesh(minijax.vmap(lambda row: row * lax.psum(row, ("b", "y")), axis_name="b"), P("x"), P("x"))
    close(rows(X), 4 * X * X.reshape(2, 2, 8).sum(1).repeat(2, 0))


def test_one_function_on_several_meshes():
    f = lambda w: w * lax.axis_size("i") + lax.psum(w, "i")
    two = minijax.make_mesh((2,), ("i",))
    for mesh, n in ((ROW, 4), (two, 2)):
        for check in (True, False):
            close(on_mesh(f, P(), P(), mesh, check_vma=check)(W), 2 * n * W)


def test_captured_values_are_shared():
    def loss(w):
        return jnp.sum(on_mesh(lambda x: jnp.sin(x * w))(X))

    close(minijax.grad(loss)(W), minijax.grad(lambda w: jnp.sum(jnp.sin(X * jnp.tile(w, 4))))(W), 1e-4)


def test_trees_scalars_keys_and_no_rows():
    f = on_mesh(lambda p, s: {"a": p["a"] * s, "b": [p["b"][0] + 1]}, ({"a": CUT, "b": P("y")}, None),
                {"a": CUT, "b": [P("y")]})
    close(f({"a": X, "b": [X[:, 0]]}, 2.0), {"a": 2 * X, "b": [X[:, 0] + 1]})
    keys = minijax.random.split(minijax.random.key(0), 4)
    draws = on_mesh(lambda k: minijax.random.normal(k[0], (3,)), P("i"), P("i"), ROW)(keys)
    close(draws, minijax.vmap(lambda k: minijax.random.normal(k, (3,)))(keys).reshape(12), 0)
    assert on_mesh(lambda x: x * 2, P("x"), P("x"))(np.zeros((0, 3), "float32")).shape == (0, 3)
    assert on_mesh(lambda x: (x, None), CUT, (CUT, None))(X)[1] is None


def test_unused_results_are_not_computed():
    def f(w, x):
        return jnp.sin(x), lax.psum(jnp.cos(x * w), BOTH)

    g = on_mesh(f, (P(), CUT), (CUT, P()))
    program = minijax.make_jaxpr(lambda w, x: g(w, x)[0])(W, X)
    text = str(dce(program))
    assert "sin" in text and "cos" not in text and "psum" not in text and "in_specs=(((x,), (y,)),)" in text


def test_it_is_traced_once_and_may_decorate():
    traced = []

    @minijax.shard_map(mesh=MESH, in_specs=CUT, out_specs=CUT)
    def f(x):
        traced.append(x.shape)
        return x * 2

    f(X), f(X + 1), f(X)
    assert traced == [(2, 2)]
    assert f.__name__ == "f"
    out = f(X)
    assert out.sharding.spec == CUT and [s.data.shape for s in out.addressable_shards] == [(2, 2)] * 8
    with minijax.disable_jit():
        close(f(X), 2 * X)


# ---- planted wrong rules ----

def faulty(name, **options):
    """Whether the gradient of a pattern on the mesh is not that of the whole program."""
    try:
        found = minijax.grad(loss_of(mapped(name, **options)), (0, 1))(W, X)
        close(found, minijax.grad(loss_of(lambda w, x: PATTERNS[name][2](jnp, w, x)), (0, 1))(W, X), 1e-3)
    except (MinijaxError, AssertionError):
        return True
    return False


@pytest.mark.parametrize("op, name, tracked, rule", [
    ("psum", "normalized", False, lambda cts, x, **params: (cts[0],)),
    ("psum", "normalized", True, lambda cts, x, *, axis_name, **params: (parallel.vary(cts[0] * 2.0, axis_name),)),
    ("pvary", "sum of what is shared", True, lambda cts, x, *, axis_name: (lax.pmean(cts[0], axis_name),)),
    ("ppermute", "ring", True, lambda cts, x, **params: parallel.ppermute_p.bind(cts[0], **params)),
    ("all_gather", "gathered", True, lambda cts, x, *, axis, **params: (lax.index_in_dim(cts[0], 0, axis, False),)),
])
def test_wrong_transposes_are_caught(op, name, tracked, rule, monkeypatch):
    assert not faulty(name, check_vma=tracked)
    monkeypatch.setattr(getattr(parallel, f"{op}_p"), "transpose", rule)
    assert faulty(name, check_vma=tracked)


def test_pcast_makes_the_derivative_of_each_device_its_own():
    def on(library, lax_of_library, mesh, **options):
        def gradient(w, x):
            own = lax_of_library.pcast({"w": w}, "i", to="varying")["w"]
            return library.grad(lambda w: (w * x).sum())(own)[None]

        return library.shard_map(gradient, mesh=mesh, in_specs=(P(), P("i")), out_specs=P("i"), **options)

    x = X.T
    ours = on(minijax, lax, ROW)(W[0], x)
    close(ours, on(jax, jax.lax, ROW)(W[0], x))
    close(ours, x.reshape(4, 2, 4).sum((1, 2)))
    close(on(minijax, lax, ROW, check_vma=False)(W[0], x), ours)
    close(minijax.vmap(lambda x: lax.pcast(x, "i", to="varying"), axis_name="i")(x), x)


# ---- errors ----

EXPLICIT = jax.make_mesh((2,), ("x",), (jax.sharding.AxisType.Explicit,))
ROWS = np.ones((3, 2), "float32")
HERE = "(" + __file__ + ":"  # the line of the call


@pytest.mark.parametrize("call, error, words", [
    (lambda: on_mesh(lambda x: x, P("x"))(ROWS), ShapeError,
     ["shard_map of <lambda>", "argument x", "f32[3,2]", "size 3", "2 devices (x=2)", "Pad it"]),
    (lambda: on_mesh(lambda p: p, P("y"))({"a": X, "b": [ROWS]}), ShapeError, ["p['b'][0]", "size 3", "y=4"]),
    (lambda: on_mesh(lambda x: x, P(BOTH))(X), ShapeError, ["size 4", "8 devices (x=2, y=4)"]),
    (lambda: on_mesh(lambda x: x, P("q"))(X), MinijaxValueError, ["P('q',)", "argument x", "'q'", "'x', 'y'"]),
    (lambda: on_mesh(lambda x: x, P("x", "x"))(X), MinijaxValueError, ["argument x", "'x' twice"]),
    (lambda: on_mesh(lambda x: x, CUT, P("x", None, "y"))(X), MinijaxValueError, ["3 axes", "result has 2"]),
    (lambda: on_mesh(lambda x, s: x * s, (CUT, P("x")))(X, 2.0), MinijaxValueError, ["1 axes", "argument s has 0"]),
    (lambda: on_mesh(lambda p: p, ({"a": CUT},))({"b": X}), TreeError, ["in_specs", "['a']", "['b']", HERE]),
    (lambda: on_mesh(lambda x: x, (CUT, CUT))(X), TreeError, ["in_specs", "tuple of 2", "tuple of 1", HERE]),
    (lambda: on_mesh(lambda x: x, CUT, (CUT, CUT))(X), TreeError, ["out_specs", "tuple of 2", HERE]),
    (lambda: on_mesh(lambda x: x, "x")(X), MinijaxTypeError, ["in_specs", "PartitionSpecs", "'x'", HERE]),
    (lambda: on_mesh(lambda x: x, mesh=None)(X), MinijaxValueError, ["no mesh", "make_mesh", "set_mesh"]),
    (lambda: on_mesh(lambda x: x, mesh=3)(X), MinijaxTypeError, ["mesh is 3", "int", "make_mesh"]),
    (lambda: on_mesh(lambda x: x, mesh=EXPLICIT)(X), MinijaxTypeError, ["Explicit", "Auto", "minijax.make_mesh"]),
    (lambda: on_mesh(lambda x: x, P("x"), P())(X), MinijaxValueError,
     ["result has type f32[2,8]{x}", "'x'", "out_specs", "psum", "check_vma=False"]),
    (lambda: on_mesh(lambda x: {"a": [x]}, CUT, P("x"))(X), MinijaxValueError, ["result['a'][0]", "{x,y}", "'y'"]),
    (lambda: on_mesh(lambda x: x, P("x"), P("x"), axis_names={"q"})(X), MinijaxValueError,
     ["axis_names", "'q'", "'x', 'y'"]),
    (lambda: on_mesh(lambda x: x, CUT, CUT, axis_names={"x"})(X), MinijaxValueError,
     ["argument x", "'y'", "axis_names"]),
    (lambda: on_mesh(on_mesh(lambda x: x))(X), MinijaxValueError, ["'x'", "mapped already", "axis_names="]),
    (lambda: minijax.vmap(on_mesh(lambda x: x), axis_name="x")(np.ones((3, 4, 8), "float32")), MinijaxValueError,
     ["'x'", "mapped already", "rename"]),
    (lambda: minijax.pmap(on_mesh(lambda x: x), axis_name="i")(np.ones((2, 4, 8), "float32")), MinijaxValueError,
     ["{'x': 2, 'y': 4}", "{'i': 2}", "one mesh"]),
    (lambda: on_mesh(lambda x: lax.psum(x, "q"))(X), UnboundAxisError, ["'q'", "'x', 'y'", "shard_map"]),
    (lambda: on_mesh(lambda x: lax.pcast(x, BOTH, to="varying"))(X), MinijaxValueError, ["{x,y}", "'x', 'y' already"]),
    (lambda: on_mesh(lambda x: lax.pcast(x, "x", to="reduced"))(X), MinijaxValueError, ["'reduced'", "'varying'"]),
    (lambda: on_mesh(lambda x: lax.pcast(x, "q", to="varying"))(X), UnboundAxisError, ["'q'", "'x', 'y'"]),
    (lambda: lax.psum(X, "x"), UnboundAxisError, ["'x'", "None around", "shard_map"]),
    (lambda: on_mesh(lambda x: lax.psum(x, BOTH, axis_index_groups=GROUPS))(X), MinijaxValueError,
     ["groups", "one axis"]),
    (lambda: on_mesh(lambda x: lax.psum(x, "y", axis_index_groups=[[0, 1], [2]]))(X), MinijaxValueError,
     ["equal size", "4 indices", "'y'"]),
    (lambda: on_mesh(3), MinijaxTypeError, ["shard_map takes a function", "3"]),
    (lambda: on_mesh(lambda x: x)("text"), MinijaxTypeError, ["argument x", "'text'"]),
    (lambda: on_mesh(lambda x, y: x)(X), MinijaxTypeError, ["'y'"]),
    (lambda: on_mesh(lambda x: x)(x=X), MinijaxTypeError, ["x", "position"]),
    (lambda: on_mesh(lambda x: "a")(X), MinijaxTypeError, ["'a'", "result"]),
])
def test_errors(call, error, words):
    with pytest.raises(error) as caught:
        call()
    for word in words:
        assert word in str(caught.value)
