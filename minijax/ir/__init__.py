"""The IR as a language: programs, their text and JSON, checking, comparing, passes.

    print(jaxpr)                          (read back by minijax.language)
    check_jaxpr(p)
    dce, inline                           (more in minijax.optimize)
"""

from minijax.ir.check import check_jaxpr
from minijax.ir.jaxpr import Atom, Equation, Jaxpr, Literal, Origin, Source, Var, held_programs
from minijax.ir.op import Linear, Op, find_op, ops
from minijax.ir.passes import dce, inline, program_pass, trace_passes
from minijax.ir.text import format_equation, format_jaxpr, register_named, show
from minijax.ir.types import ArrayType, const_type, zero
from minijax.ir.walk import all_programs

__all__ = [
    "ArrayType", "Atom", "Equation", "Jaxpr", "Linear", "Literal", "Op", "Origin",
    "Source", "Var", "zero", "all_programs", "check_jaxpr", "const_type", "dce", "find_op",
    "format_equation", "format_jaxpr", "held_programs", "inline", "ops", "program_pass",
    "register_named", "show", "trace_passes",
]
