"""Defines the formats from D to F: dhcpd to FreeRADIUS."""

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
)
