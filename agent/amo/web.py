"""The edge to other people's HTTP servers: bounded in time and size, failures in our words.

No redirect is followed, no cookie kept, no proxy taken from the environment, and nothing
is decompressed, so an answer is never larger than what came over the wire.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final, Self
from urllib.parse import urlsplit

from aiohttp import (
    ClientConnectorCertificateError,
    ClientError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    FormData,
)

from agent.amo.tls import Trust
from agent.errors import PushbackError, RemoteError, UsageError

TOO_MANY_REQUESTS: Final = 429
SERVICE_UNAVAILABLE: Final = 503

_SECONDS: Final = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """timeout_s: for one exchange from connecting to the last byte.

    answer_bytes: an answer above it is not read to its end.
    """

    timeout_s: float = 10.0
    answer_bytes: int = 8 * 1024 * 1024


SYSTEM_TRUST: Final = Trust()
"""The authorities of the system, no certificate of our own."""


@dataclass(frozen=True, slots=True)
class Answer:
    """retry_after_s: None where the server did not say."""

    status: int
    body: bytes
    retry_after_s: float | None = None


def checked_url(url: str) -> str:
    """An http or https URL without its trailing slash. Raises UsageError.

    Credentials inside the URL are refused: endpoints are named in messages.
    """
    try:
        parts = urlsplit(url)
        named = parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError as error:
        raise UsageError("endpoint is not a URL that can be read") from error
    if "@" in parts.netloc:
        raise UsageError(f"endpoint at {parts.hostname} carries credentials in its URL")
    if parts.scheme not in ("http", "https") or not named or parts.query or parts.fragment:
        raise UsageError(f"endpoint {url[:200]!r} is not http://host[:port] or https://host[:port]")
    return url.rstrip("/")


class Http:
    """One session, closed on leaving where it was made here."""

    def __init__(
        self, session: ClientSession | None, limits: Limits, trust: Trust = SYSTEM_TRUST
    ) -> None:
        """Raises ConfigError for files of `trust` that cannot be used."""
        self._session = session
        self._ours = session is None
        self._limits = limits
        self._tls = None if trust is SYSTEM_TRUST else trust.context()

    async def __aenter__(self) -> Self:
        if self._session is None:
            self._session = ClientSession(cookie_jar=DummyCookieJar(), auto_decompress=False)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._ours and self._session is not None:
            await self._session.close()
            self._session = None

    async def send(
        self,
        method: str,
        url: str,
        *,
        json: object = None,
        form: FormData | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One exchange. Raises RemoteError, and PushbackError for status 429 and 503."""
        if self._session is None:
            raise RuntimeError("an HTTP client is used inside `async with`")
        try:
            async with self._session.request(
                method,
                url,
                json=json,
                data=form if body is None else body,
                headers={"Accept-Encoding": "identity", **(headers or {})},
                timeout=ClientTimeout(total=self._limits.timeout_s),
                allow_redirects=False,
                ssl=True if self._tls is None else self._tls,
            ) as response:
                read = await self._read(response, url)
        except TimeoutError as error:
            raise RemoteError(f"{url}: no answer within {self._limits.timeout_s} s") from error
        except ClientConnectorCertificateError as error:
            raise RemoteError(f"{url}: {_distrust(error.certificate_error)}") from error
        except (ClientError, OSError, ValueError) as error:
            raise RemoteError(f"{url}: {type(error).__name__}: {_line(str(error))}") from error
        after_s = _retry_after_s(response)
        if response.status in (TOO_MANY_REQUESTS, SERVICE_UNAVAILABLE):
            raise PushbackError(f"{url}: status {response.status}", retry_after_s=after_s)
        return Answer(response.status, read, after_s)

    async def _read(self, response: ClientResponse, url: str) -> bytes:
        limit = self._limits.answer_bytes
        body = bytearray()
        async for piece in response.content.iter_chunked(65_536):
            body += piece
            if len(body) > limit:
                raise RemoteError(f"{url}: answer is longer than {limit} bytes")
        return bytes(body)


def _retry_after_s(response: ClientResponse) -> float | None:
    """RFC 9110 section 10.2.3: seconds, or a date, which is held against the server's own."""
    text = response.headers.get("Retry-After", "").strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    try:
        when = parsedate_to_datetime(text)
        now = parsedate_to_datetime(response.headers.get("Date", ""))
        return max(0.0, (when - now).total_seconds())
    except (ValueError, TypeError):  # neither: the server did not say
        return None


def _distrust(error: Exception) -> str:
    """A certificate seems not to be valid yet where our own clock was never set."""
    told = getattr(error, "verify_message", "") or _line(str(error))
    hint = "; or the clock here is wrong" if "valid" in told or "expired" in told else ""
    return f"certificate refused: {told}{hint}"


def _line(text: str) -> str:
    return " ".join(text.split())[:200]
