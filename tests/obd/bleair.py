"""Radio in one process: bumble's controllers on one link, and an adapter at its far end.

The adapter is a real host with GATT, MTU and all; it turns in a thread of its own.
"""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import Future
from contextlib import suppress
from threading import Thread
from typing import Any, TypeVar

from bumble.controller import Controller
from bumble.core import AdvertisingData
from bumble.device import Connection, Device, DeviceConfiguration
from bumble.gatt import Characteristic, CharacteristicValue, Service
from bumble.hci import Address
from bumble.host import Host
from bumble.link import LocalLink
from bumble.transport.common import AsyncPipeSink

NAME = "OBDLink CX"
ADDRESS = "F0:F1:F2:F3:F4:F5"
UP_S = 10.0

T = TypeVar("T")


class Air:
    """
    devices: what the central is connected to, by address, whoever asked for it
    """

    def __init__(self) -> None:
        self.runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self.loop = self.runner.get_loop()
        self.link = LocalLink()  # type: ignore[no-untyped-call]
        self.devices: dict[str, tuple[str, Connection]] = {}
        self.thread = Thread(target=self._turn, daemon=True)
        self.thread.start()
        self.central = self.do(self.host("central", "C0:00:00:00:00:01"))

    def start(self, job: Coroutine[Any, Any, T]) -> Future[T]:
        return asyncio.run_coroutine_threadsafe(job, self.loop)

    def do(self, job: Coroutine[Any, Any, T]) -> T:
        return self.start(job).result(UP_S)

    async def host(self, name: str, address: str) -> Device:
        """A device with a controller of its own on the link, switched on."""
        controller = Controller(name, link=self.link)
        host = Host(controller, AsyncPipeSink(controller))
        config = DeviceConfiguration(name=name, address=Address(address), keystore=None)
        config.advertising_interval_min = config.advertising_interval_max = 100
        device = Device(config=config, host=host)
        await device.power_on()
        return device

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()

    def _turn(self) -> None:
        with self.runner:
            self.loop.run_forever()


Layout = tuple[str, tuple[tuple[str, str], ...]]
"""A service, and its characteristics with their properties, as bumble writes them."""


class Dongle:
    """A UART over GATT, in front of an adapter's port.

    heard: what it was written, piece by piece
    """

    def __init__(self, device: Device, layout: Layout, mtu: int) -> None:
        self.heard: list[bytes] = []
        self.device = device
        self._line: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        service, parts = layout
        hears = CharacteristicValue[bytes](write=self._hear)
        made: list[Characteristic[Any]] = [
            Characteristic(
                uuid, Characteristic.Properties.from_string(named), Characteristic.WRITEABLE, hears
            )
            for uuid, named in parts
        ]
        self._to = next(c for c in made if c.properties & Characteristic.Properties.NOTIFY)
        device.add_service(Service(service, made))
        device.gatt_server.max_mtu = mtu

    def _hear(self, _from: Connection, octets: bytes) -> None:
        self.heard.append(octets)
        if self._line is not None:
            self._line[1].write(octets)

    async def switch_on(self, port: int) -> None:
        self._line = await asyncio.open_connection("127.0.0.1", port)
        self._forward = asyncio.create_task(self._speak(self._line[0]))
        name = (AdvertisingData.Type.COMPLETE_LOCAL_NAME, NAME.encode())
        await self.device.start_advertising(
            advertising_data=bytes(AdvertisingData([name])), auto_restart=False
        )

    async def switch_off(self) -> None:
        """Without power the connection ends, and so does the advertising."""
        if self.device.is_advertising:
            await self.device.stop_advertising()
        for connection in list(self.device.connections.values()):
            await connection.disconnect()
        if self._line is not None:
            self._line[1].close()
        self._forward.cancel()

    async def say(self, octets: bytes) -> None:
        """In pieces that fit, as the modules in such adapters cut it."""
        for connection in list(self.device.connections.values()):
            size = connection.att_mtu - 3
            for begin in range(0, len(octets), size):
                await self.device.gatt_server.notify_subscriber(
                    connection, self._to, octets[begin : begin + size]
                )

    async def _speak(self, line: asyncio.StreamReader) -> None:
        with suppress(OSError):
            while octets := await line.read(4096):
                await self.say(octets)


async def dongle(air: Air, layout: Layout, mtu: int) -> Dongle:
    return Dongle(await air.host("dongle", ADDRESS), layout, mtu)
