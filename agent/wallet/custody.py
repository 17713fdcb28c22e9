"""Custody: a key wrapped for one reader. Format: docs/formats/custody.md.

Three kinds of key are wrapped: the data key of a parcel, for its owner and later for buyers; the
key of a segment of the log and the first key of its seals, for the owner alone. None opens in place
of another.
"""

import re
from typing import Final

from agent.errors import SealError
from agent.privacy import Level
from agent.wallet import hpke
from agent.wallet.keys import Opener
from agent.wallet.legacy import open_legacy

VERSION: Final = b"\x01"
KEY_BYTES: Final = 32
CUSTODY_BYTES: Final = len(VERSION) + hpke.OVERHEAD + KEY_BYTES

_PARCEL: Final = b"amo-agent custody v1"
_SEGMENT: Final = b"amo-agent segment v1"
_SEALS: Final = b"amo-agent seal root v1"
_PARCEL_ID: Final = re.compile(r"(?:[0-9A-Fa-f]{2}){5,255}", re.ASCII)


def wrap(data_key: bytes, to_public: bytes, *, parcel_id: str, level: Level) -> bytes:
    """data_key: 32 bytes; to_public: 65 bytes; parcel_id: hex -> custody, 114 bytes.

    Raises SealError for a public key off the curve and for a parcel id that is not one.
    """
    return _wrap(data_key, to_public, _parcel_info(parcel_id, level))


def unwrap(
    custody: bytes, opener: Opener, *, parcel_id: str, level: Level, legacy: bool = False
) -> bytes:
    """Custody -> data key. Raises SealError for another reader's, parcel's or level's custody.

    legacy: take one of the scheme that protects nothing too, which is bound to no parcel
    """
    if legacy and len(custody) == KEY_BYTES:
        return open_legacy(custody, opener.public)
    return _unwrap(custody, opener, _parcel_info(parcel_id, level))


def wrap_segment(key: bytes, to_public: bytes, segment: int, level: Level) -> bytes:
    """The key of one (segment, level) -> 114 bytes, for the owner. Raises SealError as `wrap`."""
    return _wrap(key, to_public, _segment_info(segment, level))


def unwrap_segment(wrapped: bytes, opener: Opener, segment: int, level: Level) -> bytes:
    """Raises SealError as `unwrap`."""
    return _unwrap(wrapped, opener, _segment_info(segment, level))


def wrap_seal_root(key: bytes, to_public: bytes, log_id: bytes, first: int) -> bytes:
    """The MAC key of a log's seal `first` -> 114 bytes, for the owner. Raises as `wrap`."""
    return _wrap(key, to_public, _seals_info(log_id, first))


def unwrap_seal_root(wrapped: bytes, opener: Opener, log_id: bytes, first: int) -> bytes:
    """Raises SealError as `unwrap`."""
    return _unwrap(wrapped, opener, _seals_info(log_id, first))


def _wrap(key: bytes, to_public: bytes, info: bytes) -> bytes:
    if len(key) != KEY_BYTES:
        raise SealError(f"key to wrap has {len(key)} bytes, not {KEY_BYTES}")
    return VERSION + hpke.seal_to(to_public, key, info)


def _unwrap(custody: bytes, opener: Opener, info: bytes) -> bytes:
    if len(custody) == KEY_BYTES:
        raise SealError("custody of 32 bytes is of the legacy scheme, which protects nothing")
    if len(custody) != CUSTODY_BYTES or custody[:1] != VERSION:
        raise SealError(f"custody of {len(custody)} bytes is not of version 1")
    return opener.open(custody[len(VERSION) :], info)


def _parcel_info(parcel_id: str, level: Level) -> bytes:
    if not _PARCEL_ID.fullmatch(parcel_id):
        raise SealError(f"parcel id of {len(parcel_id)} characters is not 5 to 255 bytes of hex")
    return _PARCEL + bytes((level,)) + bytes.fromhex(parcel_id)


def _segment_info(segment: int, level: Level) -> bytes:
    return _SEGMENT + bytes((level,)) + segment.to_bytes(4, "big")


def _seals_info(log_id: bytes, first: int) -> bytes:
    return _SEALS + log_id + first.to_bytes(8, "big")
