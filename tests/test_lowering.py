"""The table from ops to `jax.lax`: what is found by name, what is given, and the kernel without the rules for JAX."""

import subprocess
import sys
import textwrap
from pathlib import Path

import jax
import numpy as np
import pytest

import minijax
from minijax.errors import MissingRuleError
from minijax.ir.op import ops
from minijax.lowering import lower
from minijax.lowering.table import eager_rules, find_rule, namesakes, rules
from minijax.ops import elementwise, memory, scans
from minijax.ops.families import unary

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def foreign_op():
    """Makes ops as a third party would; they are forgotten afterwards."""
    before = dict(ops)
    yield lambda name: unary(name, np.negative)
    for table in (rules, eager_rules):
        for op in [op for op in table if op not in before.values()]:
            del table[op]
    ops.clear()
    ops.update(before)


def test_an_op_of_minijax_is_its_namesake():
    found = namesakes(elementwise)
    assert found[elementwise.sin_p] is jax.lax.sin and found[elementwise.atan2_p] is jax.lax.atan2
    assert namesakes(scans)[scans.cumsum_p] is jax.lax.cumsum
    assert memory.name_p not in namesakes(memory)  # no function of jax.lax: it has a line


@pytest.mark.parametrize("name", ["conv", "sin"])
def test_an_op_made_elsewhere_has_no_namesake(foreign_op, name):
    op = foreign_op(name)
    with pytest.raises(MissingRuleError, match=rf"'{name}' has no lowering rule.*lower\({name}_p, rule\)"):
        find_rule(op)
    with pytest.raises(MissingRuleError, match="has no lowering rule"):
        minijax.jit(lambda x: op.bind(x)[0])(np.float32(1))
    lower(op, jax.lax.neg)
    assert minijax.jit(lambda x: op.bind(x)[0])(np.float32(1)) == -1


def test_eager_calls_may_have_a_rule_of_their_own(foreign_op):
    op = foreign_op("t_eager")
    lower(op, lambda x, **params: -x, lambda op, args, params: (minijax.numpy.asarray(7.0 + params["by"]),))
    op.type = lambda x, by: (x,)
    assert op.bind(np.float32(1), by=1)[0] == 8
    assert minijax.jit(lambda x: op.bind(x, by=1)[0])(np.float32(1)) == -1
    lower(op, lambda x, **params: 2 * x)
    assert op.bind(np.float32(1), by=2)[0] == 9, "a new lowering leaves the eager rule alone"


def test_the_kernel_needs_no_rules_for_jax():
    """Ops that hold programs lower to what their programs emit; JAX then differentiates straight through."""
    program = """
    import sys
    import jax, numpy as np
    from minijax import api, lowering
    from minijax.calls.checkpoint import checkpoint_p
    from minijax.calls.custom import bind_custom, custom_jvp_p
    from minijax.interpreters.stage import stage
    from minijax.ops.elementwise import cos, sin
    from minijax.ops.families import mul
    from minijax.tracing.array import typeof
    lowering.install()
    x = np.float32(0.5)

    def sin_by_rule(x):  # its derivative is wrong on purpose: 3
        return bind_custom(custom_jvp_p, lambda x: (sin(x),), (), (x,), name="sine",
                           jvp=lambda xs, ts: ([sin(xs[0])], [mul(ts[0], np.float32(3))]))[0]

    def again(x):
        return checkpoint_p.bind(x, jaxpr=stage(lambda x: [sin(sin(x))], [typeof(x)]), policy=None,
                                 prevent_cse=True, differentiated=False)[0]

    for f, value, slope, straight in ((sin_by_rule, np.sin(x), 3, np.cos(x)),
                                      (again, np.sin(np.sin(x)), np.cos(np.sin(x)) * np.cos(x), None)):
        for call in (f, api.jit(f)):
            assert np.allclose(call(x), value)
            assert np.allclose(api.grad(call)(x), slope) and np.allclose(api.jit(api.grad(call))(x), slope)
        assert np.allclose(jax.grad(lambda x: api.jit(f)(x))(x), slope if straight is None else straight)
    assert "minijax.interop.transforms" not in sys.modules
    import minijax.numpy
    assert "minijax.interop.transforms" in sys.modules
    assert np.allclose(jax.grad(lambda x: api.jit(lambda x: sin_by_rule(x))(x))(x), 3)
    """
    done = subprocess.run([sys.executable, "-W", "error", "-c", textwrap.dedent(program)], cwd=ROOT,
                          capture_output=True, text=True)
    assert not done.returncode, done.stderr


@pytest.mark.parametrize("function, leaves", [
    (lambda x: x + 1, 1), (lambda x: [x + 1], 1), (lambda x: {"a": x, "b": (2 * x, None)}, 2), (lambda x: (), 0),
    (lambda x: None, 0)], ids=["array", "list", "tree", "empty", "none"])
def test_results_of_any_form(function, leaves):
    """A single array takes another way than a tree; the stages of a call and JAX's own transformations too."""
    jitted, x = minijax.jit(function), minijax.numpy.arange(3.0)
    outs, compiled = jitted(x), jitted.lower(x).compile()
    plain = minijax.tree.map(np.asarray, function(x))
    for found in (outs, compiled(x)):
        assert all(isinstance(leaf, minijax.Array) for leaf in minijax.tree.leaves(found))
        jax.tree.map(np.testing.assert_array_equal, minijax.tree.map(np.asarray, found), plain)
    in_jax = jax.jit(jitted)(x.value)
    assert len(jax.tree.leaves(in_jax)) == leaves and not any(type(y) is minijax.Array for y in jax.tree.leaves(in_jax))
    jax.tree.map(np.testing.assert_array_equal, in_jax, plain)
    assert [s.shape for s in jax.tree.leaves(jitted.lower(x).out_info)] == [(3,)] * leaves
    assert minijax.tree.structure(compiled.output_shardings) == minijax.tree.structure(outs)
