"""The core of `minijax.haiku` against dm-haiku: names, hooks, lifting, keys; functions written for either library."""

import copy
import dataclasses
import pickle
import re
import types

import haiku
import jax
import jax.numpy as jjnp
import numpy as np
import optax
import pytest

import minijax as mj
import minijax.haiku as hk
import minijax.numpy as jnp
from minijax import config, errors, lax

OURS = types.SimpleNamespace(hk=hk, np=jnp, random=mj.random, lax=lax, tree=mj.tree, key=mj.random.PRNGKey)
THEIRS = types.SimpleNamespace(hk=haiku, np=jjnp, random=jax.random, lax=jax.lax, tree=jax.tree, key=jax.random.PRNGKey)


@pytest.fixture(autouse=True)
def on_numpy():
    """The NumPy evaluator compiles nothing."""
    with config.override("evaluator", "numpy"):
        yield


def kit_with_classes(kit):
    """A kit and the modules of these tests, made with it."""
    def drawn(shape, dtype):
        return kit.random.uniform(kit.hk.next_rng_key(), shape, dtype)

    class Layer(kit.hk.Module):
        """A parameter and a state, in __call__."""

        def __init__(self, size=2, name=None):
            super().__init__(name=name)
            self.size = size

        def __call__(self, x):
            return x * self.weight(x) + self.count()

        @kit.hk.transparent
        def weight(self, x):
            return kit.hk.get_parameter("w", (self.size,), x.dtype, init=drawn)

        @kit.hk.transparent
        def count(self):
            n = kit.hk.get_state("n", (), init=kit.np.zeros)
            kit.hk.set_state("n", n + 1)
            return n

    class Tower(kit.hk.Module):
        """Layers made everywhere: in the constructor, in methods, in transparent methods, in scopes."""

        def __init__(self, name=None):
            super().__init__(name)
            self.first = Layer()
            self.again = Layer(name="layer")

        def __call__(self, x):
            with kit.hk.name_scope("scope"):
                x = Layer()(x)
            return Layer(name="z")(self.second(self.through(self.first(self.again(x)))))

        def second(self, x):
            return Layer()(Layer()(x))

        @kit.hk.transparent
        def through(self, x):
            return Layer(name="t")(x)

        @kit.hk.name_like("__call__")
        def like(self, x):
            return Layer()(x)

        @property
        def prop(self):
            return Layer()(kit.np.ones(2))

    return types.SimpleNamespace(**vars(kit), drawn=drawn, Layer=Layer, Tower=Tower)


KITS = kit_with_classes(OURS), kit_with_classes(THEIRS)


# ---- functions for either library ----

def plain_names(k, x):
    return k.Tower()(k.Tower()(x))


def shared_instance(k, x):
    layer = k.Layer()
    return layer(layer(x)) + k.Layer(name="layer")(x) + k.Layer(name="layer_7")(x) + k.Layer()(x)


def methods(k, x):
    tower = k.Tower("mine")
    return tower.like(x) + tower.second(x) + tower.prop + tower.through(x)


def forced_names(k, x):
    return k.Layer(name=k.hk.force_name("far/away"))(x) + k.Layer(name=k.hk.force_name("far/away"))(x)


def scopes(k, x):
    with k.hk.name_scope("outer/inner"):
        x = k.Layer()(x) + k.hk.get_parameter("own", (), init=k.drawn)
    with k.hk.name_scope("outer", method_name="made"):
        return k.Layer()(x)


def hooks(k, x):
    def creator(create, shape, dtype, init, context):
        return create(shape, dtype, init) * (2.0 if context.full_name.endswith("w") else 1.0)

    def getter(get, value, context):
        return get(value) + len(context.module_name) + len(context.name) + sum(context.original_shape)

    def setter(put, value, context):
        return put(value) * 3.0

    def interceptor(call, args, kwargs, context):
        result = call(*args, **kwargs)
        return result * 2.0 if context.method_name == "__call__" else result

    def adding(call, args, kwargs, context):
        result = call(*args, **kwargs)
        return None if result is None else result + 1.0

    with k.hk.custom_creator(creator, state=True), k.hk.custom_getter(getter), k.hk.custom_setter(setter):
        with k.hk.intercept_methods(interceptor), k.hk.intercept_methods(adding):
            with k.hk.custom_setter(lambda put, value, context: put(value + 1.0)):
                return k.Tower()(x)


def nested_hooks(k, x):
    """The order of several creators and getters, and what stores nothing."""
    def adds(amount):
        return lambda create, shape, dtype, init, context: create(shape, dtype, init) + amount

    def doubles(get, value, context):
        return get(value) * 2.0

    with k.hk.custom_creator(adds(1.0)), k.hk.custom_getter(doubles):
        with k.hk.custom_creator(lambda create, *args: create(*args[:-1]) * 3.0):
            with k.hk.custom_getter(lambda get, value, context: get(value + 1.0)):
                return k.Layer()(x)


def stored_nowhere(k, x):
    def creator(create, shape, dtype, init, context):
        return k.hk.DO_NOT_STORE

    def getter(get, value, context):
        return get(k.np.ones(context.original_shape))

    with k.hk.custom_creator(creator), k.hk.custom_getter(getter):
        return k.Layer()(x)


def looking(k, x):
    """What there is at this point, and who asks."""
    tower = k.Tower()
    y = tower(x)
    return (y, tower.params_dict(), tower.state_dict(), k.hk.get_params(), k.hk.get_current_state(),
            k.hk.get_initial_state(), len(k.hk.current_name()))


def lifted(k, x):
    inner = k.hk.transform_with_state(lambda x: k.Tower()(x))
    init, updater = k.hk.lift_with_state(inner.init, name="within")
    params, state = init(k.hk.next_rng_key(), x)
    y, state = inner.apply(params, state, None, x)
    updater.update(state)
    plain = k.hk.transform(lambda x: x * k.hk.get_parameter("p", (2,), init=k.drawn))
    z = plain.apply(k.hk.lift(plain.init, name="plain")(k.hk.next_rng_key(), x), None, x)
    with k.hk.name_scope("around"):
        z += plain.apply(k.hk.transparent_lift(plain.init)(k.hk.next_rng_key(), x), None, x)
    return y + z


def keys(k, x):
    first = k.hk.next_rng_key()
    many = k.hk.next_rng_keys(3)
    k.hk.reserve_rng_keys(2)
    return first, many, k.hk.next_rng_key(), k.hk.maybe_next_rng_key(), k.hk.next_rng_keys(2), k.hk.next_rng_key()


def keys_in_loops(k, x):
    """The order of keys through control flow, with what is in reserve."""
    def draw():
        return k.random.uniform(k.hk.next_rng_key(), (2,))

    draw()
    x, ys = k.hk.scan(lambda c, _: (c + draw(), draw()), x, None, length=3)
    z = k.hk.cond(k.np.sum(x) > 0, lambda x: x + draw(), lambda x: x - draw() - draw(), x)
    s = k.hk.switch(1, [lambda x: x, lambda x: x * draw(), lambda x: draw() * draw()], z)
    w = s if k.hk.running_init() else k.hk.while_loop(
        lambda c: c[0] < 2, lambda c: (c[0] + 1, c[1] + draw()), (0, s))[1]  # Haiku's is for apply only
    f = k.hk.fori_loop(0, 2, lambda i, c: c + draw() * i, w)
    g = k.hk.grad(lambda f: k.np.sum(f * f * draw()))(f)
    r = k.hk.remat(lambda g: g * draw())(g)
    m = k.hk.map(lambda r: r * draw()[0], r)
    return ys, z, s, w, f, g, r, m, draw()


def modules_in_loops(k, x):
    """Names of what is made in control flow, in the order of Haiku."""
    layer = lambda x: x * k.hk.get_parameter("w", (2,), init=k.drawn)  # noqa: E731

    class Part(k.hk.Module):
        def __call__(self, x):
            return layer(x)

    part = Part()
    x = k.hk.cond(k.np.sum(x) > 0, lambda x: part(x), lambda x: part(x) + 1.0, x)
    x, _ = k.hk.scan(lambda c, _: (part(c), None), x, None, length=2)
    return k.hk.value_and_grad(lambda x: k.np.sum(part(x)))(x)


def batches(k, x):
    def noisy(x):
        return x * k.random.uniform(k.hk.next_rng_key())

    shared = k.hk.vmap(noisy, split_rng=False)(x)
    split = k.hk.vmap(noisy, split_rng=True)(x)
    axes = k.hk.vmap(lambda x, y: noisy(x) + y, in_axes=(0, None), out_axes=0, split_rng=True)(x, 1.0)
    parts = {"rows": k.np.stack([x, x, x]), "all": x}
    inner = k.hk.vmap(lambda p: noisy(p["rows"]) + p["all"], ({"rows": -2, "all": None},), split_rng=True)(parts)
    return shared, split, axes, inner, k.hk.next_rng_key()


def shapes_only(k, x):
    shape = k.hk.eval_shape(lambda x: k.Layer()(x), x).shape
    return k.Layer()(x).reshape(shape)


def partly_in_apply(k, x):
    return x if k.hk.running_init() else 2.0 * x


FUNCTIONS = [plain_names, shared_instance, methods, forced_names, scopes, hooks, nested_hooks, stored_nowhere, looking,
             lifted, keys, keys_in_loops, modules_in_loops, batches, shapes_only, partly_in_apply]


def same(ours, theirs):
    """Two trees agree: in structure, and in numbers."""
    ours, theirs = mj.tree.map(np.asarray, ours), jax.tree.map(np.asarray, theirs)
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    for x, y in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-6)


def outcome(k, function):
    """What init and apply give."""
    pure = k.hk.transform_with_state(lambda x: function(k, x))
    x = k.np.array([0.5, 2.0])
    given = pure.init(k.key(0), x)
    return given, pure.apply(*given, k.key(1), x)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_as_haiku(function):
    ours, theirs = [outcome(k, function) for k in KITS]
    same(ours, theirs)
    assert [list(each) for each in ours[0]] == [list(each) for each in theirs[0]]  # the order of modules


@pytest.mark.parametrize("size", [2, 3])
def test_keys_reserved(size):
    """rng_reserve_size changes the keys as it does in Haiku, through loops too; programs kept do not remember it."""
    found = []
    for k in KITS:
        with k.hk.config.context(rng_reserve_size=size):
            found.append(outcome(k, keys_in_loops))
    same(*found)


def test_keys_reserved_in_a_program_that_is_kept():
    for k, jit in zip(KITS, (mj.jit, None), strict=True):
        draw = lambda: (k.hk.next_rng_key(), k.hk.next_rng_key())  # noqa: E731
        jitted = jit(draw) if jit else draw
        pure = k.hk.transform(lambda: (jitted(), k.hk.next_rng_key()))
        first = pure.apply({}, k.key(0))
        with k.hk.config.context(rng_reserve_size=3):
            found = [first, pure.apply({}, k.key(0))]
        if jit:
            ours = found
    same(ours, found)


def counting(k):
    """A function with nothing but state, transformed."""
    def count():
        k.hk.set_state("n", k.hk.get_state("n", (), init=k.np.zeros) + 1)

    return k.hk.transform_with_state(count)


def lifted_twice(k, **options):
    """Parameters of two lifted functions in one place."""
    inner = k.hk.transform(lambda: k.hk.get_parameter("w", (), init=k.np.ones))
    for _ in range(2):
        k.hk.transparent_lift(inner.init, **options)(None)


def state_lifted_twice(k, **options):
    """State of two lifted functions in one place."""
    for _ in range(2):
        find, updater = k.hk.transparent_lift_with_state(counting(k).init, **options)
        find(None)
        updater.ignore_update()


def lifted_with_a_module_from_outside(k):
    layer = k.hk.Linear(1, w_init=k.np.ones)
    k.hk.transparent_lift(k.hk.transform(lambda: layer(k.np.ones((1, 1)))).init)(None)


def updated_never(k):
    k.hk.lift_with_state(counting(k).init)


def updated_twice(k):
    _, updater = k.hk.lift_with_state(counting(k).init)
    updater.ignore_update()
    updater.update({})


def updated_elsewhere(k):
    _, updater = k.hk.lift_with_state(counting(k).init)
    k.hk.transform(lambda: updater.update({})).init(None)


def lifted_with_its_state(k):
    k.hk.lift(counting(k).init)(None)


@pytest.mark.parametrize("function,text", [
    (lifted_twice, "Key '~' already exists in the destination params"), (updated_twice, "must only be used once"),
    (state_lifted_twice, "Key '~' already exists in the destination "), (updated_never, "must be used"),
    (lifted_with_a_module_from_outside, "module.* outside of .*hk.transparent_lift"),
    (updated_elsewhere, "used within the same call to init/apply"), (lifted_with_its_state, "For stateful lifted")])
def test_lifting_that_is_refused(function, text):
    for k, error in zip(KITS, (errors.MinijaxValueError, ValueError), strict=True):
        with pytest.raises(error, match=text):
            k.hk.transform_with_state(lambda k=k: function(k)).init(None)


def test_what_is_lifted_may_be_there_if_asked():
    for k in KITS:
        for function in (lifted_twice, state_lifted_twice):
            k.hk.transform_with_state(lambda k=k, function=function: function(k, allow_reuse=True)).init(None)


def test_multi_transform():
    def made(k):
        def f():
            encode, decode = k.Layer(name="encode"), k.Layer(name="decode")
            return lambda x: decode(encode(x)), (encode, {"decode": decode})

        multi, x = k.hk.multi_transform_with_state(f), k.np.array([0.5, 2.0])
        params, state = multi.init(k.key(0), x)
        plain = k.hk.multi_transform(lambda: (lambda x: k.hk.get_parameter("w", (2,), init=k.drawn) * x,
                                              lambda x: k.hk.get_parameter("w", (2,), init=k.drawn) + x))
        weights = plain.init(k.key(0), x)
        without = k.hk.without_apply_rng(multi)
        return (params, state, multi.apply[0](params, state, None, x), multi.apply[1]["decode"](params, state, None, x),
                weights, plain.apply(weights, None, x), without.apply[0](params, state, x))

    same(*[made(k) for k in KITS])


def test_pairs_of_other_shapes():
    def made(k):
        f = k.hk.transform(lambda x: x * k.hk.get_parameter("w", (2,), init=k.drawn))
        x = k.np.array([0.5, 2.0])
        params = f.init(k.key(0), x)
        empty = k.hk.with_empty_state(f)
        back = k.hk.without_state(empty)
        return (params, empty.init(k.key(0), x), empty.apply(params, {}, None, x), back.init(k.key(0), x),
                back.apply(params, None, x), k.hk.without_apply_rng(f).apply(params, x))

    same(*[made(k) for k in KITS])


def test_sequences_of_keys():
    def made(k):
        sequence = k.hk.PRNGSequence(42)
        first = next(sequence), sequence.take(2), next(sequence)
        sequence.reserve(3)
        state = sequence.internal_state
        rest = sequence.take(4)
        sequence.replace_internal_state(state)
        other = k.hk.PRNGSequence(state)
        return first, state, rest, sequence.take(4), other.next(), k.hk.PRNGSequence(k.key(1)).take(1)

    same(*[made(k) for k in KITS])


def test_sequence_state_inside():
    def made(k):
        def f():
            before = k.hk.maybe_get_rng_sequence_state()
            a = k.hk.next_rng_key()
            k.hk.replace_rng_sequence_state(before)
            return a, k.hk.next_rng_key()

        found = k.hk.transform(f).apply({}, k.key(3))
        return found, k.hk.transform(lambda: k.hk.maybe_next_rng_key() is None).apply({}, None)

    same(*[made(k) for k in KITS])


def test_modules_print_as_in_haiku():
    def shown(k):
        def f():
            return [repr(k.Layer()), repr(k.Layer(3, name="x")), repr(k.Tower("tower"))]

        return k.hk.transform(f).apply({}, None)

    assert shown(KITS[0]) == shown(KITS[1])


def test_dataclass_modules():
    def made(k):
        @dataclasses.dataclass
        class Data(k.hk.Module):
            size: int
            scale: float = 2.0
            name: str | None = None

            def __call__(self, x):
                return x * self.scale * k.hk.get_parameter("w", (self.size,), init=k.drawn)

        @dataclasses.dataclass
        class Prepared(Data):
            def __post_init__(self):
                super().__post_init__()
                self.part = Data(self.size)

            def __call__(self, x):
                return self.part(super().__call__(x))

        f = k.hk.transform(lambda x: Prepared(2)(Data(2)(x)) + Data(2, 3.0, name="named")(x))
        x = k.np.array([0.5, 2.0])
        params = f.init(k.key(0), x)
        shown.append(k.hk.transform(lambda: (repr(Data(2)), repr(Prepared(3, name="p")))).apply({}, None))
        return params, f.apply(params, None, x)

    shown = []
    same(*[made(k) for k in KITS])
    assert shown[0] == shown[1] == ("Data(size=2)", "Prepared(size=3, name='p')")


def test_copies_of_modules_made_outside_are_modules_of_their_own():
    layer = hk.Linear(2, w_init=jnp.ones)
    layer.note = "kept"
    twice = hk.Sequential([layer, layer])
    deep, shallow, again = copy.deepcopy(twice), copy.copy(layer), pickle.loads(pickle.dumps(layer))
    assert shallow.note == again.note == "kept" and repr(again) == repr(layer)
    pure = hk.transform(lambda x: again(shallow(twice(deep(layer(x))))))
    params = pure.init(None, X)
    assert list(params) == ["linear", "sequential/linear", "linear_1", "linear_2"]
    np.testing.assert_array_equal(pure.apply(params, None, X), [2.0 ** 6 * X.sum()] * 2)


def test_modules_through_inheritance_and_abstract_bases():
    def made(k):
        class Base(k.hk.Module):
            def __init__(self):
                super().__init__()
                self.base = k.Layer()

            def __call__(self, x):
                return self.base(x)

        class Derived(Base):
            def __init__(self):
                super().__init__()
                self.own = k.Layer()

            def __call__(self, x):
                return self.own(super().__call__(x))

        f = k.hk.transform_with_state(lambda x: Derived()(x))
        return f.init(k.key(0), k.np.array([0.5, 2.0]))

    same(*[made(k) for k in KITS])


# ---- bad input ----

class Layer(hk.Module):
    """A parameter of the shape of the input."""

    def __call__(self, x):
        return x * hk.get_parameter("w", x.shape, init=jnp.ones)


class Forgetful(hk.Module):
    """Does not call its super constructor."""

    def __init__(self):
        self.size = 1


class Late(hk.Module):
    """Makes a part before it calls its super constructor."""

    def __init__(self):
        self.part = Layer()
        super().__init__()


class Noise(hk.Module):
    """Draws a key."""

    def __call__(self):
        return hk.next_rng_key()


X = jnp.ones(2)
PURE = hk.transform(lambda x: Layer()(x))
KEY = mj.random.PRNGKey(0)


def made(function, *args, rng=None):
    return lambda: hk.transform(function).init(rng, *args)


def applied(function, params, *args, rng=None):
    return lambda: hk.transform(function).apply(params, rng, *args)


def given(w, module="layer", name="w"):
    return lambda: PURE.apply({module: {name: w}}, None, X)


LINE = r" \(\S*test_haiku_core.py:\d+\)"
OUTSIDE = "must be used as part of an `hk.transform`" + LINE + ". Wrap the function that calls it"
MISSING = LINE + ", and there are no random keys: you must pass a non-None PRNGKey to init and/or apply"
STATEFUL = LINE + r".*use `hk.transform_with_state`"
FOREIGN = "was called inside one of JAX's own transforms" + LINE + ".*Use minijax's jit, grad, vmap, scan"


@pytest.mark.parametrize("call,text", [
    (lambda: hk.get_parameter("w", (), init=jnp.ones), "`hk.get_parameter` " + OUTSIDE),
    (lambda: mj.jit(lambda: hk.get_state("w"))(), "`hk.get_state` " + OUTSIDE),
    (lambda: hk.next_rng_key(), "`hk.next_rng_key` " + OUTSIDE),
    (lambda: Layer()(X), "`hk.Layer` " + OUTSIDE),
    (made(lambda: hk.next_rng_key()), "`hk.next_rng_key` was called in the function, outside of all modules" + MISSING),
    (applied(lambda: Noise()(), {}), "`hk.next_rng_key` was called in the module 'noise'" + MISSING),
    (applied(lambda: mj.jit(lambda: Noise()())(), {}), "`hk.next_rng_key` was called in the module 'noise'" + MISSING),
    (made(lambda: hk.get_state("n", (), init=jnp.ones)), "The function has the state '~/n'" + STATEFUL),
    (applied(lambda: hk.set_state("n", 1.0), {}), "The function has the state '~/n'" + STATEFUL),
    (given(jnp.ones(3)), r"'layer/w' with retrieved shape \(3,\) does not match shape=\(2,\) dtype=float32" + LINE +
     ". Pass the params that init made"),
    (given(jnp.ones(2, int)), "'layer/w' with retrieved dtype int32 does not match dtype=float32" + LINE +
     r". Convert the parameter: params\['layer'\]\['w'\].astype"),
    (made(lambda: hk.get_parameter("w", (), int, lambda s, d: 1.0)), "'~/w' with retrieved dtype .* is given the"),
    (made(lambda x: hk.vmap(lambda x: x, 2, split_rng=True)(x), X), "vmap of <lambda>: argument x .* no axis 2 to"),
    (given("text"), r"params\['layer'\]\['w'\] is 'text' of type str" + LINE),
    (applied(lambda x: Layer()(x), {}, X), "Unable to retrieve parameter 'w' for module 'layer'" + LINE +
     ".*They are empty. All parameters must be created as part of `init`"),
    (given(X, name="b"), "Unable to retrieve parameter 'w' for module 'layer'" + LINE +
     ".*Its parameters there are 'b'"),
    (given(X, module="other"), "Unable to retrieve parameter 'w' for module 'layer'" + LINE +
     ".*The modules there are 'other'"),
    (made(lambda x: (Layer("a_1")(x), Layer("a_1")(x)), X), "Module name 'a_1' is not unique" + LINE +
     ": another module has it already"),
    (made(lambda x: Layer("a b")(x), X), "'a b' is not a valid module name .*" + LINE),
    (made(lambda x: Layer("a/b")(x), X), "'a/b' is not a valid module name .*" + LINE),
    (made(lambda x: Layer(3)(x), X), "3 is not a valid module name .*" + LINE),
    (made(lambda: Forgetful()), "Forgetful" + LINE + ": the super constructor must be called before"),
    (made(lambda: Late()), "Late" + LINE + ": the super constructor must be called before"),
    (lambda: PURE.apply(KEY, PURE.init(None, X), X), r"apply must be called with a random key.*"
     r"`apply\(params, rng, \*args\)`, and rng is \{'layer'"),
    (lambda: PURE.apply(X, None, X), "params is Array.* expected a mapping from names. The arguments are apply"),
    (lambda: PURE.apply({}, X), r"apply must be called with a random key" + LINE + ": the signature is `apply"),
    (lambda: PURE.init(X), "init must be called with a random key" + LINE + r": the signature is `init\(rng, "),
    (lambda: hk.transform_with_state(PURE.apply).apply({}, KEY, {}, X), "apply must be called with a random key.*"
     r"apply\(params, state, rng"),
    (made(lambda x: jax.jit(lambda x: Layer()(x))(jjnp.ones(2)), X), "`hk.get_parameter` " + FOREIGN),
    (made(lambda x: jax.grad(lambda x: x * hk.next_rng_key()[0])(1.0), X, rng=0), "`hk.next_rng_key` " + FOREIGN),
    (made(lambda x: jax.jit(lambda x: hk.set_state("s", x))(1.0), X), "`hk.set_state` " + FOREIGN),
    (made(lambda: hk.get_parameter("w", ())), "Initializer must be specified: there is no value for '~/w' yet" + LINE),
    (made(lambda: hk.get_parameter("w", (), init=lambda s, d: None)), "The initializer of the parameter '~/w' "),
    (made(lambda: hk.get_parameter("w", (), init=1.5)), "The initializer of '~/w' is 1.5" + LINE + ".*Constant"),
    (made(lambda: hk.get_parameter("w", 3, init=jnp.ones)), "get_parameter: the shape of '~/w' is 3" + LINE),
    (made(lambda: hk.get_parameter("w", (), init=lambda s, d: X)), r"'~/w' with retrieved shape .* is given the"),
    (applied(lambda: hk.get_state("n"), {}), "No value for 'n' in '~', perhaps set an init function.*" + LINE),
    (lambda: hk.transform(3), "hk.transform: expected a function, got 3"),
    (lambda: mj.tap(3, X), "tap: the name is a string, got 3" + LINE)])
def test_bad_input(call, text):
    with pytest.raises(errors.MinijaxError) as found:
        call()
    assert re.match(text, str(found.value), re.DOTALL), str(found.value)


def test_what_init_made_and_apply_asks_may_not_differ():
    def f(x):
        return Layer("a" if hk.running_init() else "b")(x)

    params = hk.transform(f).init(None, X)
    with pytest.raises(errors.MinijaxValueError, match="for module 'b'.*The modules there are 'a'"):
        hk.transform(f).apply(params, None, X)


def test_parameters_of_others_are_no_error():
    """Params of several functions may be one tree, as in Haiku."""
    np.testing.assert_allclose(PURE.apply({"layer": {"w": X, "b": X}, "other": {"w": X}}, None, X), X)


def after_three_steps(lib, modules, optimizer, x):
    """Parameters of a perceptron, trained by an optimizer of optax's."""
    net = modules.without_apply_rng(modules.transform(lambda x: modules.nets.MLP([4, 1])(x)))
    params = net.init(lib.random.PRNGKey(0), x)
    state = optimizer.init(params)
    for _ in range(3):
        gradient = lib.grad(lambda params: lib.numpy.mean((net.apply(params, x) - 1) ** 2))(params)
        updates, state = optimizer.update(gradient, state)
        params = optax.apply_updates(params, updates)
    return {(module, name): np.asarray(value) for module, bundle in params.items() for name, value in bundle.items()}


def test_optax_takes_our_parameters_as_they_are():
    """An optimizer of optax's, unchanged, on parameters and gradients of ours: as on dm-haiku's."""
    x, optimizer = np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3), optax.adam(0.1)
    with config.override("evaluator", "xla"):
        pairs = [after_three_steps(mj, hk, optimizer, x), after_three_steps(jax, haiku, optimizer, x)]
    assert pairs[0].keys() == pairs[1].keys()
    for key, value in pairs[0].items():
        np.testing.assert_allclose(value, pairs[1][key], rtol=1e-5, atol=1e-6, err_msg=str(key))


def count_down(x):
    """A loop of a condition that may not run, with a parameter and a state of known arrays in it."""
    def step(x):
        hk.set_state("steps", hk.get_state("steps", (2,), init=np.zeros) + 1)
        return x - hk.get_parameter("rate", (3,), init=lambda shape, dtype: np.arange(1, 4, dtype=dtype))

    return lax.cond(x.sum() > 0, lambda x: lax.while_loop(lambda x: x.min() > 0, step, x), lambda x: x, x)


def test_known_arrays_start_what_a_loop_makes():
    f = hk.transform_with_state(count_down)
    params, state = f.init(None, 10 * jnp.ones(3))
    np.testing.assert_array_equal(params["~"]["rate"], [1, 2, 3])
    np.testing.assert_array_equal(state["~"]["steps"], [0, 0])
    out, state = f.apply(params, state, None, jnp.array([3.0, 9, 9]))
    np.testing.assert_array_equal(out, [0, 3, 0])
    np.testing.assert_array_equal(state["~"]["steps"], [3, 3])


def test_values_being_traced_start_nothing_in_a_loop_that_may_not_run():
    def f(x):
        return lax.cond(x.sum() > 0, lambda x: hk.get_parameter("w", (2,), init=lambda *_: 2 * x), lambda x: x, x)
    with pytest.raises(errors.MinijaxValueError, match="starts from a value computed inside a branch"):
        hk.transform(f).init(None, X)
