"""A client that costs next to nothing: one thread, keep-alive sockets, requests that are bytes already."""

import itertools
import selectors
import socket
import time
from collections import deque
from collections.abc import Iterable, Iterator

from sandbox.processes import LOOPBACK

CONNECTIONS = 16
STORED = b"\r\n\r\nstored"


class Connection:
    """One keep-alive connection with at most one request on its way."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection((LOOPBACK, port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.answer = b""
        self.sent_at = 0.0

    def send(self, request: bytes) -> None:
        self.answer = b""
        self.sent_at = time.perf_counter()
        self.socket.sendall(request)

    def answered(self) -> bool:
        """Read what has come. Raises RuntimeError for any answer but a stored delivery."""
        arrived = self.socket.recv(65536)
        self.answer += arrived
        if not arrived or not self.answer.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"a delivery was not stored: {self.answer!r}")
        return self.answer.endswith(STORED)


def post(port: int, requests: Iterable[bytes], *, seconds: float = 3600, every: float = 0) -> list[float]:
    """Post until the requests or the seconds are used up and return the seconds each took to be acknowledged.

    `every` spaces them that many seconds apart, however long the answers take; 0 sends as soon as a connection is free.
    """
    with selectors.DefaultSelector() as selector:
        idle = deque(Connection(port) for _ in range(CONNECTIONS))
        for connection in idle:
            selector.register(connection.socket, selectors.EVENT_READ, connection)
        took = list(_exchange(selector, idle, iter(requests), seconds, every))
        for key in list(selector.get_map().values()):
            key.data.socket.close()
    return took


def _exchange(
    selector: selectors.BaseSelector,
    idle: deque[Connection],
    requests: Iterator[bytes],
    seconds: float,
    every: float,
) -> Iterator[float]:
    began = time.perf_counter()
    due = (began + number * every for number in itertools.count())
    next_due, request = next(due), next(requests, None)
    while True:
        while request is not None and idle and (now := time.perf_counter()) >= next_due:
            idle.popleft().send(request)
            next_due, request = next(due), next(requests, None) if now < began + seconds else None
        if request is None and len(idle) == CONNECTIONS:
            return
        wait = max(0.0, next_due - time.perf_counter()) if idle and request is not None else None
        for key, _ in selector.select(wait):
            connection: Connection = key.data
            if connection.answered():
                idle.append(connection)
                yield time.perf_counter() - connection.sent_at
