"""One of the processes that tests/test_processes.py starts: `process_worker.py ROLE INDEX COUNT ADDRESS`."""

import os
import signal
import sys

import numpy as np

import minijax
import minijax.numpy as jnp
from minijax import lax
from minijax.errors import DistributedError, MinijaxError
from minijax.experimental import multihost_utils
from minijax.sharding import NamedSharding, P

ROLE, INDEX, COUNT, ADDRESS = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
LOCAL = 2  # devices of each process
ALL = COUNT * LOCAL
OWN = slice(INDEX * LOCAL, (INDEX + 1) * LOCAL)  # this process's rows of an array with one for each device


def same(found, expected):
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), rtol=1e-6, atol=1e-6)


def gathered(x):
    """The values of an array over all processes."""
    return multihost_utils.process_allgather(x, tiled=True)


def refused(error, text, f, *args, **kwargs):
    try:
        f(*args, **kwargs)
    except error as found:
        assert isinstance(found, MinijaxError) and text in str(found), found
    else:
        raise AssertionError(f"nothing was raised, not {text!r}")


def over_devices(spec):
    return NamedSharding(minijax.make_mesh((ALL,), ("i",)), spec)


# ---- what works ----

def membership():
    assert minijax.distributed.is_initialized()
    assert (minijax.process_index(), minijax.process_count()) == (INDEX, COUNT)
    assert minijax.process_indices() == [*range(COUNT)]
    assert (minijax.device_count(), minijax.local_device_count()) == (ALL, LOCAL)
    assert [d.process_index for d in minijax.devices()] == [i for i in range(COUNT) for _ in range(LOCAL)]
    assert minijax.local_devices() == minijax.devices()[OWN]
    assert minijax.local_devices(process_index=COUNT - 1) == minijax.devices()[-LOCAL:]
    refused(DistributedError, "called before", minijax.distributed.initialize, ADDRESS, COUNT, INDEX)


def arrays_from_pieces():
    rows, whole = over_devices(P("i")), np.arange(ALL * 6.0, dtype="float32").reshape(2 * ALL, 3)
    mine = whole[2 * OWN.start:2 * OWN.stop]
    blocks = [jnp.asarray(mine[:2]), jnp.asarray(mine[2:])]
    asked = []
    made = [minijax.make_array_from_process_local_data(rows, mine),
            minijax.make_array_from_process_local_data(rows, jnp.asarray(mine), whole.shape),
            minijax.make_array_from_callback(whole.shape, rows, lambda index: asked.append(index) or whole[index]),
            minijax.make_array_from_single_device_arrays(
                whole.shape, rows, [minijax.device_put(x, d) for x, d in zip(blocks, minijax.local_devices())])]
    assert len(asked) == LOCAL
    for x in made:
        assert type(x) is minijax.Array and x.shape == whole.shape and not x.is_fully_addressable
        same(gathered(x), whole)
        for shard in x.addressable_shards:
            same(shard.data, whole[shard.index])
    x = made[0]
    assert repr(x) == f"Array(<with {COUNT} processes>, shape=({2 * ALL}, 3), dtype=float32)" == str(x)
    refused(DistributedError, "process_allgather", np.asarray, x)
    refused(DistributedError, "process_allgather", x.tolist)
    words = minijax.make_array_from_process_local_data(rows, np.zeros((LOCAL, 2), "uint32"))
    keys = minijax.random.wrap_key_data(words)
    assert str(keys).startswith(f"Array(<with {COUNT} processes>, shape=({ALL},)"), str(keys)
    refused(DistributedError, "process_allgather", np.asarray, keys)
    refused(ValueError, "make_array_from_process_local_data", minijax.make_array_from_process_local_data, rows, mine,
            (2 * ALL, 4))
    return x, whole


def whole_arrays(x, whole):
    """Programs over arrays that lie with all processes: compiled, eager, and cut along a mesh by hand."""
    total = minijax.jit(lambda x: (x * 2).sum())(x)
    assert total.is_fully_replicated and repr(total) == f"Array({2 * whole.sum():.0f}., dtype=float32)"
    same(total, 2 * whole.sum())
    same(gathered(jnp.sin(x) + 1), np.sin(whole) + 1)
    right = [(i, (i + 1) % ALL) for i in range(ALL)]

    def body(x):
        return (lax.psum(x.sum(), "i"), lax.all_gather(x[0], "i"), lax.ppermute(x, "i", right),
                lax.axis_index("i")[None])

    total, firsts, turned, index = minijax.shard_map(
        body, mesh=minijax.make_mesh((ALL,), ("i",)), in_specs=P("i"), out_specs=(P(), P("i"), P("i"), P("i")))(x)
    same(total, whole.sum())
    same(gathered(firsts), np.tile(whole[::2], (ALL, 1)))
    same(gathered(turned), np.roll(whole, 2, axis=0))
    same(gathered(index), np.arange(ALL))
    same(gathered(minijax.device_put(whole, over_devices(P("i")))), whole)


def mapped_parts():
    """`pmap`: each process passes and gets the part of its own devices."""
    whole = np.random.default_rng(0).normal(size=(ALL, 3)).astype("float32")
    scale, right = np.float32(3), [(i, (i + 1) % ALL) for i in range(ALL)]

    def f(x, scale, flag=True):
        assert flag
        return {"sum": lax.psum(x * scale, "i"), "all": lax.all_gather(x, "i"), "next": lax.ppermute(x, "i", right),
                "index": lax.axis_index("i"), "size": lax.psum(1, "i"), "mean": lax.pmean(x, "i")}

    out_axes = {"sum": 0, "all": 0, "next": 0, "index": 0, "size": 0, "mean": None}
    mapped = minijax.pmap(f, "i", in_axes=(0, None), out_axes=out_axes)
    for mine in (whole[OWN], jnp.asarray(whole[OWN]), minijax.pmap(lambda x: x + 0)(whole[OWN])):
        out = mapped(mine, scale)
        assert all(type(y) is minijax.Array and y.is_fully_addressable for y in out.values())
        same(out["sum"], np.tile(whole.sum(0) * 3, (LOCAL, 1)))
        same(out["all"], np.tile(whole, (LOCAL, 1, 1)))
        same(out["next"], np.roll(whole, 1, axis=0)[OWN])
        same(out["index"], np.arange(ALL)[OWN])
        same(out["size"], [ALL] * LOCAL)
        same(out["mean"], whole.mean(0))
    same(mapped(whole[OWN], out["mean"])["sum"], np.tile((whole * whole.mean(0)).sum(0), (LOCAL, 1)))
    same(mapped(whole[OWN], 2.0)["sum"], np.tile(whole.sum(0) * 2, (LOCAL, 1)))
    columns = minijax.pmap(lambda x: lax.psum(x, "i") - x, "i", in_axes=1, out_axes=1)
    same(columns(whole[OWN].T), (whole.sum(0) - whole[OWN]).T)
    here = minijax.pmap(lambda x: lax.psum(x, "i"), "i", devices=minijax.local_devices())
    same(here(whole[OWN]), np.tile(whole[OWN].sum(0), (LOCAL, 1)))
    same(minijax.pmap(lambda: lax.axis_index("i"), "i", axis_size=ALL)(), np.arange(ALL)[OWN])
    refused(ValueError, f"processes have {ALL} devices", mapped, whole[OWN][:1], scale)
    refused(ValueError, f"processes have {ALL} devices", minijax.jit(mapped), whole[OWN], scale)


def training():
    """The gradient of a data-parallel loss, and steps along it, equal those of one process."""
    data = np.random.default_rng(1)
    images, labels = data.normal(size=(4 * ALL, 5)).astype("float32"), data.normal(size=4 * ALL).astype("float32")
    params = {"w": np.linspace(-1, 1, 5, dtype="float32"), "b": np.float32(0.5)}
    mine = slice(4 * OWN.start, 4 * OWN.stop)

    def loss(params, images, labels):
        return ((jnp.tanh(images @ params["w"] + params["b"]) - labels) ** 2).mean()

    expected = minijax.value_and_grad(loss)(params, images, labels)
    rows = over_devices(P("i"))
    batch = [minijax.make_array_from_process_local_data(rows, x[mine]) for x in (images, labels)]

    def blocks(params, images, labels):
        return minijax.value_and_grad(lambda p: lax.pmean(loss(p, images, labels), "i"))(params)

    def each(params, images, labels):
        return lax.pmean(minijax.value_and_grad(loss)(params, images, labels), "i")

    found = [minijax.jit(minijax.value_and_grad(loss))(params, *batch),
             minijax.value_and_grad(loss)(params, *batch),
             minijax.shard_map(blocks, mesh=rows.mesh, in_specs=(P(), P("i"), P("i")), out_specs=P())(params, *batch),
             minijax.pmap(each, "i", in_axes=(None, 0, 0), out_axes=None)(
                 params, images[mine].reshape(LOCAL, 4, 5), labels[mine].reshape(LOCAL, 4))]
    for value, grads in found:
        same(value, expected[0])
        minijax.tree.map(same, grads, expected[1])


def helpers():
    tree = {"a": np.arange(2) + INDEX, "b": jnp.float32(INDEX)}
    broadcast = multihost_utils.broadcast_one_to_all(tree)
    same(broadcast["a"], [0, 1])
    same(broadcast["b"], 0)
    same(multihost_utils.broadcast_one_to_all(tree, is_source=INDEX == COUNT - 1)["b"], COUNT - 1)
    everyone = multihost_utils.process_allgather(tree)
    assert type(everyone["a"]) is np.ndarray
    same(everyone["a"], [[i, i + 1] for i in range(COUNT)])
    same(everyone["b"], np.arange(COUNT))
    same(multihost_utils.process_allgather(tree["a"], tiled=True), [k for i in range(COUNT) for k in (i, i + 1)])
    multihost_utils.sync_global_devices("here")
    multihost_utils.assert_equal(jnp.ones(2))
    try:
        multihost_utils.assert_equal(tree, "not the same")
    except AssertionError as error:
        assert "not the same" in str(error)
    else:
        raise AssertionError("unequal trees passed")
    mesh = over_devices(P("i")).mesh
    whole = multihost_utils.host_local_array_to_global_array(tree["a"], mesh, P("i"))
    assert type(whole) is minijax.Array and whole.shape == (ALL,)
    part = multihost_utils.global_array_to_host_local_array(whole, mesh, P("i"))
    same(part, tree["a"])
    assert not multihost_utils.reached_preemption_sync_point(0)
    refused(TypeError, "lax.all_gather", minijax.jit(multihost_utils.process_allgather), jnp.ones(2))


def together():
    """Everything that works; getting public names before joining touches no device."""
    for name in minijax.__all__:
        getattr(minijax, name)
    assert not minijax.distributed.is_initialized()
    minijax.distributed.initialize(ADDRESS, COUNT, INDEX)
    membership()
    whole_arrays(*arrays_from_pieces())
    mapped_parts()
    training()
    helpers()
    minijax.distributed.shutdown()
    assert not minijax.distributed.is_initialized()


# ---- faults ----

def dies(number):
    """A process is killed between two steps; the others must not wait for it for ever."""
    minijax.distributed.initialize(ADDRESS, COUNT, INDEX, heartbeat_timeout_seconds=10)
    total = minijax.pmap(lambda x: lax.psum(x, "i"), "i")
    for step in range(1000):
        np.asarray(total(np.ones(LOCAL)))
        print("step", step, flush=True)
        if INDEX == number:
            os.kill(os.getpid(), signal.SIGKILL)


def raises():
    """Process 0 ends with an error of its own, while the others wait for it."""
    minijax.distributed.initialize(ADDRESS, COUNT, INDEX, shutdown_timeout_seconds=5)
    if INDEX == 0:
        raise ValueError("an error of its own")
    multihost_utils.sync_global_devices("never reached by all")


def waits():
    """For a process that never starts."""
    minijax.distributed.initialize(ADDRESS, COUNT, INDEX, initialization_timeout=5)


{"together": together, "first_dies": lambda: dies(0), "last_dies": lambda: dies(COUNT - 1), "raises": raises,
 "waits": waits}[ROLE]()
print("end of", ROLE, flush=True)
