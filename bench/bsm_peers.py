"""Other codecs for the same module and messages: asn1tools, pycrate, and asn1c's C."""

import contextlib
import importlib.util
import io
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import asn1tools

MESSAGE, SAFETY = "BasicSafetyMessage", "VehicleSafetyExtensions"
DRIVER = Path(__file__).with_name("bsm_driver.c")


class Peer(NamedTuple):
    """decode: octets of a bare message -> a tree with its Part II opened; encode: and back"""

    name: str
    decode: Callable[[bytes], Any]
    encode: Callable[[Any], bytes]


def asn1tools_peer(module: Path, *, checked: bool) -> Peer:
    types = asn1tools.compile_files(str(module), "uper")

    def decode(body: bytes) -> Any:
        tree = types.decode(MESSAGE, body, check_constraints=checked)
        for part in tree.get("partII", ()):
            value = part["partII-Value"]
            part["partII-Value"] = types.decode(SAFETY, value, check_constraints=checked)
        return tree

    def encode(tree: Any) -> bytes:
        content = dict(tree)
        if "partII" in tree:
            content["partII"] = [
                {**part, "partII-Value": closed(part["partII-Value"])} for part in tree["partII"]
            ]
        return bytes(types.encode(MESSAGE, content, check_constraints=checked))

    def closed(value: Any) -> bytes:
        return bytes(types.encode(SAFETY, value, check_constraints=checked))

    return Peer("asn1tools" if checked else "asn1tools, unchecked", decode, encode)


def pycrate_peer(module: Path, folder: Path) -> Peer | None:
    """None where pycrate is not installed."""
    if importlib.util.find_spec("pycrate_asn1c") is None:
        return None
    types = _generated(module, folder / "pycrate_j2735.py").J2735

    def decode(body: bytes) -> Any:
        types.BasicSafetyMessage.from_uper(body)
        tree = types.BasicSafetyMessage.get_val()
        for part in tree.get("partII", ()):
            types.VehicleSafetyExtensions.from_uper(part["partII-Value"])
            part["partII-Value"] = types.VehicleSafetyExtensions.get_val()
        return tree

    def encode(tree: Any) -> bytes:
        content = dict(tree)
        if "partII" in tree:
            content["partII"] = [
                {**part, "partII-Value": closed(part["partII-Value"])} for part in tree["partII"]
            ]
        types.BasicSafetyMessage.set_val(content)
        return bytes(types.BasicSafetyMessage.to_uper())

    def closed(value: Any) -> bytes:
        types.VehicleSafetyExtensions.set_val(value)
        return bytes(types.VehicleSafetyExtensions.to_uper())

    return Peer("pycrate", decode, encode)


def _generated(module: Path, target: Path) -> Any:
    compiler = importlib.import_module("pycrate_asn1c.asnproc")
    generator = importlib.import_module("pycrate_asn1c.generator")
    with contextlib.redirect_stdout(io.StringIO()):
        compiler.compile_text(module.read_text("utf-8"))
        generator.PycrateGenerator(str(target))
    spec = importlib.util.spec_from_file_location(target.stem, target)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def asn1c_driver(module: Path, folder: Path) -> Path | None:
    """The C of asn1c for the module, with bsm_driver.c; None where asn1c or cc is not installed."""
    if shutil.which("asn1c") is None or shutil.which("cc") is None:
        return None
    command = ["asn1c", "-gen-PER", f"-pdu={MESSAGE}", str(module.resolve())]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    (folder / "converter-sample.c").unlink()
    shutil.copy(DRIVER, folder)
    sources = sorted(path.name for path in folder.glob("*.c"))
    options = ["-O2", "-w", "-I.", "-o", "driver"]
    subprocess.run(["cc", *options, *sources, "-lm"], cwd=folder, check=True)
    return folder / "driver"


def asn1c_us(driver: Path, bodies: list[bytes], rounds: int) -> list[float]:
    """Microseconds a message: decode, encode, and both without checks."""
    lines = "".join(f"{body.hex()}\n" for body in bodies)
    done = subprocess.run(
        [str(driver), str(rounds)], input=lines, capture_output=True, text=True, check=True
    )
    return [float(word) / 1000 for word in done.stdout.split()]
