"""What is installed is what the tree holds: packages, data, dependencies, lock and unit."""

import ast
import importlib.metadata
import re
import shutil
import subprocess
import sys
import zipfile
from configparser import ConfigParser
from importlib.resources import files
from pathlib import Path

import pytest

from agent.archive import STUCK_NS
from agent.clock import SECOND
from agent.config import load_config
from agent.service import BEAT_NS

ROOT = Path(__file__).parent.parent
DATA_PACKAGES = {"agent.asn1": ROOT / "asn1", "agent.dbc": ROOT / "dbc"}


def settings() -> ConfigParser:
    parser = ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def names(requirements: str) -> set[str]:
    """Names on the lines of a requirement list, in their normal form: "python-can"."""
    lines = (re.match(r"[A-Za-z0-9._-]+", line.strip()) for line in requirements.splitlines())
    return {normal(match[0]) for match in lines if match}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def runtime_dependencies() -> set[str]:
    return names(settings()["options"]["install_requires"])


def optional_dependencies() -> set[str]:
    """Those of the agent itself: the other two extras are for its tests and its benchmarks."""
    extras = settings()["options.extras_require"]
    return {name for extra in extras.keys() - {"dev", "bench"} for name in names(extras[extra])}


def imported_distributions() -> set[str]:
    """Distributions whose modules some file under agent/ imports, wherever in the file."""
    modules: set[str] = set()
    for source in (ROOT / "agent").rglob("*.py"):
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                modules.add(node.module.split(".")[0])
            elif isinstance(node, ast.Import):
                modules |= {alias.name.split(".")[0] for alias in node.names}
    provided_by = importlib.metadata.packages_distributions()
    foreign = modules - sys.stdlib_module_names - {"agent"}
    return {normal(name) for module in foreign for name in provided_by.get(module, [module])}


def locked(path: Path) -> dict[str, tuple[str, int]]:
    """Name -> (version, number of hashes)."""
    entries: dict[str, tuple[str, int]] = {}
    for entry in re.split(r"\n(?=[a-z0-9])", path.read_text(encoding="utf-8")):
        pinned = re.match(r"([a-z0-9._-]+)==(\S+)", entry)
        if pinned:
            entries[normal(pinned[1])] = (pinned[2], entry.count("--hash=sha256:"))
    return entries


def test_every_package_of_the_tree_is_listed() -> None:
    listed = set(settings()["options"]["packages"].split())
    folders = {source.parent for source in (ROOT / "agent").rglob("*.py")}
    assert listed == {".".join(f.relative_to(ROOT).parts) for f in folders} | set(DATA_PACKAGES)


@pytest.mark.parametrize("package", DATA_PACKAGES)
def test_data_is_found_through_the_package_that_carries_it(package: str) -> None:
    held = {
        p.name for p in DATA_PACKAGES[package].iterdir() if p.suffix in {".asn", ".dbc", ".toml"}
    }
    found = {entry.name for entry in files(package).iterdir()}
    assert held
    assert held <= found


def test_wheel_holds_code_data_licence_and_command(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    for name in ("agent", "asn1", "dbc"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "pyproject.toml", "LICENSE", "README.md"):
        shutil.copy(ROOT / name, tree)
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet"]
    done = subprocess.run(
        [*build, "--no-index", "--wheel-dir", tmp_path, tree],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    expected = {p.relative_to(ROOT).as_posix() for p in (ROOT / "agent").rglob("*.py")}
    expected |= {"agent/py.typed", "agent/asn1/J2735.asn"}
    expected |= {f"agent/dbc/{p.name}" for p in (ROOT / "dbc").glob("*.dbc")}
    expected |= {f"agent/dbc/{p.name}" for p in (ROOT / "dbc").glob("*.toml")}
    assert expected <= held
    assert any(name.endswith("licenses/LICENSE") for name in held)
    assert any(name.endswith("entry_points.txt") for name in held)


def test_every_dependency_is_imported_somewhere() -> None:
    assert (runtime_dependencies() | optional_dependencies()) - imported_distributions() == set()


def test_every_foreign_import_is_a_dependency() -> None:
    assert imported_distributions() - runtime_dependencies() - optional_dependencies() == set()


def test_what_is_optional_is_there_for_the_tests() -> None:
    assert optional_dependencies() <= locked(ROOT / "requirements-dev.txt").keys()


def test_lock_pins_every_dependency_by_version_and_hash() -> None:
    runtime = locked(ROOT / "requirements.txt")
    dev = locked(ROOT / "requirements-dev.txt")
    wanted = names(settings()["options.extras_require"]["dev"])
    assert runtime_dependencies() <= set(runtime)
    assert wanted <= set(dev)
    assert all(hashes for _, hashes in (runtime | dev).values())


def test_development_lock_has_the_very_versions_of_the_runtime_lock() -> None:
    assert (
        locked(ROOT / "requirements.txt").items() <= locked(ROOT / "requirements-dev.txt").items()
    )


@pytest.mark.parametrize("lock", ["requirements.txt", "requirements-dev.txt"])
def test_lock_names_no_index_and_no_path(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert not re.search(r"://|--index|--find-links|--extra|(^|\s)\.{0,2}/", text)


def test_example_configuration_is_accepted() -> None:
    config = load_config(ROOT / "systemd" / "agent.toml")
    assert not any(bus.queries for bus in config.bus)


def test_unit_runs_the_installed_command_with_the_example_configuration() -> None:
    unit = (ROOT / "systemd" / "amo-agent.service").read_text(encoding="utf-8")
    assert "\nExecStart=/usr/bin/amo-agent run --config /etc/amo-agent/agent.toml\n" in unit
    assert "\nRestartPreventExitStatus=78\n" in unit


def test_unit_may_ask_how_well_the_clock_is_kept_and_has_no_right_to_set_it() -> None:
    unit = (ROOT / "systemd" / "amo-agent.service").read_text(encoding="utf-8")
    assert "\nSystemCallFilter=adjtimex clock_adjtime\n" in unit
    assert "\nCapabilityBoundingSet=\n" in unit
    assert "\nProtectClock=yes" not in unit, "it refuses adjtimex altogether"


def test_rt_53_unit_starts_an_agent_that_hangs_or_died_again_within_5_s() -> None:
    unit = ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign]  # its own way to keep case
    unit.read(ROOT / "systemd" / "amo-agent.service", encoding="utf-8")
    service, beat_s = unit["Service"], BEAT_NS / SECOND
    assert (service["Type"], service["Restart"]) == ("notify", "on-failure")
    assert STUCK_NS / SECOND + beat_s < float(service["WatchdogSec"]) <= 30
    assert float(service["RestartSec"]) <= 5
    assert unit["Unit"]["StartLimitIntervalSec"] == "0"
