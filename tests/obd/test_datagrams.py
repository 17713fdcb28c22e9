"""Many datagrams come with one call: whole, in order, with their times and what was dropped.

UDP on loopback stands here for CAN, which not every kernel has; the tests in hil/ do it with CAN.
"""

import socket
import time

import pytest

from agent.obd.datagrams import Datagrams

SIZE = 72


def test_datagrams_come_whole_and_in_order(pair: tuple[socket.socket, socket.socket]) -> None:
    reader, sender = pair
    sent = [bytes([number]) * (number % (SIZE + 1)) for number in range(100)]
    datagrams = Datagrams(reader, 64, SIZE)
    for one in sent:
        sender.send(one)
    first, second = datagrams.read(64), datagrams.read(64)
    assert [content for content, _, _ in first + second] == sent
    assert (len(first), len(datagrams.read(64))) == (64, 0)


def test_at_most_as_many_as_asked_for_are_taken(pair: tuple[socket.socket, socket.socket]) -> None:
    reader, sender = pair
    datagrams = Datagrams(reader, 64, SIZE)
    for number in range(10):
        sender.send(bytes([number]))
    assert [content for content, _, _ in datagrams.read(3)] == [b"\0", b"\1", b"\2"]
    assert len(datagrams.read(64)) == 7


def test_time_is_that_of_arrival_and_not_of_reading(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    reader, sender = pair
    datagrams = Datagrams(reader, 4, SIZE)
    # the kernel begins to stamp arrivals a moment after the first socket of all has asked for it
    for _ in range(20):
        before = time.time_ns()
        sender.send(b"early")
        after = time.time_ns()
        time.sleep(0.05)
        [(_, t_ns, _)] = datagrams.read(4)
        if t_ns <= after:
            break
    assert before <= t_ns <= after


def test_what_the_queue_could_not_hold_is_known_to_the_next_datagram(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    reader, sender = pair
    datagrams = Datagrams(reader, 500, SIZE)
    flood = 20_000
    for _ in range(flood):
        sender.send(b"frame")
    read = 0
    while batch := datagrams.read(500):
        read += len(batch)
        assert {drops for _, _, drops in batch} == {0}
    sender.send(b"after")
    [(_, _, drops)] = datagrams.read(500)
    assert drops > 0
    assert read + drops == flood


def test_long_datagram_is_cut(pair: tuple[socket.socket, socket.socket]) -> None:
    reader, sender = pair
    datagrams = Datagrams(reader, 4, SIZE)
    sender.send(bytes(500))
    sender.send(b"next")
    assert [len(content) for content, _, _ in datagrams.read(4)] == [SIZE, 4]


def test_socket_that_is_closed_is_an_error(pair: tuple[socket.socket, socket.socket]) -> None:
    reader, _ = pair
    datagrams = Datagrams(reader, 4, SIZE)
    reader.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        datagrams.read(4)
