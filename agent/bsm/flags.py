"""Lights and event flags of the message, out of the car's switches.

When a flag is set: SAE J2735, DE_VehicleEventFlags, and how long public units hold it. A flag
that is not set says nothing: most cars tell only some of these things.
"""

from typing import Final

from agent.bsm.align import BODY_NS, on_for_ns, switch
from agent.bsm.state import LIGHTS, WIPERS, VehicleState
from agent.clock import MS, SECOND

ENGAGED_NS: Final = 100 * MS
"""How long a controller intervenes before it is an event."""
CHANGED_NS: Final = 2 * SECOND
"""How long a change of lights or wipers is told."""

INTERVENTIONS: Final = {
    "abs.active": "eventABSactivated",
    "traction.active": "eventTractionControlLoss",
    "stability.active": "eventStabilityControlactivated",
}
CONDITIONS: Final = {
    "lights.hazard": "eventHazardLights",
    "tyre.flat": "eventFlatTire",
    "airbag.deployed": "eventAirBagDeployment",
}
CHANGES: Final = {
    **dict.fromkeys(LIGHTS, "eventLightsChanged"),
    **dict.fromkeys(WIPERS, "eventWipersChanged"),
}


def lights_at(state: VehicleState, t_ns: int) -> frozenset[str] | None:
    """Names of DE_ExteriorLights that are on; None when not one is known."""
    known = {flag: switch(state, name, t_ns, BODY_NS) for name, flag in LIGHTS.items()}
    if all(lit is None for lit in known.values()):
        return None
    return frozenset(flag for flag, lit in known.items() if lit)


def events_at(state: VehicleState, t_ns: int) -> frozenset[str]:
    """Names of DE_VehicleEventFlags that the car's switches set."""
    flags = [
        flag
        for name, flag in INTERVENTIONS.items()
        if on_for_ns(state.track(name, t_ns)[1], t_ns) >= ENGAGED_NS
    ]
    flags += [flag for name, flag in CONDITIONS.items() if switch(state, name, t_ns, BODY_NS)]
    flags += [flag for name, flag in CHANGES.items() if _changed(state, name, t_ns)]
    return frozenset(flags)


def _changed(state: VehicleState, name: str, t_ns: int) -> bool:
    """Within the last two seconds, and at `t_ns` already."""
    changed_ns = state.changed_ns(name)
    return changed_ns is not None and 0 <= t_ns - changed_ns <= CHANGED_NS
