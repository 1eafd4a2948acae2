"""What one sees as a single character, by ICU as Node has it: nothing of ours is asked."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_SPLIT = """
const cut = new Intl.Segmenter("en", { granularity: "grapheme" });
const texts = JSON.parse(require("fs").readFileSync(0, "utf8"));
console.log(JSON.stringify(texts.map((text) => [...cut.segment(text)].map((one) => one.segment))));
"""


def node() -> str:
    """The machine's, or the one that the set-up has put beside Python."""
    beside = os.pathsep.join((os.environ.get("PATH", ""), str(Path(sys.executable).parent)))
    found = shutil.which("node", path=beside)
    assert found, "the set-up installs Node"
    return found


def graphemes(texts: Sequence[str]) -> list[list[str]]:
    done = subprocess.run([node(), "-e", _SPLIT], input=json.dumps(texts), capture_output=True, text=True, check=True)
    found: list[list[str]] = json.loads(done.stdout)
    return found
