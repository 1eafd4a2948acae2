"""`make run` on a machine where things go wrong: killed, started twice, its port taken."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from sandbox import processes, supervisor
from sandbox.processes import LOOPBACK

PATIENCE = 90  # seconds


class Instance:
    """One `make run`, without the set-up step, on a state folder and port of its own."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.port = processes.free_port()
        self.url = f"http://{LOOPBACK}:{self.port}"

    def start(self) -> subprocess.Popen[str]:
        given = {"PORT": str(self.port), "RAPPORT_STATE": str(self.state)}
        inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        return subprocess.Popen(
            [sys.executable, "-m", "sandbox.supervisor"],
            cwd=supervisor.ROOT,
            env=inherited | given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def start_and_wait(self) -> subprocess.Popen[str]:
        process = self.start()
        assert process.stdout
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line == f"Rapport is ready: {self.url}\n":
                return process
        pytest.fail("".join(lines))

    def processes(self) -> list[psutil.Process]:
        """Everything that runs for this instance, the supervisor aside."""
        marked = processes.started_with(supervisor.MARK, str(self.state))
        return [process for process in psutil.process_iter() if self.belongs(process, marked)]

    def belongs(self, process: psutil.Process, marked) -> bool:  # type: ignore[no-untyped-def]
        try:
            return marked(process) or Path(process.cwd()).is_relative_to(self.state)
        except (psutil.Error, OSError):
            return False


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[Instance]:
    instance = Instance(tmp_path / "state")
    yield instance
    for process in instance.processes():
        process.kill()


def interrupt(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=PATIENCE) == 0


@pytest.mark.timeout(300)
def test_runs_and_leaves_nothing_behind(instance: Instance) -> None:
    running = instance.start_and_wait()
    ready_file = instance.state / "sandbox.json"
    assert stat.S_IMODE(ready_file.stat().st_mode) == 0o600
    assert json.loads(ready_file.read_text())["base_url"] == instance.url
    assert httpx.get(f"{instance.url}/readyz").status_code == httpx.codes.OK

    second = instance.start()
    said, _ = second.communicate(timeout=PATIENCE)
    assert second.returncode == 1
    assert "in use by another running Rapport" in said
    assert ready_file.exists()

    interrupt(running)
    assert instance.processes() == []
    assert not ready_file.exists()


@pytest.mark.timeout(300)
def test_starts_again_after_everything_was_killed_in_the_worst_order(instance: Instance) -> None:
    first = instance.start_and_wait()
    web = [process for process in instance.processes() if "granian" in " ".join(process.cmdline())]
    min(web, key=psutil.Process.create_time).kill()  # the parent: its workers would go on serving the port
    first.kill()
    first.wait()
    interrupt(instance.start_and_wait())
    assert instance.processes() == []


def test_says_which_port_is_taken(instance: Instance) -> None:
    with socket.create_server((LOOPBACK, instance.port)):
        process = instance.start()
        said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert f"Port {instance.port} is in use" in said
    assert instance.processes() == []


def test_the_procfile_names_what_run_needs() -> None:
    assert supervisor.read_procfile().keys() == {"web", "worker", "clock", "release"}


def test_generated_secrets_stay_the_same_and_private(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    first = supervisor.stored(path, supervisor.generated_secrets())
    assert supervisor.stored(path, supervisor.generated_secrets()) == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_child_that_dies_is_replaced_together_with_what_it_had_started(tmp_path: Path) -> None:
    child = supervisor.Child("shell", ["sh", "-c", "sleep 62 & wait"], dict(os.environ), tmp_path)
    child.start()
    first = psutil.Process(child.process.pid)
    while not first.children():
        time.sleep(0.01)
    grandchildren = first.children()
    first.kill()
    child.process.wait()
    child.keep_alive()
    assert child.running
    assert child.process.pid != first.pid
    assert psutil.wait_procs(grandchildren, timeout=5)[1] == []
    child.stop()
