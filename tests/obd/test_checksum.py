"""Frames whose own checksum does not fit are not decoded; a wrong profile is told."""

from pathlib import Path

import pytest

from agent.archive import Archive
from agent.compose import recorder
from agent.errors import ConfigError
from agent.events import InputLost, SignalDoubted
from agent.feeds import deliver_frames
from agent.installed import codec
from agent.obd.checksum import PROVING, FrameCheck, toyota
from agent.obd.dbc import load_dbc
from agent.obd.decode import Decoder
from agent.obd.frame import CanFrame
from agent.obd.logfile import LogFile
from agent.obd.profile import load_profiles
from agent.obd.vin import VinFinder
from tests.obd.recordings import PROFILES, RAV4_LOG, TOYOTA_DBC, needs_recordings
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
    check = FrameCheck("SPEED", 8, toyota)
    for number in range(PROVING):
        assert check.fits(SPEED_ID, frame(number).data)
    assert not any(check.fits(SPEED_ID, frame(n, wrong=1).data) for n in range(1000))
    assert [event.kind for event in check.news("can0")] == [InputLost.kind]


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
