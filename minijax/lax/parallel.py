"""Collectives: what the examples of a `vmap` with an `axis_name`, or devices, compute together.

Operands are pytrees, and so are results.  `axis_index_groups` splits devices into groups that work apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minijax import pytree
from minijax.errors import MinijaxValueError, UnboundAxisError
from minijax.ir import dtypes
from minijax.lax.reductions import reduce_max, reduce_min, reduce_or, reduce_sum
from minijax.lax.slicing import dynamic_index_in_dim, index_in_dim
from minijax.lax.structural import broadcasted_iota
from minijax.ops import parallel
from minijax.ops.arithmetic import div, sub
from minijax.ops.bits import bitwise_and
from minijax.ops.comparison import ge, lt, select_n
from minijax.ops.conversion import convert_element_type
from minijax.ops.families import add, broadcast_in_dim, moveaxis, mul, reshape, scalar_like
from minijax.ops.indexing import GatherDimensionNumbers, GatherScatterMode, gather
from minijax.ops.operands import axis_of, operand as as_operand
from minijax.ops.reductions import argmax
from minijax.ops.parallel import check_pairs
from minijax.ops.structural import concatenate, zeros_of
from minijax.tracing.array import typeof
from minijax.tracing.context import MappedAxis, context
from minijax.tracing.source import at_line
from minijax.util import size_of


def axis_size(axis_name: Any) -> int:
    """The size of a mapped axis, or of several together; raises `UnboundAxisError` if none around has the name.

    >>> from minijax import vmap
    >>> import numpy as np
    >>> vmap(lambda x: x * axis_size('i'), axis_name='i')(np.ones(3, 'float32'))
    Array([3., 3., 3.], dtype=float32)
    """
    return size_of([_size(name) for name in _names(axis_name)])


def _names(axis_name: Any) -> tuple[Any, ...]:
    return tuple(axis_name) if isinstance(axis_name, (tuple, list)) else (axis_name,)


def _size(name: Any) -> int:
    return _axis(name).size


def _axis(name: Any) -> MappedAxis:
    """The innermost mapped axis of this name."""
    axes = context.trace.axes()
    found = next((axis for axis in axes if axis.name == name), None)
    if found is None:
        known = f"Those around are {', '.join(repr(a.name) for a in axes)}." if axes else "None around has a name."
        raise UnboundAxisError(f"There is no mapped axis named {name!r} here{at_line()}. {known} Call the function "
                               f"under vmap(..., axis_name={name!r}), pmap(..., axis_name={name!r}) or shard_map.")
    return found


def _operand(op: str, x: Any, names: Sequence[Any]) -> Any:
    """A leaf as the operand of a collective: where types are tracked, one that varies along its axes."""
    return parallel.vary(as_operand(op, x), [name for name in names if _axis(name).tracked])


def _one_axis(name: Any) -> dict[str, Any]:
    return {"axis_name": (name,), "axis_size": _size(name)}


def _groups(op: str, axis_name: Any, axis_index_groups: Any) -> parallel.Groups:
    """The groups as tuples; raises `MinijaxValueError` unless they are of one size and name each index once."""
    if axis_index_groups is None:
        return None
    names = [name for name in _names(axis_name) if not isinstance(name, int)]
    if len(names) != 1:
        raise MinijaxValueError(f"{op}: axis_index_groups split one axis, not {axis_name!r}{at_line()}. "
                                "Leave them out, or reduce over one axis at a time.")
    groups = tuple([tuple([int(i) for i in group]) for group in axis_index_groups])
    if sorted(sum(groups, ())) != list(range(_size(names[0]))) or len(set(map(len, groups))) > 1:
        raise MinijaxValueError(f"{op}: axis_index_groups {list(map(list, groups))} must be of equal size and name "
                                f"each of the {_size(names[0])} indices of the axis {names[0]!r} once{at_line()}.")
    return groups


def axis_index(axis_name: Any) -> Any:
    """The place of this example along a mapped axis, from 0; along several, counted row by row.

    >>> from minijax import vmap
    >>> import numpy as np
    >>> vmap(lambda x: x + axis_index('i'), axis_name='i')(np.zeros(3, 'int32'))
    Array([0, 1, 2], dtype=int32)
    """
    place: Any = np.int32(0)
    for number, name in enumerate(_names(axis_name)):
        size = np.int32(_size(name))
        own, = parallel.axis_index_p.bind(axis_name=(name,))
        own = parallel.vary(own, [name] if _axis(name).tracked else ())
        place = add(mul(place, size), own) if number else own
    return place


def pcast(x: Any, axis_name: Any, *, to: str) -> Any:
    """A pytree of values that are the same on all devices along a mesh axis, taken as ones that differ there.

    Inside a `shard_map` whose types tell what varies, the derivative with respect to such a value is each device's
    own, not the sum of all: cast first, then differentiate.  Where types do not tell (`pmap`, `check_vma=False`)
    it is the value itself.

    Args:
        x: the values.
        axis_name: the axis, or several.
        to: 'varying'.  JAX's 'reduced' and 'unreduced' are about sums yet to be taken, which minijax has not.

    Raises `MinijaxValueError` for another `to` and for what varies already, `UnboundAxisError` for unknown axes.

    >>> from minijax import P, grad, make_mesh, shard_map
    >>> import numpy as np
    >>> own = lambda w: grad(lambda w: w ** 2)(pcast(w, 'i', to='varying'))
    >>> shard_map(lambda w: own(w)[None], mesh=make_mesh((1,), ('i',)), in_specs=P(), out_specs=P('i'))(np.float32(3))
    Array([6.], dtype=float32)
    """
    if to != "varying":
        raise MinijaxValueError(f"pcast: to={to!r}{at_line()} is not known here, only 'varying'. Sums over devices are "
                                "taken at once: use lax.psum.")
    names = [name for name in _names(axis_name) if _axis(name).tracked]

    def cast(leaf: Any) -> Any:
        leaf = as_operand("pcast", leaf)
        already = [repr(name) for name in names if name in typeof(leaf).varying]
        if already:
            raise MinijaxValueError(f"pcast: a value of type {typeof(leaf)} varies along {', '.join(already)} already"
                                    f"{at_line()}. Leave the axis out.")
        return parallel.vary(leaf, names)

    return pytree.map(cast, x)


# ---- reductions ----

def _reduction(name: str, collective: Any, along: Callable[..., Any], meaning: str) -> Callable[..., Any]:
    def function(x: Any, axis_name: Any, *, axis_index_groups: Any = None) -> Any:
        names = tuple([n for n in _names(axis_name) if not isinstance(n, int)])
        axes = [n for n in _names(axis_name) if isinstance(n, int)]
        groups = _groups(name, axis_name, axis_index_groups)

        def reduce(leaf: Any) -> Any:
            leaf = _operand(name, leaf, names)
            if name == "psum" and leaf.dtype == dtypes.bool_:
                leaf = convert_element_type(leaf, dtypes.int32)
            leaf = along(leaf, [axis_of(name, axis, leaf.ndim) for axis in axes])
            return collective.bind(leaf, axis_name=names, axis_index_groups=groups)[0] if names else leaf

        return pytree.map(reduce, x)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = meaning
    return function


_psum = _reduction("psum", parallel.psum_p, reduce_sum, "")
pmax = _reduction("pmax", parallel.pmax_p, reduce_max,
                  "The largest value over the examples of a mapped axis (or several; a number names an array's axis).")
pmin = _reduction("pmin", parallel.pmin_p, reduce_min,
                  "The smallest value over the examples of a mapped axis (or several; a number names an array's axis).")


def psum(x: Any, axis_name: Any, *, axis_index_groups: Any = None) -> Any:
    """The sum over the examples of a mapped axis, or of several; a number in `axis_name` is an axis of the array.

    A Python number gives a Python number: psum(1, name) is the size of the axis.  Raises `UnboundAxisError`.

    >>> from minijax import vmap
    >>> import numpy as np
    >>> vmap(lambda x: x / psum(x, 'i'), axis_name='i')(np.float32([1, 3]))
    Array([0.25, 0.75], dtype=float32)
    """
    if type(x) in (int, float, complex) and not any(isinstance(n, int) for n in _names(axis_name)):
        return x * (axis_size(axis_name) if axis_index_groups is None else len(axis_index_groups[0]))
    return _psum(x, axis_name, axis_index_groups=axis_index_groups)


def pmean(x: Any, axis_name: Any, *, axis_index_groups: Any = None) -> Any:
    """The mean over the examples of a mapped axis, or of several.

    >>> from minijax import vmap
    >>> import numpy as np
    >>> vmap(lambda x: x - pmean(x, 'i'), axis_name='i')(np.float32([1, 3]))
    Array([-1.,  1.], dtype=float32)
    """
    def mean(leaf: Any) -> Any:
        total = as_operand("pmean", psum(as_operand("pmean", leaf), axis_name, axis_index_groups=axis_index_groups))
        if not dtypes.is_inexact(total.dtype):
            total = convert_element_type(total, dtypes.canonical_dtype(float))
        positional = [axis for axis in _names(axis_name) if isinstance(axis, int)]
        named = tuple([axis for axis in _names(axis_name) if not isinstance(axis, int)])
        count = psum(1, named, axis_index_groups=axis_index_groups) * size_of(
            [typeof(leaf).shape[axis] for axis in positional])
        return div(total, scalar_like(total, count))

    return pytree.map(mean, x)


# ---- exchanges ----

def all_gather(x: Any, axis_name: Any, *, axis_index_groups: Any = None, axis: int = 0, tiled: bool = False,
               to: str = "varying") -> Any:
    """The values of all examples of a mapped axis, stacked along a new axis (joined along an old one if `tiled`).

    >>> from minijax import vmap
    >>> import numpy as np
    >>> vmap(lambda x: all_gather(x, 'i'), axis_name='i')(np.float32([1, 3]))
    Array([[1., 3.],
           [1., 3.]], dtype=float32)
    """
    if to != "varying":
        raise MinijaxValueError(f"all_gather: to={to!r}{at_line()} is not known here: results are 'varying'. Leave it "
                                "out; lax.psum and its like give results that do not vary.")
    names, groups = _names(axis_name), _groups("all_gather", axis_name, axis_index_groups)

    def collect(leaf: Any) -> Any:
        out = _operand("all_gather", leaf, names)
        place = axis_of("all_gather", axis, out.ndim + (not tiled))
        for number, name in enumerate(reversed(names)):
            out, = parallel.all_gather_p.bind(out, axis=place, axis_index_groups=groups, **_one_axis(name))
            out = _merged(out, place) if number else out
        return _merged(out, place) if tiled else out

    return pytree.map(collect, x)


def _merged(x: Any, axis: int) -> Any:
    """Two neighbouring axes made one."""
    return reshape(x, (*x.shape[:axis], x.shape[axis] * x.shape[axis + 1], *x.shape[axis + 2:]))


def _in_blocks(name: str, x: Any, axis: int, count: int) -> Any:
    """An axis made two: blocks, and places within one."""
    if x.shape[axis] % count:
        raise MinijaxValueError(f"{name}: axis {axis} of {typeof(x)} does not split into {count} equal blocks"
                                f"{at_line()}. Pad it to a multiple of {count}.")
    return reshape(x, (*x.shape[:axis], count, x.shape[axis] // count, *x.shape[axis + 1:]))


def psum_scatter(x: Any, axis_name: Any, *, scatter_dimension: int = 0, axis_index_groups: Any = None,
                 tiled: bool = False) -> Any:
    """The sum over a mapped axis, of which each example keeps its own slice along `scatter_dimension`.

    That axis has the size of the mapped one and goes; if `tiled`, it is a multiple of it and each keeps a block.

    >>> from minijax import vmap
    >>> import numpy as np
    >>> vmap(lambda x: psum_scatter(x, 'i'), axis_name='i')(np.float32([[1, 2], [3, 4]]))
    Array([4., 6.], dtype=float32)
    """
    names, groups = _names(axis_name), _groups("psum_scatter", axis_name, axis_index_groups)

    def scatter(leaf: Any) -> Any:
        leaf = _operand("psum_scatter", leaf, names)
        axis = axis_of("psum_scatter", scatter_dimension, leaf.ndim)
        for number, name in enumerate(names, 1):
            params = _one_axis(name)
            if tiled or number < len(names):
                leaf = _in_blocks("psum_scatter", leaf, axis, parallel.group_size(params["axis_size"], groups))
            leaf, = parallel.psum_scatter_p.bind(leaf, axis=axis, axis_index_groups=groups, **params)
        return leaf

    return pytree.map(scatter, x)


def all_to_all(x: Any, axis_name: Any, split_axis: int, concat_axis: int, *, axis_index_groups: Any = None,
               tiled: bool = False) -> Any:
    """Each example sends the i-th slice along `split_axis` to example i, and stacks what it gets along `concat_axis`.

    If `tiled`, blocks are sent and joined instead of slices.

    >>> from minijax import vmap
    >>> import numpy as np
    >>> vmap(lambda x: all_to_all(x, 'i', 0, 0), axis_name='i')(np.float32([[1, 2], [3, 4]]))
    Array([[1., 3.],
           [2., 4.]], dtype=float32)
    """
    names, groups = _names(axis_name), _groups("all_to_all", axis_name, axis_index_groups)

    def exchange(leaf: Any) -> Any:
        leaf = _operand("all_to_all", leaf, names)
        source, target = [axis_of("all_to_all", axis, leaf.ndim) for axis in (split_axis, concat_axis)]
        if tiled:
            leaf = _in_blocks("all_to_all", leaf, source, parallel.group_size(axis_size(names), groups))
        if len(names) == 1:
            out, = parallel.all_to_all_p.bind(leaf, split_axis=source, concat_axis=target, axis_index_groups=groups,
                                              **_one_axis(names[0]))
        else:
            out = _exchanged(leaf, names, source, target)
        return _merged(out, target) if tiled else out

    return pytree.map(exchange, x)


def _exchanged(x: Any, names: Sequence[Any], source: int, target: int) -> Any:
    """`all_to_all` along several axes, one after the other, each along its own part of the axis of slices."""
    sizes = [_size(name) for name in names]
    x = _in_blocks("all_to_all", x, source, size_of(sizes))
    x = reshape(x, (*x.shape[:source], *sizes, *x.shape[source + 2:]))
    for axis, name in enumerate(names, source):
        x, = parallel.all_to_all_p.bind(x, split_axis=axis, concat_axis=axis, axis_index_groups=None, **_one_axis(name))
    return moveaxis(reshape(x, (*x.shape[:source], size_of(sizes), *x.shape[source + len(sizes):])), source, target)


def ppermute(x: Any, axis_name: Any, perm: Sequence[tuple[int, int]]) -> Any:
    """Values sent between examples along (source, destination) pairs; who receives none gets zeros.

    >>> from minijax import vmap
    >>> import numpy as np
    >>> vmap(lambda x: ppermute(x, 'i', [(0, 1), (1, 0)]), axis_name='i')(np.float32([1, 3]))
    Array([3., 1.], dtype=float32)
    """
    names, pairs = _names(axis_name), tuple([(int(i), int(j)) for i, j in perm])
    if len(names) == 1:
        return pytree.map(lambda leaf: parallel.ppermute_p.bind(
            _operand("ppermute", leaf, names), perm=pairs, **_one_axis(names[0]))[0], x)
    check_pairs(pairs, axis_size(names))
    source = {target: source for source, target in pairs}
    places = np.array([source.get(i, -1) for i in range(axis_size(names))], np.int32)
    place = dynamic_index_in_dim(places, axis_index(names), keepdims=False)

    def send(leaf: Any) -> Any:  # the value of every example, of which each takes its own
        found = dynamic_index_in_dim(all_gather(leaf, names), place, keepdims=False)
        return select_n(ge(place, np.int32(0)), zeros_of(typeof(found)), found)

    return pytree.map(send, x)


def pshuffle(x: Any, axis_name: Any, perm: Sequence[int]) -> Any:
    """Example i gets the value of example perm[i].

    >>> from minijax import vmap
    >>> import numpy as np
    >>> vmap(lambda x: pshuffle(x, 'i', [2, 0, 1]), axis_name='i')(np.float32([1, 2, 3]))
    Array([3., 1., 2.], dtype=float32)
    """
    if sorted(perm) != list(range(axis_size(axis_name))):
        raise MinijaxValueError(f"pshuffle: {list(perm)} does not name each of the {axis_size(axis_name)} examples once"
                                f"{at_line()}.")
    return ppermute(x, axis_name, [(source, target) for target, source in enumerate(perm)])


def pswapaxes(x: Any, axis_name: Any, axis: int, *, axis_index_groups: Any = None) -> Any:
    """The mapped axis swapped with an axis of the array of the same size.

    >>> from minijax import vmap
    >>> import numpy as np
    >>> vmap(lambda x: pswapaxes(x, 'i', 0), axis_name='i')(np.float32([[1, 2], [3, 4]]))
    Array([[1., 3.],
           [2., 4.]], dtype=float32)
    """
    return all_to_all(x, axis_name, axis, axis, axis_index_groups=axis_index_groups)


def pbroadcast(x: Any, axis_name: Any, source: int) -> Any:
    """The value of example `source`, for all.

    >>> from minijax import vmap
    >>> import numpy as np
    >>> vmap(lambda x: pbroadcast(x, 'i', 1), axis_name='i')(np.float32([1, 3]))
    Array([3., 3.], dtype=float32)
    """
    return pytree.map(lambda leaf: index_in_dim(all_gather(leaf, axis_name), source, keepdims=False), x)


def ragged_all_to_all(operand: Any, output: Any, input_offsets: Any, send_sizes: Any, output_offsets: Any,
                      recv_sizes: Any, *, axis_name: Any, axis_index_groups: Any = None) -> Any:
    """Each example sends rows of any number: to example j, `send_sizes[j]` rows from `input_offsets[j]` on.

    They arrive in example j's `output` from row `output_offsets[j]` on, where the sender says; other rows stay.
    `recv_sizes[i]` is how many rows come from example i.

    >>> from minijax import vmap
    >>> import numpy as np
    >>> rows, sizes = np.float32([[1, 2], [3, 4]]), np.int32([[1, 1], [1, 1]])
    >>> send = lambda x, n, to: ragged_all_to_all(x, 0 * x, np.int32([0, 1]), n, to, n, axis_name='i')
    >>> vmap(send, axis_name='i')(rows, sizes, np.int32([[0, 0], [1, 1]]))
    Array([[1., 3.],
           [2., 4.]], dtype=float32)
    """
    me = axis_index(axis_name)
    rows, *tables = [all_gather(as_operand("ragged_all_to_all", x), axis_name, axis_index_groups=axis_index_groups)
                     for x in (operand, input_offsets, send_sizes, output_offsets)]
    output = as_operand("ragged_all_to_all", output)
    shape = rows.shape[0], output.shape[0]  # senders, and rows of my output
    start, size, target = [broadcast_in_dim(dynamic_index_in_dim(table, me, 1), shape, (0, 1)) for table in tables]
    offset = sub(broadcasted_iota(start.dtype, shape, 1), target)
    arrives = bitwise_and(ge(offset, scalar_like(offset, 0)), lt(offset, size))
    source = select_n(arrives, scalar_like(offset, 0), add(offset, start))
    numbers = GatherDimensionNumbers(offset_dims=tuple(range(1, output.ndim)), collapsed_slice_dims=(0, 1),
                                     start_index_map=(0, 1))
    found = gather(rows, _pairs(argmax(arrives, 0), reduce_sum(source, (0,))), numbers, (1, 1, *rows.shape[2:]),
                   mode=GatherScatterMode.CLIP)
    return select_n(broadcast_in_dim(reduce_or(arrives, (0,)), output.shape, (0,)), output, found)


def _pairs(first: Any, second: Any) -> Any:
    """Index vectors of two coordinates."""
    index = [reshape(convert_element_type(x, dtypes.int32), (*x.shape, 1)) for x in (first, second)]
    return concatenate(index, 1)
