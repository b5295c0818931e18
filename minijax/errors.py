"""One exception class per user mistake.

A message has three parts: what happened, on which line of the user's code and
which argument, and one concrete fix.  Classes carry JAX's names where JAX has
the mistake, so that `except` clauses survive a change of import lines.
"""

from __future__ import annotations


class MinijaxError(Exception):
    """Base class of every error that minijax raises on purpose.

    >>> issubclass(ShapeError, MinijaxError)
    True
    """


class MinijaxTypeError(MinijaxError, TypeError):
    """A value of a type or dtype that the operation does not take."""


class MinijaxValueError(MinijaxError, ValueError):
    """A value of the right type that the operation cannot use."""


class ShapeError(MinijaxTypeError):
    """Operands whose shapes do not fit each other or the parameters."""


class DtypeError(MinijaxTypeError):
    """Operands whose dtypes do not fit each other or the operation."""


class MinijaxIndexError(MinijaxError, IndexError):
    """A static index outside the array, as NumPy raises."""


class TreeError(MinijaxValueError):
    """Pytrees whose structures differ where they must agree."""


class NonlinearError(MinijaxTypeError, NotImplementedError):
    """The transpose of a function that is not linear."""


class IntegerOverflowError(MinijaxError, OverflowError):
    """A Python integer too large for the dtype it is to have."""


class DonatedArrayError(MinijaxError, RuntimeError):
    """An array used again after its memory was given to a compiled function."""


class DistributedError(MinijaxError, RuntimeError):
    """Processes that cannot work together so, or values that another process has."""


class NonScalarOutputError(MinijaxTypeError):
    """`grad` of a function whose result is not a scalar."""


class ConcretizationTypeError(MinijaxTypeError):
    """A traced value used where Python needs a concrete one."""


class TracerBoolConversionError(ConcretizationTypeError):
    """`if tracer:` and its relatives."""


class TracerIntegerConversionError(ConcretizationTypeError):
    """`int(tracer)`, `range(tracer)` or a traced value used as an index."""


class TracerArrayConversionError(ConcretizationTypeError):
    """`np.asarray(tracer)`."""


class NonConcreteBooleanIndexError(MinijaxIndexError):
    """A boolean mask whose number of true entries is not known while tracing."""


class UnexpectedTracerError(MinijaxError):
    """A traced value used outside the trace that made it (a leak)."""


class KeyReuseError(MinijaxError):
    """A random key consumed twice."""


class JaxprCheckError(MinijaxError):
    """A program that breaks the rules of the IR; shows the guilty equation."""


class JaxprSyntaxError(MinijaxError, SyntaxError):
    """IR text or JSON that cannot be read; names line and column."""


class MissingRuleError(MinijaxError, NotImplementedError):
    """An op without the rule that an interpreter needs."""


class FormatError(MinijaxValueError, LookupError):
    """A format string of `debug.print` that does not fit its arguments."""


class RuleError(MinijaxError, AssertionError):
    """Rules of an op that contradict each other; holds the report of `check_op`."""


class UnboundAxisError(MinijaxError, NameError):
    """A collective over an axis name that no enclosing vmap or pmap has."""


class UnhandledEffectError(MinijaxError):
    """An effect that reached lowering without a handler."""


class StoredArraysError(MinijaxValueError):
    """A file of arrays that cannot be read, or whose arrays are not those expected; lists what differs."""


class FrozenMapError(MinijaxError, AttributeError):
    """An attribute of a mapping whose entries are read by key and cannot be changed."""
