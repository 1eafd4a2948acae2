"""Apple as one piece: its phones and its push service, on certificates of a folder."""

from dataclasses import dataclass
from pathlib import Path

from sandbox.apple import authority
from sandbox.apple.phone import Phones
from sandbox.apple.pushes import PushService
from sandbox.store import Store


@dataclass
class Apple:
    """Phones and the service that pushes to them."""

    phones: Phones
    pushes: PushService

    def close(self) -> None:
        self.pushes.close()
        self.phones.close()


def start(folder: Path, store: Store, port: int = 0) -> Apple:
    """Certificates are made in `folder` when there are none; pushes come in on `port`, 0 for a free one."""
    files = authority.files(folder)
    phones = Phones(store, files.root)
    return Apple(phones, PushService(files, phones.known, phones.deliver, port))
