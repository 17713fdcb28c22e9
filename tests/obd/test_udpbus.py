"""A bus over UDP multicast is read as any other; in a network of its own, which nobody hears."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NETWORK = "ip link set lo up multicast on && ip route add 224.0.0.0/4 dev lo"
ALONE = ("unshare", "--map-root-user", "--net", "sh", "-c")
SCRIPT = """
import asyncio, can
from agent.obd.bus import open_bus

async def main():
    source = open_bus("udp:239.74.163.2:43113")
    frames = []
    with can.Bus("239.74.163.2", interface="udp_multicast", port=43113, fd=True) as sender:
        for number in range(50):
            sender.send(can.Message(arbitration_id=number, data=bytes(12), is_fd=True))
        async for batch in source.batches():
            frames += batch
            if len(frames) == 50:
                source.close()
    print([frame.can_id for frame in frames] == list(range(50)))
    print({(f.channel, f.extended, f.fd, len(f.data)) for f in frames}, source.counts.lost)

asyncio.run(asyncio.wait_for(main(), 10))
"""


def missing() -> str | None:
    """Why there can be no network of our own here, in words."""
    if find_spec("msgpack") is None:
        return "python-can[multicast] is not installed"
    try:
        done = subprocess.run([*ALONE, NETWORK], capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        return f"no network namespace: {error}"
    return f"no network namespace: {done.stderr.strip()}" if done.returncode else None


def test_frames_of_a_multicast_group_arrive_in_order() -> None:
    reason = missing()
    if reason is not None:
        pytest.skip(reason)
    done = subprocess.run(
        [*ALONE, f'{NETWORK} && exec "$0" -c "$1"', sys.executable, SCRIPT],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.stdout.splitlines() == ["True", "{('239.74.163.2:43113', True, True, 12)} 0"], (
        done.stderr
    )
