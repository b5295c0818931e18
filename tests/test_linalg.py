"""`lax.linalg` against JAX's: values of the functions, compositions of transforms of what no phase changes, errors.

The rules of each op are tested one by one in tests/test_ops.py, over tests/cases/linalg.py.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.lax import linalg as theirs

import minijax
import minijax.numpy as mnp
from minijax import config
from minijax.errors import DtypeError, MinijaxError, MinijaxValueError, MissingRuleError, ShapeError
from minijax.ir.check import check_jaxpr
from minijax.lax import linalg as ours
from tests.cases import array

A = array((4, 4)) + 3 * np.eye(4, dtype=np.float32)
C = array((4, 4), "complex64") + 3 * np.eye(4, dtype=np.complex64)
B = array((4, 2), seed=1)
STACK = array((2, 3, 3), seed=2) + 3 * np.eye(3, dtype=np.float32)
TALL, EMPTY = array((5, 3)), np.zeros((0, 0), np.float32)
POSITIVE = (A @ A.T / 4 + np.diag(np.arange(1.0, 5))).astype(np.float32)


def leaves(x):
    """The arrays of a result."""
    return [np.asarray(each) for each in (x if isinstance(x, (tuple, list)) else [x])]


def assert_same(mine, other, tol=2e-4):
    """Results agree in container, shapes, dtypes and, to rounding, elements."""
    assert isinstance(mine, (tuple, list)) == isinstance(other, (tuple, list))
    for x, y in zip(leaves(mine), leaves(other), strict=True):
        assert (x.shape, x.dtype) == (y.shape, y.dtype)
        np.testing.assert_allclose(x, y, rtol=tol, atol=tol)


CALLS = {
    "cholesky": lambda m: [m.cholesky(POSITIVE), m.cholesky(A, symmetrize_input=False), m.cholesky(EMPTY)],
    "cholesky_update": lambda m: m.cholesky_update(np.triu(A), B[:, 0]),
    "eig": lambda m: [*m.eig(A), *m.eig(C, compute_left_eigenvectors=False), *m.eig(STACK)],
    "eigh": lambda m: [*m.eigh(A), *m.eigh(C, lower=False, symmetrize_input=False),
                       *m.eigh(STACK, subset_by_index=(0, 3))],
    "hessenberg": lambda m: m.hessenberg(STACK),
    "householder_product": lambda m: m.householder_product(TALL, TALL[0]),
    "lu": lambda m: m.lu(TALL),
    "lu_pivots_to_permutation": lambda m: m.lu_pivots_to_permutation(np.int32([2, 2]), 4),
    "ormqr": lambda m: [m.ormqr(TALL, TALL[0], TALL, transpose=True), m.ormqr(TALL, TALL[0], TALL.T, left=False)],
    "qr": lambda m: [*m.qr(TALL), *m.qr(TALL, full_matrices=False), *m.qr(C, pivoting=True)],
    "schur": lambda m: [*m.schur(A), *m.schur(C, compute_schur_vectors=False)],
    "svd": lambda m: [*m.svd(TALL), *m.svd(STACK, full_matrices=False, algorithm=m.SvdAlgorithm.QR),
                      m.svd(C, compute_uv=False)],
    "symmetric_product": lambda m: [m.symmetric_product(TALL, np.eye(5, dtype=np.float32), alpha=2, beta=0.5),
                                    m.symmetric_product(TALL, np.ones((5, 5), np.float32), symmetrize_output=True)],
    "triangular_solve": lambda m: [m.triangular_solve(A, B, left_side=True), m.triangular_solve(A, B[:, 0]),
                                   m.triangular_solve(STACK, STACK[:, 0], left_side=True, lower=True)],
    "tridiagonal": lambda m: [*m.tridiagonal(POSITIVE), *m.tridiagonal(C, lower=False)],
    "tridiagonal_solve": lambda m: m.tridiagonal_solve(B[:, 0], B[:, 1] + 5, B[:, 0], B),
    "qdwh": lambda m: m.qdwh(TALL),
}


@pytest.mark.parametrize("name", CALLS)
def test_values(name):
    with config.override("evaluator", "numpy"):
        mine = CALLS[name](ours)
    assert_same(mine, jax.jit(lambda: CALLS[name](theirs))())


def test_compiled_values():
    """In one program; eagerly and op by op, tests/test_ops.py has them."""
    chosen = "eigh", "lu", "qr", "svd", "triangular_solve", "qdwh"
    for mine, name in zip(minijax.jit(lambda: [CALLS[name](ours) for name in chosen])(), chosen, strict=True):
        with config.override("evaluator", "numpy"):
            assert_same(mine, CALLS[name](ours))


def test_every_function_is_here():
    names = {name for name in vars(theirs) if not name.startswith("_") and not name.endswith("_p")}
    assert names == set(ours.__all__) == set(CALLS) | {"EigImplementation", "EighImplementation", "SvdAlgorithm"}


# ---- compositions, of functions that do not depend on phases

def modulus(jnp, x):
    return jnp.sum(jnp.real(x * jnp.conj(x)) ** 2)


WEIGHTS = np.float32([1, -2, 3, 0.5])
SMOOTH = {
    "cholesky": lambda m, jnp, x: modulus(jnp, m.cholesky(x @ jnp.conj(x).T)),
    "lu": lambda m, jnp, x: modulus(jnp, m.lu(x)[0]),
    "eigh": lambda m, jnp, x: modulus(jnp, (lambda v, w: (v * (WEIGHTS * w ** 2).astype(v.dtype)) @ jnp.conj(v).T)(
        *m.eigh(x + jnp.conj(x).T))),
    "eig": lambda m, jnp, x: jnp.sum(jnp.real(m.eig(
        x, compute_left_eigenvectors=False, compute_right_eigenvectors=False, enable_eigvec_derivs=True)[0] ** 3)),
    "svd": lambda m, jnp, x: modulus(jnp, (lambda u, s, v: (u * (WEIGHTS[:3] * s ** 2).astype(v.dtype)) @ v)(
        *m.svd(x[:, :3], full_matrices=False))),
    "qr": lambda m, jnp, x: modulus(jnp, (lambda q, r: q[:, :1] @ r[:1] + r[1:2] ** 2)(
        *m.qr(x[:, :3], full_matrices=False))),
    "triangular_solve": lambda m, jnp, x: modulus(jnp, m.triangular_solve(x, x[:, ::-1], lower=True, conjugate_a=True)),
    "tridiagonal_solve": lambda m, jnp, x: modulus(jnp, m.tridiagonal_solve(x[0], x[1] + 5, x[2], x[:, :2])),
}


def derivatives(library, f, numpy):
    """All compositions as one program, of a real x."""
    def of_all(x, t):
        grad, jvp, vmap = library.grad, library.jvp, library.vmap
        batch = numpy.stack([x, x * 0.9])
        return (vmap(f)(batch), vmap(grad(f))(batch), grad(lambda xs: numpy.sum(vmap(f)(xs)))(batch),
                grad(lambda x: numpy.sum(grad(f)(x) * t))(x), jvp(grad(f), (x,), (t,))[1],
                grad(lambda x: jvp(f, (x,), (t,))[1])(x))

    return of_all


@pytest.mark.parametrize("name", SMOOTH)
def test_compositions(name):
    """vmap of f and of its gradient, grad of vmap, grad of grad, jvp of grad, grad of jvp: of complex matrices."""
    f, x, t = SMOOTH[name], array((4, 4), seed=4) + 3 * np.eye(4, dtype=np.float32), array((4, 4), seed=5)
    with config.override("evaluator", "numpy"):
        mine = derivatives(minijax, lambda x: f(ours, mnp, minijax.lax.complex(x, x.T / 2)), mnp)(x, t)
    other = jax.jit(derivatives(jax, lambda x: f(theirs, jnp, jax.lax.complex(x, x.T / 2)), jnp))(x, t)
    for number, (one, two) in enumerate(zip(mine, other, strict=True)):
        one, two = np.asarray(one), np.asarray(two)
        np.testing.assert_allclose(one, two, rtol=3e-3, atol=3e-3 * np.abs(two).max(), err_msg=f"{number}")


def test_jit_and_programs():
    """Compiled results are the eager ones; programs print, parse back and save."""
    def f(x):
        q, r = ours.qr(x, full_matrices=False)
        return ours.svd(x, compute_uv=False), ours.eigh(r @ r.T)[1], ours.lu(x)[2], minijax.lax.abs(q)

    for mine, other in zip(minijax.jit(f)(TALL), f(TALL), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-5)
    program = minijax.make_jaxpr(minijax.grad(lambda x: mnp.sum(ours.cholesky(x) ** 2)))(POSITIVE)
    check_jaxpr(program)
    assert str(minijax.parse(str(program))) == str(program)
    assert "svd[algorithm=None" in str(minijax.make_jaxpr(f)(TALL))


def test_a_subset_of_values():
    v, w = minijax.jit(lambda x: ours.eigh(x, subset_by_index=(1, 3)))(POSITIVE)
    np.testing.assert_allclose(w, np.linalg.eigvalsh(POSITIVE)[1:3], rtol=1e-5)
    np.testing.assert_allclose(POSITIVE @ v, v * w, rtol=1e-4, atol=1e-4)
    u, s, vh = ours.svd(TALL, full_matrices=False, subset_by_index=(0, 2))
    np.testing.assert_allclose(u * s @ vh, np.asarray(u) @ np.asarray(u).T @ TALL, atol=1e-5)
    with config.override("evaluator", "numpy"):
        part = ours.svd(TALL, compute_uv=False, full_matrices=False, subset_by_index=(0, 2))
        slope = minijax.grad(lambda x: ours.eigh(x, subset_by_index=(3, 4))[1].sum())(POSITIVE)
    np.testing.assert_allclose(part, s, rtol=1e-5)
    top = np.linalg.eigh(POSITIVE)[1][:, -1]
    np.testing.assert_allclose(slope, np.outer(top, top), atol=1e-4)


def test_only_one_triangle_is_read():
    """Where the input is not symmetrized, the value and its derivative are those of the triangle that is read."""
    junk = POSITIVE + np.triu(np.full((4, 4), 7, np.float32), 1)
    with config.override("evaluator", "numpy"):
        for f in (lambda x: ours.cholesky(x, symmetrize_input=False),
                  lambda x: ours.eigh(x, symmetrize_input=False)[1]):
            np.testing.assert_allclose(f(junk), f(POSITIVE), rtol=1e-5)
            np.testing.assert_allclose(minijax.jvp(f, (junk,), (POSITIVE,))[0], f(POSITIVE), rtol=1e-4)


def test_derivatives_beyond_those_of_jax():
    r, w = np.triu(A), B[:, 0]
    with config.override("evaluator", "numpy"):
        mine = minijax.jacrev(lambda r, w: ours.cholesky_update(mnp.triu(r), w), argnums=(0, 1))(r, w)
        polar = minijax.grad(lambda x: mnp.sum(ours.qdwh(x)[1] ** 3))(TALL)
    other = jax.jit(jax.jacrev(lambda r, w: theirs.cholesky(
        jnp.triu(r).T @ jnp.triu(r) + jnp.outer(w, w)).T, (0, 1)))(r, w)
    assert_same(mine, other, 1e-3)
    assert_same(polar, jax.jit(jax.grad(lambda x: jnp.sum((lambda u, s, v: v.T * s @ v)(*theirs.svd(
        x, full_matrices=False)) ** 3)))(TALL), 2e-3)


def test_qdwh_of_awkward_matrices():
    padded = np.pad(TALL, ((0, 1), (0, 2)), constant_values=9)
    awkward = C, np.zeros((3, 2), np.float32), np.diag(np.float32([1, 1e-3, 30]))
    others = jax.jit(lambda: [theirs.qdwh(x) for x in awkward])()
    with config.override("evaluator", "numpy"):
        for x, each in zip(awkward, others, strict=True):
            for mine, other in zip(ours.qdwh(x), each, strict=True):
                np.testing.assert_allclose(mine, other, rtol=2e-4, atol=2e-4)
        u, h, *_ = minijax.vmap(lambda n: ours.qdwh(padded, dynamic_shape=(5, n)))(np.int32([3, 2]))
        *_, count, converged = ours.qdwh(np.diag(np.float32([1, 1e-6])), max_iterations=2)
    for n in (3, 2):
        np.testing.assert_allclose((u @ h)[3 - n, :5, :n], TALL[:, :n], atol=1e-4)
        assert not np.any(u[3 - n, 5:]) and not np.any(h[3 - n, n:])
    assert int(count) == 2 and not bool(converged)


def test_failures_are_nan():
    singular = np.zeros((2, 2), np.float32)
    with config.override("evaluator", "numpy"):
        mine = [ours.cholesky(-np.eye(2, dtype=np.float32)), ours.tridiagonal_solve(*[singular[0]] * 3, singular)]
    other = [theirs.cholesky(-np.eye(2, dtype=np.float32)), theirs.tridiagonal_solve(*[singular[0]] * 3, singular)]
    for x, y in zip(mine, other, strict=True):
        np.testing.assert_array_equal(x, y)


# ---- errors: each names the function, the shapes or dtypes, and what to do

I2, V2 = np.eye(2, dtype=np.int32), np.ones(2, np.float32)
ERRORS = {
    "not square": (lambda: ours.cholesky(TALL), ShapeError, "cholesky takes square matrices, got 5 rows and 3 columns"),
    "not square, jit": (lambda: minijax.jit(ours.eigh)(TALL), ShapeError, "eigh takes square"),
    "vmap": (lambda: minijax.vmap(ours.lu)(TALL), ShapeError, r"f32\[3\] has 1 axes where a matrix"),
    "a vector": (lambda: ours.qr(V2), ShapeError, "qr: .* has 1 axes where a matrix"),
    "integers": (lambda: ours.eig(I2), DtypeError, "eig takes float32.*got int32.*astype"),
    "half": (lambda: ours.svd(A.astype(np.float16)), DtypeError, "svd takes float32.*float16"),
    "complex": (lambda: ours.symmetric_product(C, C), DtypeError, "symmetric_product takes real"),
    "dtypes": (lambda: ours.triangular_solve(A, C), DtypeError, "dtypes float32, complex64 differ"),
    "stacks": (lambda: ours.triangular_solve(STACK, np.ones((4, 3, 3), np.float32)), ShapeError,
               r"stacks of different shapes \(2,\), \(4,\)"),
    "sides": (lambda: ours.triangular_solve(A, B), ShapeError, "left_side=False the second must have 4 columns"),
    "diagonals": (lambda: ours.tridiagonal_solve(V2, B[:, 0], V2, B), ShapeError, "sizes 2, 4 and 2"),
    "swaps": (lambda: ours.lu_pivots_to_permutation(np.int32([1, 2, 2]), 2), ShapeError, "3 row swaps do not fit 2"),
    "update": (lambda: ours.cholesky_update(A, V2), ShapeError, "vector of size 2"),
    "product": (lambda: ours.symmetric_product(TALL, A), ShapeError, "do not fit"),
    "reflectors": (lambda: ours.householder_product(TALL.T, V2), ShapeError, "as many rows as columns"),
    "ormqr": (lambda: ours.ormqr(TALL, V2, TALL.T), ShapeError, "5 rows"),
    "subset": (lambda: ours.eigh(A, subset_by_index=(1, 9)), MinijaxValueError, r"\(1, 9\) is not a range"),
    "subset of all": (lambda: ours.svd(TALL, subset_by_index=(0, 1)), ShapeError, "full_matrices=False"),
    "algorithm": (lambda: ours.svd(A, algorithm="QR"), MinijaxValueError, "algorithm='QR' is not one of SvdAlgorithm"),
    "implementation": (lambda: ours.eigh(A, implementation=1), MinijaxValueError, "EighImplementation.QR"),
    "order": (lambda: ours.schur(A, sort_eig_vals=True), MinijaxValueError, "cannot be put in an order"),
    "empty": (lambda: ours.tridiagonal(EMPTY), ShapeError, "one row at least"),
    "wide": (lambda: ours.qdwh(TALL.T), ShapeError, "transpose"),
    "eigenvectors": (lambda: minijax.jacfwd(ours.eig)(A), MissingRuleError, "enable_eigvec_derivs=True"),
    "full": (lambda: minijax.jacfwd(ours.svd)(TALL), MissingRuleError, "full_matrices=False"),
    "no derivative": (lambda: minijax.jacfwd(ours.schur)(A), MissingRuleError, "'schur' has no jvp rule"),
    "list": (lambda: ours.cholesky([[1.0]]), MinijaxError, "takes arrays"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    call, kind, words = ERRORS[name]
    with pytest.raises(kind, match=words):
        call()


def test_errors_name_the_line():
    with pytest.raises(ShapeError, match="test_linalg.py"):
        minijax.jit(lambda x: ours.lu(ours.cholesky(x)))(TALL)


def test_use_magma_is_deprecated():
    with pytest.warns(DeprecationWarning, match="use_magma"):
        ours.eig(A, use_magma=False)
