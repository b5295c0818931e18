"""Series through ops that hold programs: calls run inline; branches and loops get programs on series.

A program on series takes and returns, for every value that has a derivative, its coefficients one after another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minijax.calls.checkpoint import checkpoint_p
from minijax.calls.cond import cond_p
from minijax.calls.custom import (custom_jvp_p, custom_p, custom_transpose_p, custom_vjp_p, custom_vmap_p, run)
from minijax.calls.jit import jit_p
from minijax.calls.scan import scan_p
from minijax.calls.while_loop import while_p
from minijax.interpreters.evaluate import run_program
from minijax.interpreters.stage import stage
from minijax.ir.jaxpr import Jaxpr, kept
from minijax.ir.op import Op
from minijax.ir.types import ArrayType, zero
from minijax.ops.conversion import convert_element_type
from minijax.ops.structural import zeros_of
from minijax.taylor.trace import JetTrace, Series, inlined, rules
from minijax.tracing.array import typeof
from minijax.tracing.context import context, running
from minijax.util import split_list


# ---- calls

def _call(*args: Any, jaxpr: Jaxpr, **params: Any) -> list[Any]:
    return run_program(jaxpr, *args)


def _custom(*args: Any, call_jaxpr: Any, **params: Any) -> Sequence[Any] | None:
    """A function with a rule for jvp follows that rule at every order; others run as they are."""
    return None if "jvp" in params else run(call_jaxpr, *args)


inlined.update({jit_p: _call, checkpoint_p: _call})
inlined.update({op: _custom for op in (custom_p, custom_jvp_p, custom_vjp_p, custom_vmap_p, custom_transpose_p)})


# ---- programs on series

def spelled_out(types: Sequence[ArrayType], series: Sequence[Series]) -> list[Any]:
    """Coefficients one after another: all, zeros too, of what has a derivative, and the value alone of the rest."""
    flat: list[Any] = []
    for type, x in zip(types, series, strict=True):
        flat.append(x[0])
        if type.differentiable:
            flat += [zeros_of(type) if c is zero else convert_element_type(c, type.dtype, type.weak_type)
                     for c in x[1:]]
    return flat


def gathered(types: Sequence[ArrayType], flat: Sequence[Any], order: int) -> list[Series]:
    """The series from what `spelled_out` wrote."""
    rest = iter(flat)
    return [[next(rest), *[next(rest) if type.differentiable else zero for _ in range(order)]] for type in types]


def spelled_types(types: Sequence[ArrayType], order: int) -> list[ArrayType]:
    """The types of what `spelled_out` writes."""
    return [type for type in types for _ in range(1 + order * type.differentiable)]


@kept
def jet_program(jaxpr: Jaxpr, order: int) -> Jaxpr:
    """The program on series."""
    def on_series(*flat: Any) -> list[Any]:
        with running(JetTrace(context.trace, order)) as trace:
            assert isinstance(trace, JetTrace)
            outs = run_program(jaxpr, *[trace.tracer(x) for x in gathered(jaxpr.in_types, flat, order)])
            found = [trace.series_of(x) for x in outs]
        return spelled_out(jaxpr.out_types, found)

    return stage(on_series, spelled_types(jaxpr.in_types, order), jaxpr.debug_name)


@kept
def on_values(jaxpr: Jaxpr, order: int, plain: int) -> Jaxpr:
    """The program as it is, of series of which it reads the values only; its first `plain` inputs are values."""
    first, rest = split_list(jaxpr.in_types, plain)

    def of_values(*flat: Any) -> list[Any]:
        return run_program(jaxpr, *flat[:plain], *[x[0] for x in gathered(rest, flat[plain:], order)])

    return stage(of_values, [*first, *spelled_types(rest, order)], jaxpr.debug_name)


# ---- branches and loops

def _cond(index: Series, *series: Series, op: Op, order: int, branches: tuple[Jaxpr, ...]) -> list[Series]:
    flat = spelled_out(branches[0].in_types, series)
    outs = op.bind(index[0], *flat, branches=tuple([jet_program(branch, order) for branch in branches]))
    return gathered(branches[0].out_types, outs, order)


def _scan(*series: Series, op: Op, order: int, jaxpr: Jaxpr, num_consts: int, num_carry: int,
          **loop: Any) -> list[Series]:
    types = jaxpr.in_types
    stacked = [typeof(x[0]) for x in series[num_consts + num_carry:]]
    flat = spelled_out([*types[: num_consts + num_carry], *stacked], series)
    counts = [len(spelled_types(each, order)) for each in split_list(types, num_consts, num_carry)[:2]]
    outs = op.bind(*flat, jaxpr=jet_program(jaxpr, order), num_consts=counts[0], num_carry=counts[1], **loop)
    return gathered(jaxpr.out_types, outs, order)


def _while(*series: Series, op: Op, order: int, cond_jaxpr: Jaxpr, cond_nconsts: int, body_jaxpr: Jaxpr,
           body_nconsts: int, **kept_states: int) -> list[Series]:
    values = [x[0] for x in series[:cond_nconsts]]
    flat = spelled_out(body_jaxpr.in_types, series[cond_nconsts:])
    count = len(spelled_types(body_jaxpr.in_types[:body_nconsts], order))
    outs = op.bind(*values, *flat, cond_jaxpr=on_values(cond_jaxpr, order, cond_nconsts), cond_nconsts=cond_nconsts,
                   body_jaxpr=jet_program(body_jaxpr, order), body_nconsts=count, **kept_states)
    return gathered(body_jaxpr.out_types, outs, order)


rules.update({cond_p: _cond, scan_p: _scan, while_p: _while})
