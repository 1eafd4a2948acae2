"""Other people's libraries that make cards, fetched when they are measured and gone with the run's folder."""

import subprocess
import sys
import venv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

SCRIPTS = Path(__file__).parent / "rivals"
PASSKIT_GENERATOR = "passkit-generator@3.6.1"
PY_PKPASS = "py-pkpass==1.0.2"
FETCHING = 300  # seconds


class Rival(NamedTuple):
    """`command` is followed by a folder with a card's parts, seconds, and where to leave the last card."""

    name: str
    command: Sequence[str]

    def rate(self, parts: Path, seconds: int) -> float:
        """Cards it makes in a second of processor time."""
        command = [*self.command, str(parts), str(seconds), str(self.last(parts))]
        return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    def last(self, parts: Path) -> Path:
        """The last card it made."""
        return parts / f"{self.name}.pkpass"


def fetched(folder: Path) -> Iterator[Rival]:
    """Those that can be had here; what can't is said."""
    for name, install in {"passkit-generator": _passkit_generator, "py-pkpass": _py_pkpass}.items():
        try:
            yield Rival(name, install(folder / name))
        except (OSError, subprocess.SubprocessError) as error:
            print(f"{name} is left out, for it can't be fetched here: {_why(error)}", file=sys.stderr, flush=True)


def _why(error: OSError | subprocess.SubprocessError) -> str:
    said = error.stderr.decode(errors="replace").strip() if isinstance(error, subprocess.CalledProcessError) else ""
    return said.splitlines()[-1] if said else str(error)


def _passkit_generator(home: Path) -> Sequence[str]:
    home.mkdir(parents=True)
    (home / "package.json").write_text("{}")
    quiet = ("--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(home))
    _fetch("npm", "install", *quiet, PASSKIT_GENERATOR)
    return "node", str(SCRIPTS / "with_passkit_generator.mjs"), str(home)


def _py_pkpass(home: Path) -> Sequence[str]:
    venv.create(home, with_pip=True)
    python = str(home / "bin" / "python")
    _fetch(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", PY_PKPASS)
    return python, str(SCRIPTS / "with_py_pkpass.py")


def _fetch(*command: str) -> None:
    subprocess.run(command, capture_output=True, check=True, timeout=FETCHING)
