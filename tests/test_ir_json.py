"""Programs as JSON, and when two programs are the same."""

import base64
import json

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minijax.errors import JaxprCheckError, JaxprSyntaxError, MinijaxValueError
from minijax.ir import Jaxpr, Literal, Var, held_programs
from minijax.language import SavedSource, fingerprint, from_json, parse, same_program, to_json
from tests.ir_programs import array, chain, equation, evaluate, nest, programs, t_call, t_hold, t_tag


@settings(max_examples=150, deadline=None)
@given(programs())
def test_round_trip(program):
    again = from_json(to_json(program))
    assert same_program(again, program)
    assert str(again) == str(program)
    assert evaluate(again) == evaluate(program)


@pytest.mark.parametrize("const", [
    np.float32([np.nan, -0.0, 1e-45]), np.zeros((0, 3), np.float32), np.array(True),
    np.arange(3, dtype=ml_dtypes.bfloat16),
    np.arange(6, dtype=np.complex64).reshape(2, 3).T, np.arange(3, dtype=ml_dtypes.int4)])
def test_constants(const):
    var = Var(array(*const.shape, dtype=const.dtype))
    again = from_json(to_json(Jaxpr((var,), (const,), (), (), (var,), "f")))
    assert again.consts[0].dtype == const.dtype and again.consts[0].tobytes() == const.tobytes()
    assert again.debug_name == "f"


def test_source_is_kept():
    x = Var(array())
    eqn = equation(t_tag, x).replace(source=SavedSource("/a/file.py", 12, "f"))
    again = from_json(to_json(Jaxpr((), (), (x,), (eqn,), ()))).eqns[0].source
    assert (again.file, again.line, again.function) == ("/a/file.py", 12, "f")


def test_shared_programs_stay_shared():
    x, body = Var(array(3)), nest(1)
    eqns = [equation(t_call, x, jaxpr=body), equation(t_call, x, jaxpr=body)]
    again = from_json(to_json(Jaxpr((), (), (x,), eqns, (x,))))
    first, second = (next(held_programs(eqn.params)) for eqn in again.eqns)
    assert first is second


def test_deep_programs():
    assert same_program(from_json(to_json(nest(2000))), nest(2000))


def test_callables_are_refused():
    x = Var(array())
    eqn = equation(t_tag, x, function=len)
    with pytest.raises(MinijaxValueError, match="<callable len> cannot be saved"):
        to_json(Jaxpr((), (), (x,), (eqn,), ()))


def saved():
    var, x = Var(array(3)), Var(array(3))
    eqn = equation(t_tag, x, a=(1, 2.5), s=slice(0, 3))
    hold = equation(t_hold, x, jaxpr=nest(0))
    results = (*eqn.outvars, Literal(1.0))
    return json.loads(to_json(Jaxpr((var,), (np.ones(3, np.float32),), (x,), (eqn, hold), results)))


def spoiled(path, value):
    document = saved()
    *steps, last = path
    target = document
    for step in steps:
        target = target[step]
    target[last] = value
    return json.dumps(document)


MAIN = ("programs", -1)
EQUATION = (*MAIN, "equations", 0)


@pytest.mark.parametrize("path, value", [
    (("version",), 2), (("version",), None), (("format",), "x"), (("programs",), []), (("programs",), {}),
    ((*MAIN, "constants", 0, "bytes"), base64.b64encode(b"123").decode()), ((*MAIN, "constants", 0, "bytes"), "!"),
    ((*MAIN, "constants", 0, "type"), "f32[999999999999,999999999999]"), ((*MAIN, "inputs", 0), "f32[-1]"),
    ((*MAIN, "constants", 0, "type"), "key<fry>[1]"), ((*MAIN, "inputs", 0), 3), ((*MAIN, "results"), [-1]),
    ((*MAIN, "results"), [99]), ((*MAIN, "results"), [True]), ((*EQUATION, "op"), "t_tga"), ((*EQUATION, "op"), []),
    ((*EQUATION, "inputs"), [5]), ((*EQUATION, "params"), {"a": [1]}), ((*EQUATION, "params"), {"a": ""}),
    ((*EQUATION, "params"), {"a": "@1"}), ((*EQUATION, "params"), {"a": "@-1"}),
    ((*EQUATION, "params"), {"a": "os.system"}), ((*EQUATION, "params"), {"a": "X()"}),
    ((*EQUATION, "params"), {"a": "1 2"}), ((*EQUATION, "params"), {"a": 1.5}),
    ((*EQUATION, "source"), ["f"]), ((*EQUATION, "results"), ["f32[4]"]), ((*MAIN, "results"), ["1:f32[2]"])])
def test_spoiled_documents(path, value):
    with pytest.raises((JaxprSyntaxError, JaxprCheckError)):
        from_json(spoiled(path, value))


@pytest.mark.parametrize("text", [
    "", "[]", "null", "{}", "[" * 100_000, '{"format": "minijax", "version": 1, "programs": [3]}'])
def test_documents_that_are_something_else(text):
    with pytest.raises(JaxprSyntaxError, match="line 1, column 1"):
        from_json(text)


def test_deep_parameters():
    with pytest.raises(JaxprSyntaxError, match="nested more than"):
        from_json(spoiled((*EQUATION, "params"), {"a": "(" * 10_000}))


def test_truncated_documents():
    text = json.dumps(saved())
    for end in range(0, len(text), 3):
        with pytest.raises(JaxprSyntaxError):
            from_json(text[:end])


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_mutated_documents(data):
    text = json.dumps(saved())
    at = data.draw(st.integers(0, len(text)))
    piece = data.draw(st.text(max_size=3)
                      | st.sampled_from(["-1", "9" * 30, "{}", "[]", "null", "true", '""', "f32[3]"]))
    try:
        from_json(text[:at] + piece + text[at + data.draw(st.integers(0, 5)):])
    except (JaxprSyntaxError, JaxprCheckError):
        pass


def tagged(**params):
    x = Var(array())
    eqn = equation(t_tag, x, **params)
    return Jaxpr((), (), (x,), (eqn,), eqn.outvars)


def constant(value):
    var = Var(array(*value.shape, dtype=value.dtype))
    return Jaxpr((var,), (value,), (), (), (var,))


NAN = np.array([0x7fc00001], np.uint32).view(np.float32)


@pytest.mark.parametrize("p, q", [
    (tagged(a=1), tagged(a=True)), (tagged(a=1), tagged(a=1.0)), (tagged(a=0.0), tagged(a=-0.0)),
    (tagged(a="1"), tagged(a=1)),
    (tagged(a=len), tagged(a=max)), (tagged(a="float32"), tagged(a=np.dtype("float32"))), (tagged(a=(1,)), tagged(a=1)),
    (constant(np.float32([0])), constant(np.float32([-0.0]))), (constant(NAN), constant(np.float32([np.nan]))),
    (constant(np.float32([0])), constant(np.int32([0]))), (nest(1), nest(2)), (tagged(a=nest(1)), tagged(a=nest(2))),
    (chain(8), chain(12))])
def test_programs_that_differ(p, q):
    assert not same_program(p, q) and fingerprint(p) != fingerprint(q)


def test_programs_that_are_the_same():
    makers = [lambda: tagged(a=len, b=float("nan"), c=nest(2)), lambda: constant(NAN), lambda: chain(12),
              lambda: nest(500)]
    for make in makers:
        assert same_program(make(), make()) and fingerprint(make()) == fingerprint(make())
    assert same_program(tagged(a=1, b=2), tagged(b=2, a=1))
    assert same_program(tagged(a=1), tagged(a=1).replace(debug_name="f"))
    x, y = Var(array()), Var(array())
    assert not same_program(Jaxpr((), (), (x, y), (), (x,)), Jaxpr((), (), (x, y), (), (y,)))


def test_fingerprint_is_stable():
    text = "{ lambda ; a:f32[3]. let\n    b:f32[3] = t_add a 2.0:f32[]\n  in (b,) }"
    assert fingerprint(parse(text)) == "bb5a50dc029cfcd73222104a1c6a21739c3fb675b04dede17c31676d7abd70a4"
