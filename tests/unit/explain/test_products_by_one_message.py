"""Tests products of which one kind of message is enough."""

import pytest

from bridge.explain.products import identify
from tests.unit.syslog.samples.single_messages import MESSAGES


@pytest.mark.parametrize(("product", "message"), MESSAGES, ids=str)
@pytest.mark.parametrize("count", [20, 3])
def test_product_by_one_message(product: str, message: str, count: int) -> None:
    assert identify([message.encode()] * count).product == product
