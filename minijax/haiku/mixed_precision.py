"""Mixed precision: a policy for a class of modules says of which dtypes parameters, computation and results are.

    policy = hk.mixed_precision.Policy.of("params=float32,compute=bfloat16,output=float32")
    hk.mixed_precision.set_policy(hk.nets.ResNet50, policy)

Parameters are created in `param_dtype`; they, state and the arguments of methods are cast to `compute_dtype`, results
to `output_dtype`.  What a module calls follows it, unless its class has a policy of its own.  A policy is
any object with these three dtypes: those of https://github.com/google-deepmind/jmp serve.  Policies are per thread.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

from minijax import pytree
from minijax import numpy as jnp
from minijax.errors import MinijaxValueError
from minijax.haiku.frames import inside_transform
from minijax.haiku.module import MethodContext, Module, current_module, policies
from minijax.haiku.parameters import custom_creator, custom_getter
from minijax.ir.dtypes import as_dtype, is_float
from minijax.tracing.array import is_value
from minijax.tracing.source import at_line


# ---- policies

@dataclasses.dataclass(frozen=True)
class Policy:
    """Dtypes of parameters, of computation, and of results.

    >>> Policy.of("params=float32,compute=bf16,output=float32").compute_dtype
    dtype(bfloat16)
    """

    param_dtype: Any
    compute_dtype: Any
    output_dtype: Any

    @classmethod
    def of(cls, text: str) -> Policy:
        """The policy that a text says: `params=...,compute=...,output=...` (p, c, o) in any order, or a dtype for all.

        Raises `MinijaxValueError` for a text that says something else.
        """
        if "=" not in text:
            return cls(*[as_dtype(text.strip())] * 3)
        pairs = dict(re.findall(r"\s*([pco])\w*\s*=\s*(\w+)\s*(?:,|$)", text))
        if len(pairs) != 3 or text.count("=") != 3:
            raise MinijaxValueError("a policy is written 'params=float32,compute=bfloat16,output=float32', got "
                                    f"{text!r}{at_line()}. Say each of the three once.")
        return cls(*[as_dtype(pairs[letter]) for letter in "pco"])

    def cast_to_param(self, tree: Any) -> Any:
        """The tree with its floating-point arrays cast to `param_dtype`."""
        return cast_floats(tree, self.param_dtype)

    def cast_to_compute(self, tree: Any) -> Any:
        """The tree with its floating-point arrays cast to `compute_dtype`."""
        return cast_floats(tree, self.compute_dtype)

    def cast_to_output(self, tree: Any) -> Any:
        """The tree with its floating-point arrays cast to `output_dtype`."""
        return cast_floats(tree, self.output_dtype)


def cast_floats(tree: Any, dtype: Any) -> Any:
    """A pytree with its real floating-point arrays cast; Python numbers and all other leaves stay.

    >>> cast_floats({"x": jnp.ones(2), "n": jnp.arange(2), "rate": 0.5}, "bfloat16")
    {'n': Array([0, 1], dtype=int32), 'rate': 0.5, 'x': Array([1, 1], dtype=bfloat16)}
    """
    def cast(x: Any) -> Any:
        is_array = hasattr(x, "dtype") and is_value(x)
        return jnp.asarray(x).astype(dtype) if is_array and is_float(as_dtype(x.dtype)) else x

    return pytree.map(cast, tree)


# ---- policies of classes

class _Policies(threading.local):
    """The policies of this thread: those of classes, and those of the methods that are running."""

    def __init__(self) -> None:
        self.of_class: dict[Any, Any] = {}
        self.running: list[Any] = []


_policies = _Policies()


def _key(cls: type[Module]) -> Any:
    """What a class is found by: its name, so that a reloaded class keeps its policy; itself if it is a local one."""
    return cls if "<locals>" in cls.__qualname__ else (cls.__module__, cls.__qualname__)


def set_policy(cls: type[Module], policy: Any) -> None:
    """Use a policy for all modules of a class, in this thread.

    Raises `MinijaxValueError` for a policy without dtypes; `clear_policy` takes one away.

    >>> import minijax.haiku as hk
    >>> hk.mixed_precision.set_policy(hk.Linear, Policy.of("params=f32,compute=f16,output=f32"))
    >>> hk.testing.transform_and_run(lambda x: hk.Linear(2)(x).dtype)(jnp.ones((1, 3)))
    dtype('float32')
    >>> hk.mixed_precision.clear_policy(hk.Linear)
    """
    _check(policy)
    _policies.of_class[_key(cls)] = policy
    _intercept()


def get_policy(cls: type[Module]) -> Any:
    """The policy set for a class, or None; not one that it would follow inside another module.

    >>> get_policy(Module) is None
    True
    """
    return _policies.of_class.get(_key(cls))


def clear_policy(cls: type[Module]) -> None:
    """Take the policy of a class away, if it has one.

    >>> clear_policy(Module)
    """
    _policies.of_class.pop(_key(cls), None)
    _intercept()


def current_policy() -> Any:
    """The policy in force where this is called, inside a method of a module; None if there is none.

    >>> current_policy() is None
    True
    """
    return _policies.running[-1] if _policies.running else None


@contextlib.contextmanager
def push_policy(cls: type[Module], policy: Any) -> Iterator[None]:
    """Context manager: the policy is that of the class inside.

    Raises `MinijaxValueError` inside a method of the class itself, where it would come too late.

    >>> with push_policy(Module, Policy.of("bfloat16")):
    ...     get_policy(Module).output_dtype
    dtype(bfloat16)
    """
    _check(policy)
    module = current_module() if inside_transform() else None
    if module is not None and _key(type(module)) == _key(cls):
        raise MinijaxValueError(f"push_policy: the policy of {cls.__name__} is pushed inside a method of that class"
                                f"{at_line()}, where its arguments have been cast already. Push it around the call.")
    before = get_policy(cls)
    set_policy(cls, policy)
    try:
        yield
    finally:
        clear_policy(cls)
        if before is not None:
            set_policy(cls, before)


def _intercept() -> None:
    """Take part in the calls of methods, if there is any policy.

    A new interceptor for new policies: programs traced under the old ones are told apart by it.
    """
    policies.set((functools.partial(_apply_policy),) if _policies.of_class else ())


def _check(policy: Any) -> None:
    missing = [name for name in ("param_dtype", "compute_dtype", "output_dtype") if not hasattr(policy, name)]
    if missing:
        raise MinijaxValueError(f"{policy!r} is no policy{at_line()}: it has no {', '.join(missing)}. Make one with "
                                "hk.mixed_precision.Policy, or take one away with clear_policy.")


# ---- what a policy does

def _apply_policy(next_f: Callable[..., Any], args: Any, kwargs: Any, context: MethodContext) -> Any:
    """Run a method under the policy of its class, if that has one."""
    policy = get_policy(type(context.module))
    if policy is None:
        return next_f(*args, **kwargs)
    with contextlib.ExitStack() as inside:
        if not _policies.running:
            inside.enter_context(custom_creator(_create))
            inside.enter_context(custom_getter(_get, state=True))
        _policies.running.append(policy)
        inside.callback(_policies.running.pop)
        args, kwargs = cast_floats((args, kwargs), policy.compute_dtype)
        return cast_floats(next_f(*args, **kwargs), policy.output_dtype)


def _create(next_creator: Callable[..., Any], shape: Any, dtype: Any, init: Any, context: Any) -> Any:
    return next_creator(shape, current_policy().param_dtype, init)


def _get(next_getter: Callable[..., Any], value: Any, context: Any) -> Any:
    return next_getter(cast_floats(value, current_policy().compute_dtype))
