"""Tests routes: single and combined conditions, order, exceptions, and profiles per peer."""

import re
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, timedelta, timezone
from fnmatch import fnmatchcase
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.routing import Facts, Profile, Router, TextRules
from bridge.routing.conditions import Conditions
from bridge.syslog.columns import FIELDS
from bridge.syslog.frames import block_of
from bridge.syslog.reader import read_columns
from bridge.util.expression import Expression
from tests.harness.examples import examples

EAST, WEST = timezone(timedelta(hours=5)), timezone(timedelta(hours=-7))


@dataclass(frozen=True)
class Message:
    contains: tuple = ()
    starts_with: tuple = ()
    matches: tuple = ()


@dataclass(frozen=True)
class When:
    source: tuple = ()
    listener: tuple = ()
    client_name: tuple = ()
    hostname: tuple = ()
    app_name: tuple = ()
    procid: tuple = ()
    msgid: tuple = ()
    facility: tuple = ()
    min_severity: int | None = None
    max_severity: int | None = None
    message: Message | None = None


@dataclass(frozen=True)
class Route(When):
    name: str = "r"
    intake: str | None = "a"
    except_: When | None = None
    payload: str | None = None
    timestamp: str | None = None
    timezone: object = None
    mirror_to: tuple = ()


@dataclass(frozen=True)
class Intake:
    payload: str | None = None
    encoding: str = "auto"
    timestamp: str | None = None
    format: str | None = None
    endpoint: str = "/plain/batch"


@dataclass(frozen=True)
class Source:
    source: tuple
    timezone: object = None
    name: str | None = None
    hostname: tuple = ()
    relay: bool = False
    alert_if_silent_for: object = None
    rate_limit: int | None = None
    detect_gaps: bool = False
    alert_if_rate_below: object = None


@dataclass(frozen=True)
class Unrouted:
    kind: str = "hold"
    intake: str | None = None


LISTENERS = {"udp": None, "tcp": None, "own": "own"}
INTAKES = {"a": Intake(), "b": Intake("line", "latin-1", "received"), "own": Intake("raw")}


def nets(*texts):
    return tuple(ip_network(text) for text in texts)


def router(*routes, sources=(), unrouted=None, **options):
    arguments = {
        "intakes": INTAKES,
        "listeners": LISTENERS,
        "timezone": UTC,
        "unrouted": unrouted or Unrouted(),
        **options,
    }
    return Router(routes=routes, sources=sources, **arguments)


def facts(hostname=b"", app_name=b"", priority=b"", text=b"", **others):
    return Facts(hostname=hostname, app_name=app_name, priority=priority, text=text, **others)


def route_of(compiled, frame=None, *, peer="192.0.2.7", listener="udp"):
    return compiled.profile(listener, ip_address(peer) if peer else None).find(frame or facts()).route


# --- one condition --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "peer", "holds"),
    [
        (("192.0.2.7",), "192.0.2.7", True), (("192.0.2.7",), "192.0.2.8", False), (("192.0.2.0/24",),
        "192.0.2.255", True),
        (("10.0.0.0/8", "192.0.2.0/24"), "192.0.2.1", True), (("10.0.0.0/8", "192.0.2.0/24"), "192.0.3.1", False),
        (("0.0.0.0/0",), "192.0.2.1", True), (("0.0.0.0/0",), "2001:db8::1", False), (("::/0",), "192.0.2.1", False),
        (("2001:db8::/64",), "2001:db8::7", True), (("2001:db8::/64",), "2001:db8:0:1::7", False), (("0.0.0.0/0",),
        None, False),
    ],
)  # fmt: skip
def test_source_condition_matches_networks(source, peer, holds):
    assert (route_of(router(Route(source=nets(*source))), peer=peer) == "r") is holds


def test_listener_condition_matches_names():
    compiled = router(Route(listener=("tcp", "own")))
    assert [route_of(compiled, listener=name) for name in ("udp", "tcp", "own")] == ["unrouted", "r", "r"]


@pytest.mark.parametrize(
    ("glob", "hostname", "holds"),
    [
        ("web-*", b"web-1", True), ("web-*", b"WEB-1.example.org", True), ("WEB-?", b"web-1", True), ("web-?",
        b"web-10", False),
        ("web-1", b"web-1.example.org", True), ("web-1.example.*", b"web-1.example.org", True), ("*.example.org",
        b"a.example.org", True),
        ("*.example.org", b"a.example.com", False), ("web-1", b"db.web-1", False), ("*", b"", False), ("",
        b"", False),
        ("10", b"10.1.2.3", False), ("10.1.*", b"10.1.2.3", True), ("a.c", b"abc", False), ("a[bc]", b"ab", False),
        ("a[bc]", b"a[bc]", True), ("a\\*", b"a\\x", True), ("*", b"\xff\n\0", True), ("*a*b*c", b"xaybzc", True),
        ("*a*b*c", b"xbyazc", False), ("h\u00f6st*", "h\u00f6st1".encode(), True), ("*", b"x" * 5000, False),
    ],
)  # fmt: skip
def test_hostname_glob_matches_full_and_short_name(glob, hostname, holds):
    assert (route_of(router(Route(hostname=(glob,))), facts(hostname=hostname)) == "r") is holds


def test_app_name_is_not_shortened():
    compiled = router(Route(app_name=("sshd", "sudo*")))
    names = {
        name: route_of(compiled, facts(app_name=name)) == "r"
        for name in (b"sshd", b"SSHD", b"sudoedit", b"sshd.x", b"")
    }
    assert names == {b"sshd": True, b"SSHD": True, b"sudoedit": True, b"sshd.x": False, b"": False}


@pytest.mark.parametrize("level", range(8))
def test_min_severity_matches_this_severity_or_worse(level):
    compiled = router(Route(min_severity=level))
    matched = {n for n in range(192) if route_of(compiled, facts(priority=b"%d" % n)) == "r"}
    assert matched == {n for n in range(192) if n % 8 <= level}
    assert route_of(compiled, facts(priority=b"")) == "unrouted"


@pytest.mark.parametrize("level", range(8))
def test_max_severity_matches_this_severity_or_milder(level):
    compiled = router(Route(max_severity=level))
    matched = {n for n in range(192) if route_of(compiled, facts(priority=b"%d" % n)) == "r"}
    assert matched == {n for n in range(192) if n % 8 >= level}
    assert route_of(compiled, facts(priority=b"")) == "unrouted"


def test_facility_and_severities_are_anded():
    compiled = router(Route(facility=(4, 16), min_severity=5, max_severity=3))
    matched = {n for n in range(192) if route_of(compiled, facts(priority=b"%d" % n)) == "r"}
    assert matched == {35, 36, 37, 131, 132, 133}
    assert route_of(compiled, facts(priority=b"")) == "unrouted"
    assert {n for n in range(192) if route_of(router(Route(facility=(0,))), facts(priority=b"%d" % n)) == "r"} == {
        *range(8)
    }


@pytest.mark.parametrize("name", ["procid", "msgid"])
def test_procid_and_msgid_are_globs(name):
    compiled = router(Route(**{name: ("ID4*", "7")}))
    values = {value: route_of(compiled, facts(**{name: value})) == "r" for value in (b"ID47", b"id4", b"7", b"77", b"")}
    assert values == {b"ID47": True, b"id4": True, b"7": True, b"77": False, b"": False}


def test_message_matches_one_of_its_expressions():
    expressions = (Expression("^user \\d+$"), Expression("(?i)denied"), Expression("caf\u00e9"))
    compiled = router(Route(message=Message(matches=expressions)))
    texts = (b"user 12", b"a user 12", b"was DENIED", "caf\u00e9".encode(), b"caf\xe9", b"")
    assert [route_of(compiled, facts(text=text)) == "r" for text in texts] == [True, False, True, True, False, False]
    both = router(Route(message=Message(contains=("a",), matches=(Expression("b"),))))
    assert [route_of(both, facts(text=text)) == "r" for text in (b"ab", b"a", b"b")] == [True, False, False]


def test_message_that_exceeds_the_match_limit_does_not_match_and_is_counted():
    routes = (
        Route(name="slow", message=Message(matches=(Expression("(a+)+$"), Expression("z")))),
        Route(name="except", except_=When(message=Message(matches=(Expression("(a+)+$"),)))),
    )
    exceeded = Counter()
    compiled = router(*routes, text_rules=TextRules(on_limit=lambda route: exceeded.update([route])))
    evil = b"a" * 400 + b"!"
    assert route_of(compiled, facts(text=evil)) == "except"
    assert exceeded == {"slow": 1, "except": 1}
    # Another expression of the list that matches decides.
    assert route_of(compiled, facts(text=evil + b"z")) == "slow"
    assert route_of(compiled, facts(text=b"aaa")) == "slow"
    with compiled.not_counting():
        assert route_of(compiled, facts(text=evil)) == "except"
    assert exceeded == {"slow": 1, "except": 1}
    route_of(compiled, facts(text=evil))
    assert exceeded == {"slow": 2, "except": 2}


def test_message_condition_matches_its_texts():
    compiled = router(Route(message=Message(contains=("a=1", "b=2"), starts_with=("x", "y"))))
    texts = (b"x a=1", b"y b=2", b"x c=3", b"z a=1", b" x a=1", b"")
    assert [route_of(compiled, facts(text=text)) == "r" for text in texts] == [True, True, False, False, False, False]
    assert route_of(router(Route(message=Message(contains=("\u00e9",)))), facts(text="caf\u00e9".encode())) == "r"


# --- conditions together --------------------------------------------------------------------------------------------


def test_conditions_are_anded():
    route = Route(
        source=nets("192.0.2.0/24"), listener=("udp",), hostname=("gw*",), app_name=("app",), min_severity=4,
        message=Message(contains=("text",)),
    )  # fmt: skip
    good = facts(b"gw1", b"app", b"4", b"a text")
    compiled = router(route)
    assert route_of(compiled, good) == "r"
    wrong = {"hostname": b"db", "app_name": b"x", "priority": b"5", "text": b"nothing"}
    assert {route_of(compiled, good._replace(**{name: value})) for name, value in wrong.items()} == {"unrouted"}
    assert route_of(compiled, good, peer="198.51.100.1") == route_of(compiled, good, listener="tcp") == "unrouted"


def test_first_matching_route_wins():
    compiled = router(
        Route(name="1", hostname=("gw",)), Route(name="2", hostname=("gw*",)), Route(name="3"), Route(name="4")
    )
    assert [route_of(compiled, facts(hostname=host)) for host in (b"gw", b"gw1", b"x")] == ["1", "2", "3"]


def test_exception_by_peer_excludes_that_peer():
    compiled = router(Route(name="1", except_=When(source=nets("192.0.2.7"))), Route(name="2"))
    assert (route_of(compiled), route_of(compiled, peer="192.0.2.8")) == ("2", "1")
    assert compiled.profile("udp", ip_address("192.0.2.7")).constant.route == "2"


def test_exception_by_frame_excludes_that_frame():
    compiled = router(Route(name="1", except_=When(hostname=("test-*",))), Route(name="2"))
    assert (route_of(compiled, facts(hostname=b"test-1")), route_of(compiled, facts(hostname=b"web"))) == ("2", "1")


def test_exception_by_peer_and_frame_needs_both():
    compiled = router(Route(name="1", except_=When(source=nets("192.0.2.7"), app_name=("cron",))), Route(name="2"))
    cron, other = facts(app_name=b"cron"), facts(app_name=b"sshd")
    assert [route_of(compiled, frame, peer=p) for frame in (cron, other) for p in ("192.0.2.7", "192.0.2.8")] == [
        "2",
        "1",
        "1",
        "1",
    ]
    assert compiled.profile("udp", ip_address("192.0.2.8")).constant.route == "1"


def test_exception_by_listener_excludes_that_listener():
    compiled = router(Route(name="1", except_=When(listener=("tcp",))))
    assert [route_of(compiled, listener=name) for name in ("udp", "tcp")] == ["1", "unrouted"]


# --- unrouted frames, and a listener's intake -----------------------------------------------------------------------


def test_listener_intake_comes_after_routes_that_name_the_listener():
    compiled = router(Route(name="all"), Route(name="named", listener=("own",), app_name=("x",), intake="b"))
    assert route_of(compiled, facts(app_name=b"x"), listener="own") == "named"
    own = compiled.profile("own", ip_address("192.0.2.7")).find(facts(app_name=b"y"))
    assert (own.kind, own.route, own.intake, own.payload) == ("deliver", "listener own", "own", "raw")
    assert route_of(compiled, listener="udp") == "all"


@pytest.mark.parametrize(
    ("unrouted", "kind", "intake"),
    [(Unrouted("hold"), "hold", None), (Unrouted("drop"), "drop", None), (Unrouted("intake", "b"), "deliver", "b")],
)
def test_unrouted_frames_get_the_configured_disposition(unrouted, kind, intake):
    profile = router(unrouted=unrouted).profile("udp", ip_address("192.0.2.7"))
    assert (profile.constant.kind, profile.constant.route, profile.constant.intake) == (kind, "unrouted", intake)


def test_route_without_intake_drops():
    constant = router(Route(name="noise", intake=None)).profile("udp", ip_address("192.0.2.7")).constant
    assert (constant.kind, constant.route, constant.intake) == ("drop", "noise", None)


# --- payload, times, zones ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("route", "expected"),
    [
        (Route(), ("message", "auto", "event")), (Route(intake="b"), ("line", "latin-1", "received")),
        (Route(intake="b", payload="json", timestamp="none"), ("json", "latin-1", "none")),
        (Route(intake="b", payload="json"), ("json", "latin-1", "received")),
    ],
)  # fmt: skip
def test_precedence_is_route_intake_default(route, expected):
    end = router(route).profile("udp", ip_address("192.0.2.7")).constant
    assert (end.payload, end.encoding, end.timestamp) == expected


def test_zones_and_names_come_from_the_first_entry_that_has_one():
    sources = [
        Source(nets("192.0.2.7"), name="fw"), Source(nets("192.0.2.0/24"), EAST, "all"), Source(nets("0.0.0.0/0"),
        WEST),
    ]  # fmt: skip
    compiled = router(Route(name="1", source=nets("192.0.2.9"), timezone=WEST), Route(name="2"), sources=sources)
    zones = {
        peer: compiled.profile("udp", ip_address(peer)).constant.zone
        for peer in ("192.0.2.7", "192.0.2.9", "10.0.0.1", "2001:db8::1")
    }
    assert zones == {"192.0.2.7": EAST, "192.0.2.9": WEST, "10.0.0.1": WEST, "2001:db8::1": UTC}
    assert [compiled.known(ip_address(p)).name for p in ("192.0.2.7", "192.0.2.8", "10.0.0.1")] == ["fw", "all", None]
    assert compiled.known(None).name is None


# --- a profile reads only what its rules need -----------------------------------------------------------------------


def test_profile_needs_only_the_columns_of_its_routes():
    compiled = router(
        Route(source=nets("10.0.0.1"), payload="raw"), Route(source=nets("10.0.0.2"), hostname=("x",),
        payload="content"),
        Route(source=nets("10.0.0.3"), intake=None), Route(source=nets("10.0.0.4"), except_=When(min_severity=3)),
    )  # fmt: skip

    def needs(peer):
        return compiled.profile("udp", ip_address(peer)).needs

    assert needs("10.0.0.1") == {"raw"}
    assert needs("10.0.0.2") == {"hostname", "content", "raw"}
    assert needs("10.0.0.3") == set()
    assert needs("10.0.0.4") == {"text", "priority", "raw"}


def test_peers_with_the_same_rules_share_a_profile():
    routes = [
        Route(name=f"r{i}", source=nets(f"10.{i // 250}.{i % 250}.0/24"), intake="ab"[i % 2]) for i in range(2000)
    ]
    compiled = router(*routes, Route(name="rest", hostname=("x",)))
    profiles = {}
    for i in range(2000):
        for last in (1, 200):
            profiles.setdefault(compiled.profile("udp", ip_address(f"10.{i // 250}.{i % 250}.{last}")), set()).add(i)
    assert len(profiles) == 2000
    assert all(len(numbers) == 1 for numbers in profiles.values())
    assert {profile.constant.route for profile in profiles} == {route.name for route in routes}
    others = {
        compiled.profile(listener, ip_address(f"198.51.{i}.1")) for i in range(100) for listener in ("udp", "tcp")
    }
    assert len(others) == 1


def test_peers_of_different_zones_have_different_profiles():
    compiled = router(Route(), sources=[Source(nets("10.0.0.1"), EAST)])
    profiles = [compiled.profile("udp", ip_address(f"10.0.0.{i}")) for i in (1, 2, 3)]
    assert profiles[0] is not profiles[1]
    assert profiles[1] is profiles[2]


# --- any rules, any frames: compared with a naive implementation -----------------------------------------------------

HOSTS = [b"web-1", b"WEB-1.example.org", b"db", b"", b"10.1.2.3"]
APPS = [b"sshd", b"cron", b""]
TEXTS = [b"alpha", b"beta alpha", b"x"]
PEERS = ["192.0.2.7", "192.0.2.8", "10.0.0.1", "2001:db8::1"]
CONDITIONS = {
    "source": st.sampled_from([(), nets("192.0.2.7"), nets("192.0.2.0/24", "10.0.0.0/8"), nets("2001:db8::/32")]),
    "listener": st.sampled_from([(), ("udp",), ("tcp", "own")]),
    "hostname": st.sampled_from([(), ("web-*",), ("WEB-?", "db"), ("10",), ("*.example.org",)]),
    "app_name": st.sampled_from([(), ("sshd",), ("c*",)]),
    "procid": st.sampled_from([(), ("1*",)]),
    "msgid": st.sampled_from([(), ("id*", "x")]),
    "facility": st.sampled_from([(), (0,), (1, 23)]),
    "min_severity": st.none() | st.integers(0, 7),
    "max_severity": st.none() | st.integers(0, 7),
    "message": st.none()
    | st.sampled_from([Message(contains=("alpha",)), Message(("alpha",), ("beta",)), Message((), ("alpha", "x"))])
    | st.sampled_from([Message(matches=(Expression("^x$"), Expression("a b|a a")))]),
}


def condition_strategy(condition_type):
    # Few conditions at a time: routes with all of them match nothing.
    dictionaries = st.fixed_dictionaries({}, optional=CONDITIONS).map(lambda all_: dict(list(all_.items())[:3]))
    return dictionaries.map(lambda conditions: condition_type(**conditions))


ROUTES = st.builds(
    lambda route, exception, intake: replace(route, except_=exception, intake=intake),
    condition_strategy(Route), st.none() | condition_strategy(When).filter(lambda w: w != When()),
    st.sampled_from(["a", "b", None]),
)  # fmt: skip


def holds(when, listener, peer, frame):
    """Checks the conditions one by one, without compilation."""
    names = [frame.hostname, frame.hostname if frame.hostname[:1].isdigit() else frame.hostname.split(b".")[0]]
    checks = [
        not when.listener or listener in when.listener,
        not when.source or any(peer.version == net.version and peer in net for net in when.source),
        not when.hostname
        or any(name and fnmatchcase(name.decode().lower(), g.lower()) for name in names for g in when.hostname),
        not when.app_name or any(frame.app_name and fnmatchcase(frame.app_name.decode(), g) for g in when.app_name),
        not when.procid or any(frame.procid and fnmatchcase(frame.procid.decode(), g) for g in when.procid),
        not when.msgid or any(frame.msgid and fnmatchcase(frame.msgid.decode().lower(), g) for g in when.msgid),
        not when.facility or (frame.priority != b"" and int(frame.priority) // 8 in when.facility),
        when.min_severity is None or (frame.priority != b"" and int(frame.priority) % 8 <= when.min_severity),
        when.max_severity is None or (frame.priority != b"" and int(frame.priority) % 8 >= when.max_severity),
    ]
    if when.message:
        text = frame.text.decode()
        checks.append(not when.message.contains or any(part in text for part in when.message.contains))
        checks.append(not when.message.starts_with or any(text.startswith(p) for p in when.message.starts_with))
        checks.append(not when.message.matches or any(re.search(str(e), text) for e in when.message.matches))
    return all(checks)


def expected_route(routes, listener, peer, frame):
    for route in routes:
        if LISTENERS[listener] and not route.listener:
            continue
        excepted = route.except_ is not None and holds(route.except_, listener, peer, frame)
        if holds(route, listener, peer, frame) and not excepted:
            return route.name
    return f"listener {listener}" if LISTENERS[listener] else "unrouted"


FACTS = st.builds(
    Facts,
    *map(st.sampled_from, (HOSTS, APPS, [b"12", b"7", b""], [b"ID47", b"x", b""], [b"", b"0", b"13", b"191"], TEXTS)),
)


@settings(max_examples=examples(150, long=400), deadline=None)
@given(
    st.lists(ROUTES, max_size=5),
    st.lists(FACTS, min_size=1, max_size=6),
    st.sampled_from(PEERS),
    st.sampled_from(list(LISTENERS)),
)
def test_any_routes_equal_a_naive_implementation(routes, frames, peer, listener):
    routes = [replace(route, name=f"r{i}") for i, route in enumerate(routes)]
    compiled = router(*routes)
    address = ip_address(peer)
    profile = compiled.profile(listener, address)
    expected = [expected_route(routes, listener, address, frame) for frame in frames]
    assert [profile.find(frame).route for frame in frames] == expected
    if profile.constant is not None:
        assert set(expected) == {profile.constant.route}

    lines = [
        b"%b1 - %b %b %b %b - %b"
        % (b"<%b>" % f.priority if f.priority else b"", *(name or b"-" for name in f[:4]), f.text)
        for f in frames
    ]
    read = read_columns(block_of(lines), profile.needs | {"raw"})
    # Twice: the cache must give the same result.
    for _ in range(2):
        parts = profile.assign(read)
        assert sum(part.count for _, part in parts) == len(lines)
        got = {raw: disposition.route for disposition, part in parts for raw in part["raw"]}
        assert got == dict(zip(lines, expected, strict=True))
        for _, part in parts:
            assert list(part["raw"]) == [line for line in lines if line in set(part["raw"])]


def test_profile_cache_is_bounded(monkeypatch):
    profile = router(Route(hostname=("x*",))).profile("udp", ip_address("10.0.0.1"))
    monkeypatch.setattr(Profile, "CACHED", 100)
    for start in range(0, 5000, 50):
        read = read_columns(block_of([b"Nov 23 07:24:00 h%d a: t" % (start + i) for i in range(50)]), frozenset(FIELDS))
        profile.assign(read)
        assert len(profile._cache) <= 150


def test_empty_conditions_need_no_columns():
    assert Conditions(When()).needs == frozenset()
    assert Conditions(When()).hold(facts())
