"""What several tests of the buses need."""

import socket
from collections.abc import Iterator

import pytest


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A socket that reads and one that sends to it, on loopback."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as reader,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        reader.bind(("127.0.0.1", 0))
        sender.connect(reader.getsockname())
        yield reader, sender
