"""Apple in a process of its own, so that what it costs slows nothing of ours: its push service, and the sandbox's
phones. What stands here under a name without `_` is sent there to be called.
"""

import multiprocessing
import os
import re
import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx

from sandbox.apple import authority, passfile
from sandbox.apple.passfile import PassFile
from sandbox.apple.phone import Phones
from sandbox.apple.pushes import PushService
from sandbox.store import Store

ADDING_AT_ONCE = 4


@contextmanager
def elsewhere(cores: Collection[int] = ()) -> Iterator[ProcessPoolExecutor]:
    """Another process, on these cores if any are named."""
    spawn, allowed = multiprocessing.get_context("spawn"), set(cores) or os.sched_getaffinity(0)
    with ProcessPoolExecutor(1, spawn, initializer=os.sched_setaffinity, initargs=(0, allowed)) as there:
        yield there


# What lives there.
_services: list[PushService] = []
_phones: list[Phones] = []
_shown: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)


def listen(folder: Path) -> str:
    """Take pushes to whatever token; the address."""
    _services.append(PushService(authority.files(folder), lambda token: None, lambda token, topic: None))
    return _services[-1].url


def taken() -> int:
    """How many pushes were taken."""
    return sum(service.taken for service in _services)


def open_phones(folder: Path) -> str:
    """Have phones, and take pushes to them; the address."""
    files = authority.files(folder)
    phones = Phones(Store(folder.parent / "phones.sqlite"), files.root, _noted)
    _phones.append(phones)
    _services.append(PushService(files, phones.known, phones.deliver))
    return _services[-1].url


def _noted(data: bytes, root: Path) -> PassFile:
    """Read a card and note what it shows since when.

    Signatures are verified afterwards: starting OpenSSL's command for each card takes this machine longer than
    everything that is measured.
    """
    found = passfile.read(data)
    text = next(str(field["value"]) for field in found.fields() if field["key"] == "points")
    _shown[found.told["serialNumber"]].append((int(re.sub(r"\D", "", text)), time.time()))
    return found


def add(links: Mapping[str, str]) -> dict[str, str]:
    """Add each card to the phone of that name; the names by the cards' serials."""
    with ThreadPoolExecutor(ADDING_AT_ONCE) as adding:
        serials = adding.map(_added, links, links.values())
        return dict(zip(serials, links, strict=True))


def _added(name: str, url: str) -> str:
    try:
        return _phones[-1].add(name, url)
    except httpx.HTTPStatusError as error:
        # That one can't be sent from one process to another.
        raise RuntimeError(f"{error}: {error.response.text}") from None


def shown() -> dict[str, list[tuple[int, float]]]:
    """For each card what points it showed, and since when (seconds of the epoch)."""
    return dict(_shown)


def verify(names: Collection[str]) -> None:
    """Hold the cards on these phones against all that an iPhone checks. Raises BadPass."""
    for name in names:
        for held in _phones[-1].phone(name).passes.values():
            passfile.opened(held.file, _phones[-1].root)


def fetch_again(names: Collection[str]) -> list[int]:
    """Have phones ask for the cards that they hold; the statuses of the answers."""
    return [status for name in names for status in _fetch_again(name)]


def _fetch_again(name: str) -> Iterator[int]:
    for serial, held in _phones[-1].phone(name).passes.items():
        told = held.read().told
        url = f"{told['webServiceURL']}/v1/passes/{told['passTypeIdentifier']}/{serial}"
        headers = {"Authorization": f"ApplePass {told['authenticationToken']}", "If-Modified-Since": held.modified}
        answer: httpx.Response = _phones[-1].client.get(url, headers=headers)
        yield answer.status_code


def close() -> None:
    """Stop what was begun there, or the process would not end."""
    for service in _services:
        service.close()
    for phones in _phones:
        phones.close()
