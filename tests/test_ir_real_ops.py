"""Programs of every real op survive text and JSON: the same program, the same fingerprint, the same values."""

import importlib
import pkgutil

import numpy as np
import pytest

import minijax
import tests.cases
from minijax import random
from minijax.interpreters.evaluate import run_numpy, to_numpy
from minijax.interpreters.stage import stage
from minijax.language import all_consts, fingerprint, from_json, parse, same_program, to_json
from minijax.tracing import typeof

CASES = [case for module in pkgutil.iter_modules(tests.cases.__path__, "tests.cases.")
         for case in importlib.import_module(module.name).CASES]


def survives(program, *arrays):
    """Read the program back from text and from JSON, and run what was read."""
    for read in (parse(str(program), all_consts(program)), from_json(to_json(program))):
        assert same_program(read, program) and str(read) == str(program)
        assert fingerprint(read) == fingerprint(program)
        for ours, theirs in zip(run_numpy(read, arrays), run_numpy(program, arrays), strict=True):
            assert ours.tobytes() == theirs.tobytes()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_op(case):
    types = [typeof(x) for x in case.args]
    program = stage(lambda *xs: case.op.bind(*xs, **case.params), types)
    survives(program, *[to_numpy(x, t.dtype) for x, t in zip(case.args, types, strict=True)])


def test_a_program_that_holds_programs():
    def layer(w, x):
        return minijax.numpy.tanh(x @ w).sum()

    w, x = np.ones((3, 2), np.float32), np.ones((4, 3), np.float32)
    survives(minijax.make_jaxpr(minijax.grad(minijax.jit(layer)))(w, x), w, x)


@pytest.mark.parametrize("keys", [random.key(3), random.split(random.key(3), 4)], ids=["one", "four"])
def test_keys_as_constants(keys):
    program = minijax.make_jaxpr(lambda x: (random.key_data(keys), keys, x))(1.0)
    survives(program, np.float32(1.0))
    changed = program.replace(consts=[random.key(4) if not keys.shape else keys[::-1]])
    assert fingerprint(changed) != fingerprint(program)
    loaded = from_json(to_json(program))
    assert type(loaded.consts[0]) is np.ndarray and loaded.constvars[0].type == typeof(keys)
