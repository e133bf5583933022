"""Defines the formats from U to W: Ubika to Windows."""

from bridge.formats import rules
from bridge.formats.format import Format

FORMATS = (
    Format(
        name="ubika-waap",
        product="Ubika WAAP Gateway",
        also="with ISO time, host and log id before the text (payload device, without the version)",
        own_time="d/Mon/Y:H:M:S zone in access lines; timestamp in JSON",
        begins=rb"(\d{4}-\S+T\S+ \S+ [\w-]+:? - - - )?([\da-fA-F.:]+ \S+ \S+ \[\d\d/\w{3}/|\{\")",
        foreign=8,
        setting="a log destination of the type Syslog",
        example=b"<134>1 2026-11-23T07:24:00.190263+01:00 waf01 ad97ec2b41c342ebbb1fec1fc283fff3: - - - 203.0.113.8 - "
        b'- [23/Nov/2026:07:24:00 +0100] "GET /logo.png HTTP/1.1" 404 1245 "https://www.example.org/" "curl/8.5.0"',
        aliases=("ubika",),
    ),
    Format(
        name="unbound",
        product="Unbound",
        payload="line",
        rule=rules.UNBOUND,
        also="the message alone, [PID:thread] info: ..., which does not name the device",
        names_device="the host before the tag",
        begins=rb"(\d{4}-\S+T\S+ \S+ unbound\[\d+\]: )?\[\d+:[\da-f]+\] (info|query|reply|error|warning|notice|"
        rb"debug): ",
        setting="use-syslog: yes, log-queries: yes; rsyslog forwards daemon.*",
        notes=("The parser fails on tag and message (payload: content), and on a blank before the text.",),
        example=b"<30>Nov 23 07:24:00 ns1 unbound[17265]: [17265:0] info: 192.0.2.10 www.example.org. A IN",
    ),
    Format(
        name="varonis-data-security",
        product="Varonis DatAlert",
        rule=rules.FROM_CEF,
        also="0|Varonis|... if a relay read CEF: as a tag",
        own_time="start=, rt= or end=",
        begins=rb"(CEF:)?0\|Varonis[^|]*\|DatAdvantage\|",
        setting="a DatAlert template for CEF over syslog",
        notes=("The header does not follow an RFC. If its time cannot be read, the time of reception is used.",),
        example=b"<110>Nov 23 07:24:00 varonis01 CEF:0|Varonis Inc.|DatAdvantage|8.6.32|5011|User locked out|3|rt=Nov "
        b"23 2026 07:24:00 cat=Alert cs2=Lockout: Multiple account lock-out events cs2Label=RuleName duser=jdoe",
        aliases=("varonis",),
    ),
    Format(
        name="vectra-cognito-detect",
        product="Vectra (Cognito Detect)",
        rule=rules.VECTRA,
        names_device="headend_addr in the JSON text",
        begins=rb'([-: ]{1,4})\{"',
        setting="notifications: syslog, format JSON",
        example=b'<13>Nov 23 07:24:00 vectra01 vectra_json_v2 -: {"version": "114285", "src_name": "pc-17", "src_ip": '
        b'"192.0.2.17", "headend_addr": "192.0.2.5", "threat": 33, "certainty": 37}',
        aliases=("vectra",),
    ),
    Format(
        name="veeam-backup",
        product="Veeam Backup & Replication",
        also="nothing else: no other structured data before it, nothing after the last bracket",
        own_time="DateTime m/d/Y h:m:s, if the event has it",
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
        also="with sshd[PID]: before the text; with Hostd: only before info hostd[..]",
        begins=rb"(\w+(\[\d+\])?: +)?((info|error|warning|verbose) \w+\[\d+\] )?\[(\w+@\d+ |\w+Correlator\])|"
        rb"(sshd\[\d+\]: )?(Accepted|Connection|Disconnected|Received|Invalid|Failed|pam_unix|User) ?|Event \[|"
        rb"cpu\d+:",
        foreign=69,
        setting="Syslog.global.logHost = tcp://ADDRESS:514",
        notes=(
            "The parser fails on the tag Hostd[PID]: before [Originator@6876 ...], so the message alone is sent.",
            "The expression matches 75 of the 85 known inputs. The parser reads the others as plain text.",
        ),
        example=b"<166>2026-11-23T07:24:00.250Z esx01 Hostd: info hostd[2099156] [Originator@6876 "
        b"sub=Vimsvc.ha-eventmgr] Event 4711 : User root@192.0.2.17 logged in as VMware-client/8.0",
        aliases=("esxi",),
    ),
    Format(
        name="vmware-vcenter",
        product="VMware vCenter Server",
        also="sudo events with ISO time, host and app-name before the text (payload device, without the version)",
        own_time="the ISO time in the text",
        begins=rb"Event \[\d+\] |\[?\d{4}-\d\d-\d\dT\d\d:|\[\d\d/\w{3}/|\S+ : PWD=",
        foreign=28,
        setting="appliance management: syslog forwarding, TCP recommended (the rsyslog template of SEKOIA.IO's page is "
        "not needed)",
        example=b"<14>1 2026-11-23T07:24:00.394Z vc01 vpxd 7879 - - Event [11111111] [1-1] "
        b"[2026-11-23T07:24:00.335088Z] [vim.event.UserLoginSessionEvent] [info] [EXAMPLE\\jdoe] [] [11111111] [User "
        b"EXAMPLE\\jdoe@192.0.2.17 logged in]",
        aliases=("vcenter",),
    ),
    Format(
        name="wallix-bastion",
        product="WALLIX Bastion",
        rule=rules.WALLIX,
        also="RFC 5424 text without PRI and version, read as key=value",
        begins=rb'\[(wabaudit|sshproxy|SSH Session|RDP Session|sessionintegrity|\w+)\] |pam_unix\(|action="|'
        rb"\w+ : TTY=|\w+: \[|\d{4}-\S+T\S+ \S+ \S+ \d+ - - \[",
        foreign=12,
        setting="SIEM integration: RFC 3164 with ISO timestamps, TCP or UDP",
        example=b'<38>2026-11-23T07:24:00+01:00 bastion01 wabaudit[2211]: [wabaudit] action="edit" type="User" '
        b'user="admin" client_ip="192.0.2.17" infos="UserName [jdoe]"',
        aliases=("wallix",),
    ),
    Format(
        name="watchguard-firebox",
        product="WatchGuard Firebox",
        rule=rules.FROM_LEEF,
        also="1.0|WatchGuard|... if a relay read LEEF: as a tag; #011 instead of TABs",
        names_device="host_name= or sys_name=",
        begins=rb"(LEEF:)?1\.0\|WatchGuard\|",
        setting="a syslog server: format IBM LEEF, with the serial number, without the timestamp",
        example=b"<142>Nov 23 07:24:00 fb01 LEEF:1.0|WatchGuard|XTM|12.8.2.B666661|30000148|"
        b"serial=80BE08000000\tpolicy=HTTPS-00"
        b"\tdisp=Allow\tin_if=Trusted\tout_if=External\tsrc=192.0.2.10\tsrcPort=52075\tdst=203.0.113.80\tdstPort=443",
        aliases=("watchguard", "firebox"),
    ),
    Format(
        name="windows",
        product="Windows events as JSON (NXLog)",
        rule=rules.BLANK_LINE_ENDS,
        also="with a colon before the text",
        own_time="UtcTime, if the event has it",
        names_device="Hostname in the JSON text",
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
        product="Windows events sent by VMware's Log Insight agent",
        rule=rules.LOG_INSIGHT,
        begins=rb"(?s)[^:=]+\.#015#012|.+\(utilisateur=",
        setting="liagent.ini of the agent: proto=syslog; TCP with octet counting, because the texts contain line ends",
        notes=("Use octet counting: LF framing would split these texts at their line ends.",),
        example=b"<14>1 2026-11-23T07:24:00.000Z DC01 Microsoft-Windows-Security-Auditing - - - An account was logged "
        b"off.\r\n\r\nSubject:\r\n\tSecurity ID:\t\tS-1-5-21-1494196517-1000\r\n\tAccount Name:\t\tjdoe",
        aliases=("log-insight-windows",),
    ),
)
