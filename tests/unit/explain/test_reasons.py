"""Tests why a route does not match: senders without an address."""

from bridge.config import parse_text
from bridge.explain.reasons import passed_over
from bridge.routing import Facts

CONFIG = parse_text(
    "collector: {region: FRA1}\nlisteners: [{name: local, unix_datagram: /run/x/log}]\n"
    f"intakes: {{fw: {{intake_key: {'k' * 16}}}}}\nspool: {{directory: x}}\n"
    "routes: [{name: a, intake: fw, source: 192.0.2.7}]\n"
)


def test_sender_on_a_unix_socket_has_no_address():
    found = passed_over(CONFIG, listener="local", address=None, client=(), facts=Facts(b"", b"", b"", b""), route="")
    assert list(found) == [("a", "a Unix socket is not in its source: 192.0.2.7/32")]
