"""Defines the formats from D to M: dhcpd to Microsoft."""

from bridge.formats import rules
from bridge.formats.format import Format

FORMATS = (
    Format(
        name="dhcpd",
        product="ISC dhcpd",
        begins=rb"DHCP(DISCOVER|OFFER|N?ACK|REQUEST|DECLINE|RELEASE|INFORM) ",
        foreign=28,
        setting="log-facility local7; rsyslog forwards it",
        notes=("The parser fails on a blank before the text. This payload form has none.",),
        example=b"<190>Nov 23 07:24:00 gw01 dhcpd[1204]: DHCPACK on 192.0.2.108 to 02:00:5e:00:53:1c (pc-17) via eth0",
        aliases=("isc-dhcpd",),
    ),
    Format(
        name="ekinops-oneos",
        product="Ekinops OneOS",
        payload="device",
        own_time="Mmm d h:m:s; the parser guesses the year",
        loses="the PRI; the host in the text is always localhost, so the events do not name the device",
        begins=rb"\w{3} +\d+ \d\d:\d\d:\d\d localhost : #\w+# ",
        setting="syslog server ADDRESS 23 tcp PORT; logging syslog filter all",
        example=b"<189>Nov 23 07:24:00 localhost : #NOTIFY# LOGIN_SUCCESS for VTY user 'admin' from Local Console at "
        b"07:23:58  Mon Nov 23 2026",
        aliases=("oneos",),
    ),
    Format(
        name="f5-big-ip",
        product="F5 BIG-IP LTM, APM, ASM, AFM",
        payload="content",
        rule=rules.F5,
        also="ASM:CEF:0|... from the application firewall",
        own_time="rt=, only in CEF",
        names_device="dvchost= in CEF; the host in events of APM",
        loses="time and host of the header (for CEF also the app-name, for APM only the PRI)",
        begins=rb"((CEF|ASM|PSM):)?CEF:0\|F5|\w+\d*\[\d+\]: |\w{3} +\d+ [\d:]+ \S+ \w+ apmd\[|Rule /|/\w+/|\d{8}:\d: ",
        foreign=18,
        setting="remote logging over UDP 514; for ASM and AFM the remote storage type ArcSight (CEF)",
        example=b"<131>Nov 23 07:24:00 slot1/bigip-01 err tmm1[20358]: 01260013:3: SSL Handshake failed for TCP "
        b"192.0.2.10:51234 -> 192.0.2.80:443",
        aliases=("f5", "big-ip"),
    ),
    Format(
        name="forcepoint-management-server",
        product="Forcepoint Security Management Center (SMC)",
        own_time="Timestamp, UTC",
        names_device="NodeId and CompId",
        begins=rb'Timestamp="\d{4}-',
        setting="log forwarding, format McAfee ESM",
        example=b'<6>Timestamp="2026-11-23 07:24:00",NodeId="192.0.2.11",CompId="Mngt Server 01",InfoMsg="Login '
        b'succeeded for user jdoe in domain Shared Domain",EventId="830427305296"',
        aliases=("forcepoint-smc",),
    ),
    Format(
        name="forcepoint-ngfw",
        product="Forcepoint NGFW",
        rule=rules.FROM_CEF_OR_LEEF,
        own_time="rt= in CEF, devTime= in LEEF",
        names_device="dvchost= and deviceExternalId=",
        begins=rb"(CEF:0|LEEF:1\.0)\|(?i:forcepoint)\|",
        setting="log forwarding, format CEF or LEEF",
        notes=("LEEF separates its fields by TABs. A relay that writes them as #011 makes the event unreadable.",),
        example=b"<6>CEF:0|FORCEPOINT|Firewall|6.8.5|70019|Connection_Discarded|0|deviceExternalId=NGFW2 node 1 "
        b"dvchost=192.0.2.1 dvc=192.0.2.1 src=192.0.2.10 dst=203.0.113.4 spt=51544 dpt=443 rt=Nov 23 2026 07:24:00",
    ),
    Format(
        name="forcepoint-swg",
        product="Forcepoint (Websense) Secure Web Gateway",
        rule=rules.FROM_CEF,
        also="0|Forcepoint|... if a relay read CEF: as a tag",
        own_time="rt=",
        names_device="dvc=",
        begins=rb"(CEF: ?)?0\|Forcepoint\|",
        setting="SIEM integration: TCP 514, format syslog/CEF",
        example=b"<159>Nov 23 07:24:00 wcg01 CEF:0|Forcepoint|Security|8.5.4|9|Transaction blocked|7| act=blocked "
        b"app=http dvc=192.0.2.8 dst=203.0.113.80 dhost=www.example.org dpt=80 src=192.0.2.10 rt=1795418640000",
        aliases=("websense",),
    ),
    Format(
        name="fortinet-fortigate",
        product="Fortinet FortiGate",
        rule=rules.FROM_CEF,
        also="CSV; CEF:0|Fortinet|...; if a relay read the first word as a tag, 0|Fortinet|... and time= instead of "
        "date=",
        own_time="eventtime= or timestamp= (with tz=), start= in CEF; date= and time= alone are not used",
        names_device="devname= (deviceExternalId= in CEF)",
        begins=rb"(CEF:)?0\|Fortinet\||(date|time|timestamp|eventtime|devname|type|logver)=",
        foreign=79,
        setting="config log syslogd setting: set status enable, set server ADDRESS, set mode reliable (TCP), set "
        "format rfc5424 or cef",
        example=b'<189>date=2026-11-23 time=08:24:00 devname="FGT-LYON" devid="FG100F0000000001" '
        b'eventtime=1795418640123456789 tz="+0100" logid="0000000013" type="traffic" subtype="forward" level="notice" '
        b'vd="root" srcip=192.0.2.10 dstip=203.0.113.80 action="close"',
        aliases=("fortigate",),
    ),
    Format(
        name="fortinet-fortimail",
        product="Fortinet FortiMail",
        names_device="device_id=",
        begins=rb"(date|time|to)=\S+ \w+=",
        foreign=82,
        setting="Log and Report, Remote: UDP 514, with a separate facility",
        example=b"<190>date=2026-11-23 time=08:24:00.124 device_id=FEVM020000087260 log_id=0200012345 type=event "
        b"subtype=smtp "
        b'pri=information user=mail ui=mail action=NONE status=N/A session_id="4AN7O0kA001234" msg="STARTTLS=server"',
        aliases=("fortimail",),
    ),
    Format(
        name="fortinet-fortiproxy",
        product="Fortinet FortiProxy",
        names_device="devname=",
        begins=rb'(date|time|devname)="?[\w":-]+ (devname|devid|time)=',
        foreign=48,
        setting="remote logging: UDP 514",
        notes=("The parser ignores the times in the text and uses the request's timestamp.",),
        example=b'<189>date=2026-11-23 time=08:24:00 devname="FPX-01" devid="FPXVM00000000001" logid="0000000013" '
        b'type="traffic" subtype="forward" level="notice" vd="root" srcip=192.0.2.10 dstip=203.0.113.80',
        aliases=("fortiproxy",),
    ),
    Format(
        name="fortinet-fortiweb",
        product="Fortinet FortiWeb",
        names_device="devname= or device_id=",
        begins=rb"(date|time|timestamp|cat)=\S+ \w+=",
        foreign=111,
        setting="a syslog policy: UDP 514",
        example=b"<185>date=2026-11-23 time=08:24:00 log_id=20000008 msg_id=000000055888 device_id=FVVM010000000001 "
        b'vd=root timezone="(GMT+1:00)Paris" type=attack subtype=waf pri=alert src=192.0.2.10 action=Alert_Deny',
        aliases=("fortiweb",),
    ),
    Format(
        name="freeradius",
        product="FreeRADIUS",
        begins=rb"\(\d+\) +(Login|Invalid)|Ignoring request ",
        setting="radiusd.conf: destination = syslog, syslog_facility = local1; rsyslog forwards it",
        example=b"<142>Nov 23 07:24:00 radius01 radiusd[991]: (548804) Login OK: [jdoe] (from client WLAN port 13 cli "
        b"02-00-5E-00-53-55)",
        aliases=("radius",),
    ),
    Format(
        name="gravityzone",
        product="Bitdefender GravityZone",
        rule=rules.GRAVITYZONE,
        also="the text within double quotes",
        own_time="eventdate=, start= or end=",
        names_device="dvchost= (the protected machine)",
        begins=rb'"?CEF:0\|Bitdefender\|',
        setting="on-premise consoles send CEF over syslog (SEKOIA.IO's page describes only the HTTPS push API, "
        "serviceType cef)",
        example=b"<134>Nov 23 07:24:00 gravityzone01 CEF:0|Bitdefender|GravityZone|6.50.0-27|10|AntiMalware|9|"
        b"BitdefenderGZModule=av dvchost=PC-17 act=deleted fname=eicar.com",
        aliases=("bitdefender",),
    ),
    Format(
        name="haproxy",
        product="HAProxy",
        rule=rules.HAPROXY,
        begins=rb"[\da-fA-F.:]+:\d+ \[\d\d/\w{3}/\d{4}:|Connect from |\S+\[\d+\]: \[\w+\] \d+ \{",
        setting="log 127.0.0.1:514 local0; rsyslog forwards it over TCP with octet counting",
        example=b"<134>Nov 23 07:24:00 lb01 haproxy[2145]: 192.0.2.10:65276 [23/Nov/2026:07:24:00.909] www~ app/srv1 "
        b'0/0/0/5/5 200 7500 - - --VN 409/407/0/0/0 0/0 "GET /css/site.css HTTP/1.1"',
    ),
    Format(
        name="ibm-aix",
        product="IBM AIX audit",
        begins=rb"([A-Z]+_\w+|filename \S+ [A-Z]+_\w+)\s+\S+|flags: |from \S+: ",
        foreign=11,
        setting="auditstream, auditpr and logger in streamcmds; in syslog.conf: *.info @ADDRESS",
        example=b"<141>Nov 23 07:24:00 aix01 audit: CRON_Finish cron root root OK 23 nov 2026 07:24:00.861158 No "
        b"associated roles user = root pid = 3932756",
        aliases=("aix",),
    ),
    Format(
        name="ibm-i",
        product="IBM i",
        rule=rules.FROM_CEF,
        own_time="rt=, as Y-m-d-H.M.S.f",
        begins=rb"CEF:0\|IBM\|IBM i\|",
        setting="syslog: RFC 5424, CEF, TCP recommended",
        example=b"<134>1 2026-11-23T07:24:00Z IBMI01 - - - - CEF:0|IBM|IBM i|7.4|QSYS-QHST|CPC1126|Low|reason=CPC1126 "
        b"msg=The user QSYSOPR has stopped the job 080352/QTMHHTTP/ADMIN. suser=QSYSOPR",
        aliases=("as400",),
    ),
    Format(
        name="infoblox-ddi",
        product="Infoblox NIOS",
        also="with queries: or dd-Mon-Y h:m:s.ms before the text",
        own_time="only a date dd-Mon-Y at the beginning",
        begins=rb"(\d\d-\w{3}-\d{4} \S+ )?(queries: )?client |DHCP[A-Z]+ |Option 82|r-l-e:|\w+ resolving ",
        foreign=63,
        setting="Grid or member properties, Monitoring: an external syslog server",
        example=b"<30>Nov 23 07:24:00 nios01 named[12821]: client @0x7f62b80115d0 192.0.2.70#55575 (docs.example.org): "
        b"query: docs.example.org IN AAAA + (192.0.2.53)",
        aliases=("infoblox",),
    ),
    Format(
        name="juniper-ngfw",
        product="Juniper SRX and other Junos",
        payload="content",
        rule=rules.JUNIPER,
        own_time="only in comma separated events",
        loses="time and host of the header; also the app-name (event.dataset) if the text begins with the event name",
        begins=rb"[A-Z]\w+_\w+(: | \[)|[\w/]+(\[\d+\])?: |1,\d{4}/",
        foreign=350,
        setting="set security log mode stream, format sd-syslog, stream NAME host ADDRESS; set system syslog host "
        "ADDRESS any info, structured-data",
        example=b"<14>1 2026-11-23T07:24:00.250+01:00 srx01 RT_FLOW - RT_FLOW_SESSION_CLOSE [junos@2636.1.1.1.2.142 "
        b'reason="TCP FIN" source-address="192.0.2.10" source-port="56732" destination-address="203.0.113.80" '
        b'destination-port="443"]',
        aliases=("juniper-srx", "srx", "junos"),
    ),
    Format(
        name="juniper-switches",
        product="Juniper EX and QFX, firewall filters",
        rule=rules.JUNIPER_FILTER,
        begins=rb"FW: \S+ +[ADR] ",
        setting="set system syslog host ADDRESS firewall any, port PORT; in the term of the filter: then syslog",
        example=b"<158>Nov 23 07:24:00 ex01 pfed: FW: et-1/1/1.2505 D 09c9:0800 02:00:5e:00:53:20 -> 02:00:5e:00:53:f7 "
        b" tcp 192.0.2.4 192.0.2.6 46736  3405 (1 packets)",
        aliases=("juniper-ex",),
    ),
    Format(
        name="kaspersky-endpoint-security",
        product="Kaspersky Endpoint Security",
        own_time="Release date, if the event has one",
        begins=rb"(Event type|Result description): ",
        setting="Kaspersky Security Center: SIEM export over syslog (RFC 5424), TLS over TCP",
        notes=("The product writes the characters \\r and \\n into the text. They are sent unchanged.",),
        example=b'<11>1 2026-11-23T07:24:00.000Z KSC01 KES|12.0.0.0 - 000000d7 [event@23668 p1="eicar" et="GNRL_EV"] '
        b"Event type: Malicious object detected\\r\\nResult description: Detected\\r\\nName: EICAR-Test-File",
        aliases=("kaspersky",),
    ),
    Format(
        name="mcafee-web-gateway",
        product="Skyhigh (McAfee) Web Gateway",
        own_time="request_timestamp_epoch, if it is logged",
        names_device="hostname=",
        begins=rb'(date="[^"]+" hostname|user_id|id)=',
        foreign=93,
        setting="the appliance's rsyslog.conf: daemon.info @@ADDRESS:PORT",
        example=b'<30>Nov 23 07:24:00 mwg01 mwg: date="2026-11-23T07:24:00.390Z" hostname="mwg01" username="jdoe" '
        b'source_ip=192.0.2.10 destination_ip=203.0.113.41 destination_host="www.example.org" http_status=200',
        aliases=("skyhigh-swg",),
    ),
    Format(
        name="microsoft-always-on-vpn",
        product="Microsoft RRAS and NPS (NXLog)",
        own_time="the date m/d/Y and time in the text",
        names_device="the first field",
        begins=rb'"\w[^"]*","(RAS|IAS)",\d\d/\d\d/\d{4},',
        setting="NXLog: im_file on the IAS log, om_tcp to port 514",
        example=b'<13>Nov 23 07:24:00 VPN01 IAS: "VPN01","RAS",11/23/2026,08:24:00,1,"jdoe@example.org",'
        b'"EXAMPLE\\jdoe","192.0.2.6","203.0.113.1",,,"VPN01","192.0.2.4",1519',
        aliases=("always-on-vpn", "nps"),
    ),
    Format(
        name="microsoft-iis",
        product="Microsoft IIS (the IIS log format, sent by NXLog)",
        own_time="the date m/d/Y and time in the text",
        names_device="the sixth field",
        begins=rb"\S+, \S+, \d+/\d+/\d{4}, ",
        setting="IIS log format, UTF-8; NXLog to port 514 or 10514",
        example=b"<13>Nov 23 07:24:00 IIS01 iis: 192.0.2.10, -, 11/23/2026, 8:24:00, W3SVC1, IIS01, 192.0.2.80, 15, "
        b"250, 1024, 200, 0, GET, /index.html, -,",
        aliases=("iis",),
    ),
)
