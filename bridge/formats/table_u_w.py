"""Formats from U to W: Ubika to Windows."""

from bridge.formats import rules
from bridge.formats.format import Format

FORMATS = (
    Format(
        name="ubika-waap",
        product="Ubika WAAP Gateway",
        also="with ISO time, host and log id in front (device less the version)",
        own_time="of access lines d/Mon/Y:H:M:S zone; of JSON its timestamp",
        begins=rb"(\d{4}-\S+T\S+ \S+ [\w-]+:? - - - )?([\da-fA-F.:]+ \S+ \S+ \[\d\d/\w{3}/|\{\")",
        foreign=8,
        setting="a log destination of type Syslog",
        example=b"<134>1 2026-11-23T07:24:00.190263+01:00 waf01 ad97ec2b41c342ebbb1fec1fc283fff3: - - - 203.0.113.8 "
        b"- - "
        b'[23/Nov/2026:07:24:00 +0100] "GET /logo.png HTTP/1.1" 404 1245 "https://www.example.org/" "curl/8.5.0"',
        aliases=("ubika",),
    ),
    Format(
        name="unbound",
        product="Unbound",
        payload="line",
        rule=rules.UNBOUND,
        also="the message alone, [PID:thread] info: ..., which names no device",
        names_device="the host of the line",
        begins=rb"(\d{4}-\S+T\S+ \S+ unbound\[\d+\]: )?\[\d+:[\da-f]+\] (info|query|reply|error|warning|notice|"
        rb"debug): ",
        setting="use-syslog: yes, log-queries: yes; rsyslog forwards daemon.*",
        notes=("Tag and message (content) and a blank before the text are not parsed.",),
        example=b"<30>Nov 23 07:24:00 ns1 unbound[17265]: [17265:0] info: 192.0.2.10 www.example.org. A IN",
    ),
    Format(
        name="varonis-data-security",
        product="Varonis DatAlert",
        rule=rules.FROM_CEF,
        also="0|Varonis|... where a relay took CEF: for a tag",
        own_time="start=, rt= or end=",
        begins=rb"(CEF:)?0\|Varonis[^|]*\|DatAdvantage\|",
        setting="a DatAlert template for CEF, by syslog",
        notes=("Its header follows no RFC, so the time may have to be the one of reception.",),
        example=b"<110>Nov 23 07:24:00 varonis01 CEF:0|Varonis Inc.|DatAdvantage|8.6.32|5011|User locked "
        b"out|3|rt=Nov 23 2026 "
        b"07:24:00 cat=Alert cs2=Lockout: Multiple account lock-out events cs2Label=RuleName duser=jdoe",
        aliases=("varonis",),
    ),
    Format(
        name="vectra-cognito-detect",
        product="Vectra (Cognito Detect)",
        rule=rules.VECTRA,
        names_device="headend_addr of the JSON text",
        begins=rb'([-: ]{1,4})\{"',
        setting="notifications: syslog, format JSON",
        example=b'<13>Nov 23 07:24:00 vectra01 vectra_json_v2 -: {"version": "114285", "src_name": "pc-17", "src_ip": '
        b'"192.0.2.17", "headend_addr": "192.0.2.5", "threat": 33, "certainty": 37}',
        aliases=("vectra",),
    ),
    Format(
        name="veeam-backup",
        product="Veeam Backup & Replication",
        also="nothing else: no other structured data in front, nothing after the last bracket",
        own_time="DateTime m/d/Y h:m:s, where the event has it",
        begins=rb"\[categoryId=\d+ instanceId=\d+ ",
        setting="event forwarding: add a syslog server",
        example=b'<14>1 2026-11-23T07:24:00.250000+01:00 VBR01 Veeam_MP - - [origin enterpriseId="31023"] '
        b"[categoryId=0 "
        b'instanceId=190 JobID="8c0f" JobType="0" JobResult="0" Version="1" Description="Backup job Daily finished"]',
        aliases=("veeam",),
    ),
    Format(
        name="vmware-esxi",
        product="VMware ESXi",
        rule=rules.ESXI,
        also="sshd[PID]: in front; Hostd: only before info hostd[..]",
        begins=rb"(\w+(\[\d+\])?: +)?((info|error|warning|verbose) \w+\[\d+\] )?\[(\w+@\d+ |\w+Correlator\])|"
        rb"(sshd\[\d+\]: )?(Accepted|Connection|Disconnected|Received|Invalid|Failed|pam_unix|User) ?|Event \[|"
        rb"cpu\d+:",
        foreign=69,
        setting="Syslog.global.logHost = tcp://ADDRESS:514",
        notes=(
            "The tag Hostd[PID]: in front of [Originator@6876 ...] is not parsed: the message alone is right.",
            "Of the known inputs, 75 of 85 look like the expression; the parser takes others as plain text.",
        ),
        example=b"<166>2026-11-23T07:24:00.250Z esx01 Hostd: info hostd[2099156] [Originator@6876 "
        b"sub=Vimsvc.ha-eventmgr] Event "
        b"4711 : User root@192.0.2.17 logged in as VMware-client/8.0",
        aliases=("esxi",),
    ),
    Format(
        name="vmware-vcenter",
        product="VMware vCenter Server",
        also="for sudo: with ISO time, host and app-name in front (device less the version)",
        own_time="the ISO time in the text",
        begins=rb"Event \[\d+\] |\[?\d{4}-\d\d-\d\dT\d\d:|\[\d\d/\w{3}/|\S+ : PWD=",
        foreign=28,
        setting="appliance management: syslog forwarding, TCP recommended (the page's rsyslog template is not needed "
        "here)",
        example=b"<14>1 2026-11-23T07:24:00.394Z vc01 vpxd 7879 - - Event [11111111] [1-1] "
        b"[2026-11-23T07:24:00.335088Z] "
        b"[vim.event.UserLoginSessionEvent] [info] [EXAMPLE\\jdoe] [] [11111111] [User EXAMPLE\\jdoe@192.0.2.17 "
        b"logged in]",
        aliases=("vcenter",),
    ),
    Format(
        name="wallix-bastion",
        product="WALLIX Bastion",
        rule=rules.WALLIX,
        also="RFC 5424 text less PRI and version, read as key=value",
        begins=rb'\[(wabaudit|sshproxy|SSH Session|RDP Session|sessionintegrity|\w+)\] |pam_unix\(|action="|'
        rb"\w+ : TTY=|\w+: \[|\d{4}-\S+T\S+ \S+ \S+ \d+ - - \[",
        foreign=12,
        setting="SIEM integration: RFC 3164 with ISO timestamps, TCP or UDP",
        example=b'<38>2026-11-23T07:24:00+01:00 bastion01 wabaudit[2211]: [wabaudit] action="edit" type="User" '
        b'user="admin" '
        b'client_ip="192.0.2.17" infos="UserName [jdoe]"',
        aliases=("wallix",),
    ),
    Format(
        name="watchguard-firebox",
        product="WatchGuard Firebox",
        rule=rules.FROM_LEEF,
        also="1.0|WatchGuard|... where a relay took LEEF: for a tag; #011 for TABs",
        names_device="host_name= or sys_name=",
        begins=rb"(LEEF:)?1\.0\|WatchGuard\|",
        setting="a syslog server: format IBM LEEF, with the serial number, without the time stamp",
        example=b"<142>Nov 23 07:24:00 fb01 LEEF:1.0|WatchGuard|XTM|12.8.2.B666661|30000148|"
        b"serial=80BE08000000\tpolicy=HTTPS-00"
        b"\tdisp=Allow\tin_if=Trusted\tout_if=External\tsrc=192.0.2.10\tsrcPort=52075\tdst=203.0.113.80\tdstPort=443",
        aliases=("watchguard", "firebox"),
    ),
    Format(
        name="windows",
        product="Windows events as JSON (NXLog)",
        rule=rules.BLANK_LINE_ENDS,
        also="a colon in front",
        own_time="UtcTime, where the event has it",
        names_device="Hostname of the JSON text",
        begins=rb":?\{",
        setting="NXLog: im_msvistalog, to_json into the message, om_tcp to 514 or om_ssl to 10514 with OutputType "
        "Syslog_TLS",
        example=b"<14>1 2026-11-23T07:24:00.000000+01:00 DC01.example.org Microsoft-Windows-Security-Auditing 612 - "
        b'[NXLOG@14506 EventID="4624" Keywords="-9214364837600034816"] {"EventTime":"2026-11-23 08:24:00",'
        b'"Hostname":"DC01.example.org","EventType":"AUDIT_SUCCESS","SeverityValue":2,"EventID":4624}',
        aliases=("windows-nxlog",),
    ),
    Format(
        name="windows-log-insight",
        product="Windows events of VMware's Log Insight agent",
        rule=rules.LOG_INSIGHT,
        begins=rb"(?s)[^:=]+\.#015#012|.+\(utilisateur=",
        setting="the agent's liagent.ini: proto=syslog; TCP with octet counting, as its texts hold line ends",
        notes=("Line feeds must reach the bridge inside one frame: plain LF framing cuts these texts into pieces.",),
        example=b"<14>1 2026-11-23T07:24:00.000Z DC01 Microsoft-Windows-Security-Auditing - - - An account was "
        b"logged off."
        b"\r\n\r\nSubject:\r\n\tSecurity ID:\t\tS-1-5-21-1494196517-1000\r\n\tAccount Name:\t\tjdoe",
        aliases=("log-insight-windows",),
    ),
)
