"""What the main job prints: the programs, and how the training went."""

from __future__ import annotations

import numpy as np

import minijax
import minijax.numpy as jnp
from minijax import Jaxpr, ShapeDtypeStruct, grad, ir, jit, make_jaxpr, optimize, random, tree_util
from minijax.demo import model
from minijax.demo.digits import Digits
from minijax.demo.train import Trained

NAMES = ("params", "images", "targets")
EXAMPLES = 4  # a small batch, so that the shapes are easy to read


def small_batch() -> tuple[model.Parameters, ShapeDtypeStruct, ShapeDtypeStruct]:
    """Arguments of the loss that have a type but no values."""
    params = minijax.eval_shape(model.init, random.key(0))
    return params, ShapeDtypeStruct((EXAMPLES, 64), jnp.float32), ShapeDtypeStruct((EXAMPLES, 10), jnp.float32)


def print_programs(everything: bool) -> None:
    """Print the loss and its gradient as programs; with `everything`, where each line came from, and the StableHLO."""
    batch = small_batch()
    paths = tree_util.tree_flatten_with_path(batch)[0]
    inputs = ", ".join(NAMES[path[0].idx] + tree_util.keystr(path[1:]) for path, _ in paths)
    print(f"The inputs of both programs, for {EXAMPLES} examples:\n{inputs}\n")
    print_program("loss", make_jaxpr(model.loss)(*batch), everything)
    print_program("grad(loss)", make_jaxpr(grad(model.loss))(*batch), everything)
    if everything:
        print(f"--- grad(loss) in StableHLO, which XLA compiles\n\n{jit(grad(model.loss)).lower(*batch).as_text()}")


def print_program(title: str, program: Jaxpr, everything: bool) -> None:
    """Print a program without its dead code, and with what is constant computed."""
    simple = ir.dce(optimize.fold(program))
    print(f"--- {title}: {len(simple.eqns)} equations\n\n{simple.pretty_print(source=everything)}\n")


def print_training(digits: Digits, trained: Trained) -> None:
    """Print losses and times."""
    steps = len(trained.losses)
    print(f"loss {trained.losses[0]:.3f} at the start, {np.mean(trained.losses[-20:]):.4f} at the end"
          f" ({steps} steps, {len(digits.labels)} digits to train with)")
    rest = f", {1e3 * trained.other_steps / (steps - 1):.2f} ms for each of the others" if steps > 1 else ""
    print(f"{trained.first_step:.2f} s for the first step (with compiling){rest}")


def held_out_accuracy(digits: Digits, params: model.Parameters) -> float:
    """The fraction of held-out digits that the network knows."""
    return float(jit(model.accuracy)(params, digits.test_images, digits.test_labels))
