"""Hold a module of minijax.haiku against its namesake in dm-haiku.

`same_module(build, *inputs)` runs one function body in both libraries for the same key: `build(hk, jnp)` makes the
body from a library's modules and arrays.  Names, shapes and dtypes must agree; initial values of parameters to the last
bit or its neighbour; state, outputs, and the gradients of a weighted sum of the outputs (by the parameters and by the
inputs) to rounding.  Inputs are trees of arrays; what is static belongs into `build`.
"""

import haiku
import jax
import ml_dtypes
import numpy as np

import minijax
import minijax.haiku

LIBRARIES = {"ours": (minijax, minijax.haiku), "theirs": (jax, haiku)}


def same_module(build, *inputs, state=False, seed=0, jit=True, eager_init=True, tolerance=2e-5):
    """Both libraries give the same for a body `build(hk, jnp)`; returns our parameters, state and outputs as NumPy.

    `state` says whether the body has state, `jit` whether the gradient is compiled, `eager_init` whether `init` is
    not (a body of many modules costs less compiled), and `tolerance` how far
    outputs and gradients may differ, relative to the largest number of each array.
    """
    found = {who: results(api, hk, build, inputs, seed, jit, eager_init) for who, (api, hk) in LIBRARIES.items()}
    ours, theirs = found["ours"], found["theirs"]
    compare(ours["params"], theirs["params"], "params")
    assert bool(theirs["state"]) == state, f"the body has state {list(theirs['state'])}, but state={state}"
    for part in ("state", "outputs", "new state", "gradients"):
        compare(ours[part], theirs[part], part, tolerance)
    return ours


def results(api, hk, build, inputs, seed=0, jit=True, eager_init=True):
    """What one library makes of a body: for each part, arrays by path."""
    model = hk.transform_with_state(build(hk, api.numpy))
    key = api.random.PRNGKey(seed)
    params, state = (model.init if eager_init else api.jit(model.init))(key, *inputs)

    def score(params, inputs, state):
        out, new_state = model.apply(params, state, key, *inputs)
        return weighted_sum(api, out), (out, new_state)

    gradient = api.grad(score, argnums=(0, 1), has_aux=True, allow_int=True)
    gradients, (out, new_state) = (api.jit(gradient) if jit else gradient)(params, inputs, state)
    return {"params": by_path(params), "state": by_path(state), "outputs": by_path(out),
            "new state": by_path(new_state), "gradients": by_path(gradients)}


def weighted_sum(api, tree):
    """A number that changes with every floating-point element of a tree, and with their order."""
    total = api.numpy.zeros(())
    for leaf in map(api.numpy.asarray, api.tree.leaves(tree)):
        if api.numpy.issubdtype(leaf.dtype, np.inexact):
            weights = np.cos(np.arange(leaf.size)).reshape(leaf.shape)
            total += api.numpy.sum(leaf.real.astype(np.float32) * weights.astype(np.float32))
    return total


def by_path(tree):
    """The leaves of a tree as NumPy arrays, each under its path."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree, is_leaf=lambda x: isinstance(x, minijax.Array))
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}


def compare(ours, theirs, part, tolerance=None):
    """The same arrays under the same paths; without a tolerance to the last bit or its neighbour."""
    assert list(ours) == list(theirs), f"{part}: ours has {list(ours)}, theirs {list(theirs)}"
    for path, expected in theirs.items():
        found, where = ours[path], f"{part}{path}"
        types = [f"{x.dtype}{list(x.shape)}" for x in (found, expected)]
        assert types[0] == types[1], f"{where}: ours is {types[0]}, theirs {types[1]}"
        inexact = expected.dtype.kind in "fc" or expected.dtype == ml_dtypes.bfloat16
        if not inexact:
            np.testing.assert_array_equal(found, expected, err_msg=where)
            continue
        wide = np.complex128 if expected.dtype.kind == "c" else np.float64
        found, expected, step = found.astype(wide), expected.astype(wide), float(ml_dtypes.finfo(expected.dtype).eps)
        largest = np.max(np.abs(expected), initial=0, where=np.isfinite(expected))
        rtol, atol = (step, 0) if tolerance is None else (0, max(tolerance, 4 * step) * largest)
        np.testing.assert_allclose(found, expected, rtol=rtol, atol=atol, err_msg=where)
