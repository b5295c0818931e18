"""Every op at every case: type, value, lowering, derivatives and batching, against JAX; and that no rule is missing."""

import dataclasses
import importlib
import pkgutil

import jax
import numpy as np
import pytest

import minijax.calls
import minijax.ops
import tests.cases
from minijax import config
from minijax.ir.op import RULES, Linear, ops
from minijax.ir.types import ArrayType
from minijax.lowering.table import apply_rule, rules as lowerings
from minijax.ops.arithmetic import neg_p
from minijax.ops.elementwise import sin_p
from minijax.ops.families import mul_p
from tests.cases import array, cases
from tests.op_checks import (CHECKS, check_batch, check_eval, check_jvp, check_lowering, check_numerically, check_type,
                             check_vjp, close)

for package in (minijax.ops, minijax.calls):
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)

CASES = [case for module in pkgutil.iter_modules(tests.cases.__path__, "tests.cases.")
         for case in importlib.import_module(module.name).CASES]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case):
    for check in CHECKS:
        check(case)


def in_64_bits(case):
    """The case with arguments of twice the width."""
    wide = {"float32": np.float64, "complex64": np.complex128, "int32": np.int64}
    args = [x.astype(wide.get(x.dtype.name, x.dtype)) if isinstance(x, (np.ndarray, np.generic)) else x
            for x in case.args]
    return dataclasses.replace(case, args=tuple(args), rtol=None)


NARROW = {"new_dtype", "index_dtype", "permutation_size"}  # parameters of ops that are for certain dtypes
FIRST = {case.op: case for case in reversed(CASES) if not NARROW & set(case.params)}


@pytest.mark.parametrize("case", FIRST.values(), ids=str)
def test_case_in_64_bits(case):
    with jax.enable_x64(True), config.override("jax_enable_x64", True):
        for check in (check_type, check_eval, check_jvp, check_vjp):
            check(in_64_bits(case))


# ---- coverage: ops x rules, lowerings, cases

OPS = [op for op in ops.values() if not op.name.startswith(("t_", "t-"))]
WITH_KEYS = {"random_wrap", "random_unwrap"}  # JAX's functions take no keys in NumPy's form: tests/test_random_bits.py
ELSEWHERE = WITH_KEYS | {"rng_uniform"}  # draws from hidden state: tests/test_special.py
FIRST_ORDER = [op for op in OPS if not op.type.__module__.startswith(("minijax.calls", "minijax.effects"))]


@pytest.mark.parametrize("op", OPS, ids=str)
def test_every_rule_exists_or_is_undeclared_on_purpose(op):
    missing = {rule for rule in RULES if not op.has(rule)}
    assert missing == set(op.undeclared), f"'{op}' lacks {missing}, and declares that it lacks {op.undeclared}"


@pytest.mark.parametrize("op", FIRST_ORDER, ids=str)
def test_every_op_has_a_lowering_and_a_case(op):
    assert op in lowerings, f"'{op}' is no function of jax.lax, and has no line in minijax/lowering/table_*.py"
    if op.name not in ELSEWHERE and not op.traits & {"collective", "host"}:
        assert any(case.op is op for case in CASES), f"'{op}' has no line in tests/cases/"


@pytest.mark.parametrize("case", FIRST.values(), ids=str)
def test_cost_is_a_number_of_operations(case):
    cost = case.op.cost(*[ArrayType(np.shape(x), np.asarray(x).dtype) for x in case.args], **case.params)
    assert isinstance(cost, int) and cost >= 0


def test_lowerings_of_elementwise_ops_repeat_axes_of_size_one():
    """All in one program, the first operand one row and the last one column; their rules are checked elsewhere."""
    found = [(case, [x[:1] if i == 0 else x[..., :1] if i == len(case.args) - 1 else x
                     for i, x in enumerate(map(np.asarray, case.args))])
             for case in CASES if "elementwise" in case.op.traits and len(case.args) > 1
             and len({np.shape(x) for x in case.args}) == 1 and np.ndim(case.args[0])]
    assert {"add", "select_n", "clamp", "complex", "pow", "threefry2x32"} <= {case.op.name for case, _ in found}
    compiled = jax.jit(lambda args: [apply_rule(case.op, xs, case.params) for (case, _), xs in zip(found, args)])
    for (case, args), outs in zip(found, compiled([args for _, args in found]), strict=True):
        for out, expected in zip(outs, case.op.eval(*args, **case.params), strict=True):
            close(out, expected, case.rtol, str(case))


# ---- the checks see wrong rules

def wrong(op, rule):
    """A rule of the right form and the wrong meaning."""
    return {
        "type": lambda *types, **params: (ArrayType((), types[0].dtype),),
        "eval": lambda *xs, **params: (op_eval[op](*xs, **params)[0] + np.float32(1),),
        "jvp": lambda primals, tangents, **params: (op.bind(*primals, **params), tangents[:1]),
        "transpose": lambda cts, *args, **params: tuple(cts[0] if type(x) is Linear else None for x in args),
        "batch": lambda size, args, axes, **params: (op.bind(*args, **params), (0,)),
    }[rule]


op_eval = {op: op.eval for op in (sin_p, neg_p, mul_p)}


@pytest.mark.parametrize("op, rule, check", [
    (sin_p, "type", check_type), (sin_p, "eval", check_eval), (sin_p, "jvp", check_jvp),
    (sin_p, "jvp", check_numerically), (neg_p, "transpose", check_vjp), (mul_p, "transpose", check_vjp),
    (mul_p, "batch", check_batch)])
def test_a_wrong_rule_is_seen(op, rule, check, monkeypatch):
    oracle = {"sin": jax.lax.sin, "neg": jax.lax.neg, "mul": jax.lax.mul}[op.name]
    args = (array((3, 3)), array((3, 3), seed=1)) if op is mul_p else (array((3, 3)),)
    case, = cases(op, oracle, args)
    check(case)
    monkeypatch.setattr(op, rule, wrong(op, rule))
    monkeypatch.setattr(op, "_inferred", {})
    with pytest.raises((AssertionError, TypeError, ValueError)):
        check(case)


def test_a_wrong_lowering_is_seen(monkeypatch):
    case, = cases(sin_p, jax.lax.sin, (array((3,)),))
    monkeypatch.setitem(lowerings, sin_p, jax.lax.cos)
    with pytest.raises(AssertionError):
        check_lowering(case)
