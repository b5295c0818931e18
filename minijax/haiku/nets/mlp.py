"""MLP: Linear layers with an activation between them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from minijax import nn
from minijax.haiku.linear import Linear
from minijax.haiku.functions import dropout
from minijax.haiku.keys import PRNGSequence
from minijax.haiku.module import Module
from minijax.haiku.refusals import refusal

__all__ = ["MLP"]


class MLP(Module):
    """A multi-layer perceptron: Linear layers of these sizes with an activation after each but the last.

    Parameters: those of the layers, `~/linear_0`, `~/linear_1` and so on.  Inputs have shape [..., input_size].

    >>> import minijax.haiku as hk
    >>> import minijax.numpy as jnp
    >>> from minijax import random
    >>> f = hk.transform(lambda x: hk.nets.MLP([300, 10])(x))
    >>> params = f.init(random.key(0), jnp.ones((1, 4)))
    >>> params["mlp/~/linear_1"]["w"].shape
    (300, 10)
    """

    def __init__(self, output_sizes: Iterable[int], w_init: Any = None, b_init: Any = None, with_bias: bool = True,
                 activation: Callable[[Any], Any] = nn.relu, activate_final: bool = False, name: str | None = None):
        """One layer for each of `output_sizes`; the initializers `f(shape, dtype)` go to every layer.

        `activate_final` has the activation after the last layer too.  Raises `MinijaxValueError` for a `b_init`
        without bias.
        """
        super().__init__(name=name)
        if not with_bias and b_init is not None:
            raise refusal(self, "When with_bias=False b_init must not be set", "Leave b_init out.")
        self.with_bias = with_bias
        self.w_init = w_init
        self.b_init = b_init
        self.activation = activation
        self.activate_final = activate_final
        self.layers = tuple(Linear(size, with_bias, w_init, b_init, name=f"linear_{index}")
                            for index, size in enumerate(output_sizes))
        self.output_size = self.layers[-1].output_size if self.layers else None

    def __call__(self, inputs: Any, dropout_rate: float | None = None, rng: Any = None) -> Any:
        """The outputs, of shape [..., output_size]; a `dropout_rate` needs a random key `rng`.

        Dropout comes before each activation, with a key for each.  Raises `MinijaxValueError` for a rate without a
        key, and for a key without a rate.
        """
        if dropout_rate is not None and rng is None:
            raise refusal(self, f"When using dropout an rng key must be passed; dropout_rate={dropout_rate}",
                          "Pass rng=hk.next_rng_key().")
        if dropout_rate is None and rng is not None:
            raise refusal(self, "An rng should only be passed when using dropout, and there is no dropout_rate",
                          "Pass a dropout_rate, or no rng.")
        keys = None if rng is None else PRNGSequence(rng)
        x = inputs
        for index, layer in enumerate(self.layers):
            x = layer(x)
            if index < len(self.layers) - 1 or self.activate_final:
                x = self.activation(x if keys is None else dropout(next(keys), dropout_rate, x))
        return x

    def reverse(self, activate_final: bool | None = None, name: str | None = None) -> MLP:
        """A new MLP that goes back, from the outputs' size to the inputs'; it shares no parameters with this one.

        It has the settings of this one, but for `activate_final` and `name` (by default this name and "_reversed").
        Raises `MinijaxValueError` before the first call, when the size of the inputs is not known yet.
        """
        sizes = [layer.input_size for layer in reversed(self.layers)]
        if None in sizes:
            raise refusal(self, "You cannot reverse an MLP until it has been called: the size of its inputs is "
                          "not known", "Call it first.")
        return MLP(sizes, self.w_init, self.b_init, self.with_bias, self.activation,
                   self.activate_final if activate_final is None else activate_final,
                   name=f"{self.name}_reversed" if name is None else name)
