"""Part I alone against asn1tools as it comes, the table of its bits, and the compiled module."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import asn1tools
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.bsm import fastbits
from agent.bsm.codec import Codec
from agent.bsm.core import FIELDS, Core, decode_core, encode_core
from agent.bsm.partii import Safety
from agent.bsm.uper import Integer, OctetString, Sequence
from agent.errors import MalformedInputError
from tests.bsm.layout import CORE, SOMEWHERE, framed, packed
from tests.bsm.trees import EXAMPLES

MODULE = Path(__file__).parents[2] / "asn1" / "J2735.asn"
NAMES = Core.__struct_fields__
LIMITED = [place for place, field in enumerate(FIELDS) if field.high is not None]
SPARE = [
    place
    for place, field in enumerate(FIELDS)
    if field.high is not None and field.high - field.low + 1 < 1 << field.bits
]
SOMEWHERE_CORE = decode_core(packed())


def changed(place: int, value: object) -> Core:
    return msgspec.structs.replace(SOMEWHERE_CORE, **{NAMES[place]: value})


def cores() -> st.SearchStrategy[Core]:
    parts: list[st.SearchStrategy[Any]] = []
    for field in FIELDS:
        if field.high is None:
            parts.append(st.binary(min_size=4, max_size=4))
        else:
            bounds = st.sampled_from([field.low, field.high])
            parts.append(st.one_of(bounds, st.integers(field.low, field.high)))
    return st.tuples(*parts).map(lambda values: Core(*values))


@pytest.fixture(scope="module")
def plain() -> Any:
    """asn1tools without what uper.py adds to it."""
    return asn1tools.compile_files(str(MODULE), "uper")


@settings(max_examples=EXAMPLES, deadline=None, database=None)
@given(core=cores())
def test_every_core_has_the_bits_of_plain_asn1tools(plain: Any, core: Core) -> None:
    frame = encode_core(core)

    tree = plain.decode("BasicSafetyMessage", frame[3:], check_constraints=True)

    assert plain.encode("BasicSafetyMessage", tree, check_constraints=True) == frame[3:]
    assert (tree["coreData"]["id"], tree["coreData"]["lat"]) == (core.temporary_id, core.latitude)
    assert tree["coreData"]["accelSet"]["yaw"] == core.yaw_rate
    assert decode_core(frame) == decode_core(frame[3:]) == core


def test_part_one_is_read_and_written_as_packed_by_hand() -> None:
    assert encode_core(SOMEWHERE_CORE) == framed(packed())
    values = msgspec.structs.astuple(SOMEWHERE_CORE)
    by_hand = [SOMEWHERE[name] for name in CORE]
    by_hand[1] = SOMEWHERE["id"].to_bytes(4)  # type: ignore[call-overload]  # octets among numbers
    assert list(values) == by_hand


def test_the_table_of_fields_is_that_of_the_compiled_module(codec: Codec) -> None:
    found = list(_leaves(codec.types["BasicSafetyMessage"].root_members[0], ""))
    assert [(field.path, field.bits, field.low, field.high) for field in FIELDS] == found


def _leaves(kind: Any, path: str) -> Any:
    for member in kind.root_members:
        here = f"{path}.{member.name}".lstrip(".")
        if isinstance(member, Sequence):
            yield from _leaves(member, here)
        elif isinstance(member, Integer):
            yield here, member.number_of_bits, member.minimum, member.maximum
        elif isinstance(member, OctetString):
            yield here, 8 * member.minimum, 0, None
        elif hasattr(member, "root_data_to_index"):
            last = len(member.root_data_to_index) - 1
            yield here, last.bit_length(), 0, last
        else:
            yield here, member.minimum, 0, (1 << member.minimum) - 1


@pytest.mark.parametrize("place", LIMITED)
@pytest.mark.parametrize("side", ["below", "above", "far below", "far above"])
def test_a_value_out_of_range_is_refused_by_name_value_and_range(place: int, side: str) -> None:
    field = FIELDS[place]
    assert field.high is not None
    value = {
        "below": field.low - 1,
        "above": field.high + 1,
        "far below": -(1 << 80),
        "far above": 1 << 80,
    }[side]
    text = rf"coreData\.{field.path}: {value} is not in {field.low}\.\.{field.high}"

    with pytest.raises(MalformedInputError, match=text):
        encode_core(changed(place, value))


@pytest.mark.parametrize("place", SPARE)
def test_raw_bits_past_the_range_are_refused_by_name_value_and_range(place: int) -> None:
    field = FIELDS[place]
    assert field.high is not None
    name = list(CORE)[place]
    for value in (field.high + 1, field.low + (1 << field.bits) - 1):
        text = rf"coreData\.{field.path}: {value} is not in {field.low}\.\.{field.high}"
        with pytest.raises(MalformedInputError, match=text):
            decode_core(packed({name: value}))


@pytest.mark.parametrize("place", LIMITED)
def test_both_ends_of_a_range_are_written_and_read(place: int) -> None:
    field = FIELDS[place]
    for value in (field.low, field.high):
        core = changed(place, value)
        assert decode_core(encode_core(core)) == core


@pytest.mark.parametrize("place", range(len(FIELDS)))
@pytest.mark.parametrize("value", [None, 1.0, float("nan"), "1", [1], b"\0" * 3, b"\0" * 5])
def test_a_value_of_another_type_is_refused_by_name(place: int, value: object) -> None:
    with pytest.raises(MalformedInputError, match=FIELDS[place].path):
        encode_core(changed(place, value))


@pytest.mark.parametrize("length", [0, 1, 36, 38, 39, 41, 4000])
def test_octets_of_another_length_are_refused_with_their_number(length: int) -> None:
    with pytest.raises(MalformedInputError, match=f"^{length} octets"):
        decode_core(bytes(length))


@pytest.mark.parametrize("bit", [*range(27), 317, 318, 319])
def test_a_bit_turned_outside_part_one_is_refused(bit: int) -> None:
    frame = int.from_bytes(framed(packed())) ^ 1 << 319 - bit
    with pytest.raises(MalformedInputError):
        decode_core(frame.to_bytes(40))


def test_neither_position_nor_identity_is_in_the_repr() -> None:
    shown = repr(SOMEWHERE_CORE)
    assert not [word for word in ("525163000", "133777000", "0bad") if word in shown]


@pytest.fixture
def without_c(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """fastbits.py as it is loaded where bitstruct has no C extension."""
    monkeypatch.setitem(sys.modules, "bitstruct.c", None)
    monkeypatch.delattr("bitstruct.c", raising=False)
    spec = importlib.util.spec_from_file_location("without_c", fastbits.__file__)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_without_the_c_extension_the_bits_are_the_same(without_c: ModuleType) -> None:
    text = "u27p3s18r32u31p4u5"
    slow, quick = without_c.compiled(text), fastbits.compiled(text)
    assert type(slow) is not type(quick)
    for values in ((1, -5, b"\1\2\3\4", 0, 31), (0, 131071, b"\xff" * 4, (1 << 31) - 1, 0)):
        octets = quick.pack(*values)
        assert slow.pack(*values) == octets
        assert slow.unpack(octets) == quick.unpack(octets) == values


def test_without_the_c_extension_whole_messages_are_the_same(codec: Codec) -> None:
    point = (131071, -131072, -2048, 65535)
    safety = Safety(events=32, path=point * 3, radius=-32767, confidence=200, lights=1)
    frame = codec.encode_flat(SOMEWHERE_CORE, safety)
    program = (
        "import sys; sys.modules['bitstruct.c'] = None\n"
        "from agent.bsm.flat import decode_flat, encode_flat\n"
        "from agent.bsm.fastbits import PlainFormat, compiled\n"
        "assert type(compiled('u1')) is PlainFormat\n"
        "print(encode_flat(*decode_flat(bytes.fromhex(sys.argv[1]))).hex())"
    )
    command = [sys.executable, "-c", program, frame.hex()]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=MODULE.parents[1]
    )
    assert done.stdout.strip() == frame.hex()
    assert codec.decode_flat(frame) == (SOMEWHERE_CORE, safety)


@pytest.mark.parametrize("place", range(len(FIELDS)))
def test_without_the_c_extension_the_refusals_are_the_same(
    without_c: ModuleType, monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    field = FIELDS[place]
    wrong = [None, 1.5, "7", field.low - 1, (field.high or 0) + 1, 1 << 70, b"\0" * 3]
    cases = [changed(place, value) for value in wrong]
    quick = [_refused(case) for case in cases]
    text = "u27" + "".join(f"{'r' if f.high is None else 'u'}{f.bits}" for f in FIELDS) + "u3"
    monkeypatch.setattr("agent.bsm.core._pack", without_c.compiled(text).pack)
    assert [_refused(case) for case in cases] == quick
    assert encode_core(SOMEWHERE_CORE) == framed(packed())


def _refused(core: Core) -> str:
    with pytest.raises(MalformedInputError) as refusal:
        encode_core(core)
    return str(refusal.value)
