"""Tests that anonymised frames parse as before and keep no address, name or long number of the original."""

import re
from datetime import UTC, datetime
from ipaddress import ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.explain.anonymise import anonymise
from bridge.explain.products import identify
from bridge.formats import FORMATS
from bridge.syslog import parse

RECEIVED = datetime(2026, 11, 23, 8, tzinfo=UTC)
KEY = b"a key of the test"
EXAMPLES = [each.example for each in FORMATS.values()]
TEMPLATES = [
    "<38>Nov 23 07:24:00 {host} sshd[4711]: Failed password for invalid user {user} from {v4} port 51122 ssh2",
    "<38>Nov 23 07:24:00 {host} sshd[4711]: pam_unix(sshd:session): session opened for user {user} by {user}(uid=0)",
    '<189>date=2026-11-23 time=07:24:00 devname="{host}" devid="FGT60F{number}" logid="0000000013" type="traffic"'
    ' subtype="forward" level="notice" vd="root" srcip={v4} dstip={other} user="{user}" sessionid={number}',
    '<165>1 2026-11-23T07:24:00.003Z {host}.corp.example app 42 ID [x@32473 user="{user}" ip="{v6}"]'
    " by {user}@{host}.org",
    '<134>id=firewall sn=C0{number} time="2026-11-23 07:24:00 UTC" fw={v4} pri=6 c=1024 m=537 msg="Connection closed"'
    ' n=2 src={other}:55:X0 usr="{user}"',
    "<134>Nov 23 07:24:00 {host} CEF:0|Fortinet|FortiGate|7.0|13|traffic|3|"
    "src={v4} suser={user} dvchost={host} cn1={number}",
    '<14>Nov 23 07:24:00 {host} {{"user":"{user}","host":"{host}","ip":"{v6}","id":{number},"mac":"{mac}"}}',
    "<166>Nov 23 2026 07:24:00 {host} : %ASA-6-302013: Built TCP connection {number}"
    " for outside:{v4}/443 to inside:{other}/5",
    "<13>Nov 23 07:24:00 {host} app: CORP\\{user} logged on from {mac}, home /home/{user}",
]  # fmt: skip
NAMES = st.from_regex(r"[b-df-hj-np-tv-xz][a-z]{3,9}q[0-9]{0,3}", fullmatch=True)
HOSTS = st.one_of(NAMES, st.from_regex(r"[a-z]{2,6}q-[a-z]{3,8}z-[0-9]{2}", fullmatch=True))
V4 = st.ip_addresses(v=4).filter(lambda each: each.is_global).map(str)
V6 = st.ip_addresses(v=6).filter(lambda each: each.is_global).map(str)
MAC = st.binary(min_size=6, max_size=6).map(lambda each: each.hex(":"))
# Eight digits below 21,000,000 can be a date (20530901), which stays as it is.
NUMBER = st.integers(21_000_000, 999_999_999).map(str)


@given(host=HOSTS, user=NAMES, v4=V4, other=V4, v6=V6, mac=MAC, number=NUMBER)
@settings(max_examples=60, deadline=None)
def test_nothing_is_left_and_all_is_read_alike(host, user, **values):
    if user in host or host in user:
        return
    texts = [each.format(host=host, user=user, **values) for each in TEMPLATES]
    frames = [each.encode() for each in texts]
    result = anonymise(frames, KEY)
    assert result.left_out == 0
    for old, new in zip(frames, result.frames, strict=True):
        before, after = parse(old, received=RECEIVED), parse(new, received=RECEIVED)
        assert (before.shape, before.format, before.timestamp) == (after.shape, after.format, after.timestamp)
        assert (before.app_name, before.procid, before.msgid) == (after.app_name, after.procid, after.msgid)
        assert identify([old]).product == identify([new]).product
    text = b"\n".join(result.frames).decode().lower()
    for value in (host, user, *values.values()):
        assert not re.search(rf"(?<![\w.]){re.escape(value)}(?![\w])", text), value
        # The same value has the same replacement, alone as in a frame.
        assert result.replace(value.encode()).decode().lower() in text


def test_the_same_value_has_the_same_replacement_and_others_have_others():
    users = [b"alphonse", b"bertrand", b"camille", b"alphonse"]
    frames = [b"<38>Nov 23 07:24:00 h9 sshd[1]: Accepted password for %b from 203.0.113.9" % each for each in users]
    new = [re.search(rb"for (\S+) from (\S+)", each).groups() for each in anonymise(frames, KEY).frames]
    assert new[0] == new[3]
    assert len({user for user, _ in new}) == 3
    assert len({address for _, address in new}) == 1


def test_the_key_decides_the_replacement():
    frame = b"<38>Nov 23 07:24:00 h9 sshd[1]: Accepted password for alphonse from 203.0.113.9"
    assert anonymise([frame], b"one").frames != anonymise([frame], b"two").frames


def test_a_replacement_is_never_an_original_address():
    frame = b"<13>Nov 23 07:24:00 h9 app: 198.18.0.1 198.18.0.2 203.0.113.9"
    new = anonymise([frame], KEY).frames[0]
    assert not {b"198.18.0.1", b"198.18.0.2", b"203.0.113.9"} & set(new.split())


@pytest.mark.parametrize("host", ["web-4", "bastion", "mail.example.com", "WEB-4.lan", "cisco", "srv01", "ip-10-1-2-3"])
def test_a_host_name_of_common_words_is_replaced(host):
    frame = f"<38>Nov 23 07:24:00 {host} sshd[1]: Accepted password for alphonse from 203.0.113.9".encode()
    new = parse(anonymise([frame], KEY).frames[0], received=RECEIVED)
    assert new.app_name == "sshd"
    assert len(new.hostname) >= len(host)
    # Only a top-level domain and a single digit stay.
    kept = {part for part in re.split(r"[.-]", host) if len(part) > 1} - {"com", "lan"}
    assert not kept & set(re.split(r"[.-]", new.hostname))


@pytest.mark.parametrize("date", ["20530901", "20261123T072400", "20261123072400"])
def test_a_date_stays_as_it_is(date):
    assert anonymise([f"<13>Nov 23 07:24:00 h9 app: since {date}".encode()], KEY).frames[0].endswith(date.encode())


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "255.255.255.0"])
def test_general_addresses_stay(address):
    frame = f"<13>Nov 23 07:24:00 h9 app: {address}".encode()
    assert anonymise([frame], KEY).frames[0].endswith(address.encode())


def test_address_of_a_sender():
    result = anonymise([b"<13>Nov 23 07:24:00 h9 app: from 203.0.113.9"], KEY, [b"203.0.113.9"])
    assert str(result.address(ip_address("203.0.113.9"))).encode() in result.frames[0]


@pytest.mark.parametrize(
    "odd",
    [
        b'<189>date=2026-11-23 time=07:24:00 devname= devid="F1" logid=1 type=traffic',
        b"<134>1 2026-11-23T07:24:00Z 2026-11-23T07:24:00Z app - - - x",
    ],
)
def test_an_odd_message_does_not_hide_others(odd):
    frames = [
        b'<189>date=2026-11-23 time=07:24:00 devname="fgt-lyon" devid="FGT60F" logid="13" type="traffic"',
        b"<166>2026-11-23T07:24:00Z: %ASA-6-302013: Built inbound TCP connection",
    ]
    assert None not in anonymise([odd, *frames], KEY).frames[1:]


def test_a_name_after_an_equals_sign_and_blanks_is_replaced():
    frame = b"<13>Nov 23 07:24:00 h9 app: user=  alphonse group= staff=1 login : bertrand"
    new = anonymise([frame], KEY).frames[0]
    assert b"alphonse" not in new
    assert b"bertrand" not in new
    assert b" group= staff=1 login : " in new


def test_examples_of_the_formats_are_read_alike():
    result = anonymise(EXAMPLES, KEY)
    # Some products are recognised by a host name, which is replaced.
    assert result.left_out <= 5
    for old, new in zip(EXAMPLES, result.frames, strict=True):
        if new is not None:
            assert parse(old, received=RECEIVED).shape == parse(new, received=RECEIVED).shape


@given(st.lists(st.binary(max_size=80), max_size=4))
@settings(max_examples=150, deadline=None)
def test_any_bytes(frames):
    assert len(anonymise(frames, KEY).frames) == len(frames)
