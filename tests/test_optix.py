"""minijax.optix: optax is the oracle, step by step; laws of transformations; what is refused, and how."""

import inspect

import jax
import numpy as np
import optax
import pytest

import minijax
import minijax.numpy as jnp
from benchmarks import hlo, rows_libraries
from minijax import optix
from minijax.errors import MinijaxTypeError, MinijaxValueError, ShapeError, TreeError
from minijax.interop import from_jax

STEPS = 7
NAMES_OF_2020 = """AddNoiseState ClipByGlobalNormState ClipState InitUpdate ScaleByAdamState ScaleByRStdDevState
    ScaleByRmsState ScaleByScheduleState ScaleState TraceState adam add_noise apply_updates chain clip
    clip_by_global_norm global_norm noisy_sgd rmsprop scale scale_by_adam scale_by_rms scale_by_schedule
    scale_by_stddev sgd trace""".split()

# Each is built from a library: minijax.optix or optax.
TRANSFORMATIONS = {
    "sgd": lambda o: o.sgd(0.1),
    "sgd nesterov": lambda o: o.sgd(0.1, 0.9, nesterov=True),
    "trace in bfloat16": lambda o: o.trace(0.9, accumulator_dtype="bfloat16"),
    "noisy sgd": lambda o: o.noisy_sgd(0.1, key=3),
    "adam": lambda o: o.adam(0.01),
    "adam nesterov": lambda o: o.adam(0.01, eps_root=1e-6, mu_dtype="bfloat16", nesterov=True),
    "adamw": lambda o: o.adamw(o.warmup_cosine_decay_schedule(0.0, 0.1, 2, 6), mask={"w": True, "b": [False, True]}),
    "adamw, decay scheduled": lambda o: o.adamw(0.1, weight_decay=o.linear_schedule(0.1, 0.0, 5)),
    "rmsprop": lambda o: o.rmsprop(0.1),
    "rmsprop unbiased": lambda o: o.rmsprop(0.1, bias_correction=True, eps_in_sqrt=False),
    "rmsprop centred": lambda o: o.rmsprop(0.1, centered=True, momentum=0.9),
    "rmsprop centred unbiased": lambda o: o.rmsprop(0.1, centered=True, bias_correction=True, eps_in_sqrt=False,
                                                    initial_scale=1.0),
    "clip": lambda o: o.chain(o.clip(0.5), o.clip_by_global_norm(0.7), o.scale(-0.1)),
    "apply_every": lambda o: o.chain(o.apply_every(3), o.scale_by_learning_rate(0.1, flip_sign=False)),
    "inject": lambda o: o.inject_hyperparams(o.adam)(o.exponential_decay(0.1, 3, 0.5), b1=o.constant_schedule(0.8)),
    "inject in bfloat16": lambda o: o.inject_hyperparams(o.sgd, "momentum", "bfloat16")(0.1, momentum=0.9),
    "masked": lambda o: o.chain(o.masked(o.adam(0.1), lambda p: {"w": False, "b": [True, True]}), o.identity()),
    "frozen": lambda o: o.masked(o.set_to_zero(), {"w": True, "b": False}),
}
SCHEDULES = {
    "constant": lambda o: o.constant_schedule(0.3),
    "linear": lambda o: o.linear_schedule(0.1, 1.0, 1e1, 3),
    "polynomial": lambda o: o.polynomial_schedule(1.0, 0.1, 2, 10, 3),
    "no transition": lambda o: o.polynomial_schedule(1.0, 0.1, 2, 0),
    "exponential": lambda o: o.exponential_decay(1.0, 4, 0.5, 2, end_value=0.1),
    "rising": lambda o: o.exponential_decay(1.0, 4, 1.5, end_value=3.0),
    "staircase": lambda o: o.exponential_decay(1.0, 4, 0.5, staircase=True),
    "rate of zero": lambda o: o.exponential_decay(1.0, 4, 0.0),
    "piecewise": lambda o: o.piecewise_constant_schedule(1.0, {9: 0.5, 3: 0.1}),
    "one piece": lambda o: o.piecewise_constant_schedule(1.0),
    "cosine": lambda o: o.cosine_decay_schedule(1.0, 12, alpha=0.1, exponent=2.0),
    "warm-up": lambda o: o.warmup_constant_schedule(0.0, 1.0, 5),
    "warm-up, cosine": lambda o: o.warmup_cosine_decay_schedule(0.1, 1.0, 5, 15, end_value=0.2),
    "warm-up to zero": lambda o: o.warmup_cosine_decay_schedule(0.1, 0.0, 5, 15),
    "warm-up, exponential": lambda o: o.warmup_exponential_decay_schedule(0.1, 1.0, 5, 4, 0.5, 2),
    "joined": lambda o: o.join_schedules([o.constant_schedule(1.0), o.linear_schedule(1.0, 0.0, 4)], [6]),
}


def values(seed):
    """A tree of parameters or gradients, of NumPy arrays."""
    random = np.random.default_rng(seed)
    return {"w": random.normal(size=(5, 3)).astype(np.float32),
            "b": [random.normal(size=3).astype(np.float32), np.asarray(random.normal(), np.float32)]}


PARAMS = values(0)


def arrays(lib, tree):
    return jax.tree.map(lib.numpy.asarray, tree)


def bare(x):
    """The leaf as a NumPy array, a key as its bits."""
    x = getattr(x, "value", x)
    return np.asarray(jax.random.key_data(x) if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key) else x)


def assert_same(ours, theirs, **tolerance):
    """Leaves of the same types and values."""
    ours, theirs = map(minijax.tree.leaves, (ours, theirs))
    for one, other in zip(map(bare, ours), map(bare, theirs), strict=True):
        assert one.dtype == other.dtype and one.shape == other.shape
        np.testing.assert_allclose(one.astype(float), other.astype(float), **tolerance)


def trajectory(lib, optimizers, made):
    """Updates, states and parameters of all transformations after each of some compiled steps."""
    transformations = {name: make(optimizers) for name, make in made.items()}

    def step(states, params, gradients):
        outs = {name: each.update(gradients, states[name], params[name]) for name, each in transformations.items()}
        return outs, {name: optimizers.apply_updates(params[name], outs[name][0]) for name in outs}

    jitted, found = lib.jit(step), []
    params = {name: arrays(lib, PARAMS) for name in transformations}
    states = {name: each.init(params[name]) for name, each in transformations.items()}
    for number in range(STEPS):
        outs, params = jitted(states, params, arrays(lib, values(number + 1)))
        states = {name: state for name, (_, state) in outs.items()}
        found.append((outs, params))
    return found


@pytest.fixture(scope="module")
def theirs():
    return trajectory(jax, optax, TRANSFORMATIONS)


def test_steps_are_optax_s_to_the_last_bits(theirs):
    assert_same(trajectory(minijax, optix, TRANSFORMATIONS), theirs, rtol=1e-6, atol=1e-8)


def test_a_wrong_decay_is_found(theirs):
    right = [({"adam": outs["adam"]}, {"adam": params["adam"]}) for outs, params in theirs]
    wrong = trajectory(minijax, optix, {"adam": lambda o: o.adam(0.01, b2=0.9991)})
    with pytest.raises(AssertionError, match="Not equal"):
        assert_same(wrong, right, rtol=1e-6, atol=1e-8)


def test_states_are_interchangeable():
    ours, other = optix.adamw(0.1), optax.adamw(0.1)
    state = other.init(arrays(jax, PARAMS))
    updates, state = ours.update(PARAMS, state, PARAMS)
    bare_state = minijax.tree.map(lambda x: getattr(x, "value", x), state)
    assert_same(other.update(arrays(jax, PARAMS), bare_state, arrays(jax, PARAMS)),
                ours.update(PARAMS, state, PARAMS), rtol=1e-5)


def test_complex_and_half_precision():
    params = {"z": np.asarray([1 + 2j, 3.0], np.complex64), "h": np.ones(2, jnp.bfloat16)}

    def run(lib, o):
        optimizer, tree = o.chain(o.clip_by_global_norm(1.0), o.adam(0.1), o.scale_by_rms()), arrays(lib, params)
        updates, _ = lib.jit(optimizer.update)(tree, optimizer.init(tree))
        return o.apply_updates(tree, updates)

    found, expected = run(minijax, optix), run(jax, optax)
    assert found["h"].dtype == jnp.bfloat16
    for name in params:
        np.testing.assert_allclose(np.asarray(found[name], complex), np.asarray(expected[name], complex), rtol=1e-6)


def test_schedules_are_optax_s():
    counts = np.arange(20, dtype=np.int32)
    ours = minijax.jit(minijax.vmap(lambda n: {name: make(optix)(n) for name, make in SCHEDULES.items()}))(counts)
    theirs = jax.jit(jax.vmap(lambda n: {name: make(optax)(n) for name, make in SCHEDULES.items()}))(counts)
    for name in SCHEDULES:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=2e-6, atol=1e-7, err_msg=name)
        assert float(SCHEDULES[name](optix)(7)) == pytest.approx(float(theirs[name][7]), rel=1e-5, abs=1e-7)


def test_the_peak_of_a_warm_up_may_be_traced():
    peaks = np.float32([0.0, 0.5, 2.0])
    found = minijax.vmap(lambda peak: optix.warmup_cosine_decay_schedule(0.1, peak, 5, 15, 0.2)(7))(peaks)
    expected = [optix.warmup_cosine_decay_schedule(0.1, float(peak), 5, 15, 0.2)(7) for peak in peaks]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_names_and_signatures():
    """All names of 2020; what optax has today has its parameters and defaults."""
    assert set(NAMES_OF_2020) <= set(optix.__all__)
    shared = [name for name in optix.__all__ if inspect.isfunction(getattr(optax, name, None))]
    assert len(shared) > 30
    for name in shared:
        ours, theirs = [[(p.name, p.kind, p.default) for p in inspect.signature(getattr(lib, name)).parameters.values()]
                        for lib in (optix, optax)]
        assert ours == theirs, name
    for name in ("AddNoiseState", "ApplyEvery", "ScaleByAdamState", "ScaleByRmsState", "TraceState", "MaskedState",
                 "InjectStatefulHyperparamsState"):
        assert getattr(optix, name)._fields == getattr(optax, name)._fields


def test_target_networks():
    new, old = values(1), values(2)
    assert_same(optix.incremental_update(new, old, 0.25), optax.incremental_update(new, old, 0.25), rtol=1e-6)
    for step in (4, 6):
        assert_same(optix.periodic_update(new, old, step, 3), new if step == 6 else old)


# ---- laws ----

def test_identities_in_a_chain_change_nothing():
    plain, dressed = optix.adam(0.1), optix.chain(optix.identity(), optix.adam(0.1), optix.chain(),
                                                  optix.scale_by_learning_rate(None))
    ours, _ = dressed.update(PARAMS, dressed.init(PARAMS))
    assert_same(ours, plain.update(PARAMS, plain.init(PARAMS))[0])


@pytest.mark.parametrize("size", [0.0, 1e-3, 1.0, 1e3])
def test_clipping_bounds_what_is_large_and_leaves_the_rest(size):
    gradients = jax.tree.map(lambda x: x * np.float32(size), PARAMS)
    norm = float(optix.global_norm(gradients))
    assert norm == pytest.approx(float(np.sqrt(sum(np.sum(x ** 2) for x in jax.tree.leaves(gradients)))), rel=1e-6)
    short, _ = optix.clip_by_global_norm(0.5).update(gradients, optix.EmptyState())
    assert float(optix.global_norm(short)) == pytest.approx(min(norm, 0.5), rel=1e-6)
    small, _ = optix.clip(0.5).update(gradients, optix.EmptyState())
    assert_same(small, jax.tree.map(lambda x: np.clip(x, -0.5, 0.5), gradients))


def test_mixed_precision_is_clipped_by_an_array():
    gradients = {"narrow": jnp.full(4, 2.0, "bfloat16"), "wide": jnp.zeros(3)}
    short, _ = optix.clip_by_global_norm(jnp.float32(1.0)).update(gradients, optix.EmptyState())
    assert short["narrow"].dtype == jnp.bfloat16 and short["narrow"].tolist() == [0.5] * 4


def test_gradients_may_be_numbers():
    optimizer = optix.chain(optix.clip_by_global_norm(1.0), optix.add_noise(0.0, 0.5), optix.sgd(lambda count: 0.5))
    updates, _ = optimizer.update({"w": 4.0}, optimizer.init({"w": 0.0}))
    assert float(updates["w"]) == -0.5


def test_a_mask_hides_leaves_of_further_arguments():
    def times_value(o):
        def update(updates, state, params=None, *, value):
            return jax.tree.map(lambda g, v: g * v, updates, value), state
        return o.masked(o.GradientTransformationExtraArgs(o.init_empty_state, update), {"w": True, "b": False},
                        mask_compatible_extra_args=True)

    ours, theirs = (times_value(o).update(PARAMS, times_value(o).init(PARAMS), PARAMS, value=values(1))[0]
                    for o in (optix, optax))
    assert_same(ours, theirs)
    np.testing.assert_array_equal(ours["b"][0], PARAMS["b"][0])


def test_the_largest_count_stays():
    state = optix.ScaleByScheduleState(jnp.int32(2 ** 31 - 1))
    assert optix.scale_by_schedule(lambda count: 1.0).update(PARAMS, state)[1] == state


def test_states_and_chains_print_by_name():
    optimizer = optix.chain(optix.clip(1.0), optix.adam(0.1))
    assert str(optimizer) == "chain(clip, chain(scale_by_adam, scale))"
    assert [stage.name for stage in optimizer.stages] == ["clip", "chain"]
    assert str(optimizer.init(jnp.float32(1.0))) == (
        "(EmptyState(), (ScaleByAdamState(count=Array(0, dtype=int32), mu=Array(0., dtype=float32), "
        "nu=Array(0., dtype=float32)), EmptyState()))")


# ---- hyper-parameters as arrays ----

def test_a_new_learning_rate_compiles_nothing():
    traced = []
    injected = optix.inject_hyperparams(optix.adam)(0.1)

    @minijax.jit
    def step(state, learning_rate):
        traced.append(1)
        fresh = optix.sgd(learning_rate).update(PARAMS, (optix.EmptyState(), optix.EmptyState()))
        return injected.update(PARAMS, state), fresh[0]["w"]

    state, firsts = injected.init(PARAMS), []
    for rate in (0.1, 0.2, 0.4):
        state.hyperparams["learning_rate"] = jnp.float32(rate)
        (updates, _), other = step(state, rate)
        firsts.append(float(updates["w"][0, 0]))
        np.testing.assert_allclose(other, -rate * PARAMS["w"], rtol=1e-6)
    assert len(traced) == 1 and np.allclose(firsts, np.array([1, 2, 4]) * firsts[0])


def test_a_hyperparameter_may_have_a_dtype_of_its_own():
    def dtype(lib, optimizers, rate):
        state = optimizers.inject_hyperparams(optimizers.sgd)(rate).init({"w": lib.numpy.ones(2, "bfloat16")})
        return state.hyperparams["learning_rate"].dtype

    assert dtype(minijax, optix, 0.1) == dtype(jax, optax, 0.1) == "bfloat16"
    assert dtype(minijax, optix, jnp.float32(0.1)) == dtype(jax, optax, jax.numpy.float32(0.1)) == "float32"


def trained(learning_rate, optimizers, lib, steps=2):
    """The loss after some steps."""
    optimizer = optimizers.adam(learning_rate)
    params = arrays(lib, PARAMS)
    state = optimizer.init(params)

    def loss(params):
        return sum(lib.numpy.sum(x ** 2) for x in lib.tree.leaves(params))

    for _ in range(steps):
        updates, state = optimizer.update(lib.grad(loss)(params), state, params)
        params = optimizers.apply_updates(params, updates)
    return loss(params)


def test_learning_rates_are_batched_and_differentiated():
    rates = np.asarray([0.01, 0.1, 0.5], np.float32)
    ours = minijax.jit(minijax.vmap(minijax.value_and_grad(lambda r: trained(r, optix, minijax))))(rates)
    theirs = jax.jit(jax.vmap(jax.value_and_grad(lambda r: trained(r, optax, jax))))(rates)
    assert_same(ours, theirs, rtol=1e-4)


def test_devices_agree_on_an_update():
    optimizer = optix.adam(0.1)
    gradients = {"w": np.arange(6, dtype=np.float32).reshape(2, 3)}
    params = {"w": np.ones((2, 3), np.float32)}

    def step(gradients, params):
        mean = minijax.lax.pmean(gradients, "devices")
        return optimizer.update(mean, optimizer.init(params), params)[0]

    with_axis = minijax.pmap(step, axis_name="devices")(gradients, params)["w"]
    alone, _ = optimizer.update({"w": gradients["w"].mean(0)}, optimizer.init({"w": params["w"][0]}))
    np.testing.assert_allclose(with_axis, np.stack([alone["w"]] * 2), rtol=1e-6)


# ---- optax over the bridge ----

CARRIED = {
    "lamb": lambda: optax.lamb(0.1),
    "adafactor": lambda: optax.adafactor(0.1, min_dim_size_to_factor=2),
    "lion": lambda: optax.lion(0.1),
    "several steps": lambda: optax.MultiSteps(optax.adam(0.1), 2),
    "masked": lambda: optax.masked(optax.adam(0.1), {"w": True, "b": [False, True]}),
    "scheduled": lambda: optax.sgd(optax.sgdr_schedule([{"init_value": 0.1, "peak_value": 0.5, "warmup_steps": 1,
                                                         "decay_steps": 4}])),
}


def test_what_optax_has_is_carried():
    """Under jit with a chain of ours around it, and under grad and vmap."""
    carried = {name: (lambda o, make=make: optix.from_optax(make()) if o is optix else make())
               for name, make in CARRIED.items()}
    carried["in a chain"] = lambda o: o.chain(o.clip(0.5), optix.from_optax(optax.lion(0.1)) if o is optix
                                              else optax.lion(0.1))
    found = trajectory(minijax, optix, carried)
    assert_same(found, trajectory(jax, optax, carried), rtol=1e-6, atol=1e-8)
    state = found[-1][0]["several steps"][1]
    assert isinstance(state, optax.MultiStepsState) and type(state.mini_step) is minijax.Array


def test_carried_updates_are_differentiated_batched_and_mapped():
    def total(lib, optimizers):
        """The squared length of parameters after one update each, by a factor of the gradients."""
        def of(factor):
            params = {"w": lib.numpy.asarray(PARAMS["w"])}
            gradients = {"w": factor * params["w"] + 1}
            updates = [each.update(gradients, each.init(params), params)[0] for each in optimizers]
            return sum(lib.numpy.sum((params["w"] + each["w"]) ** 2) for each in updates)
        return lib.value_and_grad(of)

    factors = np.asarray([[0.5, 1.0], [2.0, 3.0]], np.float32)
    carried = [CARRIED["lamb"](), CARRIED["adafactor"]()]
    ours = minijax.pmap(minijax.vmap(total(minijax, [optix.from_optax(each) for each in carried])))(factors)
    assert_same(ours, jax.jit(jax.vmap(jax.vmap(total(jax, carried))))(factors), rtol=1e-4, atol=1e-5)


def test_a_line_search_takes_a_function_of_ours():
    search = optax.scale_by_backtracking_linesearch(max_backtracking_steps=8)
    optimizer = optix.chain(optix.sgd(1.0), optix.from_optax(search))

    def loss(params):
        return jnp.sum((params - jnp.arange(4.0)) ** 2)

    @minijax.jit
    def step(params, state):
        value, gradient = minijax.value_and_grad(loss)(params)
        updates, state = optimizer.update(gradient, state, params, value=value, grad=gradient, value_fn=loss)
        return optix.apply_updates(params, updates), state

    params = jnp.zeros(4)
    state = optimizer.init(params)
    for _ in range(5):
        params, state = step(params, state)
    assert float(loss(params)) < 1e-2 * float(loss(jnp.zeros(4)))


def test_optax_itself_takes_arrays_of_ours_eagerly():
    params = arrays(minijax, PARAMS)
    optimizer = optax.adam(0.1)
    updates, _ = optimizer.update(params, optimizer.init(params), params)
    ours = optix.adam(0.1)
    assert_same(optax.apply_updates(params, updates), optix.apply_updates(
        params, ours.update(params, ours.init(params))[0]), rtol=1e-5)


def test_a_schedule_of_optax_is_a_schedule_here():
    optimizer = optix.sgd(from_jax(optax.cosine_onecycle_schedule(10, 0.5)))
    updates, _ = minijax.jit(optimizer.update)(PARAMS, optimizer.init(PARAMS))
    assert_same(updates, jax.tree.map(lambda x: np.float32(-0.02) * x, PARAMS), rtol=1e-6)


# ---- explain_update ----

def test_an_update_is_explained():
    optimizer = optix.chain(optix.clip(1.0), optix.adamw(0.5, weight_decay=0.1))
    params = {"layer": {"w": jnp.array([[4.0, 0.0], [0.0, 3.0]]), "b": jnp.ones(2, "bfloat16")}}
    gradients = {"layer": {"w": jnp.array([[0.0, 0.0], [-3.0, 0.0]]), "b": jnp.zeros(2, "bfloat16")}}
    explained = optix.explain_update(optimizer, gradients, optimizer.init(params), params, "['layer']['w']")
    assert str(explained) == """\
update of params['layer']['w']
stage                type      norm   of parameter  largest entry
parameter            f32[2,2]  5      1             4 at ['layer']['w'][0, 0]
gradient             f32[2,2]  3      0.6           -3 at ['layer']['w'][1, 0]
clip                 f32[2,2]  1      0.2           -1 at ['layer']['w'][1, 0]
scale_by_adam        f32[2,2]  1      0.2           -1 at ['layer']['w'][1, 0]
add_decayed_weights  f32[2,2]  1.118  0.22          -1 at ['layer']['w'][1, 0]
scale                f32[2,2]  0.559  0.11          0.5 at ['layer']['w'][1, 0]
applied              f32[2,2]  0.559  0.11          0.5 at ['layer']['w'][1, 0]"""
    updates, _ = optimizer.update(gradients, optimizer.init(params), params)
    assert explained.rows[-2].norm == pytest.approx(float(jnp.linalg.norm(updates["layer"]["w"])), rel=1e-6)
    everything = optix.explain_update(optimizer, gradients, optimizer.init(params), params)
    assert everything.rows[0].type == "2 leaves" and everything.rows[0].norm == pytest.approx(27 ** 0.5)


def test_injected_hyperparameters_hide_no_stage():
    optimizer = optix.inject_hyperparams(optix.adamw)(optix.constant_schedule(0.1))
    explained = optix.explain_update(optimizer, PARAMS, optimizer.init(PARAMS), PARAMS, "['w']")
    assert [row.stage for row in explained.rows] == ["parameter", "gradient", "scale_by_adam", "add_decayed_weights",
                                                     "scale", "applied"]
    updates, _ = optimizer.update(PARAMS, optimizer.init(PARAMS), PARAMS)
    assert explained.rows[-2].norm == pytest.approx(float(jnp.linalg.norm(updates["w"])), rel=1e-6)


def test_an_update_lost_to_rounding_is_seen_and_shown_in_a_notebook():
    optimizer, params = optix.sgd(1e-4), {"<w>": jnp.ones((), "bfloat16")}
    explained = optix.explain_update(optimizer, params, optimizer.init(params), params)
    assert explained.rows[-2].norm > 0 and explained.rows[-1].norm == 0
    shown = explained._repr_html_()
    assert shown.count("<tr>") == 6 and "&lt;w&gt;" in shown and "<w>" not in shown


def test_explained_leaves_may_be_empty_and_carried():
    optimizer = optix.from_optax(optax.lion(0.1))
    params = {"w": jnp.ones(2), "e": jnp.ones((0, 3))}
    explained = optix.explain_update(optimizer, params, optimizer.init(params), params, "['e']")
    assert [row.place for row in explained.rows] == ["no entry"] * 4


# ---- what is refused ----

def adam_state():
    return optix.adam(0.1).init(PARAMS)


REFUSED = {
    "no learning rate": (lambda: optix.adam(None), MinijaxTypeError, "adam: learning_rate is a number", "got None"),
    "a name": (lambda: optix.sgd("fast"), MinijaxTypeError, "sgd: learning_rate", "'fast' of type str"),
    "negative": (lambda: optix.adamw(-0.1), MinijaxValueError, "learning_rate is a number at least 0", "got -0.1"),
    "not a number": (lambda: optix.rmsprop(float("nan")), MinijaxValueError, "got nan"),
    "decay of one": (lambda: optix.adam(0.1, b1=1.0), MinijaxValueError, "b1 is a number at least 0 and below 1"),
    "rates": (lambda: optix.sgd(np.ones(3)), ShapeError, "shape (3,)", "minijax.vmap"),
    "not a schedule": (lambda: optix.scale_by_schedule(0.1), MinijaxTypeError, "step_size_fn is a function", "0.1"),
    "schedule of arrays": (lambda: optix.sgd(lambda count: jnp.ones(2)).update(
        PARAMS, (optix.EmptyState(), optix.ScaleByScheduleState(jnp.int32(0)))), ShapeError, "value of the schedule"),
    "no cosine": (lambda: optix.warmup_cosine_decay_schedule(0.0, 1.0, 5, 5), MinijaxValueError, "decay_steps"),
    "half a step": (lambda: optix.linear_schedule(0.0, 1.0, 2.5), MinijaxTypeError, "transition_steps", "2.5"),
    "steps before zero": (lambda: optix.exponential_decay(1.0, -1, 0.5), MinijaxValueError, "transition_steps"),
    "negative factor": (lambda: optix.piecewise_constant_schedule(1.0, {3: -1.0}), MinijaxValueError, "from step 3"),
    "boundaries": (lambda: optix.join_schedules([optix.constant_schedule(1.0)] * 3, [5]), MinijaxValueError,
                   "3 schedules have 2 boundaries between them, got 1"),
    "every zeroth": (lambda: optix.apply_every(0), MinijaxValueError, "k is a number at least 1"),
    "two keys": (lambda: optix.add_noise(0.1, 0.5, 1, seed=2), MinijaxValueError, "key and seed"),
    "no key": (lambda: optix.add_noise(0.1, 0.5, 0.5), MinijaxTypeError, "key is a random key or an integer"),
    "optax bare": (lambda: optix.chain(optix.identity(), optax.adam(0.1)), MinijaxTypeError, "stage 1", "from_optax"),
    "no transformation": (lambda: optix.chain(0.1), MinijaxTypeError, "stage 0 is 0.1", "optix.scale(-0.1)"),
    "nothing to carry": (lambda: optix.from_optax(optax.adam), MinijaxTypeError, "init and update"),
    "gradients of others": (lambda: optix.adam(0.1).update({"w": PARAMS["w"]}, adam_state()), TreeError,
                            "updates and state.mu are unlike trees", "unexpected ['b']"),
    "no gradient": (lambda: optix.adam(0.1).update({**PARAMS, "w": None}, adam_state()), TreeError,
                    "state.mu['w']", "expected None"),
    "gradients within": (lambda: optix.apply_updates(PARAMS, {**PARAMS, "w": [PARAMS["w"]]}), TreeError,
                         "params['w']", "expected a list of 1"),
    "gradients of a batch": (lambda: optix.apply_updates(PARAMS, {**PARAMS, "w": np.ones((2, 5, 3))}), ShapeError,
                             "params['w'] has shape (5, 3), updates['w'] has shape (2, 5, 3)"),
    "target of others": (lambda: optix.periodic_update(PARAMS, {"w": PARAMS["w"]}, 1, 2), TreeError,
                         "new_tensors and old_tensors are unlike trees", "missing ['b']"),
    "state of others": (lambda: optix.trace(0.9).update(PARAMS, optix.scale_by_adam().init(PARAMS)), MinijaxTypeError,
                        "the state is a TraceState(trace), got a ScaleByAdamState with"),
    "state of a chain": (lambda: optix.sgd(0.1).update(PARAMS, adam_state()[0]), MinijaxValueError,
                         "2 stages (identity, scale)", "state is a ScaleByAdamState"),
    "no parameters": (lambda: optix.adamw(0.1).update(PARAMS, optix.adamw(0.1).init(PARAMS)), MinijaxTypeError,
                      "add_decayed_weights needs the parameters"),
    "mask of numbers": (lambda: optix.masked(optix.scale(1.0), {"w": 1, "b": 0}).init(PARAMS), MinijaxTypeError,
                        "True and False, got a int"),
    "static of others": (lambda: optix.inject_hyperparams(optix.sgd, "speed"), MinijaxValueError, "['speed']"),
    "injected call": (lambda: optix.inject_hyperparams(optix.sgd)(), MinijaxTypeError, "learning_rate"),
    "injected value": (lambda: optix.inject_hyperparams(optix.sgd)(-1.0), MinijaxValueError, "got -1.0"),
    "no such path": (lambda: optix.explain_update(optix.scale(1.0), PARAMS, optix.EmptyState(), PARAMS, "['v']"),
                     MinijaxValueError, "nothing is at params['v']", "\"['b'][0]\""),
    "explained tree": (lambda: optix.explain_update(optix.scale(1.0), 1.0, optix.EmptyState(), PARAMS), TreeError,
                       "gradients: expected a dict of 2, got a leaf"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    call, kind, *texts = REFUSED[name]
    with pytest.raises(kind) as caught:
        call()
    assert all(text in str(caught.value) for text in (*texts, "test_optix.py:")), str(caught.value)


# ---- speed ----

def test_a_step_of_adam_is_the_same_program():
    assert hlo.same(rows_libraries.adam_hlo(minijax), rows_libraries.adam_hlo(jax))
