"""The message inside what a radio heard: bare, or in IEEE 1609.2 data.

Accepted, in the octet encoding rules of IEEE 1609.2-2016: unsecured data `03 80 length payload`,
and signed data `03 81 hash 40 03 80 length payload ...`. Header, signer and signature of the
latter are not looked at: this finds the message, it does not say that it is authentic.

A bare message may begin with the same octets by chance, so something counts as wrapped only
if the lengths inside fit exactly.

    >>> unwrap(bytes.fromhex("03800400140105")).hex()
    '00140105'
"""

UNSECURED = b"\x03\x80"  # protocol version 3, content choice unsecuredData
SIGNED = b"\x03\x81"  # protocol version 3, content choice signedData
HASHES = (b"\x00", b"\x01")  # sha256, sha384
PAYLOAD = b"\x40"  # SignedDataPayload: data is there, extDataHash is not
LENGTH_OCTETS = {b"\x81": 1, b"\x82": 2}
MESSAGES = frozenset([*range(18, 51), *range(240, 256)])  # SAE J2735:2024, DSRCmsgID


def unwrap(data: bytes) -> bytes:
    """The message frame inside IEEE 1609.2 data; anything else comes back as it is."""
    if data[:2] == UNSECURED:
        payload, rest = _payload(data)
        return payload if not rest and opened(payload) is not None else data
    if data[:2] == SIGNED and data[2:3] in HASHES and data[3:6] == PAYLOAD + UNSECURED:
        payload, rest = _payload(data[4:])
        return payload if rest and opened(payload) is not None else data
    return data


def opened(data: bytes) -> tuple[int, bytes] | None:
    """The messageId and the content of a message frame; None where it is not one.

    A frame has the id of a message that exists, and a length that ends where it ends: below 128
    0LLLLLLL, else 10LLLLLL LLLLLLLL (ITU-T X.691, 11.9.3.6 and 11.9.3.7).
    """
    start, mask = (4, 0x3FFF) if data[2:3] >= b"\x80" else (3, 0x7F)
    length = int.from_bytes(data[2:start]) & mask
    message_id = int.from_bytes(data[:2])
    fits = message_id in MESSAGES and length > 0 and len(data) == start + length
    return (message_id, data[start:]) if fits else None


def _payload(data: bytes) -> tuple[bytes, bytes]:
    """Unsecured data in two: the payload that its length names, and what follows.

    Length: one octet below 128, else 81 LL or 82 LL LL (ITU-T X.696, 8.6).
    """
    octets = LENGTH_OCTETS.get(data[2:3])
    start = 3 if octets is None else 3 + octets
    length = int.from_bytes(data[3:start] if octets else data[2:3])
    return data[start : start + length], data[start + length :]
