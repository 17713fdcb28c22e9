from agent.obd.elmmanner import ALIKE, Manner
from agent.obd.elmtext import Line

FULL = bytes.fromhex("064100BE3FA81300")
PADS = Line("7E8", FULL, counted=True)
PLAIN = Line("7E9", FULL[:7], counted=True)


def met(*lines: Line) -> Manner:
    manner = Manner()
    for _ in range(ALIKE):
        manner.meet(lines)
    return manner


def test_it_is_known_when_every_line_came_often_enough() -> None:
    manner = Manner()
    for _ in range(ALIKE - 1):
        manner.meet([PADS, PLAIN])
        assert not manner.known
    manner.meet([PADS, PLAIN])
    assert manner.known
    assert manner.padded("7E8")
    assert not manner.padded("7E9")


def test_a_damaged_line_is_not_learned_from() -> None:
    manner = Manner()
    for lost in range(1, 1 + ALIKE):
        manner.meet([Line("7E8", FULL[:-lost], counted=False), PLAIN])
        assert not manner.known
        manner.meet([PADS, PLAIN])
    assert manner.padded("7E8")


def test_silence_teaches_nothing() -> None:
    assert not met().known


def test_a_line_of_another_shape_or_ecu_does_not_fit() -> None:
    manner = met(PADS, PLAIN)
    assert manner.fits(PADS)
    assert manner.fits(PLAIN)
    assert not manner.fits(Line("7E8", FULL, counted=False))
    assert not manner.fits(Line("7E8", FULL[:7], counted=True))
    assert not manner.fits(Line("7EA", FULL, counted=True))


def test_an_ecu_that_does_not_say_which_pids_it_has_is_looked_for_once() -> None:
    manner = met(PADS)
    for _ in range(ALIKE):
        manner.fits(PLAIN)
    unknown = not manner.known
    for _ in range(ALIKE):
        manner.meet([PADS])
    for _ in range(2 * ALIKE):
        assert not manner.fits(PLAIN)
    assert unknown
    assert manner.known


def test_an_ecu_that_woke_up_later_is_met_before_anything_else() -> None:
    manner = met(PADS)
    for _ in range(ALIKE):
        assert manner.known
        manner.fits(PLAIN)
    unknown = not manner.known
    for _ in range(ALIKE):
        manner.meet([PADS, PLAIN])
    assert unknown
    assert manner.known
    assert manner.fits(PLAIN)
