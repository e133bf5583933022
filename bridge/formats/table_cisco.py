"""Defines the formats of Cisco's products."""

from bridge.formats import rules
from bridge.formats.format import Format

FORMATS = (
    Format(
        name="cisco-esa",
        product="Cisco Secure Email Gateway (ESA)",
        rule=rules.FROM_CEF,
        own_time="start=, rt= or end=",
        names_device="dvchost=",
        begins=rb"CEF: ?0\|Cisco\|",
        foreign=2,
        setting="a log subscription for Consolidated Event Logs, retrieval method Syslog Push",
        example=b"<22>Nov 23 07:24:00 esa01 consolidated_events: CEF:0|Cisco|C390 Email Security Appliance|14.2.2-004|"
        b"ESA_CONSOLIDATED_LOG_EVENT|Consolidated Log Event|5|deviceExternalId=ABC123 ESAMID=12356 dvc=192.0.2.25",
        aliases=("esa",),
    ),
    Format(
        name="cisco-ios",
        product="Cisco IOS and IOS-XE",
        payload="device",
        rule=rules.IOS_DATE,
        own_time="Mmm d [year] h:m:s[.ms] [zone]; the parser guesses a missing year",
        names_device="the origin-id before the date",
        begins=rb"([\w.-]+: )?[A-Z][a-z]{2} {1,2}\d\d?( \d{4})? \d\d:\d\d:\d\d([:.,]\d+)?( \w+)?: %\w+-\d+-\w+: ",
        foreign=2,
        setting="service timestamps log datetime msec localtime show-timezone year; logging origin-id hostname; "
        "logging host ADDRESS",
        notes=(
            "Without `logging origin-id hostname` the events do not name the device.",
            "Events without a date (service timestamps log uptime) are not parsed, nor are those with %FAC-SW1-5-NAME, "
            "with an offset as time zone (+01:00, UTC+1) or with a blank between zone and colon.",
        ),
        example=b"<189>782431: sw-core-01: 104: *Nov 23 07:24:00.631 CET: %SYS-5-CONFIG_I: Configured from console by "
        b"jdoe on vty0 (192.0.2.17)",
        aliases=("ios", "ios-xe"),
    ),
    Format(
        name="cisco-ise",
        product="Cisco Identity Services Engine (ISE)",
        payload="content",
        rule=rules.ISE_CATEGORY,
        also="with time and host before the text (line, device); the message alone",
        begins=rb"(\w{3} +\d+ [\d:]+ \S+ )?(CISE_\w+ )?"
        rb"(\d{10} \d+ \d+ |(INFO|WARN(ING)?|ERROR|NOTICE|FATAL|DEBUG|CRITICAL): )|\d{4}-\d\d-\d\d \S+ [+-]",
        setting="a remote logging target that is assigned to the logging categories",
        notes=(
            "Long messages are sent in numbered parts (total, sequence), and each part is an event. Set the maximum "
            "length of the target to 8192 to keep most messages in one part.",
            "The parser ignores the time in the text and uses the request's timestamp.",
        ),
        example=b"<181>Nov 23 07:24:00 ise01 CISE_Failed_Attempts 0001027727 1 0 2026-11-23 07:24:00.301 +01:00 "
        b"0015075255 "
        b"5400 NOTICE Failed-Attempt: Authentication failed, ConfigVersionId=360, Device IP Address=192.0.2.9",
        aliases=("ise",),
    ),
    Format(
        name="cisco-meraki-mx",
        product="Cisco Meraki MX",
        payload="device",
        rule=rules.MERAKI_EPOCH,
        own_time="the epoch at the beginning, with fraction",
        names_device="the word after the epoch",
        begins=rb"\d{10}\.\d+ \w+ \w+ ",
        setting="dashboard: Network-wide, General, Reporting: syslog server, with its roles",
        notes=("The device name may contain only letters, digits and _. With a hyphen its events are not parsed.",),
        example=b"<134>1 1795418640.795119971 MX_LYON_01 events dhcp lease of ip 192.0.2.40 from server mac "
        b"02:00:5E:00:53:01 "
        b"for client mac 02:00:5E:00:53:02 with hostname pc-17 from router 192.0.2.1 on subnet 255.255.255.0",
        aliases=("meraki", "meraki-mx"),
    ),
    Format(
        name="cisco-nx-os",
        product="Cisco NX-OS (Nexus)",
        payload="device",
        rule=rules.NXOS_YEAR,
        also="the whole frame (raw), which begins with <PRI>HOST: or <PRI>:",
        own_time="year Mmm d h:m:s zone",
        loses="the PRI and the origin-id; set payload: raw to keep the device's name",
        begins=rb"(<\d+>[^:]*: )?\d{4} [A-Z][a-z]{2} \d\d? \d\d:\d\d:\d\d([:.,]\d+)? \w+: %\w+-\d+-\w+: ",
        setting="clock timezone, logging server ADDRESS 6 use-vrf management; logging origin-id hostname with "
        "payload: raw",
        notes=("The text must contain the name of the time zone.",),
        example=b"<189>sw-dc-01: 2026 Nov  3 07:24:00.123 CET: %ETHPORT-5-IF_UP: Interface Ethernet1/7 is up in mode "
        b"access",
        aliases=("nx-os", "nexus"),
    ),
    Format(
        name="cisco-secure-firewall",
        product="Cisco ASA, FTD, Firepower NGIPS",
        payload="content",
        also="with the device's time and host before the text (device), or also with the PRI (raw); the parser reads "
        "time and host if the time is ISO",
        own_time="only with payload device or raw: an ISO time, or Mmm d h:m:s without year",
        begins=rb"(<\d+>)?[^%]{0,60}%(ASA|FTD|NGIPS)-\d-\d{6}:? |(Group|Task|Tunnel ?[Gg]roup)\b",
        setting="logging enable; logging timestamp; logging trap informational; logging host IF ADDRESS (UDP 514 or "
        "tcp/1470)",
        notes=(
            "With `logging timestamp rfc5424` and payload: device, the event also names the device.",
            "%ASA-CLASS-n-nnnnnn (logging message class in the id) is not recognised.",
        ),
        example=b"<166>Nov 23 2026 07:24:00: %ASA-6-302013: Built inbound TCP connection 1428 for "
        b"outside:203.0.113.7/51544 (203.0.113.7/51544) to dmz:192.0.2.80/443 (192.0.2.80/443)",
        aliases=("cisco-asa", "asa", "ftd", "firepower"),
    ),
    Format(
        name="cisco-secure-web-appliance",
        product="Cisco Secure Web Appliance (WSA)",
        also="with or without Info: before the text",
        own_time="the epoch at the beginning",
        begins=rb"(Info: +)?\d{10}\.\d{3} +\d+ [\da-f.:]+ \w+/\d{3} ",
        foreign=13,
        setting="a log subscription for access logs, retrieval method Syslog Push",
        example=b"<38>Nov 23 07:24:00 wsa01 accesslogs: Info: 1795418640.352 7 192.0.2.10 TCP_MISS/302 779 HEAD "
        b'http://www.example.org/ "EXAMPLE\\jdoe@ldap" DIRECT/www.example.org text/html DEFAULT_CASE_12 <"-"> -',
        aliases=("wsa",),
    ),
)
