import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.bsm.cells import escaped, instant, meaning, unescaped
from agent.bsm.codec import Codec
from agent.bsm.jer import from_document, to_jer
from agent.bsm.odejson import from_ode, to_ode
from agent.bsm.wyoming import COLUMNS, columns_of, from_row, to_row
from agent.errors import MalformedInputError
from tests.bsm.layout import packed

SAMPLES = Path(__file__).parents[2].parent / "shared" / "vectors" / "wydot_bsm_samples.json"

ROW = {
    "coreData_msgCnt": "12",
    "coreData_id": "0BADF00D",
    "coreData_secMark": "31400",
    "coreData_position_lat": "52.5163",
    "coreData_position_long": "13.3777",
    "coreData_elevation": "74.5",
    "coreData_accelset_accelYaw": "-20.0",
    "coreData_accuracy_semiMajor": "1.55",
    "coreData_speed": "13.88",
    "coreData_heading": "90.0",
    "coreData_size": '{"width": 182, "length": 451}',
}


@pytest.fixture(scope="module")
def samples() -> dict[str, Any]:
    if not SAMPLES.exists():
        pytest.skip(f"the public records are not here: {SAMPLES.name}")
    found: dict[str, Any] = json.loads(SAMPLES.read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def records(samples: dict[str, Any]) -> list[dict[str, Any]]:
    return [sample["record"] for sample in samples["ode_json"]]


def core_of(codec: Codec, **changed: str) -> dict[str, Any]:
    """Part I as wire integers after a row was read, encoded and decoded."""
    record = from_row({**ROW, **changed})
    tree = from_ode(codec, record["payload"]["data"])
    core: dict[str, Any] = codec.decode_tree(codec.encode_tree(tree))["coreData"]
    return core


def part_of(codec: Codec, **changed: str) -> Any:
    record = from_row({**ROW, **changed})
    tree = codec.decode_tree(codec.encode_tree(from_ode(codec, record["payload"]["data"])))
    return tree["partII"][0]["partII-Value"]


def without_regional(data: dict[str, Any]) -> dict[str, Any]:
    """Empty lists of regional extensions are a quirk of the record, not of the message."""
    data = copy.deepcopy(data)
    for part in data["partII"]:
        part["value"].pop("regional", None)
        part["value"].get("classDetails", {}).pop("regional", None)
    return data


def test_there_are_69_columns_in_order() -> None:
    assert len(COLUMNS) == len(set(COLUMNS)) == 69
    assert (COLUMNS[0], COLUMNS[22], COLUMNS[68]) == (
        "dataType",
        "coreData_msgCnt",
        "coreData_position",
    )


def test_every_public_record_is_encoded_and_decoded_unchanged(
    codec: Codec, records: list[dict[str, Any]]
) -> None:
    for record in records:
        frame = codec.encode_tree(from_document(codec, record))
        back = to_ode(codec, codec.decode_tree(frame))
        assert back == without_regional(record["payload"]["data"])


def test_a_public_record_survives_its_row_but_for_what_has_no_column(
    codec: Codec, records: list[dict[str, Any]]
) -> None:
    for record in records:
        row = to_row(record)
        assert list(row) == list(COLUMNS)
        again = from_row(row)
        assert again["payload"]["dataType"] == record["payload"]["dataType"]
        before = from_ode(codec, record["payload"]["data"])["coreData"]
        after = from_ode(codec, again["payload"]["data"])["coreData"]
        before["accelSet"] |= {"long": 2001, "lat": 2001, "vert": -127}
        assert after == before
        assert to_row(again) == row


def test_public_rows_of_eighteen_columns_are_read(codec: Codec, samples: dict[str, Any]) -> None:
    names = columns_of(samples["flattened"]["columns"])
    assert None not in names
    for cells in samples["flattened"]["rows"]:
        row = dict(zip(samples["flattened"]["columns"], cells, strict=True))
        record = from_row(row)
        core = from_ode(codec, record["payload"]["data"])["coreData"]
        assert core["lat"] == round(float(row["coreData_position_lat"]) * 1e7)
        assert core["speed"] == round(float(row["coreData_speed"]) * 50)
        assert core["accelSet"]["yaw"] == round(float(row["coreData_accelset_accelYaw"]) * 100)
        assert (core["msgCnt"], core["size"]) == (0, {"width": 0, "length": 0})
        assert record["metadata"]["recordGeneratedAt"] == "2019-04-24T13:04:14Z"
        assert record["metadata"]["odeReceivedAt"] == "2019-06-26T21:00:43Z"


def test_every_public_message_survives_the_records_of_the_ode(
    codec: Codec, public: dict[str, Any]
) -> None:
    for vector in public["vectors"]:
        tree = codec.decode_tree(bytes.fromhex(vector["hex"]))
        shown = to_ode(codec, tree)
        again = codec.decode_tree(codec.encode_tree(from_ode(codec, json.loads(json.dumps(shown)))))
        assert again["coreData"] == tree["coreData"]
        assert to_ode(codec, again) == shown


def test_records_of_schema_9_hold_the_frame_itself(codec: Codec) -> None:
    tree = codec.decode_tree(packed())
    record = {"metadata": {"schemaVersion": 9}, "payload": {"data": to_jer(codec, tree)}}
    assert from_document(codec, record) == tree


def test_what_a_row_lacks_is_unavailable(codec: Codec) -> None:
    core = core_of(codec)
    assert (core["msgCnt"], core["lat"], core["speed"]) == (12, 525_163_000, 694)
    assert core["accuracy"] == {"semiMajor": 31, "semiMinor": 255, "orientation": 65_535}
    assert core["accelSet"] == {"long": 2001, "lat": 2001, "vert": -127, "yaw": -2000}
    assert core["brakes"]["wheelBrakes"] == (b"\x80", 5)
    assert (core["transmission"], core["angle"]) == ("unavailable", 127)


@pytest.mark.parametrize("nothing", ["", " ", "None", "null", "NaN", "N/A"])
def test_an_empty_cell_is_written_in_many_ways(codec: Codec, nothing: str) -> None:
    core = core_of(codec, coreData_speed=nothing, coreData_size=nothing)
    assert (core["speed"], core["size"]) == (8191, {"width": 0, "length": 0})


def test_a_header_in_lower_case_is_understood() -> None:
    names = columns_of(["\ufeffcoredata_id", " COREDATA_SPEED ", "randomNum"])
    assert names == ["coreData_id", "coreData_speed", None]


def test_a_table_of_something_else_is_refused() -> None:
    with pytest.raises(MalformedInputError, match="coreData_id"):
        columns_of(["time", "speed"])


def test_the_position_may_stand_in_the_column_for_maps(codec: Codec) -> None:
    alone = {"coreData_position_lat": "", "coreData_position_long": ""}
    for where in (
        "POINT (13.3777 52.5163)",
        "Point(13.3777 52.5163)",
        "{'type': 'Point', 'coordinates': [13.3777, 52.5163]}",
    ):
        core = core_of(codec, **alone, coreData_position=where)
        assert (core["lat"], core["long"]) == (525_163_000, 133_777_000)


def test_cells_that_python_printed_are_read(codec: Codec) -> None:
    points = (
        "[{'latOffset': 1e-05, 'lonOffset': -2e-05, 'elevationOffset': 0.5, 'timeOffset': 2.5}]"
    )
    assert part_of(codec, part2_vse_ph_crumbdata=points)["pathHistory"]["crumbData"] == [
        {"latOffset": 100, "lonOffset": -200, "elevationOffset": 5, "timeOffset": 250}
    ]
    events = "{'eventHardBraking': True, 'eventFlatTire': False}"
    assert part_of(codec, part2_vse_events=events)["events"] == (b"\x01\x00", 13)


@pytest.mark.parametrize(("text", "octet"), [("True", 0x40), ("FALSE", 0), ("1", 0x40), ("0", 0)])
def test_truth_is_written_in_many_ways(codec: Codec, text: str, octet: int) -> None:
    core = core_of(codec, coreData_brakes_wheelBrakes_leftFront=text)
    assert core["brakes"]["wheelBrakes"] == (bytes([octet]), 5)


def test_names_of_states_are_read_in_any_case(codec: Codec) -> None:
    assert core_of(codec, coreData_transmission="FORWARDGEARS")["transmission"] == "forwardGears"


def test_a_vehicle_of_no_type_is_not_a_missing_type(codec: Codec) -> None:
    part = part_of(codec, part2_suve_cd_hpmstype="none", part2_suve_cd_role="basicVehicle")
    assert part["classDetails"] == {"hpmsType": "none", "role": "basicVehicle"}


def test_a_straight_path_is_a_radius_of_nothing(codec: Codec) -> None:
    cells = {"part2_vse_pp_radiusofcurve": "0.0", "part2_vse_pp_confidence": "70.0"}
    assert part_of(codec, **cells)["pathPrediction"] == {"radiusOfCurve": 32_767, "confidence": 140}


def test_a_full_turn_is_north(codec: Codec) -> None:
    assert core_of(codec, coreData_heading="360.0")["heading"] == 0


@pytest.mark.parametrize(
    ("column", "cell", "complaint"),
    [
        ("coreData_speed", "fast", "speed is not a number"),
        ("coreData_speed", "163.82", r"speed is 163.82, beyond 0.0 .. 163.8"),
        ("coreData_speed", "-1", "beyond"),
        ("coreData_heading", "400", "beyond"),
        ("coreData_position_lat", "279510000", "lat is beyond -90.0 .. 90.0"),
        ("coreData_elevation", "1e300", "not a number"),
        ("coreData_elevation", "inf", "not a number"),
        ("coreData_id", "", "id is missing"),
        ("coreData_id", "G1", "id"),
        ("coreData_msgCnt", "128", "beyond"),
        ("coreData_transmission", "sideways", "sideways"),
        ("coreData_size", "{'width': ", "coreData_size"),
        ("coreData_size", "[1, 2]", "size"),
        ("coreData_brakes_wheelBrakes_leftFront", "perhaps", "leftFront"),
        ("part2_vse_ph_crumbdata", "[" * 5000, "crumbdata"),
        ("part2_vse_ph_crumbdata", "[1]", "crumbData"),
        ("part2_vse_events", "{'eventParty': True}", "events"),
        ("part2_vse_pp_confidence", "70.0", "radiusOfCurve is missing"),
        ("part2_spve_tr_sspRights", "0", "connection"),
        ("coreData_size", " " * 70_000 + "1", "size"),
        ("coreData_size", "x" * 70_000, "65536"),
    ],
)
def test_a_cell_that_cannot_be_is_named(
    codec: Codec, column: str, cell: str, complaint: str
) -> None:
    with pytest.raises(MalformedInputError, match=complaint) as refused:
        core_of(codec, **{column: cell})
    assert len(str(refused.value)) < 200


def test_no_error_tells_a_position(codec: Codec) -> None:
    wrong = {"coreData_position_lat": "95.4711", "coreData_position": "POINT (95.4711 x)"}
    for column, cell in wrong.items():
        with pytest.raises(MalformedInputError) as refused:
            core_of(codec, **{"coreData_position_lat": "", column: cell})
        assert "95" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2018-05-09T16:29:30.349Z[UTC]", "2018-05-09T16:29:30.349Z"),
        ("2018-05-09T16:29:30.349Z", "2018-05-09T16:29:30.349Z"),
        ("2018-05-09T16:29:30", "2018-05-09T16:29:30Z"),
        ("2018-05-09 18:29:30+02:00", "2018-05-09T16:29:30Z"),
        ("06/26/2019 09:00:43 PM", "2019-06-26T21:00:43Z"),
        ("yesterday", "yesterday"),
    ],
)
def test_times_are_those_of_the_ode(text: str, expected: str) -> None:
    assert instant(text) == expected


def test_times_of_a_row_have_no_zone() -> None:
    record = from_row({**ROW, "metadata_generatedAt": "2018-05-09T16:29:30.349Z[UTC]"})
    record["payload"]["data"]["partII"] = []
    assert to_row(record)["metadata_generatedAt"] == "2018-05-09T16:29:30.349"


@pytest.mark.parametrize("cell", ["=1+1", "+A1", "-A1", "@SUM(A1)", "\t=1", "'=1", "-", "=-1"])
def test_what_a_spreadsheet_would_calculate_is_escaped(cell: str) -> None:
    assert escaped(cell).startswith("'")
    assert unescaped(escaped(cell)) == cell


@pytest.mark.parametrize("cell", ["-105.1547481", "+1.5", "-1.92e-05", "POINT (-1 2)", "", "it's"])
def test_figures_and_text_are_left_alone(cell: str) -> None:
    assert escaped(cell) == cell == unescaped(cell)


def test_a_formula_in_the_metadata_does_not_leave_as_one(
    records: list[dict[str, Any]],
) -> None:
    record = copy.deepcopy(records[0])
    record["metadata"]["logFileName"] = '=HYPERLINK("http://192.0.2.1")'
    row = to_row(record)
    assert row["metadata_logFileName"].startswith("'=")
    assert from_row(row)["metadata"]["logFileName"] == record["metadata"]["logFileName"]


@given(st.dictionaries(st.sampled_from(COLUMNS), st.text(max_size=60), max_size=20))
def test_any_cells_give_a_message_or_our_error(codec: Codec, cells: dict[str, str]) -> None:
    try:
        frame = codec.encode_tree(from_ode(codec, from_row({**ROW, **cells})["payload"]["data"]))
    except MalformedInputError:
        return
    assert codec.decode_tree(frame)


@given(st.text(max_size=80))
def test_any_text_survives_a_cell(text: str) -> None:
    assert unescaped(escaped(text)) == text
    assert meaning("metadata_logFileName", "") is None
