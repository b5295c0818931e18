"""Where arrays lie: device_put and with_sharding_constraint as ops, meshes, and what arrays say of themselves."""

import jax
import numpy as np
import pytest

import minijax
import minijax.numpy as jnp
from minijax import NamedSharding, P, config
from minijax.errors import MinijaxTypeError, MinijaxValueError, ShapeError, TreeError
from minijax.sharding import device_put, make_mesh, set_mesh, shard_map, with_sharding_constraint

MESH = make_mesh((4, 2), ("x", "y"))
CUT = NamedSharding(MESH, P("x", "y"))
ROWS = NamedSharding(MESH, P("x"))
X = np.arange(16, dtype="float32").reshape(8, 2)
DEVICES = minijax.devices()


def same(ours, theirs):
    for x, y in zip(minijax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(np.asarray(x), np.asarray(y), 1e-5, 1e-5)


# ---- device_put ----

def test_arrays_say_where_they_lie():
    x = device_put(X, CUT)
    assert x.sharding == CUT and len(x.addressable_shards) == 8
    assert {shard.data.shape for shard in x.addressable_shards} == {(2, 1)}
    assert {shard.device for shard in x.addressable_shards} == set(DEVICES) == x.devices()
    for shard in x.addressable_shards:
        same(shard.data, X[shard.index])
    assert x.is_fully_addressable and not x.is_fully_replicated
    assert device_put(X, NamedSharding(MESH, P())).is_fully_replicated
    same(x, jax.device_put(X, CUT))
    assert (x * 2).sharding == CUT and jnp.sum(x).sharding.is_fully_replicated


def test_trees_and_prefixes():
    tree = {"a": X, "b": (X[:, 0], 2.0)}
    one = device_put(tree, DEVICES[3])
    assert {d for leaf in minijax.tree.leaves(one) for d in leaf.devices()} == {DEVICES[3]}
    several = device_put(tree, {"a": CUT, "b": (ROWS, None)})
    assert several["a"].sharding == CUT and several["b"][0].sharding == ROWS
    prefix = device_put({"a": X, "b": [X, 2 * X]}, {"a": CUT, "b": ROWS})
    assert all(leaf.sharding.is_equivalent_to(ROWS, 2) for leaf in prefix["b"])
    same(several, tree)
    assert device_put(3) == 3 and type(device_put(3)) is minijax.Array


def test_nothing_to_do_leaves_a_value_where_it_is():
    x = device_put(X, DEVICES[2])
    assert device_put(x).devices() == {DEVICES[2]}
    assert len(minijax.make_jaxpr(device_put)(X).eqns) == 0


def test_gradient_goes_back_to_where_the_value_was():
    f = lambda x: jnp.sum(device_put(jnp.sin(x), DEVICES[3]) ** 2)
    x = device_put(np.ones(3, "float32"), DEVICES[1])
    gradient = minijax.grad(f)(x)
    assert gradient.devices() == {DEVICES[1]}
    same(gradient, np.sin(2 * np.ones(3)))
    back = minijax.vjp(lambda x: device_put(x, CUT), device_put(X, DEVICES[5]))[1](device_put(X, CUT))
    assert back[0].devices() == {DEVICES[5]}
    told = minijax.make_jaxpr(minijax.grad(lambda x: jnp.sum(device_put(x, CUT, src=ROWS) ** 2)))(X)
    placements = [eqn.params["placement"].spec for eqn in told.eqns if eqn.op.name == "device_put"]
    assert placements == [(("x",), ("y",)), (("x",), ())]


def test_derivatives_batches_and_programs():
    f = lambda x: device_put(jnp.sin(x), CUT) * 2
    same(minijax.jvp(f, (X,), (X,)), (2 * np.sin(X), 2 * np.cos(X) * X))
    same(minijax.hessian(lambda x: jnp.sum(f(x)))(X).reshape(16, 16), np.diag(-2 * np.sin(X).ravel()))
    batch = np.stack([X, X + 1, X + 2])
    for axis in (0, 1, 2):
        out = minijax.vmap(f, axis, axis)(np.moveaxis(batch, 0, axis))
        same(out, 2 * np.sin(np.moveaxis(batch, 0, axis)))
    moved = minijax.vmap(lambda x: device_put(x, CUT), 1, 1)(np.moveaxis(batch, 0, 1))
    assert moved.sharding.spec == P("x", None, "y")
    same(minijax.jit(f)(X), 2 * np.sin(X))
    theirs = jax.jit(lambda x: jax.device_put(x, CUT))(X)
    assert minijax.jit(lambda x: device_put(x, CUT))(X).sharding.is_equivalent_to(theirs.sharding, 2)
    with config.override("evaluator", "numpy"):
        same(minijax.jvp(f, (X,), (X,)), (2 * np.sin(X), 2 * np.cos(X) * X))
    program = minijax.make_jaxpr(minijax.vmap(f))(batch)
    assert "spec=((), (x,), (y,))" in str(program)
    for read in (minijax.language.parse(str(program)),
                 minijax.language.from_json(minijax.language.to_json(program))):
        assert minijax.language.same_program(read, program)


def test_several_devices_in_one_program():
    def f(w, x):
        hidden = jnp.tanh(device_put(x, DEVICES[1]) @ device_put(w, DEVICES[1]))
        return jnp.sum(device_put(hidden, DEVICES[2]) ** 2)

    w = device_put(np.ones((2, 3), "float32"), DEVICES[1])
    gradient = minijax.grad(f)(w, X)
    assert gradient.devices() == {DEVICES[1]}
    same(gradient, minijax.grad(lambda w: jnp.sum(jnp.tanh(X @ w) ** 2))(np.ones((2, 3), "float32")))


# ---- with_sharding_constraint ----

def test_constraint():
    f = lambda x: with_sharding_constraint(x * 2, CUT)
    assert minijax.jit(f)(X).sharding == CUT and f(X).sharding == CUT
    same(minijax.jit(f)(X), 2 * X)
    program = minijax.make_jaxpr(minijax.grad(lambda x: jnp.sum(f(x) ** 2)))(X)
    assert [eqn.op.name for eqn in program.eqns].count("sharding_constraint") == 2  # the cotangent is cut so too
    same(minijax.grad(lambda x: jnp.sum(f(x) ** 2))(X), 8 * X)
    batch = np.stack([X, X, X])
    assert minijax.vmap(f)(batch).sharding.spec == P(None, "x", "y")
    assert minijax.vmap(f, 1, 1)(np.moveaxis(batch, 0, 1)).sharding.spec == P("x", None, "y")
    tree = minijax.jit(lambda t: with_sharding_constraint(t, {"a": CUT, "b": ROWS}))({"a": X, "b": [X, X]})
    assert tree["a"].sharding == CUT and tree["b"][1].sharding.is_equivalent_to(ROWS, 2)
    with config.override("evaluator", "numpy"):
        same(f(X), 2 * X)


def test_layout_through_loops_and_branches():
    def f(x):
        x, _ = minijax.lax.scan(lambda c, _: (with_sharding_constraint(c * 2, CUT), None), x, None, 3)
        return minijax.lax.cond(x[0, 0] >= 0, lambda x: with_sharding_constraint(x + 1, CUT), lambda x: x, x)

    assert minijax.jit(f)(X).sharding == CUT
    same(minijax.jit(f)(X), 8 * X + 1)
    same(minijax.grad(lambda x: jnp.sum(f(x) ** 2))(X), 16 * (8 * X + 1))


# ---- meshes ----

def test_current_mesh():
    other = make_mesh((2, 4), ("x", "y"), devices=DEVICES[::-1])
    put = minijax.jit(lambda x: with_sharding_constraint(x, P("x")))
    double = shard_map(lambda x: x * 2, in_specs=P("x"), out_specs=P("x"))
    for mesh in (MESH, other, MESH):
        with set_mesh(mesh):
            assert minijax.sharding.get_mesh() == mesh
            rows = NamedSharding(mesh, P("x"))
            assert device_put(X, P("x")).sharding.is_equivalent_to(rows, 2)
            assert put(X).sharding.is_equivalent_to(rows, 2)
            assert double(X).sharding.is_equivalent_to(rows, 2)
            assert minijax.jit(lambda x: double(x) + 1)(X).sharding.is_equivalent_to(rows, 2)
            same(minijax.grad(lambda x: jnp.sum(double(x) ** 2))(X), 8 * X)
    with pytest.raises(MinijaxValueError, match="no mesh"):
        put(X)
    with set_mesh(MESH), set_mesh(other):
        assert put(X).sharding.mesh.shape["x"] == 2
    assert minijax.sharding.get_mesh().empty


def test_current_mesh_of_jax():
    with jax.sharding.set_mesh(MESH):
        assert shard_map(lambda x: x * 2, in_specs=P("x"), out_specs=P("x"))(X).sharding.is_equivalent_to(ROWS, 2)
        assert minijax.jit(lambda x: with_sharding_constraint(x, P("x")))(X).sharding.is_equivalent_to(ROWS, 2)


def test_meshes_are_those_of_jax():
    assert isinstance(MESH, jax.sharding.Mesh) and dict(MESH.shape) == {"x": 4, "y": 2}
    assert set(MESH.axis_types) == {jax.sharding.AxisType.Auto}
    x = jax.device_put(X, CUT)
    assert minijax.jit(lambda x: x * 2)(x).sharding.is_equivalent_to(CUT, 2)
    same(jax.numpy.sin(device_put(X, CUT).__jax_array__()), np.sin(X))
    reverse = make_mesh((8,), ("i",), devices=DEVICES[::-1])
    assert set(reverse.devices.flat) == set(DEVICES)


# ---- errors ----

EXPLICIT = jax.make_mesh((2,), ("x",), (jax.sharding.AxisType.Explicit,))


@pytest.mark.parametrize("call, error, words", [
    (lambda: device_put(X[:3], CUT), ShapeError,
     ["device_put: x ", "f32[3,2]", "size 3", "4 devices (x=4)", "Pad"]),
    (lambda: device_put({"a": [X[:, 0]]}, CUT), MinijaxValueError, ["x['a'][0]", "2 axes", "has 1"]),
    (lambda: device_put(X, 7), MinijaxTypeError, ["7", "device or sharding", "minijax.devices()"]),
    (lambda: device_put("text"), MinijaxTypeError, ["'text'", "str", "array"]),
    (lambda: device_put({"a": X}, {"b": CUT}), TreeError, ["no prefix", "'a'", "'b'", "one place"]),
    (lambda: device_put([X, X], (CUT, CUT)), TreeError, ["no prefix", "list", "tuple"]),
    (lambda: device_put(X, P("x")), MinijaxValueError, ["no mesh", "set_mesh"]),
    (lambda: device_put(X, NamedSharding(EXPLICIT, P("x"))), MinijaxTypeError, ["Explicit", "Auto"]),
    (lambda: minijax.jit(lambda x: device_put(x, CUT))(X[:3]), ShapeError, ["device_put", "f32[3,2]", "4"]),
    (lambda: with_sharding_constraint(X[:3], CUT), ShapeError, ["with_sharding_constraint: x", "f32[3,2]"]),
    (lambda: with_sharding_constraint(X[:, 0], CUT), MinijaxValueError, ["2 axes", "x has 1"]),
    (lambda: with_sharding_constraint(X, P("x")), MinijaxValueError, ["no mesh", "set_mesh"]),
    (lambda: with_sharding_constraint(X, None), MinijaxTypeError, ["None", "sharding"]),
    (lambda: make_mesh((4, 4), ("x", "y")), MinijaxValueError, ["'x': 4, 'y': 4", "16", "8", "smaller"]),
    (lambda: make_mesh((4, 2), ("x",)), MinijaxValueError, ["2 sizes", "1 names"]),
    (lambda: make_mesh((2, 2), ("x", "x")), MinijaxValueError, ["('x', 'x')", "different"]),
    (lambda: make_mesh((2,), ("x",), (jax.sharding.AxisType.Explicit,)), MinijaxTypeError, ["Explicit", "Auto"]),
])
def test_errors(call, error, words):
    with pytest.raises(error) as caught:
        call()
    for word in words:
        assert word in str(caught.value)


def test_unknown_axis_of_the_current_mesh():
    with set_mesh(MESH), pytest.raises(MinijaxValueError, match="'q'.*'x', 'y'"):
        device_put(X, P("q"))


# ---- jit ----

def test_jit_cuts_arguments_and_results():
    f = minijax.jit(lambda x, p: {"a": x * p["w"]}, in_shardings=(ROWS, {"w": None}), out_shardings={"a": ROWS})
    x = np.ones((8, 6), "float32")
    assert f(x, {"w": 2.0})["a"].sharding == ROWS
    np.testing.assert_array_equal(minijax.grad(lambda x: jnp.sum(f(x, {"w": 2.0})["a"]))(x), 2 * x)
    traced = str(minijax.make_jaxpr(lambda x: f(x, {"w": 2.0}))(x))
    assert traced.count("sharding_constraint") == 2  # None leaves an argument as it is
    total = minijax.jit(lambda x: jnp.sum(x ** 2), in_shardings=ROWS)
    value, slope = minijax.value_and_grad(total)(x)
    assert value == 48 and slope.sharding.is_equivalent_to(ROWS, 2)
    np.testing.assert_array_equal(minijax.vmap(minijax.jit(lambda x: 2 * x, in_shardings=ROWS))(x[None]), 2 * x[None])
