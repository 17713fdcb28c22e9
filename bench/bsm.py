"""Our codec and converter of basic safety messages, beside asn1tools, pycrate and asn1c's C.

All read and write the same messages in one run, round by round; a ratio is of one round. Prints
figures and asserts none of them, but all codecs have to agree on the octets.
"""

import random
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from agent.bsm.codec import Codec
from agent.bsm.convert import Converter
from agent.bsm.core import FIELDS, Core
from agent.bsm.identity import Identity
from agent.bsm.message import BasicSafetyMessage, VehicleSize
from agent.bsm.partii import Safety
from agent.bsm.plausible import verdict
from agent.bsm.state import VehicleState
from agent.clock import MS, SECOND
from agent.position import PositionFix
from agent.signals import Signal
from bench.bsm_peers import Peer, asn1c_driver, asn1c_us, asn1tools_peer, pycrate_peer
from bench.machine import describe

MODULE = Path(__file__).parent.parent / "asn1" / "J2735.asn"
MESSAGES = 100
POINTS = 15
ROUNDS = 9
QUICK, SLOW = 40, 2  # times through the messages in a round
C_TIMES = 100
NOON_NS = 1_760_011_200 * SECOND

Job = Callable[[], object]


def core(rng: random.Random) -> Core:
    """Part I with any value its ranges allow."""
    values: list[Any] = [
        rng.randbytes(4) if field.high is None else rng.randint(field.low, field.high)
        for field in FIELDS
    ]
    return Core(*values)


def safety(rng: random.Random) -> Safety:
    def off(most: int) -> int:
        return rng.randint(-most, most)

    points = ((off(90000), off(90000), off(900), rng.randint(1, 65535)) for _ in range(POINTS))
    return Safety(
        path=tuple(value for point in points for value in point),
        radius=rng.randint(-32767, 32767),
        confidence=rng.randint(0, 200),
    )


def microseconds(job: Job, times: int) -> float:
    """Of processor time for one message; the job has MESSAGES of them."""
    begun = time.process_time()
    for _ in range(times):
        job()
    return (time.process_time() - begun) * 1e6 / times / MESSAGES


def each(function: Callable[..., object], arguments: Sequence[tuple[Any, ...]]) -> Job:
    def job() -> None:
        for argument in arguments:
            function(*argument)

    return job


def spread(values: Sequence[float]) -> str:
    ordered = sorted(values)
    return f"{ordered[0]:6.2f} {ordered[len(ordered) // 2]:6.2f} {ordered[-1]:6.2f}"


def compare(
    title: str,
    bodies: list[bytes],
    ours: dict[str, tuple[Job, Job]],
    peers: list[Peer],
    driver: Path | None,
) -> None:
    """ours: name -> decode, encode; the first is what the others are set against"""
    jobs = {name: (*pair, QUICK) for name, pair in ours.items()}
    for peer in peers:
        trees = [(peer.decode(body),) for body in bodies]
        assert [peer.encode(*tree) for tree in trees] == bodies, peer.name
        read = each(peer.decode, [(body,) for body in bodies])
        jobs[peer.name] = (read, each(peer.encode, trees), SLOW)
    rounds: dict[str, list[tuple[float, float]]] = {}
    for _ in range(ROUNDS):
        for name, (decode, encode, times) in jobs.items():
            figures = (microseconds(decode, times), microseconds(encode, times))
            rounds.setdefault(name, []).append(figures)
        if driver is not None:
            decoded, encoded, *unchecked = asn1c_us(driver, bodies, C_TIMES)
            rounds.setdefault("asn1c, C", []).append((decoded, encoded))
            rounds.setdefault("asn1c, C, unchecked", []).append((unchecked[0], unchecked[1]))
    show(title, rounds)


def show(title: str, rounds: dict[str, list[tuple[float, float]]]) -> None:
    own = next(iter(rounds.values()))
    print(f"{title}: best us of processor time, and times the first (min median max)")
    for name, figures in rounds.items():
        cells = []
        for way in (0, 1):
            best = min(figure[way] for figure in figures)
            ratios = [figure[way] / base[way] for figure, base in zip(figures, own, strict=True)]
            cells.append(f"{best:8.2f}  {spread(ratios)}")
        print(f"  {name:<21} decode {cells[0]}   encode {cells[1]}")


def rate(title: str, job: Job, times: int) -> None:
    best = min(microseconds(job, times) for _ in range(ROUNDS))
    print(f"  {title:<46} {1e6 / best:>9,.0f} /s")


def heard(codec: Codec, frames: list[bytes]) -> Job:
    """As a receiver does: octets to SI, then what to believe of it."""
    own = codec.decode_frame(frames[0])

    def one(frame: bytes) -> str:
        return verdict(codec.decode_frame(frame), own=own)

    return each(one, [(frame,) for frame in frames])


def driven(codec: Codec) -> Job:
    """A car on its way at 10 Hz: a fix and the signals of the moment, then the message."""
    state = VehicleState()
    converter = Converter(state, Identity(secrets.token_bytes), VehicleSize(1.82, 4.51))
    moments = ticks()

    def job() -> None:
        for _ in range(MESSAGES):
            t_ns, fix, signals = next(moments)
            state.fix(fix)
            for signal in signals:
                state.update(signal)
            message = converter.make(t_ns, t_ns)
            assert isinstance(message, BasicSafetyMessage), message
            codec.encode_frame(message)

    return job


def ticks() -> Iterator[tuple[int, PositionFix, list[Signal]]]:
    t_ns, north = NOON_NS, 0.0
    while True:
        t_ns += 100 * MS
        north += 2.0 / 111_000
        fix = PositionFix(
            t_ns=t_ns,
            arrived_ns=t_ns + 50 * MS,
            latitude_deg=52.5 + north,
            longitude_deg=13.4,
            elevation_m=40.0,
            speed_mps=20.0,
            heading_deg=0.0,
            semi_major_m=1.5,
            semi_minor_m=1.0,
            orientation_deg=45.0,
        )
        names = {"vehicle.speed": 20.0, "steering.angle": 0.01, "yaw.rate": 0.001}
        yield t_ns, fix, [Signal(name, value, t_ns, "can0") for name, value in names.items()]


def main() -> None:
    rng = random.Random(2735)
    codec = Codec(MODULE)
    cores = [core(rng) for _ in range(MESSAGES)]
    histories = [(one, safety(rng)) for one in cores]
    short = [codec.encode_core(one) for one in cores]
    long = [codec.encode_flat(*one) for one in histories]
    print(describe())
    with tempfile.TemporaryDirectory() as name:
        peers, driver = present(Path(name))
        flat = {
            "ours, flat": (
                each(codec.decode_core, [(frame,) for frame in short]),
                each(codec.encode_core, [(one,) for one in cores]),
            ),
            "ours, trees": trees(codec, short),
        }
        compare("Part I", [frame[3:] for frame in short], flat, peers, driver)
        flat = {
            "ours, flat": (
                each(codec.decode_flat, [(frame,) for frame in long]),
                each(codec.encode_flat, histories),
            ),
            "ours, trees": trees(codec, long),
        }
        title = f"Part I and a path history of {POINTS} points"
        compare(title, [frame[4:] for frame in long], flat, peers, driver)
    print("whole ways, best of a round:")
    rate("Part I heard, to plausible values", heard(codec, short), 3)
    rate(f"with {POINTS} points of Part II", heard(codec, long), 3)
    rate("state of the car to a MessageFrame", driven(codec), 3)


def trees(codec: Codec, frames: list[bytes]) -> tuple[Job, Job]:
    decoded = [(codec.decode_tree(frame),) for frame in frames]
    assert [codec.encode_tree(*tree) for tree in decoded] == frames
    return each(codec.decode_tree, [(frame,) for frame in frames]), each(codec.encode_tree, decoded)


def present(folder: Path) -> tuple[list[Peer], Path | None]:
    """The peers of this machine; what is not there is said."""
    peers = [asn1tools_peer(MODULE, checked=checked) for checked in (True, False)]
    pycrate = pycrate_peer(MODULE, folder)
    driver = asn1c_driver(MODULE, folder)
    if pycrate is None:
        print("pycrate is not installed: without it")
    if driver is None:
        print("asn1c or cc is not installed: without it")
    return [*peers, *([] if pycrate is None else [pycrate])], driver


if __name__ == "__main__":
    main()
