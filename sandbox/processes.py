"""Child processes that never outlive their parent: started in a group of their own, stopped gently, then firmly."""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil

PR_SET_PDEATHSIG = 1
LOOPBACK = "127.0.0.1"
LARGEST_LOG = 10 * 1024**2  # bytes

Process = subprocess.Popen[bytes]

# The kernel sends the death signal when the *thread* that forked ends, so every child is forked by one thread
# that lives as long as the interpreter, whichever short-lived thread asked for it.
_forker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="forker")
_libc = ctypes.CDLL(None)


def spawn(
    command: Sequence[str | Path],
    log: Path,
    *,
    death_signal: signal.Signals = signal.SIGTERM,
    user: int | None = None,
    environ: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: bytes = b"",
) -> Process:
    """Start `command` in its own session, its output appended to `log`, and feed it `stdin`.

    `death_signal` reaches it if this process dies without stopping it (Linux). `user` is a uid to run as.
    Raises OSError when the command can't be started.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > LARGEST_LOG:
        log.replace(log.with_suffix(".log.old"))

    def start() -> Process:
        with log.open("ab") as output:
            return subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environ,
                cwd=cwd,
                start_new_session=True,
                preexec_fn=_die_with_parent(death_signal),
                **_identity(user),
            )

    process = _forker.submit(start).result()
    assert process.stdin
    with contextlib.suppress(BrokenPipeError), process.stdin:
        process.stdin.write(stdin)
    return process


def _identity(user: int | None) -> dict[str, Any]:
    return {} if user is None else {"user": user, "group": user_group(user), "extra_groups": []}


def user_group(user: int) -> int:
    """The primary group id of a uid."""
    import pwd

    return pwd.getpwuid(user).pw_gid


def _die_with_parent(death_signal: signal.Signals) -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    parent = os.getpid()

    def ask_kernel() -> None:
        _libc.prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
        if os.getppid() != parent:  # it died between the fork and the call above
            os._exit(1)

    return ask_kernel


def stop(process: Process, gentle: signal.Signals = signal.SIGTERM, timeout: float = 10) -> None:
    """Send `gentle`, wait `timeout` seconds, then kill; whatever is left of its process group is killed too."""
    if process.poll() is None:
        process.send_signal(gentle)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def evict(is_leftover: Callable[[psutil.Process], bool], timeout: float = 10) -> None:
    """End what a crashed run left running: interrupted first, killed after `timeout` seconds."""
    leftovers = [process for process in psutil.process_iter() if _safely(is_leftover, process)]
    for gentle in (signal.SIGINT, signal.SIGKILL):
        for process in leftovers:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(gentle)
        _, leftovers = psutil.wait_procs(leftovers, timeout)


def works_in(name: str, folder: Path) -> Callable[[psutil.Process], bool]:
    """Whether a process is the program `name` with `folder` as its working directory."""
    return lambda process: process.name() == name and Path(process.cwd()) == folder


def started_with(variable: str, value: str) -> Callable[[psutil.Process], bool]:
    """Whether a process was started with this environment variable."""
    return lambda process: process.environ().get(variable) == value


def _safely(test: Callable[[psutil.Process], bool], process: psutil.Process) -> bool:
    try:
        return test(process)
    except (psutil.Error, OSError):  # gone meanwhile, or somebody else's
        return False


def free_port() -> int:
    """A TCP port nobody on loopback listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def port_is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port; a closed connection's TIME_WAIT doesn't count."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log, for an error message; empty when there is none."""
    if not log.exists():
        return ""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
