"""Defines a dozen sample devices and their messages, written in the style of well-known products."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv4Address
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample message of a device."""

    device: str
    address: IPv4Address
    "The address that the device sends from."
    transport: str
    "udp, tcp, or counted: TCP with octet counting."
    intake: str
    write: Callable[[datetime], str]
    "Returns the frame for a time."
    text: str
    "A part of the event that no other sample contains."


def _bsd(pri: int, rest: str, zone: ZoneInfo | None = None) -> Callable[[datetime], str]:
    def write(now: datetime) -> str:
        local = now.astimezone(zone or UTC)
        return f"<{pri}>{local:%b} {local.day:2} {local:%H:%M:%S} {rest}"

    return write


def _5424(pri: int, rest: str) -> Callable[[datetime], str]:
    return lambda now: f"<{pri}>1 {now.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{now.microsecond // 1000:03d}Z {rest}"


def _fortigate(now: datetime) -> str:
    return (
        f'<189>date={now:%Y-%m-%d} time={now:%H:%M:%S} devname="fw-edge" devid="FG0000000001" logid="0000000013"'
        ' type="traffic" subtype="forward" srcip=10.1.7.20 dstip=198.51.100.7 dstport=443 action="deny" policyid=17'
    )


def _pan(now: datetime) -> str:
    clock = f"{now:%Y/%m/%d %H:%M:%S}"
    rest = f"1,{clock},000000000001,TRAFFIC,end,2305,{clock},10.2.0.8,203.0.113.9,,,allow-web,,,web-browsing,vsys1"
    return _bsd(14, f"fw-branch {rest}")(now)


def _at(last: int) -> IPv4Address:
    return IPv4Address(f"127.0.1.{last}")


_SSH = "Failed password for invalid user admin from 203.0.113.50 port 40022 ssh2"
_SUDO = "  alice : TTY=pts/0 ; PWD=/home/alice ; USER=root ; COMMAND=/usr/bin/apt update"
_POSTFIX = "4F2A91C0: to=<bob@example.org>, relay=mx.example.org[198.51.100.25]:25, dsn=2.0.0, status=sent (250 ok)"
_FILTERLOG = "4,,,1000000103,igb0,match,block,in,4,0x0,,64,0,0,DF,6,tcp,60,203.0.113.77,192.0.2.10,51234,22,0,S"
_NETFILTER = "[ 8123.4] drop IN=eth0 OUT= SRC=203.0.113.99 DST=192.0.2.44 PROTO=TCP SPT=3333 DPT=23"
_WEB = '[request@32473 method="GET" status="403" client="203.0.113.8"] blocked by policy'

SAMPLES = (
    Sample("fw-edge", _at(1), "udp", "firewalls", _fortigate, 'devname="fw-edge"'),
    Sample("fw-branch", _at(2), "tcp", "firewalls", _pan, "000000000001,TRAFFIC"),
    Sample("pfsense", _at(3), "udp", "firewalls", _bsd(134, f"pfsense filterlog[48291]: {_FILTERLOG}"), _FILTERLOG),
    Sample("sw-core", _at(4), "udp", "switches",
           _bsd(189, "sw-core 4711: %SYS-5-CONFIG_I: Configured from console by vty0"), "%SYS-5-CONFIG_I"),
    Sample("sw-newyork", _at(5), "udp", "switches",
           _bsd(187, "sw-newyork 815: %LINK-3-UPDOWN: Interface Gi1/0/7, changed state to down", NEW_YORK),
           "%LINK-3-UPDOWN"),
    Sample("web-1", _at(6), "tcp", "linux", _bsd(86, f"web-1 sshd[20131]: {_SSH}"), _SSH),
    Sample("web-1", _at(6), "tcp", "linux", _bsd(85, f"web-1 sudo:{_SUDO}"), "COMMAND=/usr/bin/apt update"),
    Sample("mail-1", _at(7), "udp", "linux", _bsd(22, f"mail-1 postfix/smtp[3381]: {_POSTFIX}"), _POSTFIX),
    Sample("dns-1", _at(8), "udp", "dns",
           _bsd(30, "dns-1 unbound[7640]: [7640:0] info: 198.51.100.10 example.org. A IN"), "[7640:0] info"),
    Sample("hyper-1", _at(9), "counted", "servers",
           _5424(166, "hyper-1 hostd 2099321 - - Event 1812 : User root@192.0.2.9 logged in"), "Event 1812"),
    Sample("proxy-1", _at(10), "tcp", "servers", _5424(134, f"proxy-1 proxyd 771 ACCESS {_WEB}"), "blocked by policy"),
    Sample("printer", _at(11), "udp", "other", _bsd(28, f"printer kernel: {_NETFILTER}"), "SRC=203.0.113.99"),
)  # fmt: skip
