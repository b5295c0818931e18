"""Devices for programs that want several."""

from __future__ import annotations

import os
from typing import Any

import minijax


def devices_of(wanted: int) -> list[Any]:
    """So many devices: of the accelerators if they suffice, else of this CPU, which counts as many as are wanted.

    Fewer if devices were asked for before, or XLA_FLAGS says another number.

    >>> len(devices_of(1))
    1
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if "xla_force_host_platform_device_count" not in flags:  # read when devices are first asked for
        os.environ["XLA_FLAGS"] = f"{flags} --xla_force_host_platform_device_count={wanted}"
    found = minijax.devices() if minijax.device_count() >= wanted else minijax.devices("cpu")
    return list(found[:wanted])
