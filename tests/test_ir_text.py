"""The printer and the parser are one grammar in both directions; no text makes them hang or crash."""

import functools

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minijax.errors import JaxprCheckError, JaxprSyntaxError
from minijax.inspect import to_html
from minijax.ir import Equation, Jaxpr, Literal, Origin, Var, dtypes, format_equation, show
from minijax.ir.scalars import write_scalar
from minijax.language import SavedSource, all_consts, parse, same_program
from minijax.language.scalars import read_scalar
from tests.ir_programs import (Mode, Window, array, chain, equation, nest, params, programs, t_add, t_call, t_copy,
                               t_neg, t_print, t_sum, t_tag, t_two)


@functools.cache
def example():
    c, x, y = Var(array(3)), Var(array(3)), Var(array(weak=True))
    z = Var(array(3))
    body = equation(t_add, z, Literal(2.0))
    call = equation(t_call, x, name="<lambda>", jaxpr=Jaxpr((), (), (z,), (body,), body.outvars))
    two = equation(t_two, call.outvars[0])
    eqns = (call, two, equation(t_print, c), equation(t_sum, two.outvars[1], axes=(0,)))
    return Jaxpr((c,), (np.ones(3, np.float32),), (x, y), eqns, (*eqns[-1].outvars, Literal(np.float16(0.1))))


GOLDEN = """\
{ lambda a:f32[3]; b:f32[3] c:~f32[]. let
    d:f32[3] = t_call[
      name="<lambda>"
      jaxpr={ lambda ; a:f32[3]. let
          b:f32[3] = t_add a 2.0:~f32[]
        in (b,) }
    ] b
    _:f32[3] e:f32[3] = t_two d
    t_print a
    f:f32[] = t-sum[axes=(0,)] e
  in (f, 0.1:f16[]) }"""


def test_golden():
    assert str(example()) == GOLDEN


def test_golden_parses_with_constants_by_name_and_in_order():
    for consts in ({"a": np.ones(3, np.float32)}, [np.ones(3, np.float32)], {"a": [1, 1, 1]}):
        assert same_program(parse(GOLDEN, consts), example())


def test_empty_program():
    assert str(Jaxpr((), (), (), (), ())) == "{ lambda ; . let\n  in () }"


def test_other_layout_and_comments_parse():
    text = "{lambda;a:f32[3].let b:f32[3]=t_neg a;c:f32[3]=t_neg b # note\nin(c,a)}"
    assert str(parse(text)) == ("{ lambda ; a:f32[3]. let\n    b:f32[3] = t_neg a\n    c:f32[3] = t_neg b\n"
                                "  in (c, a) }")


def test_source_comments():
    x, y = Var(array()), Var(array())
    eqn = Equation(t_neg, (x,), (y,), {}, SavedSource("/a/file.py", 12, "f"), Origin("jvp", t_add))
    program = Jaxpr((), (), (x,), (eqn,), (y,))
    assert "b:f32[] = t_neg a  # file.py:12 (f) <- jvp of t_add\n" in show(program, source=True)
    assert same_program(parse(show(program, source=True)), program)


def test_an_equation_reads_the_same_alone():
    for index in (1, 2, 3):
        assert format_equation(example(), index) in str(example())


def test_names_skip_what_the_grammar_reserves():
    names = {line.strip().split(":")[0] for line in str(chain(1000)).split("\n")[1:-1]}
    assert "aa" in names and not names & {"in", "let", "nan", "inf"}


@settings(max_examples=200, deadline=None)
@given(programs())
def test_round_trip(program):
    again = parse(str(program), all_consts(program))
    assert same_program(again, program)
    assert str(again) == str(program)


@settings(max_examples=300, deadline=None)
@given(params)
def test_parameters_round_trip(value):
    x = Var(array())
    eqn = equation(t_tag, x, value=value)
    program = Jaxpr((), (), (x,), (eqn,), eqn.outvars)
    assert same_program(parse(str(program)), program)


def test_parameters_as_text():
    x = Var(array())
    eqn = equation(t_tag, x, z=True, n=None, s="clip", q="float32", d=np.dtype("float32"), i=-3, f=-0.0, c=-1j, t=(1,),
                   e=(), l=slice(0, None, 2), m=Mode.clip, w=Window(3, Mode.fill),
                   y=array(2), k=dtypes.key_dtypes["fry"])
    assert format_equation(Jaxpr((), (), (x,), (eqn,), ()), 0) == (
        '_:f32[] = t_tag[c=(-0.0-1.0j) d=float32 e=() f=-0.0 i=-3 k=key<fry> l=slice(0, None, 2) m=Mode.clip n=None '
        'q="float32" s=clip t=(1,) w=Window(size=3, mode=Mode.fill) y=f32[2] z=True] a')


@pytest.mark.parametrize("dtype", [ml_dtypes.bfloat16, np.float16, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2])
def test_every_small_float_round_trips_in_few_digits(dtype):
    dtype = np.dtype(dtype)
    step = 1 if dtype.itemsize == 1 else 7
    bits = np.arange(0, 2 ** (8 * dtype.itemsize), step, dtype=f"uint{8 * dtype.itemsize}")
    for number in bits.view(dtype):
        text = write_scalar(number, dtype)
        assert read_scalar(text, dtype).tobytes() == number.tobytes()
        assert text[:2] == "0x" or len(text.split("e")[0].replace(".", "").lstrip("-0").rstrip("0")) <= 5


@given(st.floats(width=32), st.floats(width=32))
def test_complex_and_wide_floats_round_trip(real, imag):
    pair = complex(real, imag)
    for number in (np.complex64(pair), np.float64(real), np.float32(imag), np.complex128(pair)):
        text = write_scalar(number, number.dtype)
        assert read_scalar(text, number.dtype).tobytes() == number.tobytes()


def test_scalars_as_text():
    cases = [(np.float32(0.1), "0.1"), (np.float32(1), "1.0"), (np.float32(1e-5), "1e-05"), (np.float32(-0.0), "-0.0"),
             (np.float32("nan"), "nan"), (-np.float32("inf"), "-inf"),
             (np.uint32(0xffc00001).view(np.float32), "0xffc00001"),
             (np.complex64(1 - 0j), "(1.0+0.0j)"), (np.int8(-3), "-3"), (np.bool_(True), "True"),
             (np.dtype(ml_dtypes.bfloat16).type(3.14159), "3.14"), (np.float16(3.14159), "3.14")]
    for value, text in cases:
        assert write_scalar(value, value.dtype) == text


def test_key_types_and_varying_types_round_trip():
    text = "{ lambda ; a:key<fry>[2] b:f32[3]{i,j}. let\n    c:f32[3]{i,j} = t_copy b\n  in (c, a) }"
    op_type, t_copy.type = t_copy.type, lambda x: (x,)
    try:
        assert str(parse(text)) == text
    finally:
        t_copy.type = op_type


def refused(text, words, error=JaxprSyntaxError, **options):
    with pytest.raises(error) as caught:
        parse(text, **options)
    for word in words:
        assert word in str(caught.value), str(caught.value)


HEAD = "{ lambda ; a:f32[3]. let\n    "


@pytest.mark.parametrize("text, words", [
    ("", ["line 1, column 1", "'{'", "found ''"]),
    (HEAD + "b:f32[3] = t_ad a a\n  in (b,) }", ["line 2, column 16", "no op named 't_ad'", "Did you mean", "t_add"]),
    (HEAD + "b:f32[3] = t_neg c\n  in (b,) }", ["line 2, column 22", "c is not bound"]),
    (HEAD + "b:f32[3] = t_neg b\n  in (b,) }", ["b is not bound"]),
    (HEAD + "a:f32[3] = t_neg a\n  in (a,) }", ["line 2, column 5", "a is bound twice"]),
    (HEAD + "b:f32[3] t_neg a\n  in (b,) }", ["line 2, column 20", "expected ':'"]),
    (HEAD + "b:f99[3] = t_neg a\n  in (b,) }", ["line 2, column 7", "'f99' is not a dtype"]),
    (HEAD + "b:f32[3] = t_add a 1.5:i32[]\n  in (b,) }", ["line 2"]),
    (HEAD + "b:f32[3] = t_add a 1:f32[3]\n  in (b,) }", ["a literal is a scalar"]),
    (HEAD + "b:f32[3] = t_add a 300:u8[]\n  in (b,) }", ["line 2"]),
    (HEAD + "b:f32[3] = t_tag[f=<callable f>] a\n  in (b,) }", ["<callable f>", "Python object"]),
    (HEAD + "b:f32[3] = t_tag[f=Mode.wrap] a\n  in (b,) }", ["line 2", "there is no 'wrap'"]),
    (HEAD + "b:f32[3] = t_tag[f=Window(size=1)] a\n  in (b,) }", ["line 2", "mode"]),
    (HEAD + "b:f32[3] = t_tag[f=1 f=2] a\n  in (b,) }", ["f is given twice"]),
    (HEAD + "b:f32[3] = t_tag[f=\"\\x\"] a\n  in (b,) }", ["line 2"]),
    (HEAD + "in (a,) } x", ["expected the end", "'x'"]),
    (HEAD + "in (a,) \u03b1", ["line 2, column 13", "found"]),
    ("{ lambda c:f32[3]; . let in (c,) }", ["constant c:f32[3] has no value", "Pass it"]),
    (HEAD + "b:f32[3] = t_tag[t=" + "(" * 10_000, ["nested more than"]),
    (HEAD + "b:f32[3] = t_call[jaxpr={ lambda ; . let" * 10_000, ["line"]),
    ("{ lambda ; a:f32[" + "9" * 100_000 + "]. let in () }", ["f32[3,4]"]),
    (HEAD + "b:f32[3] = t_tag[t=" + "9" * 100_000 + "] a in () }", ["line 2"]),
])
def test_bad_text(text, words):
    refused(text, words)


def test_bad_constants():
    text = "{ lambda c:f32[3]; . let in (c,) }"
    refused(text, ["Constant 0 is of type f32[2]"], JaxprCheckError, consts={"c": np.zeros(2, np.float32)})
    refused(text, ["1 more constants are given"], consts={"c": np.zeros(3, np.float32), "d": 1})
    refused(text, ["1 more constants are given"], consts=[np.zeros(3, np.float32)] * 2)
    refused(text, ["line 1, column 12"], consts={"c": ["x", "y", "z"]})


def test_wrong_types_are_caught_by_the_checker():
    refused(HEAD + "b:f32[4] = t_neg a\n  in (b,) }", ["^^^", "says (f32[4])"], JaxprCheckError)
    refused(HEAD + "b:f32[3] = t-sum[x=1] a\n  in (b,) }", ["^^^", "refuses"], JaxprCheckError)
    refused(HEAD + "b:f32[3] = t_call[jaxpr=3] a\n  in (b,) }", ["parameter `jaxpr` is 3"], JaxprCheckError)


def survives(text):
    try:
        parse(text, [np.ones(3, np.float32)])
    except (JaxprSyntaxError, JaxprCheckError):
        pass


def test_truncated_text():
    for end in range(len(GOLDEN)):
        survives(GOLDEN[:end])


@settings(max_examples=500, deadline=None)
@given(st.data())
def test_mutated_text(data):
    text = data.draw(st.sampled_from([GOLDEN, str(nest(3)), "{ lambda a:f32[3]; . let in (a,) }"]))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text)))
        marks = [*"{}()[]:;,.=~#_-\"<>0\n", "nan", "let", "in", "jaxpr=", "0x", "e9", "(1", "f32[]"]
        piece = data.draw(st.sampled_from(marks) | st.text(max_size=3))
        text = text[:at] + piece + text[at + data.draw(st.integers(0, 5)):]
    survives(text)


@given(st.text(max_size=50))
def test_any_text(text):
    survives(text)


def test_deep_programs_print_and_are_refused_beyond_the_bound():
    assert same_program(parse(str(nest(20))), nest(20))
    refused(str(nest(300)), ["nested more than"])


def test_html():
    text = to_html(example(), folded=True)
    assert text.count("<details") == text.count("</details>") == 1 and "\0" not in text
    assert "&lt;lambda&gt;" in text and "<lambda>" not in text
    assert "monospace" in text  # JupyterLab would not see to it
    assert example()._repr_html_() == to_html(example())
