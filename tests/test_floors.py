"""The house has floors. An import may go down, never up and never next door."""

import ast
from array import array
from pathlib import Path

AGENT = Path(__file__).parent.parent / "agent"

GROUND = {"errors", "clock", "signals", "position", "events", "privacy", "files", "lean", "toml"}
DRIVERS = {"obd", "v2x", "amo"}
DOMAIN = {"bsm", "eventstore", "parcel", "wallet"}
GALLERY = {
    "record",
    "tally",
    "deadband",
    "narrow",
    "retain",
    "upload",
    "outbox",
    "outgoing",
    "books",
    "desk",
    "replays",
    "judge",
    "farside",
    "requests",
    "contents",
    "service",
    "survey",
    "erase",
    "restore",
    "hold",
    "rules",
    "owner",
    "latency",
    "follow",
    "missed",
    "status",
}
ROOF = {
    "config",
    "control",
    "polls",
    "pollsign",
    "archive",
    "sealing",
    "nocore",
    "compose",
    "installed",
    "feeds",
    "capture",
    "playback",
    "signalsets",
    "trusting",
    "enrolling",
    "watchdog",
    "whereabouts",
    "export",
    "cli",
    "__main__",
}
PACKAGE = {"__version__"}

MAY_IMPORT: dict[str, set[str]] = {
    **dict.fromkeys(GROUND, GROUND),
    **{room: GROUND | {room} for room in DRIVERS | DOMAIN},
    **dict.fromkeys(GALLERY, GROUND | DOMAIN | GALLERY | PACKAGE),
    **dict.fromkeys(ROOF, GROUND | DRIVERS | DOMAIN | GALLERY | ROOF | PACKAGE),
}

ONLY_THERE = {
    # two SQLite libraries in one process, on one file, break each other's locks
    "apsw": {
        "eventstore/birth",
        "eventstore/container",
        "eventstore/reader",
        "eventstore/salvage",
        "eventstore/sqlite",
    },
    "obd": {"obd/pids"},  # the one GPL import of python-OBD
    "pkcs11": {"wallet/pkcs11"},  # optional: who has no token needs no library
    "pyarrow": {"export/parquet"},  # optional: a car needs no Parquet
    "subprocess": {"wallet/tpmtools"},  # one place starts programs, and hands them secrets
    "time": {"clock"},  # time is a parameter
}
"""Foreign modules that only certain files may import, and why."""


def imports(source: Path) -> set[str]:
    """Dotted names that a file imports: "agent.obd.frame", "apsw"."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{source}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def modules() -> list[tuple[str, set[str]]]:
    sources = sorted(AGENT.rglob("*.py"))
    return [(s.relative_to(AGENT).with_suffix("").as_posix(), imports(s)) for s in sources]


def test_imports_go_down_only() -> None:
    wrong = [
        f"{module} imports {name}"
        for module, names in modules()
        if module != "__init__"
        for name in sorted(names)
        if name.startswith("agent.") and name.split(".")[1] not in MAY_IMPORT[module.split("/")[0]]
    ]
    assert not wrong, "\n".join(wrong)


def test_some_libraries_are_imported_in_one_place_only() -> None:
    wrong = [
        f"{module} imports {name}"
        for module, names in modules()
        for name in sorted(names)
        if name.split(".")[0] in ONLY_THERE and module not in ONLY_THERE[name.split(".")[0]]
    ]
    assert not wrong, "\n".join(wrong)


def test_every_module_stands_on_a_known_floor() -> None:
    known = GROUND | DRIVERS | DOMAIN | GALLERY | ROOF | {"__init__"}
    assert {module.split("/")[0] for module, _ in modules()} <= known


FORMATS = ("eventstore", "wallet", "parcel", "outbox", "events", "files")
"""What lays bytes out that other machines read."""


def calls(tree: ast.AST) -> list[tuple[str, ast.Call]]:
    """(name of what is called, call) of every call in a module."""
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [(ast.unparse(call.func).rpartition(".")[2], call) for call in found]


def test_rt_56_no_layout_takes_the_byte_order_or_the_word_size_of_its_machine() -> None:
    layouts = 0
    for source in (AGENT / name for name in FORMATS):
        for path in source.rglob("*.py") if source.is_dir() else [source.with_suffix(".py")]:
            for name, call in calls(ast.parse(path.read_text(encoding="utf-8"))):
                if name == "Struct":
                    layouts += 1
                    assert ast.unparse(call.args[0]).lstrip("f")[1] == ">", path
                if name in {"to_bytes", "from_bytes"}:
                    layouts += 1
                    assert ast.unparse(call.args[1]) == "'big'", path
    assert layouts > 20
    assert [array(code).itemsize for code in "qQdI"] == [8, 8, 8, 4]  # of parcel/columns.py
