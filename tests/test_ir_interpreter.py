"""The public interpreter, its three documented examples, and the language on real ops."""

import doctest
import pathlib
import re

import numpy as np
import pytest

import minijax.ops.elementwise  # noqa: F401
from minijax.errors import MinijaxTypeError
from minijax.inspect import Interpreter
from minijax.language import from_json, parse, same_program, to_json
from minijax.optimize import cse, fold
from tests.ir_programs import evaluate, f32, nest, t_add, t_call, t_neg

ROOT = pathlib.Path(__file__).parents[1]


def test_documented_examples():
    found = doctest.testfile(str(ROOT / "docs/interpreters.md"), module_relative=False,
                             optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert found.attempted > 15 and found.failed == 0


def test_the_grammar_names_what_the_printer_writes():
    readme = (ROOT / "minijax/ir/README.md").read_text()
    defined = set(re.findall(r"^    ([a-z]+) +=", readme, re.MULTILINE)) | {"op", "name", "word"}
    assert {"program", "equation", "literal", "value", "type", "record", "bits"} <= defined


REAL = """\
{ lambda a:f32[3]; b:f32[3]. let
    c:f32[3] = sin b
    d:f32[3] = mul c a
    e:f32[3] = mul a c
    f:f32[] = exp 1.0:f32[]
    g:f32[3] = add d f
    h:f32[3] = mul g e
  in (h,) }"""


def test_real_ops():
    program = parse(REAL, [np.arange(3, dtype=f32)])
    assert str(program) == REAL
    assert same_program(from_json(to_json(program)), program)
    assert len(cse(fold(program)).eqns) == 4
    assert np.allclose(*(np.frombuffer(evaluate(p)[0], f32) for p in (program, cse(fold(program)))))


def test_rules_belong_to_a_class():
    class Base(Interpreter):
        pass

    @Base.rule(t_neg, t_add)
    def same(self, eqn, x, *rest):
        return [x]

    class Derived(Base):
        pass

    @Derived.rule(t_call)
    def call(self, eqn, x):
        return ["called"]

    program = parse("{ lambda ; a:f32[3]. let b:f32[3] = t_neg a; c:f32[3] = t_add b 1.0:f32[] in (c,) }")
    assert Base().run(program, 7) == Derived().run(program, 7) == (7,)
    assert Base().run(nest(2), 7) == (7,) and Derived().run(nest(2), 7) == ("called",)
    assert Interpreter.rules == {}


def test_wrong_number_of_inputs():
    with pytest.raises(MinijaxTypeError, match="takes 1 inputs, got 0"):
        Interpreter().run(nest(1))


def test_values_are_dropped_after_a_run():
    interpreter = Interpreter()
    interpreter.run(nest(3), np.zeros(3, f32))
    assert interpreter.env == {}
