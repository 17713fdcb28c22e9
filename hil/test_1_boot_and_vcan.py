"""The agent as people install it: its unit, its user, a kernel's CAN, and a log that verifies."""

import gzip
import json
from collections import Counter
from pathlib import Path

import cantools
import pytest

from agent.obd.kernelqueue import WANTED_BYTES
from hil.image import Image
from hil.rig import Result, Step, run

ROOT = Path(__file__).parent.parent
NAMES_SERVER = ROOT / "hil" / "names.py"
SHARED = ROOT.parent / "shared" / "data"
RAV4_LOG = SHARED / "can" / "toyota-rav4-2018-08-02" / "can.log.gz"
RAV4_DBC = SHARED / "dbc" / "opendbc" / "toyota_new_mc_pt_generated.dbc"
RAV4_FRAMES = 5_000
"""About 6 s of the drive, at its own pace."""
OWN_FRAMES = 1_000
FLOOD_TIMES = 5
"""How often the own log is sent again as fast as the machine can."""
STALL_TIMES = 30
"""And while the agent stands still: more than the kernel's queue holds."""
ASIDE_FRAMES = 250
"""Of the bus with a filter: so many that are described, and so many that are not."""
LAST_FRAMES = 400
"""Sent while it stands still, right before the stop: one batch, which it still takes."""
STATE = "/var/lib/amo-agent"

OWN_BUS = """
[[bus]]
uri = "can:vcan0"
dbc = ["/usr/share/amo-agent/dbc/simcar.dbc"]
"""
FILTERED_BUS = """
[[bus]]
uri = "can:vcan5"
dbc = ["/usr/share/amo-agent/dbc/simcar.dbc"]
filter = true
"""
"""It carries frames that nothing describes, and error frames."""
OTHER_BUSES = """
[[bus]]
uri = "can:vcan2"

[[bus]]
uri = "can:vcan3"

[[bus]]
uri = "can:vcan4"
"""
"""One is flooded, one is missed while the agent stands still, one goes down then."""
RAV4_BUS = """
[[bus]]
uri = "can:vcan1"
dbc = ["/usr/share/amo-agent/dbc/rav4.dbc"]
"""
VEHICLE = """
[vehicle]
width_m = 1.85
length_m = 4.6
"""
UPLOAD = """
[upload]
rpc = ["http://node.example:26657"]
storage = "http://node.example:26657"
every_s = 20
"""

PREPARE = """
set -e
modprobe vcan
for bus in vcan0 vcan1 vcan2 vcan3 vcan4 vcan5; do
    ip link add dev $bus mtu 72 type vcan
    ip link set $bus up
done
install -D -m 644 agent.toml /etc/amo-agent/agent.toml
if [ -f rav4.dbc ]; then install -m 644 rav4.dbc /usr/share/amo-agent/dbc/; fi
"""
REPLAY = """
canplayer -I own.log vcan0=can0 &
if [ -f rav4.log ]; then canplayer -I rav4.log vcan1=can0 & fi
wait
sleep 3
"""
INTERFACE = """
for _ in $(seq 30); do ip link show can0 | grep -q ,UP && break; sleep 1; done
ip -details -json link show can0
"""
NAMES = """
set -e
echo nameserver 127.0.0.1 > /etc/resolv.conf
systemd-run --quiet python3 /job/names.py
systemd-run --quiet --unit=node python3 -u -m http.server --bind 127.0.0.1 26657
"""
STALL = f"""
systemctl kill -s STOP amo-agent
for bus in vcan3 vcan4; do canplayer -t -l {STALL_TIMES} -I own.log $bus=can0; done
ip link set vcan4 down
systemctl kill -s CONT amo-agent
sleep 15
"""
LAST = f"""
systemctl kill -s STOP amo-agent
head -n {LAST_FRAMES} own.log > last.log
canplayer -t -I last.log vcan0=can0
"""
STEPS = (
    Step("booted", "cut -d ' ' -f 1 /proc/uptime"),
    Step("interface", INTERFACE),
    Step("limit", "cat /proc/sys/net/core/rmem_max"),
    Step("prepare", PREPARE),
    Step("names", NAMES),
    Step("start", "systemctl start amo-agent", limit_s=150),
    Step("running", "systemctl show -p ActiveState,NRestarts,User amo-agent"),
    Step("opened", "ls -ld /var/lib/private/amo-agent; stat -c %a /var/lib/private/amo-agent"),
    Step("replay", REPLAY, limit_s=120),
    Step("aside", "canplayer -I aside.log vcan5=can0; sleep 2"),
    Step("flood", f"canplayer -t -l {FLOOD_TIMES} -I own.log vcan2=can0; sleep 5", limit_s=120),
    Step("stall", STALL, limit_s=120),
    Step("last", LAST),
    Step("carried", "ip -s -json link show type vcan"),
    Step("stop", "systemctl stop amo-agent"),
    Step("stopped", "systemctl show -p Result,ExecMainStatus,NRestarts amo-agent"),
    Step("verify", f"amo-agent log verify {STATE} --json", limit_s=150),
    Step("closed", f"amo-agent log show {STATE} --kind input-closed --json", limit_s=150),
    Step("lost", f"amo-agent log show {STATE} --kind input-lost --json", limit_s=150),
    Step("counted", f"amo-agent log show {STATE} --kind input-counted --json", limit_s=150),
    Step("changed", f"amo-agent log show {STATE} --kind bus-changed --json", limit_s=150),
    Step("node", "journalctl -u node -o cat --no-pager"),
    Step("journal", "journalctl -u amo-agent -o cat --no-pager -n 100"),
)


def own_log() -> bytes:
    """100 frames a second of the simulated car's description, in candump's form."""
    dbc = cantools.database.load_file(ROOT / "dbc" / "simcar.dbc")
    assert isinstance(dbc, cantools.database.can.Database)
    plain = [message for message in dbc.messages if not message.is_multiplexed()]
    lines = []
    for i in range(OWN_FRAMES):
        message = plain[i % len(plain)]
        raw = dict.fromkeys((signal.name for signal in message.signals), i % 2)
        data = message.encode(raw, scaling=False, strict=False)
        lines.append(f"({i / 100:.6f}) can0 {message.frame_id:03X}#{data.hex().upper()}\n")
    return "".join(lines).encode()


def aside_log() -> bytes:
    """Described and other frames in turns, a controller that goes off, an FD frame."""
    plain, *_ = own_log().decode().splitlines()
    key = plain.partition("#")[0].split()[-1]
    lines = [
        f"({n / 100:.6f}) can0 {key if n % 2 else '7FE'}#{'00' * 8}\n"
        for n in range(2 * ASIDE_FRAMES)
    ]
    lines += [
        "(6.000000) can0 20000040#0000000000000000\n",
        "(6.100000) can0 20000100#0000000000000000\n",
    ]
    lines += [f"(6.200000) can0 {key}##0{'00' * 64}\n", f"(6.300000) can0 {key}#R\n"]
    return "".join(lines).encode()


def rav4_log() -> bytes:
    with gzip.open(RAV4_LOG, "rt", encoding="ascii") as lines:
        powertrain = [line for line in lines if " can0 " in line]
    return "".join(powertrain[:RAV4_FRAMES]).encode()


@pytest.fixture(scope="module")
def drive(machine: Image, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    config = OWN_BUS + FILTERED_BUS + OTHER_BUSES + VEHICLE + UPLOAD
    files = {"own.log": own_log(), "aside.log": aside_log(), "names.py": NAMES_SERVER.read_bytes()}
    if RAV4_LOG.exists():
        config += RAV4_BUS
        files["rav4.dbc"] = RAV4_DBC.read_bytes()
        files["rav4.log"] = rav4_log()
    files["agent.toml"] = config.encode()
    return run(machine, STEPS, files, tmp_path_factory.mktemp("drive"), limit_s=600)


def output(result: Result) -> str:
    """What the step printed, if it succeeded."""
    assert result.exit == 0, result
    return result.out


def properties(result: Result) -> dict[str, str]:
    return dict(line.split("=", 1) for line in output(result).splitlines())


def frames_carried(drive: dict[str, Result], bus: str) -> int:
    """Frames that went over the wire, by the kernel's count."""
    (link,) = (link for link in json.loads(output(drive["carried"])) if link["ifname"] == bus)
    packets = link["stats64"]["rx"]["packets"]
    assert isinstance(packets, int)
    return packets


def frames_taken(drive: dict[str, Result], bus: str) -> int:
    """Frames of one bus, as the agent itself wrote into its log whenever it closed it."""
    closed = map(json.loads, output(drive["closed"]).splitlines())
    return sum(event["taken"] for event in closed if event["uri"] == bus)


def frames_lost(drive: dict[str, Result], bus: str) -> int:
    """Frames of one bus that the agent says it did not get, all together."""
    lost = map(json.loads, output(drive["lost"]).splitlines())
    return sum(event["count"] for event in lost if event["reason"].startswith(bus))


def test_network_file_brings_a_real_controller_up_listening_only(drive: dict[str, Result]) -> None:
    (link,) = json.loads(output(drive["interface"]))
    can = link["linkinfo"]["info_data"]
    assert "UP" in link["flags"]
    assert can["bittiming"]["bitrate"] == 500_000
    assert "LISTEN-ONLY" in can["ctrlmode"]


def test_service_is_ready_under_its_own_unit(drive: dict[str, Result]) -> None:
    assert output(drive["prepare"]) == ""
    assert output(drive["start"]) == ""
    running = properties(drive["running"])
    assert (running["ActiveState"], running["NRestarts"]) == ("active", "0"), drive["journal"].out


def test_nobody_else_may_look_into_the_state_directory(drive: dict[str, Result]) -> None:
    assert output(drive["opened"]).splitlines()[-1] == "700"


def test_stop_ends_the_service_cleanly_in_time(drive: dict[str, Result]) -> None:
    assert drive["stop"].seconds < 10
    stopped = properties(drive["stopped"])
    assert (stopped["Result"], stopped["ExecMainStatus"]) == ("success", "0"), drive["journal"].out


def test_log_of_the_drive_verifies(drive: dict[str, Result]) -> None:
    verdict = json.loads(output(drive["verify"]))
    assert verdict["intact"]
    assert verdict["events"] > 0


def test_every_frame_of_a_quiet_bus_was_taken(drive: dict[str, Result]) -> None:
    assert frames_carried(drive, "vcan0") == OWN_FRAMES + LAST_FRAMES, drive["replay"]
    assert frames_lost(drive, "can:vcan0") == 0
    assert frames_taken(drive, "can:vcan0") == OWN_FRAMES + LAST_FRAMES


def test_kernel_grants_the_queue_the_agent_wants(drive: dict[str, Result]) -> None:
    assert int(output(drive["limit"])) == WANTED_BYTES
    assert "short queue" not in output(drive["journal"])


def test_flood_fits_into_the_queue_and_is_taken_to_the_frame(drive: dict[str, Result]) -> None:
    assert frames_carried(drive, "vcan2") == OWN_FRAMES * FLOOD_TIMES, drive["flood"]
    assert frames_lost(drive, "can:vcan2") == 0
    assert frames_taken(drive, "can:vcan2") == OWN_FRAMES * FLOOD_TIMES


@pytest.mark.parametrize("bus", ["vcan3", "vcan4"])
def test_what_the_kernel_dropped_is_in_the_log_to_the_frame(
    bus: str, drive: dict[str, Result]
) -> None:
    carried = frames_carried(drive, bus)
    assert carried == OWN_FRAMES * STALL_TIMES, drive["stall"]
    lost = frames_lost(drive, f"can:{bus}")
    assert lost > 0
    assert frames_taken(drive, f"can:{bus}") + lost == carried


def test_filter_made_of_the_description_keeps_back_everything_else(
    drive: dict[str, Result],
) -> None:
    fates: Counter[str] = Counter()
    for event in map(json.loads, output(drive["counted"]).splitlines()):
        if event["uri"] == "can:vcan5":
            fates.update(event["counts"])
    assert frames_carried(drive, "vcan5") == 2 * ASIDE_FRAMES + 4, drive["aside"]
    assert fates == {
        "decoded": ASIDE_FRAMES + 1,
        "filtered": ASIDE_FRAMES + 1,  # and the remote frame
        "error: bus off": 1,
        "error: restarted": 1,
    }


def test_controller_that_goes_off_and_comes_back_is_in_the_log(drive: dict[str, Result]) -> None:
    changes = [json.loads(line) for line in output(drive["changed"]).splitlines()]
    assert [(e["uri"], e["channel"], e["state"]) for e in changes] == [
        ("can:vcan5", "vcan5", "bus off"),
        ("can:vcan5", "vcan5", "error active"),
    ]


def test_host_names_resolve_under_the_unit(drive: dict[str, Result]) -> None:
    assert "POST" in output(drive["node"]), drive["journal"]


def test_every_frame_of_a_recorded_drive_was_taken_or_its_loss_is_in_the_log(
    drive: dict[str, Result],
) -> None:
    if not RAV4_LOG.exists():
        pytest.skip(f"no recorded drive: {RAV4_LOG.parent} is not there (../shared)")
    taken = frames_taken(drive, "can:vcan1")
    assert taken > 0
    assert taken + frames_lost(drive, "can:vcan1") == RAV4_FRAMES
