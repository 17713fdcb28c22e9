"""What is installed: the agent's own files, descriptions of cars, the J2735 module."""

from functools import cache
from hashlib import sha3_256
from importlib.resources import files
from pathlib import Path
from struct import pack
from typing import Final

from agent.bsm.codec import Codec

PACKAGES: Final = ("agent", "agent.asn1", "agent.dbc")
"""The last two lie beside the first in a checked-out tree, and within it once installed."""
SUFFIXES: Final = {".py", ".typed", ".asn", ".dbc", ".toml"}
"""Of the files that are installed; setup.cfg says the same."""


@cache
def image() -> bytes:
    """What runs here, in 32 bytes: SHA3-256 over each of the agent's files in the order of names.

    u32 length of the name | name, "agent/clock.py" | u64 length | content            (big-endian)
    """
    digest = sha3_256()
    for name, path in sorted(_own_files().items()):
        content = path.read_bytes()
        raw = name.encode()
        digest.update(pack(f">I{len(raw)}sQ", len(raw), raw, len(content)) + content)
    return digest.digest()


def _own_files() -> dict[str, Path]:
    found = {}
    for package in PACKAGES:
        root = Path(str(files(package)))
        for path in root.rglob("*"):
            if path.suffix in SUFFIXES and path.is_file():
                found[f"{package.replace('.', '/')}/{path.relative_to(root).as_posix()}"] = path
    return found


def resource(package: str, name: str) -> str:
    """Path of a file that is installed with the agent."""
    return str(files(package).joinpath(name))


@cache
def codec() -> Codec:
    """The J2735 codec of our own module, compiled now so that no tick has to wait for it."""
    module = Codec(files("agent.asn1").joinpath("J2735.asn").read_text("utf-8"))
    _ = module.types
    return module
