"""Losses are counted by reason, and told once."""

import threading

from agent.events import InputLost
from agent.eventstore.losses import TELL_NS, Losses


def test_losses_are_told_once_by_their_reason() -> None:
    losses = Losses()
    for reason in ("full", "slow", "full"):
        losses.add(reason, 5)

    assert losses.take() == [InputLost("events", 2, "full"), InputLost("events", 1, "slow")]
    assert losses.take() == []
    assert losses.total == 3


def test_a_loss_waits_a_minute_at_most() -> None:
    losses = Losses()
    assert not losses.due(10 * TELL_NS)
    losses.add("full", 7)
    losses.add("full", 7 + TELL_NS)
    assert not losses.due(6 + TELL_NS)
    assert losses.due(7 + TELL_NS)
    losses.take()
    assert not losses.due(10 * TELL_NS)


def test_threads_that_lose_at_once_are_all_counted() -> None:
    losses, told = Losses(), []

    def lose() -> None:
        for _ in range(2_000):
            losses.add("full", 0)

    threads = [threading.Thread(target=lose) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        told += losses.take()
    for thread in threads:
        thread.join()
    told += losses.take()

    assert (losses.total, sum(event.count for event in told)) == (8_000, 8_000)
