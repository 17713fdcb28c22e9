"""What is odd about the time stamps of a recording.

The order of frames is that of the recording, whatever their times say: a stamp is never a reason
to sort or to leave a frame out, so what is odd about it is counted and shown.
"""

from dataclasses import dataclass

from agent.clock import SECOND

GAP_NS = 10 * SECOND
"""Our choice: a longer pause is one between two drives, or of a recorder that slept."""


@dataclass(slots=True)
class Stamps:
    """
    frames:  how many were looked at
    back:    frames that are earlier than the one before them; back_ns: by how much at the most
    gaps:    pauses of more than 10 s; gap_ns: the longest of them
    whole:   whether every time is a whole second
    """

    frames: int = 0
    back: int = 0
    back_ns: int = 0
    gaps: int = 0
    gap_ns: int = 0
    whole: bool = True
    _last_ns: int = 0

    def look(self, t_ns: int) -> None:
        if not 0 <= t_ns - self._last_ns <= GAP_NS and self.frames:
            self._odd(t_ns - self._last_ns)
        if self.whole and t_ns % SECOND:
            self.whole = False
        self.frames += 1
        self._last_ns = t_ns

    def _odd(self, step_ns: int) -> None:
        if step_ns < 0:
            self.back += 1
            self.back_ns = max(self.back_ns, -step_ns)
        else:
            self.gaps += 1
            self.gap_ns = max(self.gap_ns, step_ns)
