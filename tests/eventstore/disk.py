"""A disk that loses its power: what may be on it afterwards, by what was asked of it before.

A disk owes what was synced. Of the rest, each sector of 512 bytes is kept, lost or torn on its
own, in any mixture; a torn one is noise from end to end, also where it was not written to. What
the disk owes of names and sizes depends on the file system:

ORDERED  as ext4 in its default mode: names and truncations reach the disk in the order they were
         made, and any sync, of whatever file, brings along all that came before it.
STRICT   what POSIX promises and no more: a name is there, or gone, after an fsync of its
         directory; a size is what it is after an fsync of its file. Until then each may hold or
         not, whatever came before or after it.
"""

import enum
import posixpath
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

SECTOR: Final = 512
DIRECTORY: Final = 0
"""The number that stands for any directory; files are numbered from 1, never twice."""
_TORN: Final = 0.05
_KEPT: Final = (0.5, 0.5, 0.95, 1.0)
"""How much is kept, drawn anew for each cut; where all is, nothing is torn."""


class Named(NamedTuple):
    """Names that came or went (None) in one stroke: making, unlinking, renaming.

    What comes behind the first two moved along, inside a directory.
    """

    changes: tuple[tuple[str, int | None], ...]


class Written(NamedTuple):
    file: int
    offset: int
    data: bytes


class Resized(NamedTuple):
    file: int
    size: int


class Synced(NamedTuple):
    file: int


class Forgotten(NamedTuple):
    """A sync of the file failed: what it should have written is written by no later one."""

    file: int


class DirectorySynced(NamedTuple):
    name: str


Operation = Named | Written | Resized | Synced | Forgotten | DirectorySynced


class Model(enum.Enum):
    ORDERED = "ordered"
    STRICT = "strict"


class _File:
    """durable: what a cut cannot take. since: (number, what was asked) after that."""

    def __init__(self) -> None:
        self.durable = b""
        self.since: list[tuple[int, Written | Resized]] = []


class Disk:
    """One directory and what is below it. Its names are relative, "" is the directory itself."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._files: dict[int, _File] = {}
        self._names: dict[str, int] = {}
        self._renamed: list[tuple[int, Named]] = []
        self._asked = 0
        self._committed = 0

    def take(self, operation: Operation) -> None:
        """What was asked of the disk next, and done."""
        self._asked += 1
        match operation:
            case Named():
                self._renamed.append((self._asked, operation))
            case Written(file) | Resized(file):
                self._file(file).since.append((self._asked, operation))
            case Synced(file):
                self._file(file).durable = self.content(file)
                self._file(file).since.clear()
                self._commit(None)
            case Forgotten(file):
                self._file(file).since.clear()
            case DirectorySynced(name):
                self._commit(name)

    def cut(self, chance: random.Random) -> dict[str, bytes]:
        """The content of each file that is there after a power cut now."""
        holds = self._holds(chance)
        names = dict(self._names)
        for number, named in self._renamed:
            if holds(number):
                _rename(names, named)
        return {
            name: self._image(file, holds, self._pieces(chance))
            for name, file in names.items()
            if file != DIRECTORY and all(parent in names for parent in _parents(name))
        }

    def content(self, number: int) -> bytes:
        """Of a file, as long as the power is on."""
        return self._image(number, lambda _: True, _whole)

    def _file(self, number: int) -> _File:
        return self._files.setdefault(number, _File())

    def _commit(self, directory: str | None) -> None:
        """What a sync brings along: of this directory, or, where the order is kept, everything."""
        ordered = self._model is Model.ORDERED
        if ordered:
            self._committed = self._asked
        for entry in list(self._renamed):
            _, named = entry
            places = {posixpath.dirname(name) for name, _ in named.changes[:2]}
            if ordered or directory in places:
                _rename(self._names, named)
                self._renamed.remove(entry)

    def _holds(self, chance: random.Random) -> Callable[[int], bool]:
        """Whether the change of a name or size with this number is on the disk."""
        if self._model is Model.STRICT:
            return lambda _: chance.random() < 0.5
        last = chance.randint(self._committed, self._asked)
        return lambda number: number <= last

    def _image(
        self,
        number: int,
        holds: Callable[[int], bool],
        pieces: Callable[[Written], Iterable[tuple[int, bytes]]],
    ) -> bytes:
        file = self._file(number)
        image = bytearray(file.durable)
        for asked, operation in file.since:
            if isinstance(operation, Written):
                for offset, data in pieces(operation):
                    _put(image, offset, data)
            elif holds(asked):
                _resize(image, operation.size)
        if self._model is Model.STRICT and len(image) > len(file.durable) and not holds(0):
            del image[len(file.durable) :]
        return bytes(image)

    def _pieces(self, chance: random.Random) -> Callable[[Written], Iterator[tuple[int, bytes]]]:
        kept = chance.choice(_KEPT)
        torn = 0.0 if kept == 1.0 else _TORN

        def pieces(written: Written) -> Iterator[tuple[int, bytes]]:
            for offset, data in _sectors(written):
                luck = chance.random()
                if luck < torn:
                    yield offset - offset % SECTOR, chance.randbytes(SECTOR)
                elif luck < torn + kept:
                    yield offset, data

        return pieces


def laid_out(files: Mapping[str, bytes], place: Path) -> None:
    """These files below a new directory, all of them private."""
    place.mkdir(parents=True)
    for name, content in files.items():
        path = place
        for part in name.split("/")[:-1]:
            path /= part
            path.mkdir(mode=0o700, exist_ok=True)
        path /= posixpath.basename(name)
        path.touch(mode=0o600)
        path.write_bytes(content)


def _whole(written: Written) -> Iterator[tuple[int, bytes]]:
    yield written.offset, written.data


def _sectors(written: Written) -> Iterator[tuple[int, bytes]]:
    """The part of a write that falls into each sector."""
    at, end = written.offset, written.offset + len(written.data)
    while at < end:
        upto = min(end, at - at % SECTOR + SECTOR)
        yield at, written.data[at - written.offset : upto - written.offset]
        at = upto


def _put(image: bytearray, offset: int, data: bytes) -> None:
    _resize(image, max(len(image), offset))
    image[offset : offset + len(data)] = data


def _resize(image: bytearray, size: int) -> None:
    del image[size:]
    image.extend(bytes(size - len(image)))


def _rename(names: dict[str, int], named: Named) -> None:
    for name, file in named.changes:
        if file is None:
            names.pop(name, None)
        else:
            names[name] = file


def _parents(name: str) -> Iterator[str]:
    while name := posixpath.dirname(name):
        yield name
