"""Types about identities: DID documents and verifiable credentials.

The checks are those the node makes, which are fewer than its specification asks for: the key in
a document need not fit the address, and the old types `claim` and `dismiss` ask for no owner.
"""

from typing import Final

from agent.amo.codes import ResultCode
from agent.amo.devnode.context import Context, Kind, require
from agent.amo.devnode.outcome import TxFailedError
from agent.amo.devnode.payload import Payload, elements, fields, unhex, unquote
from agent.amo.devnode.records import encode_object, hex_text

_ADDRESS_DIGITS: Final = 40
_CREDENTIAL_DIGITS: Final = 64
_DID_PARTS: Final = 3
_DENIED: Final = "permission denied"
_SINCE: Final = 6


def _check_did_claim(_sender: bytes, payload: Payload) -> None:
    target = _did_target(payload)
    document = _Lenient(payload.raw("document"))
    require(document.text("id") == target, ResultCode.BAD_PARAM, "mismatching did")
    methods = document.list("verificationMethod")
    require(bool(methods), ResultCode.BAD_PARAM, "no verificationMethod")
    names = document.list("authentication")
    require(bool(names), ResultCode.BAD_PARAM, "no authentication")
    first = _Lenient(methods[0]).text("id")
    known = any(name[:1] == b'"' and unquote(name) == first for name in names)
    require(known, ResultCode.BAD_PARAM, "verificationMethod[0] not in authentication")


def _did_claim(context: Context, sender: bytes, payload: Payload) -> None:
    target, document = payload.text("target"), payload.raw("document")
    present = context.state.tree.get(_did_key(target))
    if present is not None:
        _check_controller(present, sender)
    else:
        owned = _Lenient(document).text("id") == _did(sender)
        require(owned, ResultCode.PERMISSION_DENIED, _DENIED)
    context.state.tree.set(_did_key(target), encode_object(("document", document)))


def _check_did_dismiss(_sender: bytes, payload: Payload) -> None:
    _did_target(payload)


def _did_dismiss(context: Context, sender: bytes, payload: Payload) -> None:
    key = _did_key(payload.text("target"))
    _check_controller(_stored(context, key), sender)
    context.state.tree.remove(key)


def _check_controller(entry: bytes, sender: bytes) -> None:
    """The document must be of the plain form, or nobody can ever change it again."""
    raw = Payload(entry, "DIDEntry").raw("document")
    try:
        document = Payload(raw or b"null", "Document")
        names = [document.text(field) for field in ("@context", "id", "controller")]
        for field in ("verificationMethod", "authentication", "assertionMethod"):
            _plain_list(document.raw(field))
    except TxFailedError as error:
        raise TxFailedError(ResultCode.UNKNOWN, "failed to unmarshal document") from error
    require(_did(sender) in names[1:], ResultCode.PERMISSION_DENIED, _DENIED)


def _plain_list(raw: bytes) -> None:
    if raw not in (b"", b"null") and raw[:1] != b"[":
        raise TxFailedError(ResultCode.BAD_PARAM, "not a list")


def _check_issue(sender: bytes, payload: Payload) -> None:
    target = _credential_target(payload)
    credential = Payload(payload.raw("credential") or b"null", "Credential")
    texts = {field: credential.text(field) for field in ("id", "issuer", "issued", "issuanceDate")}
    require(texts["id"] == target, ResultCode.BAD_PARAM, "mismatching VC id")
    require(texts["issuer"] == _did(sender), ResultCode.BAD_PARAM, "mismatching VC issuer")
    dated = bool(texts["issued"] or texts["issuanceDate"])
    require(dated, ResultCode.BAD_PARAM, "missing property: issued or issuanceDate")


def _issue(context: Context, sender: bytes, payload: Payload) -> None:
    key = b"vc:" + payload.text("target").encode()
    present = context.state.tree.get(key)
    if present is not None:
        _check_issuer(present, sender)
    context.state.tree.set(key, encode_object(("credential", payload.raw("credential"))))


def _check_revoke(_sender: bytes, payload: Payload) -> None:
    _credential_target(payload)


def _revoke(context: Context, sender: bytes, payload: Payload) -> None:
    key = b"vc:" + payload.text("target").encode()
    _check_issuer(_stored(context, key), sender)
    context.state.tree.remove(key)


def _check_issuer(entry: bytes, sender: bytes) -> None:
    credential = _Lenient(Payload(entry, "VCEntry").raw("credential"))
    issued = credential.text("issuer") == _did(sender)
    require(issued, ResultCode.PERMISSION_DENIED, _DENIED)


def _check_claim(_sender: bytes, payload: Payload) -> None:
    payload.text("target")


def _claim(context: Context, sender: bytes, payload: Payload) -> None:
    document = payload.raw("document") or b"null"
    entry = encode_object(("owner", hex_text(sender)), ("document", document))
    context.state.tree.set(_did_key(payload.text("target")), entry)


def _dismiss(context: Context, _sender: bytes, payload: Payload) -> None:
    key = _did_key(payload.text("target"))
    _stored(context, key)
    context.state.tree.remove(key)


def _stored(context: Context, key: bytes) -> bytes:
    entry = context.state.tree.get(key)
    if entry is None:
        raise TxFailedError(ResultCode.NOT_FOUND, "not found")
    return entry


def _did_target(payload: Payload) -> str:
    target = payload.text("target")
    parts = target.split(":")
    valid = len(parts) == _DID_PARTS and parts[:2] == ["did", "amo"]
    valid = valid and len(parts[2].encode()) == _ADDRESS_DIGITS
    require(valid, ResultCode.BAD_PARAM, "invalid target did")
    unhex(parts[2].encode())
    return target


def _credential_target(payload: Payload) -> str:
    target = payload.text("target")
    parts = target.split(":")
    valid = len(parts) == _DID_PARTS and parts[:2] == ["amo", "cred"]
    valid = valid and len(parts[2].encode()) == _CREDENTIAL_DIGITS
    require(valid, ResultCode.BAD_PARAM, "invalid target VC id")
    unhex(parts[2].encode())
    return target


class _Lenient:
    """An object whose misfits count as missing, as the node reads a document it is to store."""

    def __init__(self, raw: bytes) -> None:
        self._fields = fields(raw, "Document") if raw[:1] == b"{" else {}

    def text(self, name: str) -> str:
        raw = self._fields.get(name.lower(), b"")
        return unquote(raw) if raw[:1] == b'"' else ""

    def list(self, name: str) -> list[bytes]:
        raw = self._fields.get(name.lower(), b"")
        return elements(raw) if raw[:1] == b"[" else []


def _did(address: bytes) -> str:
    return f"did:amo:{address.hex().upper()}"


def _did_key(target: str) -> bytes:
    return b"did:" + target.encode()


KINDS: Final = {
    "did.claim": Kind("DIDClaimParam", _check_did_claim, _did_claim, _SINCE),
    "did.dismiss": Kind("DIDDismissParam", _check_did_dismiss, _did_dismiss, _SINCE),
    "did.issue": Kind("DIDIssueParam", _check_issue, _issue, _SINCE),
    "did.revoke": Kind("DIDRevokeParam", _check_revoke, _revoke, _SINCE),
    "claim": Kind("ClaimParam", _check_claim, _claim),
    "dismiss": Kind("DismissParam", _check_claim, _dismiss),
}
