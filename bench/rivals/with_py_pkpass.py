"""Makes cards with PyPI's py-pkpass and prints how many it makes in a second of processor time.

Arguments: a folder with a card's parts, for how many seconds, where to leave the last card. Runs in an environment of
its own.
"""

import io
import json
import sys
import time
from pathlib import Path

from py_pkpass.models import Pass, StoreCard

PARTS, SECONDS, LAST = Path(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3])
FOLDER = PARTS / "files"
FILES = {str(path.relative_to(FOLDER)): path.read_bytes() for path in FOLDER.rglob("*") if path.is_file()}
TOLD = json.loads((PARTS / "pass.json").read_bytes())


class Card(Pass):
    """A pass that says just what every other library's does."""

    def json_dict(self):
        return TOLD | {"serialNumber": self.serialNumber}


def card(number):
    made = Card(StoreCard())
    made.serialNumber = f"7-{number}"
    for name, data in FILES.items():
        made.addFile(name, io.BytesIO(data))
    return made.create(*(str(PARTS / name) for name in ("pass.pem", "pass.key", "wwdr.pem")), None).getvalue()


made = 0
card(made)
began = time.process_time()
while time.process_time() < began + SECONDS:
    made += 1
    card(made)
print(made / (time.process_time() - began))
LAST.write_bytes(card(made))
