"""Tests for which intakes ``small_batches: array`` applies."""

import pytest

from bridge.config import ConfigurationError, parse_text
from bridge.deliver.from_config import target

CONFIGURATION = """
collector: {region: FRA1, small_batches: %s}
listeners: [{udp: "*:514"}]
intakes:
  a: {intake_key: a-key-of-sixteen-letters, %s}
unrouted: {intake: a}
spool: {directory: spool}
"""


def joined_url(small_batches: str, options: str = "") -> str | None:
    config = parse_text(CONFIGURATION % (small_batches, options), "bridge.yaml")
    joined = target(config.intakes["a"]).joined
    return None if joined is None else joined.url


def test_small_batches_go_to_the_array_endpoint_of_the_same_base_url() -> None:
    assert joined_url("array") == "https://intake.sekoia.io/array"
    assert joined_url("array", "region: FRA2") == "https://intake.fra2.sekoia.io/api/v1/intake-http/array"


def test_each_request_carries_one_intake_by_default() -> None:
    assert joined_url("plain") is None


@pytest.mark.parametrize("options", ["endpoint: /jsons", "endpoint: /array", "encoding: bytes"])
def test_other_endpoints_and_raw_bytes_are_sent_alone(options: str) -> None:
    assert joined_url("array", options) is None


def test_other_values_are_errors() -> None:
    with pytest.raises(ConfigurationError, match="small_batches"):
        joined_url("json")
