"""Programs of 10^5 equations: no interpreter, pass or printer recurses over equations."""

import sys

import numpy as np
import pytest

import minijax as mj
from minijax import language, optimize
from minijax.ir import check, passes

LENGTH = 100_000


def chain(length):
    """A function of `length` additions and multiplications."""
    def f(x):
        for _ in range(length // 2):
            x = (x + 1.0) * 0.5
        return x

    return f


@pytest.fixture(scope="module")
def program():
    """A long program, traced once."""
    return mj.make_jaxpr(chain(LENGTH))(1.0)


def test_it_is_long(program):
    assert len(program.eqns) == LENGTH > 50 * sys.getrecursionlimit()


def test_print_and_check(program):
    assert str(program).count("\n") >= LENGTH
    check.check_jaxpr(program)


@pytest.mark.parametrize("name", ["dce", "cse", "fold", "inline", "forward"])
def test_passes(program, name):
    assert len(getattr(passes if hasattr(passes, name) else optimize, name)(program).eqns) <= LENGTH


def test_compare(program):
    assert language.same_program(program, program) and language.fingerprint(program)


def test_differentiate(program):
    from_program = mj.make_jaxpr(mj.grad(chain(LENGTH)))(1.0)
    assert len(from_program.eqns) >= LENGTH // 2


def test_vmap():
    batched = mj.make_jaxpr(mj.vmap(chain(LENGTH)))(np.ones(3, np.float32))
    assert len(batched.eqns) >= LENGTH


def test_grad_of_jit():
    assert len(mj.make_jaxpr(mj.grad(mj.jit(chain(LENGTH // 5))))(1.0).eqns) < 10


def test_lower():
    text = mj.jit(chain(10_000)).lower(1.0).as_text()
    assert text.count("stablehlo.add") == 5_000
