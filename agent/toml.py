"""TOML as types, with complaints that a person can act on."""

import tomllib
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from agent.errors import ConfigError

Kind = TypeVar("Kind")


def parse_toml(source: Path | str, content: bytes, kind: type[Kind]) -> Kind:
    """source: what the content is of, for the message.

    Raises ConfigError with section, key, value and limit, in one line.
    """
    table = _table(source, content)
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{source}: {_located(str(error), table)}") from None


def _table(source: Path | str, content: bytes) -> dict[str, Any]:
    try:
        return tomllib.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # TOMLDecodeError is a ValueError
        raise ConfigError(f"{source}: not TOML: {error}") from error


def _located(message: str, table: dict[str, Any]) -> str:
    """Turn msgspec's "… - at `$.bus[0].uri`" into "bus[0].uri = <value>: …"."""
    text, _, where = message.partition(" - at `$")
    steps = where.rstrip("`").lstrip(".").replace("[", ".").replace("]", "")
    value: Any = table
    for step in filter(None, steps.split(".")):
        value = value[int(step) if isinstance(value, list) else step]
    shown = "" if isinstance(value, dict) else f" = {value!r}"
    place = where.rstrip("`").lstrip(".")
    return f"{place}{shown}: {text}" if place else text
