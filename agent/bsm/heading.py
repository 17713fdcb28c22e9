"""The heading of the vehicle's front, out of the course over ground that GNSS gives.

The course of a car that stands is noise, so it is frozen below 1.11 m/s and followed again
above 1.39 m/s (4 and 5 km/h, the latch of SAE J2945/1 on-board units). A car that reverses
moves away from its front: the course is turned round before it is kept.
"""

from typing import Final

import msgspec

FREEZE_MPS: Final = 1.11
RELEASE_MPS: Final = 1.39


class Heading(msgspec.Struct, frozen=True):
    """deg: of the front, clockwise from true north; None until the car has moved."""

    deg: float | None = None
    held: bool = False

    def follow(
        self, course_deg: float | None, speed_mps: float | None, *, reversing: bool
    ) -> "Heading":
        """The heading after one fix; without a speed, the course is believed."""
        limit = RELEASE_MPS if self.held else FREEZE_MPS
        if speed_mps is not None and speed_mps < limit:
            return Heading(self.deg, held=True)
        if course_deg is None:
            return Heading()
        return Heading((course_deg + 180.0 * reversing) % 360.0)
