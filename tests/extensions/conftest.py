"""What the extensions are checked with: Node, and the packages that extensions/package-lock.json pins."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def extensions() -> Path:
    """The folder of the extensions, with its packages in place."""
    subprocess.run([ROOT / "bin" / "extensions"], check=True)
    return ROOT / "extensions"


@pytest.fixture(scope="session")
def node() -> str:
    """The machine's Node, or the one that bin/setup installed where it has none."""
    found = shutil.which("node", path=f"{os.environ['PATH']}{os.pathsep}{ROOT / '.venv' / 'bin'}")
    assert found, "bin/setup installs Node where there is none"
    return found
