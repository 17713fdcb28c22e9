"""Lengths, open types and extension additions of UPER: what stands between the values.

Lengths are those of ITU-T X.691, 11.9, without fragments: 16383 octets are more than a radio
carries in one message. All functions but one take an asn1tools Decoder or Encoder.
"""

from typing import Any, Final

from asn1tools.codecs import DecodeError, EncodeError

ONE_OCTET: Final = 127  # the longest length in one octet: ITU-T X.691, 11.9.3.6
FRAGMENTS: Final = 0xC0  # the first octet of a length in fragments: ITU-T X.691, 11.9.3.8
LONGEST: Final = 16383  # the longest length that is not fragmented: ITU-T X.691, 11.9.3.7
MOST: Final = 64  # extension additions in the short form of X.691, 11.9.3.4; J2735 has four


def read_additions(decoder: Any) -> list[bytes | None]:
    """ITU-T X.691, 19.7 to 19.9: how many, which are there, each as an open type."""
    if decoder.read_bit():
        raise DecodeError(f"more than {MOST} extension additions")
    count = decoder.read_non_negative_binary_integer(6) + 1
    present = [decoder.read_bit() for _ in range(count)]
    return [read_octets(decoder) if here else None for here in present]


def write_additions(entries: list[bytes | None], encoder: Any) -> None:
    if len(entries) > MOST:
        raise EncodeError(f"{len(entries)} extension additions; at most {MOST}")
    encoder.append_non_negative_binary_integer(len(entries) - 1, 7)
    for entry in entries:
        encoder.append_bit(entry is not None)
    for entry in entries:
        if entry is not None:
            write_octets(entry, encoder)


def read_octets(decoder: Any) -> bytes:
    """A length and as many octets: an open type, or an OCTET STRING of any size."""
    length = read_length(decoder)
    return bytes(decoder.read_bytes(length)) if length else b""


def write_octets(octets: bytes, encoder: Any) -> None:
    write_length(len(octets), encoder)
    encoder.append_bytes(octets)


def read_length(decoder: Any) -> int:
    """ITU-T X.691, 11.9.3.6 and 11.9.3.7; fragments are for lengths no BSM has."""
    first: int = decoder.read_non_negative_binary_integer(8)
    if first <= ONE_OCTET:
        return first
    length = int((first & 0x3F) << 8 | decoder.read_non_negative_binary_integer(8))
    if not ONE_OCTET < length <= LONGEST or first >= FRAGMENTS:
        raise DecodeError(f"a length that is fragmented, or below {ONE_OCTET} in the long form")
    return length


def length_octets(length: int) -> bytes:
    """ITU-T X.691, 11.9.3.6 and 11.9.3.7; length: up to LONGEST"""
    return bytes((length,)) if length <= ONE_OCTET else (0x8000 | length).to_bytes(2)


def write_length(length: int, encoder: Any) -> None:
    if length > LONGEST:
        raise EncodeError(f"a length of {length}; at most {LONGEST}")
    encoder.append_length_determinant(length)
