"""The state directory as a whole: opened, closed, and never quietly begun anew."""

import shutil
from pathlib import Path

import pytest

from agent.archive import archive, owners_view
from agent.clock import ManualClock
from agent.errors import SealError, UsageError
from agent.events import AgentStarted, AgentStopped, DtcSet, VinRead
from agent.wallet import curve
from agent.wallet.keys import FileKey
from tests.conftest import START_NS
from tests.opened import opened


def begun(state: Path) -> Path:
    with archive(state, ManualClock(START_NS), wait=True) as parts:
        parts.journal.write(VinRead("KMHAMXAG0NU000001", "obd"))
    return state


def test_start_and_end_of_a_run_are_in_the_log(tmp_path: Path) -> None:
    begun(tmp_path / "state")
    with archive(tmp_path / "state", ManualClock(START_NS), wait=True) as parts:
        kinds = [event.kind for event in opened(parts)]
    assert kinds == [AgentStarted.kind, VinRead.kind, AgentStopped.kind, AgentStarted.kind]


def test_what_a_run_sealed_the_next_one_opens(tmp_path: Path) -> None:
    begun(tmp_path / "state")
    with archive(tmp_path / "state", ManualClock(START_NS), wait=True) as parts:
        assert VinRead("KMHAMXAG0NU000001", "obd") in opened(parts)


def test_an_error_that_ends_a_run_is_named_in_the_log(tmp_path: Path) -> None:
    with (
        pytest.raises(UsageError),
        archive(tmp_path / "state", ManualClock(START_NS), wait=True),
    ):
        raise UsageError("nothing to do")

    with archive(tmp_path / "state", ManualClock(START_NS), wait=True) as parts:
        assert AgentStopped("UsageError") in opened(parts)


def test_everything_written_before_the_end_is_on_disk_after_it(tmp_path: Path) -> None:
    with archive(tmp_path / "state", ManualClock(START_NS), wait=True) as parts:
        for number in range(250):
            parts.journal.write(DtcSet(f"P{number:04d}", "7E8"))

    with archive(tmp_path / "state", ManualClock(START_NS), wait=True) as parts:
        assert len([event for event in opened(parts) if isinstance(event, DtcSet)]) == 250


@pytest.mark.parametrize("gone", ["keys", "keys/owner.key", "keys/account.key", "keys/segments.db"])
def test_keys_that_are_gone_are_never_replaced_while_there_is_a_log(
    gone: str, tmp_path: Path
) -> None:
    state = begun(tmp_path / "state")
    lost = state / gone
    shutil.rmtree(lost) if lost.is_dir() else lost.unlink()

    with (
        pytest.raises(SealError, match=gone.rpartition("/")[2]),
        archive(state, ManualClock(START_NS), wait=True),
    ):
        pass


def test_a_second_run_on_the_same_state_is_refused(tmp_path: Path) -> None:
    with (
        archive(tmp_path / "state", ManualClock(START_NS), wait=True),
        pytest.raises(UsageError, match="state"),
        archive(tmp_path / "state", ManualClock(START_NS), wait=True),
    ):
        pass


def test_a_device_key_from_elsewhere_is_used_and_not_written_beside_the_others(
    tmp_path: Path,
) -> None:
    state, device = tmp_path / "state", FileKey(curve.new_scalar(), protected=False)
    for _ in range(2):
        with archive(state, ManualClock(START_NS), wait=True, device=device) as parts:
            assert parts.keys.device is device
            log_id = parts.log.log_id
    assert not (state / "keys" / "device.key").exists()
    with owners_view(state, log_id):
        pass  # whoever reads needs the owner's key alone


def test_a_log_begun_with_a_device_key_elsewhere_is_not_given_one_in_a_file(tmp_path: Path) -> None:
    device = FileKey(curve.new_scalar(), protected=False)
    with archive(tmp_path / "state", ManualClock(START_NS), wait=True, device=device):
        pass
    with (
        pytest.raises(SealError, match=r"device\.key"),
        archive(tmp_path / "state", ManualClock(START_NS), wait=True),
    ):
        pass
