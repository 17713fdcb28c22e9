"""24 words that stand for the account and the owner key. Form: docs/formats/recovery.md.

BIP-39 makes words of 256 bits and a seed of words; SLIP-0010 makes P-256 keys of a seed, by steps
that many programs can redo. The device key is not among them: it says which machine sealed a log,
so it stays in that machine and a new one gets a key of its own.
"""

import hmac
import secrets
from collections.abc import Sequence
from typing import Final

from mnemonic import Mnemonic

from agent.errors import UsageError
from agent.wallet.curve import ORDER, SCALAR_BYTES

WORDS: Final = 24
PURPOSE: Final = 6_385_007
"""First step of our paths: "amo" in ASCII, 0x616D6F; no BIP has that number."""
PATHS: Final = {"account": (PURPOSE, 0), "owner": (PURPOSE, 1)}
"""Steps by use; each is hardened, so that one key tells nothing of another."""

_ENTROPY_BYTES: Final = 32
_HARDENED: Final = 1 << 31
_CURVE: Final = b"Nist256p1 seed"


def new_phrase() -> str:
    """24 English words, from the operating system's random source."""
    return Mnemonic("english").to_mnemonic(secrets.token_bytes(_ENTROPY_BYTES))


def scalars(phrase: str, passphrase: str = "") -> dict[str, bytes]:
    """Words (in any case, any blanks between) -> private keys by use, 32 bytes each.

    passphrase: the one of BIP-39; another one gives other keys, and none is wrong
    Raises UsageError, which shows no word, unless they are 24 with the right checksum.
    """
    words = phrase.lower().split()
    if len(words) != WORDS:
        raise UsageError(f"a recovery phrase of {len(words)} words, not {WORDS}")
    known = Mnemonic("english")
    for place, word in enumerate(words, 1):
        if word not in known.wordlist:
            raise UsageError(f"word {place} of the recovery phrase is not in the list of BIP-39")
    if not known.check(" ".join(words)):
        raise UsageError("the recovery phrase has a wrong or a misplaced word")
    seed = Mnemonic.to_seed(" ".join(words), passphrase)
    return {use: derive(seed, path) for use, path in PATHS.items()}


def derive(seed: bytes, path: Sequence[int]) -> bytes:
    """The private key at a path of hardened steps, 32 bytes. SLIP-0010 for nist256p1."""
    key, chain = _halves(_CURVE, seed)
    while not _is_scalar(key):
        key, chain = _halves(_CURVE, key + chain)
    for step in path:
        key, chain = _child(key, chain, (step | _HARDENED).to_bytes(4, "big"))
    return key


def _child(key: bytes, chain: bytes, step: bytes) -> tuple[bytes, bytes]:
    data = b"\x00" + key + step
    while True:
        left, right = _halves(chain, data)
        number = (int.from_bytes(left, "big") + int.from_bytes(key, "big")) % ORDER
        if int.from_bytes(left, "big") < ORDER and number:
            return number.to_bytes(SCALAR_BYTES, "big"), right
        data = b"\x01" + right + step


def _halves(key: bytes, data: bytes) -> tuple[bytes, bytes]:
    made = hmac.digest(key, data, "sha512")
    return made[:SCALAR_BYTES], made[SCALAR_BYTES:]


def _is_scalar(key: bytes) -> bool:
    return 0 < int.from_bytes(key, "big") < ORDER
