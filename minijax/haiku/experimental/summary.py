"""Summaries: the calls of modules' methods in a function, with shapes, sizes and operations, as data and as a table.

    eval_summary(f)(*args)    a list of MethodInvocation
    tabulate(f)(*args)        the same as text

Nothing is computed: arrays among the arguments may be `ShapeDtypeStruct`s.
"""

from __future__ import annotations

import dataclasses
import pprint
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from minijax.errors import MinijaxValueError
from minijax.haiku.data_structures import tree_bytes, tree_size, type_text
from minijax.haiku.experimental.calls import ArraySpec, Call, ModuleDetails, record
from minijax.haiku.experimental.costs import Flops, flops_of_calls
from minijax.haiku.module import MethodContext
from minijax.haiku.transforms import get_original_fn
from minijax.haiku.tables import Table, bytes_text, flops_text
from minijax.tracing.source import at_line

NOT_SHOWN = ("__init__", "params_dict", "state_dict")


@dataclasses.dataclass(frozen=True)
class MethodInvocation:
    """A call of a method: its module, the types of arguments and result, the calls around it, its operations.

    `args_spec`, `kwargs_spec` and `output_spec` have an `ArraySpec` for each array.
    `call_stack` lists the calls that were running, innermost (this one) first.
    `flops` are those of the call, calls inside included; `share` is its part of the whole function's.
    """

    module_details: ModuleDetails
    args_spec: tuple[Any, ...]
    kwargs_spec: dict[str, Any]
    output_spec: Any
    context: MethodContext
    call_stack: Sequence[ModuleDetails]
    flops: Flops = Flops(None, None)
    share: float = 0.0


class Summary(list[MethodInvocation]):
    """The calls in order; of the whole function the `flops`, and the types of all `params` and all `state`."""

    def __init__(self, calls: Sequence[MethodInvocation], flops: Flops, params: Any, state: Any) -> None:
        super().__init__(calls)
        self.flops, self.params, self.state = flops, params, state


def eval_summary(f: Any) -> Callable[..., Summary]:
    """A function of `f`'s arguments that returns the calls of modules' methods that `f` makes, as data.

    Args:
        f: a function that uses modules, or what `transform` made of one, or its `init` or `apply`.
    Returns: a function of `f`'s arguments (without params and key); arrays may be `ShapeDtypeStruct`s; its result is a
        list of `MethodInvocation`, whose `flops` are those of the whole function.

    A layer in a loop is listed once, with the types of one step and the operations of all; so is a jitted layer that
    is called again with the same types.

    >>> import minijax.haiku as hk, minijax.numpy as jnp
    >>> for call in eval_summary(lambda x: hk.nets.MLP([300, 10])(x))(jnp.ones((8, 784))):
    ...     print(call.module_details.module.module_name, call.args_spec[0], call.output_spec, call.flops.forward)
    mlp f32[8,784] f32[8,10] 3816080
    mlp/~/linear_0 f32[8,784] f32[8,300] 3765600
    mlp/~/linear_1 f32[8,300] f32[8,10] 48080
    """
    def summarize(*args: Any, **kwargs: Any) -> Summary:
        recorded = record(original(f), args, kwargs)
        flops = flops_of_calls(recorded)
        whole = flops[None]
        shown = [_invocation(call, flops[call], whole) for call in recorded.calls if _is_shown(call)]
        return Summary(shown, whole, recorded.params, recorded.state)

    return summarize


def original(f: Any) -> Callable[..., Any]:
    """The function of modules itself, of a transformed one or of its `init` or `apply`."""
    try:
        return get_original_fn(f)
    except AttributeError:
        return f  # type: ignore[no-any-return]


def _is_shown(call: Call) -> bool:
    """Whether users asked for the call: not to make or to read a module, and not a private matter of ours."""
    name, ours = call.context.method_name, call.context.orig_class.__module__.startswith("minijax.haiku.")
    return name not in NOT_SHOWN and not (ours and name.startswith("_") and name != "__call__")


def _invocation(call: Call, flops: Flops, whole: Flops) -> MethodInvocation:
    around = tuple([each.details for each in call.chain() if each.details is not None])
    assert call.details is not None, "a call that is shown has ended"
    return MethodInvocation(call.details, call.args_spec, call.kwargs_spec, call.output_spec, call.context, around,
                            flops, flops.total / max(whole.total, 1))


# ---- columns and filters

class Column(NamedTuple):
    """A column of the table: its header, the text of a cell, and the side to which cells are set."""

    header: str
    cell: Callable[[MethodInvocation], str]
    align: str = "left"


def owned(call: MethodInvocation) -> dict[str, ArraySpec]:
    """The parameters of the module itself, by name; those of submodules are left out."""
    pairs = [(*name.rpartition("/")[::2], spec) for name, spec in call.module_details.params.items()]
    return {name: spec for module, name, spec in pairs if module == call.module_details.module.module_name}


def _owned_text(call: MethodInvocation) -> str:
    """The module's own parameters, largest first."""
    params = sorted(owned(call).items(), key=lambda item: (-item[1].size, item[0]))
    return "\n".join([f"{name}: {type_text(spec)}" for name, spec in params])


def _input_text(call: MethodInvocation) -> str:
    lines = [", ".join([pprint.pformat(x) for x in call.args_spec])]
    if call.kwargs_spec:
        lines.append(", ".join([f"{name}={pprint.pformat(x)}" for name, x in call.kwargs_spec.items()]))
    return "\n".join(lines)


def _module_text(call: MethodInvocation) -> str:
    """The module and those around it, one on a line."""
    lines = []
    for details in call.call_stack:
        method = "" if details.method_name == "__call__" else f".{details.method_name}"
        lines.append(f"{details.module.module_name} ({type(details.module).__name__}{method})")
    return "\n └ ".join(lines)


COLUMNS = {
    "module": Column("Module", _module_text),
    "config": Column("Config", lambda call: repr(call.module_details.module)),
    "owned_params": Column("Module params", _owned_text),
    "input": Column("Input", _input_text),
    "output": Column("Output", lambda call: pprint.pformat(call.output_spec)),
    "params_size": Column("Param count", lambda call: f"{tree_size(call.module_details.params):,}", "right"),
    "params_bytes": Column("Param bytes", lambda call: bytes_text(tree_bytes(call.module_details.params)), "right"),
    "forward_flops": Column("Forward flops", lambda call: flops_text(call.flops.forward), "right"),
    "backward_flops": Column("Backward flops", lambda call: flops_text(call.flops.backward), "right"),
    "share": Column("Share", lambda call: f"{call.share:.1%}", "right"),
}
FILTERS: dict[str, Callable[[MethodInvocation], bool]] = {
    "has_output": lambda call: call.output_spec is not None,
    "has_params": lambda call: bool(call.module_details.params),
}


def tabulate(f: Any, *, columns: Sequence[str] | None = tuple(COLUMNS),
             filters: Sequence[str] | None = ("has_output",),
             tabulate_kwargs: dict[str, str] = {"tablefmt": "grid"}) -> Callable[..., str]:  # noqa: B006 (only read)
    """A function of `f`'s arguments that returns a table of the modules that `f` calls.

    Args:
        f: a function that uses modules, or what `transform` made of one.
        columns: some of 'module', 'config' (how it was made), 'owned_params' (not those of submodules), 'input',
            'output', 'params_size', 'params_bytes' (submodules included), 'forward_flops', 'backward_flops', 'share'.
        filters: 'has_output' leaves out methods that return None, 'has_params' modules without parameters.
        tabulate_kwargs: {'tablefmt': 'grid'}, or 'plain', 'github' or 'html'.
    Returns: a function whose result is text; its last line counts each parameter once, however many modules share it.
    Raises: `MinijaxValueError` for names of columns, filters or formats that there are not.

    >>> import minijax.haiku as hk, minijax.numpy as jnp
    >>> f = tabulate(lambda x: hk.Linear(10)(x), columns=("module", "owned_params", "output", "forward_flops"))
    >>> print(f(jnp.ones((8, 784))))
    +-----------------+----------------+-----------+---------------+
    | Module          | Module params  | Output    | Forward flops |
    +=================+================+===========+===============+
    | linear (Linear) | w: f32[784,10] | f32[8,10] |      125.52 k |
    |                 | b: f32[10]     |           |               |
    +-----------------+----------------+-----------+---------------+
    Parameters: 7,850 (31.40 KB). Flops: 125.52 k forward, 125.52 k backward.
    """
    chosen = _chosen("columns", columns, COLUMNS)
    tests = _chosen("filters", filters, FILTERS)
    unknown = set(tabulate_kwargs) - {"tablefmt"}
    if unknown:
        raise MinijaxValueError(f"tabulate: unknown tabulate_kwargs {sorted(unknown)}{at_line()}. There is 'tablefmt'.")

    def generate(*args: Any, **kwargs: Any) -> str:
        summary = eval_summary(f)(*args, **kwargs)
        rows = [[column.cell(call) for column in chosen] for call in summary if all([test(call) for test in tests])]
        if not rows:
            return "No modules matching filters."
        table = Table([column.header for column in chosen], rows, [column.align for column in chosen], _footer(summary))
        return table.text(**tabulate_kwargs)

    return generate


def _chosen(what: str, names: Sequence[str] | None, known: dict[str, Any]) -> list[Any]:
    """The columns or filters of these names; all columns, or the first filter, for None."""
    if names is None:
        names = tuple(known) if what == "columns" else ("has_output",)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise MinijaxValueError(f"tabulate: unknown {what} {unknown}{at_line()}. There are {', '.join(known)}.")
    return [known[name] for name in names]


def _footer(summary: Summary) -> str:
    counts = [f"{what}: {tree_size(types):,} ({bytes_text(tree_bytes(types))})."
              for what, types in (("Parameters", summary.params), ("State", summary.state)) if types]
    forward, backward = [flops_text(count) for count in summary.flops]
    return " ".join([*counts, f"Flops: {forward} forward, {backward} backward."])
