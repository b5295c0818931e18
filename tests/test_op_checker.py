"""The rule checker over every op, what it says of wrong rules, and `check_grads`."""

import jax
import numpy as np
import pytest

import minijax
import minijax.numpy as jnp
from minijax import config
from minijax.errors import MinijaxValueError, RuleError
from minijax.ir.op import Op, ops
from minijax.ir.types import ArrayType
from minijax.lowering import lower
from minijax.ops.elementwise import sin_p
from minijax.ops.families import mul_p, unary
from minijax.ops.indexing import gather_p
from minijax.test_util import check_grads, check_jvp, check_vjp
from minijax.testing import Mismatch, Sample, check_op, generated_samples, harvest
from minijax.testing.report import CHECKS
from tests.checker_programs import with_rules
from tests.checker_samples import all_samples, checks_of, variants_of
from tools import coverage

SAMPLES = all_samples()
ROWS = coverage.rows_in(coverage.PAGE.read_text(encoding="utf-8"))
CHEAP = tuple(name for name in CHECKS if name != "backend")


@pytest.mark.one_python
@pytest.mark.parametrize("op", SAMPLES, ids=str)
def test_every_rule_of_every_op(op):
    report = check_op(op, SAMPLES[op], checks=checks_of(op, CHEAP), with_variants=variants_of(op))
    report.proofs += check_op(op, SAMPLES[op][:1], checks=checks_of(op, ("backend",)), with_variants=False).proofs
    assert coverage.cells(op, SAMPLES[op], report) == ROWS[op.name][1:-2], "python -m tools.coverage --write"


@pytest.mark.parametrize("op", SAMPLES, ids=str)
def test_compiled_values_of_every_op(op):
    """Of the checks above the one that asks XLA, by itself."""
    assert check_op(op, SAMPLES[op][:1], checks=checks_of(op, ("backend",)), with_variants=False).ok


# ---- samples made up and harvested

def test_samples_are_made_up_from_the_type_rule():
    assert [str(sample) for sample in generated_samples(sin_p)] == ["(float32[2, 3])", "(complex64[2, 3])"]
    assert "(int32[2, 3], int32[2, 3])" in map(str, generated_samples(mul_p))
    check_op(mul_p, checks=CHEAP)
    with pytest.raises(MinijaxValueError, match="Pass samples="):
        generated_samples(gather_p)


def test_acosh_is_sampled_where_it_is_defined():
    sample = generated_samples(ops["acosh"])[0]
    assert np.min(sample.args[0]) > 1


def test_harvest_finds_each_equation():
    found = harvest(lambda x: jnp.sin(x) * 2.0, np.ones(3, np.float32))
    assert [str(op) for op, _ in found] == ["sin", "mul"]
    np.testing.assert_allclose(found[1][1].args[0], np.sin(1.0), rtol=1e-6)


# ---- an op of a third party

def third_party(name, **rules):
    op = Op(name, type=lambda x: (x,), eval=lambda x: (x * x,),
            jvp=lambda primals, tangents: (op.bind(*primals), (2.0 * primals[0] * tangents[0],)),
            batch=lambda size, args, axes: (op.bind(*args), axes), cost=lambda x: x.size, undeclared=("transpose",))
    for rule, wrong in rules.items():
        setattr(op, rule, wrong)
    lower(op, lambda x: x * x)
    return op


@pytest.fixture
def own_op():
    before = set(ops)
    yield third_party
    for name in set(ops) - before:
        del ops[name]


FLOATS = [Sample((np.float32([[0.5, -1.0, 2.0], [1.5, 3.0, -0.5]]),))]


def test_a_right_op_passes(own_op):
    report = check_op(own_op("t_square"), FLOATS)
    assert report.ok and report.passed["backend"] == 1 and report.passed["batch"] >= 3


WRONG = {
    "type": ("type", lambda x: (ArrayType(x.shape[1:], x.dtype),)),
    "eval": ("jvp", lambda x: (x * x * x,)),
    "jvp": ("jvp", lambda primals, tangents: ((primals[0] * primals[0],), (primals[0] * tangents[0],))),
    "batch": ("batch", lambda size, args, axes: ((args[0][::-1] * args[0][::-1],), axes)),
    "cost": ("cost", lambda x: -1),
}


@pytest.mark.parametrize("rule", WRONG)
def test_the_report_names_op_rule_sample_and_index(own_op, rule):
    blamed, wrong = WRONG[rule]
    op = own_op(f"t_wrong_{rule}", **{rule: wrong})
    with pytest.raises(RuleError) as caught:
        check_op(op, FLOATS, with_variants=False)
    report = str(caught.value)
    assert f"op 't_wrong_{rule}'" in report and f"rule '{blamed}' is wrong" in report and "float32[2, 3]" in report
    if rule in ("eval", "jvp"):
        assert "at index (0, 0): got" in report and "expected" in report


def test_a_wrong_transpose_names_the_element(own_op):
    op = unary("t_neg", np.negative, jvp=lambda primals, tangents: (op.bind(*primals), op.bind(*tangents)),
               transpose=lambda cts, x: (cts[0],))
    lower(op, jax.lax.neg)
    report = check_op(op, FLOATS, with_variants=False, raise_error=False)
    assert {failure.rule for failure in report.failures} == {"transpose"}
    assert all(failure.index == (0, 0) for failure in report.failures)


def test_a_wrong_lowering_is_seen(own_op):
    op = own_op("t_lowered_wrongly")
    lower(op, lambda x: -x * x)
    report = check_op(op, FLOATS, with_variants=False, raise_error=False)
    assert [failure.check for failure in report.failures] == ["backend"]


def test_a_wrong_kink_is_seen(own_op):
    op = unary("t_abs", np.abs, jvp=lambda primals, tangents: (op.bind(*primals), (3.0 * tangents[0],)))
    kink = [Sample((np.zeros(2, np.float32),), smooth=False)]
    failure, = check_op(op, kink, checks=("kinks",), with_variants=False, raise_error=False).failures
    assert failure.rule == "jvp" and "kink" in failure.message


# ---- functions whose own rules contradict the function

CONTRADICTIONS = {
    "jvp": with_rules(jnp.sin, jvp=(lambda xs, ts: (jnp.sin(xs[0]), jnp.sin(xs[0]) * ts[0]),)),
    "fwd": with_rules(jnp.sin, vjp=(lambda x: (jnp.cos(x), x), lambda x, ct: (jnp.cos(x) * ct,))),
    "bwd": with_rules(jnp.sin, vjp=(lambda x: (jnp.sin(x), x), lambda x, ct: (-jnp.cos(x) * ct,))),
    "vmap": with_rules(jnp.sin, vmap=lambda size, batched, x: (jnp.sin(x[::-1]), batched[0])),
    "transpose": with_rules(lambda x: 3.0 * x, transpose=(lambda ct: 2.0 * ct,)),
    "lowering": with_rules(jnp.sin, lowering=(lambda x: jax.numpy.cos(x),)),
}
BLAMED = {"fwd": "jvp", "bwd": "jvp", "vmap": "batch", "lowering": "eval or lowering"}


@pytest.mark.parametrize("rule", CONTRADICTIONS)
def test_contradictory_rules_are_caught(rule):
    with config.override("jax_enable_x64", True), config.override("evaluator", "numpy"):
        (op, sample), = harvest(CONTRADICTIONS[rule], np.array([0.5, 1.0, 2.0]))
    failures = check_op(op, [sample], raise_error=False).failures
    assert BLAMED.get(rule, rule) in {failure.rule for failure in failures}


# ---- check_grads

def tree_function(tree, y):
    return {"out": jnp.sin(tree["a"]) * y + jnp.sum(tree["b"] ** 2), "last": (jnp.exp(-y),)}


TREE = {"a": np.float32([0.5, -1.0]), "b": np.float32([[1.0, 2.0]])}, 0.7


@pytest.mark.parametrize("modes", [("fwd",), ("rev",), ("lin",), ("fwd", "rev", "lin")])
def test_check_grads_of_trees(modes):
    with config.override("evaluator", "numpy"):
        check_grads(tree_function, TREE, order=2, modes=modes)


def test_check_grads_in_double_precision_and_of_complex_numbers():
    with config.override("jax_enable_x64", True), config.override("evaluator", "numpy"):
        check_grads(lambda x: jnp.tanh(x) ** 2, (np.array([0.3, 1.0]),), order=3, atol=1e-5, rtol=1e-5)
        check_grads(lambda x: x * x * 1j + jnp.exp(x), (np.array([0.3 + 1j, -0.5j]),), order=1)


def test_check_grads_sees_wrong_rules():
    @minijax.custom_jvp
    def f(x):
        return jnp.sin(x)

    f.defjvp(lambda primals, tangents: (f(*primals), 1.5 * jnp.cos(*primals) * tangents[0]))
    for mode, what in (("fwd", "jvp tangent"), ("rev", "vjp"), ("lin", "linearize tangent")):
        with pytest.raises(Mismatch, match=what):
            check_grads(f, (np.float32([0.5, 1.0]),), order=1, modes=(mode,))
    with pytest.raises(MinijaxValueError, match="no mode 'back'"):
        check_grads(f, (1.0,), 1, modes=("back",))


def test_check_grads_sees_a_wrong_second_derivative():
    @minijax.custom_jvp
    def slope(x):
        return jnp.cos(x)

    slope.defjvp(lambda primals, tangents: (slope(*primals), tangents[0]))

    @minijax.custom_jvp
    def f(x):
        return jnp.sin(x)

    f.defjvp(lambda primals, tangents: (f(*primals), slope(*primals) * tangents[0]))
    check_grads(f, (0.5,), order=1)
    with pytest.raises(Mismatch, match="of jvp"):
        check_grads(f, (0.5,), order=2, modes=("fwd",))


def test_check_jvp_and_vjp_take_any_derivative():
    check_jvp(jnp.sin, lambda xs, ts: (jnp.sin(*xs), jnp.cos(*xs) * ts[0]), (0.3,))
    with pytest.raises(AssertionError, match="own message"):
        check_vjp(jnp.sin, lambda x: (jnp.sin(x), lambda ct: (ct,)), (1.3,), err_msg="own message")
    check_vjp(jnp.sin, lambda x: (jnp.sin(x), lambda ct: (ct,)), (1.3,), rtol=10.0)
