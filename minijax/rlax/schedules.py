"""Numbers that change as training goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import minijax.numpy as jnp
from minijax.errors import MinijaxValueError
from minijax.tracing.source import at_line


def polynomial_schedule(init_value: Any, end_value: Any, power: Any, transition_steps: int,
                        transition_begin: int = 0) -> Callable[[Any], Any]:
    """A function of the count of steps that goes from one value to another.

        value(count) = (init - end) (1 - passed / transition_steps)**power + end
        passed = count - transition_begin, moved into [0, transition_steps]

        count     0 ... transition_begin ....... transition_begin + transition_steps ...
        value     init        init        falls                  end

    `power` 1 is a straight line.  Raises `MinijaxValueError` for `transition_steps` below 1.
    (RLax of 2020; its place today is Optax.)

    >>> epsilon = polynomial_schedule(1.0, 0.0, power=1.0, transition_steps=4)
    >>> print(epsilon(0), epsilon(1), epsilon(9))
    1.0 0.75 0.0
    """
    if transition_steps < 1:
        raise MinijaxValueError(f"rlax.polynomial_schedule: transition_steps={transition_steps}{at_line()}. "
                                "Give it at least 1 step to change in, or use the one value.")

    def value(count: Any) -> Any:
        passed = jnp.clip(count - transition_begin, 0, transition_steps)
        return (init_value - end_value) * (1 - passed / transition_steps) ** power + end_value

    return value
