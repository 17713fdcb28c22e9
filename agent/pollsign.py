"""The signature of a file of polls, beside it as FILE.sig: who says what a car is asked.

    signature = ECDSA P-256 of "amo-agent polls 1" and the SHA3-512 of the file

One line of 128 hexadecimal digits, r and s, with a low s. It is checked before anything in the file
is read. A file with a lower serial than one that was used before is refused, and so is another
file with the same one: what was taken back does not come back.
"""

import hashlib
from pathlib import Path
from typing import Final

import msgspec

from agent.config import read_limited
from agent.errors import ConfigError
from agent.polls import Polls, parse_polls
from agent.wallet.curve import SIGNATURE_BYTES, verify
from agent.wallet.keys import Signer

DOMAIN: Final = b"amo-agent polls 1"
LONGEST_LINE: Final = 2 * SIGNATURE_BYTES + 2
DO: Final = "sign it with `amo-agent polls sign`"


class SignedPolls(msgspec.Struct, frozen=True):
    """digest: SHA3-512 of the file"""

    path: Path
    polls: Polls
    digest: bytes

    def check_serial(self, last: tuple[int, bytes] | None) -> None:
        """last: serial and digest of what this signer's file was before. Raises ConfigError."""
        serial = self.polls.serial
        if last is None or last == (serial, self.digest) or serial > last[0]:
            return
        said = "was used before with another content" if serial == last[0] else "is older"
        raise ConfigError(f"{self.path}: serial = {serial}: it {said}; above {last[0]}, and {DO}")


def signed_polls(path: Path, public: bytes) -> SignedPolls:
    """public: 65 bytes, of the key that has to have signed. Raises ConfigError, in one line."""
    content = read_limited(path)
    _check(path, content, public)
    return SignedPolls(path, parse_polls(path, content), hashlib.sha3_512(content).digest())


def sign_polls(path: Path, key: Signer) -> Polls:
    """Put the signature beside a file that can be used. Raises ConfigError, SealError, OSError."""
    content = read_limited(path)
    polls = parse_polls(path, content)
    signature_file(path).write_text(key.sign(_message(content)).hex() + "\n", encoding="ascii")
    return polls


def signature_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.sig")


def _check(path: Path, content: bytes, public: bytes) -> None:
    beside = signature_file(path)
    if not beside.exists():
        raise ConfigError(f"{path}: not signed, {beside.name} is missing; {DO}")
    try:
        signature = bytes.fromhex(read_limited(beside, LONGEST_LINE).decode("ascii"))
    except ValueError as error:
        raise ConfigError(
            f"{beside}: not {2 * SIGNATURE_BYTES} hexadecimal digits; {DO}"
        ) from error
    if not verify(public, _message(content), signature):
        digits = public[1:5].hex()
        raise ConfigError(f"{beside}: not a signature of {path.name} by key {digits}…; {DO}")


def _message(content: bytes) -> bytes:
    return DOMAIN + hashlib.sha3_512(content).digest()
