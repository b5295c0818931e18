"""Looking into programs while they run: `print`, `callback`, `log` and `breakpoint`, under every transformation.

`visualize_array_sharding` and `visualize_sharding` draw where an array lies.

They see primal values: once under `grad`, once for each example under `vmap`, once for each step of a loop.  What is
printed by compiled programs appears when they run; `minijax.effects_barrier()` waits for it.
"""

from __future__ import annotations

import builtins
import functools
import logging
import pdb
import string
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minijax import pytree
from minijax.api.arguments import check_callable
from minijax.api.boundary import boundary
from minijax.callbacks import split_leaves
from minijax.errors import FormatError, MinijaxTypeError, MinijaxValueError
from minijax.ops.callbacks import Callback, debug_callback_p
from minijax.tracing.array import Array, Tracer
from minijax.tracing.source import at_line, is_internal

__all__ = ["breakpoint", "callback", "log", "print", "visualize_array_sharding", "visualize_sharding"]
_logger = logging.getLogger("minijax.debug")


def in_two_calls(function: Callable[..., None]) -> Callable[..., Any]:
    """Let `f(**options)` without positional arguments return `f` with those options set."""
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if args:
            return function(*args, **kwargs)
        unknown = set(kwargs) - {"ordered", "partitioned", "skip_format_check"}
        if unknown:
            raise MinijaxTypeError(f"debug.{function.__name__}({', '.join(f'{name}=...' for name in sorted(unknown))}) "
                                   f"has nothing to call or print{at_line()}. Pass it as the first argument.")
        return functools.partial(function, **kwargs)

    return call


@in_two_calls
@boundary
def callback(callback: Callable[..., Any], *args: Any, ordered: bool = False, partitioned: bool = False,
             **kwargs: Any) -> None:
    """Call a Python function with the values of arguments, whenever the program passes here.

    Args:
        callback: called with NumPy arrays in the pytrees of `args` and `kwargs`, and with what is no array as it is;
            its result is ignored.
        ordered: whether the calls keep the order of the program among ordered ones.
        partitioned: whether each device calls with its own part.

    `callback(ordered=True)` without a function returns `callback` with that option.  Raises what the function raises;
    from a compiled program, inside an error of the backend that shows its traceback.

    >>> callback(lambda x: builtins.print(x.shape), np.ones(3))
    (3,)
    """
    check_callable("debug.callback", callback)
    leaves, in_tree, fixed = split_leaves(args, kwargs)
    debug_callback_p.bind(*leaves, callback=Callback(callback, "debug.callback", in_tree, fixed), ordered=ordered,
                          partitioned=partitioned)


# ---- print ----

class _Checker(string.Formatter):
    """Formats nothing; notices what a format string asks for and is not given, or is given and not asked for."""

    def format_field(self, value: Any, format_spec: str) -> str:
        return ""

    def convert_field(self, value: Any, conversion: Any) -> Any:
        return value

    def check_unused_args(self, used_args: set[int | str], args: Sequence[Any], kwargs: Any) -> None:
        unused = [*[i for i in range(len(args)) if i not in used_args], *[k for k in kwargs if k not in used_args]]
        if unused:
            raise FormatError(f"the format string does not mention the argument {unused[0]!r}. An f-string is "
                              "formatted too early: write print('{x}', x=x)")


def check_format(fmt: str, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
    """Raise `FormatError` unless the format string and the arguments fit."""
    if not isinstance(fmt, str):
        raise MinijaxTypeError(f"debug.print: the first argument is a format string, got {fmt!r}{at_line()}. "
                               "Write debug.print('{}', x).")
    try:
        _Checker().format(fmt, *args, **kwargs)
    except FormatError as error:
        raise FormatError(f"debug.print({fmt!r}): {error}{at_line()}.") from None
    except (IndexError, KeyError) as error:
        missing = f"argument {error}" if isinstance(error, KeyError) else "more arguments than it is given"
        raise FormatError(f"debug.print({fmt!r}): the format string asks for {missing}{at_line()}. "
                          "Pass one argument for each pair of braces; {{ prints a brace.") from None
    except (ValueError, AttributeError) as error:
        raise FormatError(f"debug.print({fmt!r}): {error}{at_line()}. {{{{ prints a brace.") from None


class Message:
    """What writes a line: a format string, NumPy's print options of when it was traced, and where it goes."""

    def __init__(self, fmt: str, write: Callable[[str], Any]) -> None:
        self.fmt = fmt
        self.write = write
        self.options = np.get_printoptions()
        self.has_fields = any(field is not None for _, field, _, _ in list(string.Formatter().parse(fmt))[:1])
        self.__name__ = "print"

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        args, kwargs = pytree.map(lambda x: Array(x) if isinstance(x, np.ndarray) else x, (args, kwargs))
        with np.printoptions(**self.options):
            text = self.fmt.format(*args, **kwargs) if self.has_fields else " ".join([self.fmt, *map(str, args)])
        self.write(text)


def _print(fmt: str, args: Any, kwargs: Any, write: Any, ordered: bool, partitioned: bool, skip: bool) -> None:
    if not skip:
        check_format(fmt, args, kwargs)
    callback(Message(fmt, write), *args, ordered=ordered, partitioned=partitioned, **kwargs)


@in_two_calls
@boundary
def print(fmt: str, *args: Any, ordered: bool = False, partitioned: bool = False, skip_format_check: bool = False,
          **kwargs: Any) -> None:
    """Print values whenever the program passes here, in `str.format`'s language.

    Args:
        fmt: a format string, not an f-string; without a field in front, arguments follow it, spaced.
        *args, **kwargs: what its fields name; pytrees of arrays, or anything else.
        ordered: whether lines keep the order of the program among ordered ones.
        partitioned: whether each device prints its own part.
        skip_format_check: leave mistakes in the format to when it prints.

    `print(ordered=True)` without a format returns `print` with that option.  Raises `FormatError`, while tracing, for a
    format that does not fit its arguments.

    >>> print("x = {x:.2f}, {}", np.arange(3), x=1.5)
    x = 1.50, [0 1 2]
    """
    _print(fmt, args, kwargs, lambda text: sys.stdout.write(text + "\n"), ordered, partitioned, skip_format_check)


@in_two_calls
@boundary
def log(fmt: str, *args: Any, ordered: bool = False, partitioned: bool = False, skip_format_check: bool = False,
        **kwargs: Any) -> None:
    """`print` to the logger 'minijax.debug', at level INFO.

    >>> log("x = {}", 1.0)
    """
    _print(fmt, args, kwargs, _logger.info, ordered, partitioned, skip_format_check)


# ---- breakpoint ----

def open_debugger(values: dict[str, Any], line: str) -> None:
    """Open Python's debugger on these values; `c` goes on."""
    builtins.print(f"minijax breakpoint{line}: {', '.join(values)}. Type a name to see it, c to go on.")
    pdb.Pdb().run("pass", dict(values), {})


@boundary
def breakpoint(*, backend: Any = None, filter_frames: bool = True, num_frames: int | None = None,
               ordered: bool = False, token: Any = None, **kwargs: Any) -> None:
    """Stop here when the program runs, with the local variables of the function that calls.

    Args:
        backend: None or 'cli' for Python's debugger; or a function of (values by name, line) that is called instead.
        filter_frames, num_frames, token: taken as JAX takes them; one frame is shown.
        ordered: whether the stops keep the order of the program.
        **kwargs: more values to show, by name.

    Arrays in the local variables are what they are at run time; anything else is what it was while tracing.

    >>> def f(x):
    ...     y = 2 * x
    ...     breakpoint(backend=lambda values, line: builtins.print(sorted(values), values["y"]))
    ...     return y
    >>> float(f(np.float32(3.0)))
    ['x', 'y'] 6.0
    6.0
    """
    frame = sys._getframe(1)
    while is_internal(frame.f_code.co_filename) and frame.f_back is not None:
        frame = frame.f_back
    values = {**{name: x for name, x in frame.f_locals.items() if not name.startswith("__")}, **kwargs}
    stop = backend if callable(backend) else open_debugger
    callback(functools.partial(stop, line=at_line()), values, ordered=ordered)


# ---- where arrays lie ----

def visualize_array_sharding(arr: Any, **style: Any) -> None:
    """Draw which device holds which block of an array of at most two axes.

    Args:
        arr: an array; under `jit` the compiler decides later where values lie, so they cannot be drawn.
        **style: as in `visualize_sharding`.

    Raises `MinijaxTypeError` for a traced value and for what lies on no device.

    >>> import minijax
    >>> visualize_array_sharding(minijax.numpy.zeros((8, 2)))
    ┌───┐
    │ 0 │
    └───┘
    [8,2] in one block, on the cpu device 0
    """
    value = arr.concrete() if isinstance(arr, Tracer) else arr
    if value is None:
        raise MinijaxTypeError(f"debug.visualize_array_sharding: the array is traced ({arr.type}){at_line()}, and "
                               "where it lies is known when the compiled program runs. Draw the program's argument or "
                               "result; or debug.visualize_sharding(x.shape, sharding).")
    sharding = getattr(value, "sharding", None)
    if sharding is None:
        raise MinijaxTypeError(f"debug.visualize_array_sharding: a value of type {type(value).__name__} lies on no "
                               f"device{at_line()}. Put it on one with device_put.")
    visualize_sharding(value.shape, sharding, **style)


def visualize_sharding(shape: Sequence[int], sharding: Any, *, use_color: bool = True, scale: float = 1.0,
                       min_width: int = 9, max_width: int = 80, color_map: Any = None) -> None:
    """Draw which device would hold which block of an array of this shape, of at most two axes.

    Args:
        shape: of the whole array; an array of one axis is drawn as a row.
        sharding: where it is to lie.
        use_color, scale, min_width, max_width, color_map: taken as JAX takes them; the picture is plain text.

    A block that several devices hold shows all their numbers.  Raises `MinijaxTypeError` for what is no sharding and
    `MinijaxValueError` for a shape that has more axes or that the sharding does not fit.

    >>> import minijax
    >>> from minijax.sharding import NamedSharding, P
    >>> visualize_sharding((6,), NamedSharding(minijax.make_mesh((1,), ("x",)), P("x")))
    ┌───┐
    │ 0 │
    └───┘
    [6] in one block, on the cpu device 0
    """
    builtins.print(sharding_picture(tuple(shape), sharding))


def sharding_picture(shape: tuple[int, ...], sharding: Any) -> str:
    """The blocks of an array as a table of device numbers, and a caption with their sizes."""
    blocks = blocks_of(shape, sharding)
    rows, columns = [sorted({block[axis] for block in blocks}) for axis in range(2)]
    texts = {block: ",".join(map(str, sorted(d.id for d in devices))) for block, devices in blocks.items()}
    table = [[texts.get((row, column), "") for column in columns] for row in rows]
    devices = [d for holders in blocks.values() for d in holders]
    return f"{drawn_table(table)}\n{caption(shape, list(blocks), devices)}"


Block = tuple[tuple[int, int], tuple[int, int]]


def blocks_of(shape: tuple[int, ...], sharding: Any) -> dict[Block, list[Any]]:
    """The devices that hold each block, which is the start and the end of its rows and its columns."""
    if not hasattr(sharding, "devices_indices_map"):
        raise MinijaxTypeError(f"debug.visualize_sharding: {sharding!r} of type {type(sharding).__name__} is no "
                               f"sharding{at_line()}. Pass NamedSharding(mesh, P('x', None)), or x.sharding.")
    if len(shape) > 2:
        raise MinijaxValueError(f"debug.visualize_sharding: an array of shape {shape} has {len(shape)} axes"
                                f"{at_line()}, and a picture has two. Draw a slice of it with at most two.")
    try:
        placed = sharding.devices_indices_map(shape)
    except (ValueError, IndexError) as error:
        raise MinijaxValueError(f"debug.visualize_sharding: an array of shape {shape} cannot lie in {sharding}"
                                f"{at_line()}: {error}") from None
    blocks: dict[Block, list[Any]] = {}
    for device, index in placed.items():
        ends = [part.indices(size)[:2] for part, size in zip(index, shape, strict=True)]
        row, column = [(0, 1)] * (2 - len(ends)) + ends
        blocks.setdefault((row, column), []).append(device)
    return blocks


def drawn_table(rows: Sequence[Sequence[str]]) -> str:
    """Texts in boxes of one width."""
    width = max(len(text) for row in rows for text in row)
    bar = "─" * (width + 2)
    top, middle, bottom = [left + crossing.join([bar] * len(rows[0])) + right
                           for left, crossing, right in ("┌┬┐", "├┼┤", "└┴┘")]
    lines = ["│" + "│".join(f" {text:^{width}} " for text in row) + "│" for row in rows]
    return "\n".join([top, f"\n{middle}\n".join(lines), bottom])


def caption(shape: tuple[int, ...], blocks: Sequence[Block], devices: Sequence[Any]) -> str:
    """The size of the whole and of its blocks, and the devices."""
    def text(sizes: Sequence[int]) -> str:
        return f"[{','.join(map(str, sizes))}]"

    sizes = sorted({tuple([stop - start for start, stop in block])[2 - len(shape):] for block in blocks}, reverse=True)
    cut = "one block" if len(blocks) == 1 else f"{len(blocks)} blocks of {' and '.join(map(text, sizes))}"
    ids, platform = sorted(d.id for d in devices), devices[0].platform
    where = f"{platform} device {ids[0]}" if len(ids) == 1 else f"{len(ids)} {platform} devices"
    return f"{text(shape)} in {cut}, on the {where}"
