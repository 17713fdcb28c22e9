"""The usual shapes of a message to octets and back, without asn1tools.

`unpacked` and `packed` answer None for whatever they were not made for or find wrong, and the
reference path in codec.py does that. What they do answer is what the reference would:
tests/bsm/test_fast.py holds both against each other, over the whole tree.
"""

from typing import Any, Final

from agent.bsm.core import BARE, FRAME, Core, decode_core, encode_core
from agent.bsm.fasttree import core_of, tree_of
from agent.bsm.opentype import FRAGMENTS, LONGEST, ONE_OCTET, length_octets
from agent.bsm.uper import Tree
from agent.errors import MalformedInputError

_MESSAGE: Final = FRAME[:2]  # MessageFrame, message 20
_PART_II: Final = 0x40  # of the first octet: there is a list of Part II
_PREAMBLE: Final = 0xE0  # of the first octet: whatever may be there
_AFTER: Final = 7  # of the octet that ends Part I: entries of Part II after the first
_ONE_ENTRY: Final = _PART_II << 8 * (BARE - 1)
_PART_I: Final = ((1 << 290) - 1) << 3
_IDS: Final = range(64)
_BEFORE: Final = 14  # bits of an entry: 6 of the id, 8 of the length in its short form

_Entry = tuple[int, bytes]
"""partII-Id, partII-Value"""


def unpacked(body: bytes) -> Tree | None:
    """The tree of a message without regional extensions, its Part II values as octets."""
    try:
        core, entries = _split(body)
    except MalformedInputError:
        return None
    tree: Tree = {"coreData": tree_of(core)}
    if entries:
        tree["partII"] = [
            {"partII-Id": number, "partII-Value": octets} for number, octets in entries
        ]
    return tree


def packed(tree: Tree) -> bytes | None:
    """The message of a tree whose Part II values are octets already."""
    core = core_of(tree.get("coreData"))
    entries = _entries_of(tree["partII"]) if "partII" in tree else []
    if core is None or entries is None or len(tree) != 1 + ("partII" in tree):
        return None
    try:
        body = encode_core(core)[len(FRAME) :]
    except MalformedInputError:
        return None
    return _joined(body, entries) if entries else body


def framed(body: bytes) -> bytes:
    """The MessageFrame of a basic safety message of up to 16383 octets."""
    return _MESSAGE + length_octets(len(body)) + body


def _split(body: bytes) -> tuple[Core, list[_Entry]]:
    """Part I and the entries of Part II, of which there are none without a list."""
    if len(body) <= BARE:
        return decode_core(body), []
    if body[0] & _PREAMBLE != _PART_II:
        raise MalformedInputError(f"{len(body)} octets, and not Part I and Part II")
    part_one = int.from_bytes(body[:BARE]) & _PART_I
    entries = _entries(body[BARE:], 1 + (body[BARE - 1] & _AFTER))
    return decode_core(part_one.to_bytes(BARE)), entries


def _entries(octets: bytes, count: int) -> list[_Entry]:
    """The list of Part II without its count."""
    bits, left = int.from_bytes(octets), 8 * len(octets)
    entries: list[_Entry] = []
    try:
        for _ in range(count):
            left -= _BEFORE
            number, length = divmod(bits >> left & 0x3FFF, 256)
            if length > ONE_OCTET:
                left -= 8
                length = _longer(length, bits >> left & 0xFF)
            left -= 8 * length
            entries.append((number, (bits >> left & (1 << 8 * length) - 1).to_bytes(length)))
    except ValueError as error:  # a shift by less than nothing: the octets are used up
        raise MalformedInputError(f"entry {len(entries)} of Part II is not whole") from error
    if left >= 8 or bits & (1 << left) - 1:  # noqa: PLR2004 - bits of an octet
        raise MalformedInputError("after Part II is more than padding")
    return entries


def _longer(first: int, second: int) -> int:
    """A length in two octets."""
    length = (first & 0x3F) << 8 | second
    if first >= FRAGMENTS or length <= ONE_OCTET:
        raise ValueError(f"{length} octets in a form for others")
    return length


def _joined(body: bytes, entries: list[_Entry]) -> bytes:
    """Part I with the list of Part II behind it."""
    bits = size = 0
    for number, octets in entries:
        whole = length_octets(len(octets)) + octets
        bits = (bits << 6 | number) << 8 * len(whole) | int.from_bytes(whole)
        size += 6 + 8 * len(whole)
    part_one = int.from_bytes(body) | _ONE_ENTRY | len(entries) - 1
    return part_one.to_bytes(BARE) + (bits << -size % 8).to_bytes((size + 7) // 8)


def _entries_of(parts: Any) -> list[_Entry] | None:
    """None where one has another member, type, id or length."""
    if type(parts) is not list or not 0 < len(parts) <= _AFTER + 1:
        return None
    entries: list[_Entry] = []
    for part in parts:
        if type(part) is not dict or part.keys() != {"partII-Id", "partII-Value"}:
            return None
        number, octets = part["partII-Id"], part["partII-Value"]
        if type(number) is not int or number not in _IDS or type(octets) is not bytes:
            return None
        if len(octets) > LONGEST:
            return None
        entries.append((number, octets))
    return entries
