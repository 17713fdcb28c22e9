"""A socket's queue in the kernel is made long, and what did not fit into it is known to the packet.

Any socket keeps such a queue and its count; UDP on loopback stands here for CAN, which not every
kernel has. The tests in hil/ do the same with SocketCAN.
"""

import socket
from pathlib import Path

from agent.obd.kernelqueue import WANTED_BYTES, KernelQueue

LIMIT = Path(__file__).parents[2] / "systemd" / "90-amo-agent.conf"
DATAGRAM = bytes(50_000)
FLOOD = 2_000
"""A hundred megabytes: more than any queue of this agent may hold."""


def test_queue_is_longer_than_the_kernels_own_choice(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    reader, sender = pair
    granted = KernelQueue(reader).size_bytes
    assert granted > sender.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    assert granted <= 2 * WANTED_BYTES


def test_everything_sent_was_read_or_dropped_or_left_at_the_close(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    reader, sender = pair
    queue = KernelQueue(reader)
    for _ in range(FLOOD):
        sender.send(DATAGRAM)
    read = [reader.recv(1) for _ in range(10)]
    dropped = queue.dropped()
    left, late = queue.close()
    assert dropped > 0
    assert left > 0
    assert len(read) + dropped + left + late == FLOOD


def test_loss_is_told_once(pair: tuple[socket.socket, socket.socket]) -> None:
    reader, sender = pair
    queue = KernelQueue(reader)
    for _ in range(FLOOD):
        sender.send(DATAGRAM)
    assert queue.dropped() > 0
    assert queue.dropped() == 0


def test_count_that_a_frame_brought_is_not_told_again(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    reader, sender = pair
    queue = KernelQueue(reader)
    for _ in range(FLOOD):
        sender.send(DATAGRAM)
    assert queue.dropped(7) == 7
    left, late = queue.close()
    assert 7 + left + late == FLOOD


def test_queue_that_was_read_empty_lost_nothing(pair: tuple[socket.socket, socket.socket]) -> None:
    reader, sender = pair
    queue = KernelQueue(reader)
    sender.send(b"frame")
    assert reader.recv(5) == b"frame"
    assert queue.close() == (0, 0)


def test_installed_limit_grants_the_queue_that_is_wanted() -> None:
    settings = [line for line in LIMIT.read_text().splitlines() if not line.startswith("#")]
    assert settings == [f"net.core.rmem_max = {WANTED_BYTES}"]
