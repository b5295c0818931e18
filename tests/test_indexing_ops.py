"""gather and the scatters at random dimension numbers, held against jax.lax: values, derivatives, batching."""

import numpy as np
import pytest

from minijax import config
from minijax.errors import DtypeError, MinijaxValueError, MissingRuleError, ShapeError
from minijax.interpreters.dual import jvp_flat
from minijax.ir.types import zero
from minijax.ops import indexing
from minijax.ops.indexing import GatherDimensionNumbers, GatherScatterMode
from tests.oracle import check_batching, check_derivatives, check_op, check_value

MODES = list(GatherScatterMode)
SCATTERS = [indexing.scatter_p, indexing.scatter_add_p, indexing.scatter_mul_p, indexing.scatter_min_p,
            indexing.scatter_max_p]


def random_problem(seed, in_bounds):
    """Operand, indices, dimension numbers and window sizes that fit each other."""
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 5, size=rng.integers(1, 4)))
    batch = tuple(rng.integers(1, 4, size=rng.integers(0, 3)))
    roles = rng.choice(["window", "indexed window", "collapsed", "indexed"], size=len(shape))
    batching = [int(rng.integers(len(shape)))] if batch and rng.random() < 0.4 else []
    indices_batching = [int(rng.integers(len(batch)))] if batching else []
    for axis, batch_axis in zip(batching, indices_batching, strict=True):
        roles[axis] = "batching"
        shape = (*shape[:axis], batch[batch_axis], *shape[axis + 1:])
    window = [i for i, role in enumerate(roles) if "window" in role]
    indexed = [int(i) for i in rng.permutation([i for i, role in enumerate(roles) if "indexed" in role])]
    sizes = [int(rng.integers(1, n + 1)) if i in window else 1 for i, n in enumerate(shape)]
    limits = np.array([shape[i] - sizes[i] for i in indexed], int)
    low, high = (np.zeros_like(limits), limits) if in_bounds else (np.full_like(limits, -2), limits + 2)
    indices = rng.integers(low, high + 1, size=(*batch, len(indexed))).astype(np.int32)
    offset = sorted(rng.choice(len(batch) + len(window), size=len(window), replace=False).tolist())
    numbers = GatherDimensionNumbers(
        tuple(offset), tuple(i for i, role in enumerate(roles) if role in ("collapsed", "indexed")), tuple(indexed),
        tuple(batching), tuple(indices_batching))
    operand = rng.permutation(np.arange(np.prod(shape)) - 3.0).reshape(shape).astype(np.float32)
    return operand, indices, numbers, tuple(sizes)


def updates_for(operand, indices, numbers, sizes):
    """Distinct updates, none of them equal to an element of the operand."""
    shape = indexing.gather_p.infer(
        (indexing.typeof(operand), indexing.typeof(indices)),
        dict(dimension_numbers=numbers, slice_sizes=sizes))[0].shape
    return np.random.default_rng(0).permutation(np.arange(np.prod(shape)) * 2.0 - 4.5).reshape(shape).astype(np.float32)


@pytest.mark.parametrize("seed", range(9))
def test_gather(seed):
    mode = MODES[seed % 3]
    operand, indices, numbers, sizes = random_problem(seed, mode is GatherScatterMode.PROMISE_IN_BOUNDS)
    check_op(indexing.gather_p, [operand, indices], dimension_numbers=numbers, slice_sizes=sizes, mode=mode,
             fill_value=None, indices_are_sorted=False, unique_indices=False)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("op", SCATTERS, ids=str)
def test_scatter(op, seed):
    mode = MODES[seed % 3]
    operand, indices, numbers, sizes = random_problem(seed, mode is GatherScatterMode.PROMISE_IN_BOUNDS)
    params = dict(dimension_numbers=numbers.to_scatter(), mode=mode, indices_are_sorted=False, unique_indices=False)
    args = [operand, indices, updates_for(operand, indices, numbers, sizes)]
    check_value(op, args, params)
    check_batching(op, args, params)
    extremal = op in SCATTERS[3:] and mode is GatherScatterMode.CLIP  # JAX's is NaN where a window moved
    if op is not indexing.scatter_mul_p and not extremal:
        check_derivatives(op, args, params)


ROWS = GatherDimensionNumbers(offset_dims=(1,), collapsed_slice_dims=(0,), start_index_map=(0,))
X, AT = np.ones((5, 4), np.float32), np.zeros((3, 1), np.int32)


@pytest.mark.parametrize("indices, numbers, sizes, text", [
    (AT[:, :0], ROWS, (1, 4), "components"), (AT, ROWS, (6, 4), "larger"), (AT, ROWS, (2, 4), "collapsed"),
    (AT, ROWS, (1,), "sizes"), (AT, GatherDimensionNumbers((1,), (0,), (2,)), (1, 4), "indexed axes"),
    (AT, GatherDimensionNumbers((2,), (0,), (0,)), (1, 4), "window axes"),
    (AT, GatherDimensionNumbers((), (0,), (0,), (1,), (0,)), (1, 1), "in size"),
    (AT, GatherDimensionNumbers((1,), (), (0,), (0,), (0,)), (1, 4), "as well")])
def test_wrong_gathers(indices, numbers, sizes, text):
    with config.override("evaluator", "numpy"), pytest.raises(ShapeError, match=text):
        indexing.gather(X, indices, numbers, sizes)


def test_wrong_dtypes_updates_and_modes():
    with config.override("evaluator", "numpy"):
        with pytest.raises(DtypeError, match="integers"):
            indexing.gather(X, X[:1], ROWS, (1, 4))
        with pytest.raises(DtypeError, match="dtypes"):
            indexing.scatter(X, AT, np.zeros((3, 4), np.int32), ROWS.to_scatter())
        with pytest.raises(ShapeError, match="should have shape"):
            indexing.scatter_add(X, AT, np.zeros((2, 4), np.float32), ROWS.to_scatter())
        with pytest.raises(MinijaxValueError, match="clip"):
            indexing.gather(X, AT, ROWS, (1, 4), mode="wrap")


def test_scatter_mul_needs_distinct_indices_to_be_differentiated_by_updates():
    updates = np.ones((3, 4), np.float32)
    with config.override("evaluator", "numpy"), pytest.raises(MissingRuleError, match="unique_indices"):
        jvp_flat(lambda u: [indexing.scatter_mul(X, AT, u, ROWS.to_scatter())], [updates], [updates])


def test_unperturbed_operands_have_no_tangent():
    with config.override("evaluator", "numpy"):
        _, (tangent,) = jvp_flat(lambda x: [indexing.scatter_add(X, AT, X[:3], ROWS.to_scatter())], [X], [zero])
    assert tangent is zero
