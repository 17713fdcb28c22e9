"""Bleak's backend on a radio of this process's own: what it asks of BlueZ, asked of bumble."""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, TypeVar

import bleak
import pytest
from bleak.assigned_numbers import gatt_char_props_to_strs
from bleak.backends.adapter import BaseBleakAdapter
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient, NotifyCallback
from bleak.backends.descriptor import BleakGATTDescriptor
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData, BaseBleakScanner
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bleak.exc import BleakError
from bleak.uuids import normalize_uuid_str
from bumble.core import AdvertisingData
from bumble.device import Advertisement, Peer
from bumble.hci import Address

from tests.obd.bleair import NAME, Air

T = TypeVar("T")


class OnAir:
    air: ClassVar[Air]

    def bridged(self, job: Coroutine[Any, Any, T]) -> "asyncio.Future[T]":
        """The job turns in the radio's thread, and is awaited in bleak's."""
        return asyncio.wrap_future(self.air.start(job))


class Adapter(OnAir, BaseBleakAdapter):
    @classmethod
    async def get(cls, **_options: Any) -> "Adapter":
        return cls()

    async def get_connected_devices(self, service_uuids: frozenset[str]) -> list[BLEDevice]:
        del service_uuids
        return [BLEDevice(address, name, None) for address, (name, _) in self.air.devices.items()]


class Scanner(OnAir, BaseBleakScanner):
    def __init__(self, callback: Any, uuids: Any, _mode: str, **_options: Any) -> None:
        super().__init__(callback, uuids)

    async def start(self) -> None:
        loop = asyncio.get_running_loop()

        def heard(advertisement: Advertisement) -> None:
            loop.call_soon_threadsafe(self._told, advertisement)

        self._heard = heard
        self.air.central.on("advertisement", heard)
        await self.bridged(self.air.central.start_scanning())

    async def stop(self) -> None:
        self.air.central.remove_listener("advertisement", self._heard)
        await self.bridged(self.air.central.stop_scanning())

    def _told(self, advertisement: Advertisement) -> None:
        name = advertisement.data.get(AdvertisingData.Type.COMPLETE_LOCAL_NAME)
        address = advertisement.address.to_string(with_type_qualifier=False)
        data = AdvertisementData(name, {}, {}, [], None, -60, ())
        device = self.create_or_update_device(address, address, name, None, data)
        self.call_detection_callbacks(device, data)


class Client(OnAir, BaseBleakClient):
    @property
    def mtu_size(self) -> int:
        return self._peer.connection.att_mtu

    @property
    def is_connected(self) -> bool:
        return self.address in self.air.devices

    async def connect(self, pair: bool, **_options: Any) -> None:
        assert not pair
        self._loop = asyncio.get_running_loop()
        self.services = await self.bridged(self._discover())

    async def _discover(self) -> BleakGATTServiceCollection:
        if self.address not in self.air.devices:
            made = await self.air.central.connect(Address(self.address))
            made.once("disconnection", lambda _: self.air.devices.pop(self.address))
            self.air.devices[self.address] = NAME, made
        connection = self.air.devices[self.address][1]
        connection.once("disconnection", self._ended)
        self._peer = Peer(connection)
        await self._peer.request_mtu(517)
        await self._peer.discover_services()
        await self._peer.discover_characteristics()
        return collected(self._peer)

    def _ended(self, _reason: int) -> None:
        if self._disconnected_callback is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._disconnected_callback)

    async def disconnect(self) -> None:
        if self.is_connected:
            await self.bridged(self._peer.connection.disconnect())

    async def write_gatt_char(
        self, characteristic: BleakGATTCharacteristic, data: Any, response: bool
    ) -> None:
        if not self.is_connected:
            raise BleakError("Not connected")
        await self.bridged(characteristic.obj.write_value(bytes(data), response))

    async def start_notify(
        self, characteristic: BleakGATTCharacteristic, callback: NotifyCallback, **_options: Any
    ) -> None:
        def heard(octets: bytes) -> None:
            self._loop.call_soon_threadsafe(callback, bytearray(octets))

        await self.bridged(characteristic.obj.subscribe(heard))

    async def pair(self, *_args: Any, **_options: Any) -> None:
        raise NotImplementedError

    async def unpair(self) -> None:
        raise NotImplementedError

    async def stop_notify(self, characteristic: BleakGATTCharacteristic) -> None:
        raise NotImplementedError

    async def read_gatt_char(
        self, characteristic: BleakGATTCharacteristic, **_options: Any
    ) -> bytearray:
        raise NotImplementedError

    async def read_gatt_descriptor(
        self, descriptor: BleakGATTDescriptor, **_options: Any
    ) -> bytearray:
        raise NotImplementedError

    async def write_gatt_descriptor(self, descriptor: BleakGATTDescriptor, data: Any) -> None:
        raise NotImplementedError


@contextmanager
def on_the_air(monkeypatch: pytest.MonkeyPatch) -> Iterator[Air]:
    """For bleak, this radio takes the place of BlueZ."""
    air = Air()
    monkeypatch.setattr(OnAir, "air", air, raising=False)
    for part, made in (("client", Client), ("scanner", Scanner), ("adapter", Adapter)):
        monkeypatch.setattr(
            bleak, f"get_platform_{part}_backend_type", lambda made=made: (made, "bumble")
        )
    try:
        yield air
    finally:
        air.close()


def collected(peer: Peer) -> BleakGATTServiceCollection:
    """What bumble found, in bleak's words."""
    found = BleakGATTServiceCollection()
    for service in peer.services:
        uuid = normalize_uuid_str(service.uuid.to_hex_str("-"))
        kept = BleakGATTService(service, service.handle, uuid)
        found.add_service(kept)
        for part in service.characteristics:
            found.add_characteristic(
                BleakGATTCharacteristic(
                    part,
                    part.handle,
                    normalize_uuid_str(part.uuid.to_hex_str("-")),
                    list(gatt_char_props_to_strs(part.properties)),
                    lambda: peer.connection.att_mtu - 3,
                    kept,
                )
            )
    return found
