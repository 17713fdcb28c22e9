"""Basic safety messages to UPER octets and back, by the module in asn1/J2735.asn.

Three steps each way: MessageFrame, BasicSafetyMessage, and each Part II value, because the
module has open types as OCTET STRINGs. A Part II value whose id nobody knows, and every
regional extension, stays octets. Whatever is decoded encodes to the same octets again.

    codec = Codec(Path("asn1/J2735.asn"))
    tree = codec.decode_tree(heard)        # {"coreData": {"msgCnt": 25, ...}, "partII": [...]}
    codec.encode_tree(tree)                # the MessageFrame
    codec.decode_frame(heard)              # a BasicSafetyMessage in SI
    codec.encode_frame(message)
    codec.decode_core(heard)               # Part I alone, flat, in integers of the wire
    codec.encode_core(core)
    codec.decode_flat(heard)               # the same with VehicleSafetyExtensions, or None
    codec.encode_flat(core, safety)

asn1tools is the reference, `Codec.reference`. The shapes that are on the air all the time take
a shorter way (core.py, flat.py, fast.py) to the same trees, octets and refusals.

Every refusal is a MalformedInputError that names the component and what is wrong with it.
"""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import asn1tools
from asn1tools.codecs import DecodeError, EncodeError

from agent.bsm import fast
from agent.bsm.core import decode_core, encode_core
from agent.bsm.fasttree import safety_octets, safety_opened
from agent.bsm.flat import decode_flat, encode_flat
from agent.bsm.message import BasicSafetyMessage
from agent.bsm.opentype import ONE_OCTET
from agent.bsm.unwrap import opened, unwrap
from agent.bsm.uper import Tree, complete, read, write
from agent.bsm.wire import from_tree, to_tree
from agent.errors import ConfigError, MalformedInputError

BSM_ID: Final = 20  # SAE J2735, DSRCmsgID
SAFETY: Final = "VehicleSafetyExtensions"
PART_II: Final[Mapping[int, str]] = {
    0: SAFETY,
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
    fast:   the shorter ways, which know the shipped module alone; without, all is asn1tools
    """

    encode_core = staticmethod(encode_core)
    decode_core = staticmethod(decode_core)
    encode_flat = staticmethod(encode_flat)
    decode_flat = staticmethod(decode_flat)

    def __init__(self, module: str | Path, *, fast: bool = True) -> None:
        self._module = module
        self._fast = fast

    @cached_property
    def reference(self) -> "Codec":
        """The same codec by asn1tools alone."""
        slow = Codec(self._module, fast=False)
        slow.types = self.types
        return slow

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

    @cached_property
    def _quick(self) -> bool:
        """The module is compiled here too: a broken one is found by the first message of all."""
        return self._fast and bool(self.types)

    def decode_frame(self, data: bytes) -> BasicSafetyMessage:
        """As `decode_tree`, in SI, without what a BasicSafetyMessage has no place for."""
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
        try:
            return self._decode_bsm(body)
        except UndecodableError as error:
            error.offset += 8 * data.find(body)
            raise

    def encode_tree(self, tree: Tree) -> bytes:
        """The MessageFrame of a tree as `decode_tree` gives it."""
        if not isinstance(tree, Mapping):
            raise MalformedInputError(f"{type(tree).__name__} where a message is expected")
        content = dict(tree)
        if "partII" in content:
            content["partII"] = [self._close(part) for part in _parts(content)]
        body = fast.packed(content) if self._quick else None
        if body is None:
            body = self._write("BasicSafetyMessage", content)
        if self._quick and len(body) < LONGEST:
            return fast.framed(body)
        return self._write("MessageFrame", {"messageId": BSM_ID, "value": body})

    def _decode_bsm(self, body: bytes) -> Tree:
        tree = fast.unpacked(body) if self._quick else None
        if tree is None:
            tree = self._read("BasicSafetyMessage", body, 0)
        offset = FIRST_PART
        for part in tree.get("partII", ()):
            name, value = PART_II.get(part["partII-Id"]), part["partII-Value"]
            offset += 6 + (8 if len(value) <= ONE_OCTET else 16)
            if name is not None:
                part["partII-Value"] = self._open(name, value, offset)
            offset += 8 * len(value)
        return tree

    def _open(self, name: str, value: bytes, start: int) -> Tree:
        tree = safety_opened(value) if self._quick and name == SAFETY else None
        return self._read(name, value, start) if tree is None else tree

    def _close(self, part: Mapping[str, Any]) -> Tree:
        number, value = part.get("partII-Id"), part.get("partII-Value")
        name = PART_II.get(number) if isinstance(number, int) else None
        if name is None or isinstance(value, bytes):
            return dict(part)
        octets = safety_octets(value) if self._quick and name == SAFETY else None
        return {**part, "partII-Value": octets or self._write(name, value)}

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
