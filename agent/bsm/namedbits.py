"""Bit strings whose bits have names: names that are set <-> (octets, number of bits)."""

from collections.abc import Iterable
from typing import Final

from agent.errors import MalformedInputError

Bits = tuple[bytes, int]


class NamedBits:
    """
    order: names from bit 0, which is the first on the wire
    size:  bits that are always sent; more follow only where a later one is set
    """

    def __init__(self, order: tuple[str, ...], size: int) -> None:
        self.order: Final = order
        self._size = size
        self._place = {name: place for place, name in enumerate(order)}
        self._none = (bytes((size + 7) // 8), size)

    def encode(self, names: Iterable[str]) -> Bits:
        """Raises MalformedInputError for a name that no bit has."""
        value, last = 0, self._size - 1
        for name in names:
            place = self._place.get(name)
            if place is None:
                raise MalformedInputError(f"no bit is called {name!r}")
            value |= 1 << (63 - place)
            last = max(last, place)
        if not value:
            return self._none
        return (value >> 8 * (7 - last // 8)).to_bytes(last // 8 + 1), last + 1

    def decode(self, bits: Bits) -> frozenset[str]:
        """Bits beyond the names are left out: a receiver cannot read them."""
        octets, count = bits
        value = int.from_bytes(octets) >> (8 * len(octets) - count)
        if not value:
            return frozenset()
        names = enumerate(self.order[:count])
        return frozenset(name for place, name in names if value >> (count - 1 - place) & 1)


EVENTS: Final = NamedBits(
    (
        "eventHazardLights",
        "eventStopLineViolation",
        "eventABSactivated",
        "eventTractionControlLoss",
        "eventStabilityControlactivated",
        "eventHazardousMaterials",
        "eventReserved1",
        "eventHardBraking",
        "eventLightsChanged",
        "eventWipersChanged",
        "eventFlatTire",
        "eventDisabledVehicle",
        "eventAirBagDeployment",
        "eventJackKnife",
    ),
    13,
)
"""SAE J2735, DE_VehicleEventFlags; the last one came in 2024, as an extension of the size."""

LIGHTS: Final = NamedBits(
    (
        "lowBeamHeadlightsOn",
        "highBeamHeadlightsOn",
        "leftTurnSignalOn",
        "rightTurnSignalOn",
        "hazardSignalOn",
        "automaticLightControlOn",
        "daytimeRunningLightsOn",
        "fogLightOn",
        "parkingLightsOn",
    ),
    9,
)
"""SAE J2735, DE_ExteriorLights."""

WHEELS: Final = NamedBits(("unavailable", "leftFront", "leftRear", "rightFront", "rightRear"), 5)
"""SAE J2735, DE_BrakeAppliedStatus."""
