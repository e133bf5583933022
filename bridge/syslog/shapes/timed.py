"""Defines shapes that begin with a timestamp but do not continue with ``HOST TAG: MSG`` (RFC 3164).

The examples were written for the tests. See ``shape`` for the groups of a pattern.
"""

from bridge.syslog.grammar import (
    CEF,
    CISCO_HOST,
    HOST,
    IPV4,
    IPV6,
    LEVEL,
    MNEMONIC,
    SD_ELEMENT,
    STACK_UNIT,
    TAG_FOLLOWS,
    UPPER_LEVEL,
)
from bridge.syslog.shapes.shape import Shape, ShapeTable

_WORD = rb"[A-Za-z_][A-Za-z0-9_./-]*+"
_NAME = rb"[A-Za-z0-9][A-Za-z0-9_.-]*+"
_BLANKS = rb"[ ]++"
_HOST = rb"(?P<host>" + HOST + rb")" + _BLANKS
_ASA = rb"%(?:ASA|FTD|PIX|FWSM|ACE|NGIPS)-"
_MNEMONIC = rb"(?P<msg>)(?=" + STACK_UNIT + rb"(?P<app>" + MNEMONIC + rb"))"
_DAEMON = rb"(?:dhcpdv6|dhcpd|named|httpd|sshd|ntpd|chronyd|radiusd|snmpd|syslogd|rsyslogd|kernel|dnsmasq|unbound):"

# RFC 5424 section 6.4: a BOM before MSG is not part of it.
_BEFORE_MSG = rb"(?: (?:\xef\xbb\xbf)?+|\Z)(?P<msg>)"

# MAC,FIRMWARE of UniFi
UNIFI = rb"[0-9A-Fa-f]{12},[A-Za-z0-9_.+-]++:?" + _BLANKS + rb"(?::" + _BLANKS + rb")?"
UNIFI_DROPS = rb",?[0-9A-Fa-f]{12},[A-Za-z0-9_.+-]++"

TIMED = ShapeTable(
    # --- Cisco: the mnemonic is in the place of the tag. It is APP-NAME and also stays in MSG ---
    # Viptela puts the host into the mnemonic. The host may contain dashes, so the process is the word before `-n-`.
    Shape("cisco-viptela", rb"(?P<content>)(?:" + _WORD + rb"\[(?P<pid>[0-9]++)\]: )?(?P<msg>)(?=(?P<app>%Viptela-"
        rb"(?P<host>[A-Za-z0-9_.]++(?:-[A-Za-z0-9_.]++){0,6}?)-[A-Za-z_]++-[0-7]-[A-Z]++-[0-9]++)[ ]?:)",
        b"<189>Nov 23 07:24:00 SYSMGR[812]: %Viptela-edge-paris-2-sysmgrd-6-INFO-1400002: Notification: config change",
        drops=_WORD),
    # ASA writes ` : ` or `: ` after the host. A relay may put its own name or address before the host.
    Shape("cisco", rb"(?:(?:" + HOST + _BLANKS + rb"(?![A-Z]{2,5} ?:|[%:]))?(?P<host>" + CISCO_HOST
        + rb")(?::(?=[ ]++" + _ASA + rb")|[ ]:)?" + _BLANKS + rb")?(?:[A-Z]{2,5} ?:" + _BLANKS + rb")?\*?" + _MNEMONIC,
        b"<166>Nov 23 2026 07:24:00 fw-edge : %ASA-6-302013: Built inbound TCP connection 471 for outside:198.51.100.7",
        drops=rb"[A-Z]{2,5} ?:|\*|[^\s%]\S*+(?= ++[^\s%])"),
    # After an ISO time, the word of `WORD: %` is an agent of Arista EOS: a tag.
    Shape("cisco-colon", rb"(?P<host>" + CISCO_HOST + rb"):" + _BLANKS + rb"\*?" + _MNEMONIC,
        b"<189>Nov 23 07:24:00 access-sw-07: %LINK-3-UPDOWN: Interface GigabitEthernet1/0/7, changed state to up",
        drops=rb"\*", needs="bsd"),
    # H3C, HPE Comware and Huawei
    Shape("comware", rb"(?:" + _HOST
        + rb"(?:\([A-Za-z]++\) )?)?(?P<msg>)(?=(?P<app>%%[0-9]{2}[A-Za-z0-9_]++/[0-7]/[A-Za-z0-9_]++))",
        b"<189>Nov 23 07:24:00 2026 core-hp %%10IFNET/3/LINK_UPDOWN: GigabitEthernet1/0/3 link status is UP.",
        drops=rb"\([A-Za-z]++\) "),
    # --- CEF, LEEF, Snare: MSG begins with their first word ---
    Shape("cef", rb"(?:" + _HOST + rb")?(?:(?P<app>" + _WORD + rb") (?:-: ?)?)?(?P<msg>)(?=" + CEF + rb")",
        b"<134>Nov 23 07:24:00 dam-01 CEF:0|Example|Database Guard|4.1|101|Login failed|5|suser=anna src=192.0.2.9",
        drops=rb"-:"),
    Shape("snare", rb"(?:(?P<host>" + HOST + rb")[ \t]++)?(?P<msg>)(?=MSWinEventLog[ \t#,])",
        b"<14>Nov 23 07:24:00 dc1.example.org MSWinEventLog\t1\tSecurity\t4711\tMon Nov 23 07:24:00 2026\t4624\tok"),
    # --- Others ---
    # WatchGuard writes its serial number, its own time or both before the tag
    Shape("watchguard", rb"(?:" + _HOST + rb")?(?:(?:[0-9A-Z]{6,20} )?"
        rb"\((?:[0-9]{4}-[0-9]{2}-[0-9]{2}[T ]|[A-Z][a-z]{2} [ 0-9]?[0-9] )?"
        rb"[0-9]{2}:[0-9]{2}:[0-9]{2}[0-9A-Za-z.,:+-]*+\) "
        + TAG_FOLLOWS + rb"|[0-9][0-9A-F]{12} (?=[a-z][a-z0-9_-]*+(?:\[[0-9]++\])?: ?msg_id=))",
        b'<140>Nov 23 07:24:00 m370-lyon (2026-11-23T07:24:00) firewall: msg_id="3000-0148" Deny 1-Trusted 0-External',
        drops=rb"[0-9A-Z]{6,20}|\([^)]*+\)"),
    # Infoblox grids write the address of the member after the host
    Shape("host-and-address", _HOST + rb"(?:" + IPV4 + rb"|" + IPV6
        + rb") (?=[^\s:\[\]]++\[[0-9]++\]:|" + _DAEMON + rb")",
        b"<30>Nov 23 07:24:00 grid-master 192.0.2.53 named[6160]: client 192.0.2.80#53: query: example.org IN A",
        drops=IPV4 + rb"|" + IPV6),
    Shape("cisco-ise", rb"(?:" + _HOST + rb")?(?P<msg>)(?=CISE_[A-Za-z_]++ [0-9]++ [0-9]++ [0-9]++ )",
        b"<181>Nov 23 07:24:00 ise-lyon CISE_Passed_Authentications 0000200417 2 0 2026-11-23 07:24:00.031 +00:00"),
    # F5 writes the blade before the host and the level before the tag.
    Shape("f5", rb"(?:slot[0-9]++/)?" + _HOST + LEVEL + _BLANKS
        + rb"(?!" + CEF + rb")(?P<app>[^\s:\[\]<>]++)(?:\[(?P<pid>[^\]\s]*+)\])?: ?(?P<msg>)",
        b"<133>Nov 23 07:24:00 slot1/ltm-a notice mcpd[6760]: 01070638:5: Pool /Common/web member 192.0.2.4:443 up",
        drops=rb"slot[0-9]++/|" + LEVEL),
    Shape("f5-slot", rb"slot[0-9]++/" + _HOST,
        b"<134>Nov 23 07:24:00 slot2/ltm-a logger: [ssl_acc] 192.0.2.8 - admin /mgmt 200 17",
        drops=rb"slot[0-9]++/"),
    Shape("f5-irule", rb"(?P<msg>)(?P<host>" + _NAME + rb"),f5_irule=",
        b"<190>Nov 23 07:24:00 ltm-a,f5_irule=hsl-http,src_ip=198.51.100.3,vip=192.0.2.10,http_method=GET"),
    # SONiC writes the level before CONTAINER#PROGRAM. Before other tags, a level is part of the text.
    Shape("sonic", _HOST + UPPER_LEVEL + rb" (?=[a-z][a-z0-9_-]*+#[A-Za-z0-9_./-]++(?:\[[0-9]++\])?:)",
        b"<30>Nov 23 07:24:00.117 leaf-9 NOTICE swss#orchagent: :- doPortTask: Ethernet8 is up",
        drops=UPPER_LEVEL),
    # Linux without a host name
    Shape("no-name", rb"\(none\) " + TAG_FOLLOWS,
        b"<30>Nov 23 07:24:00 (none) udhcpc[311]: lease of 192.0.2.31 obtained",
        drops=rb"\(none\)"),
    # OneFS writes the number of the node behind the host.
    Shape("onefs", rb"(?P<host>" + _NAME + rb")\([a-z]{1,4}[0-9]{1,4}\) " + TAG_FOLLOWS,
        b"<134>Nov 23 07:24:00 isilon-9(id4) audit_protocol[411]: S-1-5-21-9|0|System|4|SMB|192.0.2.31|SUCCESS|CREATE",
        drops=rb"\([a-z0-9]++\)"),
    # FACILITY.LEVEL before the host: Cisco Meeting Server, Synology, DD-WRT
    Shape("facility-and-level", rb"(?:kern|user|mail|daemon|auth|syslog|lpr|news|uucp|cron|authpriv|ftp|local[0-7])\."
        + LEVEL + _BLANKS + _HOST,
        b"<14>Nov 23 07:24:00 user.info meeting-1 authp: connection to directory 192.0.2.20 is up",
        drops=rb"[a-z]++[0-7]?\." + LEVEL),
    # NAME,MAC,FIRMWARE or NAME MAC,FIRMWARE. An access point without a name sends MAC,FIRMWARE alone
    Shape("unifi", rb"(?:(?P<host>" + _NAME + rb")[, ])?" + UNIFI,
        b"<30>Nov 23 07:24:00 U6LR,78452c0a1b2c,v6.2.44.14098: hostapd[2212]: ath0: STA 02:00:5e:10:00:07 associated",
        drops=UNIFI_DROPS),
    Shape("netscaler", rb"(?:" + _HOST + rb")?(?P<msg>)(?=[0-9]++-PPE-[0-9]++ :)",
        b"<134> 23/11/2026:07:24:00 GMT adc-1 0-PPE-0 : default TCP CONN_TERMINATE 1087 0 :  Source 192.0.2.3:44010"),
    Shape("netapp", rb"(?P<msg>)\[(?P<host>" + _NAME + rb"):[A-Za-z0-9_.]++:[a-z]++\]: ",
        b"<13>Nov 23 07:24:00 [filer-a:secd.ldap.noServers:alert]: None of the LDAP servers is reachable"),
    Shape("aix-forwarded", rb"[Mm]essage forwarded from (?P<host>" + HOST + rb"):" + _BLANKS,
        b"<38>Nov 23 07:24:00 Message forwarded from lpar12: sshd[5767398]: Accepted publickey for oper",
        drops=rb"[Mm]essage forwarded from"),
    Shape("repeated", rb"(?:(?![Ll]ast |[Mm]essage )" + _HOST
        + rb")?(?P<msg>)(?=(?:[Ll]ast m|[Mm])essage repeated [0-9]++ time)",
        b"<38>Nov 23 07:24:00 last message repeated 7 times"),
    Shape("vectra", _HOST + rb"(?P<app>vectra\w*+) (?P<msg>)(?=-: )",
        b'<13>Nov 23 07:24:00 brain-1 vectra_json_v2 -: {"category": "HOST SCORING", "threat": 12}'),
    Shape("pan-os", rb"(?:" + _HOST + rb")?(?P<msg>)(?=[0-9A-Fx]*+,20[0-9]{2}/[0-9]{2}/[0-9]{2} )",
        b"<14>Nov 23 07:24:00 PA-850 1,2026/11/23 07:24:00,013201000001,TRAFFIC,end,2560,"
        b"2026/11/23 07:24:00,192.0.2.5"),
    # ProCurve writes an event number before the tag
    Shape("procurve", _HOST + rb"(?P<content>)[0-9]{5} (?P<app>[A-Za-z0-9_-]++): ?(?P<msg>)",
        b"<14>Nov 23 07:24:00 192.0.2.30 00076 ports:  port 12 is now on-line",
        drops=rb"[0-9]{5}"),
    # sysklogd adds its version to the tag of its own messages
    Shape("sysklogd", _HOST + rb"(?P<app>syslogd [0-9][0-9.]*+(?:#[0-9]++)?): ?(?P<msg>)",
        b"<46>Nov 23 07:24:00 print-2 syslogd 1.5.0: restart."),
    Shape("ansible", _HOST + rb"(?P<app>ansible-<[a-z]++>): ?(?P<msg>)",
        b"<14>Nov 23 07:24:00 web-1 ansible-<stdin>: Invoked with name=nginx state=restarted"),
    # macOS: application names may contain blanks
    Shape("macos", _HOST
        + rb"(?P<app>[A-Z][A-Za-z]*+(?: [A-Z0-9][A-Za-z0-9.]*+){1,3})\[(?P<pid>[0-9]++)\]: ?(?P<msg>)",
        b"<13>Nov 23 07:24:00 mac-anna Activity Monitor[731]: sampling has ended"),
    # RFC 5424 without its version: Juniper, VMware. The fields are restricted, so that plain text does not match, such
    # as the columns of an access log.
    Shape("rfc5424-without-version",
        rb"(?P<host>[^\s:]++|-) (?P<app>(?!" + IPV4 + rb" )[^\s:]++) (?P<pid>-|[0-9]++) (?P<msgid>-|[A-Z][A-Z0-9_]*+) "
        rb"(?P<sd>-|(?:" + SD_ELEMENT + rb")++)" + _BEFORE_MSG,
        b'<165>2026-11-23T07:24:00.003Z srx-1 RT_FLOW - RT_FLOW_SESSION_DENY [junos@2636.1.1.1.2.129 reason="policy"]',
        format="rfc5424", needs="iso"),
    Shape("bracketed-host", rb"\[(?P<host>" + IPV4 + rb"|" + IPV6 + rb")\]" + _BLANKS,
        b"<134>Nov 23 07:24:00 [192.0.2.143] FeedServer: connection to the cloud is up again"),
    # A level in the place of the host, before a tag
    Shape("level-before-tag", UPPER_LEVEL + _BLANKS + rb"(?!%)" + TAG_FOLLOWS,
        b'<174>Nov 23 07:24:00 INFO uvm[0]: {"class": "AdminLoginEvent", "login": "anna"}',
        drops=UPPER_LEVEL),
)  # fmt: skip

_SD = rb"(?:" + SD_ELEMENT + rb")++"
_FIELDS = (
    rb"(?P<host>[^\s:]++|"
    + IPV6
    + rb"|-) (?P<app>[^\s:]++(?::(?= (?:-|[0-9]++) \S++ \[))?) (?P<pid>\S++) (?P<msgid>\S++)"
)

# After `1 ` and a date of ISO 8601, if the header is not valid RFC 5424: fields are missing, or the time has a blank
# instead of the T.
VERSIONED = ShapeTable(
    Shape("rfc5424-other-time", _FIELDS + rb" (?P<sd>-|" + _SD + rb")" + _BEFORE_MSG,
        b"<166>1 2026-11-23 07:24:00 leaf-3 bgp#zebra 292 - -  message repeated 3 times: [ route withdrawn ]",
        format="rfc5424"),
    # Check Point: the text in brackets is not valid structured data
    Shape("rfc5424-foreign-data",
        rb"(?P<host>[^\s:]++|-) (?P<app>[^\s:]++) (?P<pid>-|[0-9]++) (?P<msgid>-|[A-Za-z][A-Za-z0-9_]*+) "
        rb"(?P<msg>)(?=\[)",
        b'<134>1 2026-11-23 07:24:00 MDS-7 CheckPoint 13752 - [action:"Drop"; flags:"150784"; ifname:"eth1"]',
        format="rfc5424"),
    # The pid is part of the app name, so one field is missing: BIND through some relays
    Shape("rfc5424-pid-in-app",
        rb"(?P<host>[^\s:]++|-) (?P<app>[^\s:\[\]]++)\[(?P<pid>[0-9]++)\] (?P<msgid>-|[A-Z][A-Z0-9_]*+) "
        rb"(?P<sd>-|(?:" + SD_ELEMENT + rb")++)" + _BEFORE_MSG,
        b"<174>1 2026-11-23T07:24:00Z resolver-2 named[4711] - -  info: client 192.0.2.77#53110: query: example.org IN",
        format="rfc5424"),
)  # fmt: skip

# Without structured data, MSG begins at the first field after APP-NAME that is neither `-` nor a number.
WITHOUT_DATA = ShapeTable(
    Shape("rfc5424-without-data",
        rb"(?P<host>" + HOST + rb") (?!MSWinEventLog|[0-9.:-]++ )"
        rb"(?P<app>[A-Za-z0-9_%][A-Za-z0-9_./+@$#~*%\x28\x29\x80-\xff-]*+)"
        rb"(?: (?P<pid>-|[0-9]++)(?: (?P<msgid>-|[0-9]++|ID[0-9]++)(?= |\Z))?(?= |\Z))?"
        rb"(?: |\Z)(?P<msg>)(?=\S|(?<= )\Z)",
        b"<38>1 2026-11-23T07:24:00.003Z backup-2 cluster_audit 4711 user anna has signed in",
        format="rfc5424"),
)  # fmt: skip

EPOCH = ShapeTable(
    # Meraki's dashboard: the word after the host is the event type, not a tag
    Shape("meraki", rb"(?P<host>(?![0-9]++ )[A-Za-z0-9_.-]++) (?P<msg>)(?=[a-z][a-z_-]++ )",
        b"<134>1 1795418640.795119971 MX_lyon flows src=192.0.2.8 dst=198.51.100.5 protocol=udp sport=53 pattern: all",
        needs="epoch"),
)  # fmt: skip
