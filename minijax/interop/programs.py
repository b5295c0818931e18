"""JAX's primitives that hold programs: calls, branches, loops, checkpoints, reducers, solves.

Each becomes the minijax function of the same meaning, over Python functions that run the held
JAX program; minijax traces those once where the call needs it.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax.extend.core import primitives

from minijax import lax
from minijax.api.jit import jit
from minijax.interop.equations import Reference, array_type, opened, rules, run, traced
from minijax.ad_checkpoint import checkpoint
from minijax.interop.sharding import from_jax_mesh
from minijax.ops.conversion import convert_element_type_p
from minijax.sharding.shard_map import shard_map
from minijax.tracing.array import typeof
from minijax.util import split_list

_functions: weakref.WeakKeyDictionary[Any, Callable[..., Any]] = weakref.WeakKeyDictionary()


def function(program: Any) -> Callable[..., tuple[Any, ...]]:
    """A JAX program as a function of flat values; its results have the program's types, weak ones included."""
    types = [array_type(v.aval) for v in opened(program)[0].outvars]

    def call(*args: Any) -> tuple[Any, ...]:
        outs = run(program, args)
        return tuple([x if typeof(x).matches(t) and typeof(x).weak_type == t.weak_type else
                      convert_element_type_p.bind(x, new_dtype=t.dtype, weak_type=t.weak_type)[0]
                      for x, t in zip(outs, types, strict=True)])

    return call


def jitted(program: Any, name: str) -> Callable[..., tuple[Any, ...]]:
    """The program as a jitted function, one for each program: it is traced once however often it is called."""
    found = _functions.get(program)
    if found is None:
        call = function(program)
        call.__name__ = call.__qualname__ = name
        found = _functions[program] = jit(call)
    return found


def _jit(*values: Any, jaxpr: Any, name: str = "call", **_: Any) -> Any:
    if any(isinstance(x, Reference) for x in values):  # it is read and written in place
        return run(jaxpr, values)
    return jitted(jaxpr, name)(*values)


def _shard_map(*values: Any, jaxpr: Any, mesh: Any, in_specs: Any, out_specs: Any, check_vma: bool,
               newly_manual_axes: Any = (), manual_axes: Any = (), **_: Any) -> Any:
    """JAX's `pmap` is this one, too."""
    mapped = shard_map(function(jaxpr), mesh=from_jax_mesh(mesh), in_specs=tuple(in_specs), out_specs=tuple(out_specs),
                       axis_names=frozenset(newly_manual_axes or manual_axes), check_vma=check_vma)
    return mapped(*values)


def _composite(*values: Any, name: str, **params: Any) -> Any:
    """0.12 calls the program `call_jaxpr`."""
    return jitted(params.get("call_jaxpr", params.get("jaxpr")), name)(*values)


def _inlined(*values: Any, **params: Any) -> Any:
    return run(params.get("call_jaxpr", params.get("jaxpr")), values)


def _cond(index: Any, *operands: Any, branches: Sequence[Any], **_: Any) -> Any:
    return lax.switch(index, [function(branch) for branch in branches], *operands)


def _while(*values: Any, cond_jaxpr: Any, body_jaxpr: Any, cond_nconsts: int, body_nconsts: int) -> Any:
    cond_consts, body_consts, init = split_list(values, cond_nconsts, body_nconsts)
    going, body = function(cond_jaxpr), function(body_jaxpr)
    return lax.while_loop(lambda carry: going(*cond_consts, *carry)[0], lambda carry: body(*body_consts, *carry),
                          tuple(init))


def _scan(*values: Any, jaxpr: Any, length: int, reverse: bool, unroll: int, **counts: Any) -> Any:
    """From 0.12 on JAX tells the numbers of constants and carries by a tree of the inputs."""
    consts, carries = (counts["num_consts"], counts["num_carry"]) if "num_consts" in counts else [
        len(part) for part in counts["ft_in"].unpack()][:2]
    fixed, init, xs = split_list(values, consts, carries)
    body = function(jaxpr)

    def step(carry: Any, x: Any) -> Any:
        outs = body(*fixed, *carry, *x)
        return outs[:carries], outs[carries:]

    final, ys = lax.scan(step, tuple(init), tuple(xs), length=length, reverse=reverse, unroll=unroll)
    return (*final, *ys)


def _checkpoint(*values: Any, jaxpr: Any, prevent_cse: bool, policy: Any, **_: Any) -> Any:
    return checkpoint(function(jaxpr), prevent_cse=prevent_cse, policy=policy and translated_policy(policy))(*values)


def translated_policy(policy: Callable[..., Any]) -> Callable[..., Any]:
    """A JAX policy, asked about the JAX primitive of an op's name."""
    def decide(op: Any, *types: Any, **params: Any) -> Any:
        primitive = getattr(primitives, f"{op.name.replace('-', '_')}_p", op)
        return policy(primitive, *types, **params)

    return decide


def _linear_solve(*values: Any, const_lengths: Any, jaxprs: Any) -> Any:
    parts = split_list(values, *const_lengths)
    consts = dict(zip(const_lengths._fields, parts, strict=False))
    call = {name: function(program) for name, program in jaxprs._asdict().items() if program is not None}

    def solve(name: str) -> Callable[..., Any]:
        return lambda _, b: call[name](*consts[name], *b)

    return lax.custom_linear_solve(
        lambda x: call["matvec"](*consts["matvec"], *x), tuple(parts[-1]), solve("solve"),
        solve("transpose_solve") if "transpose_solve" in call else None)


def _reduce(*values: Any, jaxpr: Any, dimensions: Sequence[int], consts: Sequence[Any] = (), **_: Any) -> Any:
    half = len(values) // 2
    return lax.reduce(tuple(values[:half]), tuple(values[half:]), _reducer(jaxpr, consts), dimensions)


def _reduce_window(*values: Any, jaxpr: Any, consts: Sequence[Any] = (), **window: Any) -> Any:
    half = len(values) // 2
    return lax.reduce_window(tuple(values[:half]), tuple(values[half:]), _reducer(jaxpr, consts), **window)


def _reducer(jaxpr: Any, consts: Sequence[Any]) -> Callable[..., Any]:
    return lambda x, y: tuple(run(jaxpr, (*x, *y), consts or None))


def _high_level(*values: Any, _prim: Any) -> Any:
    """A primitive of newer JAX that says itself what it is made of."""
    def flat(*xs: Any) -> list[Any]:
        return jax.tree.leaves(_prim.expand(*_prim.in_tree.unflatten(xs)))

    return run(traced(flat, *values), values)


rules.update({
    "shard_map": _shard_map,
    "call": _inlined,
    "call_hi_primitive": _high_level,
    "checkpoint": _checkpoint,
    "closed_call": _inlined,
    "composite": _composite,
    "cond": _cond,
    "core_call": _inlined,
    "custom_linear_solve": _linear_solve,
    "jit": _jit,
    "pjit": _jit,
    "reduce": _reduce,
    "reduce_window": _reduce_window,
    "remat2": _checkpoint,
    "remat": _checkpoint,
    "scan": _scan,
    "while": _while,
})
