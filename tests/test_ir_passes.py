"""The checker, and passes: what they do, and that they change no result."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minijax.errors import JaxprCheckError
from minijax.ir import (Equation, Jaxpr, Literal, Origin, Var, all_programs, check_jaxpr, dce, inline, program_pass,
                        show, trace_passes)
from minijax.ir.text import format_excerpt
from minijax.language import SavedSource, parse, same_program, to_json
from minijax.optimize import cse, fold, forward
from tests.ir_programs import (array, chain, equation, evaluate, f32, nest, programs, t_add, t_call, t_copy, t_fill,
                               t_neg, t_print, t_sub)

PASSES = [dce, cse, fold, inline, forward]


def program(text, **consts):
    return parse("{ lambda " + text + " }", consts)


# The checker


def failure(jaxpr):
    with pytest.raises(JaxprCheckError) as caught:
        check_jaxpr(jaxpr)
    return str(caught.value)


def test_unbound_variables():
    x, y, z = Var(array()), Var(array()), Var(array())
    text = failure(Jaxpr((), (), (x,), (Equation(t_add, (x, y), (z,), {}),), (z,)))
    assert "input 1 is not bound" in text and "c:f32[] = t_add a b\n    ^^^" in text
    assert "result 0" in failure(Jaxpr((), (), (x,), (), (y,)))


def test_the_marker_is_under_the_equation():
    x, y, z = Var(array()), Var(array(2)), Var(array())
    guilty = Equation(t_neg, (x,), (y,), {}, SavedSource("f.py", 3, "f"))
    eqns = [*chain(20).eqns, guilty, Equation(t_neg, (x,), (z,), {})]
    bad = Jaxpr((), (), (x,), eqns, ())
    lines = format_excerpt(bad, 20).split("\n")
    at = next(number for number, line in enumerate(lines) if "^^^" in line)
    assert "_:f32[2] = t_neg a" in lines[at - 1] and len(lines) < 15 and lines[1].strip() == "..."
    text = failure(Jaxpr((), (), (x,), eqns[20:], ()))
    assert "makes results (f32[]) of these inputs; the equation says (f32[2])" in text and "f.py:3 (f)" in text


def test_bound_twice():
    x, y = Var(array()), Var(array())
    eqn = Equation(t_neg, (x,), (y,), {})
    assert "bound twice" in failure(Jaxpr((), (), (x,), (eqn, eqn), ()))
    assert "bound twice" in failure(Jaxpr((), (), (x, x), (), ()))


def test_weak_types_and_refusing_type_rules():
    x, y = Var(array(weak=True)), Var(array())
    assert "says (f32[])" in failure(Jaxpr((), (), (x,), (Equation(t_neg, (x,), (y,), {}),), ()))
    assert "refuses" in failure(Jaxpr((), (), (x,), (Equation(t_fill, (x,), (y,), {}),), ()))


def test_constants():
    c = Var(array(3))
    assert "has 0" in failure(Jaxpr((c,), (), (), (), ()))
    assert "f64[3]" in failure(Jaxpr((c,), (np.zeros(3),), (), (), ()))


def test_held_programs():
    x, y, z = Var(array()), Var(array()), Var(array())
    bad = Jaxpr((), (), (x,), (), (y,))
    assert "result 0" in failure(Jaxpr((), (), (z,), (equation(t_call, z, jaxpr=bad),), ()))
    good = Jaxpr((), (), (x,), (), (x,))
    assert "takes (f32[])" in failure(Jaxpr((), (), (z,), (equation(t_call, z, z, jaxpr=good),), ()))


# Passes


@pytest.mark.parametrize("one_pass", PASSES)
@settings(max_examples=60, deadline=None)
@given(program=programs())
def test_passes_keep_the_results(one_pass, program):
    assert evaluate(check_jaxpr(one_pass(program))) == evaluate(program)


@settings(max_examples=60, deadline=None)
@given(program=programs(), order=st.permutations(PASSES))
def test_passes_in_any_order(program, order):
    result = program
    for one_pass in order:
        result = one_pass(result)
    assert evaluate(result) == evaluate(program)
    effects = [sum(len(p.effects) for p in all_programs(q)) > 0 for q in (program, result)]
    assert effects[0] == effects[1]


@settings(max_examples=60, deadline=None)
@given(program=programs(), data=st.data())
def test_dce_of_some_results(program, data):
    used = data.draw(st.lists(st.booleans(), min_size=len(program.outvars), max_size=len(program.outvars)))
    kept = [result for result, keep in zip(evaluate(program), used, strict=True) if keep]
    assert evaluate(check_jaxpr(dce(program, used))) == kept


def test_dce():
    before = program("a:f32[3]; b:f32[3]. let c:f32[3] = t_neg b; d:f32[3] = t_neg c; e:f32[3] = t_add a b;"
                     "t_print b in (c,)", a=[1, 2, 3])
    after = program("; b:f32[3]. let c:f32[3] = t_neg b; t_print b in (c,)")
    assert same_program(dce(before), after)
    assert dce(after) is after


def test_dce_prunes_called_programs():
    body = "{ lambda ; a:f32[3] b:f32[3]. let c:f32[3] = t_neg a; d:f32[3] = t_neg b in (c, d) }"
    small = "{ lambda ; b:f32[3]. let d:f32[3] = t_neg b in (d,) }"
    before = program(f"; a:f32[3] b:f32[3]. let _:f32[3] d:f32[3] = t_call[jaxpr={body}] a b in (d,)")
    after = program(f"; a:f32[3] b:f32[3]. let d:f32[3] = t_call[jaxpr={small}] b in (d,)")
    assert same_program(dce(before), after)


def test_cse():
    before = program("; a:f32[3] b:f32[3]. let c:f32[3] = t_add a b; d:f32[3] = t_add b a; e:f32[3] = t_sub a b;"
                     "f:f32[3] = t_sub b a; t_print a; t_print a; g:f32[3] = t_neg c; h:f32[3] = t_neg d "
                     "in (g, h, e, f)")
    after = program("; a:f32[3] b:f32[3]. let c:f32[3] = t_add a b; e:f32[3] = t_sub a b;"
                    "f:f32[3] = t_sub b a; t_print a; t_print a; g:f32[3] = t_neg c in (g, g, e, f)")
    assert same_program(cse(before), after)
    assert cse(after) is after


@pytest.mark.parametrize("values", [("0.0", "-0.0"), ("1", "True"), ("1", "1.0")])
def test_cse_tells_parameters_apart(values):
    first, second = values
    text = f"; a:f32[]. let b:f32[] = t_tag[v={first}] a; c:f32[] = t_tag[v={second}] a in (b, c)"
    assert len(cse(program(text)).eqns) == 2


def test_cse_tells_literals_apart():
    text = ("; a:f32[]. let b:f32[] = t_sub a 0.0:f32[]; c:f32[] = t_sub a -0.0:f32[]; d:f32[] = t_sub a 0.0:f32[] "
            "in (b, c, d)")
    assert len(cse(program(text)).eqns) == 2


def test_fold():
    before = program("a:f32[3]; b:f32[3]. let c:f32[] = t_add 1.0:f32[] 2.0:f32[]; d:f32[] = t_neg c;"
                     "e:f32[3] = t_add a d;"
                     "f:f32[3] = t_add b e; g:f32[3] = t_fill[size=3 value=0.0]; t_print a in (f, d, g)", a=[1, 2, 3])
    after = program("a:f32[3] e:f32[3]; b:f32[3]. let f:f32[3] = t_add b e; g:f32[3] = t_fill[size=3 value=0.0];"
                    "t_print a in (f, -3.0:f32[], g)", a=[1, 2, 3], e=[-2, -1, 0])
    assert same_program(fold(before), after)


def test_fold_keeps_dtypes_and_weakness():
    folded = fold(program("; . let a:~f32[] = t_neg 1.0:~f32[]; b:f16[] = t_neg 0.1:f16[] in (a, b)"))
    assert str(folded) == "{ lambda ; . let\n  in (-1.0:~f32[], -0.1:f16[]) }"
    assert type(folded.outvars[0].value) is float and type(folded.outvars[1].value) is np.float16


def test_large_constants_stay():
    c = Var(array(1000))
    eqn = equation(t_neg, c)
    assert len(fold(Jaxpr((c,), (np.zeros(1000, f32),), (), (eqn,), eqn.outvars)).eqns) == 1


def test_inline():
    inner = "{ lambda ; a:f32[3]. let b:f32[3] = t_neg a in (b, a) }"
    body = "{ lambda ; a:f32[3]. let b:f32[3] _:f32[3] = t_call[jaxpr=" + inner + "] a in (b,) }"
    before = program(f"; a:f32[3]. let b:f32[3] = t_call[jaxpr={body}] a; c:f32[3] = t_call[jaxpr={body}] b in (c,)")
    assert same_program(inline(before), program("; a:f32[3]. let b:f32[3] = t_neg a; c:f32[3] = t_neg b in (c,)"))
    assert inline(before, when=lambda eqn: False) is before


def test_inline_shares_constants():
    c, x = Var(array(3)), Var(array(3))
    eqn = equation(t_add, x, c)
    body = Jaxpr((c,), (np.ones(3, f32),), (x,), (eqn,), eqn.outvars)
    y = Var(array(3))
    calls = [equation(t_call, y, jaxpr=body), equation(t_call, y, jaxpr=body)]
    result = inline(Jaxpr((), (), (y,), calls, [v for call in calls for v in call.outvars]))
    assert len(result.consts) == 1 and len(result.eqns) == 2


def test_forward():
    body = "{ lambda ; a:f32[3]. let b:f32[3] = t_neg a in (b, a, 1.0:f32[]) }"
    before = program("; a:f32[3]. let b:f32[3] = t_copy a;"
                     f"c:f32[3] d:f32[3] e:f32[] = t_call[jaxpr={body}] b in (c, d, e)")
    after = program(f"; a:f32[3]. let c:f32[3] _:f32[3] _:f32[] = t_call[jaxpr={body}] a in (c, a, 1.0:f32[])")
    assert same_program(forward(before), after)


@pytest.mark.parametrize("one_pass", PASSES)
def test_source_and_origin_survive(one_pass):
    x, y = Var(array(3)), Var(array(3))
    marks = {"source": SavedSource("f.py", 3, "f"), "origin": Origin("jvp", t_add)}
    copy = equation(t_copy, x).replace(**marks)
    neg = equation(t_neg, copy.outvars[0]).replace(**marks)
    body = Jaxpr((), (), (x,), (copy, neg), neg.outvars)
    call = equation(t_call, y, jaxpr=body).replace(**marks)
    for part in all_programs(one_pass(Jaxpr((), (), (y,), (call,), call.outvars))):
        for eqn in part.eqns:
            assert eqn.source is marks["source"] and eqn.origin is marks["origin"]


def test_a_pass_is_checked_and_traced(capsys):
    @program_pass("break")
    def broken(jaxpr):
        return jaxpr.replace(eqns=())

    before = program("; a:f32[3]. let b:f32[3] = t_neg a; c:f32[3] = t_neg a in (b,)")
    with pytest.raises(JaxprCheckError):
        broken(before)
    with trace_passes():
        dce(before)
    assert capsys.readouterr().out == f"# dce: 2 equations, then 1\n{dce(before)}\n"
    seen = []
    with trace_passes(lambda *step: seen.append(step)):
        after = cse(before)
    assert seen == [("cse", before, after)]


def test_deep_programs():
    deep = nest(200)
    assert len(inline(deep).eqns) == 0 and len(forward(deep).eqns) == 1
    for one_pass in (cse, fold, dce):
        assert one_pass(deep) is deep


def test_a_hundred_thousand_equations():
    long = chain(100_000)
    for one_pass in PASSES:
        one_pass(long)
    assert len(cse(long).eqns) == len(dce(long).eqns) == 75_000
    assert same_program(parse(show(long)), long)
    assert to_json(long).count("t_add") == 25_000


def test_effects_stay_in_order():
    x = Var(array(3))
    eqns = [equation(t_print, x), equation(t_sub, x, Literal(1.0)), equation(t_print, x)]
    assert [eqn.op for eqn in dce(Jaxpr((), (), (x,), eqns, ())).eqns] == [t_print, t_print]
