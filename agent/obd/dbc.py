"""A DBC file, loaded: which frames it describes and which signals are in them."""

import logging
from pathlib import Path
from typing import Final

import cantools
from cantools.database.can import Database, Message

from agent.errors import UsageError
from agent.obd.frame import EXTENDED_FLAG
from agent.obd.layout import Layout, MessageLayout

FILE_BYTES_MAX = 1 << 22
"""Our choice; the largest files of the open collections have a tenth of that."""
COMPLAINTS_MAX = 200
FILES_MAX = 200
"""Our choice; the largest open collection has 119, which take some 60 MB."""

_SECTIONS: Final = {"VERSION", "NS_", "BS_", "BU_", "CM_"}
"""What a DBC file may consist of that describes no message."""
_PREAMBLE: Final = 'VERSION ""\n\nNS_ :\n\nBS_:\n\nBU_: Vector__XXX\n\n'
_LONG_NAMES: Final = (
    'BA_DEF_ BO_ "SystemMessageLongSymbol" STRING ;\n'
    'BA_DEF_ SG_ "SystemSignalLongSymbol" STRING ;\n'
    'BA_DEF_DEF_ "SystemMessageLongSymbol" "";\n'
    'BA_DEF_DEF_ "SystemSignalLongSymbol" "";\n'
)


class Dbc:
    """What one file describes.

    name:       of the file, without its ending
    messages:   cantools messages by key: identifier, with bit 31 set where it is extended
    complaints: lines that were left out or read as something else, "line 211: …"
    """

    def __init__(
        self, name: str, messages: dict[int, Message], complaints: tuple[str, ...]
    ) -> None:
        self.name = name
        self.messages = messages
        self.complaints = complaints

    def __repr__(self) -> str:
        return f"Dbc({self.name}, {len(self.messages)} messages)"


def load_dbc(path: Path | str) -> Dbc:
    """Read a file tolerantly: a line that cannot be understood costs itself.

    A file of comments, nodes or signals without a message describes nothing, and says so. Raises
    UsageError for a file that cannot be read or has nothing of a DBC file.
    """
    path = Path(path)
    layout = Layout(_text(path))
    messages: dict[int, Message] = {}
    for message in _load(layout):
        key = message.frame_id | (EXTENDED_FLAG if message.is_extended_frame else 0)
        messages[key] = message
    if not messages:
        if not layout.keywords & _SECTIONS:
            raise UsageError(f"{path}: not a DBC file: it describes no message")
        layout.complaints.append("no message is described")
    return Dbc(path.stem, messages, _kept(layout.complaints))


def load_dbcs(directory: Path) -> tuple[list[Dbc], list[str]]:
    """Every *.dbc in and below a directory, in the order of their paths, and what was left out.

    Files of the same content count once. What a file leaves out of itself is not told here.
    Raises UsageError where there is none, or more than 200.
    """
    paths = sorted(directory.rglob("*.dbc"))
    if not 0 < len(paths) <= FILES_MAX:
        raise UsageError(f"{directory}: {len(paths)} DBC files; 1 to {FILES_MAX}")
    loaded: dict[str, Dbc] = {}
    left_out: list[str] = []
    for path in paths:
        try:
            text = _text(path)
            if text not in loaded:
                loaded[text] = load_dbc(path)
        except UsageError as error:
            left_out.append(str(error))
    return list(loaded.values()), left_out


def _kept(complaints: list[str]) -> tuple[str, ...]:
    more = len(complaints) - COMPLAINTS_MAX
    return tuple(complaints[:COMPLAINTS_MAX] + [f"and {more} more"] * (more > 0))


def _text(path: Path) -> str:
    try:
        if not path.is_file():
            raise UsageError(f"{path}: {'a directory' if path.is_dir() else 'no such file'}")
        size = path.stat().st_size
        if size > FILE_BYTES_MAX:
            raise UsageError(f"{path}: not a DBC file: {size} bytes; at most {FILE_BYTES_MAX}")
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    if b"\0" in data:
        raise UsageError(f"{path}: not a DBC file: it is binary")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("cp1252", errors="replace")  # the code page the format comes from
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _load(layout: Layout) -> list[Message]:
    """All messages at once; one by one where the parser refuses the whole."""
    everything = list(layout.messages.values())
    try:
        return _parse(everything)
    except _REFUSALS:
        pass
    messages: list[Message] = []
    for one in everything:
        try:
            messages += _parse([one])
        except _REFUSALS as error:
            layout.complain(one.line, f"message left out: {error}")
    return messages


# besides its own errors the parser lets out those of its number and name look-ups
_REFUSALS: Final = (cantools.Error, ValueError, LookupError, TypeError, ArithmeticError)


def _parse(layouts: list[MessageLayout]) -> list[Message]:
    lines = [_PREAMBLE]
    for one in layouts:
        lines += [one.head, *one.signals, ""]
    extras = [extra for one in layouts for extra in one.extras]
    if any(extra.startswith("BA_ ") for extra in extras):
        lines.append(_LONG_NAMES)
    # SG_MUL_VAL_ last, as the parser's grammar has the sections in no order
    lines += sorted(extras, key=lambda extra: extra.split(" ", 1)[0])
    database = cantools.database.load_string("\n".join(lines) + "\n", "dbc", strict=False)
    assert isinstance(database, Database)
    return list(database.messages)


# two files may use one name for two messages; the identifiers tell them apart
logging.getLogger("cantools.database.can.database").setLevel(logging.ERROR)
