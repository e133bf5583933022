"""Tests that the ledger balances after any moves."""

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.accounting import Ledger
from tests.harness.examples import examples

INTAKES = st.sampled_from(["a", "b"])
ANY = st.none() | INTAKES
COUNT = st.integers(0, 1000)
REASON = st.sampled_from(["full", "expired"])
MOVES = {
    "receive_spooled": (INTAKES, COUNT),
    "receive_quarantined": (ANY, COUNT),
    "receive_filtered": (COUNT,),
    "receive_dropped": (ANY, COUNT, REASON),
    "recover_spooled": (INTAKES, COUNT),
    "recover_quarantined": (ANY, COUNT),
    "deliver": (INTAKES, COUNT),
    "quarantine": (INTAKES, COUNT),
    "drop_spooled": (INTAKES, COUNT, REASON),
    "drop_quarantined": (ANY, COUNT, REASON),
    "take_over": (INTAKES, COUNT),
    "hand_over": (INTAKES, COUNT),
}
MOVE = st.sampled_from(list(MOVES)).flatmap(lambda name: st.tuples(st.just(name), *MOVES[name]))


@settings(max_examples=examples(100, long=300), deadline=None)
@given(st.lists(MOVE, max_size=30))
def test_ledger_balances_after_any_moves(moves):
    ledger = Ledger()
    for name, *arguments in moves:
        getattr(ledger, name)(*arguments)
        assert ledger.imbalance == 0
    columns = ledger.columns()
    left = sum(columns[name] for name in ("received", "recovered", "replayed", "taken_over"))
    right = sum(
        columns[name] for name in ("delivered", "spooled", "buffered", "quarantined", "filtered", "handed_over")
    )
    assert left == right + sum(columns["dropped"].values())
    assert columns["received"] == sum(
        arguments[-1 - (name == "receive_dropped")] for name, *arguments in moves if name.startswith("receive")
    )


def test_each_move_changes_its_columns():
    ledger = Ledger()
    ledger.receive_spooled("a", 10)
    ledger.receive_quarantined(None, 4)
    ledger.receive_filtered(3)
    ledger.receive_dropped("b", 2, "full")
    ledger.recover_spooled("a", 5)
    ledger.recover_quarantined("b", 1)
    ledger.deliver("a", 8)
    ledger.quarantine("a", 2)
    ledger.drop_spooled("a", 1, "full")
    ledger.drop_quarantined(None, 3, "expired")
    ledger.take_over("a", 9)
    ledger.hand_over("a", 7)
    assert ledger.columns() == {
        "received": 19, "recovered": 6, "replayed": 0, "taken_over": 9, "delivered": 8, "spooled": 6, "buffered": 0,
        "quarantined": 4, "filtered": 3, "handed_over": 7, "dropped": {"full": 3, "expired": 3},
    }  # fmt: skip
    assert ledger.of("a").spooled == 6


def test_opposite_imbalances_of_two_intakes_do_not_cancel():
    ledger = Ledger()
    ledger.of("a").received += 1
    ledger.of("b").delivered += 1
    assert ledger.imbalance == 2
