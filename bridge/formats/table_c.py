"""Defines the formats with C except Cisco's: CEF to Cyberwatch."""

from bridge.formats import rules
from bridge.formats.format import Format

FORMATS = (
    Format(
        name="cef",
        product="CEF of any product",
        rule=rules.FROM_CEF,
        own_time="start=, rt= or end=",
        names_device="dvchost= or dvc=, if the product sends them",
        begins=rb"CEF: ?[01]\|",
        foreign=195,
        setting="CEF over syslog (SEKOIA.IO's page describes an rsyslog relay)",
        notes=("If the product has its own format, use that one: it gives better results.",),
        example=b"<134>Nov 23 07:24:00 gw01 CEF:0|Example|Gateway|1.0|100|Login failed|5|rt=1795418640000 "
        b"src=192.0.2.10 suser=jdoe dvchost=gw01",
    ),
    Format(
        name="checkpoint-firewall",
        product="Check Point Log Exporter",
        rule=rules.CHECKPOINT,
        also="0|Check Point|... if a relay read CEF: as a tag; native syslog [action:...]; quoted values with blanks",
        names_device="origin= or dvchost=, if they are exported",
        begins=rb'(CEF: ?)?0\|\|?Check Point\||syslog\[action:|"\d+" "\d+\w{3}\d{4}"',
        setting="Log Exporter: cp_log_export add name bridge target-server ADDRESS target-port 514 protocol tcp "
        "format cef",
        example=b"<134>Nov 23 07:24:00 cp-gw01 CEF:0|Check Point|VPN-1 & FireWall-1|Check "
        b"Point|Log|https|Unknown|act=Accept "
        b"deviceDirection=0 rt=1795418640000 src=192.0.2.10 spt=33108 dst=203.0.113.80 dpt=443 origin=192.0.2.1",
        aliases=("checkpoint", "check-point"),
    ),
    Format(
        name="citrix-adc",
        product="Citrix NetScaler ADC",
        rule=rules.CITRIX,
        own_time="the date at the beginning, tried as Y/M/D, M/D/Y, D/M/Y in this order",
        names_device="the word after the date",
        loses="the PRI (for CEF and shell commands also time and host)",
        begins=rb'"?\d\d\d?\d?/\d\d/\d\d(\d\d)?:\d\d:\d\d:\d\d |CEF:0\|Citrix|\w+ on \S+ shell_command=|\(null\)|'
        rb"\S+ -> |default ",
        setting="set audit syslogParams -dateFormat MMDDYYYY; for the application firewall: -CEFLogging ON",
        notes=("A D/M/Y date is misread on the first twelve days of a month. Set MMDDYYYY.",),
        example=b"<134> 11/23/2026:07:24:00 GMT ns01 0-PPE-0 : default AAA LOGIN_FAILED 73912122 0 : User jdoe - "
        b'Client_ip 192.0.2.10 - Failure_reason "External authentication server denied access" - Browser curl/8.5.0',
        aliases=("netscaler", "citrix-netscaler"),
    ),
    Format(
        name="claroty-xdome",
        product="Claroty xDome",
        rule=rules.FROM_CEF,
        own_time="event_timestamp",
        begins=rb"CEF:0\|Claroty\|",
        setting="syslog integration: TCP, CEF, RFC 5424",
        example=b"<14>1 2026-11-23T07:24:00Z xdome - - - - CEF:0|Claroty|Industrial Device Security "
        b"Platform|1.0|11111111|Plaintext password login over HTTP from 192.0.2.4 to 192.0.2.8|5|device_ip=192.0.2.4",
        aliases=("claroty",),
    ),
    Format(
        name="clavister-ngfw",
        product="Clavister NetWall",
        begins=rb"id=\d{6,8} event=\w+ ",
        setting="LogReceiverSyslog with facility local1",
        example=b"<142>1 2026-11-23T07:24:00+01:00 cos01 ALG - - - id=200002 event=alg_session_closed message=ALG "
        b"session closed [alg algmod=lw-http algsesid=4711 ]",
        aliases=("clavister",),
    ),
    Format(
        name="cyberark-audit-logs",
        product="CyberArk audit (also reads Vault LEEF)",
        rule=rules.FROM_LEEF,
        also="LEEF: anywhere in the text",
        own_time="only in JSON events",
        begins=rb"LEEF:1\.0\|Cyber-Ark\|",
        foreign=13,
        setting="SEKOIA.IO's page describes only the REST API; for syslog see cyberark-digital-vault",
        notes=("LEEF separates its fields by TABs. A relay that writes them as #011 makes the event unreadable.",),
        example=b"<5>1 2026-11-23T07:24:00Z VAULT01 LEEF:1.0|Cyber-Ark|Vault|14.4.0002|19|sev=6\tAction=Full Gateway "
        b"Connection\tOSUser=\tusrName=jdoe\tsrc=192.0.2.4",
    ),
    Format(
        name="cyberark-digital-vault",
        product="CyberArk Digital Vault",
        rule=rules.FROM_LEEF,
        begins=rb"LEEF:1\.0\|Cyber-Ark\|Vault\|",
        foreign=9,
        setting="dbparm.ini: SyslogServerProtocol=TCP, SyslogTranslatorFile=Syslog\\QRadar.sample.xsl, "
        "UseLegacySyslogFormat=no",
        notes=("LEEF separates its fields by TABs. A relay that writes them as #011 makes the event unreadable.",),
        example=b"<5>1 2026-11-23T07:24:00Z VAULT01 LEEF:1.0|Cyber-Ark|Vault|14.4.0001|7|"
        b"sev=6\tAction=Logon\tEventMessage=Logon\tOSUser=\tusrName=jdoe\tsrc=192.0.2.4\tSourceUser=\tTargetUser=",
        aliases=("cyberark",),
    ),
    Format(
        name="cybereason-malop-activity",
        product="Cybereason CEF forwarder",
        rule=rules.FROM_CEF,
        own_time="rt=, milliseconds",
        begins=rb"CEF:0\|Cybereason\|",
        foreign=5,
        setting="the vendor's CEF Forwarder (a container): address and port of this gateway",
        example=b"<134>Nov 23 07:24:00 cef-forwarder CEF:0|Cybereason|Cybereason|1.0|1|Malop "
        b"Created|5|rt=1795418640409 deviceFacility=Under Investigation cs1=11.1323449861766643222",
        aliases=("cybereason",),
    ),
    Format(
        name="cyberwatch-detection",
        product="Cyberwatch",
        rule=rules.NO_LINE_ENDS,
        own_time="created_at",
        names_device="computer_name (the scanned machine)",
        begins=rb"(node='[^']*',)?active='",
        setting="remote syslog server: host, port, transport",
        example=b"<14>Nov 23 07:24:00 cyberwatch01 cyberwatch: active='true',computer_category='server',"
        b"computer_criticality='criticality_medium',computer_id='42',computer_name='srv01',cve_code='CVE-2026-0001'",
        aliases=("cyberwatch",),
    ),
)
