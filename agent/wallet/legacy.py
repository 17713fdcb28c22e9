"""Custody of the older AMO clients, which protects nothing: it is opened here and never written.

Their key exchange has one fixed private key, and it is published (AMO protocol, section 1.6):
the X coordinate of its product with the reader's public key is an AES-256 key as it is, used in
counter mode from zero, without a tag. So anybody opens such a custody with the reader's public key
alone, and so do we; a changed one gives another key and no error.
"""

import hashlib
from typing import Final

import structlog
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from agent.wallet import curve
from agent.wallet.address import address

_log = structlog.get_logger()

_PUBLISHED: Final = hashlib.sha256(b"keyencryptionkey").digest()
_FIRST_BLOCK: Final = bytes(16)


def open_legacy(custody: bytes, to_public: bytes) -> bytes:
    """Custody -> data key, as long as the custody. to_public: 65 bytes, of whom it was made for.

    Raises SealError for a public key that is not one. Says in the log that it protects nothing.
    """
    reader = curve.load_public(to_public)
    key = curve.load_private(_PUBLISHED).exchange(ec.ECDH(), reader)
    _log.warning("custody of the legacy scheme, which anybody can open", reader=address(to_public))
    return Cipher(algorithms.AES(key), modes.CTR(_FIRST_BLOCK)).decryptor().update(custody)
