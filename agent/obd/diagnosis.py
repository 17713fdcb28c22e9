"""What the simulated car's ECU answers to a diagnostic request: bytes in, bytes out, no I/O.

Services 01, 02, 03, 07, 09 and 0A of SAE J1979, 19 and 22 of ISO 14229-1. It is asked to clear
nothing and to change nothing, and has no service for it. What it cannot answer it passes over
when everybody was asked, and refuses when it alone was asked (ISO 14229-1, 7.5).
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

VIN_DATA: Final = 0xF190  # ISO 14229-1, table C.1
BY_STATUS: Final = 0x02  # report of service 19: codes of a status
CONFIRMED: Final = 0x08  # its bits: ISO 14229-1, table D.2
PENDING: Final = 0x04
FAILURE_TYPE: Final = 0x00  # SAE J2012-DA: none named
FREEZE_FRAME: Final = 0x02
CAUSE: Final = 0x02
"""PID of the code that made an ECU keep a freeze frame."""
FAULT: Final = "P0A80"  # SAE J2012: replace the hybrid or electric vehicle's battery pack
PENDING_FROM_S: Final = 16.0
CONFIRMED_FROM_S: Final = 18.0
MONITORED_FROM_S: Final = 12.0
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
    """Lamp and number of codes; one monitor, of components, which is through after a while."""
    count = len(stored(s))
    running = s.t_s < MONITORED_FROM_S
    return bytes([0x80 * bool(count) | count, 0x40 * running | 0x04, 0, 0])


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

    def __init__(
        self,
        state: Callable[[], CarState],
        vin: str,
        data: Mapping[int, bytes] | None = None,
    ) -> None:
        self._state = state
        self._frozen: CarState | None = None
        self._data = {VIN_DATA: vin.encode("ascii")} if data is None else data
        self._infos = {
            0x02: b"\x01" + vin.encode("ascii"),
            0x04: b"\x01" + CALIBRATION_ID,
            0x0A: b"\x01" + ECU_NAME,
        }
        self._services: dict[int, Callable[[bytes], bytes | int]] = {
            0x01: lambda asked: self._current(asked, self._state()),
            FREEZE_FRAME: self._freeze_frame,
            0x03: lambda asked: self._codes(asked, stored),
            0x07: lambda asked: self._codes(asked, pending),
            0x09: self._information,
            0x0A: lambda asked: self._codes(asked, stored),
            0x19: self._codes_by_status,
            0x22: self._data_by_identifier,
        }

    def answer(self, request: bytes, *, functional: bool) -> bytes | None:
        """functional: whether everybody was asked; None where silence is the answer."""
        if not request:
            return None
        self._keep_freeze_frame()
        service = request[0]
        serve = self._services.get(service)
        found = SERVICE_NOT_SUPPORTED if serve is None else serve(request[1:])
        if isinstance(found, bytes):
            return bytes([service | POSITIVE]) + found
        return None if functional else bytes([NEGATIVE, service, found])

    def _current(self, asked: bytes, state: CarState) -> bytes | int:
        if not 1 <= len(asked) <= MOST_PIDS:
            return WRONG_LENGTH
        supported = frozenset(PIDS)
        found = b""
        for pid in asked:
            if pid in PIDS:
                found += bytes([pid]) + PIDS[pid](state)
            elif pid in RANGES and (pid == 0 or pid < max(supported)):
                found += bytes([pid]) + bitmap(pid, supported)
        return found or SUB_FUNCTION_NOT_SUPPORTED

    def _keep_freeze_frame(self) -> None:
        """Of the first code that is stored."""
        if self._frozen is None and stored(state := self._state()):
            self._frozen = state

    def _freeze_frame(self, asked: bytes) -> bytes | int:
        """One PID and the number of the frame, which is 0; the code that caused it is PID 02."""
        if len(asked) != 2:  # noqa: PLR2004  as said
            return WRONG_LENGTH
        if asked[1]:
            return OUT_OF_RANGE
        if asked[0] == CAUSE:
            return asked + (code_bytes(FAULT) if self._frozen else b"\0\0")
        found = OUT_OF_RANGE if self._frozen is None else self._current(asked[:1], self._frozen)
        return found if isinstance(found, int) else found[:1] + asked[1:] + found[1:]

    def _codes_by_status(self, asked: bytes) -> bytes | int:
        if len(asked) != 2:  # noqa: PLR2004  the report, and a mask of status bits
            return WRONG_LENGTH
        if asked[0] != BY_STATUS:
            return SUB_FUNCTION_NOT_SUPPORTED
        state = self._state()
        codes = [(code, CONFIRMED) for code in stored(state)]
        codes += [(code, PENDING) for code in pending(state)]
        found = [
            code_bytes(code) + bytes([FAILURE_TYPE, bits])
            for code, bits in codes
            if bits & asked[1]
        ]
        return bytes([BY_STATUS, CONFIRMED | PENDING]) + b"".join(found)

    def _data_by_identifier(self, asked: bytes) -> bytes | int:
        if len(asked) != 2:  # noqa: PLR2004  one identifier
            return WRONG_LENGTH
        found = self._data.get(int.from_bytes(asked, "big"))
        return OUT_OF_RANGE if found is None else asked + found

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
