"""What a seal says of the agent that made it."""

import shutil
from importlib.resources import files
from pathlib import Path

import pytest

from agent import installed


def image() -> bytes:
    return installed.image.__wrapped__()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The agent's files, laid out as they are once installed."""

    def inside(package: str) -> Path:
        return tmp_path.joinpath(*package.split("."))

    for package in installed.PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(str(files(package)), inside(package), dirs_exist_ok=True, ignore=ignored)
    monkeypatch.setattr(installed, "files", inside)
    return tmp_path / "agent"


def test_image_is_the_same_installed_and_checked_out(place: Path) -> None:
    assert (place / "asn1" / "J2735.asn").exists()
    assert image() == installed.image()


@pytest.mark.parametrize("name", ["clock.py", "eventstore/chain.py", "asn1/J2735.asn", "py.typed"])
def test_every_file_of_the_agent_counts(place: Path, name: str) -> None:
    before = image()
    file = place / name
    content = file.read_bytes()
    file.write_bytes(content + b" ")
    assert image() != before
    file.write_bytes(content)
    assert image() == before
    file.rename(file.with_stem("renamed"))
    assert image() != before


def test_what_was_compiled_or_explains_does_not_count(place: Path) -> None:
    before = image()
    (place / "__pycache__").mkdir()
    (place / "__pycache__" / "clock.cpython-311.pyc").write_bytes(b"x")
    (place / "README.md").write_text("hello", encoding="utf-8")
    assert image() == before
