"""A function's program as a tree of modules, as data, text or a page of HTML.

    info = make_model_info(f)(*args)         a Module: its expressions, of which some are modules
    print(format_module(info))
    open("model.html", "w").write(as_html_page(info))
"""

from __future__ import annotations

import dataclasses
import html
import itertools
from collections.abc import Callable, Iterator
from typing import Any

from minijax.calls.names import function_name
from minijax.errors import MissingRuleError
from minijax.haiku.data_structures import type_text
from minijax.haiku.experimental.calls import ArraySpec, Call, Record, record
from minijax.haiku.tables import flops_text
from minijax.ir.jaxpr import Atom, Equation, Jaxpr, Literal, Var, held_programs


@dataclasses.dataclass
class Module:
    """A module, or an op that holds programs: what it computes, and its parameters and state (submodules' included)."""

    name: str
    flops: int | None = None
    expressions: list[Expression] = dataclasses.field(default_factory=list)
    total_param_size: int = 0
    param_info: dict[str, str] = dataclasses.field(default_factory=dict)
    total_state_size: int = 0
    state_info: dict[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Expression:
    """An equation, or a module among the equations."""

    primitive: str
    invars: str
    outvars: str
    flops: int | None = None
    details: str = ""
    params: dict[str, str] = dataclasses.field(default_factory=dict)
    submodule: Module | None = None


ComputeFlops = Callable[[Equation, Expression], int]


def own_cost(eqn: Equation, expression: Expression) -> int:
    """The operations of an equation by the op's own rule; 0 for an op without one."""
    try:
        return int(eqn.op.cost(*[atom.type for atom in eqn.inputs], **eqn.params))
    except MissingRuleError:
        return 0


def make_model_info(f: Callable[..., Any], name: str | None = None, include_module_info: bool = True,
                    compute_flops: ComputeFlops = own_cost) -> Callable[..., Module]:
    """A function of `f`'s arguments that returns the tree of modules of what `f` computes.

    Args:
        f: any function; with modules, it is an `apply` or a function to be transformed.
        name: of the root; None for the function's.
        include_module_info: whether modules have their parameters and state.
        compute_flops: a function (equation, expression) -> operations; by itself, the ops' own rules.
    Returns: a function whose result is a `Module`; nothing is computed.

    >>> import minijax.numpy as jnp
    >>> print(format_module(make_model_info(lambda x: jnp.sum(jnp.sin(x)), "f")(jnp.ones(3))))
    f: 6 flops
      sin: 3 flops, in f32[3], out f32[3]
      reduce_sum: 3 flops, in f32[3], out f32[]
    """
    def make(*args: Any, **kwargs: Any) -> Module:
        recorded = record(f, args, kwargs)
        root = Module(name or function_name(f))
        Tree(recorded, include_module_info, compute_flops).add(recorded.program, root, None)
        return root

    return make


class Tree:
    """Sorts the equations of a record into modules."""

    def __init__(self, recorded: Record, module_info: bool, compute_flops: ComputeFlops) -> None:
        self.record, self.module_info, self.compute_flops = recorded, module_info, compute_flops

    def add(self, program: Jaxpr, root: Module, around: Call | None) -> None:
        """Put the equations of a program into a module, each inside the modules that made it."""
        names = variable_names(program)
        modules: dict[Call | None, Module] = {around: root}
        for eqn in program.eqns:
            owner = self.record.owner(eqn, around)
            self.equation(eqn, names, self.module(owner, modules), owner)
        for call, module in reversed(modules.items()):  # inner ones are made after those around
            if call is not around:
                module.flops = sum([expression.flops or 0 for expression in module.expressions])
                entry = next(e for e in modules[call.parent].expressions  # type: ignore[union-attr]
                             if e.submodule is module)
                entry.flops = module.flops
        root.flops = sum([expression.flops or 0 for expression in root.expressions])

    def module(self, call: Call | None, modules: dict[Call | None, Module]) -> Module:
        """The module of a call, put into that of the call around when it is first asked for."""
        if call not in modules:
            assert call is not None, "the root is there"
            outer = self.module(call.parent, modules)
            modules[call] = module = Module(call.title)
            outer.expressions.append(Expression("module", "", "", submodule=module))
            if self.module_info and call.details is not None:
                module.param_info, module.total_param_size = described(call.details.params)
                module.state_info, module.total_state_size = described(call.details.state)
        return modules[call]

    def equation(self, eqn: Equation, names: dict[Var, str], module: Module, owner: Call | None) -> None:
        """Put an equation into a module, as one itself if it holds programs."""
        types = [", ".join([repr(atom.type) for atom in atoms]) for atoms in (eqn.inputs, eqn.outvars)]
        parts = [f"{side} {text}" for side, text in zip(("in", "out"), types, strict=True) if text]
        held = list(held_programs(eqn.params))
        expression = Expression(
            eqn.op.name, " ".join([shown(atom, names) for atom in eqn.inputs]),
            " ".join([names[var] for var in eqn.outvars]), details=", ".join(parts),
            params={name: str(value) for name, value in eqn.params.items() if value not in held})
        expression.flops = self.compute_flops(eqn, expression)
        module.expressions.append(expression)
        if held:
            expression.submodule = Module(eqn.op.name, expression.flops)
            for program in held:
                self.add(program, expression.submodule, owner)
            expression.submodule.flops = expression.flops


def described(specs: dict[str, ArraySpec]) -> tuple[dict[str, str], int]:
    """Names and types of parameters, and the number of their elements."""
    return {name: type_text(spec) for name, spec in specs.items()}, sum([spec.size for spec in specs.values()])


def variable_names(program: Jaxpr) -> dict[Var, str]:
    """a, b, c, ... for the variables of a program, as they are bound."""
    variables = [*program.constvars, *program.invars, *[var for eqn in program.eqns for var in eqn.outvars]]
    return dict(zip(variables, letters(), strict=False))


def letters() -> Iterator[str]:
    """a, ..., z, aa, ab, ..."""
    for length in itertools.count(1):
        yield from map("".join, itertools.product("abcdefghijklmnopqrstuvwxyz", repeat=length))


def shown(atom: Atom, names: dict[Var, str]) -> str:
    """A variable's name, or a literal's value."""
    return str(atom.value) if isinstance(atom, Literal) else names[atom]


# ---- text

def format_module(module: Module, depth: int = 0) -> str:
    """A module as indented text, an expression on each line."""
    sizes = [f"{flops_text(module.flops)} flops"]
    sizes += [f"{size:,} {what}" for size, what in ((module.total_param_size, "params"),
                                                    (module.total_state_size, "state")) if size]
    lines = [f"{'  ' * depth}{module.name}: {', '.join(sizes)}"]
    return "\n".join([*lines, *[format_expression(each, depth + 1) for each in module.expressions]])


def format_expression(expression: Expression, depth: int) -> str:
    """An expression as indented text."""
    if expression.submodule is not None:
        return format_module(expression.submodule, depth)
    return f"{'  ' * depth}{expression.primitive}: {flops_text(expression.flops)} flops, {expression.details}"


# ---- HTML

def as_html_page(module: Module, min_flop: int = 1000) -> str:
    """A page that shows a module as a tree to open and close, without what takes fewer than `min_flop` operations."""
    return f'<!DOCTYPE html><html><head><meta charset="utf-8"><style>{css()}</style></head>' \
           f"<body>{as_html(module, min_flop)}</body></html>"


def css() -> str:
    """The style of `as_html`."""
    return (".model { font-family: monospace; margin-left: 1.5em } .model summary { margin-left: -1em }"
            " .flops { color: gray } .primitive { color: #0550ae }")


def as_html(module: Module, min_flop: int = 1000) -> str:
    """A module as HTML, to be shown with the style `css()`."""
    entries = [_entry(each, min_flop) for each in module.expressions if (each.flops or 0) >= min_flop]
    known = [f"{name}: {type}" for name, type in (module.param_info | module.state_info).items()]
    tip = html.escape("\n".join(known))
    head = f'<b>{html.escape(module.name)}</b> <span class="flops">{flops_text(module.flops)} flops</span>'
    return f'<details class="model"><summary title="{tip}">{head}</summary>{"".join(entries)}</details>'


def _entry(expression: Expression, min_flop: int) -> str:
    if expression.submodule is not None:
        return as_html(expression.submodule, min_flop)
    tip = html.escape("\n".join([expression.details, *[f"{k}: {v}" for k, v in expression.params.items()]]))
    return (f'<div title="{tip}">{html.escape(expression.outvars)} = <span class="primitive">'
            f'{html.escape(expression.primitive)}</span> {html.escape(expression.invars)} '
            f'<span class="flops">{flops_text(expression.flops)} flops</span></div>')
