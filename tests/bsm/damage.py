"""What a radio, a file or a caller may do to a message."""

import random
from typing import Any

WRONG: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1.0,
    1 << 40,
    -(1 << 70),
    "",
    "unavailable",
    b"",
    b"\xff",
    b"\xff\xff",
    b"\0" * 4,
    bytearray(4),
    (),
    (b"\xff", 5),
    (b"\xff\xff", 13),
    (b"\xff\xff", 13.0),
    (b"\0\0\0\0\0", 9),
    [],
    [0],
    [b"\x08", 5],
    {},
    {"...": [b"\1"]},
    {"...": 3},
)


def mutated(source: bytes, rng: random.Random) -> bytes:
    """Bits turned, octets cut off or put in."""
    octets = bytearray(source)
    for _ in range(rng.randint(1, 4)):
        match rng.randrange(4):
            case 0 | 1 if octets:
                octets[rng.randrange(len(octets))] ^= 1 << rng.randrange(8)
            case 2 if octets:
                del octets[rng.randrange(len(octets)) :]
            case _:
                octets[rng.randrange(len(octets) + 1) : 0] = rng.randbytes(rng.randint(1, 5))
    return bytes(octets)


def damaged(tree: Any, rng: random.Random) -> Any:
    """A copy with one member or entry replaced, missing or too many."""
    if not isinstance(tree, dict | list) or not tree or rng.random() < 0.15:
        return rng.choice(WRONG)
    if isinstance(tree, list):
        return _list(tree, rng)
    name = rng.choice(list(tree))
    match rng.randrange(8):
        case 0:
            return {key: value for key, value in tree.items() if key != name}
        case 1:
            return {**tree, rng.choice(["other", "...", "regional", "speed"]): rng.choice(WRONG)}
    return {**tree, name: damaged(tree[name], rng)}


def _list(entries: list[Any], rng: random.Random) -> Any:
    place = rng.randrange(len(entries))
    match rng.randrange(8):
        case 0:
            return tuple(entries)
        case 1:
            return entries * rng.choice([2, 9, 24])
        case 2:
            return entries[:place]
    return [*entries[:place], damaged(entries[place], rng), *entries[place + 1 :]]
