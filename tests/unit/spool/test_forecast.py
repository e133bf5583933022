"""Tests the prediction of when the spool is full."""

from bridge.spool.budget import Shares
from bridge.spool.forecast import Forecast, TimeToFull


def shares(uses: dict[str, int], limit: int = 1_000_000) -> Shares:
    return Shares(limit, uses, frozenset(), pause=False)


def predict(forecast: Forecast, now: float, found: Shares) -> TimeToFull:
    return forecast.predict(now, found.uses, found)


def recorded(seconds: int, **growth: int) -> Forecast:
    """Returns a forecast after some seconds in which intakes grow by so many bytes a second."""
    forecast = Forecast()
    for second in range(seconds + 1):
        forecast.note(second, {name: second * each for name, each in growth.items()})
    return forecast


def test_growth_gives_the_seconds_until_the_limit() -> None:
    assert predict(Forecast(), 0, shares({"a": 0})) == TimeToFull()
    found = predict(recorded(30, a=10), 30, shares({"a": 300}, 1000))
    assert (found.spool, found.intakes) == (70, {"a": 70})


def test_a_spool_that_does_not_grow_has_no_prediction() -> None:
    assert predict(recorded(30, a=10), 30, shares({"a": 0}, 1000)) == TimeToFull()
    assert predict(recorded(30, a=0), 30, shares({"a": 0}, 1000)) == TimeToFull()


def test_outage_after_a_quiet_time_is_predicted_from_its_begin() -> None:
    forecast = Forecast()
    for second in range(600):
        forecast.note(second, {"a": 0 if second < 540 else (second - 540) * 100})
    seconds = predict(forecast, 600, shares({"a": 6000}, 106_000)).spool
    assert seconds is not None and abs(seconds - 1000) < 200


def test_packing_that_makes_the_backlog_smaller_does_not_hide_its_growth() -> None:
    forecast = Forecast()
    for second in range(600):
        # It grows by 100 bytes a second, and each minute 5,000 of them are compressed away.
        forecast.note(second, {"a": second * 100 - second // 60 * 5000})
    assert predict(forecast, 600, shares({"a": 10_000})).spool is not None


def test_intake_has_room_beyond_its_share_only_while_others_do_not_need_it() -> None:
    uses = {"a": 30_000, "b": 0, "c": 0, "d": 0}
    alone = predict(recorded(30, a=1000, b=0, c=0, d=0), 30, shares(uses, 100_000))
    assert (alone.spool, alone.intakes) == (70, {"a": 70})
    uses = {"a": 30_000, "b": 15_000, "c": 15_000, "d": 15_000}
    together = predict(recorded(30, a=1000, b=500, c=500, d=500), 30, shares(uses, 100_000))
    assert together.spool == 10
    assert together.intakes["a"] == 10, "it borrows, so it is full with the spool"
    assert together.intakes["b"] == 20, "it has its share"
