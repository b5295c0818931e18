"""The floors: who may import whom, proved by parsing every import of every file.

`violations(root)` reads `root/minijax` and yields one line of text for each broken
rule.  The second half of this file plants each kind of violation in a temporary
tree and sees that it is caught.
"""

import ast
import gc
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import minijax

ROOT = Path(__file__).resolve().parents[1]

# What lies directly below `minijax/`, by floor.
FLOORS = {name: floor for floor, names in enumerate((
    ("errors", "config", "pytree", "util"),
    ("ir",),
    ("tracing",),
    ("ops",),
    ("interpreters",),
    ("calls",),
    ("lowering",),
    ("api",),
    ("optimize", "language", "custom_rules", "effects", "hardware", "fusion", "derivatives", "tree", "tree_util",
     "typing", "inspect", "sharding", "custom_batching", "custom_derivatives", "ad_checkpoint", "checkpoint_policies",
     "callbacks", "debug", "distributed", "experimental", "lax", "numpy", "random", "nn", "scipy", "interop", "taylor",
     "kinks", "testing", "test_util"),
    ("haiku", "optix", "rlax", "demo", "__main__"),
)) for name in names}
FLOOR_MODULES = frozenset(f"minijax.{name}" for name in FLOORS)
NAMESPACES = ("lax", "numpy", "random", "nn", "scipy")  # on L8, each may use those before it
LIBRARIES = 9

STANDARD = frozenset(sys.stdlib_module_names)
NUMERIC = frozenset({"numpy", "ml_dtypes"})
JAX_PLACES = ("lowering", "interop")
LAZY = ("minijax", "minijax.interop")  # they resolve their public names on first use
JAX_PRIVATE = ("jax._src", "jax.core", "jax.interpreters", "jaxlib")
SCIPY_FILES = "minijax.ops.reference"  # and those whose names go on from there
IMPORT_MACHINERY = frozenset({"importlib", "pkgutil", "runpy", "imp", "zipimport"})
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


@dataclass(frozen=True)
class Import:
    """One imported module: `importer` is the module that imports `target`."""

    importer: str
    target: str
    line: int

    @property
    def root(self):
        return self.target.split(".")[0]

    def __str__(self):
        return f"{self.importer}:{self.line} imports {self.target}"


def violations(root):
    """A line of text for each broken rule below `root/minijax`."""
    trees = {module_name(path, root): ast.parse(path.read_text(encoding="utf-8"))
             for path in sorted((root / "minijax").rglob("*.py"))}
    imports = [found for name, tree in trees.items() for found in imports_of(name, tree, trees)]
    for name, tree in trees.items():
        yield from hidden_imports(name, tree)
        if name != "minijax" and top(name) not in FLOORS:
            yield f"{name} has no floor: give `{top(name)}` one in FLOORS"
    for found in imports:
        yield from broken_rules(found)
    yield from cycles(imports)


def module_name(path, root):
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def top(module):
    """The name directly below a package that a module belongs to; empty for the package itself."""
    return (*module.split("."), "")[1]


def imports_of(name, tree, modules):
    """Every absolute import of a file, wherever in the file it stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(name, alias.name, node.lineno)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                module = inner in modules or inner.startswith("jax.") or inner in FLOOR_MODULES
                yield Import(name, inner if module else node.module, node.lineno)


def hidden_imports(name, tree):
    """Imports that a reader, or the rules below, would not see."""
    for node in ast.walk(tree):
        where = f"{name}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.ImportFrom) and node.level:
            yield f"{where} has a relative import; write the full name"
        if isinstance(node, ast.Attribute) and node.attr == "_src":
            yield f"{where} reaches into private JAX (._src)"
        if isinstance(node, ast.Attribute) and ast.unparse(node).startswith(JAX_PRIVATE):
            yield f"{where} uses {ast.unparse(node)}, which is not public JAX"
        if name not in LAZY and uses_import_machinery(node):
            yield f"{where} imports by {ast.unparse(node)}; only minijax/__init__.py may"
        if isinstance(node, FUNCTIONS):
            yield from (f"{name}:{inner.lineno} imports inside a function"
                        for inner in ast.walk(node) if isinstance(inner, (ast.Import, ast.ImportFrom)))


def uses_import_machinery(node):
    if isinstance(node, ast.Import):
        return any(alias.name.split(".")[0] in IMPORT_MACHINERY for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        names = {alias.name for alias in node.names}
        return ((node.module or "").split(".")[0] in IMPORT_MACHINERY
                or node.module == "builtins" and "__import__" in names or node.module == "sys" and "modules" in names)
    if isinstance(node, ast.Name):
        return node.id == "__import__"
    return isinstance(node, ast.Attribute) and (node.attr == "__import__" or ast.unparse(node) == "sys.modules")


def broken_rules(found):
    """The rules that one import breaks."""
    if found.root == "jax":
        if top(found.importer) not in JAX_PLACES:
            yield f"{found}, which only {', '.join(JAX_PLACES)} may"
    if any(f"{found.target}.".startswith(f"{private}.") for private in JAX_PRIVATE):
        yield f"{found}, which is not public JAX"
    elif found.root == "minijax":
        yield from broken_floor(found)
    elif found.root not in STANDARD | NUMERIC | {"jax"}:
        yield from foreign(found)


def foreign(found):
    """Packages other than Python's, NumPy's and JAX's: the libraries may, and SciPy has its places."""
    floor = FLOORS.get(top(found.importer), LIBRARIES)
    scipy_may = found.importer.startswith(SCIPY_FILES) or floor > FLOORS["api"]
    if found.importer == "minijax" or floor < LIBRARIES and not (found.root == "scipy" and scipy_may):
        yield f"{found}, a package that this floor may not use"


def broken_floor(found):
    """Imports of minijax by minijax: from floors below, or from the own floor in its order."""
    above, below = top(found.importer), top(found.target)
    if found.importer == "minijax" or FLOORS.get(above) == LIBRARIES and not below:
        return
    if not below:
        yield f"{found}, whose public names are for users; import from their floor"
    elif FLOORS.get(below, -1) > FLOORS.get(above, LIBRARIES):
        yield f"{found} from L{FLOORS[above]} up to L{FLOORS[below]}"
    elif above in NAMESPACES and below in NAMESPACES and NAMESPACES.index(below) > NAMESPACES.index(above):
        yield f"{found} against the order {' < '.join(NAMESPACES)}"


def cycles(imports):
    """Modules that import each other, directly or through others."""
    graph = {}
    for found in imports:
        if found.root == "minijax" and found.importer != "minijax":
            graph.setdefault(found.importer, set()).add(found.target)
    reach = {name: reachable(name, graph) for name in graph}
    rings = {frozenset(other for other in reach[name] if name in reach.get(other, ()))
             for name in graph if name in reach[name]}
    return (f"import cycle: {' '.join(sorted(ring))}" for ring in sorted(rings, key=sorted))


def reachable(start, graph):
    """All modules that importing `start` leads to; `start` itself only through a cycle."""
    seen, todo = set(), [start]
    while todo:
        new = graph.get(todo.pop(), set()) - seen
        seen |= new
        todo += new
    return seen


def test_minijax_keeps_to_its_floors():
    assert list(violations(ROOT)) == []


# Tests of the checker: each planted file breaks one rule.

def plant(root, files):
    for name, text in files.items():
        path = root / "minijax" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return list(violations(root))


@pytest.mark.parametrize("name, text", [
    ("__init__.py", "import importlib\nimport sys\nsys.modules\n"),
    ("ir/text.py", "import numpy as np\nimport ml_dtypes\nimport dataclasses\nfrom minijax import errors, util\n"),
    ("ops/reference.py", "import scipy.special\nfrom scipy import linalg\n"),
    ("ops/reference_linalg.py", "import scipy\n"),
    ("ops/math.py", "from minijax.ir.op import Op\nfrom minijax.tracing import bind\n"),
    ("calls/scan.py", "from minijax.interpreters.jvp import jvp\n"),
    ("lowering/table.py", "import jax\nfrom jax import lax, numpy as jnp\nimport jax.extend.core\n"),
    ("interop/lifted.py", "import jax.numpy as jnp\nfrom jax.extend import core\nx = jnp.core\n"),
    ("scipy/special.py", "import scipy.special\nfrom minijax.numpy import sin\nfrom minijax.lax import add\n"),
    ("nn/relu.py", "from minijax.random import normal\n"),
    ("rlax/loss.py", "import minijax\nimport matplotlib.pyplot\nfrom minijax import grad\n"),
    ("ir/core_notes.py", 'text = "import jax; from jax._src import core; __import__"\n'),
])
def test_permitted(tmp_path, name, text):
    assert plant(tmp_path, {name: text}) == []


@pytest.mark.parametrize("name, text, message", [
    ("ir/text.py", "from minijax.tracing.array import Array\n", "minijax.tracing.array from L1 up to L2"),
    ("ops/math.py", "import minijax.interpreters.jvp as j\n", "up to L4"),
    ("util.py", "from minijax import ir\n", "up to L1"),
    ("lowering/table.py", "from minijax.api import grad\n", "from L6 up to L7"),
    ("api/grad.py", "from minijax.numpy import sin\n", "from L7 up to L8"),
    ("interop/lifted.py", "from minijax.haiku import linear\n", "from L8 up to L9"),
    ("ops/math.py", "def f():\n    from minijax.calls import jit\n", "from L3 up to L5"),
    ("ops/math.py", "if TYPE_CHECKING:\n    from minijax.calls import jit\n", "from L3 up to L5"),
    ("ops/math.py", "try:\n    import minijax.calls.jit\nexcept ImportError:\n    pass\n", "from L3 up to L5"),
    ("lax/add.py", "from minijax.numpy import add\n", "against the order lax < numpy"),
    ("random/draw.py", "import minijax.scipy.special\n", "against the order"),
    ("api/grad.py", "from minijax import jit\n", "public names are for users"),
    ("api/grad.py", "import minijax\n", "public names are for users"),
    ("api/grad.py", "from minijax import *\n", "public names are for users"),
    ("api/grad.py", "import jax\n", "imports jax, which only lowering, interop may"),
    ("haiku/linear.py", "from jax import numpy\n", "imports jax.numpy, which only"),
    ("ops/math.py", "def f():\n    import jax.numpy as jnp\n", "imports jax.numpy, which only"),
    ("__init__.py", "import jax\n", "imports jax, which only"),
    ("lowering/table.py", "from jax._src import core\n", "not public JAX"),
    ("lowering/table.py", "import jax._src.core\n", "not public JAX"),
    ("lowering/table.py", "from jax import _src\n", "not public JAX"),
    ("lowering/table.py", "from jax import core\n", "not public JAX"),
    ("lowering/table.py", "import jaxlib.xla_client\n", "not public JAX"),
    ("lowering/table.py", "import jax as j\nj._src.core\n", "private JAX"),
    ("lowering/table.py", "import jax\njax.core.Jaxpr\n", "not public JAX"),
    ("util.py", "def f():\n    import os\n", "util:2 imports inside a function"),
    ("util.py", "async def f():\n    from os import path\n", "imports inside a function"),
    ("util.py", "class C:\n    def f(self):\n        def g():\n            import os\n", "imports inside a function"),
    ("ir/text.py", "from . import types\n", "relative import"),
    ("ir/text.py", "from ..tracing import Array\n", "relative import"),
    ("util.py", "import importlib\n", "only minijax/__init__.py may"),
    ("util.py", "from importlib import import_module as load\n", "only minijax/__init__.py may"),
    ("util.py", "import importlib.util\n", "only minijax/__init__.py may"),
    ("util.py", "__import__('jax')\n", "only minijax/__init__.py may"),
    ("util.py", "load = __import__\n", "only minijax/__init__.py may"),
    ("util.py", "import builtins\nbuiltins.__import__('jax')\n", "only minijax/__init__.py may"),
    ("util.py", "from builtins import __import__ as load\n", "only minijax/__init__.py may"),
    ("util.py", "import sys\nsys.modules['jax']\n", "only minijax/__init__.py may"),
    ("util.py", "from sys import modules\n", "only minijax/__init__.py may"),
    ("ir/__init__.py", "import runpy\n", "only minijax/__init__.py may"),
    ("ops/math.py", "import scipy.special\n", "this floor may not use"),
    ("numpy/plot.py", "import matplotlib\n", "this floor may not use"),
    ("__init__.py", "import scipy\n", "this floor may not use"),
    ("extra/thing.py", "", "minijax.extra.thing has no floor"),
    ("extra.py", "", "minijax.extra has no floor"),
])
def test_caught(tmp_path, name, text, message):
    found = plant(tmp_path, {name: text})
    assert any(message in line for line in found), found


@pytest.mark.parametrize("files, ring", [
    ({"ir/a.py": "import minijax.ir.b\n", "ir/b.py": "from minijax.ir import a\n"}, "minijax.ir.a minijax.ir.b"),
    ({"ir/a.py": "from minijax.ir.b import x\n", "ir/b.py": "import minijax.ir.c\n",
      "ir/c.py": "from minijax.ir.a import x\n"}, "minijax.ir.a minijax.ir.b minijax.ir.c"),
    ({"ir/__init__.py": "from minijax.ir import a\n", "ir/a.py": "from minijax.ir import x\n"},
     "minijax.ir minijax.ir.a"),
    ({"ir/a.py": "from minijax.ir.a import x\n"}, "minijax.ir.a"),
    ({"lax/__init__.py": "import minijax.inspect\n", "inspect/__init__.py": "import minijax.lax\n"},
     "minijax.inspect minijax.lax"),
])
def test_cycles_are_caught(tmp_path, files, ring):
    assert plant(tmp_path, files) == [f"import cycle: {ring}"]


def test_a_package_may_gather_its_modules(tmp_path):
    files = {"ir/__init__.py": "from minijax.ir import a, b\nfrom minijax.ir.b import x\n", "ir/a.py": "",
             "ir/b.py": "from minijax.ir import a\n"}
    assert plant(tmp_path, files) == []


def test_two_rings_are_two_reports(tmp_path):
    files = {f"{folder}/{one}.py": f"import minijax.{folder}.{other}\n"
             for folder in ("ir", "ops") for one, other in ("ab", "ba")}
    assert plant(tmp_path, files) == [
        "import cycle: minijax.ir.a minijax.ir.b", "import cycle: minijax.ops.a minijax.ops.b"]


def test_no_module_hides_a_public_name():
    homes = set(minijax._HOMES)
    assert not homes & {path.stem for path in (ROOT / "minijax").iterdir()}


@pytest.mark.parametrize("enabled", [True, False])
def test_first_use_of_a_name_leaves_the_garbage_collector_as_it_was(enabled):
    before = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        minijax.__getattr__("grad")
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if before else gc.disable)()
