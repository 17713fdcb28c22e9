"""Whatever holds the owner's key, it opens what was sealed to it and keeps the key inside."""

import copy

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from agent.errors import SealError
from agent.privacy import Level
from agent.wallet import curve, hpke
from agent.wallet.custody import unwrap, wrap
from agent.wallet.keys import FileKey, Opener
from agent.wallet.token import create_key, create_opener, open_key, open_opener
from tests.tokens import SoftHsm, SwTpm
from tests.wallet import plain_hpke

PARCEL = "00000001" + "ab" * 32
KEY = bytes(range(32))


@pytest.fixture(params=["file", "pkcs11", "tpm"])
def opener(request: pytest.FixtureRequest) -> Opener:
    if request.param == "file":
        return FileKey(curve.new_scalar(), protected=False)
    token = request.getfixturevalue({"pkcs11": "softhsm", "tpm": "swtpm"}[request.param])
    uri = token.uri(token.handle() if request.param == "tpm" else f"owner-{id(request)}")
    create_opener(uri)
    return open_opener(uri)


def test_custody_opens_for_its_owner_alone(opener: Opener) -> None:
    for _ in range(3):
        custody = wrap(KEY, opener.public, parcel_id=PARCEL, level=Level.LV1)
        assert unwrap(custody, opener, parcel_id=PARCEL, level=Level.LV1) == KEY
    with pytest.raises(SealError, match="does not open"):
        unwrap(custody, opener, parcel_id=PARCEL, level=Level.LV2)
    other = wrap(
        KEY, curve.public_bytes(curve.load_private(KEY)), parcel_id=PARCEL, level=Level.LV1
    )
    with pytest.raises(SealError, match="does not open"):
        unwrap(other, opener, parcel_id=PARCEL, level=Level.LV1)


def test_what_is_cut_changed_or_off_the_curve_does_not_open(opener: Opener) -> None:
    sealed = hpke.seal_to(opener.public, KEY, b"info")
    assert opener.open(sealed, b"info") == KEY
    for changed in (sealed[:-1], sealed[:80], sealed[:70] + b"\0" + sealed[71:]):
        with pytest.raises(SealError):
            opener.open(changed, b"info")
    with pytest.raises(SealError, match="P-256"):
        opener.open(b"\x04" + b"\x01" * 64 + sealed[65:], b"info")


def test_the_road_of_tokens_opens_what_two_other_writings_of_hpke_seal() -> None:
    private = curve.load_private(KEY[:31] + b"\x01")
    public = curve.public_bytes(private)

    def exchange(point: bytes) -> bytes:
        return private.exchange(ec.ECDH(), curve.load_public(point))

    for sealed in (
        hpke.seal_to(public, b"secret", b"info"),
        plain_hpke.seal(b"\x22" * 32, public, b"info", b"", b"secret"),
    ):
        assert hpke.open_by(exchange, public, sealed, b"info") == b"secret"
        with pytest.raises(SealError, match="does not open"):
            hpke.open_by(exchange, public, sealed, b"other")


def test_the_key_of_a_token_is_not_copied(softhsm: SoftHsm) -> None:
    key = create_opener(softhsm.uri("owner-stays"))
    with pytest.raises(TypeError, match="not pickled"):
        copy.copy(key)
    assert "owner-stays" in repr(key)


def test_a_key_that_opens_in_a_tpm_does_not_sign(swtpm: SwTpm) -> None:
    uri = swtpm.uri(swtpm.handle())
    create_opener(uri)
    with pytest.raises(SealError):
        open_key(uri)


def test_a_key_has_one_use(softhsm: SoftHsm) -> None:
    create_opener(softhsm.uri("opens-alone"))
    with pytest.raises(SealError, match="does not sign"):
        open_key(softhsm.uri("opens-alone"))
    create_key(softhsm.uri("signs-alone"))
    with pytest.raises(SealError, match="does not open"):
        open_opener(softhsm.uri("signs-alone"))
