"""Our HPKE is RFC 9180's: its vector, and a second writing of it that opens what we seal."""

import pytest

from agent.errors import SealError
from agent.wallet import hpke
from agent.wallet.curve import load_private
from agent.wallet.keys import FileKey
from tests.wallet import plain_hpke

# RFC 9180 appendix A.5.1, sequence number 0
INFO = bytes.fromhex("4f6465206f6e2061204772656369616e2055726e")
EPHEMERAL = bytes.fromhex("7550253e1147aae48839c1f8af80d2770fb7a4c763afe7d0afa7e0f42a5b3689")
RECIPIENT = bytes.fromhex("a4d1c55836aa30f9b3fbb6ac98d338c877c2867dd3a77396d13f68d3ab150d3b")
RECIPIENT_PUBLIC = bytes.fromhex(
    "04a697bffde9405c992883c5c439d6cc358170b51af72812333b015621dc0f40ba"
    "d9bb726f68a5c013806a790ec716ab8669f84f6b694596c2987cf35baba2a006"
)
ENC = bytes.fromhex(
    "04c07836a0206e04e31d8ae99bfd549380b072a1b1b82e563c935c095827824fc1"
    "559eac6fb9e3c70cd3193968994e7fe9781aa103f5b50e934b5b2f387e381291"
)
AAD = bytes.fromhex("436f756e742d30")
PLAIN = bytes.fromhex("4265617574792069732074727574682c20747275746820626561757479")
CIPHERTEXT = bytes.fromhex(
    "6469c41c5c81d3aa85432531ecf6460ec945bde1eb428cb2fedf7a29f5a685b4ccb0d057f03ea2952a27bb458b"
)


def test_the_second_writing_agrees_with_the_vector_of_the_rfc() -> None:
    made = plain_hpke.seal(EPHEMERAL, RECIPIENT_PUBLIC, INFO, AAD, PLAIN)
    assert made == ENC + CIPHERTEXT
    assert plain_hpke.unseal(RECIPIENT, made, INFO, AAD) == PLAIN


def test_the_second_writing_opens_what_we_seal() -> None:
    sealed = hpke.seal_to(RECIPIENT_PUBLIC, b"a secret", b"for this")
    assert plain_hpke.unseal(RECIPIENT, sealed, b"for this", b"") == b"a secret"


def test_we_open_what_the_second_writing_seals() -> None:
    sealed = plain_hpke.seal(EPHEMERAL, RECIPIENT_PUBLIC, b"for this", b"", b"a secret")
    assert hpke.open_with(load_private(RECIPIENT), sealed, b"for this") == b"a secret"


def test_it_opens_for_one_purpose_only(owner: FileKey) -> None:
    sealed = hpke.seal_to(owner.public, b"a secret", b"for this")
    with pytest.raises(SealError):
        owner.open(sealed, b"for that")


def test_two_seals_of_one_secret_have_nothing_in_common(owner: FileKey) -> None:
    one, other = (hpke.seal_to(owner.public, bytes(32), b"") for _ in range(2))
    assert one[:65] != other[:65]
    assert one[65:] != other[65:]


@pytest.mark.parametrize("length", [0, 64, 65, 80])
def test_too_few_bytes_are_refused(owner: FileKey, length: int) -> None:
    with pytest.raises(SealError):
        owner.open(bytes([4]) + bytes(length), b"")
