"""Wrong arguments of transformations: the error says which argument, what is wrong, and the fix."""

import numpy as np
import pytest
from error_checks import M, X, mistake

import minijax as mj
from minijax.errors import (DonatedArrayError, DtypeError, IntegerOverflowError, MinijaxTypeError, MinijaxValueError,
                            NonlinearError, NonScalarOutputError, TreeError)

HERE = "(" + __file__ + ":"  # the line of the call


def double(x):
    return x * 2.0


def product(a, params):
    return a * params["w"][0]


# ---- grad ----

@pytest.mark.parametrize("transform", ["grad", "value_and_grad", "vmap", "jit", "make_jaxpr", "jacfwd", "jacrev",
                                       "custom_jvp", "custom_vjp"])
@pytest.mark.parametrize("value", [3, None, "f", X], ids=["int", "None", "str", "array"])
def test_what_is_no_function_is_refused_at_once(transform, value):
    if transform == "jit" and value is None:
        pytest.skip("jit() with options only is a decorator")
    with mistake(MinijaxTypeError, "takes a function, got", "Pass the function itself", bare=True):
        getattr(mj, transform)(value)


def test_grad_needs_one_real_scalar():
    with mistake(NonScalarOutputError, "double returned an array of type f32[3]", ".sum()", "jacrev"):
        mj.grad(double)(X)
    with mistake(NonScalarOutputError, "with 2 leaves", "has_aux=True"):
        mj.grad(lambda x: (x, x))(1.0)
    with mistake(NonScalarOutputError, "returned PyTreeDef(None)"):
        mj.grad(lambda x: None)(1.0)
    with mistake(MinijaxTypeError, "real floating-point result", "bool"):
        mj.grad(lambda x: x > 0)(1.0)
    with mistake(MinijaxTypeError, "needs a complex result"):
        mj.grad(lambda x: mj.numpy.real(x), holomorphic=True)(1j)


@pytest.mark.parametrize("args, name", [((3,), "x"), ((np.arange(3),), "x"), ((True,), "x")], ids=repr)
def test_grad_of_integers(args, name):
    with mistake(MinijaxTypeError, f"argument {name} has dtype", "no derivative", ".astype('float32')", "allow_int"):
        mj.grad(lambda x: x * 2.0)(*args)


def test_grad_names_the_leaf():
    with mistake(MinijaxTypeError, "argument params['w'][1] has dtype int32"):
        mj.grad(product, argnums=1)(1.0, {"w": [1.0, 2]})
    with mistake(MinijaxTypeError, "argument params['w'][0] is 'abc' of type str"):
        mj.grad(product, argnums=1)(1.0, {"w": ["abc"]})
    with mistake(MinijaxTypeError, "a real floating-point result", "holomorphic=True"):
        mj.grad(double)(1j)
    with mistake(MinijaxTypeError, "which is complex", "holomorphic=True"):
        mj.jacfwd(double)(1j)
    with mistake(MinijaxTypeError, "holomorphic=True differentiates complex"):
        mj.grad(double, holomorphic=True)(1.0)
    with mistake(MinijaxTypeError, "jacrev of", "params['w'][0]"):
        mj.jacrev(product, argnums=1)(1.0, {"w": [object()]})


@pytest.mark.parametrize("argnums, kind, words", [
    (5, MinijaxValueError, "asks for argument 5, but the function was called with 2 positional arguments"),
    ((0, 0), MinijaxValueError, "names an argument twice"),
    ((0, -2), MinijaxValueError, "names an argument twice"),
    ("x", MinijaxTypeError, "argnums is an int or several, got 'x'"),
    (1.5, MinijaxTypeError, "argnums is an int or several, got 1.5"),
], ids=repr)
@pytest.mark.parametrize("transform", [mj.grad, mj.value_and_grad, mj.jacfwd, mj.jacrev, mj.hessian])
def test_argnums(transform, argnums, kind, words):
    with mistake(kind, words):
        transform(lambda x, y: x * y, argnums)(1.0, 2.0)


@pytest.mark.parametrize("transform", [mj.grad, mj.jit, mj.vmap, mj.jacrev, mj.make_jaxpr],
                         ids=lambda t: t.__name__)
def test_counts_of_arguments(transform):
    def line(a, b):
        return a + b

    with mistake(MinijaxTypeError, "line(a, b)", "missing a required argument: 'b'"):
        transform(line)(X)
    with mistake(MinijaxTypeError, "line(a, b)", "too many positional arguments"):
        transform(line)(X, X, X)
    with mistake(MinijaxTypeError, "line(a, b)", "unexpected keyword argument 'c'"):
        transform(line)(X, X, c=X)


def test_counts_of_arguments_by_position():
    with mistake(MinijaxTypeError, "product(a, params)", "missing"):
        mj.vjp(product, 1.0)
    with mistake(MinijaxTypeError, "product(a, params)", "missing"):
        mj.eval_shape(product, 1.0)
    with mistake(MinijaxValueError, "called with 0 positional arguments", "Pass it by position"):
        mj.grad(double)(x=1.0)


@pytest.mark.parametrize("out", [1.0, (1.0, 2.0, 3.0)], ids=["one", "three"])
@pytest.mark.parametrize("transform", [mj.grad, mj.value_and_grad, mj.jacfwd, mj.jacrev])
def test_has_aux_needs_a_pair(transform, out):
    with mistake(MinijaxTypeError, "has_aux=True", "must return a pair", "drop has_aux"):
        transform(lambda x: out, has_aux=True)(1.0)


@pytest.mark.parametrize("out", ["text", object(), {1, 2}, [1.0, {"a": "text"}]], ids=["str", "object", "set", "tree"])
def test_results_that_are_no_arrays(out):
    for transform in (mj.grad, mj.vmap, mj.jit, mj.jacfwd, mj.make_jaxpr):
        with mistake(MinijaxTypeError, "returned", "of type", "result"):
            transform(lambda x: out)(X if transform is mj.vmap else 1.0)


def test_where_a_result_is_no_array():
    with mistake(MinijaxTypeError, "at result['a'][1]"):
        mj.jit(lambda x: {"a": [x, "text"]})(1.0)
    with mistake(MinijaxTypeError, "at result['a'][1]", "Leave it out"):
        mj.vmap(lambda x: {"a": [x, "text"]})(X)


@pytest.mark.filterwarnings("ignore:Python iterable type 'generator'")  # by the newest JAX
@pytest.mark.parametrize("value", ["text", object(), len, (i for i in range(3)), {1}, b"bytes"],
                         ids=["str", "object", "function", "generator", "set", "bytes"])
@pytest.mark.parametrize("transform", [mj.jit, mj.grad, mj.vmap, mj.make_jaxpr, mj.jacfwd, mj.jacrev],
                         ids=lambda t: t.__name__)
def test_arguments_that_are_no_arrays(transform, value):
    with mistake(MinijaxTypeError, "tree['k'][0]", f"of type {type(value).__name__}", "not an array or a scalar"):
        transform(lambda tree: 1.0)({"k": [value]})


def test_keyword_arguments_are_named():
    with mistake(MinijaxTypeError, "argument b['c'] is 'text'"):
        mj.jit(lambda a, b: a)(1.0, b={"c": "text"})
    with mistake(MinijaxTypeError, "argument b['c'] is 'text'"):
        mj.vmap(lambda a, b: a)(X, b={"c": "text"})


# ---- jvp, vjp, linearize, linear_transpose, hvp ----

def test_jvp():
    with mistake(MinijaxTypeError, "takes tuples of primals and tangents", "jvp(f, (x,), (t,))"):
        mj.jvp(double, 1.0, 1.0)
    with mistake(TreeError, "pytrees differ at tangents[0]:", "missing ['a'], unexpected ['b']"):
        mj.jvp(lambda p: p, ({"a": 1.0},), ({"b": 1.0},))
    with mistake(TreeError, "expected a tuple of 2, got a tuple of 1"):
        mj.jvp(lambda p, q: p, (1.0, 2.0), (1.0,))
    with mistake(MinijaxTypeError, "argument p['w'][1] is of type f32[2,3], the argument of type f32[3]"):
        mj.jvp(lambda p: p["w"][1], ({"w": [1.0, X]},), ({"w": [1.0, M]},))
    with mistake(MinijaxTypeError, "argument x is of type ~i32[]", "same shape and dtype"):
        mj.jvp(double, (1.0,), (1,))
    with mistake(MinijaxTypeError, "argument x is 'a' of type str"):
        mj.jvp(double, (1.0,), ("a",))


def test_linearize_and_vjp():
    with mistake(MinijaxTypeError, "linearize of double: the tangent of argument x is of type f32[2,3]"):
        mj.linearize(double, X)[1](M)
    with mistake(TreeError, "expected a tuple of 1, got a tuple of 2"):
        mj.linearize(double, X)[1](X, X)
    pull = mj.vjp(lambda x: {"a": x, "b": [x]}, X)[1]
    with mistake(TreeError, "the cotangent must have the result's structure"):
        pull({"a": X})
    with mistake(MinijaxTypeError, "result['b'][0] is of type f32[2,3], the result of type f32[3]"):
        pull({"a": X, "b": [M]})
    with mistake(MinijaxTypeError, "result['a'] is of type i32[3]"):
        pull({"a": X.astype(int), "b": [X]})
    with mistake(MinijaxTypeError, "result['a'] is 'abc' of type str"):
        pull({"a": "abc", "b": [X]})
    with mistake(MinijaxTypeError, "too many positional arguments"):
        pull(X, X)


def test_linear_transpose_of_what_is_not_linear():
    with mistake(NonlinearError, "'mul' at", "test_errors_transforms.py", "is not linear", "vjp"):
        mj.linear_transpose(lambda x: x * x, X)(X)
    with mistake(NonlinearError, "'sin' at", "test_errors_transforms.py", "is not linear"):
        mj.linear_transpose(lambda x: mj.numpy.sin(x), X)(X)
    with mistake(MinijaxTypeError, "the cotangent of result is of type f32[2,3]"):
        mj.linear_transpose(double, X)(M)


def test_hvp_and_jacobians():
    with mistake(NonScalarOutputError, "f32[3]"):
        mj.hvp(double, (X,), (X,))
    with mistake(MinijaxTypeError, "hvp(f, (x,), (t,))"):
        mj.hvp(double, 1.0, 1.0)
    with mistake(MinijaxTypeError, "jacrev needs real floating-point results", "bool"):
        mj.jacrev(lambda x: x > 0)(1.0)
    with mistake(MinijaxTypeError, "argument x has dtype int32"):
        mj.jacfwd(double)(3)


# ---- vmap ----

def test_sizes_of_batches():
    with mistake(MinijaxValueError, "vmap of product", "argument a: 3 (axis 0 of f32[3])",
                 "argument params['w'][2]: 4 (axis 0 of f32[4])", "use None in in_axes"):
        mj.vmap(product)(X, {"w": [X, X, np.ones(4, np.float32)]})
    with mistake(MinijaxValueError, "argument b['c']: 4"):
        mj.vmap(lambda a, b: a)(X, b={"c": np.ones(4)})
    with mistake(MinijaxValueError, "axis_size: 5", "argument x: 3", HERE):
        mj.vmap(double, axis_size=5)(X)


def test_axes_of_batches():
    with mistake(MinijaxValueError, "argument params['w'][0] has type f32[3]", "no axis 2"):
        mj.vmap(product, in_axes=2)(np.ones((2, 2, 2)), {"w": [X]})
    with mistake(MinijaxValueError, "argument x has type ~f32[]", "no axis 0", "use None in in_axes", HERE):
        mj.vmap(double)(1.0)
    with mistake(MinijaxValueError, "in_axes (0,) has 1 items", "2 positional arguments", HERE):
        mj.vmap(product, in_axes=(0,))(X, {"w": [X]})
    with mistake(TreeError, "in_axes is no prefix of the arguments", "[1]", HERE):
        mj.vmap(product, in_axes=(0, {"v": 0}))(X, {"w": [X]})
    with mistake(MinijaxValueError, "nothing is batched", "axis_size", HERE):
        mj.vmap(double, in_axes=None)(X)


@pytest.mark.parametrize("in_axes", ["a", True, 1.5, ("a",), (True,), (1.5,)], ids=repr)
def test_in_axes_of_other_types(in_axes):
    with mistake(MinijaxTypeError, "in_axes", "got"):
        mj.vmap(double, in_axes=in_axes)(X)


def test_out_axes():
    with mistake(MinijaxValueError, "out_axes asks for axis 3", "with 1 axes", HERE):
        mj.vmap(double, out_axes=3)(X)
    with mistake(MinijaxTypeError, "out_axes holds ints and None, got 'a'", HERE):
        mj.vmap(double, out_axes="a")(X)
    with mistake(TreeError, "out_axes is no prefix of the result", "missing ['b']", HERE):
        mj.vmap(lambda x: {"a": x}, out_axes={"b": 0})(X)
    with mistake(MinijaxValueError, "out_axes is None for a result that differs", HERE):
        mj.vmap(double, out_axes=None)(X)
    with mistake(MinijaxTypeError, "axis_size is an int, got '5'"):
        mj.vmap(double, axis_size="5")(X)


# ---- jit ----

def test_static_arguments():
    def f(x, n):
        return x

    with mistake(MinijaxTypeError, "static argument number 1 is a list", "cannot be hashed: [1]", "Pass a tuple"):
        mj.jit(f, static_argnums=1)(1.0, [1])
    with mistake(MinijaxTypeError, "static argument 'n' is a list"):
        mj.jit(f, static_argnames="n")(1.0, n=[1])
    with mistake(MinijaxTypeError, "cannot be hashed"):
        mj.grad(mj.jit(f, static_argnums=1))(1.0, X)
    with mistake(MinijaxTypeError, "is a traced value", "argument y of", "pass one, or do not mark"):
        mj.jit(lambda y: mj.jit(f, static_argnums=1)(1.0, y))(1.0)
    with mistake(MinijaxTypeError, "not an array or a scalar", "argument n is 'a'"):
        mj.jit(lambda m, n: n, static_argnums=0)("static", "a")


@pytest.mark.parametrize("options, kind, words", [
    (dict(static_argnums=7), MinijaxValueError, "argument number 7 is marked static or donated"),
    (dict(donate_argnums=7), MinijaxValueError, "2 positional parameters: x, n"),
    (dict(static_argnames="z"), MinijaxValueError, "'z' is marked static or donated"),
    (dict(static_argnums="n"), MinijaxTypeError, "static_argnums takes one int"),
    (dict(static_argnums=1.0), MinijaxTypeError, "static_argnums takes one int"),
    (dict(static_argnames=1), MinijaxTypeError, "static_argnames takes one str"),
    (dict(static_argnums=1, donate_argnums=1), MinijaxValueError, "both static and donated"),
    (dict(statics=1), MinijaxTypeError, "unexpected keyword argument 'statics'"),
], ids=repr)
def test_options_of_jit(options, kind, words):
    with mistake(kind, words):
        mj.jit(lambda x, n: x, **options)


def test_jit_of_an_unbound_method():
    class Model:
        @mj.jit
        def apply(self, x):
            return x

    with mistake(MinijaxTypeError, "argument self is", "mark it static"):
        Model().apply(1.0)
    assert mj.jit(Model.apply.__wrapped__.__get__(Model()))(1.0) == 1.0


def test_donated_arrays():
    def donated():
        x = mj.device_put(np.ones(3, np.float32))
        mj.jit(double, donate_argnums=0)(x)
        return x

    x = donated()
    assert repr(x) == "Array(<deleted>, shape=(3,), dtype=float32)"
    for use in (lambda: x + 1, lambda: np.asarray(x), lambda: mj.grad(lambda y: mj.numpy.sum(y * x))(X),
                lambda: mj.jit(double)(x), lambda: float(mj.numpy.sum(x))):
        with mistake(DonatedArrayError, "test_errors_transforms.py", "donated", "donate_argnums", bare=True):
            use()


@pytest.mark.filterwarnings("ignore:Some donated buffers")
def test_an_array_donated_twice_in_one_call():
    x = mj.device_put(np.ones(3, np.float32))
    with mistake(DonatedArrayError, "passed twice in one call", "Pass a copy", bare=True):
        mj.jit(lambda a, b: a + b, donate_argnums=(0, 1))(x, x)


def test_callables_of_other_kinds():
    class Double:
        __hash__ = None

        def __call__(self, x):
            return x * 2.0

    for function in (np.sin, Double(), abs, len):
        assert np.allclose(mj.jit(function)(X), function(X))


def test_looking_at_programs():
    with mistake(MinijaxTypeError, "jit of double: argument x is 'abc'"):
        mj.jit(double).lower("abc")
    with mistake(MinijaxTypeError, "make_jaxpr of double: argument x is 'abc'"):
        mj.make_jaxpr(double)("abc")
    with mistake(MinijaxTypeError, "missing a required argument: 'x'"):
        mj.jit(double).lower()
    compiled = mj.jit(double).lower(X).compile()
    for args in ((M,), (X, X), (X.astype(int),)):
        with mistake(MinijaxTypeError, "other arguments than it was compiled for", bare=True):
            compiled(*args)
    with mistake(MinijaxTypeError, "a shape is a tuple of ints", bare=True):
        mj.ShapeDtypeStruct(3, "float32")
    with mistake(MinijaxValueError, "not negative", bare=True):
        mj.ShapeDtypeStruct((-3,), "float32")
    with mistake(DtypeError, "'float33' does not name a dtype", bare=True):
        mj.ShapeDtypeStruct((3,), "float33")
    with mistake(MinijaxTypeError, "ShapeDtypeStruct"):
        mj.jit(double)(mj.ShapeDtypeStruct((3,), "float32"))


# ---- values ----

def test_integers_that_are_too_large():
    for call in (lambda: mj.jit(double)(10**30), lambda: mj.device_put(10**30),
                 lambda: mj.jit(lambda x: x + 3 * 10**9)(np.int32(3)),
                 lambda: mj.vmap(lambda x: x + 3 * 10**9)(np.arange(3)),
                 lambda: mj.device_put(np.int32(3)) + 3 * 10**9):
        with mistake(IntegerOverflowError, "integer", "jax_enable_x64", bare=True):
            call()


def test_floats_of_64_bits_become_32():
    x = np.ones(3)
    assert mj.jit(lambda y: y)(x).dtype == mj.vmap(lambda y: y)(x).dtype == np.float32
    assert mj.grad(lambda y: mj.numpy.sum(y * y))(x).dtype == np.float32


def test_devices():
    with mistake(MinijaxTypeError, "device_put: x['a'] is 'b' of type str, not an array"):
        mj.device_put({"a": "b"})
    with mistake(MinijaxTypeError, "'cpu' is no device or sharding", "minijax.devices()"):
        mj.device_put(X, "cpu")


def test_None_is_an_empty_tree():
    assert mj.grad(lambda t: t[0] * 2.0)((1.0, None)) == (2.0, None)
    assert mj.jit(lambda t: t)((1.0, None))[1] is None
    with pytest.raises(TypeError, match="NoneType"):
        mj.grad(double)(None)
