"""JAX's runtime of many processes: joining it, and moving data between its members.

Arrays go in as minijax's or anyone's.  What is gathered or broadcast comes back as NumPy arrays, as JAX gives it.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import jax
from jax.experimental import multihost_utils

from minijax import pytree
from minijax.errors import ConcretizationTypeError, DistributedError, MinijaxTypeError, MinijaxValueError
from minijax.tracing.array import Array, Tracer
from minijax.tracing.source import at_line

FIRST_NOTICE = 30  # seconds of waiting for the others after which initialize says so


# ---- joining ----

def initialize(coordinator_address: str | None = None, num_processes: int | None = None, process_id: int | None = None,
               local_device_ids: int | Sequence[int] | None = None, cluster_detection_method: str | None = None,
               initialization_timeout: int = 300, heartbeat_timeout_seconds: int = 100,
               shutdown_timeout_seconds: int = 300, coordinator_bind_address: str | None = None,
               partition_index: int | None = None, **options: Any) -> None:
    """Join the processes that run this program together; before anything else touches a device.

    Afterwards `devices()` are those of all processes, and every process makes the same calls in the same order.
    A process that dies ends the others.  The arguments may be left out where a cluster's environment tells them
    (Slurm, Open MPI, TPU).

    Args:
        coordinator_address: `host:port` of process 0, the same for all; any free port.
        num_processes, process_id: how many there are, and which this is, from 0.
        local_device_ids: which of the machine's accelerators are this process's; all, if None.
        cluster_detection_method: which environment to ask; "deactivate" for none.
        initialization_timeout: seconds to wait for the others; then the process ends with an error.
        heartbeat_timeout_seconds: seconds without a sign of life after which a process counts as dead.
        shutdown_timeout_seconds: seconds that a process which is done waits for the others.
        coordinator_bind_address: where process 0 listens, if not on all its addresses.
        partition_index: which group of connected machines the process belongs to, for accelerators that have such.
        options: further ones of the installed JAX's function of the same name.

    Raises `DistributedError` if it is too late or has been done, or if process 0 cannot listen at its address;
    `MinijaxValueError` and `MinijaxTypeError` for arguments that are missing or wrong.
    """
    if is_initialized():
        raise DistributedError(f"distributed.initialize was called before{at_line()}, and a process joins once. "
                               "Call it at the start of the program, or distributed.shutdown() first.")
    meeting = coordinator_address or os.environ.get("JAX_COORDINATOR_ADDRESS")
    if meeting:
        _, port = host_and_port("coordinator_address", meeting)
        if process_id == 0:
            require_free(coordinator_bind_address or os.environ.get("JAX_COORDINATOR_BIND_ADDRESS", f"[::]:{port}"))
    with notice(coordinator_address, num_processes, process_id, initialization_timeout):
        asked("distributed.initialize", jax.distributed.initialize,
              coordinator_address, num_processes, process_id, local_device_ids, cluster_detection_method,
              initialization_timeout, heartbeat_timeout_seconds, shutdown_timeout_seconds, coordinator_bind_address,
              partition_index=partition_index, **options)


def host_and_port(argument: str, address: str) -> tuple[str, int]:
    """The two parts of `host:port`; raises `MinijaxValueError` if there is no port in it.

    >>> host_and_port("coordinator_address", "[::1]:1234")
    ('::1', 1234)
    """
    host, _, port = address.rpartition(":")
    if not port.isdigit() or not 0 < int(port) < 2 ** 16:
        raise MinijaxValueError(f"distributed.initialize: {argument} {address!r} has no port{at_line()}. Write "
                                "'host:port', with a port from 1 to 65535 that is free on process 0's machine.")
    return host.strip("[]"), int(port)


def require_free(address: str) -> None:
    """Raise `DistributedError` unless this process can listen at `host:port`.

    To be asked first: where JAX's server cannot start it often ends the process instead of raising, and where
    another one listens the two share the port, so that neither finds its processes.
    """
    host, port = host_and_port("coordinator_bind_address", address)
    hosts = ("::", "0.0.0.0") if host in ("::", "0.0.0.0") else (host,)  # either kind of address is enough
    found = [obstacle(host, port) for host in hosts]
    if all(found):
        raise DistributedError(f"distributed.initialize: process 0 cannot listen at {address}{at_line()}: {found[-1]}. "
                               "Does another program use the port, or a run of this one that has not ended? Give all "
                               "processes another port in coordinator_address.")


def obstacle(host: str, port: int) -> OSError | None:
    """Why this process cannot listen at the port; None if it can."""
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a run that has ended is no obstacle
            probe.bind(place)
    except OSError as error:
        return error
    return None


def asked(who: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """What JAX's function returns; what it refuses is an error of ours."""
    try:
        return function(*args, **kwargs)
    except TypeError as error:
        raise MinijaxTypeError(f"{who}{at_line()}: {error}") from None
    except ValueError as error:
        raise MinijaxValueError(f"{who}{at_line()}: {error}") from None
    except RuntimeError as error:
        raise DistributedError(f"{who}{at_line()}: {error}") from None


@contextmanager
def notice(address: str | None, count: int | None, index: int | None, timeout: float) -> Iterator[None]:
    """After a while tell for whom it waits: the runtime ends a process whose time is over without a word on that."""
    wait = min(FIRST_NOTICE, timeout / 2)
    text = (f"minijax.distributed.initialize: process {index} of {count} has waited {wait:g} s for the others at "
            f"{address}, and ends after {timeout:g} s. Is each of them started, with this address and num_processes "
            "and a process_id of its own, and can it reach the address?")
    timer = threading.Timer(wait, lambda: print(text, file=sys.stderr, flush=True))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def shutdown() -> None:
    """Leave the other processes; the end of a program does so too.

    >>> shutdown()
    """
    jax.distributed.shutdown()


def is_initialized() -> bool:
    """Whether this process has joined others.

    >>> is_initialized()
    False
    """
    return jax.distributed.is_initialized()


# ---- data between processes ----

def values(who: str, tree: Any) -> Any:
    """The tree with JAX's arrays in place of ours; raises `ConcretizationTypeError` for traced ones."""
    def value(x: Any) -> Any:
        if isinstance(x, Tracer):
            raise ConcretizationTypeError(f"{who} moves data between processes now, but this value is traced ({x.type})"
                                          f"{at_line()}.\n{x.describe()}\nCall it outside of jit and grad; inside of "
                                          "programs use collectives such as lax.all_gather.")
        return x.value if isinstance(x, Array) else x

    return pytree.map(value, tree)


def broadcast_one_to_all(in_tree: Any, is_source: bool | None = None) -> Any:
    """The values that one process has, by default process 0, in all of them.

    Args:
        in_tree: a pytree of arrays, of the same shapes and dtypes in all processes.
        is_source: whether this process is the one.

    Returns the tree with NumPy arrays.  JAX's function of the same name.

    >>> broadcast_one_to_all({"seed": 3})
    {'seed': array(3)}
    """
    return multihost_utils.broadcast_one_to_all(values("broadcast_one_to_all", in_tree), is_source)


def process_allgather(in_tree: Any, tiled: bool = False) -> Any:
    """The values of all processes, in all of them.

    Args:
        in_tree: a pytree of arrays: either with a value for each process, of the same shape in all, or arrays over
            the devices of all processes (with `tiled`), whose values are fetched.
        tiled: join the values along their first axis, else along a new one.

    Returns the tree with NumPy arrays.  JAX's function of the same name.

    >>> import numpy as np
    >>> process_allgather(np.array([1, 2]))
    array([[1, 2]])
    """
    return asked("process_allgather", multihost_utils.process_allgather, values("process_allgather", in_tree), tiled)


def sync_global_devices(name: str) -> None:
    """Wait until every process has come here; raises `AssertionError` if one comes to a place of another name.

    >>> sync_global_devices("checkpoint written")
    """
    multihost_utils.sync_global_devices(name)


def assert_equal(in_tree: Any, fail_message: str = "") -> None:
    """Raise `AssertionError` unless all processes have the same values.

    >>> assert_equal({"step": 3}, "processes disagree about the step")
    """
    multihost_utils.assert_equal(values("assert_equal", in_tree), fail_message)


def reached_preemption_sync_point(step_id: int) -> bool:
    """Whether to save now since the machine is to be taken away (SIGTERM): True in the same step in all processes.

    Every process calls it in each step.  JAX's function of the same name.

    >>> reached_preemption_sync_point(0)
    False
    """
    return multihost_utils.reached_preemption_sync_point(step_id)


# ---- parts and wholes ----

def host_local_array_to_global_array(local_inputs: Any, global_mesh: Any, pspecs: Any) -> Any:
    """Arrays over a mesh of all processes' devices, of which each process passes its part.

    Args:
        local_inputs: a pytree of arrays.
        global_mesh: a mesh in which the devices of each process lie together.
        pspecs: a pytree prefix of `PartitionSpec`s for the whole arrays.

    JAX's function of the same name; `make_array_from_process_local_data` asks less of the mesh.
    """
    return converted(multihost_utils.host_local_array_to_global_array, local_inputs, global_mesh, pspecs)


def global_array_to_host_local_array(global_inputs: Any, global_mesh: Any, pspecs: Any) -> Any:
    """This process's parts of arrays over a mesh of all processes' devices: undoes the function above.

    JAX's function of the same name.
    """
    return converted(multihost_utils.global_array_to_host_local_array, global_inputs, global_mesh, pspecs)


def converted(convert: Callable[..., Any], tree: Any, mesh: Any, specs: Any) -> Any:
    """A pytree of Arrays, converted by a function of JAX's."""
    name = convert.__name__
    return pytree.map(Array, asked(name, convert, values(name, tree), mesh, specs))
