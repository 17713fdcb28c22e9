"""Basic safety messages to UPER octets and back, by the module in asn1/J2735.asn.

Three steps each way: MessageFrame, BasicSafetyMessage, and each Part II value, because the
module has open types as OCTET STRINGs. A Part II value whose id nobody knows, and every
regional extension, stays octets. Whatever is decoded encodes to the same octets again.

    codec = Codec(Path("asn1/J2735.asn"))
    tree = codec.decode_tree(heard)        # {"coreData": {"msgCnt": 25, ...}, "partII": [...]}
    codec.encode_tree(tree)                # the MessageFrame
    codec.decode_frame(heard)              # a BasicSafetyMessage in SI
    codec.encode_frame(message)

Every refusal is a MalformedInputError that names the component and what is wrong with it.
"""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import asn1tools
from asn1tools.codecs import DecodeError, EncodeError

from agent.bsm.message import BasicSafetyMessage
from agent.bsm.opentype import ONE_OCTET
from agent.bsm.unwrap import opened, unwrap
from agent.bsm.uper import Tree, complete, read, write
from agent.bsm.wire import from_tree, to_tree
from agent.errors import ConfigError, MalformedInputError

BSM_ID: Final = 20  # SAE J2735, DSRCmsgID
PART_II: Final[Mapping[int, str]] = {
    0: "VehicleSafetyExtensions",
    1: "SpecialVehicleExtensions",
    2: "SupplementalVehicleExtensions",
}
"""SAE J2735, PartII-Id -> the type of the value."""
FIRST_PART: Final = 296  # bits: preamble 3, Part I 290, count of Part II 3
LONGEST: Final = 16 * 1024  # octets; a frame over this would need fragments, a radio has 2304

_FOREIGN = (
    asn1tools.Error,
    ArithmeticError,
    AttributeError,
    LookupError,
    NotImplementedError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What asn1tools is known to raise for input it did not expect."""


class UndecodableError(MalformedInputError):
    """These octets are no basic safety message. offset: bit at which that was clear."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.offset = offset


class Codec:
    """
    module: the ASN.1 text, or the path of the file that has it. It is compiled at the first
    use. Raises ConfigError where it cannot be read or compiled.
    """

    def __init__(self, module: str | Path) -> None:
        self._module = module

    @cached_property
    def types(self) -> Mapping[str, Any]:
        """The compiled types that a message needs, by their ASN.1 names."""
        module = self._module
        try:
            text = module if isinstance(module, str) else module.read_text("utf-8")
            compiled = asn1tools.compile_string(text, "uper").types
            names = ("MessageFrame", "BasicSafetyMessage", *PART_II.values())
            return {name: complete(compiled[name]._type) for name in names}  # noqa: SLF001 - no door
        except OSError as error:
            raise ConfigError(f"{module}: {error.strerror}") from error
        except (*_FOREIGN, asn1tools.ParseError) as error:
            raise ConfigError(f"the ASN.1 module does not compile: {error}") from error

    def decode_frame(self, data: bytes) -> BasicSafetyMessage:
        """As `decode_tree`, in SI; Part II beyond event flags and lights is not in it."""
        return from_tree(self.decode_tree(data))

    def encode_frame(self, message: BasicSafetyMessage) -> bytes:
        """The MessageFrame, 40 octets without Part II."""
        return self.encode_tree(to_tree(message))

    def decode_tree(self, data: bytes) -> Tree:
        """The message with the integers and names of the wire, Part II values opened in place.

        data: a bare BasicSafetyMessage, a MessageFrame, or either kind of IEEE 1609.2 data
        """
        if len(data) > LONGEST:
            raise UndecodableError(f"a message of {len(data)} octets; at most {LONGEST}", 0)
        inside = unwrap(bytes(data))
        message_id, body = opened(inside) or (BSM_ID, inside)
        if message_id != BSM_ID:
            raise UndecodableError(f"message {message_id}; a basic safety message is {BSM_ID}", 0)
        start = 8 * data.find(body)
        try:
            return self._decode_bsm(body)
        except UndecodableError as error:
            error.offset += start
            raise

    def encode_tree(self, tree: Tree) -> bytes:
        """The MessageFrame of a tree as `decode_tree` gives it."""
        content = dict(tree)
        if "partII" in content:
            content["partII"] = [self._close(part) for part in _parts(content)]
        body = self._write("BasicSafetyMessage", content)
        return self._write("MessageFrame", {"messageId": BSM_ID, "value": body})

    def _decode_bsm(self, body: bytes) -> Tree:
        tree = self._read("BasicSafetyMessage", body, 0)
        offset = FIRST_PART
        for part in tree.get("partII", ()):
            name, value = PART_II.get(part["partII-Id"]), part["partII-Value"]
            offset += 6 + (8 if len(value) <= ONE_OCTET else 16)
            if name is not None:
                part["partII-Value"] = self._read(name, value, offset)
            offset += 8 * len(value)
        return tree

    def _close(self, part: Mapping[str, Any]) -> Tree:
        value = part.get("partII-Value")
        name = PART_II.get(part.get("partII-Id", -1))
        if name is None or isinstance(value, bytes):
            return dict(part)
        return {**part, "partII-Value": self._write(name, value)}

    def _read(self, name: str, data: bytes, start: int) -> Tree:
        """start: where `data` begins in the message, in bits"""
        kind = self.types[name]
        try:
            tree: Tree = read(kind, data)
        except DecodeError as error:
            where = f"{error.location_str}: " if error.location else ""
            raise UndecodableError(
                f"{name} of {len(data)} octets: {where}{error.message}", start + error.offset
            ) from error
        except _FOREIGN as error:
            raise UndecodableError(f"{name}: {type(error).__name__}", start) from error
        return tree

    def _write(self, name: str, tree: Any) -> bytes:
        kind = self.types[name]
        try:
            return write(kind, tree)
        except EncodeError as error:
            raise MalformedInputError(f"{name}: {error}") from error
        except _FOREIGN as error:
            raise MalformedInputError(f"{name}: {type(error).__name__}") from error


def _parts(content: Tree) -> list[Mapping[str, Any]]:
    parts = content["partII"]
    if not isinstance(parts, list | tuple) or not all(isinstance(p, Mapping) for p in parts):
        raise MalformedInputError("partII is not a list of members")
    return list(parts)
