"""Many processes that run one program together, each with devices of its own.

    initialize(...)     join the others; before anything touches a device
    shutdown()          leave them
    is_initialized()    whether this process has joined

The helpers that move data between processes are in `minijax.experimental.multihost_utils`.
"""

from minijax.interop.processes import initialize, is_initialized, shutdown

__all__ = ["initialize", "is_initialized", "shutdown"]
