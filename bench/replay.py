"""Recorded traffic into the chained store, against a plain python-can and cantools loop.

Both read the same log and decode the same frames in one run; the peer keeps nothing. Prints
rates and ratios, asserts nothing. With a LOG and a DBC as arguments it measures those.
"""

import gzip
import io
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import can
import cantools

from agent.archive import archive
from agent.clock import ManualClock
from agent.compose import decoder, recorder
from agent.installed import codec
from agent.obd.logfile import LogFile
from agent.playback import Playback
from bench.machine import describe

ROUNDS = 5
ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared" / "data"
RAV4 = SHARED / "can" / "toyota-rav4-2018-08-02" / "can.log.gz"
TOYOTA = SHARED / "dbc" / "opendbc" / "toyota_new_mc_pt_generated.dbc"


def ours(log: Path, dbc: Path) -> int:
    """Samples recorded: read, decoded, sealed where personal, hashed, and durable on disk."""
    file = LogFile(log)
    clock = ManualClock(file.start_ns or 0)
    with (
        tempfile.TemporaryDirectory() as folder,
        archive(Path(folder) / "state", clock, wait=True) as parts,
    ):
        core = recorder(parts, None, CODEC)
        decode, _ = decoder([str(dbc)])
        Playback(core, decode, clock).play(file)
        core.finish()
        parts.writer.flush()
        return core.samples


def peer(log: Path, dbc: Path) -> int:
    """Samples decoded by the libraries' own loop; nothing is kept."""
    database = cantools.database.load_file(dbc, strict=False)
    assert isinstance(database, cantools.database.Database)
    known = {message.frame_id for message in database.messages}
    text = gzip.decompress(log.read_bytes()).decode() if log.suffix == ".gz" else log.read_text()
    samples = 0
    for frame in can.CanutilsLogReader(io.StringIO(text)):
        if frame.channel == "can0" and frame.arbitration_id in known:
            values = database.decode_message(
                frame.arbitration_id, bytes(frame.data), decode_choices=False, allow_truncated=True
            )
            samples += len(values)
    return samples


def seconds(job: Callable[[Path, Path], int], log: Path, dbc: Path) -> tuple[float, int]:
    begun = time.perf_counter()
    samples = job(log, dbc)
    return time.perf_counter() - begun, samples


def main() -> None:
    log, dbc = (Path(word) for word in sys.argv[1:3]) if len(sys.argv) > 2 else (RAV4, TOYOTA)
    if not log.exists():
        print(f"bench/replay: {log.name} is not there; give LOG and DBC")
        return
    frames = sum(1 for _ in LogFile(log))
    pairs = [(seconds(ours, log, dbc), seconds(peer, log, dbc)) for _ in range(ROUNDS)]
    ratios = sorted(theirs[0] / own[0] for own, theirs in pairs)
    print(describe())
    print(f"{log.name}: {frames:,} frames, best of {ROUNDS}")
    for name, best in (("into the chained store", 0), ("python-can + cantools", 1)):
        wall, samples = min(pair[best] for pair in pairs)
        print(f"  {name:<23} {frames / wall:>9,.0f} frames/s  {samples:,} samples")
    middle = ratios[len(ratios) // 2]
    print(
        f"  ours to theirs          {ratios[0]:.2f} {middle:.2f} {ratios[-1]:.2f} (min median max)"
    )


CODEC = codec()

if __name__ == "__main__":
    main()
