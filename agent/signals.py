"""One quantity of the car, sampled once: what every driver hands inward.

Names are dotted paths from docs/signals.md ("speed.wheel.front_left"); a DBC signal that
no profile maps is called "can.<message>.<signal>". Values are SI: m, m/s, m/s2, rad, rad/s,
K, Pa, V, A, W, J, 1/s; shares are 0..1; switches and states are whole numbers.
Axes and signs are those of ISO 8855: x forward, y to the left, z up, so a left turn has
positive yaw rate, steering angle and lateral acceleration.
"""

import msgspec


class Signal(msgspec.Struct, frozen=True, gc=False):
    """
    name:   see above
    value:  in the SI unit of that quantity; never a raw count
    t_ns:   UTC nanoseconds when the sample reached us
    origin: the source it came by: "can0", "obd", "gnss"
    """

    name: str
    value: float
    t_ns: int
    origin: str
