import random
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from agent.bsm.codec import LONGEST, Codec, UndecodableError
from agent.bsm.message import BasicSafetyMessage
from agent.bsm.uper import ADDITIONS, Tree
from agent.errors import ConfigError, MalformedInputError
from tests.bsm.damage import mutated
from tests.bsm.layout import framed, packed


def shown(value: Any) -> Any:
    """A tree in the notation of the public messages."""
    match value:
        case dict():
            return {name: shown(member) for name, member in value.items()}
        case list():
            return [shown(entry) for entry in value]
        case bytes():
            return value.hex().upper()
        case (octets, count):
            return {"bits": "".join(f"{octet:08b}" for octet in octets)[:count]}
    return value


def bits(text: str) -> bytes:
    """Octets of a string of bits, padded with zeros."""
    text = text.replace(" ", "")
    text += "0" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8)


def with_part(codec: Codec, number: int, value: bytes) -> bytes:
    """A frame whose only Part II entry has these octets."""
    tree = codec.decode_tree(packed())
    return codec.encode_tree({**tree, "partII": [{"partII-Id": number, "partII-Value": value}]})


def test_every_public_message_decodes_to_its_stated_values(
    codec: Codec, public: dict[str, Any]
) -> None:
    assert len(public["vectors"]) >= 84
    for vector in public["vectors"]:
        assert shown(codec.decode_tree(bytes.fromhex(vector["hex"]))) == vector["decoded"]


def test_every_public_message_encodes_to_the_same_octets(
    codec: Codec, public: dict[str, Any]
) -> None:
    for vector in public["vectors"]:
        tree = codec.decode_tree(bytes.fromhex(vector["hex"]))
        assert codec.encode_tree(tree).hex().upper() == vector["hex"], vector["id"]


def test_a_bare_message_is_read_as_the_one_in_a_frame(codec: Codec, public: dict[str, Any]) -> None:
    for vector in public["vectors"]:
        framed_tree = codec.decode_tree(bytes.fromhex(vector["hex"]))
        assert codec.decode_tree(bytes.fromhex(vector["bsm_hex"])) == framed_tree


def test_every_signed_or_unsecured_message_is_read(
    codec: Codec, secured: list[dict[str, Any]]
) -> None:
    assert len(secured) >= 19
    for vector in secured:
        message = codec.decode_frame(bytes.fromhex(vector["hex"]))
        assert message.temporary_id.hex().upper() == vector["id"]
        assert (message.msg_count, message.sec_mark_ms) == (vector["msgCnt"], vector["secMark"])


def test_public_octets_that_are_no_message_are_refused(
    codec: Codec, public: dict[str, Any]
) -> None:
    for vector in public["not_decodable_or_not_bsm"]:
        with pytest.raises(MalformedInputError):
            codec.decode_tree(bytes.fromhex(vector["hex"]))


def test_part_one_is_read_as_packed_by_hand(codec: Codec) -> None:
    core = codec.decode_tree(packed())["coreData"]

    assert core["id"] == bytes.fromhex("0BADF00D")
    assert (core["lat"], core["long"], core["elev"]) == (525_163_000, 133_777_000, 745)
    assert core["accelSet"] == {"long": -392, "lat": 51, "vert": 3, "yaw": -2000}
    assert core["brakes"]["wheelBrakes"] == (b"\x78", 5)
    assert core["brakes"]["abs"] == "engaged"
    assert core["size"] == {"width": 182, "length": 451}


def test_part_one_is_written_as_packed_by_hand(codec: Codec) -> None:
    assert codec.encode_tree(codec.decode_tree(packed())) == framed(packed())


@pytest.mark.parametrize(
    ("field", "raw"),
    [
        ("lat", 900_000_002),
        ("long", 1_800_000_002),
        ("heading", 28_801),
        ("angle", 128),
        ("accelLong", 2002),
        ("accelLat", 2002),
        ("accelVert", 128),
        ("yaw", 32_768),
        ("brakeBoost", 3),
    ],
)
def test_a_value_that_fits_its_bits_but_not_its_range_is_refused(
    codec: Codec, field: str, raw: int
) -> None:
    with pytest.raises(MalformedInputError):
        codec.decode_tree(packed({field: raw}))


@pytest.mark.parametrize(
    ("field", "value", "limit"),
    [
        ("msgCnt", 128, "0..127"),
        ("lat", -900_000_001, "-900000000..900000001"),
        ("speed", -1, "0..8191"),
    ],
)
def test_a_refusal_to_write_names_member_value_and_range(
    codec: Codec, field: str, value: int, limit: str
) -> None:
    tree = codec.decode_tree(packed())
    tree["coreData"][field] = value

    with pytest.raises(MalformedInputError, match=f"coreData.{field}.* {value} is not in {limit}"):
        codec.encode_tree(tree)


@pytest.mark.parametrize("value", [None, "7", 7.0, True, [7], {}])
def test_a_value_of_another_type_is_refused_on_writing(codec: Codec, value: object) -> None:
    tree = codec.decode_tree(packed())
    tree["coreData"]["msgCnt"] = value
    with pytest.raises(MalformedInputError, match="msgCnt"):
        codec.encode_tree(tree)


@pytest.mark.parametrize(
    "tree",
    [
        {},
        {"coreData": None},
        {"coreData": {}},
        {"coreData": {}, "partII": None},
        {"coreData": {}, "partII": [3]},
        {"coreData": {}, "partII": [{"partII-Id": "0"}]},
        {"coreData": {}, "partII": [{"partII-Id": []}]},
        {"coreData": {}, "partII": [{"partII-Id": 0, "partII-Value": [3]}]},
    ],
)
def test_an_incomplete_tree_is_refused(codec: Codec, tree: Tree) -> None:
    with pytest.raises(MalformedInputError):
        codec.encode_tree(tree)


def test_what_is_no_tree_at_all_is_refused(codec: Codec) -> None:
    wrong: list[Any] = [None, 3, b"\0\x14", [("coreData", {})]]
    for tree in wrong:
        with pytest.raises(MalformedInputError, match="where a message is expected"):
            codec.encode_tree(tree)


def test_a_member_that_does_not_exist_is_refused_on_writing(codec: Codec) -> None:
    tree = codec.decode_tree(packed())
    with pytest.raises(MalformedInputError, match="part2"):
        codec.encode_tree({**tree, "part2": []})


def test_a_missing_member_is_named_without_its_neighbours(codec: Codec) -> None:
    tree = codec.decode_tree(packed())
    del tree["coreData"]["secMark"]

    with pytest.raises(MalformedInputError, match="secMark") as refusal:
        codec.encode_tree(tree)

    assert "525163000" not in str(refusal.value)


@pytest.mark.parametrize("length", range(37))
def test_a_message_cut_short_is_refused_where_it_ends(codec: Codec, length: int) -> None:
    with pytest.raises(UndecodableError) as refusal:
        codec.decode_tree(packed()[:length])
    assert refusal.value.offset <= 8 * length


def test_octets_after_the_message_are_refused(codec: Codec) -> None:
    for wrong in (packed() + b"\0", framed(packed() + b"\0"), framed(packed()) + b"\0"):
        with pytest.raises(MalformedInputError):
            codec.decode_tree(wrong)


def test_padding_that_is_not_zero_is_refused(codec: Codec) -> None:
    body = bytearray(packed())
    body[-1] |= 1
    with pytest.raises(MalformedInputError, match="padding"):
        codec.decode_tree(bytes(body))


def test_another_message_is_named_by_its_number(codec: Codec) -> None:
    with pytest.raises(MalformedInputError, match="message 19"):
        codec.decode_tree(framed(packed(), 19))


def test_an_offset_in_part_two_counts_from_the_first_bit_heard(codec: Codec) -> None:
    # lights present, 9 bits, all on, and one bit too many after the padding
    value = bits("0 0001 0 111111111") + b"\xff"
    frame = with_part(codec, 0, value)

    with pytest.raises(UndecodableError) as refusal:
        codec.decode_tree(frame)

    # frame header, preamble, Part I, count, number and length of the entry, then 15 bits
    assert refusal.value.offset == 24 + 3 + 290 + 3 + 6 + 8 + 15


def test_a_part_two_value_of_an_unknown_number_stays_octets(codec: Codec) -> None:
    frame = with_part(codec, 9, b"\x01\x02\x03")

    tree = codec.decode_tree(frame)

    assert tree["partII"] == [{"partII-Id": 9, "partII-Value": b"\x01\x02\x03"}]
    assert codec.encode_tree(tree) == frame


def test_a_part_two_value_over_127_octets_has_a_length_of_two(codec: Codec) -> None:
    frame = with_part(codec, 9, bytes(200))
    assert codec.decode_tree(frame)["partII"][0]["partII-Value"] == bytes(200)
    assert codec.encode_tree(codec.decode_tree(frame)) == frame


def test_event_flags_of_a_later_edition_keep_their_length(
    codec: Codec, public: dict[str, Any]
) -> None:
    for vector in public["subtype_vectors"]:
        length = len(vector["bits"])
        flags = bits("".join(f"{octet:08b}" for octet in bytes.fromhex(vector["uper"])))
        inner = "0 1000" + "".join(f"{octet:08b}" for octet in flags)
        sent = length + (9 if length != 13 else 1)
        frame = with_part(codec, 0, bits(inner[: 6 + sent]))

        tree = codec.decode_tree(frame)

        assert shown(tree["partII"][0]["partII-Value"]["events"]) == {"bits": vector["bits"]}
        assert codec.encode_tree(tree) == frame


def test_the_root_size_written_as_an_extension_is_refused(codec: Codec) -> None:
    frame = with_part(codec, 0, bits("0 1000 1 00001101 0000000000001"))
    with pytest.raises(MalformedInputError, match="13 bits"):
        codec.decode_tree(frame)


def test_an_unknown_extension_addition_is_kept_and_written_again(codec: Codec) -> None:
    # extension bit, no root members, 2 additions announced, the second there: 3 octets
    value = bits("1 0000 0 000001 01 00000011 10101010 10111011 11001100")
    frame = with_part(codec, 0, value)

    tree = codec.decode_tree(frame)

    kept = [None, bytes.fromhex("AABBCC")]
    assert tree["partII"][0]["partII-Value"] == {ADDITIONS: kept}
    assert codec.encode_tree(tree) == frame


def test_an_extension_addition_of_2024_is_read(codec: Codec) -> None:
    # SupplementalVehicleExtensions with fhwaVehicleClass 3, the first of three additions
    value = bits("1 0000000000 0 000010 100 00000001 00010000")
    frame = with_part(codec, 2, value)

    content = codec.decode_tree(frame)["partII"][0]["partII-Value"]

    assert content["fhwaVehicleClass"] == "other2axle4tireSingleUnitVehs"
    assert codec.encode_tree(codec.decode_tree(frame)) == frame


def test_an_addition_that_a_later_edition_changed_is_kept_as_octets(codec: Codec) -> None:
    value = bits("1 0000000000 0 000000 1 00000010 11111111 11111111")
    frame = with_part(codec, 2, value)

    content = codec.decode_tree(frame)["partII"][0]["partII-Value"]

    assert content == {ADDITIONS: [b"\xff\xff"]}
    assert codec.encode_tree(codec.decode_tree(frame)) == frame


def test_an_addition_beside_kept_octets_is_written_at_its_place(codec: Codec) -> None:
    tree = codec.decode_tree(packed())
    data = {"...": [None], "leanAngle": -12}
    tree["partII"] = [{"partII-Id": 2, "partII-Value": {"vehicleData": data}}]

    again = codec.decode_tree(codec.encode_tree(tree))

    assert again["partII"][0]["partII-Value"]["vehicleData"] == {"leanAngle": -12}


def test_more_additions_than_any_edition_has_are_refused(codec: Codec) -> None:
    value = bits("1 0000 1 10111111 11111111" + "1" * 16383) + bytes(4000)
    with pytest.raises(MalformedInputError, match="64 extension additions"):
        codec.decode_tree(with_part(codec, 0, value))


def test_an_enumeration_value_of_a_later_edition_is_kept(codec: Codec) -> None:
    # classDetails with a role beyond the extension marker, the sixth
    value = bits("0 0100000000 0 010000000 1 0 000101")
    frame = with_part(codec, 2, value)

    content = codec.decode_tree(frame)["partII"][0]["partII-Value"]

    assert content == {"classDetails": {"role": "extension-5"}}
    assert codec.encode_tree(codec.decode_tree(frame)) == frame


def test_more_list_entries_than_the_range_allows_are_refused(codec: Codec) -> None:
    # pathHistory whose count says 24 points, where 23 are allowed
    frame = with_part(codec, 0, bits("0 0100 0 00 10111" + "0" * 24 * 70))
    with pytest.raises(MalformedInputError, match="24 entries"):
        codec.decode_tree(frame)


def test_a_message_without_part_two_has_forty_octets(codec: Codec) -> None:
    assert len(codec.encode_frame(BasicSafetyMessage(msg_count=0, temporary_id=bytes(4)))) == 40


@pytest.mark.parametrize(
    "message",
    [
        BasicSafetyMessage(msg_count=128, temporary_id=bytes(4)),
        BasicSafetyMessage(msg_count=-1, temporary_id=bytes(4)),
        BasicSafetyMessage(msg_count=0, temporary_id=bytes(3)),
        BasicSafetyMessage(msg_count=0, temporary_id=bytes(4), events=frozenset({"eventParty"})),
    ],
)
def test_a_message_that_cannot_be_sent_is_refused(
    codec: Codec, message: BasicSafetyMessage
) -> None:
    with pytest.raises(MalformedInputError):
        codec.encode_frame(message)


def test_mutated_messages_are_read_whole_or_refused(codec: Codec, public: dict[str, Any]) -> None:
    rng = random.Random(2735)
    sources = [bytes.fromhex(vector["hex"]) for vector in public["vectors"]]
    refused = 0
    for _ in range(4000):
        octets = mutated(rng.choice(sources), rng)
        try:
            tree = codec.decode_tree(octets)
        except MalformedInputError:
            refused += 1
            continue
        assert codec.encode_tree(tree).endswith(octets[-20:])
        codec.decode_frame(octets)
    assert 0 < refused < 4000


def test_noise_is_read_whole_or_refused(codec: Codec) -> None:
    rng = random.Random(1609)
    for _ in range(2000):
        octets = rng.randbytes(rng.randint(0, 120))
        try:
            tree = codec.decode_tree(octets)
        except MalformedInputError:
            continue
        assert codec.encode_tree(tree).endswith(octets[-20:])


def test_no_input_up_to_64_kb_takes_long(codec: Codec) -> None:
    codec.decode_tree(packed())
    crumbs = bits("0 0100 0 00 10110" + ("0 111" + "1" * 200) * 30)
    worst = [
        with_part(codec, 9, bytes(LONGEST - 100)),
        with_part(codec, 0, crumbs),
        with_part(codec, 0, bits("1 0000 1 10111111 11111111" + "1" * 16383) + b"\0" * 4000),
        b"\xff" * 65_535,
        bytes(65_535),
    ]
    for octets in worst:
        begun = time.perf_counter()
        with suppress(MalformedInputError):
            codec.decode_tree(octets)
        assert time.perf_counter() - begun < 0.1  # ten times the figure meant: machines stall


def test_a_module_that_is_not_there_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nothing\.asn"):
        Codec(tmp_path / "nothing.asn").decode_tree(packed())


@pytest.mark.parametrize("text", ["", "J2735 DEFINITIONS ::= BEGIN", "A DEFINITIONS ::= BEGIN END"])
def test_a_module_that_does_not_compile_is_a_configuration_error(text: str) -> None:
    with pytest.raises(ConfigError):
        Codec(text).decode_tree(packed())
