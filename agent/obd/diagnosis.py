"""What the simulated car's ECU answers to a diagnostic request: bytes in, bytes out, no I/O.

Services 01, 03, 07 and 09 of SAE J1979. It is asked to clear nothing and to change nothing, and
has no service for it. What it cannot answer it passes over when everybody was asked, and refuses
when it alone was asked (ISO 14229-1, 7.5).
"""

from collections.abc import Callable, Mapping
from typing import Final

from agent.obd.dtc import code_bytes
from agent.obd.question import NEGATIVE, POSITIVE
from agent.obd.route import CarState

SERVICE_NOT_SUPPORTED: Final = 0x11  # negative response codes: ISO 14229-1, table A.1
SUB_FUNCTION_NOT_SUPPORTED: Final = 0x12
WRONG_LENGTH: Final = 0x13
OUT_OF_RANGE: Final = 0x31

FAULT: Final = "P0A80"  # SAE J2012: replace the hybrid or electric vehicle's battery pack
PENDING_FROM_S: Final = 16.0
CONFIRMED_FROM_S: Final = 18.0
ELECTRIC: Final = 8  # SAE J1979, PID 51
OBD_COMPLIANCE: Final = 1
STRONGEST_TORQUE_NM: Final = 395.0
MOST_PIDS: Final = 6
"""In one request on CAN (SAE J1979, 5.2.4.2)."""
CALIBRATION_ID: Final = b"SIMCAR-EV-0001\0\0"
ECU_NAME: Final = b"DMCM-DriveMotorCtrl\0"
RANGES: Final = range(0, 0x100, 0x20)
"""PIDs that list the 32 after them."""


def stored(state: CarState) -> list[str]:
    return [FAULT] if state.t_s >= CONFIRMED_FROM_S else []


def pending(state: CarState) -> list[str]:
    return [FAULT] if PENDING_FROM_S <= state.t_s < CONFIRMED_FROM_S else []


def _number(value: float, size: int) -> bytes:
    """Rounded and kept within what the bytes can say, as an ECU does."""
    most = (1 << 8 * size) - 1
    return min(max(round(value), 0), most).to_bytes(size, "big")


def _share(value: float) -> bytes:
    return _number(value * 255.0, 1)


def _temperature(kelvin: float) -> bytes:
    return _number(kelvin - 273.15 + 40.0, 1)


def _status(s: CarState) -> bytes:
    """Lamp and number of codes; this drive has no readiness monitors."""
    count = len(stored(s))
    return bytes([0x80 * bool(count) | count, 0, 0, 0])


PIDS: Final[Mapping[int, Callable[[CarState], bytes]]] = {
    0x01: _status,
    0x04: lambda s: _share(abs(s.torque_nm) / STRONGEST_TORQUE_NM),
    0x05: lambda s: _temperature(s.coolant_k),
    0x0C: lambda s: _number(s.motor_rps * 60.0 * 4.0, 2),
    0x0D: lambda s: _number(s.speed_mps * 3.6, 1),
    0x0F: lambda s: _temperature(s.ambient_k),
    0x11: lambda s: _share(s.accelerator),
    0x1C: lambda _: bytes([OBD_COMPLIANCE]),
    0x1F: lambda s: _number(s.t_s, 2),
    0x33: lambda s: _number(s.air_pa / 1000.0, 1),
    0x42: lambda s: _number(s.supply_v * 1000.0, 2),
    0x46: lambda s: _temperature(s.ambient_k),
    0x51: lambda _: bytes([ELECTRIC]),
    0x5B: lambda s: _share(s.charge),
    0x5C: lambda s: _temperature(s.coolant_k),
    0xA6: lambda s: _number(s.odometer_m / 100.0, 4),
}


def bitmap(first: int, supported: frozenset[int]) -> bytes:
    """Which of the 32 numbers after `first` are answered; the last says whether a list follows."""
    bits = sum(1 << (32 - place) for place in range(1, 32) if first + place in supported)
    return (bits | any(pid > first + 32 for pid in supported)).to_bytes(4, "big")


class Diagnosis:
    """answer(request, functional) for one ECU; state: asked anew for each request."""

    def __init__(self, state: Callable[[], CarState], vin: str) -> None:
        self._state = state
        self._infos = {
            0x02: b"\x01" + vin.encode("ascii"),
            0x04: b"\x01" + CALIBRATION_ID,
            0x0A: b"\x01" + ECU_NAME,
        }
        self._services: dict[int, Callable[[bytes], bytes | int]] = {
            0x01: self._current,
            0x03: lambda asked: self._codes(asked, stored),
            0x07: lambda asked: self._codes(asked, pending),
            0x09: self._information,
        }

    def answer(self, request: bytes, *, functional: bool) -> bytes | None:
        """functional: whether everybody was asked; None where silence is the answer."""
        if not request:
            return None
        service = request[0]
        serve = self._services.get(service)
        found = SERVICE_NOT_SUPPORTED if serve is None else serve(request[1:])
        if isinstance(found, bytes):
            return bytes([service | POSITIVE]) + found
        return None if functional else bytes([NEGATIVE, service, found])

    def _current(self, asked: bytes) -> bytes | int:
        if not 1 <= len(asked) <= MOST_PIDS:
            return WRONG_LENGTH
        state, supported = self._state(), frozenset(PIDS)
        found = b""
        for pid in asked:
            if pid in PIDS:
                found += bytes([pid]) + PIDS[pid](state)
            elif pid in RANGES and (pid == 0 or pid < max(supported)):
                found += bytes([pid]) + bitmap(pid, supported)
        return found or SUB_FUNCTION_NOT_SUPPORTED

    def _codes(self, asked: bytes, which: Callable[[CarState], list[str]]) -> bytes | int:
        if asked:
            return WRONG_LENGTH
        found = which(self._state())
        return bytes([len(found)]) + b"".join(code_bytes(code) for code in found)

    def _information(self, asked: bytes) -> bytes | int:
        if len(asked) != 1:
            return WRONG_LENGTH
        if asked == b"\0":
            return asked + bitmap(0, frozenset(self._infos))
        info = self._infos.get(asked[0])
        return OUT_OF_RANGE if info is None else asked + info
