"""Several processes that run one program: what they do together, and what becomes of the others when one fails."""

import os
import runpy
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import minijax
from minijax.errors import DistributedError, MinijaxValueError

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples/two_processes.py"
LIMIT = 300  # seconds after which a test gives a process up: a hang, however slow the machine


def free_address():
    """An address on this machine where nobody listens."""
    with socket.socket() as found:
        found.bind(("localhost", 0))
        return f"localhost:{found.getsockname()[1]}"


class Processes:
    """The processes `indices` of `count`, each with two devices; what they print goes to files."""

    def __init__(self, folder, role, indices, count):
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu",
                       "XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
        address = free_address()
        self.files = [folder / f"{role}{i}" for i in indices]
        self.started = []
        for i, path in zip(indices, self.files):
            command = [sys.executable, str(ROOT / "tests/process_worker.py"), role, str(i), str(count), address]
            with path.open("wb") as file:
                self.started.append(subprocess.Popen(command, stdout=file, stderr=file, env=environment))

    def ends(self):
        """The exit status and the text of each."""
        try:
            codes = [process.wait(LIMIT) for process in self.started]
        finally:
            for process in self.started:
                process.kill()
                process.wait()
        return [(code, path.read_text(errors="replace")) for code, path in zip(codes, self.files, strict=True)]


@pytest.mark.parametrize("count", [2, 4])
def test_together(tmp_path, count):
    for code, text in Processes(tmp_path, "together", range(count), count).ends():
        assert code == 0 and "end of together" in text, text


def test_faults_end_the_others(tmp_path):
    """A process that is killed, fails, or never starts, ends the others with an error that says so."""
    alone = [Processes(tmp_path, "waits", [i], 2) for i in (0, 1)]
    failing = Processes(tmp_path, "raises", range(2), 2)
    for role, killed in (("first_dies", 0), ("last_dies", 1)):
        ends = Processes(tmp_path, role, range(2), 2).ends()
        assert ends[killed][0] == -9
        code, text = ends[1 - killed]
        assert code not in (0, -9) and "step 0" in text and "end of" not in text, text
        assert "another task died" in text or "Gloo" in text, text
    (first, reason), (second, text) = failing.ends()
    assert first and second and "an error of its own" in reason, reason
    assert "another task died" in text or "Gloo" in text, text
    for i, processes in enumerate(alone):
        (code, text), = processes.ends()
        assert code not in (0, -9) and "end of" not in text, text
        assert f"process {i} of 2 has waited 2.5 s for the others at localhost:" in text, text
        assert "Terminating process" in text


def test_example(tmp_path):
    """examples/two_processes.py trains as one process does."""
    done = subprocess.run([sys.executable, str(EXAMPLE), "--steps", "20", "--devices", "2"], cwd=tmp_path,
                          capture_output=True, text=True, timeout=LIMIT)
    assert done.returncode == 0, done.stderr
    assert "2 processes with 4 devices" in done.stdout and "step 20 of 20" in done.stdout
    assert "all processes hold the same parameters; largest difference from one process:" in done.stdout


@pytest.mark.parametrize("arguments, status, text", [
    (["--help"], 0, "several processes"),
    (["--processes", "7"], 2, "divisible by processes x devices"),
    (["--steps", "0"], 2, "at least 1"),
])
def test_example_options(monkeypatch, capsys, arguments, status, text):
    main = runpy.run_path(str(EXAMPLE), run_name="example")["main"]
    monkeypatch.setattr(sys, "argv", ["two_processes.py", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == status
    assert text in "".join(capsys.readouterr())


def test_joining_too_late_or_wrong():
    minijax.devices()
    with pytest.raises(DistributedError, match="must be called before"):
        minijax.distributed.initialize(free_address(), 1, 0)
    assert not minijax.distributed.is_initialized()
    for address in ("localhost", "localhost:", "localhost:0", "localhost:65536", "localhost:http"):
        with pytest.raises(MinijaxValueError, match=f"'{address}' has no port.*test_processes.py"):
            minijax.distributed.initialize(address, 2, 0)
    script = """if True:
        import minijax
        try:
            minijax.distributed.initialize("localhost:1", 2, 5)
        except minijax.errors.MinijaxValueError as error:
            print(error)"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=LIMIT,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 0 and "process_id=5, num_processes=2" in done.stdout, done


@pytest.mark.parametrize("host", ["", "localhost"])
def test_taken_port(host, monkeypatch):
    """Process 0 says so before JAX's server tries, which ends the process or shares the port."""
    here = "cannot listen at .*test_processes.py.*: .*Address already in use.*another port"
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)  # as JAX's own server does
        taken.bind((host, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(DistributedError, match=here):
            minijax.distributed.initialize(f"localhost:{port}", 2, 0)
        with pytest.raises(DistributedError, match=here):
            minijax.distributed.initialize("elsewhere:1234", 2, 0, coordinator_bind_address=f"127.0.0.1:{port}")
        monkeypatch.setenv("JAX_COORDINATOR_ADDRESS", f"localhost:{port}")
        with pytest.raises(DistributedError, match=here):
            minijax.distributed.initialize(num_processes=2, process_id=0)
        monkeypatch.setenv("JAX_COORDINATOR_BIND_ADDRESS", "0.0.0.0:no")
        with pytest.raises(MinijaxValueError, match="coordinator_bind_address '0.0.0.0:no' has no port"):
            minijax.distributed.initialize(num_processes=2, process_id=0)
    minijax.devices()
    with pytest.raises(DistributedError, match="must be called before"):  # the port is free again
        minijax.distributed.initialize(f"localhost:{port}", 2, 0, coordinator_bind_address=f"[::]:{port}")


def test_unknown_host():
    with pytest.raises(DistributedError, match="cannot listen at nowhere.invalid:1234"):
        minijax.distributed.initialize("localhost:1234", 2, 0, coordinator_bind_address="nowhere.invalid:1234")
