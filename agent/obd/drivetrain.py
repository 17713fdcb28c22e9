"""The electric drive of the simulated car: from motion to torque, power, voltage and charge.

A car of 1,750 kg with one motor and a battery of 64 kWh; the figures are of that size of car,
not of one model. Power is positive while the battery discharges.
"""

import math
from typing import Final

MASS_KG: Final = 1750.0
GRAVITY_MPS2: Final = 9.80665
ROLLING: Final = 0.010
DRAG_AREA_M2: Final = 0.65
AIR_KG_PER_M3: Final = 1.21
WHEEL_RADIUS_M: Final = 0.33
REDUCTION: Final = 7.98
DRIVING_EFFICIENCY: Final = 0.90
RECUPERATION_EFFICIENCY: Final = 0.65
STRONGEST_RECUPERATION_N: Final = 3500.0
"""Braking beyond this force is done by friction."""
AUXILIARIES_W: Final = 600.0
CAPACITY_J: Final = 64_000.0 * 3600.0
FIRST_CHARGE: Final = 0.80
LAST_CHARGE: Final = 0.02
RESISTANCE_OHM: Final = 0.08
EMPTY_V: Final = 320.0
FULL_V: Final = 400.0


def motor_force_n(speed_mps: float, acceleration_mps2: float) -> float:
    """At the wheels; negative while the motor recuperates."""
    if speed_mps <= 0.0:
        return 0.0
    drag = 0.5 * AIR_KG_PER_M3 * DRAG_AREA_M2 * speed_mps**2
    force = MASS_KG * (acceleration_mps2 + ROLLING * GRAVITY_MPS2) + drag
    return max(force, -STRONGEST_RECUPERATION_N)


def motor_torque_nm(speed_mps: float, acceleration_mps2: float) -> float:
    return motor_force_n(speed_mps, acceleration_mps2) * WHEEL_RADIUS_M / REDUCTION


def motor_speed_rps(speed_mps: float) -> float:
    """Revolutions per second."""
    return speed_mps / (2.0 * math.pi * WHEEL_RADIUS_M) * REDUCTION


def battery_power_w(speed_mps: float, acceleration_mps2: float) -> float:
    mechanical = motor_force_n(speed_mps, acceleration_mps2) * speed_mps
    factor = 1.0 / DRIVING_EFFICIENCY if mechanical > 0.0 else RECUPERATION_EFFICIENCY
    return mechanical * factor + AUXILIARIES_W


def charge_after(energy_j: float) -> float:
    """Share of the battery that is left, 0..1; it is not used below LAST_CHARGE."""
    return max(LAST_CHARGE, FIRST_CHARGE - energy_j / CAPACITY_J)


def battery_voltage_v(charge: float, power_w: float) -> float:
    """At the terminals, so that voltage times current is the power."""
    open_circuit = EMPTY_V + (FULL_V - EMPTY_V) * charge
    return (open_circuit + math.sqrt(open_circuit**2 - 4.0 * RESISTANCE_OHM * power_w)) / 2.0
