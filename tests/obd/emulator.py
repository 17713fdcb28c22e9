"""ELM327-emulator as a program of its own, on a port or a pseudo-terminal."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep

UP_S = 10.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def emulator(folder: Path, port: int | None = None) -> Iterator[str]:
    """Where it can be reached: "tcp:HOST:PORT" or the name of a terminal."""
    told = folder / "told"
    where = [] if port is None else ["-n", str(port)]
    program = subprocess.Popen(
        [sys.executable, "-m", "elm", "-s", "car", *where, "-b", told],
        cwd=folder,  # it writes a log where it is
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_until_up(told)
        yield told.read_text().split()[0] if port is None else f"tcp:127.0.0.1:{port}"
    finally:
        program.kill()
        program.wait()
        assert program.stdin is not None
        with suppress(BrokenPipeError):
            program.stdin.close()


def _wait_until_up(told: Path) -> None:
    end = monotonic() + UP_S
    while not (told.exists() and "STARTED" in told.read_text()):
        assert monotonic() < end, f"ELM327-emulator did not start within {UP_S} s"
        sleep(0.02)
