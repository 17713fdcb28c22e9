"""Where the simulated car is at any instant: one drive through a town and along a motorway.

Speed and direction are ramps with closed forms, so acceleration and yaw rate are their exact
derivatives and distance is their exact integral. Half a lap turns the car by 180 degrees: a whole
lap ends where it began, and the drive can be asked for at any time.

The point that is followed is the middle of the rear axle. Axes and signs: ISO 8855.
"""

import math
from itertools import accumulate
from typing import Final

import msgspec

from agent.obd import drivetrain
from agent.obd.ramp import Ramps

HALF_LAP_S: Final = 120.0
START_LATITUDE_DEG: Final = 37.4000
START_LONGITUDE_DEG: Final = 127.1000
START_HEADING_DEG: Final = 30.0
START_ELEVATION_M: Final = 62.0
START_ODOMETER_M: Final = 18_204_300.0
WHEELBASE_M: Final = 2.70
TRACK_M: Final = 1.56
STEERING_RATIO: Final = 14.2
"""Steering wheel angle over road wheel angle."""

SPEED_CHANGES: Final = (  # start s, duration s, change m/s
    (1.0, 7.0, 13.5),
    (12.0, 2.6, -9.0),  # the hard brake: 6.9 m/s2 at its peak, above 0.4 g for 1.2 s
    (21.0, 6.0, 9.0),
    (30.0, 8.0, -13.5),
    (42.0, 8.0, 12.0),
    (51.0, 5.0, -7.0),
    (63.0, 17.0, 23.0),  # to the motorway
    (95.0, 12.0, -22.0),  # and off it
    (113.0, 5.0, -6.0),
)
TURNS: Final = (  # start s, duration s, change of direction in degrees, left positive
    (8.5, 3.0, 10.0),
    (15.0, 6.0, 90.0),
    (56.0, 6.0, -90.0),
    (66.0, 10.0, 60.0),
    (84.0, 10.0, 20.0),
    (107.0, 6.0, 90.0),
)
TURN_SIGNAL_LEAD_S: Final = 3.0
TURN_SIGNAL_FROM_DEG: Final = 60.0
PARKED_UNTIL_S: Final = 0.5
STANDSTILL_MPS: Final = 0.01
COASTING_MPS2: Final = -1.0
"""Stronger deceleration needs the pedal."""
ABS_FROM_MPS2: Final = -6.0

_KNOT_S: Final = 0.05


class CarState(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the simulated car knows at one instant. SI; angles rad, geographic ones degrees.

    steering_rad:        at the steering wheel; steering_rate_rps is its rate
    wheel_speeds_mps:    front left, front right, rear left, rear right
    distance_m:          since the start of the drive
    gear:                0 neutral, 1 park, 2 forward, 3 reverse (SAE J2735, DE_TransmissionState)
    motor_rps:           revolutions per second; torque_nm is negative while it recuperates
    accelerator, charge: shares 0..1
    current_a, power_w:  of the battery, positive while it discharges
    """

    t_s: float
    speed_mps: float
    acceleration_mps2: float
    lateral_mps2: float
    yaw_rps: float
    steering_rad: float
    steering_rate_rps: float
    heading_deg: float
    latitude_deg: float
    longitude_deg: float
    elevation_m: float
    wheel_speeds_mps: tuple[float, float, float, float]
    distance_m: float
    odometer_m: float
    gear: int
    parking_brake: bool
    brake_pedal: bool
    brake_pa: float
    abs_active: bool
    left_signal: bool
    right_signal: bool
    accelerator: float
    motor_rps: float
    torque_nm: float
    charge: float
    voltage_v: float
    current_a: float
    power_w: float
    supply_v: float
    battery_k: float
    coolant_k: float
    ambient_k: float
    air_pa: float

    def __repr__(self) -> str:
        """Without the position, which no log line may carry."""
        return f"CarState(t_s={self.t_s:.3f}, speed_mps={self.speed_mps:.2f})"


class Route:
    """`at(t_s)` for any t_s from 0 on; the drive repeats after two half laps."""

    def __init__(self) -> None:
        self._speed = Ramps(SPEED_CHANGES)
        self._course = Ramps(tuple((t, d, math.radians(turn)) for t, d, turn in TURNS))
        self._half_lap_m = self._speed.integral(HALF_LAP_S)
        self._per_degree = _metres_per_degree(START_LATITUDE_DEG, START_ELEVATION_M)
        knots = [index * _KNOT_S for index in range(round(HALF_LAP_S / _KNOT_S))]
        moves = [self._moved(knot, knot + _KNOT_S) for knot in knots]
        self._north = list(accumulate((north for north, _ in moves), initial=0.0))
        self._east = list(accumulate((east for _, east in moves), initial=0.0))
        self._energy = list(accumulate((self._power(t) * _KNOT_S for t in knots), initial=0.0))

    def at(self, t_s: float) -> CarState:
        """Raises ValueError before the start."""
        if not 0.0 <= t_s < math.inf:
            raise ValueError(f"the drive begins at 0 s and has no instant {t_s} s")
        half_laps, tau = divmod(t_s, HALF_LAP_S)
        back = bool(half_laps % 2.0)
        speed, acceleration = max(0.0, self._speed.value(tau)), self._speed.rate(tau)
        yaw = self._course.rate(tau)
        distance = half_laps * self._half_lap_m + self._speed.integral(tau)
        latitude, longitude = self._position(tau, back=back)
        power = drivetrain.battery_power_w(speed, acceleration)
        charge = drivetrain.charge_after(half_laps * self._energy[-1] + self._used(tau))
        voltage = drivetrain.battery_voltage_v(charge, power)
        parked = t_s < PARKED_UNTIL_S
        braking = speed < STANDSTILL_MPS or acceleration < COASTING_MPS2
        return CarState(
            t_s=t_s,
            speed_mps=speed,
            acceleration_mps2=acceleration,
            lateral_mps2=speed * yaw,
            yaw_rps=yaw,
            steering_rad=self._steering(tau),
            steering_rate_rps=(self._steering(tau + 0.005) - self._steering(tau - 0.005)) / 0.01,
            heading_deg=self._heading(tau, back=back),
            latitude_deg=latitude,
            longitude_deg=longitude,
            elevation_m=self._elevation(tau),
            wheel_speeds_mps=wheel_speeds(speed, yaw),
            distance_m=distance,
            odometer_m=START_ODOMETER_M + distance,
            gear=1 if parked else 2,
            parking_brake=parked,
            brake_pedal=braking,
            brake_pa=_brake_pressure(acceleration) if braking else 0.0,
            abs_active=acceleration < ABS_FROM_MPS2,
            left_signal=_signals(tau, left=True),
            right_signal=_signals(tau, left=False),
            accelerator=0.0 if braking else min(1.0, max(0.0, (acceleration + 0.4) / 5.0)),
            motor_rps=drivetrain.motor_speed_rps(speed),
            torque_nm=drivetrain.motor_torque_nm(speed, acceleration),
            charge=charge,
            voltage_v=voltage,
            current_a=power / voltage,
            power_w=power,
            supply_v=14.2,
            battery_k=_warming(297.15, 6.0, t_s / 1800.0),
            coolant_k=_warming(293.15, 22.0, t_s / 600.0),
            ambient_k=291.15,
            air_pa=100_600.0,
        )

    def _steering(self, tau: float) -> float:
        """By the bicycle model: tan(road wheel angle) = wheelbase * yaw rate / speed."""
        speed = self._speed.value(tau)
        if speed < STANDSTILL_MPS:
            return 0.0
        return STEERING_RATIO * math.atan(WHEELBASE_M * self._course.rate(tau) / speed)

    def _heading(self, tau: float, *, back: bool) -> float:
        turned = math.degrees(self._course.value(tau)) + 180.0 * back
        return (START_HEADING_DEG - turned) % 360.0

    def _elevation(self, tau: float) -> float:
        share = self._speed.integral(tau) / self._half_lap_m
        return START_ELEVATION_M + 4.0 * (1.0 - math.cos(2.0 * math.pi * share))

    def _position(self, tau: float, *, back: bool) -> tuple[float, float]:
        """Latitude and longitude; the second half lap is the first, seen from its far end."""
        knot = self._knot(tau)
        north, east = self._moved(knot * _KNOT_S, tau)
        north, east = self._north[knot] + north, self._east[knot] + east
        if back:
            north, east = self._north[-1] - north, self._east[-1] - east
        per_north, per_east = self._per_degree
        return START_LATITUDE_DEG + north / per_north, START_LONGITUDE_DEG + east / per_east

    def _moved(self, begin_s: float, end_s: float) -> tuple[float, float]:
        """Metres north and east between two near instants of the first half lap (Simpson)."""
        north = east = 0.0
        for tau, weight in ((begin_s, 1.0), ((begin_s + end_s) / 2.0, 4.0), (end_s, 1.0)):
            step = weight / 6.0 * self._speed.value(tau) * (end_s - begin_s)
            course = math.radians(START_HEADING_DEG) - self._course.value(tau)
            north += step * math.cos(course)
            east += step * math.sin(course)
        return north, east

    def _knot(self, tau: float) -> int:
        return min(int(tau / _KNOT_S), len(self._energy) - 2)

    def _power(self, knot_s: float) -> float:
        middle = knot_s + _KNOT_S / 2.0
        return drivetrain.battery_power_w(self._speed.value(middle), self._speed.rate(middle))

    def _used(self, tau: float) -> float:
        """Joules taken from the battery since the half lap began."""
        knot = self._knot(tau)
        share = tau / _KNOT_S - knot
        return self._energy[knot] + (self._energy[knot + 1] - self._energy[knot]) * share


def wheel_speeds(speed_mps: float, yaw_rps: float) -> tuple[float, float, float, float]:
    """Front left, front right, rear left, rear right; each wheel rolls about the turn's centre."""
    left = speed_mps - yaw_rps * TRACK_M / 2.0
    right = speed_mps + yaw_rps * TRACK_M / 2.0
    aside = yaw_rps * WHEELBASE_M
    return math.hypot(left, aside), math.hypot(right, aside), left, right


def _metres_per_degree(latitude_deg: float, elevation_m: float) -> tuple[float, float]:
    """Northward and eastward, by the radii of curvature of WGS-84 (NGA.STND.0036, table 3.1)."""
    a, e2 = 6_378_137.0, 0.006_694_379_990_14
    sine = math.sin(math.radians(latitude_deg))
    w = math.sqrt(1.0 - e2 * sine * sine)
    meridian, prime_vertical = a * (1.0 - e2) / w**3, a / w
    parallel = (prime_vertical + elevation_m) * math.cos(math.radians(latitude_deg))
    return math.radians(meridian + elevation_m), math.radians(parallel)


def _signals(tau: float, *, left: bool) -> bool:
    """Whether a turn to that side, sharp enough to be signalled, is near or under way."""
    return any(
        start - TURN_SIGNAL_LEAD_S <= tau < start + duration
        for start, duration, turn in TURNS
        if abs(turn) > TURN_SIGNAL_FROM_DEG and (turn > 0.0) is left
    )


def _brake_pressure(acceleration_mps2: float) -> float:
    """Pascal in the main cylinder: what the pedal adds to recuperation, or a hold."""
    return max(1.0e6, (COASTING_MPS2 - acceleration_mps2) * 1.2e6)


def _warming(from_k: float, by_k: float, time_constants: float) -> float:
    return from_k + by_k * (1.0 - math.exp(-time_constants))
