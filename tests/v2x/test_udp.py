import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from agent.errors import SourceLostError, UsageError
from agent.v2x.udp import QUEUE, UdpRadio

HOSTS = ["127.0.0.1", "::1"]


@pytest.fixture(params=HOSTS)
async def host(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if name == "::1":
        try:
            with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
                probe.bind((name, 0))
        except OSError as error:
            pytest.skip(f"no IPv6 here: {error}")
    return name


@pytest.fixture
async def pair(host: str) -> AsyncIterator[tuple[UdpRadio, UdpRadio]]:
    """One that speaks, and the one that hears it."""
    ear = UdpRadio(listen=(host, 0))
    await ear.open()
    assert ear.listening is not None
    mouth = UdpRadio(send_to=ear.listening)
    yield mouth, ear
    mouth.close()
    ear.close()


async def first(radio: UdpRadio) -> bytes:
    async with asyncio.timeout(3):
        return await anext(aiter(radio.heard()))


async def test_what_is_sent_is_heard(pair: tuple[UdpRadio, UdpRadio]) -> None:
    mouth, ear = pair
    await mouth.send(b"\x00\x14\x25")
    assert await first(ear) == b"\x00\x14\x25"


async def test_payloads_are_heard_in_order(pair: tuple[UdpRadio, UdpRadio]) -> None:
    mouth, ear = pair
    for number in range(20):
        await mouth.send(bytes([number]))
    heard = ear.heard()
    async with asyncio.timeout(3):
        assert [await anext(heard) for _ in range(20)] == [bytes([n]) for n in range(20)]


async def test_a_text_of_a_v2x_hub_is_heard_as_its_payload(
    pair: tuple[UdpRadio, UdpRadio],
) -> None:
    mouth, ear = pair
    await mouth.send(b"Version=0.7\nType=BSM\nPayload=0014AB\n")
    assert await first(ear) == b"\x00\x14\xab"


async def test_a_datagram_without_a_payload_is_counted_and_dropped(
    pair: tuple[UdpRadio, UdpRadio],
) -> None:
    mouth, ear = pair
    await mouth.send(b"Version=0.7\nPayload=xyz\n")
    await mouth.send(b"next")
    assert await first(ear) == b"next"
    assert ear.broken == 1


async def test_the_oldest_payload_goes_when_nobody_listens() -> None:
    radio = UdpRadio(listen=("127.0.0.1", 0))
    for number in range(QUEUE + 3):
        radio.take(number.to_bytes(2))
    assert radio.dropped == 3
    assert await first(radio) == (3).to_bytes(2)
    radio.close()


async def test_a_port_in_use_is_named() -> None:
    radio = UdpRadio(listen=("127.0.0.1", 0))
    await radio.open()
    assert radio.listening is not None
    port = radio.listening[1]
    with pytest.raises(UsageError, match=rf"127\.0\.0\.1:{port}"):
        await UdpRadio(listen=("127.0.0.1", port)).open()
    radio.close()


@pytest.mark.parametrize("port", [-1, 65_536, 10**12])
async def test_a_port_that_is_none_is_named(port: int) -> None:
    with pytest.raises(UsageError, match=str(port)):
        await UdpRadio(listen=("127.0.0.1", port)).open()


async def test_a_payload_over_the_limit_is_refused() -> None:
    radio = UdpRadio(send_to=("127.0.0.1", 9))
    with pytest.raises(ValueError, match="1401"):
        await radio.send(bytes(1401))


async def test_a_radio_without_a_unit_does_not_send() -> None:
    with pytest.raises(UsageError, match="address"):
        await UdpRadio(listen=("127.0.0.1", 0)).send(b"x")


async def test_a_closed_radio_is_lost() -> None:
    radio = UdpRadio(send_to=("127.0.0.1", 9))
    await radio.open()
    radio.close()
    with pytest.raises(SourceLostError, match=r"127\.0\.0\.1:9"):
        await radio.send(b"x")


async def test_hearing_ends_when_the_radio_is_closed() -> None:
    radio = UdpRadio(listen=("127.0.0.1", 0))
    await radio.open()
    hearing = asyncio.ensure_future(first(radio))
    await asyncio.sleep(0)
    radio.close()
    with pytest.raises(StopAsyncIteration):
        await hearing


async def test_a_unit_that_is_away_is_counted_and_sending_goes_on() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    radio = UdpRadio(send_to=("127.0.0.1", port))
    async with asyncio.timeout(3):
        while radio.unreachable == 0:
            await radio.send(b"x")
            await asyncio.sleep(0.01)
    radio.close()


async def test_a_radio_that_only_sends_hears_nothing(host: str) -> None:
    unit = UdpRadio(listen=(host, 0))
    await unit.open()
    assert unit.listening is not None
    radio = UdpRadio(send_to=unit.listening)
    await radio.open()
    assert radio.listening is None
    radio.close()
    unit.close()
