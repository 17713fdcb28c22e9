"""The line to an ELM327 adapter: bytes in, bytes out, over serial, TCP or BLE. No wait is long.

URIs: `elm:/dev/ttyUSB0@38400` (a serial port, USB or Bluetooth rfcomm, with its line speed in baud;
38400 where none is given), `elm:tcp:HOST:PORT` (adapters with Wi-Fi) and `elm:ble:NAME` (adapters
with Bluetooth Low Energy; NAME is an address, AA:BB:CC:DD:EE:FF, or what the adapter calls itself).
"""

import re
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final, Protocol

import serial

from agent.errors import ConfigError, SourceLostError

SLICE_S: Final = 0.02
"""The longest that `read` waits; whoever reads looks at its own limit in between."""
WRITE_S: Final = 0.2
CONNECT_S: Final = 2.0
BAUD: Final = 38_400  # what an ELM327 speaks unless told otherwise
LONGEST_NAME: Final = 248
"""Bytes of a device's name (Bluetooth Core 5.4, volume 3, part C, 3.2.2)."""
_CHUNK: Final = 4096


class Link(Protocol):
    """Raises SourceLostError from `read` and `write` when the other end is gone."""

    def read(self) -> bytes:
        """What has arrived; b"" when nothing did for a short while."""

    def write(self, octets: bytes) -> None: ...

    def close(self) -> None: ...


class SerialLink:
    """Raises SourceLostError for a port that is not there or that somebody else uses."""

    def __init__(self, port: str, baud: int) -> None:
        self._port = port
        try:
            self._device = serial.Serial(
                port, baud, timeout=SLICE_S, write_timeout=WRITE_S, exclusive=True
            )
        except (OSError, ValueError) as error:
            raise SourceLostError(f"adapter {port}: {error}") from error

    def read(self) -> bytes:
        try:
            octets: bytes = self._device.read(max(1, self._device.in_waiting))
        except (OSError, TypeError) as error:  # TypeError: pyserial, when closed while it reads
            raise SourceLostError(f"adapter {self._port}: {error}") from error
        return octets

    def write(self, octets: bytes) -> None:
        try:
            self._device.write(octets)
        except OSError as error:
            raise SourceLostError(f"adapter {self._port}: {error}") from error

    def close(self) -> None:
        with suppress(OSError):  # a port that was pulled out cannot be closed in good order
            self._device.close()


class SocketLink:
    """Raises SourceLostError when nobody takes the connection within 2 s."""

    def __init__(self, host: str, port: int) -> None:
        self._name = f"{host}:{port}"
        try:
            self._socket = socket.create_connection((host, port), CONNECT_S)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            raise SourceLostError(f"adapter {self._name}: {error}") from error

    def read(self) -> bytes:
        self._socket.settimeout(SLICE_S)
        try:
            octets = self._socket.recv(_CHUNK)
        except TimeoutError:
            return b""
        except OSError as error:
            raise SourceLostError(f"adapter {self._name}: {error}") from error
        if not octets:
            raise SourceLostError(f"adapter {self._name}: it ended the connection")
        return octets

    def write(self, octets: bytes) -> None:
        self._socket.settimeout(WRITE_S)
        try:
            self._socket.sendall(octets)
        except OSError as error:
            raise SourceLostError(f"adapter {self._name}: {error}") from error

    def close(self) -> None:
        self._socket.close()


def check_address(uri: str) -> None:
    """Raises ConfigError for a URI that names no line; nothing is opened."""
    _opener(uri)


def open_link(uri: str) -> Link:
    """Raises ConfigError as `check_address` does, SourceLostError when it cannot be opened."""
    return _opener(uri)()


def _opener(uri: str) -> Callable[[], Link]:
    rest = uri.removeprefix("elm:")
    tcp = re.fullmatch(r"tcp:\[?([^\[\]/@]+?)\]?:(\d{1,5})", rest, re.ASCII)
    if tcp is not None and 0 < int(tcp[2]) < 1 << 16:
        return partial(SocketLink, tcp[1], int(tcp[2]))
    device = re.fullmatch(r"(/[^@]+)(?:@(\d{3,7}))?", rest, re.ASCII)
    if device is not None:
        return partial(SerialLink, device[1], int(device[2] or BAUD))
    name = rest.removeprefix("ble:")
    if name != rest and 0 < len(name.encode()) <= LONGEST_NAME and name.isprintable():
        return partial(_over_ble, name)
    raise ConfigError(
        f"bus {uri!r}: elm:/dev/NAME@BAUD, elm:tcp:HOST:PORT, port 1 to 65535, or elm:ble:NAME"
    )


def _over_ble(name: str) -> Link:
    from agent.obd.elmble import BleLink  # noqa: PLC0415  # loads bleak, which other lines do without

    return BleLink(name)
