"""Programs as graphs, clustered by the modules that made their equations, in graphviz's language `dot`.

    to_dot(f)(x)             of a function run on values: Python's control flow on them works
    abstract_to_dot(f)(x)    of a function traced on types

Every equation is a node.  A call (jit, a function with rules) is a cluster that values pass through; the programs of
others (loops, branches) are clusters with inputs of their own.  Notebooks show a picture where graphviz is installed.
"""

from __future__ import annotations

import dataclasses
import functools
import html
import shutil
import subprocess
from collections.abc import Callable, Hashable, Iterator
from typing import Any

from minijax.calls.names import function_name
from minijax.haiku.experimental.calls import Call, Record, record
from minijax.haiku.experimental.summary import original
from minijax.ir.jaxpr import Atom, Equation, Jaxpr, Literal, Var, held_programs


class Dot(str):
    """The text of a graph; in notebooks a picture, if graphviz is installed.

    >>> Dot("digraph { a -> b }")._repr_html_()[:4] in ("<pre", "<svg")
    True
    """

    def svg(self, timeout: float = 30.0) -> str | None:
        """The picture that the program `dot` draws; None if it is not installed, or needs more seconds than these.

        A graph of a thousand equations takes it minutes.
        """
        if shutil.which("dot") is None:
            return None
        try:
            drawn = subprocess.run(["dot", "-Tsvg"], input=self, capture_output=True, text=True, check=True,
                                   timeout=timeout)
        except subprocess.TimeoutExpired:
            return None
        return drawn.stdout[drawn.stdout.index("<svg"):]

    def _repr_html_(self) -> str:
        return self.svg() or f"<pre>{html.escape(self)}</pre>"


def to_dot(fun: Callable[..., Any]) -> Callable[..., Dot]:
    """A function of `fun`'s arguments that returns the graph of what it computes, as text in graphviz's language.

    Args: fun: any function, with modules or without, or what `transform` made of one (then without params and key).
    Returns: a function that runs `fun` and returns a `Dot`, a string.

    >>> import minijax.numpy as jnp
    >>> print(to_dot(lambda x: 2.0 * x if x > 0.0 else x)(jnp.ones(())))
    digraph "<lambda>" {
      label="<lambda>"; labelloc=t; compound=true; fontname="Helvetica";
      node [shape=box, style=filled, fillcolor="#FFF26E", color="#FFDB13", fontname="Helvetica"];
      n0 [label="args[0]\\nf32[]", fillcolor="#FFDEAF", color="#FF8A4F"];
      n1 [label="gt _ 0.0\\nbool[]"];
      n2 [label="mul 2.0 _\\nf32[]"];
      n3 [label="output", fillcolor="#AABFFF", color="#0053D6"];
      n0 -> n1;
      n0 -> n2;
      n2 -> n3;
    }
    """
    return _drawing(fun, True)


def abstract_to_dot(fun: Callable[..., Any]) -> Callable[..., Dot]:
    """As `to_dot`, without computing: arrays among the arguments may be `ShapeDtypeStruct`s.

    Args: fun: any function, with modules or without, or what `transform` made of one (then without params and key).
    Returns: a function that traces `fun` and returns a `Dot`, a string.

    >>> import minijax
    >>> "sin" in abstract_to_dot(minijax.numpy.sin)(minijax.ShapeDtypeStruct((3,), "float32"))
    True
    """
    return _drawing(fun, False)


def _drawing(fun: Callable[..., Any], concrete: bool) -> Callable[..., Dot]:
    function = original(fun) if hasattr(fun, "init") else fun  # `apply` by itself takes its own arguments

    @functools.wraps(function)
    def draw(*args: Any, **kwargs: Any) -> Dot:
        return Dot(Drawing(record(function, args, kwargs, concrete)).text(function_name(function)))

    return draw


# ---- the drawing

INPUT = ', fillcolor="#FFDEAF", color="#FF8A4F"'
RESULT = ', fillcolor="#AABFFF", color="#0053D6"'
CONSTANT = ', fillcolor="#E6D6FF", color="#A261FF"'


@dataclasses.dataclass
class Cluster:
    """Nodes and clusters inside a frame with a title."""

    title: str = ""
    nodes: list[str] = dataclasses.field(default_factory=list)
    inner: dict[Hashable, Cluster] = dataclasses.field(default_factory=dict)

    def child(self, key: Hashable, title: str) -> Cluster:
        """The cluster of this key inside, made when it is first asked for."""
        return self.inner.setdefault(key, Cluster(title))

    def lines(self, indent: str, numbers: Iterator[int]) -> Iterator[str]:
        """The text of what is inside."""
        for node in self.nodes:
            yield f"{indent}{node}"
        for cluster in self.inner.values():
            if cluster.nodes or cluster.inner:
                yield f"{indent}subgraph cluster_{next(numbers)} {{"
                yield f'{indent}  label={quoted(cluster.title)}; style="rounded,filled"; fillcolor="#F0F5F5";'
                yield from cluster.lines(f"{indent}  ", numbers)
                yield f"{indent}}}"


class Drawing:
    """The graph of a recorded function."""

    def __init__(self, recorded: Record) -> None:
        self.record = recorded
        self.root = Cluster()
        self.edges: list[str] = []
        self.count = 0
        program = recorded.program
        used = {atom for eqn in program.eqns for atom in eqn.inputs if type(atom) is Var}.union(program.outvars)
        places = {var: self.node(self.root, f"{name}\n{var.type}", INPUT)
                  for var, name in zip(program.invars, recorded.names, strict=True) if var in used}
        self.draw(program, places, self.root, None)
        for atom, name in zip(program.outvars, recorded.out_names, strict=False):  # state that comes out has no name
            result = self.node(self.root, name, RESULT)
            self.edge(self.place(atom, places, self.root), result)

    def node(self, cluster: Cluster, label: str, style: str = "") -> str:
        """A new node; returns its id."""
        name = f"n{self.count}"
        self.count += 1
        cluster.nodes.append(f"{name} [label={quoted(label)}{style}];")
        return name

    def edge(self, start: str, end: str, style: str = "") -> None:
        """An arrow."""
        self.edges.append(f"{start} -> {end}{style};")

    def draw(self, program: Jaxpr, places: dict[Any, str], cluster: Cluster, around: Call | None) -> None:
        """Draw a program into a cluster; `places` has the nodes of its inputs, and then of all its variables."""
        for var in program.constvars:
            places[var] = self.node(cluster, f"constant\n{var.type}", CONSTANT)
        for eqn in program.eqns:
            owner = self.record.owner(eqn, around)
            inside = cluster
            for call in reversed([call for call in (owner.chain() if owner else ())
                                  if around is None or call not in around.chain()]):
                inside = inside.child(call, call.title)
            self.equation(eqn, places, inside, owner)

    def equation(self, eqn: Equation, places: dict[Any, str], cluster: Cluster, owner: Call | None) -> None:
        """Draw an equation."""
        held = list(held_programs(eqn.params))
        if passes_through(eqn, held):
            inside = cluster.child(id(eqn), title(eqn, held[0]))
            inner = {var: self.place(atom, places, inside)
                     for var, atom in zip(held[0].invars, eqn.inputs, strict=True)}
            self.draw(held[0], inner, inside, owner)
            places.update({var: self.place(atom, inner, inside)
                           for var, atom in zip(eqn.outvars, held[0].outvars, strict=True)})
            return
        types = [repr(var.type) for var in eqn.outvars]
        node = self.node(cluster, "\n".join([label(eqn), *types[:4], *(["..."] if types[4:] else [])]))
        for atom in dict.fromkeys([atom for atom in eqn.inputs if type(atom) is Var]):
            self.edge(places[atom], node)
        places.update(dict.fromkeys(eqn.outvars, node))
        for number, program in enumerate(held):
            inside = cluster.child((id(eqn), number), title(eqn, program))
            inner = {var: self.node(inside, repr(var.type), INPUT) for var in program.invars}
            for start in inner.values():
                self.edge(node, start, " [style=dashed]")
            self.draw(program, inner, inside, owner)

    def place(self, atom: Atom, places: dict[Any, str], cluster: Cluster) -> str:
        """The node that a value comes from; a new one for a literal."""
        if isinstance(atom, Literal):
            return self.node(cluster, f"{atom.value}\n{atom.type}", CONSTANT)
        return places[atom]

    def text(self, name: str) -> str:
        """The graph in graphviz's language."""
        head = [f"digraph {quoted(name)} {{",
                f'  label={quoted(name)}; labelloc=t; compound=true; fontname="Helvetica";',
                '  node [shape=box, style=filled, fillcolor="#FFF26E", color="#FFDB13", fontname="Helvetica"];']
        numbers = iter(range(len(self.edges) + self.count + len(self.record.calls) + 1))
        return "\n".join([*head, *self.root.lines("  ", numbers), *[f"  {edge}" for edge in self.edges], "}"])


def passes_through(eqn: Equation, held: list[Jaxpr]) -> bool:
    """Whether the inputs and results of an equation are those of the one program it holds."""
    return (len(held) == 1 and held[0].in_types == tuple([atom.type for atom in eqn.inputs])
            and held[0].out_types == tuple([var.type for var in eqn.outvars]))


def title(eqn: Equation, program: Jaxpr) -> str:
    """What a cluster of a held program is called: the op, its small parameters, the traced function."""
    small = [f"{name}={value}" for name, value in eqn.params.items()
             if isinstance(value, int | str) and name not in ("name", "num_consts")]
    name = eqn.params.get("name", program.debug_name)
    return " ".join([eqn.op.name, *([f"({name})"] if isinstance(name, str) and name else []), *small])


def label(eqn: Equation) -> str:
    """The op, and its literals where they stand among its inputs."""
    if not any([isinstance(atom, Literal) for atom in eqn.inputs]):
        return eqn.op.name
    return " ".join([eqn.op.name, *["_" if type(atom) is Var else str(atom.value) for atom in eqn.inputs]])


def quoted(text: str) -> str:
    """A string of graphviz's language, whatever the text has in it.

    >>> print(quoted('a "b"'))
    "a \\"b\\""
    """
    shown = "".join([letter if letter.isprintable() or letter == "\n" else "\ufffd" for letter in text])
    escaped = shown.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
