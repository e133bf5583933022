"""Tests appliances that also send the messages of their Unix programs."""

from bridge.explain.products import identify

PROGRAMS = [b"sshd[16]: Accepted publickey for root from 192.0.2.9 port 5 ssh2", b"CRON[13]: (root) CMD (x)",
            b"systemd[1]: Started Session 7.", b"sendmail[4]: 3x: to=<anna@example.org>, stat=Sent"]  # fmt: skip


def frames(host: bytes, texts: list[bytes]) -> list[bytes]:
    return [b"<30>Nov 23 07:24:00 " + host + b" " + text for text in texts]


def test_most_messages_are_of_programs() -> None:
    own = [b"filter_instance1[131]: rprt s=3xab mod=session cmd=disconnect"]
    found = identify(frames(b"pps-3", own * 4 + PROGRAMS * 2))
    assert (found.product, found.matched) == ("Proofpoint Protection Server", 4)
    assert found.reason.endswith("8 of programs that run on it")


def test_as_many_messages_of_one_program() -> None:
    own = [b"filter_instance1[131]: rprt s=3xab mod=session cmd=disconnect"]
    assert identify(frames(b"pps-3", own * 10 + PROGRAMS[3:] * 10)).product == "Proofpoint Protection Server"


def test_programs_of_another_host_are_a_mix() -> None:
    own = [b"filter_instance1[131]: rprt s=3xab mod=session cmd=disconnect"]
    assert identify(frames(b"pps-3", own * 4) + frames(b"web-3", PROGRAMS * 2)).product is None


def test_few_messages_of_the_appliance_do_not_prove_it() -> None:
    own = [b"filter_instance1[131]: rprt s=3xab mod=session cmd=disconnect"]
    assert identify(frames(b"pps-3", own * 2 + PROGRAMS * 4)).product is None


def test_queries_that_several_products_send_are_no_proof() -> None:
    """Infoblox runs BIND: only what BIND does not send counts for it."""
    query = [b"named[1]: client @0x7f 192.0.2.7#511 (example.org): query: example.org IN A + (192.0.2.53)"]
    assert identify(frames(b"ns-3", query * 10 + PROGRAMS[:1] * 10)).product is None
