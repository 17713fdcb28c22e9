"""`amo-agent status`: how the agent is and how much it missed, running or not."""

import gzip
import json
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.archive import archive
from agent.cli.replay import project
from agent.clock import SECOND, ManualClock
from agent.compose import recorder
from agent.deadband import Band, DeadBand
from agent.events import (
    AskingChanged,
    BusChanged,
    DiskNarrowed,
    EndpointDoubted,
    Event,
    InputCounted,
    InputLost,
    InputOpened,
    OwnerNamed,
    PositionFixed,
    SignalsSampled,
    VinRead,
    decode,
)
from agent.eventstore.ladder import Step
from agent.eventstore.reader import LogReader
from agent.installed import codec
from agent.signals import Signal
from tests.cli.conftest import Cli
from tests.cli.driven import START_NS
from tests.cli.test_run import Supervisor
from tests.shared import RAV4, TOYOTA_DBC, needs_shared

CAN0 = "can:can0"
VIN, NAME, PLACE = "KMHTEST0000000017", "Ada Example", 48.1234567


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    made = Supervisor(tmp_path)
    yield made
    made.close()


def drive(state: Path, *events: Event) -> None:
    """One start of the agent, with these events in it."""
    with archive(state, ManualClock(START_NS), wait=True) as parts:
        for event in events:
            parts.journal.write(event)


def status(cli: Cli, state: Path, code: int = 0) -> dict[str, Any]:
    result = cli("status", "--state", state, "--json")
    assert (result.code, result.err) == (code, ""), result.out
    found = json.loads(result.out)
    assert isinstance(found, dict)
    return found


def test_a_running_agent_is_seen_and_left_alone(supervisor: Supervisor, cli: Cli) -> None:
    supervisor.start("can:amo-nowhere0")
    supervisor.told()
    assert supervisor.agent is not None
    found = status(cli, supervisor.state)
    assert found["process"] == supervisor.agent.pid
    assert "agent     runs, version" in cli("status", "--state", supervisor.state).out
    assert supervisor.stop() == 0
    found = status(cli, supervisor.state)
    assert (found["process"], found["stopped"]) == (None, "finished")
    [source] = found["missed"]["sources"]
    assert (source["uri"], source["state"]) == ("can:amo-nowhere0", "closed")
    assert "cannot be opened" in source["reason"]


def test_a_killed_agent_does_not_run_and_was_cut_off(supervisor: Supervisor, cli: Cli) -> None:
    supervisor.start("virtual:test-status")
    supervisor.told()
    supervisor.stop(signal.SIGKILL)
    found = status(cli, supervisor.state)
    assert (found["process"], found["stopped"]) == (None, None)
    assert "it was cut off" in cli("status", "--state", supervisor.state).out


def test_the_service_leaves_a_read_model_that_has_the_whole_log(
    supervisor: Supervisor, cli: Cli
) -> None:
    supervisor.start("virtual:test-follow")
    supervisor.told()
    supervisor.stop()
    assert (supervisor.state / "readmodel.db").exists()
    assert cli("log", "verify", supervisor.state, "--projection").code == 0


def test_what_was_lost_is_told_by_source_and_reason_with_its_share(cli: Cli, state: Path) -> None:
    counts = {"decoded": 900, "undescribed": 60, "filtered": 30, "remote": 5, "broken": 7}
    lost = InputLost("frames", 5, f"{CAN0}: the agent was too slow")
    more = InputLost("readings", 3, "obd: more than we take")
    drive(state, InputOpened(CAN0), InputCounted(CAN0, counts), lost, more)
    found = status(cli, state)["missed"]
    assert (found["arrived"], found["lost"], found["percent"]) == (1_000, 5, 0.5)
    assert found["sources"][0]["lost"] == {"the agent was too slow": 5}
    assert found["others"] == [{"what": "readings", "reason": "obd: more than we take", "count": 3}]
    out = cli("status", "--state", state).out
    assert "5 of 1,000 frames (0.5 %) were lost since" in out
    assert "5 LOST, the agent was too slow" in out


def test_the_losses_of_an_earlier_start_are_not_those_of_this_one(cli: Cli, state: Path) -> None:
    drive(state, InputOpened(CAN0), InputLost("frames", 50, f"{CAN0}: the agent was too slow"))
    status(cli, state, 1)
    drive(state, InputOpened(CAN0), InputCounted(CAN0, {"decoded": 9}))
    found = status(cli, state)["missed"]
    assert (found["arrived"], found["lost"]) == (9, 0)


@pytest.mark.parametrize(("lost", "code"), [(10, 0), (11, 1)])
def test_more_than_one_per_cent_lost_is_for_the_owner_to_see_to(
    lost: int, code: int, cli: Cli, state: Path
) -> None:
    counted = InputCounted(CAN0, {"decoded": 1_000 - lost})
    drive(state, InputOpened(CAN0), counted, InputLost("frames", lost, f"{CAN0}: x"))
    assert len(status(cli, state, code)["wrong"]) == code


def test_a_log_that_was_put_back_is_for_the_owner_to_see_to(cli: Cli, state: Path) -> None:
    drive(state)
    older = shutil.copy(state / "events.db", state.parent / "older.db")
    drive(state)
    shutil.copy(older, state / "events.db")
    assert "seals" in status(cli, state, 1)["chain"]["end"]
    shown = cli("status", "--state", state)
    assert shown.code == 1
    assert shown.out.startswith("WRONG     the end of the log: ")


def test_a_disk_that_is_full_and_a_missing_key_are_too(cli: Cli, state: Path) -> None:
    drive(state, DiskNarrowed(int(Step.NO_BULK), 91.0))
    (state / "keys" / "account.key").unlink()
    found = status(cli, state, 1)
    assert found["step"] == "NO_BULK"
    assert len(found["wrong"]) == 2


def test_a_node_that_was_found_lying_is_too(cli: Cli, state: Path) -> None:
    drive(state, EndpointDoubted("http://127.0.0.1:26657", 7, "height 7: it is forged"))
    assert status(cli, state, 1)["wrong"] == [
        "the node http://127.0.0.1:26657 was found lying: height 7: it is forged"
    ]


def test_bus_and_sleep_guard_are_shown_as_they_last_were(cli: Cli, state: Path) -> None:
    drive(
        state,
        BusChanged(CAN0, "can0", "bus off", START_NS),
        BusChanged(CAN0, "can0", "error active", START_NS),
        AskingChanged("can0", "on", "the engine runs", 14.1, 5.0),
        AskingChanged("can0", "asleep", "the supply is low", 11.9, 0.0),
    )
    out = cli("status", "--state", state).out
    assert "can0 (can:can0): error active" in out
    assert "can0: not asked (asleep): the supply is low, 11.9 V" in out
    assert "bus off" not in out
    assert "engine runs" not in out


def test_no_personal_field_is_shown(cli: Cli, state: Path) -> None:
    fix = PositionFixed(START_NS, PLACE, 11.5, *[None] * 6)
    drive(state, VinRead(VIN, "obd"), OwnerNamed(NAME, "ada@example.org"), fix)
    for options in ((), ("--json",)):
        out = cli("status", "--state", state, *options).out
        assert not [word for word in (VIN, NAME, "ada@", str(PLACE)) if word in out]
    assert "a VIN was read, it is sealed" in cli("status", "--state", state).out


def test_a_read_model_that_is_behind_missing_or_broken_changes_no_answer(
    cli: Cli, state: Path
) -> None:
    drive(state, InputOpened(CAN0), InputCounted(CAN0, {"decoded": 7}))
    missing = status(cli, state)["missed"]
    project(state)
    assert status(cli, state)["missed"] == missing
    drive(state, InputOpened(CAN0), InputCounted(CAN0, {"decoded": 8}))
    behind = status(cli, state)["missed"]
    (state / "readmodel.db").write_bytes(b"rot" * 9_999)
    assert status(cli, state)["missed"] == behind
    assert (state / "readmodel.db").read_bytes() == b"rot" * 9_999


def test_samples_within_a_dead_band_are_counted_in_the_log_and_shown(cli: Cli, state: Path) -> None:
    band = DeadBand({"gear": Band(0.5, 60 * SECOND)})
    with archive(state, ManualClock(START_NS), wait=True) as parts:
        core = recorder(parts, None, codec(), band=band)
        core.signals([Signal("gear", 3.0, START_NS + n, "can0") for n in range(100)])
        core.finish()
    assert status(cli, state)["missed"]["dead_band"] == {"can0": 99}
    assert _samples(state) + 99 == 100
    assert "can0: 99 samples within their dead band" in cli("status", "--state", state).out


def _samples(state: Path) -> int:
    with LogReader.open(state / "events.db") as log:
        events = [decode(e.kind, e.payload) for e in log.read() if e.kind == SignalsSampled.kind]
    ticks = [event for event in events if isinstance(event, SignalsSampled)]
    return sum(len(values) for tick in ticks for _, values in tick.series.values())


@needs_shared
@pytest.mark.parametrize("speed", ["max", "100"])
def test_every_frame_of_a_recording_is_accounted_for(speed: str, cli: Cli, state: Path) -> None:
    log = RAV4 / "can.log.gz"
    replay = cli("replay", log, "--dbc", TOYOTA_DBC, "--state", state, "--speed", speed)
    assert replay.code == 0
    with gzip.open(log, "rt") as recording:
        frames = sum(1 for _ in recording)
    found = status(cli, state)["missed"]
    [source] = found["sources"]
    assert (found["arrived"], found["lost"]) == (frames, 0)
    assert sum(source["counts"].values()) == frames


@pytest.mark.parametrize("place", ["nowhere", "file", "empty"])
def test_what_is_no_state_directory_is_refused(place: str, cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    result = cli("status", "--state", tmp_path / place)
    assert result.code == 2
    assert str(tmp_path / place) in result.complaint
