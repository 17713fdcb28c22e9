"""The certificate is renewed in the last third of its life, and a failure leaves the old one."""

import base64
from pathlib import Path

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from agent.amo.tls import Trust
from agent.clock import SECOND, RecordedClock
from agent.enrolling import Renewing, load_certificates, load_key, own_key
from agent.errors import SealError, UsageError
from tests.amo.authority import DAY, NOW, Authority, served_by_tls


class Est:
    """It renews what a client shows that the authority has signed; or it answers `status`."""

    def __init__(self, authority: Authority) -> None:
        self.asked = 0
        self.status = 200
        self._authority = authority
        self.app = web.Application()
        self.app.router.add_post("/.well-known/est/simplereenroll", self._renew)

    async def _renew(self, request: web.Request) -> web.Response:
        self.asked += 1
        csr = x509.load_der_x509_csr(base64.b64decode(await request.read()))
        new = self._authority.sign(csr, NOW - DAY, days=30)
        der = pkcs7.serialize_certificates([new], Encoding.DER)
        return web.Response(status=self.status, body=base64.encodebytes(der))


class At(RecordedClock):
    """A clock that is set by hand."""

    days = 0.0

    def now_ns(self) -> int:
        return int((NOW + self.days * DAY).timestamp()) * SECOND

    def mono_ns(self) -> int:
        return int(self.days * 86_400) * SECOND


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "est")


async def test_renewed_in_the_last_third_with_the_same_key(authority: Authority) -> None:
    certificate, key = authority.issue(days=8)  # from yesterday on: the last third begins at 4.33
    key.chmod(0o600)
    trust = Trust(ca=authority.pem, certificate=certificate, key=key)
    est, clock = Est(authority), At(0)
    old = load_certificates(certificate)[0]
    shown = authority.issue()
    async with served_by_tls(shown, est.app, asks_for=authority.pem) as url:
        renewing = Renewing(url, trust, clock)
        clock.days = 4.0
        await renewing.once()
        assert est.asked == 0
        clock.days, est.status = 4.5, 500
        await renewing.once()
        assert load_certificates(certificate)[0] == old
        clock.days, est.status = 5.0, 200
        await renewing.once()
        assert est.asked == 1, "a second try on the same day"
        clock.days = 5.6
        await renewing.once()
    new = load_certificates(certificate)[0]
    assert est.asked == 2
    assert new.public_key() == old.public_key()
    assert new.subject == old.subject
    assert new.not_valid_after_utc > old.not_valid_after_utc
    trust.context()


async def test_a_broken_file_or_a_dead_server_does_not_end_the_service(
    authority: Authority,
) -> None:
    certificate, key = authority.issue(days=8)
    before = certificate.read_bytes()
    key.chmod(0o600)
    trust = Trust(ca=authority.pem, certificate=certificate, key=key)
    clock = At(0)
    clock.days = 5.0
    await Renewing("https://127.0.0.1:1", trust, clock).once()
    assert certificate.read_bytes() == before
    certificate.write_bytes(b"garbage")
    await Renewing("https://127.0.0.1:1", trust, clock).once()
    with pytest.raises(UsageError, match="no certificate in PEM"):
        load_certificates(certificate)


def test_the_key_is_made_once_and_is_ours_alone(tmp_path: Path) -> None:
    path = tmp_path / "tls.key"
    made = own_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert own_key(path).public_key() == made.public_key()
    path.chmod(0o644)
    with pytest.raises(SealError, match="mode 0644"):
        load_key(path)
    path.chmod(0o600)
    path.write_bytes(b"garbage")
    with pytest.raises(SealError, match="no private key in PEM"):
        own_key(path)
