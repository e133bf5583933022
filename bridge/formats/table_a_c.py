"""Defines the formats from A to C except Cisco's: ADAudit Plus to Cyberwatch."""

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
        rule=rules.SEPM_SITE,
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
