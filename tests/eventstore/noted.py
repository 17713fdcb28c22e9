"""What was asked of the disk below a directory, by path, written down as disk.py takes it."""

from pathlib import Path

from tests.eventstore.disk import (
    DIRECTORY,
    DirectorySynced,
    Forgotten,
    Named,
    Operation,
    Resized,
    Synced,
    Written,
)


class Noted:
    """done: in order. Paths outside of `root` are passed over; inside, names are relative to it."""

    def __init__(self, root: Path) -> None:
        self.root = str(root.resolve())
        self.done: list[Operation] = []
        self._files: dict[str, int] = {}
        self._made = 0

    def known(self, path: str) -> bool:
        return path.startswith(f"{self.root}/")

    def number(self, path: str) -> int:
        return self._files[path]

    def there_already(self) -> None:
        """What lies below the root before anything is asked for is safely there."""
        for path in sorted(Path(self.root).rglob("*")):
            if path.is_dir():
                self.made_directory(str(path))
            else:
                self.made(str(path))
                self.written(str(path), 0, path.read_bytes())
                self.synced(str(path))
            self.directory_synced(str(path.parent))

    def made(self, path: str) -> None:
        if self.known(path):
            self._made += 1
            self._files[path] = self._made
            self._named((path, self._made))

    def made_directory(self, path: str) -> None:
        if self.known(path):
            self._files[path] = DIRECTORY
            self._named((path, DIRECTORY))

    def is_there(self, path: str) -> bool:
        return path in self._files

    def gone(self, path: str) -> None:
        if self.known(path):
            del self._files[path]
            self._named((path, None))

    def renamed(self, old: str, new: str) -> None:
        """A directory takes along what is in it."""
        if not self.known(old):
            return
        moved = [path for path in self._files if path == old or path.startswith(f"{old}/")]
        changes: list[tuple[str, int | None]] = []
        for path in moved:
            number = self._files.pop(path)
            self._files[new + path.removeprefix(old)] = number
            changes += [(path, None), (new + path.removeprefix(old), number)]
        self._named(*changes)

    def written(self, path: str, offset: int, data: bytes) -> None:
        if self.known(path):
            self.done.append(Written(self.number(path), offset, data))

    def resized(self, path: str, size: int) -> None:
        if self.known(path):
            self.done.append(Resized(self.number(path), size))

    def synced(self, path: str) -> None:
        if self.known(path):
            self.done.append(Synced(self.number(path)))

    def path_synced(self, path: str) -> None:
        """Of a file or a directory."""
        if path == self.root or self._files.get(path) == DIRECTORY:
            self.directory_synced(path)
        else:
            self.synced(path)

    def forgotten(self, path: str) -> None:
        if self.known(path):
            self.done.append(Forgotten(self.number(path)))

    def directory_synced(self, path: str) -> None:
        if path == self.root or self.known(path):
            self.done.append(DirectorySynced(self._relative(path)))

    def _named(self, *changes: tuple[str, int | None]) -> None:
        self.done.append(Named(tuple((self._relative(path), file) for path, file in changes)))

    def _relative(self, path: str) -> str:
        return path.removeprefix(self.root).removeprefix("/")
