"""Defines the formats from R to W: RSA SecurID to Windows."""

from bridge.formats import rules
from bridge.formats.format import Format

FORMATS = (
    Format(
        name="rsa-securid",
        product="RSA Authentication Manager (SecurID)",
        names_device="the second field",
        begins=rb"(\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d,\d{3}, |\w+ : TTY=|[A-Z]\w+ [^,]+\.$",
        foreign=20,
        setting="store logs in the internal database and on a remote syslog host",
        example=b"<14>Nov 23 07:24:00 rsaam01 2026-11-23 07:24:00,239, rsaam01.example.org, "
        b"audit.runtime.com.rsa.ims.authn.impl.AuthenticationBrokerImpl, INFO, 43434343,12312312,192.0.2.6,192.0.2.10,"
        b"AUTHN_LOGIN_EVENT,13002,SUCCESS",
        aliases=("securid",),
    ),
    Format(
        name="rubycat-prove-it",
        product="Rubycat PROVE IT",
        rule=rules.RUBYCAT,
        own_time="timestamp in the JSON text",
        begins=rb"\xef\xbb\xbf@cee: \{",
        setting="a syslog server target, TCP recommended",
        notes=(
            "The parser always removes the first seven characters, so the byte order mark and @cee: must be present.",
        ),
        example=b"<14>1 2026-11-23T07:24:00.856+01:00 proveit01 proveit - - - \xef\xbb\xbf@cee: "
        b'{"category": "SYSTEM", "severity": "INFO", "source": {"componentId": "coremanager", "type": "SYSTEM"}, '
        b'"timestamp": "2026-11-23T07:24:00.856489+01:00", "type": "SYSTEM_START"}',
        aliases=("proveit", "rubycat"),
    ),
    Format(
        name="solidserver-ddi",
        product="EfficientIP SOLIDserver",
        begins=rb"(\d+:)?client |DHCP[A-Z]+ |[^:]+ resolving |\w+: |(DIS)?ARMING |List Matched|zone |transfer of|"
        rb"updating ",
        foreign=320,
        setting="a syslog entry for the service dns: address and port of this gateway",
        notes=("The parser fails on a blank before the text. This payload form has none.",),
        example=b"<30>Nov 23 07:24:00 sds01 named[4412]: client @0x7fd36d364968 192.0.2.15#44121 (www.example.org): "
        b"query: www.example.org IN A + (192.0.2.53)",
        aliases=("solidserver", "efficientip"),
    ),
    Format(
        name="sonicwall-fw",
        product="SonicWall SonicOS",
        rule=rules.SONICWALL,
        also="0|SonicWall|... if a relay read CEF: as a tag; Enhanced Syslog with its PRI",
        own_time="start=, rt= or end= in CEF, if present",
        names_device="fw= or dvc=, if present",
        loses="time, host and app-name of the header (nothing for Enhanced Syslog)",
        begins=rb"(CEF:)?0\|SonicWall\||<\d+> *id=firewall ",
        setting="syslog format ArcSight, not Enhanced",
        example=b"<134>Nov 23 07:24:00 nsa4700 CEF:0|SonicWall|NSa 4700|7.0.1-5030-R2007|537|Connection "
        b"Closed|4|cat=1024 "
        b"gcat=6 src=192.0.2.10 spt=40000 deviceInboundInterface=X0 dst=203.0.113.80 dpt=443 cn1=123 dvc=192.0.2.1",
        aliases=("sonicwall", "sonicos"),
    ),
    Format(
        name="sonicwall-sma",
        product="SonicWall Secure Mobile Access",
        own_time="vp_time, UTC",
        names_device="sn= and fw=",
        begins=rb"id=sslvpn sn=",
        setting="a primary syslog server: host and port",
        example=b'<133>Nov 23 07:24:00 sma01 SSLVPN: id=sslvpn sn=0017C5000001 time="2026-11-23 08:24:00" '
        b'vp_time="2026-11-23 07:24:00 UTC" fw=192.0.2.6 pri=5 m=1 c=1 src=203.0.113.4 dst="vpn.example.org" '
        b'user="jdoe"',
    ),
    Format(
        name="sophos",
        product="Sophos Firewall (XG, SFOS), UTM",
        also="without device= at the beginning",
        names_device="device_name= and device_id=",
        begins=rb'device="SFW"|device_name="[^"]*" timestamp=|date=\d{4}-|timestamp="|id="\d+" (severity|srcip)='
        rb"|[\d:]+-[\d:]+ \w+ \w+: id=",
        foreign=9,
        setting="a syslog server: UDP, facility DAEMON, all severities",
        example=b'<30>device="SFW" date=2026-11-23 time=08:24:00 timezone="CET" device_name="XG210" '
        b'device_id=C21007000000001 log_id=010101600001 log_type="Firewall" log_component="Firewall Rule" '
        b'log_subtype="Allowed" src_ip=192.0.2.10',
        aliases=("sophos-firewall", "sophos-xg", "sfos"),
    ),
    Format(
        name="squid",
        product="Squid",
        also="lines like those of Olfeo, dd/mm/YYYY",
        own_time="the epoch at the beginning, or [dd/mm/YYYY h:m:s]",
        begins=rb"\d{10}\.\d{3} +\d+ [\da-fA-F.:]+ \w+/\d{3} |[\d.]+ - \S+ \[\d\d/",
        foreign=15,
        setting="the logformat of SEKOIA.IO's page, and access_log syslog:local5.info FORMAT",
        example=b"<174>Nov 23 07:24:00 proxy01 squid[3387]: 1795418640.277   3387 192.0.2.10 TCP_TUNNEL/200 19131 "
        b"CONNECT www.example.org:443 - HIER_DIRECT/203.0.113.8 -",
    ),
    Format(
        name="stormshield-sns",
        product="Stormshield Network Security",
        also="without id=firewall at the beginning",
        own_time="time= with tz=",
        names_device="fw=",
        begins=rb'(\xef\xbb\xbf)?(id=firewall )?time="?\d{4}-\d\d-\d\d ',
        foreign=11,
        setting="a syslog profile to this gateway: TCP, RFC5424. TLS 10514 with RFC5424 can go directly to SEKOIA.IO",
        example=b"<13>1 2026-11-23T07:24:00+01:00 SN310A0000001 asqd - - - \xef\xbb\xbfid=firewall "
        b'time="2026-11-23 08:24:00" fw="SN310A0000001" tz=+0100 startime="2026-11-23 08:23:43" pri=5 confid=01 '
        b'srcif="Ethernet1" ipproto=tcp src=192.0.2.10 dst=203.0.113.80 dstport=443 action=pass logtype="connection"',
        aliases=("stormshield",),
    ),
    Format(
        name="systancia-cleanroom",
        product="Systancia Cleanroom",
        begins=rb".*? org:\S+, user:|\S+@\S+ ",
        foreign=49,
        setting="syslog over TCP (recommended) or TLS",
        example=b"<14>Nov 23 07:24:00 cleanroom01 cleanroom: Connexion au portail web org:example, user:jdoe@local, "
        b"ip:192.0.2.4",
        aliases=("cleanroom",),
    ),
    Format(
        name="trellix-epo-on-prem",
        product="Trellix (McAfee) ePolicy Orchestrator, on premise",
        rule=rules.BLANK_LINE_ENDS,
        own_time="GMTTime",
        names_device="MachineName (the protected machine)",
        begins=rb"(\xef\xbb\xbf)?<\?xml ",
        setting="a registered server of the type Syslog Server: TCP port with TLS",
        notes=("The text begins with <, which is not the beginning of a PRI.",),
        example=b'<29>1 2026-11-23T07:24:00.0Z EPO01 EPOEvents - EventFwd [agentInfo@3401 tenantId="1" bpsId="1"] '
        b'\xef\xbb\xbf<?xml version="1.0" encoding="UTF-8"?><EPOEvent><MachineInfo><MachineName>PC-17</MachineName></'
        b'MachineInfo><SoftwareInfo ProductName="ENS"><Event><EventID>1027</EventID><GMTTime>2026-11-23T07:23:58</'
        b"GMTTime></Event></SoftwareInfo></EPOEvent>",
        aliases=("trellix-epo", "mcafee-epo"),
    ),
    Format(
        name="trellix-network-security",
        product="Trellix (FireEye) Network Security, NX",
        rule=rules.FROM_CEF,
        own_time="start=, rt= or end=",
        names_device="dvchost=",
        begins=rb"CEF:0\|(Trellix|FireEye)\|",
        setting="notifications over rsyslog, format CEF",
        example=b"<149>fenotify-3463232.alert: CEF:0|Trellix|MPS|10.0.0.992057|IM|infection-match|1|rt=Nov 23 2026 "
        b"07:24:00 UTC src=192.0.2.10 spt=1046 dst=203.0.113.8 dpt=53 dvchost=nx01 dvc=192.0.2.5",
        aliases=("trellix-nx", "fireeye-nx"),
    ),
    Format(
        name="trend-micro-apex-one",
        product="Trend Micro Apex One, Apex Central",
        rule=rules.FROM_CEF,
        also="0|Trend Micro|... if a relay read CEF: as a tag",
        own_time="start=, rt= or end=",
        names_device="dvchost= or dhost= (the protected machine)",
        begins=rb"(CEF:)?0\|Trend Micro\|Apex",
        setting="Apex Central: syslog settings, format CEF",
        example=b"<134>Nov 23 07:24:00 apex01 CEF:0|Trend Micro|Apex Central|2019|700211|Attack Discovery Detections|3|"
        b"deviceExternalId=5 rt=Nov 23 2026 07:24:00 GMT+00:00 dhost=PC-17 dst=192.0.2.150",
        aliases=("apex-one",),
    ),
    Format(
        name="trend-micro-deep-security",
        product="Trend Micro Deep Security, Workload Security",
        rule=rules.FROM_CEF,
        names_device="dvchost= (the protected machine)",
        begins=rb"CEF:0\|Trend Micro\|(Deep Security|Workload)",
        setting="a syslog configuration: CEF, UDP 514, agents send directly",
        example=b"<134>Nov 23 07:24:00 srv01 CEF:0|Trend Micro|Deep Security Agent|20.0.677|4000000|Eicar_test_file|6|"
        b"cn1=1 cn1Label=Host ID dvchost=srv01 cn2=205 cn2Label=Quarantine File Size act=Quarantined",
        aliases=("deep-security",),
    ),
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
        rb"cpu\d+:|\w+:\d+\)\w+: |Executing |USER \w+ pid \d|\w+ [\w/.]*\.\w+$|\w+ on [^\n]{0,60}? to [\da-f.:]+ port |"
        rb"[^\n]{0,80}?( from user \w+ [\da-f]|: [Ss]ession \w+ for user | key (ID|id|Id) |"
        rb"(serial|SERIAL|Serial) \w+ is \d)",
        foreign=69,
        setting="Syslog.global.logHost = tcp://ADDRESS:514",
        notes=("The parser fails on the tag Hostd[PID]: before [Originator@6876 ...], so the message alone is sent.",),
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
        rule=rules.FROM_JSON,
        also="with a colon before the text",
        own_time="UtcTime, if the event has it",
        names_device="Hostname in the JSON text",
        begins=rb':?\{(?=[^\n]*"(Event(Time|ID|ReceivedTime)|SourceName|Hostname|Channel|UtcTime)"\s*:)',
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
