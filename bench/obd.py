"""PIDs a second through an ELM327 adapter: ours, and python-OBD's own connection beside it.

The adapter is ELM327-emulator, on TCP, behind a pseudo-terminal whose line we pace: 3,840 bytes a
second each way, as 38,400 baud are, or as fast as it goes. It answers at once, where a real car
takes some 5 to 50 ms a question more. Prints rates and ratios, asserts nothing.
"""

import logging
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import obd
import structlog

from agent.clock import SystemClock
from agent.obd.elm import ElmRequester
from agent.obd.question import Answer
from bench.machine import describe

PIDS = (0x04, 0x05, 0x0C, 0x0D, 0x0F, 0x11, 0x1F, 0x2F)
SECONDS = 10.0
SLOW = 3840.0
ROUNDS = 3


def ours(name: str) -> Iterator[int]:
    """Values of each question in turn."""
    requester = ElmRequester(f"elm:{name}@38400", SystemClock())
    requester.connect()
    try:
        while True:
            for pid in PIDS:
                yield sum(isinstance(reply, Answer) for reply in requester.ask(0x01, pid))
    finally:
        requester.close()


def peer(name: str) -> Iterator[int]:
    car = obd.OBD(portstr=name, baudrate=38_400, fast=True)
    assert car.is_connected()
    try:
        while True:
            for pid in PIDS:
                yield not car.query(obd.commands[1][pid]).is_null()
    finally:
        car.close()


def rate(asked: Callable[[str], Iterator[int]], bytes_s: float) -> float:
    """Values a second, once all PIDs have been asked for a few times."""
    with emulator() as port, line(port, bytes_s) as name:
        answers = asked(name)
        for _ in range(4 * len(PIDS)):
            next(answers)
        begun, values = time.perf_counter(), 0
        while (took := time.perf_counter() - begun) < SECONDS:
            values += next(answers)
        answers.close()  # type: ignore[attr-defined]
    return values / took


@contextmanager
def emulator() -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "told"
        program = subprocess.Popen(
            [sys.executable, "-m", "elm", "-s", "car", "-n", str(port), "-b", told],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while not (told.exists() and "STARTED" in told.read_text()):
            time.sleep(0.05)
        try:
            yield port
        finally:
            program.kill()
            program.wait()


@contextmanager
def line(port: int, bytes_s: float) -> Iterator[str]:
    """A terminal that leads to the emulator, so many bytes a second each way."""
    near, far = os.openpty()
    tty.setraw(far)
    with socket.create_connection(("127.0.0.1", port)) as adapter:
        adapter.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        ways = (
            (lambda: os.read(near, 1024), adapter.sendall),
            (lambda: adapter.recv(1024), lambda octets: os.write(near, octets)),
        )
        threads = [threading.Thread(target=_carry, args=(*way, bytes_s)) for way in ways]
        for thread in threads:
            thread.start()
        yield os.ttyname(far)
        adapter.shutdown(socket.SHUT_RDWR)
        os.close(far)
        for thread in threads:
            thread.join()
    os.close(near)


def _carry(read: Callable[[], bytes], write: Callable[[bytes], object], bytes_s: float) -> None:
    free = time.perf_counter()
    with suppress(OSError):
        while octets := read():
            for at in range(len(octets)):
                free = max(free, time.perf_counter()) + 1 / bytes_s
                time.sleep(max(0.0, free - time.perf_counter()))
                write(octets[at : at + 1])


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    print(describe())
    print(f"{len(PIDS)} PIDs in turn, {SECONDS:.0f} s, best of {ROUNDS}; PIDs a second")
    for name, bytes_s in (("38,400 baud", SLOW), ("unpaced", 1e6)):
        pairs = [(rate(ours, bytes_s), rate(peer, bytes_s)) for _ in range(ROUNDS)]
        best = [max(pair[place] for pair in pairs) for place in (0, 1)]
        low, middle, high = sorted(own / theirs for own, theirs in pairs)
        print(f"  {name:<12} ours {best[0]:7.1f}   python-OBD {best[1]:7.1f}", end="")
        print(f"   ours to theirs {low:.2f} {middle:.2f} {high:.2f} (min median max)")


if __name__ == "__main__":
    main()
