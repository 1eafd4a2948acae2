"""`make run`: everything a demo needs on this machine, started in order, kept alive, and stopped without a trace.

    services → release → sandbox store → web → worker → clock → demo seed → everybody at work

What web, worker, clock and release are is read from the Procfile, so that a demo runs what a deployment runs.
"""

import base64
import contextlib
import json
import os
import secrets
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx

from sandbox import processes
from sandbox.apple import authority
from sandbox.google import account
from sandbox.processes import LOOPBACK
from sandbox.services import ServiceError, Services, StateBusyError

ROOT = Path(__file__).parents[1]
DEMO_SHOP = "rapport-demo.myshopify.com"

# Marks every process of an instance with its state folder, so that the next start finds what a crash left running.
MARK = "RAPPORT_SUPERVISED"

READY_TIMEOUT = 60  # seconds for one process to answer for the first time
PORT_TIMEOUT = 5  # seconds for a killed predecessor to let go of its port
STEADY = 30  # seconds of running after which the next restart is at once again
SLOWEST_RESTART = 10  # seconds between restarts of a process that keeps dying


class StartError(RuntimeError):
    """Something `make run` needs can't start; the message says what and shows the end of its log."""


class Child:
    """One long-running process, restarted when it dies: at once, then ever more slowly while it keeps dying."""

    def __init__(self, name: str, command: list[str], environ: Mapping[str, str], logs: Path) -> None:
        self.name = name
        self.command = command
        self.environ = environ
        self.log = logs / f"{name}.log"
        self.pause = 0.5
        self.retry_at = 0.0

    def start(self) -> None:
        self.process = processes.spawn(self.command, self.log, environ=self.environ, cwd=ROOT)
        self.started_at = time.monotonic()

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def stop(self) -> None:
        processes.stop(self.process)

    def wait_until(self, url: str) -> None:
        """Wait for 200 from `url`. Raises StartError when the process ends first or takes too long."""
        while self.running and time.monotonic() < self.started_at + READY_TIMEOUT:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(url, timeout=5, trust_env=False).status_code == httpx.codes.OK:
                    return
            time.sleep(0.05)
        raise StartError(f"{self.name} did not become ready. The end of {self.log}:\n{processes.tail(self.log)}")

    def keep_alive(self) -> None:
        now = time.monotonic()
        if self.running or now < self.retry_at:
            return
        if now - self.started_at > STEADY:
            self.pause = 0.5
        say(f"{self.name} ended with {self.process.returncode}; starting it again")
        self.stop()  # what it had started itself would go on serving beside its successor
        self.start()
        self.retry_at, self.pause = now + self.pause, min(self.pause * 2, SLOWEST_RESTART)


def say(message: str) -> None:
    print(message, flush=True)


def read_procfile() -> dict[str, list[str]]:
    """Process type → command, run by a shell that expands `${PORT:-5000}` and then gives way to the program."""
    lines = (ROOT / "Procfile").read_text().splitlines()
    pairs = (line.partition(":") for line in lines if line.strip() and not line.startswith("#"))
    return {name: ["sh", "-c", f"exec {command.strip()}"] for name, _, command in pairs}


def generated_secrets() -> dict[str, str]:
    return {
        "SECRET_KEY": secrets.token_urlsafe(32),
        "ENCRYPTION_KEYS": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "SHOPIFY_API_KEY": secrets.token_hex(16),
        "SHOPIFY_API_SECRET": f"shpss_{secrets.token_hex(16)}",
        "STRIPE_SECRET_KEY": f"sk_test_{secrets.token_hex(24)}",
        "STRIPE_WEBHOOK_SECRETS": f"whsec_{secrets.token_hex(16)}",
    }


def stored(path: Path, fresh: Mapping[str, str]) -> dict[str, str]:
    """The values kept in a JSON file since the first run, completed with `fresh` ones for names it lacks."""
    values = dict(fresh) | (json.loads(path.read_text()) if path.exists() else {})
    write_privately(path, json.dumps(values, indent=2))
    return values


def write_privately(path: Path, text: str) -> None:
    """Replace a file in one step, readable by its owner only."""
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    draft.write_text(text)
    draft.replace(path)


def wait_for_port(port: int) -> None:
    deadline = time.monotonic() + PORT_TIMEOUT
    while not processes.port_is_free(port):
        if time.monotonic() > deadline:
            raise StartError(f"Port {port} is in use by another program. Choose another: make run PORT={port + 1}")
        time.sleep(0.1)


def port_of(name: str, state: Path) -> int:
    """The port of the last run while it is free, so that an open browser tab survives a restart."""
    path = state / f"{name}.port"
    remembered = int(path.read_text()) if path.exists() else 0
    if not remembered or not processes.port_is_free(remembered):
        remembered = processes.free_port()
        path.write_text(str(remembered))
    return remembered


def environment(services: Services, port: int) -> dict[str, str]:
    """What every process is given on top of our own environment, whose secrets win over the generated ones."""
    state = services.state
    sandbox_url = f"http://{LOOPBACK}:{port_of('sandbox', state)}"
    push_url = f"https://{LOOPBACK}:{port_of('pushes', state)}"
    generated = stored(state / "secrets.json", generated_secrets())
    return {
        **{name: os.environ.get(name) or value for name, value in generated.items()},
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        "PYTHONUNBUFFERED": "1",
        "RAPPORT_ENV": "development",
        "RAPPORT_STATE": str(state),
        "PORT": str(port),
        "APP_URL": f"http://{LOOPBACK}:{port}",
        "DATABASE_URL": services.database_url,
        "REDIS_URL": services.redis_url,
        "SHOPIFY_STORE_URL": f"{sandbox_url}/{{shop}}",
        "SHOPIFY_APP_BRIDGE_URL": f"{sandbox_url}/app-bridge.js",
        "SANDBOX_URL": sandbox_url,
        "DEMO_SHOP": DEMO_SHOP,
        **authority.files(state / "apple").settings(push_url),
        **account.account(state / "google").settings(sandbox_url),
        "STRIPE_URL": f"{sandbox_url}/stripe",
        "SMTP_HOST": LOOPBACK,
        "SMTP_PORT": str(port_of("mail", state)),
        "SMTP_SECURITY": "none",
        "MAIL_FROM": "rewards@rapport.example",
        "KLAVIYO_URL": f"{sandbox_url}/klaviyo",
        "PROMETHEUS_MULTIPROC_DIR": str(emptied(state / "metrics")),
    }


def emptied(folder: Path) -> Path:
    """The processes' counters begin anew with each start."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


class Supervisor:
    """One running Rapport. `stack` holds what must be undone, in reverse order of starting."""

    def __init__(self, state: Path, port: int, stack: contextlib.ExitStack) -> None:
        self.services = Services(state)
        self.ready_file = state / "sandbox.json"
        self.environment_file = state / "environment"
        self.port = port
        self.stack = stack
        self.children: list[Child] = []

    def start(self) -> None:
        """Start everything in order. Raises StartError, ServiceError or StateBusyError."""
        say("Starting PostgreSQL and Valkey")
        self.stack.enter_context(self.services)
        for path in (self.ready_file, self.environment_file):
            path.unlink(missing_ok=True)
            self.stack.callback(path.unlink, missing_ok=True)
        mark = str(self.services.state)
        processes.evict(processes.started_with(MARK, mark), timeout=3)
        wait_for_port(self.port)
        ours = environment(self.services, self.port)
        self.environ = {**os.environ, **ours, MARK: mark}
        self.logs = self.services.state / "logs"
        self.remember_environment(ours)
        self.start_processes(read_procfile())

    def start_processes(self, procfile: dict[str, list[str]]) -> None:
        say("Updating the database")
        self.run("release", procfile["release"])
        say("Starting the sandbox store, web, worker and clock")
        self.launch("sandbox", self.sandbox_command()).wait_until(f"{self.environ['SANDBOX_URL']}/healthz")
        self.launch("web", procfile["web"]).wait_until(f"{self.environ['APP_URL']}/readyz")
        self.launch("worker", procfile["worker"])
        self.launch("clock", procfile["clock"])
        say("Loading the demo shop")
        facts = json.loads(self.run("seed", ["flask", "demo", "seed"]))
        self.wait_for_work()
        write_privately(self.ready_file, json.dumps(facts, indent=2))

    def wait_for_work(self) -> None:
        """Until each queue has a worker that takes a job, and the clock does its turns. Raises StartError."""
        self.run("at-work", ["flask", "at-work", "--patience", str(READY_TIMEOUT)])

    def sandbox_command(self) -> list[str]:
        port = self.environ["SANDBOX_URL"].rpartition(":")[2]
        folder = self.services.state / "sandbox"
        options = ["--port", port, "--state", str(folder), "--app-url", self.environ["APP_URL"]]
        pushes = self.environ["APPLE_PUSH_URL"].rpartition(":")[2]
        apple = ["--apple", str(self.services.state / "apple"), "--push-port", pushes]
        google = ["--google", str(self.services.state / "google")]
        mail = ["--mail-port", self.environ["SMTP_PORT"]]
        return [sys.executable, "-m", "sandbox", *options, *apple, *google, *mail]

    def launch(self, name: str, command: list[str]) -> Child:
        child = Child(name, command, self.environ, self.logs)
        child.start()
        self.stack.callback(child.stop)
        self.children.append(child)
        return child

    def run(self, name: str, command: list[str]) -> str:
        """Run a command to its end and give its standard output. Raises StartError when it fails."""
        log = self.logs / f"{name}.log"
        with log.open("ab") as errors:
            done = subprocess.run(command, cwd=ROOT, env=self.environ, stdout=subprocess.PIPE, stderr=errors, text=True)
        if done.returncode != 0:
            raise StartError(f"{shlex.join(command)} failed. The end of {log}:\n{processes.tail(log)}")
        return done.stdout

    def remember_environment(self, ours: dict[str, str]) -> None:
        """For bin/flask: commands typed elsewhere then work on this instance."""
        lines = (f"export {name}={shlex.quote(value)}\n" for name, value in ours.items())
        write_privately(self.environment_file, "".join(lines))

    def keep_alive(self) -> None:
        for server in (self.services.postgres, self.services.valkey):
            if server and not server.running:
                say(f"{server.name} ended; starting it again")
                with contextlib.suppress(ServiceError):
                    server.start()
        for child in self.children:
            child.keep_alive()


@contextlib.contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Ctrl-C and SIGTERM leave the block once; whoever repeats them doesn't disturb the stopping."""

    def leave(*_: object) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)
    with contextlib.suppress(KeyboardInterrupt):
        yield


def chosen_port() -> int:
    port = os.environ.get("PORT") or "5000"
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise StartError(f"PORT must be a number from 1 to 65535, not {port!r}")
    return int(port)


def main() -> int:
    """Run until a signal says stop. 0 after a wanted stop, 1 when something can't start."""
    state = Path(os.environ.get("RAPPORT_STATE") or ROOT / ".rapport").resolve()
    try:
        port = chosen_port()
        with stopped_by_signals(), contextlib.ExitStack() as stack:
            supervisor = Supervisor(state, port, stack)
            supervisor.start()
            say(f"Rapport is ready: http://{LOOPBACK}:{port}")
            while True:
                time.sleep(0.2)
                supervisor.keep_alive()
    except (StartError, ServiceError, StateBusyError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
