"""One item of input, a line or a log record, as the tree of its message and what is said of it."""

from collections.abc import Mapping
from typing import Any

from agent.bsm.codec import Codec, UndecodableError
from agent.bsm.input import OCTET, Broken, Line, Logged, octets, understood
from agent.bsm.jer import document, from_document
from agent.bsm.odelog import HEADER, metadata
from agent.bsm.uper import Tree
from agent.errors import MalformedInputError


def tree_of_octets(codec: Codec, item: Line | Logged | Broken) -> tuple[Tree, Mapping[str, Any]]:
    """The tree of one item, and what its record says of it; raises UndecodableError."""
    if isinstance(item, Broken):
        raise UndecodableError(f"{item.where}: {item.reason}", item.offset)
    if isinstance(item, Line):
        return understood(codec, octets(item.text)), {}
    try:
        about = {"metadata": metadata(item.record)}
        return understood(codec, item.record.payload), about
    except UndecodableError as error:
        error.offset += OCTET * HEADER.size
        raise


def tree_of_json(codec: Codec, item: Line | Logged | Broken) -> tuple[Tree, Mapping[str, Any]]:
    if not isinstance(item, Line):
        raise MalformedInputError(item.reason if isinstance(item, Broken) else "not text")
    value = document(item.text)
    return from_document(codec, value), value


def ode_record(about: Mapping[str, Any], data: dict[str, Any]) -> dict[str, Any]:
    """A record of the ODE: `data`, and of `about` what says where it is from."""
    payload = about.get("payload")
    kind = payload.get("dataType") if isinstance(payload, Mapping) else None
    return {"metadata": about.get("metadata"), "payload": {"dataType": kind, "data": data}}
