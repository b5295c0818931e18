"""The ops of a program that leans on its surroundings: parameters, state, random keys and taps.

    parameter[module name shape dtype init] *captured -> value     the effect 'parameter'
    get_state[module name tree types init] *captured -> leaves     'state'
    set_state[module name tree] *leaves ->                         'state'
    next_keys[num shape dtype] -> keys                             'rng'
    reserve_keys[num] ->                                           'rng'
    module[name] ->                                                'module'     a module was made here
    tap[name] value -> value                                       'tap'

`tree` is the structure of a state.  Nobody evaluates these ops: a handler answers (`handler.py`), and one that nobody
answers is an error.  A program with such equations is made pure by the handler that they are meant for
(`programs.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from minijax.errors import MinijaxValueError, UnhandledEffectError
from minijax.ir.op import Op
from minijax.ir.types import ArrayType, zero
from minijax.ops.families import moveaxis, no_cost
from minijax.tracing.source import at_line


def unhandled(op: str, answer: str) -> Callable[..., Any]:
    """The meaning of an effect that nobody answered: an error."""
    def evaluate(*args: Any, **params: Any) -> Any:
        of = f" of {params['module']}/{params['name']}" if "module" in params else ""
        raise UnhandledEffectError(f"The effect '{op}'{of} has no handler{at_line()}. Run the function under {answer}.")

    return evaluate


class InitializedOp(Op):
    """An op with an initializer, a closed program whose effects are its own too.

    Keys that it draws are the effect 'initial rng': it is run once, wherever the op is, so they may be drawn there.
    """

    __slots__ = ()

    def effects_of(self, params: dict[str, Any]) -> frozenset[str]:
        """The op's effect, and those of the initializer."""
        init = params["init"]
        return self.effects if init is None else self.effects | {
            "initial rng" if effect == "rng" else effect for effect in init.effects}


def effect_op(name: str, effect: str, type: Callable[..., Any], answer: str, made: Any = Op,
              **rules: Any) -> Any:
    """An op that a handler answers; without operands it concerns neither derivatives nor batches."""
    def jvp(primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
        outs = op.bind(*primals, **params)
        return outs, [zero] * len(outs)

    def transpose(cts: Sequence[Any], *args: Any, **params: Any) -> Any:
        return [None] * len(args)

    def batch(size: int, args: Sequence[Any], axes: Sequence[int | None], **params: Any) -> Any:
        raise MinijaxValueError(by_example(op, params))

    op = made(name, type=type, eval=unhandled(name, answer), cost=no_cost, effects=frozenset({effect}),
              **{"jvp": jvp, "transpose": transpose, "batch": batch, **rules})
    return op


def by_example(op: Op, params: dict[str, Any]) -> str:
    """The message for a value that would differ between the examples of a batch, where there is room for one."""
    what = f"'{params['module']}/{params['name']}'" if "module" in params else op.name
    if op is parameter_p:
        return (f"vmap: the initial value of the parameter {what} would depend on an example of the batch{at_line()}. "
                "Parameters are shared by all examples: let the initializer depend on nothing that is mapped, and in "
                "haiku.vmap split keys after init only: split_rng=not hk.running_init().")
    return (f"vmap: the state {what} would depend on an example of the batch{at_line()}, and there is one state for "
            "all. Give the axis a name and reduce over it first, vmap(f, axis_name='batch') and "
            "lax.pmean(x, 'batch'); or map the module itself, with its state, by haiku.lift_with_state and vmap.")


TRANSFORM = "minijax.haiku.transform or transform_with_state, and call init or apply"


def _promised(*captured: ArrayType, shape: Any, dtype: Any, **params: Any) -> tuple[ArrayType]:
    return (ArrayType(shape, dtype),)


parameter_p = effect_op("parameter", "parameter", _promised, TRANSFORM, InitializedOp)
get_state_p = effect_op("get_state", "state", lambda *captured, types, **params: types, TRANSFORM, InitializedOp)
set_state_p = effect_op("set_state", "state", lambda *leaves, **params: (), TRANSFORM)
next_keys_p = effect_op("next_keys", "rng", lambda *, num, shape, dtype: (ArrayType(shape, dtype),) * num, TRANSFORM)
reserve_keys_p = effect_op("reserve_keys", "rng", lambda *, num: (), TRANSFORM)
module_p = effect_op("module", "module", lambda *, name: (), TRANSFORM)


def _tap_jvp(primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
    return tap_p.bind(*primals, **params), list(tangents)


def _tap_batch(size: int, args: Sequence[Any], axes: Sequence[int | None], **params: Any) -> Any:
    return tap_p.bind(moveaxis(args[0], axes[0], 0), **params), (0,)


tap_p = effect_op("tap", "tap", lambda value, **params: (value,), "minijax.collect or minijax.perturb", jvp=_tap_jvp,
                  transpose=lambda cts, *args, **params: list(cts), batch=_tap_batch)
