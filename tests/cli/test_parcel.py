"""`amo-agent parcel`: what is on its way out is listed, shown, opened and held to be whole."""

import json
from pathlib import Path

import msgspec
import pytest

from agent.archive import archive
from agent.clock import SystemClock
from agent.compose import uploader
from agent.errors import RemoteError
from agent.events import DtcSet, PositionFixed
from agent.outbox import load
from agent.privacy import Level
from agent.wallet import curve, keyfile
from tests.cli.conftest import Cli
from tests.test_upload import FIX, Shelf


@pytest.fixture
async def state(tmp_path: Path) -> Path:
    """With an Lv3 parcel that is registered, and an Lv2 parcel in the outbox."""
    where = tmp_path / "state"
    with archive(where, SystemClock(), wait=True) as parts:
        parts.journal.write(DtcSet("P0301", "7E8"))
        parts.journal.write(FIX)
        shelf = Shelf()
        outward = uploader(parts, shelf)
        await outward.once([Level.LV3])
        shelf.away = True
        with pytest.raises(RemoteError):
            await outward.once([Level.LV2])
    return where


def waiting(state: Path) -> Path:
    [path] = (state / "outbox").glob("*.parcel")
    return path


def test_the_list_has_the_outbox_and_what_was_uploaded(cli: Cli, state: Path) -> None:
    listed = json.loads(cli("parcel", "list", "--state", state, "--json").out)
    assert [one["level"] for one in listed] == [3, 2]
    assert listed[1]["parcel_id"] == waiting(state).name
    assert listed[0]["height"] == 7
    assert listed[0]["parcel_id"] in cli("parcel", "list", "--state", state).out


def test_a_file_of_the_outbox_is_shown_and_opened_by_the_owner(cli: Cli, state: Path) -> None:
    name = waiting(state).name
    manifest = json.loads(cli("parcel", "show", name, "--state", state, "--json").out)
    assert [(one["metric"], one["records"]) for one in manifest["chunks"]] == [
        ("position-fixed/1", 1)
    ]
    assert "position-fixed/1" in cli("parcel", "show", name, "--state", state).out
    [line] = cli("parcel", "open", name, "--state", state).out.splitlines()
    told = json.loads(line)
    assert told["metric"] == PositionFixed.kind
    fix = told["value"]
    assert (fix["latitude_deg"], fix["longitude_deg"]) == (FIX.latitude_deg, FIX.longitude_deg)


def test_a_parcel_with_one_changed_byte_is_told(cli: Cli, state: Path) -> None:
    path = waiting(state)
    asked = ("parcel", "verify", path.name, "--state", state, "--json")
    assert json.loads(cli(*asked).out) == {
        "parcel": path.name,
        "intact": True,
        "records": 1,
        "metrics": [PositionFixed.kind],
    }
    entry = load(path)
    changed = entry.body[:-1] + bytes((entry.body[-1] ^ 1,))
    path.write_bytes(msgspec.msgpack.encode(msgspec.structs.replace(entry, body=changed)))
    result = cli(*asked)
    assert result.code == 1
    assert "changed or cut" in json.loads(result.out)["reason"]
    assert cli("parcel", "open", path.name, "--state", state).code == 1


def test_a_guarded_key_of_a_buyer_wants_its_passphrase(cli: Cli, tmp_path: Path) -> None:
    key, guard = tmp_path / "buyer.key", tmp_path / "guard"
    keyfile.write(key, keyfile.encode("account", curve.new_scalar(), b"open sesame"))
    guard.touch(mode=0o600)
    guard.write_text("open sesame\n")
    nowhere = ("--rpc", "http://127.0.0.1:9", "--storage", "http://127.0.0.1:9")
    asked = ("parcel", "open", "AB" * 36, "--key", f"file:{key}", *nowhere)
    assert "none was given" in cli(*asked).complaint
    assert "127.0.0.1:9" in cli(*asked, "--passphrase-file", guard).complaint


def test_what_cannot_be_meant_is_refused_in_one_line(cli: Cli, state: Path, tmp_path: Path) -> None:
    config = tmp_path / "agent.toml"
    config.write_text(f'state = "{state}"\n[[bus]]\nuri = "virtual:parcel"\n')
    here = ("--config", config)
    uploaded = json.loads(cli("parcel", "list", *here, "--json").out)[0]["parcel_id"]
    for asked, code, words in (
        (("show", "AB" * 36, *here), 2, "was uploaded"),
        (("open", "AB" * 36, "--key", "file:a.key"), 2, "--rpc and --storage"),
        (("list", "--state", state / "keys"), 2, "there is no log"),
        (("open", "lv3-1.parcel", *here), 2, "lv3-1.parcel"),
        (("open", uploaded, *here), 78, "upload: is missing"),
    ):
        result = cli("parcel", *asked)
        assert (result.code, words in result.complaint) == (code, True), result.complaint
