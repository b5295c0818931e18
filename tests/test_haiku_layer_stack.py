"""layer_stack and optimize_rng_use against dm-haiku: names, shapes, initial values, results, state, gradients."""

import haiku
import jax
import numpy as np
import pytest

import minijax
import minijax.haiku as hk
import minijax.numpy as jnp
from minijax import errors
from minijax.haiku import experimental
from minijax.haiku.experimental.layer_stack import layer_stack

X = np.linspace(-1, 1, 6, dtype="float32").reshape(2, 3)
Y = np.linspace(0, 1, 9, dtype="float32").reshape(3, 3)


class Blocks:
    """block_0/linear, block_1/linear, ..."""

    def stacked_to_flat(self, stacked_module_name, scan_idx):
        return f"block_{scan_idx}/{stacked_module_name}"

    def flat_to_stacked(self, unstacked_module_name):
        block, _, name = unstacked_module_name.partition("/")
        return (name, int(block[6:])) if block.startswith("block_") else None


class Ours:
    hk, lib, numpy, stack, optimize = hk, minijax, jnp, staticmethod(layer_stack), experimental.optimize_rng_use


class Theirs:
    hk, lib, numpy = haiku, jax, jax.numpy
    stack, optimize = staticmethod(haiku.experimental.layer_stack), haiku.experimental.optimize_rng_use


def functions(side):
    """The same functions of either library."""
    hk, np, random, stack = side.hk, side.numpy, side.lib.random, side.stack

    class Linear(hk.Module):
        def __init__(self, size, name=None):
            super().__init__(name=name)
            self.size = size

        def __call__(self, x):
            w = hk.get_parameter("w", (x.shape[-1], self.size), init=lambda shape, dtype: random.normal(
                hk.next_rng_key(), shape, dtype))
            return x @ w + hk.get_parameter("b", (self.size,), init=np.zeros)

    def inputs_state_keys(x, y):
        def layer(x, y, scale):
            hk.set_state("sum", hk.get_state("sum", (), init=np.zeros) + y.sum())
            x = Linear(3)(Linear(5, name="inner")(x)) + y * scale["scale"]
            return x + random.normal(hk.next_rng_key(), x.shape), {"sum": x.sum()}

        return stack(3, with_per_layer_inputs=True, name="named", unroll=2)(layer)(x, y, {"scale": y[0]})

    def reverse(x, y):
        def layer(x, y, reverse=False):
            return Linear(3)(x) + y * (2 if reverse else 1), x

        return stack(3, with_per_layer_inputs=True, pass_reverse_to_layer_fn=True)(layer)(x, y, reverse=True)

    def nested(x, y):
        def layer(x, y):
            return np.tanh(Linear(3)(x) + y[0]), y * 2

        return stack(2, unroll=2)(stack(3)(layer))(x, y)

    def transparent(x, y):
        x = Linear(3, name="own")(x)
        return stack(3, transparent=True, transparency_map=Blocks())(lambda x: Linear(3)(x))(x)

    def optimized(x, y):
        return side.optimize(lambda x: Linear(2)(Linear(3)(x)) + random.normal(hk.next_rng_key()))(x)

    return {f.__name__: f for f in (inputs_state_keys, reverse, nested, transparent, optimized)}


def everything(side):
    """Parameters, state, results, new state, and gradients with respect to parameters and input."""
    random = side.lib.random

    def one(f, x, y):
        f = side.hk.transform_with_state(f)
        params, state = f.init(random.PRNGKey(0), x, y)

        def loss(params, x):
            out, after = f.apply(params, state, random.PRNGKey(1), x, y)
            return sum([x.sum() for x in side.lib.tree.leaves(out)]), (out, after)

        return params, state, side.lib.grad(loss, (0, 1), has_aux=True)(params, x)

    return {name: one(f, X, Y) for name, f in functions(side).items()}


def test_stacks_are_those_of_haiku():
    with minijax.config.override("evaluator", "numpy"):  # no compilation
        ours = everything(Ours)
    quick = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
    theirs = jax.jit(lambda: everything(Theirs)).lower().compile(quick)()
    paths, structure = minijax.tree.flatten_with_path(ours)
    assert structure == minijax.tree.structure(minijax.tree.map(jnp.asarray, theirs))
    for (path, x), y in zip(paths, jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(x, y, rtol=2e-5, atol=2e-5, err_msg=minijax.tree_util.keystr(path))


def test_a_transparent_stack_is_the_loop():
    """Its parameters are those of the loop in Python; and the function that is stacked may be a module."""
    class Scale(hk.Module):
        def __call__(self, x):
            return x * hk.get_parameter("w", (), init=jnp.ones) + 1.0

    class Layer(hk.Module):
        def __init__(self, number):
            super().__init__(name=f"block_{number}")

        def __call__(self, x):
            return Scale()(x)

    stack = layer_stack(3, transparent=True, transparency_map=Blocks())
    stacked = hk.transform(lambda x: stack(lambda x: Scale()(x))(x))
    looped = hk.transform(lambda x: Layer(2)(Layer(1)(Layer(0)(x))))
    params = looped.init(None, 1.0)
    assert minijax.tree.structure(stacked.init(None, 1.0)) == minijax.tree.structure(params)
    params["block_1/scale"] = {"w": jnp.asarray(3.0)}
    assert float(stacked.apply(params, None, 1.0)) == float(looped.apply(params, None, 1.0)) == 8.0


def test_one_program_for_all_layers():
    def size(count):
        f = hk.transform(lambda x: layer_stack(count)(lambda x: x * hk.get_parameter("w", (), init=jnp.ones))(x))
        return len(minijax.make_jaxpr(f.apply)(f.init(None, 1.0), None, 1.0).eqns)

    assert size(2) == size(20) == 1


class Same(Blocks):
    """All layers by one name."""

    def stacked_to_flat(self, stacked_module_name, scan_idx):
        return "block_0/x"


def run(layer, *args, **options):
    return hk.transform(lambda: layer_stack(3, **options)(layer)(*args)).init(None)


def test_what_layers_must_not_be():
    def parameter(x):
        return x * hk.get_parameter("w", (), init=jnp.ones)

    with pytest.raises(errors.MinijaxValueError, match=r"should not have any `varargs`.*test_haiku_layer_stack.py:"):
        run(lambda *xs: xs, 1.0)
    with pytest.raises(errors.MinijaxValueError, match="transparency_map must be provided"):
        run(parameter, 1.0, transparent=True)
    with pytest.raises(errors.MinijaxValueError, match="conflicting unstacked module name for ~ at block_0/x"):
        run(parameter, 1.0, transparent=True, transparency_map=Same())
    with pytest.raises(errors.MinijaxTypeError, match=r"per-layer input \[0\] has shape \(2,\).*expected 3 entries"):
        run(lambda x, y: (x, y), 1.0, jnp.ones(2), with_per_layer_inputs=True)
    for results, count in ((jnp.ones((2, 2)), "1 result"), ((1.0, 2.0, 3.0), "3 results")):
        with pytest.raises(errors.MinijaxTypeError, match=rf"takes 2 arguments and returned {count} \(.*a tuple of 2"):
            run(lambda x, y, results=results: results, jnp.ones((2, 2)), 1.0)
    with pytest.raises(errors.MinijaxError, match="carry"):
        run(lambda x: (x, x), 1.0)
    with pytest.raises(errors.MinijaxValueError, match="must be used as part of an `hk.transform`"):
        layer_stack(2)(parameter)(1.0)
    with pytest.raises(errors.MinijaxValueError, match="must be used as part of an `hk.transform`"):
        experimental.optimize_rng_use(parameter)(1.0)


def test_optimized_keys_come_from_one_split():
    def splits(f):
        program = minijax.make_jaxpr(hk.transform(f).apply)({}, minijax.random.PRNGKey(0))
        return str(program).count("threefry2x32")

    def four():
        return [hk.next_rng_key() for _ in range(4)]

    assert (splits(four), splits(experimental.optimize_rng_use(four))) == (4, 1)
    assert splits(experimental.optimize_rng_use(lambda: [])) == 0
