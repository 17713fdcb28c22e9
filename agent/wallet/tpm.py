"""Keys and counters in a TPM 2.0, by their numbers."""

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)

from agent.errors import ConfigError, SealError
from agent.wallet.curve import SCALAR_BYTES
from agent.wallet.token import while_running
from agent.wallet.tokenuri import Pin, parse
from agent.wallet.tpmtools import Tools

TCTI: Final = "device:/dev/tpmrm0"
"""The way to the TPM unless the URI says another: the kernel's, which many may use at once."""
_MADE_HERE: Final = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth"
_COUNTER: Final = "nt=counter|orderly|ownerread|ownerwrite|authread|authwrite|no_da"
"""orderly: a rise is kept in memory that does not wear out; after a power cut the TPM goes on
above what it may have said before (TPM 2.0 Library, part 1, on TPMA_NV_ORDERLY)."""
_COUNTER_BYTES: Final = 8


class TpmCounter:
    """An NV counter, a Counter. Whoever may use the TPM can raise it; nobody can lower it.

    Not even by removing it: a counter made anew begins above all that this TPM ever had.
    """

    def __init__(self, tools: Tools, index: str) -> None:
        self._tools = tools
        self._index = index

    @while_running()
    def value(self) -> int:
        return self.read()

    @while_running()
    def rise(self) -> int:
        self._tools.run("tpm2_nvincrement", self._index)
        return self.read()

    def read(self) -> int:
        """Raises ConfigError where the TPM has no such counter, SealError where it fails."""
        size = str(_COUNTER_BYTES)
        return int.from_bytes(self._tools.run("tpm2_nvread", "-s", size, self._index), "big")

    def create(self) -> None:
        size = str(_COUNTER_BYTES)
        self._tools.run("tpm2_nvdefine", "-C", "o", "-s", size, "-a", _COUNTER, self._index)
        self.rise()  # before its first rise it has no value


class TpmToken:
    """The key under a persistent handle."""

    custody: Final = "tpm"

    def __init__(self, uri: str) -> None:
        """Touches no hardware. Raises ConfigError for a URI that names no key."""
        parts = parse(uri, ("handle",), ("counter", "pin-source", "tcti"))
        self.name = parts.name
        self._pin = parts.pin()
        self._handle = _number(self.name, "handle", parts.text("handle"), 0x81)
        self._tools = Tools(self.name, parts.text("tcti") or TCTI)
        self.counter: TpmCounter | None = None
        if "counter" in parts.query:
            index = _number(self.name, "counter", parts.text("counter"), 0x01)
            self.counter = TpmCounter(self._tools, index)

    def public(self) -> bytes:
        """Finds the counter as well."""
        told = self._tools.run(
            "tpm2_readpublic", "-c", self._handle, "-f", "pem", "-o", "/dev/stdout"
        )
        if not {b"fixedtpm", b"sensitivedataorigin"} <= {*re.split(rb"[\s|]", told)}:
            raise ConfigError(f"{self.name}: the key was not made in this TPM, or may leave it")
        key = load_pem_public_key(told)  # text around it is passed over
        if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp256r1":
            raise ConfigError(f"{self.name}: the key is not on P-256")
        if self.counter is not None:
            self.counter.read()
        return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    def sign(self, digest: bytes) -> tuple[int, int]:
        how = ("-g", "sha256", "-s", "ecdsa", "-f", "plain", "-o", "/dev/stdout", "-d")
        der = self._tools.run(
            "tpm2_sign", "-Q", "-c", self._handle, *how, given=digest, pin=self._pin
        )
        try:
            return decode_dss_signature(der)
        except ValueError as error:
            raise SealError(f"{self.name}: {len(der)} bytes are not a signature") from error

    def exchange(self, public: bytes) -> bytes:
        x, y = public[1 : 1 + SCALAR_BYTES], public[1 + SCALAR_BYTES :]
        with TemporaryDirectory() as folder:
            point = Path(folder) / "point"  # TPM2B_ECC_POINT; nothing secret goes to a disk
            point.write_bytes(_sized(_sized(x) + _sized(y)))
            how = ("-c", self._handle, "-u", str(point), "-o", "/dev/stdout")
            try:
                told = self._tools.run("tpm2_ecdhzgen", *how, pin=self._pin)
            finally:
                self._tools.run("tpm2_flushcontext", "-l")  # 5.4 leaves its session behind
        size = int.from_bytes(told[2:4], "big")
        if not 0 < size <= SCALAR_BYTES:
            raise SealError(f"{self.name}: {len(told)} bytes are not a point")
        return told[4 : 4 + size].rjust(SCALAR_BYTES, b"\0")

    def create(self, *, opens: bool) -> None:
        """A new random key, and the counter if the URI names one. Raises SealError when either
        is there already, and when the owner hierarchy has a password.
        """
        if self.counter is not None:
            self.counter.create()
        with TemporaryDirectory() as folder:
            parent, key = (str(Path(folder) / name) for name in ("parent", "key"))
            self._loaded("tpm2_createprimary", "-Q", "-C", "o", "-G", "ecc", "-c", parent)
            use, kind = ("decrypt", "ecc256") if opens else ("sign", "ecc256:ecdsa-sha256")
            form = ("-G", kind, "-a", f"{_MADE_HERE}|{use}")
            self._loaded("tpm2_create", "-Q", "-C", parent, *form, "-c", key, pin=self._pin)
            self._loaded("tpm2_evictcontrol", "-Q", "-C", "o", "-c", key, self._handle)

    def _loaded(self, tool: str, *arguments: str, pin: Pin | None = None) -> None:
        """Room in a TPM is for three objects, and what a program loaded may stay."""
        try:
            self._tools.run(tool, *arguments, pin=pin)
        finally:
            self._tools.run("tpm2_flushcontext", "-t")


def _sized(part: bytes) -> bytes:
    return len(part).to_bytes(2, "big") + part


def _number(name: str, attribute: str, text: str | None, kind: int) -> str:
    """kind: the most significant byte, by which a TPM tells what it is the number of."""
    if text is None or not re.fullmatch(rf"0x{kind:02x}[0-9a-fA-F]{{6}}", text, re.ASCII):
        raise ConfigError(f"{name}: {attribute} is {text!r}, not 0x{kind:02x} and six more digits")
    return text
