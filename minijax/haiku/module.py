"""Modules: objects whose methods make parameters, and whose names say where.

A module is named after its class, or as it is told, behind the module method that makes it: `mlp/~/linear_0` was made
by the constructor of `mlp`.  Methods are wrapped: while one runs, it is the frame's innermost scope.

A module may also be made outside of `transform`: then it is a plan of one, which is carried out, once in each call
of init or apply, where it is first used.
"""

from __future__ import annotations

import abc
import contextlib
import functools
import inspect
import re
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

from minijax.effects.handler import enclosing
from minijax.errors import MinijaxTypeError, MinijaxValueError
from minijax.haiku import config
from minijax.haiku.frames import Frame, Scope, frame_of, hook_stack, module_name, pushed
from minijax.haiku.representation import auto_repr
from minijax.tracing.source import at_line

M = TypeVar("M", bound=Callable[..., Any])
FORCED = "FORCE:"
interceptors = hook_stack("interceptors")
policies = hook_stack("policies")  # interceptors too, around those that `intercept_methods` puts there
method_hooks = hook_stack("method_hooks")


class MethodContext(NamedTuple):
    """What an interceptor is told of a method call."""

    module: Module
    method_name: str
    orig_method: Callable[..., Any]
    orig_class: type[Module]


class ModuleMetaclass(type(Protocol)):  # type: ignore[misc]
    """Wraps the methods of a class of modules, and what makes its objects."""

    def __new__(mcs, name: str, bases: tuple[type, ...], members: dict[str, Any]) -> Any:
        members.setdefault("_is_protocol", False)
        cls = super().__new__(mcs, name, bases, members)
        for key, value in members.items():
            if isinstance(value, property) and not key.startswith("__"):
                parts = [part and wrapped(key, part, cls) for part in (value.fget, value.fset, value.fdel)]
                setattr(cls, key, property(*parts, doc=value.__doc__))
            elif inspect.isfunction(value) and (key == "__call__" or not key.startswith("__")):
                setattr(cls, key, wrapped(key, value, cls))
        cls.__repr__ = cls.__repr__  # its own now, so that dataclasses do not make another one
        return cls

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        module = cls.__new__(cls, *args, **kwargs)
        module.__dict__["_made_with"] = args, kwargs
        frame = enclosing(Frame)
        if frame is None:
            inspect.signature(cls.__init__).bind(module, *args, **kwargs)
            Frame.outside[id(module)] = module
            return module
        run_method(frame, module, "__init__", "__init__", cls.__init__, cls, args, kwargs)
        module_name(module)
        return module

    @property
    def __signature__(cls) -> inspect.Signature:
        signature = inspect.signature(cls.__init__)
        return signature.replace(parameters=list(signature.parameters.values())[1:])


def wrapped(name: str, method: Callable[..., Any], cls: Any) -> Callable[..., Any]:
    """A method that, while it runs, is the innermost scope; interceptors come first."""
    if getattr(method, "is_transparent", False):
        return method
    scope_name = getattr(method, "scope_name", name)

    @functools.wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        frame = enclosing(Frame) or frame_of(cls.__name__)
        if id(self) in Frame.outside:
            self = here(self, frame)
        return run_method(frame, self, name, scope_name, method, cls, args, kwargs)

    return call


def run_method(frame: Frame, module: Any, name: str, scope_name: str, method: Callable[..., Any], cls: Any,
               args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call a method of a module in a scope of its own; what it makes belongs to the modules around, too."""
    frame.scopes.append(Scope(module, scope_name))
    try:
        if method_hooks.get() or interceptors.get() or policies.get():
            result = watched(module, name, functools.partial(method, module), cls, args, kwargs)
        else:
            result = method(module, *args, **kwargs)
    finally:
        frame.scopes.pop()
    made = module.__dict__.get("module_name")
    if made is not None:
        for scope in frame.scopes:
            if scope.module is not None and scope.module is not module:
                scope.module.__dict__.setdefault("_submodules", set()).add(made)
    return result


def watched(module: Any, name: str, run: Callable[..., Any], cls: Any, args: Any, kwargs: Any) -> Any:
    """Call a method inside its hooks, through the interceptors."""
    with contextlib.ExitStack() as stack:
        for hook in method_hooks.get():
            stack.enter_context(hook(module, name))
        return intercepted(run, MethodContext(module, name, run, cls), args, kwargs)


def intercepted(run: Callable[..., Any], context: MethodContext, args: Any, kwargs: Any) -> Any:
    """Call a method through the interceptors, outermost first."""
    def chain(functions: tuple[Any, ...]) -> Callable[..., Any]:
        if not functions:
            return run
        return lambda *args, **kwargs: functions[0](chain(functions[1:]), args, kwargs, context)

    return chain((*policies.get(), *interceptors.get()))(*args, **kwargs)


def here(plan: Any, frame: Frame) -> Any:
    """The module made in this frame of one that was made outside; a program that uses it is for this frame alone.

    Such a module may hold values of the frame, and a program found again would not make it in another frame.
    """
    frame.tied += 1
    found = frame.bound.get(id(plan))
    if found is None:
        args, kwargs = plan.__dict__["_made_with"]
        found = frame.bound[id(plan)] = plan, type(plan)(*args, **kwargs)
    return found[1]


def made_again(cls: type[Module], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Module:
    """A copy of a module made outside: a plan of its own."""
    return cls(*args, **kwargs)


def transparent(method: M) -> M:
    """Decorate a method that is no scope of its own: what it makes is named as if its caller made it.

    >>> class Two(Module):
    ...     @transparent
    ...     def __call__(self, x): return x
    """
    method.is_transparent = True  # type: ignore[attr-defined]
    return method


def name_like(method_name: str) -> Callable[[M], M]:
    """Decorate a method whose modules are named as if the method `method_name` made them."""
    def decorate(method: M) -> M:
        method.scope_name = method_name  # type: ignore[attr-defined]
        return method

    return decorate


class Module(metaclass=ModuleMetaclass):
    """A part of a network: it makes parameters by `hk.get_parameter` in its methods.

    Write `super().__init__(name=name)` first in a constructor.  A name is a Python identifier; None stands for the
    class's name in lower case with underscores.  Unless its class has a method of that name itself, a module has
    `init(rng, *args)` and `apply(params, rng, *args)`, those of `transform(module)`, and `init_with_state` and
    `apply_with_state`, those of `transform_with_state(module)`.
    Raises `MinijaxValueError` for a name that is no identifier or, numbered, not unique.

    >>> import minijax, minijax.haiku as hk, minijax.numpy as np
    >>> class Scale(hk.Module):
    ...     def __call__(self, x):
    ...         return x * hk.get_parameter("factor", x.shape[-1:], init=np.ones)
    >>> scale = Scale()
    >>> params = scale.init(minijax.random.key(0), np.ones(2))
    >>> params, scale.apply(params, None, np.arange(2.0))
    ({'scale': {'factor': Array([1., 1.], dtype=float32)}}, Array([0., 1.], dtype=float32))
    """

    name: str
    module_name: str

    def __init__(self, name: str | None = None) -> None:
        frame = frame_of("Module")
        if name is None:
            name = self.__dict__.get("name") or getattr(type(self), "name", None) or snake_case(type(self).__name__)
        if isinstance(name, str) and name.startswith(FORCED):
            name = name[len(FORCED):]
            for part in name.split("/"):
                check_name(part.removeprefix("~") or "_", name)
        else:
            check_name(name, name)
            name = frame.new_name(name)
        frame.add_module(name)
        self.__dict__.setdefault("_submodules", set())
        self.module_name = name
        self.name = name.rpartition("/")[2]
        self.created_in = frame.number

    __post_init__ = __init__

    def __repr__(self) -> str:
        args, kwargs = self.__dict__["_made_with"]
        if config.module_repr.get() and getattr(self, "AUTO_REPR", True):
            return auto_repr(type(self), args, kwargs)
        return object.__repr__(self)

    def __getattr__(self, name: str) -> Any:
        if id(self) in Frame.outside and not name.startswith("__"):
            frame = enclosing(Frame)
            if frame is not None:
                return getattr(here(self, frame), name)
            raise AttributeError(f"'{type(self).__name__}' was made outside of hk.transform, so it has no attribute "
                                 f"'{name}' yet: its constructor runs where the module is first used{at_line()}.")
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __reduce_ex__(self, protocol: Any) -> Any:
        if id(self) in Frame.outside:
            others = {name: value for name, value in self.__dict__.items() if name != "_made_with"}
            return made_again, (type(self), *self.__dict__["_made_with"]), others or None
        return super().__reduce_ex__(protocol)

    @transparent
    def params_dict(self) -> dict[str, Any]:
        """The parameters of this module and its submodules, by full name."""
        return self._values("params_dict", frame_of("Module.params_dict").all_parameters())

    @transparent
    def state_dict(self) -> dict[str, Any]:
        """The state of this module and its submodules, by full name."""
        return self._values("state_dict", frame_of("Module.state_dict").all_states())

    @transparent
    def _values(self, who: str, found: dict[tuple[str, str], Any]) -> dict[str, Any]:
        mine = here(self, frame_of(who)) if id(self) in Frame.outside else self
        within, others = mine.module_name + "/", {mine.module_name, *mine._submodules}
        return {f"{module}/{name}": value for (module, name), value in found.items()
                if module in others or module.startswith(within)}


@runtime_checkable
class ModuleProtocol(Protocol):
    """Whatever has the methods and attributes of a module."""

    name: str
    module_name: str

    @abc.abstractmethod
    def __init__(self, *args: Any, **kwargs: Any) -> None: ...

    @abc.abstractmethod
    def params_dict(self) -> Any:
        """The parameters by full name."""

    @abc.abstractmethod
    def state_dict(self) -> Any:
        """The state by full name."""


@runtime_checkable
class SupportsCall(Protocol):
    """Whatever can be called, module or not."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...


@functools.lru_cache(4096)
def is_identifier(name: str) -> bool:
    """Whether a string is a word of letters, digits and underscores."""
    return re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) is not None


def check_name(part: str, name: str) -> None:
    """Raise `MinijaxValueError` unless part of a module's name is an identifier."""
    if not isinstance(name, str) or not is_identifier(part):
        raise MinijaxValueError(f"{name!r} is not a valid module name (must be a valid Python identifier){at_line()}. "
                                "Use letters, digits and underscores.")


@functools.lru_cache(4096)
def snake_case(name: str) -> str:
    """A class's name in lower case with underscores.

    >>> snake_case("MultiHeadAttention"), snake_case("Conv2D"), snake_case("MLP")
    ('multi_head_attention', 'conv2_d', 'mlp')
    """
    return re.sub(r"((?<=[a-z0-9])[A-Z]|(?!^)[A-Z](?=[a-z]))", r"_\1", name).lower()


class NamedScope(Module):
    """The module that `name_scope` pretends to be."""


class name_scope(contextlib.AbstractContextManager[None]):
    """Context manager: what is made inside is named as if a method of a module of this name made it.

    Args: name: the module's name; may have several parts, `outer/inner`.  method_name: the method's name.
    Raises: `MinijaxValueError` outside of a transform, for an empty name, and for a second use.

    >>> import minijax.haiku as hk
    >>> def f():
    ...     with hk.name_scope("tower"):
    ...         return hk.current_name()
    >>> hk.transform(f).apply({}, None)
    'tower'
    """

    def __init__(self, name: str, *, method_name: str = "__call__") -> None:
        if not name or name[0] == "/":
            raise MinijaxValueError(f"name_scope: scopes have names that do not start with '/', got {name!r}"
                                    f"{at_line()}.")
        self._frame, self._method, self._running = frame_of("name_scope"), method_name, None
        parts = [name] if name.startswith(FORCED) else name.split("/")
        with contextlib.ExitStack() as stack:
            for part in parts:
                self._module = NamedScope(name=part)
                stack.enter_context(self._frame.running(self._module, method_name))

    def __enter__(self) -> None:
        if self._running is not None:
            raise MinijaxValueError(f"name_scope: a scope can be entered once{at_line()}. Make a new one.")
        self._running = self._frame.running(self._module, self._method)
        self._running.__enter__()

    def __exit__(self, *exception: Any) -> None:
        self._running.__exit__(*exception)  # type: ignore[union-attr]


def force_name(name: str) -> str:
    """A name that a module takes as it is: full, and whatever other modules are called.

    >>> force_name("mlp/~/linear_0")
    'FORCE:mlp/~/linear_0'
    """
    return FORCED + name


def current_module() -> Module | None:
    """The module whose method is running; None outside of all."""
    return frame_of("current_module").scopes[-1].module


def current_name() -> str:
    """The full name of the module whose method is running, '~' outside of all; see `name_scope`."""
    module = frame_of("current_name").scopes[-1].module
    return "~" if module is None else module_name(module)


def intercept_methods(interceptor: Callable[..., Any]) -> contextlib.AbstractContextManager[None]:
    """Context manager: every call of a module's method goes through `interceptor`.

    `interceptor(next_f, args, kwargs, context)` returns the result, as a rule `next_f(*args, **kwargs)`;
    `context` is a `MethodContext`.

    >>> import minijax, minijax.haiku as hk, minijax.numpy as np
    >>> def double(next_f, args, kwargs, context):
    ...     return 2 * next_f(*args, **kwargs) if context.method_name == "__call__" else next_f(*args, **kwargs)
    >>> def f(x):
    ...     with hk.intercept_methods(double):
    ...         return hk.Flatten()(x)
    >>> hk.transform(f).apply({}, None, np.ones((1, 2)))
    Array([[2., 2.]], dtype=float32)
    """
    if not callable(interceptor):
        raise MinijaxTypeError(f"intercept_methods: the interceptor is a function, got {interceptor!r}{at_line()}.")
    return pushed((interceptors, interceptor))


def hook_methods(hook: Callable[[Module, str], Any]) -> contextlib.AbstractContextManager[None]:
    """Context manager: around every call of a module's method is the context `hook(module, method_name)`."""
    return pushed((method_hooks, hook))
