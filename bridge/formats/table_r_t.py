"""Defines the formats from R to T: RSA SecurID to Trend Micro."""

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
        begins=rb'device="SFW"|date=\d{4}-|timestamp="|id="\d+" (severity|srcip)=|[\d:]+-[\d:]+ \w+ \w+: id=',
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
)
