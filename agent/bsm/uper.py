"""What asn1tools leaves out of UPER, added to the types it compiles.

asn1tools reads the module and walks the bits; five things it does not do (0.169):

* BIT STRING sizes beyond an extension marker: it raises NotImplementedError both ways.
* Ranges: a value that fits the bits but not the constraint is returned, and one that does
  not fit the bits runs into the neighbouring field.
* Extension additions nobody declared: it skips them, so they are lost when written again.
* Octets that are left over: it ignores them.
* Names that a SEQUENCE does not have: it ignores them, so a slip of the pen vanishes.

`complete` gives each compiled type the class below that does. A SEQUENCE that carries more
additions than it declares has a member "...": one entry an addition, in order, with the
octets of those that could not be read and None for the others. Written again it gives the
same bits.
"""

from collections.abc import Mapping
from typing import Any, Final

from asn1tools.codecs import DecodeError, EncodeError, ErrorWithLocation, per, uper

from agent.bsm.opentype import (
    read_additions,
    read_length,
    read_octets,
    write_additions,
    write_length,
    write_octets,
)

Tree = dict[str, Any]
"""A SEQUENCE as asn1tools has it: BIT STRING (bytes, bits), OCTET STRING bytes, ENUMERATED str."""

ADDITIONS: Final = "..."
OCTET: Final = 8  # bits
LAST_ADDITION: Final = 63  # the last index in the short form: ITU-T X.691, 11.6.1
_LATER: Final = {f"extension-{index}": index for index in range(LAST_ADDITION + 1)}


def read(kind: Any, data: bytes) -> Any:
    """The value of one complete encoding. Raises DecodeError, with the offset in bits."""
    decoder = uper.Decoder(data)
    try:
        value = kind.decode(decoder)
        _only_padding(decoder.value[decoder.number_of_read_bits() :])
    except DecodeError as error:
        error.offset = decoder.number_of_read_bits()
        raise
    return value


def _only_padding(bits: str) -> None:
    if len(bits) >= OCTET:
        raise DecodeError(f"{len(bits)} bits are left over")
    if "1" in bits:
        raise DecodeError("the padding is not zero")


def write(kind: Any, value: Any) -> bytes:
    """One complete encoding: at least one octet, padded with zero bits (X.691, 11.1)."""
    encoder = uper.Encoder()
    kind.encode(value, encoder)
    return bytes(encoder.as_bytearray()) or b"\0"


def complete(kind: Any) -> Any:
    """The compiled type, it and everything below it with the classes of this module."""
    kind.__class__ = _CLASSES.get(type(kind), type(kind))
    if isinstance(kind, Sequence):
        for member in (*kind.root_members, *(kind.additions or ())):
            complete(member)
        names = [member.name for member in (*kind.root_members, *(kind.additions or ()))]
        kind.names = frozenset(names if kind.additions is None else [*names, ADDITIONS])
    elif isinstance(kind, SequenceOf):
        complete(kind.element_type)
    return kind


def _within(kind: Any, size: int, what: str, error: type[ErrorWithLocation]) -> None:
    if not kind.minimum <= size <= kind.maximum:
        raise error(f"{size} {what} is not in {kind.minimum}..{kind.maximum}")


class Integer(uper.Integer):  # type: ignore[misc]  # asn1tools has no types; so for all below
    def encode(self, data: Any, encoder: Any) -> None:
        if type(data) is not int or not self.minimum <= data <= self.maximum:
            raise EncodeError(f"{data!r:.40} is not in {self.minimum}..{self.maximum}")
        super().encode(data, encoder)

    def decode(self, decoder: Any) -> int:
        value: int = super().decode(decoder)
        if value > self.maximum:
            raise DecodeError(f"{value} is not in {self.minimum}..{self.maximum}")
        return value


class Boolean(per.Boolean):  # type: ignore[misc]
    def encode(self, data: Any, encoder: Any) -> None:
        if type(data) is not bool:
            raise EncodeError(f"{data!r:.40} is not true or false")
        super().encode(data, encoder)


class Enumerated(per.Enumerated):  # type: ignore[misc]
    """A value beyond the extension marker is called "extension-N", N counting from 0."""

    def encode(self, data: Any, encoder: Any) -> None:
        if isinstance(data, str) and data in self.root_data_to_index:
            super().encode(data, encoder)
            return
        if self.additions_index_to_data is None or data not in _LATER:
            raise EncodeError(f"{data!r:.40} is not one of {', '.join(self.root_data_to_index)}")
        encoder.append_non_negative_binary_integer(0x80 | _LATER[data], 8)

    def decode(self, decoder: Any) -> str:
        if self.additions_index_to_data is None or not decoder.read_bit():
            return str(self.decode_root(decoder))
        if decoder.read_bit():
            raise DecodeError(f"enumeration index over {LAST_ADDITION}")
        return f"extension-{decoder.read_non_negative_binary_integer(6)}"


class BitString(uper.BitString):  # type: ignore[misc]
    """A value is (octets, number of bits); all of ours have one size before the marker."""

    def encode(self, data: Any, encoder: Any) -> None:
        octets, count = _bits(data)
        if count != self.minimum and not self.has_extension_marker:
            raise EncodeError(f"{count} bits; {self.minimum} are expected")
        if self.has_extension_marker:
            encoder.append_bit(count != self.minimum)
            if count != self.minimum:
                write_length(count, encoder)
        encoder.append_bits(octets, count)

    def decode(self, decoder: Any) -> tuple[bytes, int]:
        count = self.minimum
        if self.has_extension_marker and decoder.read_bit():
            count = read_length(decoder)
            if count == self.minimum:
                raise DecodeError(f"{count} bits as an extension of the size {self.minimum}")
        return decoder.read_bits(count) if count else b"", count


def _bits(data: Any) -> tuple[bytes, int]:
    match data:
        case (bytes() as octets, int() as count) if len(octets) == (count + 7) // 8:
            return octets, count
    raise EncodeError("a BIT STRING is its octets and the number of its bits")


class OctetString(uper.OctetString):  # type: ignore[misc]
    def encode(self, data: Any, encoder: Any) -> None:
        if not isinstance(data, bytes):
            raise EncodeError(f"{type(data).__name__} where octets are expected")
        if self.number_of_bits is not None:
            _within(self, len(data), "octets", EncodeError)
            super().encode(data, encoder)
        else:
            write_octets(data, encoder)

    def decode(self, decoder: Any) -> bytes:
        if self.number_of_bits is None:
            return read_octets(decoder)
        octets: bytes = super().decode(decoder)
        _within(self, len(octets), "octets", DecodeError)
        return octets


class SequenceOf(uper.SequenceOf):  # type: ignore[misc]
    def encode(self, data: Any, encoder: Any) -> None:
        if not isinstance(data, list | tuple):
            raise EncodeError(f"{type(data).__name__} where a list is expected")
        _within(self, len(data), "entries", EncodeError)
        super().encode(data, encoder)

    def decode(self, decoder: Any) -> list[Any]:
        count = self.minimum + decoder.read_non_negative_binary_integer(self.number_of_bits)
        _within(self, count, "entries", DecodeError)
        return [self.element_type.decode(decoder) for _ in range(count)]


class Sequence(per.Sequence):  # type: ignore[misc]
    def encode(self, data: Any, encoder: Any) -> None:
        self._check_names(data)
        extended = self._extension(data)
        if self.additions is not None:
            encoder.append_bit(bool(extended))
        self.encode_root(data, encoder)
        if extended:
            write_additions(extended, encoder)

    def _check_names(self, data: Any) -> None:
        if not isinstance(data, Mapping):
            raise EncodeError(f"{type(data).__name__} where members are expected")
        for name in data:
            if name not in self.names:
                raise EncodeError(f"there is no member {name!r:.40}")
        for member in self.root_members:
            if not member.optional and member.name not in data:
                raise EncodeError(f"member {member.name!r} is missing")

    def _extension(self, data: Mapping[str, Any]) -> list[bytes | None]:
        """The octets of each addition, None where it is absent; empty without any."""
        known = self.additions or ()
        kept = data.get(ADDITIONS, ())
        if ADDITIONS not in data and not any(member.name in data for member in known):
            return []
        entries = _octets_or_none(kept) or [None] * len(known)
        for index, member in enumerate(known):
            if member.name in data:
                entries += [None] * (index + 1 - len(entries))
                entries[index] = write(member, data[member.name])
        return entries

    def decode(self, decoder: Any) -> Tree:
        extended = self.additions is not None and decoder.read_bit()
        values: Tree = self.decode_root(decoder)
        if extended:
            self._sort_additions(read_additions(decoder), values)
        return values

    def _sort_additions(self, entries: list[bytes | None], values: Tree) -> None:
        kept = list(entries)
        for index, member in enumerate(self.additions[: len(entries)]):
            if (octets := entries[index]) is None:
                continue
            try:
                values[member.name] = read(member, octets)
            except DecodeError:
                continue  # a later edition may have changed it: it stays among the octets
            kept[index] = None
        some = any(entry is not None for entry in entries)
        if kept != [None] * len(self.additions) or not some:
            values[ADDITIONS] = kept


def _octets_or_none(kept: Any) -> list[bytes | None]:
    if not all(entry is None or isinstance(entry, bytes) for entry in kept):
        raise EncodeError(f"member {ADDITIONS!r} is a list of octets and None")
    return list(kept)


_CLASSES: Final[Mapping[type, type]] = {
    uper.Integer: Integer,
    per.Boolean: Boolean,
    per.Enumerated: Enumerated,
    uper.BitString: BitString,
    uper.OctetString: OctetString,
    uper.SequenceOf: SequenceOf,
    per.Sequence: Sequence,
}
