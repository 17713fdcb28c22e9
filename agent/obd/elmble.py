"""The line to an ELM327 adapter over Bluetooth Low Energy: a UART made of GATT characteristics.

bleak, which talks to BlueZ over D-Bus, turns in a thread of its own; whoever reads and writes here
blocks, as with the other lines. Nothing is paired.
"""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import TimeoutError as LateError
from contextlib import suppress
from queue import Empty, Full, Queue
from threading import Thread
from typing import Any, Final, TypeVar

from bleak import BleakAdapter, BleakClient, BleakScanner
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bleak.exc import BleakBluetoothNotAvailableError, BleakError
from bleak.uuids import normalize_uuid_str

from agent.errors import SourceLostError
from agent.obd.elmlink import SLICE_S

FIND_S: Final = 3.0
"""An adapter that is not connected tells its name several times a second."""
OPEN_S: Final = 6.0
"""To find it, connect and ask for its services."""
WRITE_S: Final = 0.5
CLOSE_S: Final = 1.0
MOST_UNREAD: Final = 1024
"""Notifications of at most 512 bytes each (Bluetooth Core 5.4, volume 3, part F, 3.2.9)."""

UARTS: Final = {
    normalize_uuid_str(service): (normalize_uuid_str(hears), normalize_uuid_str(speaks))
    for service, hears, speaks in (
        # Nordic UART service
        (
            "6e400001-b5a3-f393-e0a9-e50e24dcca9e",
            "6e400003-b5a3-f393-e0a9-e50e24dcca9e",
            "6e400002-b5a3-f393-e0a9-e50e24dcca9e",
        ),
        ("fff0", "fff1", "fff2"),  # OBDLink, Vgate, Veepeak
        ("18f0", "2af0", "2af1"),  # Vgate iCar
        (
            "e7810a71-73ae-499d-8c15-faa9aef0c3f2",
            "bef8d6c9-9c21-4c9e-b632-bd58c1009f9f",
            "bef8d6c9-9c21-4c9e-b632-bd58c1009f9f",
        ),
        ("ffe0", "ffe1", "ffe1"),  # HM-10 and its clones
    )
}
"""Service -> what the adapter speaks with (it notifies), and what it hears with (it is written)."""

_NOTIFIES: Final = frozenset({"notify", "indicate"})
_UNCONFIRMED: Final = "write-without-response"
_WRITTEN: Final = frozenset({_UNCONFIRMED, "write"})

T = TypeVar("T")


class BleLink:
    """Raises SourceLostError within 7 s when there is no such adapter, no radio or no BlueZ."""

    def __init__(self, name: str) -> None:
        """name: its address, or what it calls itself; of several alike the first that is heard."""
        self._name = name
        self._heard: Queue[bytes] = Queue(MOST_UNREAD)
        self._lost: str | None = None
        self._client: BleakClient | None = None
        self._to: BleakGATTCharacteristic | None = None
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self._loop = self._runner.get_loop()
        self._thread = Thread(target=self._turn, name="ble", daemon=True)
        self._thread.start()
        try:
            self._do(self._open(), OPEN_S)
        except BaseException:
            self.close()
            raise

    def read(self) -> bytes:
        try:
            octets = self._heard.get(timeout=SLICE_S)
            while not self._heard.empty():
                octets += self._heard.get_nowait()
        except Empty:
            if self._lost is not None:
                raise SourceLostError(f"adapter {self._name}: {self._lost}") from None
            return b""
        return octets

    def write(self, octets: bytes) -> None:
        self._do(self._write(octets), WRITE_S)

    def close(self) -> None:
        if self._loop.is_closed():
            return
        try:
            with suppress(SourceLostError):  # what is gone already needs no farewell
                self._do(self._leave(), CLOSE_S)
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()

    def _turn(self) -> None:
        with self._runner:  # ends what is still under way
            self._loop.run_forever()

    def _do(self, job: Coroutine[Any, Any, T], limit_s: float) -> T:
        doing = asyncio.run_coroutine_threadsafe(job, self._loop)
        try:
            return doing.result(limit_s)
        except LateError:
            doing.cancel()
            raise SourceLostError(f"adapter {self._name}: no answer in {limit_s:g} s") from None
        except (BleakError, OSError, EOFError) as error:  # EOFError: D-Bus went away
            raise SourceLostError(f"adapter {self._name}: {_line(error)}") from error

    async def _open(self) -> None:
        device = await self._found()
        self._client = BleakClient(device, lambda _: self._lose("it ended the connection"))
        await self._client.connect()
        speaks, self._to = uart(self._client.services)
        await self._client.start_notify(speaks, self._take)

    async def _found(self) -> BLEDevice:
        """One that an agent which was killed left connected does not tell its name any more."""
        adapter = await BleakAdapter.get()
        for device in await adapter.get_connected_devices([*UARTS]):
            if self._is_meant(device.address, device.name):
                return device

        def told(device: BLEDevice, data: AdvertisementData) -> bool:
            return self._is_meant(device.address, data.local_name)

        found = await BleakScanner.find_device_by_filter(told, timeout=FIND_S)
        if found is None:
            raise BleakError(f"not heard in {FIND_S:g} s")
        return found

    def _is_meant(self, address: str, name: str | None) -> bool:
        return self._name.lower() == address.lower() or self._name == name

    async def _write(self, octets: bytes) -> None:
        if self._client is None or self._to is None:
            raise BleakError("not connected")
        confirmed = _UNCONFIRMED not in self._to.properties
        size = self._to.max_write_without_response_size
        for begin in range(0, len(octets), size):
            chunk = octets[begin : begin + size]
            await self._client.write_gatt_char(self._to, chunk, response=confirmed)

    async def _leave(self) -> None:
        if self._client is not None:
            await self._client.disconnect()

    def _take(self, _from: BleakGATTCharacteristic, octets: bytearray) -> None:
        try:
            self._heard.put_nowait(bytes(octets))
        except Full:
            self._lose(f"it said more than {MOST_UNREAD} times what nobody asked for")

    def _lose(self, reason: str) -> None:
        self._lost = self._lost or reason


def uart(
    services: BleakGATTServiceCollection,
) -> tuple[BleakGATTCharacteristic, BleakGATTCharacteristic]:
    """What the adapter speaks with, and what it hears with. Raises BleakError where none is known.

    Its properties decide; the usual one of several that would do is taken.
    """
    for service, (speaks, hears) in UARTS.items():
        found = services.get_service(service)
        if found is not None:
            pair = _with(found, _NOTIFIES, speaks), _with(found, _WRITTEN, hears)
            if pair[0] is not None and pair[1] is not None:
                return pair[0], pair[1]
    raise BleakError("it has no UART that is known here")


def _with(
    service: BleakGATTService, properties: frozenset[str], usual: str
) -> BleakGATTCharacteristic | None:
    fit = [each for each in service.characteristics if properties.intersection(each.properties)]
    return min(fit, key=lambda each: each.uuid != usual, default=None)


def _line(error: Exception) -> str:
    """One line; where there is no radio, bleak's error carries more than its sentence."""
    first = error.args[0] if isinstance(error, BleakBluetoothNotAvailableError) else error
    return str(first).partition("\n")[0] or type(error).__name__
