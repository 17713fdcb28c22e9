"""Frames whose own checksum does not fit are not decoded; a wrong profile is told."""

from pathlib import Path

import pytest

from agent.archive import Archive
from agent.clock import MS, SECOND
from agent.compose import recorder
from agent.errors import ConfigError
from agent.events import InputLost, SignalDoubted
from agent.feeds import deliver_frames
from agent.installed import codec
from agent.obd.checksum import PROVING, STUCK, ChecksumCheck, toyota
from agent.obd.dbc import load_dbc
from agent.obd.decode import Decoder
from agent.obd.frame import CanFrame
from agent.obd.logfile import LogFile
from agent.obd.profile import load_profiles
from agent.obd.vin import VinFinder
from tests.obd.recordings import (
    DBC as DBC_FILES,
)
from tests.obd.recordings import (
    KONA_LOG,
    PROFILES,
    RAV4_LOG,
    TOYOTA_DBC,
    needs_recordings,
)
from tests.opened import opened

SPEED_ID = 0xB4
DBC = """VERSION ""
NS_ :
BS_:
BU_: XXX
BO_ 180 SPEED: 8 XXX
 SG_ CHECKSUM : 63|8@0+ (1,0) [0|255] "" XXX
 SG_ SPEED : 47|16@0+ (0.01,0) [0|250] "km/h" XXX
BO_ 181 OTHER: 8 XXX
 SG_ VALUE : 7|8@0+ (1,0) [0|255] "" XXX
"""
PROFILE = """name = "Car"
checksum = "toyota"
[signals."speed.displayed"]
message = "SPEED"
signal = "SPEED"
"""


def frame(number: int, *, wrong: int = 0, t_ns: int = 0) -> CanFrame:
    body = bytes([0, 0, 0, 0, 0, number >> 8 & 255, number & 255])
    whole = body + bytes([toyota(SPEED_ID, body + b"\0") ^ wrong])
    return CanFrame(SPEED_ID, whole, t_ns, "can0")


@pytest.fixture
def decode(tmp_path: Path) -> Decoder:
    (tmp_path / "car.dbc").write_text(DBC, encoding="ascii")
    (tmp_path / "car.toml").write_text(PROFILE, encoding="ascii")
    return Decoder([load_dbc(tmp_path / "car.dbc")], load_profiles(tmp_path))


@pytest.mark.parametrize("sent", ["00000000D91ACE7D", "00000000C518D770"])
def test_the_checksum_of_a_frame_of_a_real_car_is_the_one_it_sent(sent: str) -> None:
    """SPEED of a RAV4, from the drive in github.com/commaai/comma2k19."""
    data = bytes.fromhex(sent)
    assert toyota(SPEED_ID, data) == data[-1]


def test_a_frame_that_fits_is_decoded_and_one_that_does_not_is_counted(decode: Decoder) -> None:
    frames = [frame(1000), frame(2000, wrong=1), frame(3000)]
    speeds = [s.value for s in decode.decode(frames) if s.name == "speed.displayed"]
    assert [round(value * 360) for value in speeds] == [1000, 3000]
    assert decode.damaged == 1
    assert decode.news() == [InputLost("frames", 1, "can0: SPEED: wrong checksum")]
    assert decode.news() == []


@pytest.mark.parametrize("bit", range(8))
def test_any_bit_that_falls_over_is_noticed(decode: Decoder, bit: int) -> None:
    for byte in range(8):
        data = bytearray(frame(1234).data)
        data[byte] ^= 1 << bit
        assert decode.decode([CanFrame(SPEED_ID, bytes(data), 0, "can0")]) == []
    assert decode.damaged == 8


def test_a_message_without_a_checksum_and_a_cut_frame_are_decoded(decode: Decoder) -> None:
    other = CanFrame(181, bytes(8), 0, "can0")
    cut = CanFrame(SPEED_ID, frame(1000).data[:7], 0, "can0")
    assert len(decode.decode([other, cut])) == 2
    assert decode.damaged == 0


def test_a_wrong_profile_is_told_once_and_the_message_is_believed(decode: Decoder) -> None:
    signals = [decode.decode([frame(n, wrong=3)]) for n in range(PROVING + 5)]
    [doubt, loss] = decode.news()
    assert [len(found) for found in signals] == [0] * PROVING + [2] * 5  # speed and CHECKSUM
    assert isinstance(doubt, SignalDoubted)
    assert (doubt.name, doubt.stated) == ("can.SPEED.CHECKSUM", float(frame(19, wrong=3).data[-1]))
    assert doubt.expected == float(frame(19).data[-1])
    assert loss == InputLost("frames", PROVING, "can0: SPEED: wrong checksum")


def test_damage_later_on_does_not_turn_the_check_off() -> None:
    check = ChecksumCheck("SPEED", 8, toyota)
    assert all(check.fits(frame(number)) for number in range(PROVING))
    assert not any(check.fits(frame(number, wrong=1)) for number in range(1000))
    assert check.news() == [InputLost("frames", 1000, "can0: SPEED: wrong checksum")]


def test_a_checksum_nobody_knows_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "car.toml").write_text(PROFILE.replace('"toyota"', '"crc99"'), encoding="ascii")
    with pytest.raises(ConfigError, match=r"car\.toml: checksum = 'crc99'"):
        load_profiles(tmp_path)


def test_what_was_left_out_is_in_the_log(decode: Decoder, parts: Archive) -> None:
    core = recorder(parts, None, codec())
    frames = [frame(n, wrong=3, t_ns=parts.clock.now_ns()) for n in range(PROVING)]
    deliver_frames(frames, decode, VinFinder(), core)
    told = [event for event in opened(parts) if isinstance(event, InputLost | SignalDoubted)]
    assert [event.kind for event in told] == [SignalDoubted.kind, InputLost.kind]
    assert core.doubts == told[:1]


@needs_recordings
def test_every_checksum_of_the_rav4_drive_fits() -> None:
    decode = Decoder({"can0": [load_dbc(TOYOTA_DBC)]}, load_profiles(PROFILES))
    looked_at = {
        key
        for key, message in load_dbc(TOYOTA_DBC).messages.items()
        if "CHECKSUM" in (signal.name for signal in message.signals)
    }
    frames = [frame for frame in LogFile(RAV4_LOG) if frame.channel == "can0"]
    decode.decode(frames)
    assert sum(frame.can_id in looked_at for frame in frames) == 8441
    assert (decode.damaged, decode.news()) == (0, [])


@needs_recordings
def test_a_bit_that_falls_over_in_the_rav4_drive_is_noticed() -> None:
    decode = Decoder({"can0": [load_dbc(TOYOTA_DBC)]}, load_profiles(PROFILES))
    frames = [frame for frame in LogFile(RAV4_LOG) if frame.can_id == SPEED_ID]
    damaged = []
    for number, whole in enumerate(frames):
        data = bytearray(whole.data)
        data[5] ^= 0x10 * (number % 50 == 49)
        damaged.append(CanFrame(whole.can_id, bytes(data), whole.t_ns, "can0"))
    decode.decode(damaged)
    assert decode.damaged == len(frames) // 50 > 30


# ---- counters --------------------------------------------------------------------------------

COUNTED = """name = "Car"
[counters]
OTHER = { signal = "VALUE" }
[signals."speed.displayed"]
message = "SPEED"
signal = "SPEED"
"""


@pytest.fixture
def counted(tmp_path: Path) -> Decoder:
    """VALUE counts to 255 and begins again."""
    (tmp_path / "car.dbc").write_text(DBC, encoding="ascii")
    (tmp_path / "car.toml").write_text(COUNTED, encoding="ascii")
    return Decoder([load_dbc(tmp_path / "car.dbc")], load_profiles(tmp_path))


def counting(*counts: int, step_ns: int = 10 * MS, channel: str = "can0") -> list[CanFrame]:
    return [
        CanFrame(181, bytes([count % 256, *bytes(7)]), number * step_ns, channel)
        for number, count in enumerate(counts)
    ]


def test_a_counter_that_counts_and_begins_again_is_nothing_to_tell(counted: Decoder) -> None:
    assert len(counted.decode(counting(*range(600)))) == 600
    assert counted.news() == []


def test_a_counter_that_skips_tells_how_many_frames_there_were(counted: Decoder) -> None:
    frames = counting(*range(250), *range(253, 300), *range(301, 310))
    assert len(counted.decode(frames)) == len(frames)
    assert counted.news() == [InputLost("counts", 4, "can0: OTHER: its counter skips")]


def test_a_counter_that_stands_still_for_long_is_an_old_frame(counted: Decoder) -> None:
    frames = counting(*range(50), *[49] * (STUCK + 5), *range(50, 60))
    assert len(counted.decode(frames)) == len(frames) - 6
    assert counted.news() == [InputLost("frames", 6, "can0: OTHER: its counter stands still")]
    assert counted.damaged == 6


def test_a_frame_that_is_sent_a_few_times_over_is_believed(counted: Decoder) -> None:
    frames = counting(*[count for count in range(50) for _ in range(1 + 4 * (count > 40))])
    assert len(counted.decode(frames)) == len(frames)
    assert counted.news() == []


def test_a_counter_may_begin_anywhere_after_a_pause_and_where_time_went_back(
    counted: Decoder,
) -> None:
    counted.decode(counting(*range(50)))
    counted.decode(counting(7, 9, step_ns=2 * SECOND))
    assert counted.news() == []


def test_each_bus_has_its_own_count(tmp_path: Path, counted: Decoder) -> None:
    both = Decoder({"*": [load_dbc(tmp_path / "car.dbc")]}, counted.profiles)
    one, other = counting(*range(50)), counting(*range(100, 150), channel="can1")
    both.decode([frame for pair in zip(one, other, strict=True) for frame in pair])
    assert both.news() == []


def test_a_counter_that_does_not_count_is_told_and_looked_at_no_more(counted: Decoder) -> None:
    counted.decode(counting(*range(0, 400, 2)))
    doubt, loss = counted.news()
    assert isinstance(doubt, SignalDoubted)
    assert (doubt.name, doubt.stated, doubt.expected) == ("can.OTHER.VALUE", 38.0, 37.0)
    assert loss == InputLost("counts", PROVING - 1, "can0: OTHER: its counter skips")


@needs_recordings
def test_frames_that_are_taken_out_of_the_kona_log_are_missed() -> None:
    dbc = load_dbc(DBC_FILES / "kona-ev" / "pcan.dbc")
    names = {"VCU_200", "TractionControlFast", "TractionControlMed"}
    ids = {key: m.name for key, m in dbc.messages.items() if m.name in names}
    frames = [f for f in LogFile(KONA_LOG) if f.can_id in ids and f.channel == "can0"]
    whole = missed(frames)
    thinned = missed([f for number, f in enumerate(frames) if number % 50 != 49])
    assert whole == {"VCU_200": 1}, "as it was recorded"
    assert sum(thinned.values()) == 1 + len(frames) // 50 > 40


def missed(frames: list[CanFrame]) -> dict[str, int]:
    dbc = load_dbc(DBC_FILES / "kona-ev" / "pcan.dbc")
    decode = Decoder({"can0": [dbc]}, load_profiles(PROFILES))
    decode.decode(frames)
    news = decode.news()
    assert all(isinstance(event, InputLost) and event.what == "counts" for event in news)
    return {e.reason.split(": ")[1]: e.count for e in news if isinstance(e, InputLost)}
