"""Defines the formats from G to M: GravityZone to Microsoft."""

from bridge.formats import rules
from bridge.formats.format import Format

FORMATS = (
    Format(
        name="gravityzone",
        product="Bitdefender GravityZone",
        rule=rules.FROM_CEF,
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
