"""Random programs with control flow agree with JAX under compositions of up to four transformations.

By seeds, so that every composition of up to three comes round; and by hypothesis, so that a failure shrinks to a short
program, shown as a jaxpr.  MINIJAX_NIGHTLY=1 runs 100,000 of them.

Minijax runs them with the NumPy evaluator, and some compiled by XLA too.  JAX's are compiled; where they branch
on values, or disagree, JAX runs op by op.
"""

import collections
import os

import hypothesis
import jax
import numpy as np
import pytest

import minijax.api as api
import minijax.lax
import minijax.numpy
import minijax.tree
from minijax import config
from minijax.ops.elementwise import sin_p
from random_programs import COMPOSITIONS, TRANSFORMS, Program, Space, disagreement, program, programs

NIGHTLY = bool(os.environ.get("MINIJAX_NIGHTLY"))
COUNT, BLOCK, COMPILED, DRAWN = (90_000, 250, 19, 10_000) if NIGHTLY else (400, 25, 19, 30)
TOLERANCE = 1e-8

OURS = Space(np=minijax.numpy, lax=minijax.lax, map=minijax.tree.map, jit=api.jit, vmap=api.vmap, grad=api.grad,
             jvp=api.jvp, vjp=api.vjp, linearize=minijax.linearize)
THEIRS = Space(np=jax.numpy, lax=jax.lax, map=jax.tree.map, jit=lambda f: f, vmap=jax.vmap, grad=jax.grad,
               jvp=jax.jvp, vjp=jax.vjp, linearize=jax.linearize)


@pytest.fixture(autouse=True)
def x64():
    """Double precision, so that a difference is a mistake and not rounding."""
    with config.override("jax_enable_x64", True):
        yield
    config.update("jax_enable_x64", False)


def op_by_op(found):
    """Leaves of JAX's result, without compiling."""
    with jax.disable_jit():
        return jax.tree.leaves(found.function(THEIRS)(jax.tree.map(jax.numpy.asarray, found.inputs)))


def compiled(found):
    """Leaves of JAX's result, compiled by XLA."""
    return jax.tree.leaves(jax.jit(found.function(THEIRS))(found.inputs))


def difference(found, by_xla=False):
    """How far minijax's results are from JAX's.

    Compiled with little optimization (conftest.py), JAX's derivative of min and max is wrong now and then: XLA
    computes x twice, rounded differently, and finds no element that equals the extremum.  So JAX op by op has the
    last word.
    """
    with config.override("evaluator", "numpy"):
        ours = [found.function(OURS)(found.inputs)]
    if by_xla and not found.branches:
        ours.append(api.jit(found.function(OURS))(found.inputs))
    oracles = (op_by_op,) if found.branches else (compiled, op_by_op)
    for oracle in oracles:
        theirs = oracle(found)
        worst = max(disagreement(minijax.tree.leaves(result), theirs) for result in ours)
        if worst < TOLERANCE:
            break
    return worst


@pytest.mark.one_python
@pytest.mark.parametrize("block", range(COUNT // BLOCK))
def test_programs_agree(block):
    for seed in range(block * BLOCK, (block + 1) * BLOCK):
        if seed % COMPILED:
            found = program(seed)
            assert difference(found) < TOLERANCE, str(found)


@pytest.mark.parametrize("start", range(0, COUNT, COMPILED * BLOCK // 5))
def test_compiled_programs_agree(start):
    """The seeds that the test above leaves out."""
    for seed in range(start, min(start + COMPILED * BLOCK // 5, COUNT), COMPILED):
        found = program(seed)
        assert difference(found, by_xla=True) < TOLERANCE, str(found)


@pytest.mark.one_python
@hypothesis.settings(max_examples=DRAWN, derandomize=not NIGHTLY, database=None,
                     suppress_health_check=list(hypothesis.HealthCheck))
@hypothesis.given(programs())
def test_drawn_programs_agree(found):
    assert difference(found) < TOLERANCE, shown(found)


def shown(found):
    """A program for a reader: its steps, and its jaxpr before the transformations."""
    return f"{found}\n{api.make_jaxpr(found.body(OURS))(found.inputs)}"


def test_failures_shrink():
    found = hypothesis.find(programs(), lambda found: any(step.name == "scan" for step in found.steps),
                            settings=hypothesis.settings(max_examples=2000, database=None, derandomize=True))
    assert len(found.steps) == 1 and found.transforms == ()
    assert "v3 = scan(v" in shown(found) and "scan[" in shown(found)


def test_every_composition_occurs_often():
    counts = collections.Counter(program(seed, steps=1).transforms for seed in range(COUNT))
    assert all(counts[transforms] >= 1 for transforms in COMPOSITIONS)
    assert sum(count for transforms, count in counts.items() if len(transforms) == 4) >= COUNT // 20
    assert {name for transforms in counts for name in transforms} == set(TRANSFORMS)


def test_programs_are_reproducible():
    assert str(program(7)) == str(program(7)) != str(program(8))


@pytest.mark.one_python
def test_a_wrong_rule_is_caught(monkeypatch):
    def wrong_jvp(primals, tangents):
        outs = sin_p.bind(*primals)
        return outs, tuple(1.0001 * t for t in tangents)

    derivatives = {"grad", "jvp", "linear"}
    of_sine = [found for found in map(program, range(300)) if not found.branches and derivatives & set(found.transforms)
               and any(step.name == "sin" for step in found.steps)]
    of_sine = of_sine[:5]
    right = [difference(found) for found in of_sine]
    monkeypatch.setattr(sin_p, "jvp", wrong_jvp)
    wrong = [difference(found) for found in of_sine]
    assert len(of_sine) == 5 and max(right) < TOLERANCE < max(wrong)


def test_a_wrong_shape_is_a_disagreement():
    assert disagreement([np.zeros(3)], [np.zeros((3, 1))]) == np.inf
    assert disagreement([np.array([np.nan])], [np.array([0.0])]) == np.inf
    assert isinstance(program(0), Program)
