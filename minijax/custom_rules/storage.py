"""Rules as programs: traced when a program that holds them is saved, run as programs when it was loaded.

A rule of a call at given types is the program

    jvp          args, tangents                 -> outs, out_tangents
    fwd          args                           -> outs, residuals
    bwd          residuals, cotangents          -> cotangents of args
    transpose    non-linear args, cotangents    -> cotangents of linear args

with derivatives of floating-point values only, zeros written out.  A rule's program may hold the
very rule it is the program of: whoever saves them numbers them, and tells them apart by `RuleCall.key`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from minijax.errors import MinijaxValueError
from minijax.interpreters.evaluate import run_program
from minijax.interpreters.stage import stage
from minijax.ir.jaxpr import Equation, Jaxpr
from minijax.ir.op import Linear
from minijax.ir.types import ArrayType, zero
from minijax.ir.walk import all_programs
from minijax.ops.structural import zeros_of
from minijax.util import merge_lists, split_list

Types = tuple[ArrayType, ...]
KINDS = ("jvp", "fwd", "bwd", "transpose", "vmap", "lowering")


class RuleCall(NamedTuple):
    """A rule and the types it is called at: `linear` are the arguments whose cotangents bwd and transpose return."""

    kind: str
    rule: Callable[..., Any]
    args: Types
    outs: Types
    linear: tuple[bool, ...]
    residuals: Types = ()

    def trace(self) -> Jaxpr:
        """The rule as a program."""
        if isinstance(self.rule, StoredRule) and self.rule.call == self:
            return self.rule.programs[self.rule.index]
        return _tracers[self.kind](self)

    def in_types(self) -> Types:
        """Types of the program's inputs."""
        own, others = smooth(self.args), tuple([t for t, lin in zip(self.args, self.linear, strict=True) if not lin])
        return {"jvp": self.args + own, "fwd": self.args, "bwd": self.residuals + smooth(self.outs),
                "transpose": others + smooth(self.outs)}[self.kind]

    def out_types(self) -> Types:
        """Types of the program's results; those of residuals left out."""
        wanted = tuple([t for t, lin in zip(self.args, self.linear, strict=True) if lin])
        return {"jvp": self.outs + smooth(self.outs), "fwd": self.outs, "bwd": wanted, "transpose": wanted}[self.kind]


def smooth(types: Types) -> Types:
    """The types that have derivatives."""
    return tuple([t for t in types if t.differentiable])


def fill(types: Sequence[ArrayType], values: Sequence[Any]) -> list[Any]:
    """Derivatives for values of these types: `values` for those that have one, zero for the others."""
    given = iter(values)
    return [next(given) if t.differentiable else zero for t in types]


def written(types: Sequence[ArrayType], derivatives: Sequence[Any]) -> list[Any]:
    """Derivatives of the values that have one, zeros written out."""
    return [zeros_of(t) if d is zero or d is None else d
            for t, d in zip(types, derivatives, strict=True) if t.differentiable]


# ---- from Python to programs ----

def _trace_jvp(call: RuleCall) -> Jaxpr:
    def flat(*values: Any) -> list[Any]:
        primals, tangents = values[: len(call.args)], values[len(call.args):]
        outs, found = call.rule(primals, fill(call.args, tangents))
        return [*outs, *written(call.outs, found)]

    return stage(flat, call.in_types(), call.rule.__name__)


def _trace_fwd(call: RuleCall) -> Jaxpr:
    def flat(*values: Any) -> list[Any]:
        outs, residuals = call.rule(values, [t.differentiable for t in call.args])
        return [*outs, *residuals]

    return stage(flat, call.in_types(), call.rule.__name__)


def _trace_bwd(call: RuleCall) -> Jaxpr:
    def flat(*values: Any) -> list[Any]:
        residuals, cts = values[: len(call.residuals)], values[len(call.residuals):]
        return _of_linear(call, call.rule(residuals, fill(call.outs, cts)))

    return stage(flat, call.in_types(), call.rule.__name__)


def _trace_transpose(call: RuleCall) -> Jaxpr:
    def flat(*values: Any) -> list[Any]:
        others, cts = split_list(values, call.linear.count(False))
        linear = [Linear(t) for t, is_linear in zip(call.args, call.linear, strict=True) if is_linear]
        args = merge_lists(call.linear, others, linear)
        return _of_linear(call, call.rule(fill(call.outs, cts), args))

    return stage(flat, call.in_types(), call.rule.__name__)


def _of_linear(call: RuleCall, cts: Sequence[Any]) -> list[Any]:
    chosen = [(t, ct) for t, ct, lin in zip(call.args, cts, call.linear, strict=True) if lin]
    return written([t for t, _ in chosen], [ct for _, ct in chosen])


def _refuse(call: RuleCall) -> Jaxpr:
    why = {"vmap": "it depends on the size of the batch", "lowering": "it is a function of the compiler's values"}
    raise MinijaxValueError(f"The {call.kind} rule {call.rule.__name__} cannot be saved as a program: "
                            f"{why[call.kind]}. Save the function without it.")


_tracers = {"jvp": _trace_jvp, "fwd": _trace_fwd, "bwd": _trace_bwd, "transpose": _trace_transpose, "vmap": _refuse,
            "lowering": _refuse}


# ---- from programs to rules ----

class StoredRule:
    """A rule that is a program: number `index` among `programs`, which may not be loaded yet."""

    def __init__(self, name: str, programs: Sequence[Jaxpr], index: int) -> None:
        self.__name__ = name
        self.programs = programs
        self.index = index
        self.call: RuleCall | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StoredRule) and self.programs is other.programs and self.index == other.index

    def __hash__(self) -> int:
        return hash((id(self.programs), self.index))

    def __call__(self, *values: Any) -> Any:
        assert self.call is not None, "the types are filled in after loading"
        return _runners[self.call.kind](self.call, self.programs[self.index], *values)


def _run_jvp(call: RuleCall, program: Jaxpr, primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
    outs = run_program(program, *primals, *written(call.args, tangents))
    return outs[: len(call.outs)], fill(call.outs, outs[len(call.outs):])


def _run_fwd(call: RuleCall, program: Jaxpr, primals: Sequence[Any], perturbed: Sequence[bool]) -> Any:
    outs = run_program(program, *primals)
    return outs[: len(call.outs)], outs[len(call.outs):]


def _run_bwd(call: RuleCall, program: Jaxpr, residuals: Sequence[Any], cts: Sequence[Any]) -> list[Any]:
    outs = run_program(program, *residuals, *written(call.outs, cts))
    return merge_lists(call.linear, [zero] * call.linear.count(False), outs)


def _run_transpose(call: RuleCall, program: Jaxpr, cts: Sequence[Any], args: Sequence[Any]) -> list[Any]:
    others = [x for x, lin in zip(args, call.linear, strict=True) if not lin]
    outs = run_program(program, *others, *written(call.outs, cts))
    return merge_lists(call.linear, [None] * len(others), outs)


_runners: dict[str, Callable[..., Any]] = {"jvp": _run_jvp, "fwd": _run_fwd, "bwd": _run_bwd,
                                           "transpose": _run_transpose}


# ---- the rules of equations ----

def rule_calls(eqn: Equation, residuals: Callable[[RuleCall], Types]) -> Iterator[RuleCall]:
    """The rules that an equation holds, at its types; `residuals` are those of a fwd rule."""
    if "custom" not in eqn.op.traits:
        return
    types, outs = tuple([x.type for x in eqn.inputs]), tuple([v.type for v in eqn.outvars])
    if "present" in eqn.params:  # the linear half of a reverse rule: some arguments only, and their residuals
        count, mask = eqn.params["residuals"], eqn.params["present"]
        args = merge_lists(mask, [types[0] if types else outs[0]] * mask.count(False), types[count:])
        yield RuleCall("bwd", eqn.params["bwd"], tuple(args), outs, mask, types[:count])
        return
    args = types[eqn.params["num_consts"]:]
    every = tuple([t.differentiable for t in args])
    linear = tuple([a and b for a, b in zip(every, eqn.params.get("linear", every), strict=True)])
    found = {kind: RuleCall(kind, eqn.params[kind], args, outs, linear if kind == "transpose" else every)
             for kind in KINDS if kind in eqn.params}
    if "bwd" in found:
        found["bwd"] = found["bwd"]._replace(residuals=residuals(found["fwd"]))
    yield from found.values()


class RulePrograms:
    """The programs of all rules that a program holds, of the rules that those hold, and so on; each traced once."""

    LIMIT = 1000

    def __init__(self, jaxpr: Jaxpr) -> None:
        self.traced: dict[RuleCall, Jaxpr] = {}
        roots: dict[int, Jaxpr] = {id(jaxpr): jaxpr}
        queue, found = [jaxpr], []
        for root in queue:
            found.append(all_programs(root))
            for program in found[-1]:
                new = [rule for rule in self.of_program(program) if id(rule) not in roots]
                roots.update((id(rule), rule) for rule in new)
                queue.extend(roots[key] for key in dict.fromkeys(map(id, new)))
        # Held programs stand before their holders, `jaxpr` is the last.
        self.programs = {id(program): program for programs in reversed(found) for program in programs}

    def of_program(self, program: Jaxpr) -> list[Jaxpr]:
        """The programs of the rules that a program's equations hold."""
        return [rule for eqn in program.eqns for rule in self.of_equation(eqn).values()]

    def of_equation(self, eqn: Equation) -> dict[str, Jaxpr]:
        """The programs of the rules of an equation."""
        return {call.kind: self.trace(call) for call in rule_calls(eqn, self.residuals)}

    def trace(self, call: RuleCall) -> Jaxpr:
        """The program of a rule."""
        if call not in self.traced:
            if len(self.traced) == self.LIMIT:
                raise MinijaxValueError(f"The {call.kind} rule {call.rule.__name__} calls functions with ever new "
                                        "rules. Make those functions once, outside the rule, to save it.")
            self.traced[call] = call.trace()
        return self.traced[call]

    def residuals(self, fwd: RuleCall) -> Types:
        """Types of the residuals of a fwd rule."""
        return self.trace(fwd).out_types[len(fwd.outs):]


def revive(programs: Sequence[Jaxpr]) -> list[Jaxpr]:
    """Tell the stored rules of loaded programs the types they are called at; returns the programs of these rules.

    Raises `ValueError` for a rule that does not fit.
    """
    used: dict[int, Jaxpr] = {}

    def residuals(fwd: RuleCall) -> Types:
        return stored(fwd).out_types[len(fwd.outs):]

    def stored(call: RuleCall) -> Jaxpr:
        index = getattr(call.rule, "index", -1)
        if not 0 <= index < len(programs):
            raise ValueError(f"the {call.kind} rule of a custom function is not among the programs")
        return programs[index]

    for program in programs:
        for eqn in program.eqns:
            for call in rule_calls(eqn, residuals):
                rule = stored(call)
                expected = call.in_types(), call.out_types()
                found = rule.in_types, rule.out_types[: len(expected[1])]
                if any(len(a) != len(b) or not all(map(ArrayType.matches, a, b))
                       for a, b in zip(expected, found, strict=True)):
                    raise ValueError(f"the {call.kind} rule of '{eqn.op}' maps {found[0]} to {found[1]}, "
                                     f"expected {expected[0]} to {expected[1]}")
                call.rule.call = call
                used[call.rule.index] = rule
    return list(used.values())
