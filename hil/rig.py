"""Power for the machine under test: starts it with the steps of one loop, collects their results.

The processor is emulated in software, so that the loop runs the same on any computer and
needs no right to /dev/kvm. Two serial lines come out: the console, and one for results alone.
"""

import json
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from hil.image import Image

CARDS = ("-object", "can-bus,id=wire", *("-device", "kvaser_pci,canbus=wire") * 2)
"""Two real CAN controllers (SJA1000) on one wire: can0 and can1."""


@dataclass(frozen=True, slots=True)
class Step:
    """A command for bash, in the folder that holds the files of the loop."""

    name: str
    command: str
    limit_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Result:
    """exit: the command's exit code, 124 where it took longer than its limit."""

    name: str
    exit: int
    out: str
    err: str
    seconds: float


def run(
    image: Image,
    steps: Sequence[Step],
    files: Mapping[str, bytes],
    folder: Path,
    *,
    limit_s: float,
) -> dict[str, Result]:
    """Boot, run the steps in order, power off; results by the step's name.

    `folder` keeps console.log and results.jsonl, for people. The image stays as it was.
    Raises TimeoutError, with the end of the console, when the machine is not off by `limit_s`.
    """
    _pack(folder / "job.tar", {**files, "steps.json": _listed(steps)})
    process = subprocess.Popen(_machine(image, folder), stdin=subprocess.DEVNULL)
    try:
        process.wait(limit_s)
    except subprocess.TimeoutExpired:
        console = (folder / "console.log").read_text(encoding="utf-8", errors="replace")
        raise TimeoutError(f"still on after {limit_s} s; console:\n{console[-2000:]}") from None
    finally:
        process.kill()
        process.wait()
    lines = (folder / "results.jsonl").read_text(encoding="utf-8").splitlines()
    return {result.name: result for result in (Result(**json.loads(line)) for line in lines)}


def _listed(steps: Sequence[Step]) -> bytes:
    return json.dumps([asdict(step) for step in steps]).encode()


def _pack(archive: Path, files: Mapping[str, bytes]) -> None:
    with tarfile.open(archive, "w") as tar:
        for name, content in files.items():
            member = archive.with_name(name)
            member.write_bytes(content)
            tar.add(member, name)


def _machine(image: Image, folder: Path) -> list[str]:
    return [
        "qemu-system-x86_64",
        *("-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "2048"),
        *("-nodefaults", "-display", "none", "-no-reboot", "-nic", "none"),
        *("-kernel", str(image.kernel), "-initrd", str(image.initrd)),
        *("-append", "console=ttyS0 root=/dev/vda rw quiet"),
        *("-drive", f"file={image.disk},if=virtio,format=raw,snapshot=on"),
        *("-drive", f"file={folder / 'job.tar'},if=virtio,format=raw,readonly=on"),
        *("-serial", f"file:{folder / 'console.log'}"),
        *("-serial", f"file:{folder / 'results.jsonl'}"),
        *CARDS,
    ]
