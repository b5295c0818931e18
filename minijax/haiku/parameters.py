"""Parameters and state, as modules ask for them; and users' functions that take part: creators, getters, setters."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from minijax import pytree
from minijax.effects import ops
from minijax.haiku.frames import Frame, changing_frame, frame_of, hook_stack, pushed, through
from minijax.haiku.keys import MissingRNGError
from minijax.haiku.module import Module, current_name
from minijax.errors import MinijaxTypeError, MinijaxValueError
from minijax.interpreters.stage import stage
from minijax.ir import dtypes
from minijax.tracing.array import Tracer, is_value, typeof
from minijax.tracing.context import context as here
from minijax.tracing.source import at_line
from minijax.util import partition_list

Initializer = Callable[[Sequence[int], Any], Any]
param_creators, state_creators = hook_stack("param_creators"), hook_stack("state_creators")
param_getters, state_getters = hook_stack("param_getters"), hook_stack("state_getters")
state_setters = hook_stack("state_setters")


class DoNotStore:
    """What a creator or a setter returns so that nothing is stored; the one instance is `DO_NOT_STORE`."""

    def __repr__(self) -> str:
        return "DO_NOT_STORE"

    @property
    def shape(self) -> Any:
        """There is none: a `MinijaxValueError`."""
        raise MinijaxValueError("DO_NOT_STORE does not have a shape. Let a getter give the value.")

    @property
    def dtype(self) -> Any:
        """There is none: a `MinijaxValueError`."""
        raise MinijaxValueError("DO_NOT_STORE does not have a dtype. Let a getter give the value.")


DO_NOT_STORE = DoNotStore()


class SetterContext(NamedTuple):
    """What a setter is told of the state: its name, module, shape and dtype (trees, as the value is)."""

    full_name: str
    module: Module | None
    original_dtype: Any
    original_shape: Any
    lifted_prefix_name: str | None

    @property
    def module_name(self) -> str:
        """The module's full name."""
        return self.full_name.rpartition("/")[0]

    @property
    def name(self) -> str:
        """The name in the module."""
        return self.full_name.rpartition("/")[2]


class GetterContext(NamedTuple):
    """What a creator or a getter is told: the name, module, shape, dtype and initializer asked for."""

    full_name: str
    module: Module | None
    original_dtype: Any
    original_shape: Sequence[int] | None
    original_init: Initializer | None
    lifted_prefix_name: str | None

    module_name = SetterContext.module_name
    name = SetterContext.name


def lift_prefix(frame: Frame) -> str | None:
    """The names of the lifted functions that are being initialized around, as the prefix of what they make."""
    names: list[str] = []
    if frame.frozen:
        return None
    for trace in frame.frames():
        prefix = getattr(trace.scopes[-1].module, "prefix_name", None)
        names += [prefix] if prefix else []
    return "".join([f"{name}/" for name in reversed(names)]) or None


def get_parameter(name: str, shape: Sequence[int], dtype: Any = None, init: Initializer | None = None) -> Any:
    """A parameter of the module that is running, made by `init` in `init` and found in `apply`.

    Args:
        name: its name in the module.
        shape: its shape.  dtype: its dtype, float32 for None.
        init: a function (shape, dtype) -> array; it may draw random keys.
    Returns: an array of that shape.
    Raises: `MinijaxValueError` outside of a transform, for a parameter that apply was not given, and for one of
        another shape; `MinijaxTypeError` for one of another kind of dtype, and for what is no shape or no initializer.

    >>> import minijax.haiku as hk, minijax.numpy as np
    >>> hk.transform(lambda: hk.get_parameter("w", (2,), init=np.ones)).init(None)
    {'~': {'w': Array([1., 1.], dtype=float32)}}
    """
    frame = frame_of("get_parameter")
    module, dtype = current_name(), float32 if dtype is None else dtype
    if (module, name) in frame.params:
        value = frame.read_parameter(module, name)
    else:
        context = context_of(frame, module, name, dtype, shape, init)
        value = new_parameter(changing_frame("get_parameter"), module, name, context)
    if param_getters.get():
        value = through(param_getters, lambda value: value, context_of(frame, module, name, dtype, shape, init))(value)
    type = None if value is None or value is DO_NOT_STORE else typeof(value)
    if type is None or type.shape != tuple(shape) or type.dtype != dtype:
        check(value, context_of(frame, module, name, dtype, shape, init))
    return value


def context_of(frame: Frame, module: str, name: str, dtype: Any, shape: Any, init: Any) -> GetterContext:
    """What creators and getters are told."""
    dtype = None if dtype is None else dtypes.canonical_dtype(dtype)
    return GetterContext(f"{module}/{name}", frame.scopes[-1].module, dtype, shape, init, lift_prefix(frame))


float32 = dtypes.float32


def new_parameter(frame: Frame, module: str, name: str, context: GetterContext) -> Any:
    """A parameter that is met for the first time."""
    if frame.frozen and not param_creators.get():
        raise frame.missing(module, name)
    if not isinstance(context.original_shape, Iterable):
        raise MinijaxTypeError(f"get_parameter: the shape of '{context.full_name}' is {context.original_shape!r}"
                               f"{at_line()}, and no sequence of sizes. Pass (n,) for n numbers, () for one.")
    try:
        value, program, captured = created(frame, param_creators, context)
    except MissingRNGError as error:
        raise frame.missing(module, name) if frame.frozen else error from None
    if value is DO_NOT_STORE:
        return value
    if frame.frozen:
        raise frame.missing(module, name)
    if not is_value(value):
        raise MinijaxValueError(f"The initializer of the parameter '{context.full_name}' returned {value!r:.100}"
                                f"{at_line()}. Return an array.")
    if program is None:
        frame.add_parameter(module, name, value)
        return value
    type, = program.out_types
    return ops.parameter_p.bind(*captured, module=module, name=name, shape=type.shape, dtype=type.dtype,
                                init=program)[0]


def created(frame: Frame, creators: Any, context: GetterContext) -> tuple[Any, Any, Sequence[Any]]:
    """What creators and initializer make: (value, None, ()), or (value, program, its inputs) while recording."""
    def make() -> Any:
        create = through(creators, initialize, context)
        return create(context.original_shape, context.original_dtype, context.original_init)

    def initialize(shape: Any, dtype: Any, init: Any) -> Any:
        if init is None:
            raise MinijaxValueError(f"Initializer must be specified: there is no value for '{context.full_name}' yet"
                                    f"{at_line()}. Pass init=, a function of shape and dtype.")
        if not callable(init):
            raise MinijaxTypeError(f"The initializer of '{context.full_name}' is {init!r:.100}{at_line()}, and no "
                                   "function of shape and dtype. Pass init=hk.initializers.Constant(...) for a value.")
        return init(shape, dtype)

    if here.trace is frame:
        return make(), None, ()
    values: list[Any] = []

    def program() -> list[Any]:
        values.append(make())
        return [x for x in pytree.leaves(values[0]) if is_value(x)]

    closed, traced = with_constants(stage(program, (), context.full_name))
    return values[0], closed, traced


def with_constants(program: Any) -> tuple[Any, tuple[Any, ...]]:
    """An initializer's program that keeps its constants, and takes what is being traced around it: (program, inputs).

    So one that gives an array that is known, such as NumPy's, can be run before the loop that it is met in.
    """
    constants = list(zip(program.constvars, program.consts, strict=True))
    kept, traced = partition_list([isinstance(x, Tracer) for _, x in constants], constants)
    return program.replace(constvars=tuple([v for v, _ in kept]), consts=tuple([x for _, x in kept]),
                           invars=tuple([v for v, _ in traced])), tuple([x for _, x in traced])


def check(value: Any, context: GetterContext) -> None:
    """Raise unless a parameter has the shape that was asked for, and that kind of dtype."""
    if value is None or value is DO_NOT_STORE:
        raise MinijaxValueError(f"The parameter '{context.full_name}' has no value{at_line()}: its creator stored "
                                "nothing, so a getter must give one. Add it with hk.custom_getter.")
    found, wanted = typeof(value), tuple(context.original_shape or ())
    if found.shape != wanted:
        fix = ("The initializer is given the shape: return an array of it." if running_init() else
               "Pass the params that init made for inputs of these shapes.")
        raise MinijaxValueError(
            f"'{context.full_name}' with retrieved shape {found.shape} does not match shape={wanted} "
            f"dtype={context.original_dtype}{at_line()}. {fix}")
    if dtypes.is_inexact(found.dtype) != dtypes.is_inexact(context.original_dtype):
        fix = ("The initializer is given the dtype: return an array of it." if running_init() else
               f"Convert the parameter: params['{context.module_name}']['{context.name}'].astype(...).")
        raise MinijaxTypeError(
            f"'{context.full_name}' with retrieved dtype {found.dtype} does not match dtype={context.original_dtype}"
            f"{at_line()}. {fix}")


def get_state(name: str, shape: Sequence[int] | None = None, dtype: Any = float32,
              init: Initializer | None = None) -> Any:
    """A state of the module that is running: what `set_state` set last, or else made by `init`.

    Args:
        name: its name in the module.
        shape, dtype: of the initial value; needed if there is no value yet.
        init: a function (shape, dtype) -> initial value.
    Returns: the value, a pytree if one was set.
    Raises: `MinijaxValueError` outside of a transform, and if there is neither value nor initializer.

    >>> import minijax.haiku as hk, minijax.numpy as np
    >>> def count():
    ...     n = hk.get_state("n", (), int, init=np.zeros)
    ...     hk.set_state("n", n + 1)
    ...     return n
    >>> f = hk.transform_with_state(count)
    >>> params, state = f.init(None)
    >>> f.apply(params, state, None)
    (Array(0, dtype=int32), {'~': {'n': Array(1, dtype=int32)}})
    """
    frame, module = changing_frame("get_state"), current_name()
    context = context_of(frame, module, name, dtype, shape, init)
    if frame.has_state(module, name):
        value = frame.read_state(module, name)
    elif init is None or shape is None or dtype is None:
        raise MinijaxValueError(f"No value for {name!r} in {module!r}, perhaps set an init function?{at_line()} "
                                "get_state(name, shape, dtype, init=...) makes the value that is missing.")
    else:
        value, program, captured = created(frame, state_creators, context)
        if program is not None and value is not DO_NOT_STORE:
            value = frame.make_state(module, name, value, program, captured)
        elif value is not DO_NOT_STORE:
            frame.write_state(module, name, value)
    return through(state_getters, lambda value: value, context)(value) if state_getters.get() else value


def set_state(name: str, value: Any) -> None:
    """Set a state of the module that is running; under a derivative its primal value is kept.

    Args: name: its name in the module.  value: an array, or a pytree of arrays.
    Raises: `MinijaxValueError` outside of a transform, and under vmap for a value that differs between examples.
    """
    frame, module = changing_frame("set_state"), current_name()
    if state_setters.get():
        shape = pytree.map(lambda x: getattr(x, "shape", None), value)
        dtype = pytree.map(lambda x: getattr(x, "dtype", None), value)
        context = SetterContext(f"{module}/{name}", frame.scopes[-1].module, dtype, shape, lift_prefix(frame))
        value = through(state_setters, lambda value: value, context)(value)
        if value is DO_NOT_STORE:
            return
    frame.write_state(module, name, value)


def nested(found: dict[tuple[str, str], Any]) -> dict[str, dict[str, Any]]:
    """(module, name) -> value as a dict of dicts."""
    modules: dict[str, dict[str, Any]] = {}
    for (module, name), value in found.items():
        modules.setdefault(module, {})[name] = value
    return modules


def get_params() -> dict[str, dict[str, Any]]:
    """The parameters that there are at this point, as `apply` takes them."""
    return nested(frame_of("get_params").all_parameters())


def get_current_state() -> dict[str, dict[str, Any]]:
    """The state at this point, as `apply` takes it."""
    return nested(frame_of("get_current_state").all_states())


def get_initial_state() -> dict[str, dict[str, Any]]:
    """The initial values of the state that there is at this point, as `init` returns them."""
    return nested(frame_of("get_initial_state").initial_states())


def running_init() -> bool:
    """Whether `init` is running, not `apply`.

    >>> import minijax.haiku as hk
    >>> hk.transform(lambda: hk.running_init()).apply({}, None)
    False
    """
    return not frame_of("running_init").frozen


def custom_creator(creator: Callable[..., Any], *, params: bool = True,
                   state: bool = False) -> contextlib.AbstractContextManager[None]:
    """Context manager: a function makes parameters, and state if asked.

    `creator(next_creator, shape, dtype, init, context)` returns the initial value, as a rule
    `next_creator(shape, dtype, init)`; or DO_NOT_STORE.

    >>> import minijax.haiku as hk, minijax.numpy as np
    >>> def f():
    ...     with hk.custom_creator(lambda create, shape, dtype, init, context: 2 * create(shape, dtype, init)):
    ...         return hk.get_parameter("w", (), init=np.ones)
    >>> hk.transform(f).init(None)
    {'~': {'w': Array(2., dtype=float32)}}
    """
    frame_of("custom_creator")
    return pushed(*[(param_creators, creator)] * params, *[(state_creators, creator)] * state)


def custom_getter(getter: Callable[..., Any], *, params: bool = True,
                  state: bool = False) -> contextlib.AbstractContextManager[None]:
    """Context manager: a function sees what get_parameter, and get_state if asked, return.

    `getter(next_getter, value, context)` returns what they return instead, as a rule `next_getter(value)`.

    >>> import minijax.haiku as hk, minijax.numpy as np
    >>> def f():
    ...     with hk.custom_getter(lambda next_getter, value, context: next_getter(value).astype(np.bfloat16)):
    ...         return hk.get_parameter("w", (), init=np.ones).dtype
    >>> hk.transform(f).apply({"~": {"w": np.ones(())}}, None)
    dtype(bfloat16)
    """
    frame_of("custom_getter")
    return pushed(*[(param_getters, getter)] * params, *[(state_getters, getter)] * state)


def custom_setter(setter: Callable[..., Any]) -> contextlib.AbstractContextManager[None]:
    """Context manager: what set_state is given goes through `setter(next_setter, value, context)`; or DO_NOT_STORE."""
    frame_of("custom_setter")
    return pushed((state_setters, setter))
