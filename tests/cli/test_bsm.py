"""`amo-agent bsm`: octets, JSON and rows, in and out."""

import csv
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agent.bsm.odelog import LogRecord, pack
from agent.bsm.wyoming import COLUMNS
from tests.bsm.layout import framed, packed
from tests.cli.conftest import Cli, Result

VECTORS = Path(__file__).parents[2].parent / "shared" / "vectors"

FRAME = framed(packed())
BROKEN = framed(packed({"heading": 28_801}))


@pytest.fixture
def public() -> list[str]:
    """Every public message in hexadecimal digits."""
    return [vector["hex"] for vector in load("bsm_vectors.json")["vectors"]]


def load(name: str) -> Any:
    path = VECTORS / name
    if not path.exists():
        pytest.skip(f"the public messages are not here: {name}")
    return json.loads(path.read_text(encoding="utf-8"))


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def objects(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.out.splitlines()]


def test_decode_and_encode_give_every_public_message_back(
    cli: Cli, tmp_path: Path, public: list[str]
) -> None:
    decoded = cli("bsm", "decode", written(tmp_path / "heard.hex", "\n".join(public)))
    assert (decoded.code, decoded.err) == (0, "")
    encoded = cli("bsm", "encode", written(tmp_path / "heard.jsonl", decoded.out))
    assert (encoded.code, encoded.err) == (0, "")
    assert encoded.out.splitlines() == public


def test_a_line_of_decode_is_what_the_contract_says(cli: Cli, tmp_path: Path) -> None:
    line = objects(cli("bsm", "decode", written(tmp_path / "one.hex", FRAME.hex())))[0]
    assert list(line) == ["ok", "messageFrame", "si"]
    assert line["ok"] is True
    core = line["messageFrame"]["value"]["BasicSafetyMessage"]["coreData"]
    assert line["messageFrame"]["messageId"] == 20
    assert (core["id"], core["lat"], core["brakes"]["wheelBrakes"]) == (
        "0BADF00D",
        525_163_000,
        "78",
    )
    assert (line["si"]["lat_deg"], line["si"]["speed_mps"]) == (52.5163, 13.88)


def test_an_event_flag_of_2024_is_in_the_open(cli: Cli, tmp_path: Path) -> None:
    vector = next(v for v in load("bsm_vectors.json")["vectors"] if v["id"] == "bsm-018")
    line = objects(cli("bsm", "decode", written(tmp_path / "one.hex", vector["hex"])))[0]
    part = line["messageFrame"]["value"]["BasicSafetyMessage"]["partII"][0]
    events = part["partII-Value"]["VehicleSafetyExtensions"]["events"]
    assert events == {"value": "0004", "length": 14}
    assert line["si"]["events"] == ["eventJackKnife"]


def test_every_public_form_of_the_event_flags_survives(cli: Cli, tmp_path: Path) -> None:
    decoded = objects(cli("bsm", "decode", written(tmp_path / "one.hex", FRAME.hex())))[0]
    body = decoded["messageFrame"]["value"]["BasicSafetyMessage"]
    for vector in load("bsm_vectors.json")["subtype_vectors"]:
        bits = vector["bits"]
        octets = int(bits.ljust(16, "0"), 2).to_bytes(2).hex().upper()
        events = {"events": {"value": octets, "length": len(bits)}}
        body["partII"] = [{"partII-Id": 0, "partII-Value": {"VehicleSafetyExtensions": events}}]
        encoded = cli("bsm", "encode", written(tmp_path / "one.jsonl", json.dumps(decoded)))
        again = objects(cli("bsm", "decode", written(tmp_path / "two.hex", encoded.out)))[0]

        assert again["messageFrame"] == decoded["messageFrame"]
        wire = f"{int(vector['uper'], 16):0{4 * len(vector['uper'])}b}"
        sent = f"{int(encoded.out, 16):b}"
        assert "01000" + wire[: len(bits) + (1 if len(bits) == 13 else 9)] in sent


def test_a_bad_line_is_an_object_and_no_stop(cli: Cli, tmp_path: Path) -> None:
    lines = [FRAME.hex(), "001", "", BROKEN.hex(), "# a comment", "hello", FRAME.hex(" ")]
    result = cli("bsm", "decode", written(tmp_path / "heard.hex", "\r\n".join(lines)))
    found = objects(result)
    assert result.code == 1
    assert [line["ok"] for line in found] == [True, False, False, False, True]
    for line in found[1:4]:
        assert list(line) == ["ok", "error", "offset"]
        assert isinstance(line["offset"], int)


def test_nothing_to_decode_is_nothing_wrong(cli: Cli, tmp_path: Path) -> None:
    result = cli("bsm", "decode", written(tmp_path / "empty.hex", ""))
    assert result == (0, "", "")


def test_wrapped_messages_are_decoded(cli: Cli, tmp_path: Path) -> None:
    vectors = load("ieee1609dot2_vectors.json")["vectors"]
    path = written(tmp_path / "heard.hex", "\n".join(vector["hex"].lower() for vector in vectors))
    result = cli("bsm", "decode", path)
    assert result.code == 0
    assert [line["si"]["id"] for line in objects(result)] == [vector["id"] for vector in vectors]


def test_a_binary_log_is_decoded_as_its_hexadecimal_digits_are(cli: Cli, tmp_path: Path) -> None:
    record = pack(LogRecord(payload=FRAME, t_ms=1_525_190_663_694))
    binary = cli("bsm", "decode", written(tmp_path / "log.bin", record * 2))
    text = cli("bsm", "decode", written(tmp_path / "log.hex", f"{record.hex()}\n" * 2))
    assert (binary.code, text.code) == (0, 0)
    assert binary.out == text.out
    assert len(objects(binary)) == 2


def test_a_damaged_log_is_decoded_round_the_damage(cli: Cli, tmp_path: Path) -> None:
    record, bad = pack(LogRecord(payload=FRAME)), pack(LogRecord(payload=BROKEN))
    result = cli("bsm", "decode", written(tmp_path / "log.bin", record + b"?" * 9 + bad + record))
    assert result.code == 1
    assert [line["ok"] for line in objects(result)] == [True, False, False, True]


def test_standard_input_is_read_and_the_pipe_closes_the_circle() -> None:
    program = [sys.executable, "-m", "agent", "bsm"]
    decoded = subprocess.run(
        [*program, "decode", "-"], input=FRAME.hex().encode(), capture_output=True, check=True
    )
    encoded = subprocess.run(
        [*program, "encode"], input=decoded.stdout, capture_output=True, check=True
    )
    assert encoded.stdout.decode() == FRAME.hex().upper() + "\n"
    assert decoded.stderr == encoded.stderr == b""


def test_encode_takes_a_frame_alone_and_names_bad_lines(cli: Cli, tmp_path: Path) -> None:
    decoded = cli("bsm", "decode", written(tmp_path / "one.hex", FRAME.hex()))
    frame = json.dumps(objects(decoded)[0]["messageFrame"])
    lines = [frame, "{", '{"ok": false, "error": "x"}', "[]", "[" * 100_000, frame]
    result = cli("bsm", "encode", written(tmp_path / "some.jsonl", "\n".join(lines)))
    assert result.code == 1
    assert result.out.splitlines() == [FRAME.hex().upper()] * 2
    complaints = result.err.splitlines()
    assert [text.split(": ")[1] for text in complaints] == ["line 2", "line 3", "line 4", "line 5"]


def test_a_value_beyond_its_range_is_not_encoded(cli: Cli, tmp_path: Path) -> None:
    decoded = cli("bsm", "decode", written(tmp_path / "one.hex", FRAME.hex()))
    bad = decoded.out.replace('"speed": 694', '"speed": 8192')
    result = cli("bsm", "encode", written(tmp_path / "bad.jsonl", bad))
    assert (result.code, result.out) == (1, "")
    assert "speed" in result.complaint
    assert "0..8191" in result.complaint


def test_records_of_the_ode_are_encoded(cli: Cli, tmp_path: Path) -> None:
    samples = load("wydot_bsm_samples.json")["ode_json"]
    lines = "\n".join(json.dumps(sample["record"]) for sample in samples)
    result = cli("bsm", "encode", written(tmp_path / "ode.jsonl", lines))
    assert result.code == 0
    again = cli("bsm", "decode", written(tmp_path / "ode.hex", result.out))
    cores = [sample["record"]["payload"]["data"]["coreData"] for sample in samples]
    assert [line["si"]["lat_deg"] for line in objects(again)] == [
        core["position"]["latitude"] for core in cores
    ]


def test_messages_become_rows_and_rows_messages(
    cli: Cli, tmp_path: Path, public: list[str]
) -> None:
    table, back = tmp_path / "heard.csv", tmp_path / "heard.hex"
    heard = written(tmp_path / "public.hex", "\n".join(public))
    exported = cli("bsm", "export-csv", heard, "--out", table)
    assert (exported.code, exported.out, exported.err) == (0, "", "")
    rows = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == len(public)

    imported = cli("bsm", "import-csv", table, "--out", back)
    assert (imported.code, imported.out, imported.err) == (0, "", "")
    assert cli("bsm", "export-csv", back).out == table.read_text(encoding="utf-8")


def test_rows_keep_their_metadata_through_json(cli: Cli, tmp_path: Path) -> None:
    samples = load("wydot_bsm_samples.json")["ode_json"]
    lines = "\n".join(json.dumps(sample["record"]) for sample in samples)
    first = cli("bsm", "export-csv", written(tmp_path / "ode.jsonl", lines))
    table = written(tmp_path / "ode.csv", first.out)
    through = cli("bsm", "import-csv", table, "--json")
    assert through.code == 0
    second = cli("bsm", "export-csv", written(tmp_path / "ode2.jsonl", through.out))
    assert second.out == first.out


def test_a_log_gives_its_rows_time_and_place(cli: Cli, tmp_path: Path) -> None:
    record = LogRecord(payload=FRAME, source=1, latitude_deg=52.0, t_ms=1_525_190_663_694)
    result = cli("bsm", "export-csv", written(tmp_path / "log.bin", pack(record)))
    row = next(csv.DictReader(io.StringIO(result.out)))
    assert row["metadata_generatedAt"] == "2018-05-01T16:04:23.694"
    assert (row["metadata_rmd_latitude"], row["metadata_bsmSource"]) == ("52.0", "RV")


def test_a_bad_row_is_named_and_counted(cli: Cli, tmp_path: Path) -> None:
    rows = "coredata_id,coredata_speed\n0BADF00D,10\n0BADF00D,fast\n\n,1\n0BADF00D,20\n"
    result = cli("bsm", "import-csv", written(tmp_path / "some.csv", rows), "--json")
    assert result.code == 1
    assert [line["si"]["speed_mps"] for line in objects(result)] == [10.0, 20.0]
    complaints = result.err.splitlines()
    assert complaints[0].startswith("amo-agent: row 3: ")
    assert complaints[1].startswith("amo-agent: row 5: ")
    assert complaints[2] == "2 of 5 rows left out"


def test_a_cell_without_end_does_not_take_the_memory(cli: Cli, tmp_path: Path) -> None:
    rows = 'coreData_id\n"' + "x" * 3_000_000 + '"\n0BADF00D\n'
    result = cli("bsm", "import-csv", written(tmp_path / "some.csv", rows))
    assert result.code == 1
    assert len(result.out.splitlines()) == 1


@pytest.mark.parametrize("command", ["decode", "encode", "import-csv", "export-csv"])
def test_a_file_that_is_not_there_is_wrong_usage(cli: Cli, command: str) -> None:
    result = cli("bsm", command, "/nowhere/heard.hex")
    assert result.code == 2
    assert "/nowhere/heard.hex" in result.complaint


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n", b"\xff\xfe\x00\x01"])
def test_a_table_of_something_else_is_wrong_input(
    cli: Cli, tmp_path: Path, content: str | bytes
) -> None:
    result = cli("bsm", "import-csv", written(tmp_path / "some.csv", content))
    assert result.code == 2
    assert "coreData_id" in result.complaint


def test_the_input_is_not_written_over(cli: Cli, tmp_path: Path) -> None:
    heard = written(tmp_path / "heard.hex", FRAME.hex())
    result = cli("bsm", "export-csv", heard, "--out", heard)
    assert result.code == 2
    assert heard.read_bytes() == FRAME.hex().encode()


def test_a_full_disk_is_said_in_one_line(cli: Cli, tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no device that is always full")
    heard = written(tmp_path / "heard.hex", f"{FRAME.hex()}\n" * 200)
    result = cli("bsm", "export-csv", heard, "--out", "/dev/full")
    assert result.code == 2
    assert "No space left" in result.complaint


@pytest.mark.parametrize("command", ["decode", "encode", "import-csv", "export-csv"])
def test_help_has_an_example(cli: Cli, command: str) -> None:
    result = cli("bsm", command, "--help")
    assert result.code == 0
    assert "Example: amo-agent bsm" in result.out
