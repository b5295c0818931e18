"""`numpy.linalg` against JAX's: values, derivatives and their compositions, results of several dtypes, errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import minijax
import minijax.numpy as mnp
from minijax import config
from minijax.errors import DtypeError, MinijaxError, MinijaxTypeError, MinijaxValueError, MissingRuleError, ShapeError
from tests.cases import array

A = array((4, 4)) + 3 * np.eye(4, dtype=np.float32)
B = array((4, 2), seed=1)
C = array((3, 3), "complex64") + 3 * np.eye(3, dtype=np.complex64)
STACK = array((2, 3, 3), seed=2) + 3 * np.eye(3, dtype=np.float32)
TALL, WIDE = array((5, 3)), array((2, 5), seed=3)
SINGULAR = np.float32([[1, 2, 3, 1], [2, 4, 6, 1], [0, 1, 1, 1], [2, 5, 7, 2]])  # the last row: the two above
WHOLE = np.int32([[2, 1], [1, 3]])
EMPTY, NONE = np.zeros((0, 0), np.float32), np.zeros((3, 0), np.float32)
T4 = A.reshape(2, 2, 4)
INF = np.inf


def norms(np, m):
    """Every order of norm."""
    yield from (m.norm(x, o) for x in (TALL, C) for o in (None, "fro", "nuc", 1, -1, 2, -2, INF, -INF))
    yield from (m.norm(B[:, 0], o) for o in (None, 0, 1, 2, 3, -1.5, INF, -INF))
    yield from (m.norm(STACK, o, (2, 0), True) for o in (None, "nuc", 1, INF))
    yield from (m.vector_norm(STACK, axis=(0, 2)), m.vector_norm(STACK, ord=1, keepdims=True), m.norm(STACK, axis=1))
    yield from (m.matrix_norm(STACK), m.matrix_norm(STACK, ord=2, keepdims=True), m.norm(NONE, 1), m.norm(STACK))
    yield from (m.cond(x, p) for x in (A, C) for p in (None, 2, -2, 1, "fro", INF))
    yield m.cond(np.zeros((2, 2)), 1)


def factors(np, m):
    """Decompositions: what LAPACK defines, phases included."""
    yield from (m.cholesky(A @ A.T), m.cholesky(A @ A.T, upper=True), m.cholesky(WHOLE), m.eigvals(A), m.eigvals(C))
    yield from (*m.eig(C), *m.eigh(A), *m.eigh(C, "U", False), m.eigvalsh(STACK), m.eigvalsh(C, UPLO="U"))
    yield from (y for mode in ("reduced", "complete", "raw") for y in m.qr(TALL, mode))
    yield from (m.qr(WIDE, "r"), m.svdvals(STACK), *m.svd(TALL, False), *m.svd(WIDE), m.svd(C, compute_uv=False))
    yield from (*m.svd(STACK, hermitian=True), m.svd(A, hermitian=True, compute_uv=False))
    yield from (m.matrix_rank(A), m.matrix_rank(SINGULAR), m.matrix_rank(STACK, 0.5), m.matrix_rank(SINGULAR, tol=1e-3),
                m.matrix_rank(A + A.T, hermitian=True), m.matrix_rank(B[0]))


def systems(np, m):
    """Solutions, inverses, determinants, powers, chains."""
    yield from (m.solve(A, B), m.solve(A, B[:, 0]), m.solve(STACK, C[0]), m.solve(STACK, C), m.solve(C, STACK))
    yield from (m.solve(STACK[:, None], np.stack([STACK] * 4, 1)), m.solve(EMPTY, EMPTY), m.inv(C), m.inv(STACK))
    yield from (m.pinv(TALL), m.pinv(WIDE), m.pinv(STACK, 0.5), m.pinv(C, hermitian=True), m.pinv(NONE), m.inv(WHOLE))
    yield from (*m.lstsq(TALL, TALL[:, 0] ** 2), *m.lstsq(SINGULAR, B), *m.lstsq(WIDE, WIDE, 0.1), *m.lstsq(A, B, -1.0))
    yield from (m.det(x) for x in (A, C, STACK, SINGULAR, WHOLE, EMPTY, A[:1, :1], STACK[:, :2, :2]))
    yield from (y for x in (A, C, STACK, SINGULAR * 0, A[:1, :1], -STACK[:, :2, :2]) for y in m.slogdet(x))
    yield from m.slogdet(A, method="qr")
    yield from (m.matrix_power(STACK, n) for n in (0, 1, 2, 3, 5, 6, -2))
    yield from (m.matrix_power(WHOLE, 3), m.tensorinv(T4), m.tensorsolve(T4, B[:2]))
    yield from (m.multi_dot([TALL, C, C[0]]), m.multi_dot([C[0], C, C, TALL.T]), m.multi_dot([B[0], WIDE]))


def products(np, m):
    """What other namespaces have too."""
    yield from (m.cross(TALL, TALL[::-1]), m.outer(B[0], TALL[0]), m.diagonal(STACK, offset=1), m.trace(STACK))
    yield from (m.matmul(STACK, C), m.tensordot(STACK, C, axes=1), m.vecdot(STACK, C), m.matrix_transpose(STACK))


FAMILIES = {"norms": norms, "factors": factors, "systems": systems, "products": products}


def assert_close(mine, other, tol=2e-4, what=""):
    """Equal shapes and dtypes, and elements to rounding."""
    mine, other = np.asarray(mine), np.asarray(other)
    assert (mine.shape, mine.dtype) == (other.shape, other.dtype), what
    scale = max(1.0, np.abs(other[np.isfinite(other)]).max(initial=0))
    np.testing.assert_allclose(mine, other, rtol=tol, atol=tol * scale, err_msg=str(what))


@pytest.mark.parametrize("name", FAMILIES)
def test_values(name):
    """On NumPy and compiled, what JAX's functions give."""
    family = FAMILIES[name]
    other = jax.jit(lambda: list(family(jnp, jnp.linalg)))()
    with config.override("evaluator", "numpy"):
        interpreted = list(family(mnp, mnp.linalg))
    for number, (x, y, z) in enumerate(zip(interpreted, minijax.jit(lambda: list(family(mnp, mnp.linalg)))(), other,
                                           strict=True)):
        assert_close(x, z, what=number)
        assert_close(y, z, what=number)


def test_every_name_is_here_and_results_have_names():
    assert set(mnp.linalg.__all__) == {name for name in dir(jnp.linalg) if not name.startswith("_")}
    for name in ("eigh", "svd", "qr", "slogdet", "eig"):
        mine, other = [eval_shape(getattr(m.linalg, name), A) for eval_shape, m in (
            (minijax.eval_shape, mnp), (jax.eval_shape, jnp))]
        assert (type(mine).__name__, mine._fields) == (type(other).__name__, other._fields)
    assert mnp.linalg.lstsq(WIDE, WIDE[:, 0], numpy_resid=True)[1].shape == (0,)


# ---- derivatives

def sum_of_squares(np, x):
    return np.sum(np.real(x * np.conj(x)))


SMOOTH = {
    "solve": lambda np, m, x: sum_of_squares(np, m.solve(x, x[:, :2] ** 2)) + sum_of_squares(np, m.inv(x)),
    "det": lambda np, m, x: np.real(m.det(x)) + np.imag(m.det(x[:3, :3])) + np.real(m.det(x[:2, :2])) ** 2,
    "det of a singular matrix": lambda np, m, x: np.real(m.det(np.concatenate([x[:3], x[:1] + x[1:2]]))
                                                         + m.det(SINGULAR * x) ** 2),
    "slogdet": lambda np, m, x: m.slogdet(x)[1] ** 2 + np.imag(m.slogdet(x)[0]),
    "pinv": lambda np, m, x: sum_of_squares(np, m.pinv(x[:, :2])) + sum_of_squares(np, m.pinv(x[:2])),
    "lstsq": lambda np, m, x: sum_of_squares(np, m.lstsq(x[:, :2], x[:, 3])[0]),
    "norms": lambda np, m, x: m.norm(x) + m.norm(x, "nuc") * m.norm(x, 2) + m.norm(x, 1) + m.norm(x[0], 3) + m.cond(x),
    "spectra": lambda np, m, x: (np.sum(m.svdvals(x)[:2] ** 3) + np.sum(m.eigvalsh(x)[:2] ** 3)
                                 + np.sum(np.real(m.cholesky(x @ np.conj(x).T))) + np.sum(np.real(m.eigvals(x)) ** 2)),
}
TO_SECOND_ORDER = {"solve", "det", "slogdet", "pinv"}


def derivatives(library, f, numpy, second):
    """The gradient of a batch, vmap of the gradient, and the derivative along t of the gradient, of a real x."""
    def of_all(x, t):
        grad, vmap = library.grad, library.vmap
        batch = numpy.stack([x, x * 0.9])
        outs = vmap(grad(f))(batch), grad(lambda xs: numpy.sum(vmap(f)(xs)))(batch)
        return (*outs, library.jvp(grad(f), (x,), (t,))[1]) if second else outs

    return of_all


@pytest.mark.parametrize("name", SMOOTH)
def test_derivatives(name):
    f, x, t = SMOOTH[name], array((4, 4), seed=4) + 3 * np.eye(4, dtype=np.float32), array((4, 4), seed=5)
    second = name in TO_SECOND_ORDER
    with config.override("evaluator", "numpy"):
        mine = derivatives(minijax, lambda x: f(mnp, mnp.linalg, minijax.lax.complex(x, x.T / 2)), mnp, second)(x, t)
    other = jax.jit(derivatives(jax, lambda x: f(jnp, jnp.linalg, jax.lax.complex(x, x.T / 2)), jnp, second))(x, t)
    for number, (one, two) in enumerate(zip(mine, other, strict=True)):
        assert_close(one, two, 5e-3, number)


def test_real_matrices_and_signs():
    """slogdet and pinv of Hermitian matrices: their derivatives have branches for real matrices."""
    def f(m, x):
        return m.slogdet(x)[1] + m.slogdet(x, method="qr")[1] + m.pinv(x + x.T, hermitian=True).sum() + m.norm(x, -2)

    with config.override("evaluator", "numpy"):
        mine = minijax.grad(lambda x: f(mnp.linalg, x))(A)
        assert not np.any(minijax.grad(lambda x: mnp.linalg.slogdet(x)[0])(A))
        hessian = minijax.hessian(mnp.linalg.eigvals, holomorphic=True)(C)
    assert_close(mine, jax.jit(jax.grad(lambda x: f(jnp.linalg, x)))(A), 1e-3)
    assert_close(np.sum(hessian, 0), np.zeros((3, 3, 3, 3), np.complex64))  # the sum of eigenvalues is the trace


def test_tensorsolve_moves_axes():
    np.testing.assert_allclose(mnp.linalg.tensorsolve(T4, B[:, 0], (0, 1)), np.linalg.tensorsolve(T4, B[:, 0], (0, 1)),
                               rtol=1e-4)
    np.testing.assert_allclose(mnp.linalg.tensorsolve(T4, B[:, 0], (1, 0)), np.linalg.tensorsolve(T4, B[:, 0], (1, 0)),
                               rtol=1e-4)


def test_solve_factors_once():
    """The gradient of a solution uses the factors that the solution used; one matrix for many systems is one."""
    text = str(minijax.make_jaxpr(minijax.grad(lambda a: mnp.sum(mnp.linalg.solve(a, B))))(A))
    assert text.count("= lu ") == 1
    many = minijax.make_jaxpr(minijax.vmap(mnp.linalg.solve, (None, 0)))(A, np.stack([B] * 3))
    assert "lu" in str(many) and "f32[3,4,4]" not in str(many)


def test_in_64_bits():
    with jax.enable_x64(True), config.override("jax_enable_x64", True):
        a, c = A.astype(np.float64), C.astype(np.complex128)
        mine = [mnp.linalg.solve(a, B), mnp.linalg.det(c), *mnp.linalg.eigh(a), mnp.linalg.matrix_rank(a)]
        other = [jnp.linalg.solve(a, B), jnp.linalg.det(c), *jnp.linalg.eigh(a), jnp.linalg.matrix_rank(a)]
        for x, y in zip(mine, other, strict=True):
            assert_close(x, y, 1e-10)


def test_numpys_own_functions():
    """`np.linalg` on arrays and tracers finds ours."""
    with config.override("evaluator", "numpy"):
        x = mnp.asarray(A)
        assert isinstance(np.linalg.solve(x, x), minijax.Array) and isinstance(np.linalg.svd(x)[0], minijax.Array)
        np.testing.assert_allclose(minijax.grad(lambda x: np.linalg.det(x))(A), minijax.grad(mnp.linalg.det)(A))


ERRORS = {
    "solve": (lambda m: m.solve(TALL, TALL), ShapeError, "solve takes square matrices"),
    "solve rows": (lambda m: m.solve(A, TALL), ShapeError, r"\(5, 3\) does not have the 4 rows"),
    "solve vectors": (lambda m: m.solve(STACK, TALL), ShapeError, r"b\[..., None\]"),
    "solve stacks": (lambda m: m.solve(STACK, np.stack([STACK[0]] * 3)), ShapeError, "do not broadcast"),
    "solve scalar": (lambda m: m.solve(A, 1.0), ShapeError, "does not have the 4 rows"),
    "inv": (lambda m: m.inv(B[0]), ShapeError, "inv takes square matrices"),
    "det": (lambda m: m.det(TALL), ShapeError, "det takes square"),
    "cholesky": (lambda m: m.cholesky(TALL), ShapeError, "cholesky takes square"),
    "half": (lambda m: m.inv(A.astype(np.float16)), DtypeError, "lu takes float32"),
    "list": (lambda m: m.det([[1.0]]), MinijaxError, "takes arrays"),
    "mode": (lambda m: m.qr(A, "full-ish"), MinijaxValueError, "'reduced', 'complete'"),
    "UPLO": (lambda m: m.eigh(A, "M"), MinijaxValueError, "'L' or 'U'"),
    "method": (lambda m: m.slogdet(A, method="svd"), MinijaxValueError, "'lu' or 'qr'"),
    "complex qr": (lambda m: m.slogdet(C, method="qr"), MinijaxValueError, "real matrices"),
    "tolerances": (lambda m: m.matrix_rank(A, 1, tol=1), MinijaxValueError, "one of rtol and tol"),
    "pinv": (lambda m: m.pinv(A, 1, rcond=1), MinijaxValueError, "one of rtol and rcond"),
    "lstsq": (lambda m: m.lstsq(STACK, STACK), ShapeError, "vmap"),
    "power": (lambda m: m.matrix_power(TALL, 2), ShapeError, "square"),
    "exponent": (lambda m: m.matrix_power(A, 0.5), MinijaxTypeError, "whole number"),
    "tensorinv": (lambda m: m.tensorinv(A, 0), ShapeError, "ind"),
    "tensorsolve": (lambda m: m.tensorsolve(A, B), ShapeError, "must begin with"),
    "multi_dot": (lambda m: m.multi_dot([A, TALL]), ShapeError, "chain"),
    "one": (lambda m: m.multi_dot([A]), ShapeError, "two arrays at least"),
    "cond": (lambda m: m.cond(NONE), ShapeError, "condition number"),
    "outer": (lambda m: m.outer(A, A), ShapeError, "flattens"),
    "order": (lambda m: m.norm(A, 3), MinijaxValueError, "'nuc'"),
    "vector order": (lambda m: m.norm(B[0], "fro"), MinijaxValueError, "no order of a vector's norm"),
    "axes": (lambda m: m.norm(STACK, axis=(0, 1, 2)), MinijaxValueError, "Give axis"),
    "eigenvectors": (lambda m: minijax.jvp(m.eig, (A,), (A,)), MissingRuleError, "numpy.linalg.eigvals"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    call, kind, words = ERRORS[name]
    with pytest.raises(kind, match=words):
        call(mnp.linalg)
