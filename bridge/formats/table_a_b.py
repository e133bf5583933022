"""Defines the formats from A to B: ADAudit Plus to Symantec Endpoint Protection."""

from bridge.formats import rules
from bridge.formats.format import Format

FORMATS = (
    Format(
        name="adauditplus",
        product="ManageEngine ADAudit Plus",
        rule=rules.FROM_CEF,
        also="0|ManageEngine|... if a relay read CEF: as a tag",
        own_time="rt=, milliseconds",
        begins=rb"(CEF:)?0\|ManageEngine\|ADAuditPlus\|",
        setting="SIEM integration: ArcSight (CEF)",
        example=b"<14>Nov 23 07:24:00 adaudit01 CEF:0|ManageEngine|ADAuditPlus|8.1|EventLog|Logon Failure|5|cat=Logon "
        b"Failure rt=1795418640000 suser=jdoe shost=PC-17 msg=Bad password",
        aliases=("adaudit",),
    ),
    Format(
        name="alsid",
        product="Tenable Identity Exposure (Alsid for AD)",
        rule=rules.NO_LINE_ENDS,
        begins=rb'"[012]" "\d+" "',
        setting="a syslog alert that sends to this gateway (SEKOIA.IO's page describes an rsyslog relay)",
        example=b'<116>Nov 23 07:24:00 alsid-ceti01 AlsidForAD[4]: "0" "17" "HQ" "corp.example" "C-PASSWORD-POLICY" '
        b'"high" "CN=Default,CN=Policies,CN=System,DC=corp,DC=example" "213" "R-PWD-LENGTH" "7"',
        aliases=("tenable-ad", "tenable-identity-exposure"),
    ),
    Format(
        name="apache-http-server",
        product="Apache HTTP Server",
        begins=rb"(\S+ ){1,2}\S+ \S+ .*?\[\d+/|\[\w+ |\[\w*:\w+\] \[pid",
        foreign=22,
        setting='rsyslog on the web server: imfile with tag "apache:", omfwd over TCP with octet counting',
        example=b'<134>Nov 23 07:24:00 web01 apache: 192.0.2.10 - jdoe [23/Nov/2026:07:24:00 +0000] "GET /index.html '
        b'HTTP/1.1" 200 2326 "-" "curl/8.5.0"',
        aliases=("apache", "httpd"),
    ),
    Format(
        name="apache-spamassassin",
        product="SpamAssassin spamd",
        payload="line",
        also="the message alone, with exactly one blank before it",
        names_device="the host before the tag",
        begins=rb"(\d{4}-\S+T\S+ \S+ spamd\[\d+\]: )?(spamd|dns|prefork): ",
        foreign=50,
        setting="spamd logs to facility local5; rsyslog forwards it",
        notes=("Log lines that rsyslog reads with imfile also need the tag spamd[PID]:.",),
        example=b"<174>Nov 23 07:24:00 mx01 spamd[15185]: spamd: result: . -1 - DKIM_SIGNED,DKIM_VALID "
        b"scantime=0.4,size=3021",
        aliases=("spamassassin",),
    ),
    Format(
        name="aruba-os",
        product="ArubaOS switch and controller, AOS-CX, ClearPass",
        payload="content",
        rule=rules.ARUBA,
        own_time="devTime= of LEEF only",
        begins=rb"[\w-]+(\[\d+\])?: |<\d{6}> <\d+> |Event\|\d|LEEF:1",
        foreign=369,
        setting="logging ADDRESS (UDP), logging level informational",
        notes=("The text begins with <code> <pid>, which is not a PRI.",),
        example=b"<190>Nov 23 07:24:00 ac01 stm[8447]: <501093> <NOTI> AP:02:00:5e:00:53:01 <192.0.2.21 "
        b"02:00:5e:00:53:02>  Auth success: 02:00:5e:00:53:03: AP 192.0.2.21-02:00:5e:00:53:02-ap1",
        aliases=("aruba",),
    ),
    Format(
        name="barracuda-cloudgen-firewall",
        product="Barracuda CloudGen Firewall",
        names_device="the word after the level",
        begins=rb"(Info|Notice|Warning|Security|Error|Fatal|Panic|Alert) +\S+ ",
        setting="Syslog Streaming: address and port of this gateway, TCP or UDP",
        example=b"<13>Nov 23 07:24:00 cgf01 box_Auth_access: Security cgf01 LOGIN ATTEMPT: Login from 192.0.2.44: "
        b"Denied: Firewall Rule BLOCKALL",
        aliases=("barracuda",),
    ),
    Format(
        name="bind",
        product="ISC BIND",
        begins=rb"client |rpz|(view \S+ +)?validating|\w+: \w+: (zone|transfer)|(xfer-\w+: \w+: )?(zone|transfer of) |"
        rb"[\w ]+ resolving ",
        foreign=56,
        setting='a query log file; rsyslog: imfile with tag "bind:", TCP',
        notes=(
            "Set print-time no: the text must not contain a time. Category and severity are read only before zone and "
            "transfer lines.",
            "The parser fails on a blank before the text. This payload form has none.",
        ),
        example=b"<30>Nov 23 07:24:00 ns1 bind: client @0x7f62b80115d0 192.0.2.70#55575 (docs.example.org): query: "
        b"docs.example.org IN A + (192.0.2.53)",
        aliases=("named",),
    ),
    Format(
        name="broadcom-edge-secure-web-gateway",
        product="Broadcom (Blue Coat) Edge Secure Web Gateway",
        payload="device",
        rule=rules.EDGE_SWG,
        names_device="the host directly after the time, without a blank",
        begins=rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[A-Za-z][\w.-]* bluecoat - ",
        setting="a custom access log format: <111>1 DATETTIMEHOST bluecoat - access_log - k=v ...",
        notes=("There is no blank between time and host, so the header is not valid RFC 5424.",),
        example=b"<111>1 2026-11-23T07:24:00PROXY01.EXAMPLE.ORG bluecoat - access_log - c-ip=192.0.2.10 cs-bytes=63 "
        b'cs-categories="none" cs-host=www.example.org sc-status=200',
        aliases=("edge-swg", "bluecoat"),
    ),
    Format(
        name="broadcom-siteminder",
        product="Broadcom SiteMinder",
        own_time="[d/Mon/Y:H:M:S zone]",
        begins=rb"(Auth|Az|Validate)\w+ \S+ \[\d\d/\w{3}/\d{4}:",
        names_device="the word after the event",
        setting="syslog-ng on the server: a file source, destination syslog() over TCP 514",
        example=b"<13>1 2026-11-23T07:24:00+01:00 sm01 smaccess - - - AuthAccept sm01 [23/Nov/2026:07:24:00 +0100] "
        b'"192.0.2.10 uid=jdoe,ou=People,o=example" "agent1 GET /app/" [idletime=3600;maxtime=7200] [0] [] []',
        aliases=("siteminder",),
    ),
    Format(
        name="broadcom-symantec-endpoint-security",
        product="Symantec Endpoint Protection Manager",
        own_time="the fields Begin, End Time, Event time",
        names_device="Server Name",
        begins=rb"Site: |Scan ID: \d|[^,:]+,(Category: \d|Event Description: |IP Address: |\d*[\d.]*,\w+,)",
        foreign=3,
        setting="External Logging: syslog server, TCP 514 recommended",
        notes=("The text is comma separated. Nothing may precede it.",),
        example=b"<54>Nov 23 07:24:00 sepm01 SymantecServer: Site: HQ,Server Name: sepm01,Domain Name: Default,The "
        b"client has downloaded the content package successfully,PC-17,jdoe,example.org",
        aliases=("symantec-endpoint-protection", "sepm"),
    ),
)
