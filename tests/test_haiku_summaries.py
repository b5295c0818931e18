"""Summaries, graphs and trees of modules; mixed precision; small helpers; against dm-haiku where it has the thing."""

import re
import stat
import sys

import haiku
import jax
import jmp
import numpy as np
import pytest

import minijax
import minijax.haiku as hk
import minijax.numpy as jnp
from minijax import errors, lax
from minijax.calls.jit import program_cost
from minijax.haiku import experimental, mixed_precision, testing
from minijax.haiku.experimental import calls, dot, jaxpr_info, summary

X = np.ones((8, 6), "float32")


def modules(hk, np):
    """The same modules of either library."""
    class Linear(hk.Module):
        def __init__(self, size, name=None):
            super().__init__(name=name)
            self.size = size

        def __call__(self, x):
            w = hk.get_parameter("w", (x.shape[-1], self.size), init=np.ones)
            return x @ w + hk.get_parameter("b", (self.size,), init=np.zeros)

    class Net(hk.Module):
        def __init__(self, sizes, activate=None):
            super().__init__()
            self.layers = [Linear(size) for size in sizes]
            self.activate = activate

        def __call__(self, x, scale=1.0):
            hk.set_state("calls", hk.get_state("calls", (), init=np.zeros) + 1.0)
            for layer in self.layers:
                x = np.tanh(layer(x)) * scale
            return self.head(x), x

        def head(self, x):
            return {"logits": Linear(2, name="head")(x)}

        def silent(self):
            return None

    return Linear, Net


Linear, Net = modules(hk, jnp)


def net_of(library, np):
    net = modules(library, np)[1]

    def f(x):
        model = net([5, 4])
        model.silent()
        model(x)
        return model(x, scale=2.0)

    return f


COLUMNS = ["module", "config", "owned_params", "input", "output", "params_size", "params_bytes"]


def cells(text):
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]


def test_calls_are_those_that_haiku_lists():
    ours = experimental.eval_summary(net_of(hk, jnp))(X)
    theirs = haiku.experimental.eval_summary(net_of(haiku, jax.numpy))(X)
    for call, expected in zip(ours, theirs, strict=True):
        assert call.module_details.module.module_name == expected.module_details.module.module_name
        assert call.module_details.method_name == expected.module_details.method_name == call.context.method_name
        for part in ("args_spec", "kwargs_spec", "output_spec"):
            assert repr(getattr(call, part)) == repr(getattr(expected, part))
        assert repr(call.module_details.params) == repr(dict(expected.module_details.params))
        if len(call.call_stack) == 1:  # Haiku's summary enters the modules around as submodules of those inside
            assert repr(call.module_details.state) == repr(dict(expected.module_details.state))
        assert [d.module.module_name for d in call.call_stack] == [d.module.module_name for d in expected.call_stack]
    for filters in (("has_output",), ("has_params", "has_output"), ()):
        text, expected = [library.tabulate(f, columns=COLUMNS, filters=filters)(X) for library, f in (
            (experimental, net_of(hk, jnp)), (haiku.experimental, net_of(haiku, jax.numpy)))]
        assert cells(text) == cells(expected)


def test_transformed_functions_and_types_do_as_well():
    f = hk.transform_with_state(net_of(hk, jnp))
    expected = experimental.tabulate(net_of(hk, jnp))(X)
    for function in (f, f.init, f.apply):
        assert experimental.tabulate(function)(minijax.ShapeDtypeStruct(X.shape, "float32")) == expected
    assert expected.splitlines()[-1].startswith("Parameters: 69 (276.00 B). State: 1 (4.00 B). Flops: ")
    assert experimental.tabulate(lambda x: x)(X) == "No modules matching filters."


def test_tables_that_there_are_not():
    for options, message in (({"columns": ["names"]}, r"unknown columns \['names'\].*There are module, config"),
                             ({"filters": ["big"]}, r"unknown filters \['big'\].*There are has_output, has_params"),
                             ({"tabulate_kwargs": {"format": 1}}, r"unknown tabulate_kwargs \['format'\]")):
        with pytest.raises(errors.MinijaxValueError, match=message):
            experimental.tabulate(Linear, **options)
    with pytest.raises(errors.MinijaxValueError, match="printed as 'latex'"):
        experimental.tabulate(lambda x: Linear(2)(x), tabulate_kwargs={"tablefmt": "latex"})(X)


# ---- operations ----

def flops_of(f, *args):
    """{title of a call: its operations}, and those of the whole."""
    found = experimental.eval_summary(f)(*args)
    return {call.module_details.module.module_name: tuple(call.flops) for call in found}, found.flops


def linear(batch, n, m, of_input=True):
    """Operations of a layer: a product and a sum forward; two products (one for the first layer) and a sum backward."""
    return 2 * batch * n * m + batch * m, 2 * batch * n * m * (1 + of_input) + batch * m


def test_operations_of_layers_calls_and_loops():
    layers, whole = flops_of(lambda x: Linear(3, name="last")(Linear(4, name="first")(x)), X)
    assert layers == {"first": linear(8, 6, 4, False), "last": linear(8, 4, 3)}
    assert tuple(whole) == tuple(np.sum([*layers.values()], 0))

    def many(x, training):
        one = Linear(6)
        x = minijax.jit(one)(x) if training else x
        x = lax.scan(lambda x, _: (minijax.checkpoint(Linear(6, name="looped"))(x), None), x, None, length=5)[0]
        return lax.cond(x.sum() > 0, Linear(6, name="taken"), lambda x: x, x)

    layers, _ = flops_of(many, X, True)
    assert layers["linear"] == linear(8, 6, 6, False)
    assert layers["taken"] == linear(8, 6, 6)
    forward, backward = linear(8, 6, 6)
    assert layers["looped"][0] == 5 * forward and layers["looped"][1] >= 5 * backward  # checkpoint computes once more
    assert "linear" not in flops_of(many, X, False)[0]


def test_operations_are_those_that_xla_counts():
    f = hk.transform_with_state(net_of(hk, jnp))
    params, state = minijax.eval_shape(f.init, None, X)
    compiled = minijax.jit(lambda p, s, x: f.apply(p, s, None, x)[0]).lower(params, state, X).compile()
    counted = compiled.cost_analysis()["flops"]
    ours = experimental.eval_summary(f)(X)
    assert counted <= ours.flops.forward <= 1.5 * counted + 300  # XLA counts tanh apart
    shares = [call.share for call in ours if len(call.call_stack) == 1]
    assert sum(shares) == pytest.approx(1.0, abs=0.02)


def test_shared_parameters_and_shared_programs():
    halved = minijax.jit(lambda x: jnp.sin(x) * 0.5)

    class Half(hk.Module):
        def __call__(self, x):
            return halved(x)

    def f(x):
        layer = Linear(6)
        return halved(Half(name="second")(Half(name="first")(layer(layer(x)))))

    layers, whole = flops_of(f, X)
    assert layers["first"][0] == layers["second"][0] == 2 * X.size  # one program, traced once, owned by each in turn
    assert whole.forward == 2 * linear(8, 6, 6)[0] + 3 * 2 * X.size
    assert experimental.tabulate(f)(X).splitlines()[-1].startswith("Parameters: 42 (168.00 B).")
    stacked = experimental.tabulate(lambda x: experimental.layer_stack(3)(lambda x: Linear(6)(x))(x))
    assert stacked(X).splitlines()[-1].startswith("Parameters: 126 (504.00 B).")
    inside = []
    transformed = hk.transform(lambda x: Linear(6)(x) if inside.append(stacked(Linear(6)(x))) else x)
    transformed.init(None, X)
    assert inside[0].splitlines()[-1].endswith(" - backward.")


def test_operations_of_strides():
    """The gradient of a stride is a convolution of a dilated input: as many operations as the convolution has."""
    def f(x):
        x = hk.Conv2D(4, 3, with_bias=False)(x)
        return hk.Conv2D(4, 3, stride=2, with_bias=False)(x)

    layers, _ = flops_of(f, np.ones((2, 8, 8, 3), "float32"))
    forward, backward = layers["conv2_d_1"]
    assert backward == 2 * forward == 2 * 2 * (2 * 4 * 4 * 4) * (3 * 3 * 4)


def test_backward_operations_that_there_are_not():
    def calls_python(x):
        return Linear(6)(minijax.pure_callback(np.sin, Linear(6)(x), Linear(6)(x)))

    layers, whole = flops_of(calls_python, X)
    assert layers["linear"] == (linear(8, 6, 6)[0], None) and whole.backward is None
    assert " forward, - backward." in experimental.tabulate(calls_python)(X)
    assert flops_of(lambda x: jnp.sin(x), X) == ({}, (48, 0))


def test_gradients_and_examples_inside_have_owners():
    def f(x):
        layer = Linear(1)
        layer(x)
        return minijax.vmap(minijax.grad(lambda x: layer(x)[0]))(x)

    recorded = calls.record(f, (X,), {})
    owners = [recorded.owner(eqn) for eqn in recorded.program.eqns if eqn.op.name == "dot_general"]
    assert len(owners) == 3 and {call and call.title for call in owners} == {"linear"}


# ---- graphs ----

def check_dot(text):
    """Raise AssertionError unless the text is a graph whose clusters close and whose arrows join its nodes."""
    plain = re.sub(r'"(?:[^"\\]|\\.)*"', '""', text)
    assert '"' not in plain.replace('""', ""), "a string that does not end"
    depth = 0
    for letter in plain:
        depth += {"{": 1, "}": -1}.get(letter, 0)
        assert depth >= 0, "a cluster that closes twice"
    assert depth == 0, "a cluster that does not close"
    nodes = re.findall(r"^\s*(n\d+) \[label", plain, re.MULTILINE)
    assert len(nodes) == len(set(nodes)), "a node that is there twice"
    arrows = re.findall(r"(n\d+) -> (n\d+)", plain)
    assert {end for arrow in arrows for end in arrow} <= set(nodes), "an arrow from nowhere"
    return text


@pytest.mark.parametrize("text", [
    'digraph "a { n0 [label="b"];}', "digraph { { }", "digraph { } }", "digraph { n0 -> n1; }",
    'digraph {\nn0 [label=""];\nn0 [label=""];\n}'])
def test_the_checker_of_graphs_sees_errors(text):
    with pytest.raises(AssertionError):
        check_dot(text)


def odd(x):
    return x


odd.__name__ = 'odd "name" \\ {<b>}\n\0'


def test_graphs_of_modules():
    f = hk.transform_with_state(net_of(hk, jnp))
    drawn = check_dot(experimental.abstract_to_dot(f)(minijax.ShapeDtypeStruct(X.shape, "float32")))
    assert drawn == check_dot(experimental.to_dot(f)(X))
    titles = re.findall(r"cluster_\d+ \{\s*label=\"([^\"]*)\"", drawn)
    assert titles == ["net", "net/~/linear", "net/~/linear_1", "net (head)", "net/~head/head"] * 2
    assert "params['net/~/linear']['w']\\nf32[6,5]" in drawn and "output[1]" in drawn and "args[0]" in drawn
    params, state = f.init(None, X)
    of_apply = check_dot(experimental.to_dot(f.apply)(params, state, None, X))
    assert "args[0]['net/~/linear']['w']" in of_apply and re.findall(r"label=\"net\"", of_apply)
    inside = hk.transform(lambda x: str(experimental.to_dot(Linear(2))(x)))
    assert 'label="linear"' in check_dot(inside.apply(inside.init(None, X) or {"linear": {
        "w": jnp.ones((6, 2)), "b": jnp.zeros(2)}}, None, X))


def nodes_of(program):
    """How many nodes the equations of a program are, and those of the programs inside."""
    count = 0
    for eqn in program.eqns:
        held = list(dot.held_programs(eqn.params))
        count += sum([nodes_of(inner) for inner in held]) + (not dot.passes_through(eqn, held))
    return count


def test_every_equation_is_a_node_and_names_may_be_odd():
    def busy(x, flag):
        x = minijax.nn.relu(minijax.jit(jnp.sin)(x)) if flag else x
        x = lax.fori_loop(0, 3, lambda i, x: x * i, x)
        x, ys = lax.scan(lambda c, y: (c + y, c), x, jnp.stack([x, x]))
        return lax.cond(x[0] > 0, lambda: 2 * x, lambda: x), ys, 3.0

    drawn = check_dot(experimental.abstract_to_dot(busy)(jnp.ones(4), True))
    recorded = calls.record(busy, (jnp.ones(4), True), {})
    assert len(re.findall(r"\\n\S+\[[\d,]*\]\"\];", drawn)) == nodes_of(recorded.program)
    drawn = check_dot(experimental.to_dot(odd)({'"': jnp.ones(2)}))
    assert 'digraph "odd \\"name\\" \\\\ {<b>}\\n\ufffd"' in drawn
    branching = experimental.to_dot(lambda x: jnp.sin(x) if x > 0 else jnp.cos(x))
    assert "sin" in branching(jnp.ones(())) and "cos" in branching(-jnp.ones(()))
    with pytest.raises(errors.TracerBoolConversionError):
        experimental.abstract_to_dot(lambda x: x if x > 0 else -x)(1.0 * jnp.ones(()))


def test_graphs_are_pictures_where_graphviz_is(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    drawn = experimental.to_dot(jnp.sin)(jnp.ones(2))
    assert drawn.svg() is None and drawn._repr_html_().startswith("<pre>digraph &quot;")
    program = tmp_path / "dot"
    script = "import sys\nprint('<?xml?>', '<svg>', len(sys.stdin.read()), sys.argv[1:])\n"
    program.write_text(f"#!{sys.executable}\n{script}")
    program.chmod(program.stat().st_mode | stat.S_IEXEC)
    assert drawn._repr_html_() == f"<svg> {len(drawn)} ['-Tsvg']\n"
    program.write_text(f"#!{sys.executable}\nimport time\ntime.sleep(60)\n")
    assert drawn.svg(timeout=0.2) is None


# ---- trees ----

def test_trees_of_modules():
    f = hk.transform_with_state(net_of(hk, jnp))
    params, state = f.init(None, X)
    info = jaxpr_info.make_model_info(f.apply, "model")(params, state, None, X)
    assert info.flops == program_cost(jaxpr=minijax.make_jaxpr(f.apply)(params, state, None, X))
    nets = [each.submodule for each in info.expressions if each.submodule]
    assert [net.name for net in nets] == ["net", "net"] and nets[0].total_param_size == 69
    assert nets[0].param_info["net/~/linear/w"] == "f32[6,5]" and nets[0].state_info == {"net/calls": "f32[]"}
    assert info.flops == sum([each.flops for each in info.expressions])
    text, page = jaxpr_info.format_module(info), jaxpr_info.as_html_page(info, min_flop=0)
    assert text.startswith("model: 2.32 k flops\n") and "    net/~/linear: 520 flops, 35 params\n" in text
    assert page.count("<details") == text.count("params") + 1 and "dot_general" in page
    ones = jaxpr_info.make_model_info(lambda x: minijax.jit(jnp.sin)(x), compute_flops=lambda eqn, expression: 1)(X)
    assert ones.flops == 1 and ones.expressions[0].submodule.expressions[0].primitive == "sin"


# ---- mixed precision ----

POLICY = "params=float32,compute=float16,output=bfloat16"


def under_policy(library, np, precision, policy, key):
    first, net = modules(library, np)
    seen = []

    class Inner(first):
        def __call__(self, x):
            seen.append((str(x.dtype), str(library.get_parameter("w", (6, 2), init=np.ones).dtype)))
            return super().__call__(x)

    class Outer(library.Module):
        def __call__(self, x, n):
            state = library.get_state("s", (), init=np.zeros)
            seen.append((str(state.dtype), str(n.dtype), str(precision.current_policy() is policy)))
            return Inner(2)(x), n

    precision.set_policy(Outer, policy)
    try:
        f = library.transform_with_state(lambda x, n: Outer()(x, n))
        params, state = f.init(None, X, np.arange(2))
        (x, n), _ = f.apply(params, state, None, X, np.arange(2))
        dtypes = [str(leaf.dtype) for leaf in minijax.tree.leaves((params, state, x, n))]
        with precision.push_policy(Outer, precision.get_policy(Outer)):
            pass
        assert precision.get_policy(Outer) is policy and precision.get_policy(Inner) is None
    finally:
        precision.clear_policy(Outer)
    assert precision.get_policy(Outer) is None and precision.current_policy() is None
    return seen, dtypes


def test_policies_do_what_haiku_does():
    expected = under_policy(haiku, jax.numpy, haiku.mixed_precision, jmp.get_policy(POLICY), None)
    for policy in (mixed_precision.Policy.of(POLICY), jmp.get_policy(POLICY)):
        assert under_policy(hk, jnp, mixed_precision, policy, None) == expected
    assert expected[1] == ["float32", "float32", "float32", "bfloat16", "int32"]


def test_policies_reach_into_jitted_layers_and_change():
    layer = minijax.jit(lambda x: Linear(2)(x))
    f = hk.transform(lambda x: layer(x))
    params = f.init(None, X)
    found = []
    for text in ("float16", "bfloat16", None):
        with mixed_precision.push_policy(Linear, mixed_precision.Policy.of(text or "float32")):
            found.append(str(f.apply(params, None, X).dtype))
    assert found == ["float16", "bfloat16", "float32"]


def test_policies_are_around_all_interceptors_and_outlive_them():
    """As in Haiku; a policy may be set while methods are intercepted."""
    def seen(library, policy):
        found = []

        def look(next_f, args, kwargs, context):
            found.extend([str(x.dtype) for x in args])
            return next_f(*args, **kwargs)

        def body(x):
            with library.intercept_methods(look):
                library.mixed_precision.set_policy(library.Flatten, policy)
                library.Flatten()(x)
            with library.intercept_methods(look):
                library.Flatten()(x)

        try:
            library.transform(body).apply({}, None, X)
        finally:
            library.mixed_precision.clear_policy(library.Flatten)
        return found

    assert seen(hk, mixed_precision.Policy.of(POLICY)) == seen(haiku, jmp.get_policy(POLICY)) == ["float16"] * 2


def test_policies_that_are_none():
    for text in ("params=f32", "params=f32,compute=f16,output=f32,more=f32", "params=f32 compute=f16 output=f32"):
        with pytest.raises(errors.MinijaxValueError, match="a policy is written"):
            mixed_precision.Policy.of(text)
    with pytest.raises(errors.MinijaxValueError, match="has no param_dtype, compute_dtype, output_dtype"):
        mixed_precision.set_policy(Linear, None)
    policy = mixed_precision.Policy.of("float16")
    assert policy == mixed_precision.Policy.of("o=float16, p=f16,c=float16")

    class Late(hk.Module):
        def __call__(self):
            with mixed_precision.push_policy(Late, policy):
                return 1.0

    with pytest.raises(errors.MinijaxValueError, match="inside a method of that class"):
        hk.transform(lambda: Late()()).init(None)


# ---- small helpers ----

def test_transform_and_run():
    def f(x):
        return Linear(2)(x), hk.running_init(), hk.maybe_next_rng_key()

    out, initializing, key = testing.transform_and_run(f, seed=3)(X)
    assert out.shape == (8, 2) and not initializing and key.shape == (2,)
    theirs = haiku.testing.transform_and_run(lambda: haiku.next_rng_key(), seed=3)()
    np.testing.assert_array_equal(key, theirs)
    mapped = testing.transform_and_run(seed=3, jax_transform=minijax.vmap, map_rng=lambda key: jnp.stack([key, key]))
    np.testing.assert_array_equal(mapped(lambda: hk.next_rng_key())(), np.stack([theirs, theirs]))
    assert testing.transform_and_run(f, run_apply=False)(X) is None
    assert testing.transform_and_run(f, seed=None)(X)[2] is None


def test_shapes_without_initializers():
    def never(shape, dtype):
        raise AssertionError("an initializer ran")

    def f(x):
        hk.set_state("s", hk.get_state("s", (), init=never) + 1)
        return x @ hk.get_parameter("w", (6, 2), "bfloat16", init=never)

    net = hk.transform_with_state(f)
    params, state = experimental.fast_eval_shape(net.init, None, X)
    assert repr(params) == "{'~': {'w': ShapeDtypeStruct(shape=(6, 2), dtype=bfloat16)}}"
    assert experimental.fast_eval_shape(net.apply, params, state, None, X)[0].shape == (8, 2)
    inside = hk.transform_with_state(lambda x: experimental.fast_eval_shape(f, x).shape)
    assert inside.init(None, X) == ({}, {})


def test_switches():
    for switch, value in ((experimental.module_auto_repr, False), (experimental.check_jax_usage, False),
                          (experimental.rng_reserve_size, 5)):
        before = switch(value)
        assert switch(before) == value
    with pytest.raises(errors.MinijaxValueError, match="rng_reserve_size"):
        experimental.rng_reserve_size(0)
    with pytest.raises(errors.MinijaxValueError, match="no switch named 'size'"), hk.config.context(
            rng_reserve_size=4, size=4):
        raise AssertionError("switches are set before")
    assert experimental.rng_reserve_size(1) == 1


def test_small_parts():
    assert summary.original(3) == 3
    assert experimental.ArraySpec.from_array(X).size == X.size
    assert [name for name in experimental.__all__ if not hasattr(experimental, name)] == []
