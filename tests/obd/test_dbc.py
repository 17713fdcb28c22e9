"""One bad line in a description costs that line, not the car."""

from pathlib import Path

import cantools
import pytest
from cantools.database.can import Database, Message

from agent.errors import UsageError
from agent.obd.dbc import Dbc, load_dbc
from tests.obd.recordings import DBC, dbc_files, needs_recordings

HEAD = 'VERSION ""\n\nNS_ :\n    CM_\n    BA_\n\nBS_:\n\nBU_: XXX\n\n'
SPEED = 'BO_ 180 SPEED: 8 XXX\n SG_ SPEED : 47|16@0+ (0.01,0) [0|250] "km/h" XXX\n\n'


def load(tmp_path: Path, text: str | bytes) -> Dbc:
    path = tmp_path / "car.dbc"
    path.write_bytes(text.encode("utf-8") if isinstance(text, str) else text)
    return load_dbc(path)


def signals(message: Message) -> list[tuple[object, ...]]:
    fields = ("name", "start", "length", "byte_order", "is_signed", "scale", "offset", "unit")
    more = ("multiplexer_ids", "multiplexer_signal", "is_multiplexer")
    return [tuple(getattr(s, name) for name in fields + more) for s in message.signals] + [
        tuple(s.conversion.is_float for s in message.signals)
    ]


@pytest.mark.parametrize("path", dbc_files(), ids=lambda path: path.stem)
def test_file_from_the_field_loads(path: Path) -> None:
    dbc = load_dbc(path)
    heads = [line for line in path.read_text("utf-8").splitlines() if line.startswith("BO_ ")]
    assert len(dbc.messages) == len(heads)


@needs_recordings
@pytest.mark.parametrize(
    "path",
    [p for p in dbc_files() if "kona" not in str(p) and p.stem[:5] not in {"honda", "hyund"}],
    ids=lambda path: path.stem,
)
def test_valid_file_reads_as_the_strict_parser_reads_it(path: Path) -> None:
    peer = cantools.database.load_file(path, strict=False)
    assert isinstance(peer, Database)
    dbc = load_dbc(path)
    assert dbc.complaints == ()
    assert [(m.name, m.length, signals(m)) for m in dbc.messages.values()] == [
        (m.name, m.length, signals(m)) for m in peer.messages
    ]


@needs_recordings
@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("honda_civic_touring_2016_can_generated", ["line 211", "line 212"]),
        ("hyundai_can_generated", ["line 1659", "line 1660"]),
    ],
)
def test_bad_comments_of_published_files_are_named_by_their_line(
    name: str, lines: list[str]
) -> None:
    complaints = load_dbc(DBC / "opendbc" / f"{name}.dbc").complaints
    assert [complaint.partition(":")[0] for complaint in complaints] == lines


@pytest.mark.parametrize(
    ("bad", "line", "why"),
    [
        ('CM_ SG_ 180 "no signal name";\n', 14, "comment"),
        ('CM_ 180 "no kind";\n', 14, "comment"),
        ('VAL_ 180 ABSENT 0 "off";\n', 14, "ABSENT"),
        ('VAL_ 999 SPEED 0 "off";\n', 14, "999"),
        ("SG_MUL_VAL_ 180 SPEED ABSENT 1-1;\n", 14, "ABSENT"),
        ("SG_MUL_VAL_ 180 SPEED SPEED 0-4294967295;\n", 14, "multiplexer values"),
        ("SIG_VALTYPE_ 180 SPEED : 1;\n", 14, "32 bits"),
        ("BO_ 181 BROKEN 8 XXX\n", 14, "message"),
        ("BO_ 181 LONG: 65 XXX\n", 14, "65 bytes"),
        ("BO_ 4294967295 WIDE: 8 XXX\n", 14, "29 bits"),
        (' SG_ LATE : 0|8@1+ (1,0) [0|1] "" XXX\n', None, ""),
        ("BO_ 181 X: 8 XXX\n SG_ A : 0|8 1+ (1,0)\n", 15, "not a signal"),
        ('BO_ 181 X: 8 XXX\n SG_ A : 0|65@1+ (1,0) [0|1] "" X\n', 15, "65 bits"),
        ('BO_ 181 X: 8 XXX\n SG_ A : 9999|8@1+ (1,0) [0|1] "" X\n', 15, "bit 9999"),
        ('BO_ 181 X: 8 XXX\n SG_ A : 0|8@1+ (1e999,0) [0|1] "" X\n', 15, "out of range"),
        ('BO_ 181 X: 8 XXX\n SG_ A : 0|8@1+ (nan,0) [0|1] "" X\n', 15, "not a signal"),
        ('CM_ "never closed;\nBO_ 182 NEXT: 8 XXX\n SG_ A : 0|8@1+ (1,0) [0|1] "" X\n', None, ""),
    ],
)
def test_bad_line_is_left_out_and_named(
    tmp_path: Path, bad: str, line: int | None, why: str
) -> None:
    tail = 'BO_ 200 LAST: 8 XXX\n SG_ LAST : 0|8@1+ (1,0) [0|1] "" XXX\n'
    dbc = load(tmp_path, HEAD + SPEED + bad + tail)
    assert {"SPEED", "LAST"} <= {message.name for message in dbc.messages.values()}
    if line is None:
        assert dbc.complaints == ()
    else:
        [complaint] = dbc.complaints
        assert complaint.startswith(f"line {line}: ")
        assert why in complaint


def test_wide_identifier_without_its_mark_is_read_as_extended(tmp_path: Path) -> None:
    dbc = load(tmp_path, HEAD + SPEED.replace("180", "217056256"))
    [(key, message)] = dbc.messages.items()
    assert key == 217056256 | 0x8000_0000
    assert message.is_extended_frame
    assert "extended" in dbc.complaints[0]


def test_names_beginning_with_a_digit_get_an_underscore(tmp_path: Path) -> None:
    dbc = load(tmp_path, HEAD + SPEED.replace(" SPEED", " 4WD"))
    [message] = dbc.messages.values()
    assert (message.name, message.signals[0].name) == ("_4WD", "_4WD")
    assert len(dbc.complaints) == 2


def test_number_without_a_leading_digit_is_read(tmp_path: Path) -> None:
    [message] = load(tmp_path, HEAD + SPEED.replace("0.01,0", ".25,-.5")).messages.values()
    assert (message.signals[0].scale, message.signals[0].offset) == (0.25, -0.5)


def test_sections_may_be_missing(tmp_path: Path) -> None:
    assert len(load(tmp_path, SPEED).messages) == 1


def test_code_page_of_older_tools_is_read(tmp_path: Path) -> None:
    text = SPEED.replace("km/h", "°C")
    for encoding in ("utf-8", "utf-8-sig", "cp1252"):
        [message] = load(tmp_path, text.encode(encoding)).messages.values()
        assert message.signals[0].unit == "°C"


def test_long_names_replace_the_short_ones(tmp_path: Path) -> None:
    attribute = (
        'BA_ "SystemSignalLongSymbol" SG_ 180 SPEED "SPEED_AS_THE_INSTRUMENT_SHOWS_IT_ALL";\n'
    )
    [message] = load(tmp_path, HEAD + SPEED + attribute).messages.values()
    assert message.signals[0].name == "SPEED_AS_THE_INSTRUMENT_SHOWS_IT_ALL"


def test_identifier_described_twice_counts_as_the_later_one_says(tmp_path: Path) -> None:
    dbc = load(tmp_path, SPEED + SPEED.replace("SPEED", "LATER"))
    assert [message.name for message in dbc.messages.values()] == ["LATER"]
    assert "described before" in dbc.complaints[0]


LOOSE = "VECTOR__INDEPENDENT_SIG_MSG: 0 Vector__XXX\n"
UNUSED = ' SG_ UNUSED : 0|8@1+ (1,0) [0|0] "" Vector__XXX\n'


@pytest.mark.parametrize("key", [0xC000_0000, 0x4000_0000])
def test_signals_that_no_message_carries_are_no_fault(tmp_path: Path, key: int) -> None:
    loose = f"BO_ {key} {LOOSE}{UNUSED}\n"
    after = f'VAL_ {key} UNUSED 0 "off";\nCM_ SG_ {key} UNUSED "of no use";\n'
    dbc = load(tmp_path, HEAD + loose + SPEED + after)
    assert [message.name for message in dbc.messages.values()] == ["SPEED"]
    assert dbc.complaints == ()


def test_second_signal_of_a_name_is_kept_under_a_number(tmp_path: Path) -> None:
    lines = "".join(f' SG_ TWIN : {8 * n}|8@1+ (1,0) [0|1] "" X\n' for n in range(3))
    dbc = load(tmp_path, HEAD + "BO_ 7 PAIR: 8 X\n" + lines + 'VAL_ 7 TWIN 0 "off";\n')
    [message] = dbc.messages.values()
    assert [(s.name, s.start) for s in message.signals] == [
        ("TWIN", 0),
        ("TWIN_2", 8),
        ("TWIN_3", 16),
    ]
    assert dbc.complaints == (
        "line 13: a second signal TWIN in one message is read as TWIN_2",
        "line 14: a second signal TWIN in one message is read as TWIN_3",
    )


def test_tenth_signal_of_a_name_is_left_out(tmp_path: Path) -> None:
    lines = ' SG_ MANY : 0|8@1+ (1,0) [0|1] "" X\n' * 10
    dbc = load(tmp_path, HEAD + "BO_ 7 CROWD: 8 X\n" + lines)
    [message] = dbc.messages.values()
    assert len(message.signals) == 9
    assert dbc.complaints[-1] == "line 21: more than 9 signals MANY in one message"


def test_multiplexer_that_lost_its_capital_still_chooses(tmp_path: Path) -> None:
    lines = ' SG_ MODE m : 0|8@1+ (1,0) [0|1] "" X\n SG_ ONE m1 : 8|8@1+ (1,0) [0|1] "" X\n'
    listed = "SG_MUL_VAL_ 7 ONE MODE 1-1;\n"
    dbc = load(tmp_path, HEAD + "BO_ 7 CHOICE: 8 X\n" + lines + listed)
    [message] = dbc.messages.values()
    assert message.decode(b"\1\5" + bytes(6)) == {"MODE": 1, "ONE": 5}
    assert dbc.complaints == ("line 12: MODE is multiplexed by no value: read as the multiplexer",)


@pytest.mark.parametrize(
    "text", [HEAD, 'CM_ "IMPORT base.dbc";\n', "BU_: A B\n", f'BO_ 3221225472 {LOOSE}VERSION ""\n']
)
def test_file_without_a_message_loads_and_says_so(tmp_path: Path, text: str) -> None:
    dbc = load(tmp_path, text)
    assert (dbc.messages, dbc.complaints) == ({}, ("no message is described",))


def test_explosion_of_multiplexer_values_costs_the_message(tmp_path: Path) -> None:
    lines = [f' SG_ S{n} m{n} : 8|8@1+ (1,0) [0|1] "" X\n' for n in range(1000)]
    wide = "BO_ 5 WIDE: 8 X\n" + ' SG_ M0 M : 0|8@1+ (1,0) [0|1] "" X\n' + "".join(lines)
    nested = "".join(f"SG_MUL_VAL_ 5 S{n} S{n + 1} 0-99;\n" for n in range(5))
    dbc = load(tmp_path, SPEED + wide + nested)
    assert [message.name for message in dbc.messages.values()] == ["SPEED"]
    assert "multiplexer values" in dbc.complaints[-1]


def test_complaints_are_kept_up_to_a_limit_and_the_rest_counted(tmp_path: Path) -> None:
    complaints = load(tmp_path, SPEED + 'CM_ 1 "x";\n' * 1000).complaints
    assert (len(complaints), complaints[-1]) == (201, "and 800 more")


def test_large_file_of_garbage_is_refused_in_reasonable_time(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a DBC"):
        load(tmp_path, 'SG_ a : 0|8@1+ (1,0) "\n' * 40_000)
    with pytest.raises(UsageError, match="not a DBC"):
        load(tmp_path, "BO_ 1 a: 8" + " " * 1_000_000 + "x y\n")


@pytest.mark.parametrize("content", [b"", b"\0\1\2", b"hello\n", b"BO_ x\n", b"\xff\xfe\xfd"])
def test_what_describes_no_message_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(UsageError, match=r"car\.dbc: not a DBC"):
        load(tmp_path, content)


def test_missing_file_and_directory_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        load_dbc(tmp_path / "absent.dbc")
    with pytest.raises(UsageError, match="a directory"):
        load_dbc(tmp_path)
