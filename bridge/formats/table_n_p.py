"""Defines the formats from N to P: netfilter to Pulse Connect Secure."""

from bridge.formats import rules
from bridge.formats.format import Format

FORMATS = (
    Format(
        name="netfilter",
        product="Linux netfilter (iptables, nftables)",
        also="with kernel: before the text",
        begins=rb"[^=]*?\bIN=\S* OUT=",
        setting='a LOG target with --log-prefix "IPTables: Dropped: "; rsyslog forwards kern.*',
        example=b"<4>Nov 23 07:24:00 gw01 kernel: IPTables: Dropped: IN=eth0 OUT= "
        b"MAC=02:00:5e:00:53:01:02:00:5e:00:53:02:08:00 SRC=203.0.113.43 DST=192.0.2.30 LEN=52 TOS=0x00 TTL=64 "
        b"PROTO=TCP SPT=51234 DPT=22",
        aliases=("iptables", "nftables"),
    ),
    Format(
        name="netwrix-auditor",
        product="Netwrix Auditor",
        rule=rules.FROM_CEF,
        begins=rb"CEF:0\|Netwrix\|",
        setting="the vendor's SIEM add-on, CEF",
        notes=(
            "The parser reads the time in the text (also with French months) but does not use it as the event's time.",
        ),
        example=b"<110>1 2026-11-23T07:24:00Z NWX01 Netwrix - - - CEF:0|Netwrix|Exchange Online|1.0|Added|Added "
        b"Mailbox|0|shost=EX01 cat=Mailbox suser=jdoe@example.org filePath=mailboxes/new start=Nov 23 2026 07:24:00",
        aliases=("netwrix",),
    ),
    Format(
        name="nginx",
        product="NGINX",
        also="an access line with the virtual host before it",
        own_time="d/Mon/Y:H:M:S zone in access lines, Y/m/d H:M:S in error lines",
        begins=rb"(\S+ )?[\da-fA-F.:]+ - .*?\[\d\d/\w{3}/|\d{4}/\d\d/\d\d \S+ \[\w+\] ",
        foreign=11,
        setting="access_log and error_log: syslog:server=ADDRESS:514,tag=nginx (UDP)",
        example=b'<190>Nov 23 07:24:00 web01 nginx: 192.0.2.10 - - [23/Nov/2026:07:24:00 +0000] "GET / HTTP/1.1" 200 '
        b'537 "-" "curl/8.5.0"',
    ),
    Format(
        name="nozomi-cmc",
        product="Nozomi Guardian and CMC",
        rule=rules.FROM_CEF,
        own_time="start=",
        names_device="dvchost=",
        begins=rb"CEF:0\|Nozomi Networks\|",
        setting="data integration CEF: tcp://ADDRESS:PORT",
        example=b"<134>Nov 23 07:24:00 cmc01 n2osevents[0]: CEF:0|Nozomi Networks|N2OS|19.0.3-10142120_A2F44|"
        b"SIGN:MALWARE-DETECTED|Malware detected|9|app=smb dvc=192.0.2.6 dvchost=cmc01 start=1795418640000",
        aliases=("nozomi",),
    ),
    Format(
        name="olfeo",
        product="Olfeo",
        own_time="[dd/mm/YYYY h:m:s]",
        begins=rb"[\d.]+ - \S+ \[\d\d/\d\d/\d{4} ",
        foreign=2,
        setting="syslog to this gateway; the product only sends over UDP to port 514",
        example=b'<134>Nov 23 07:24:00 olfeo01 olfeo: 192.0.2.14 - jdoe [23/11/2026 08:24:00] "CONNECT '
        b'https://www.example.org:443 HTTP/1.1" 200 - - 1000 Business Services',
    ),
    Format(
        name="one-identity-sps",
        product="One Identity Safeguard for Privileged Sessions",
        rule=rules.FROM_CEF,
        begins=rb"CEF:0\|OneIdentity\|SPS\|",
        setting="SIEM forwarder: syslog, CEF",
        notes=("The parser fails on a header before CEF:. This payload form has none.",),
        example=b"<134>Nov 23 07:24:00 sps01 CEF:0|OneIdentity|SPS|7.5.1|1865245228|ServerAuthenticationSuccess|0|"
        b"app=SSH cs1=svc-ik-SSH-65304 cs1Label=Session ID duser=root dst=192.0.2.22",
        aliases=("safeguard-sps",),
    ),
    Format(
        name="openbsd-packet-filter",
        product="OpenBSD pf, pfSense, OPNsense (filterlog)",
        begins=rb"\d+,\w*,[^,]*,[^,]*,[^,]+,\w+,\w+,(in|out),[46],",
        setting="pfSense: remote syslog contents Firewall Events; OPNsense: UDP(4), application filter, RFC5424",
        example=b"<134>Nov 23 07:24:00 filterlog[41621]: 69,,,1000006765,vmx1,match,pass,out,4,0x0,,31,42511,0,none,1,"
        b"icmp,60,192.0.2.4,203.0.113.8,request,1,100140",
        aliases=("pfsense", "opnsense", "pf"),
    ),
    Format(
        name="openldap",
        product="OpenLDAP slapd",
        also="any text before it (tag, host, time)",
        begins=rb"[^=]*conn=\d+ (op|fd)=\d+ ",
        setting="loglevel 256; rsyslog forwards local4.*",
        notes=("The parser accepts any prefix. Set payload: line to name the device as well.",),
        example=b'<167>Nov 23 07:24:00 ldap01 slapd[1001]: conn=11 op=1 BIND dn="uid=jdoe,ou=people,dc=example,dc=org" '
        b"method=128",
        aliases=("slapd",),
    ),
    Format(
        name="openssh",
        product="OpenSSH, Linux sshd",
        also="with Mmm d h:m:s HOST sshd[PID]: before the text, the day not padded; the time is ignored",
        begins=rb"(\w{3} \d+ \S+ \S+ sshd\[\d+\]: )?(Accepted|Failed|Invalid|Disconnect|Connection|Received|User|PAM|"
        rb"pam_|error:|fatal:|Postponed|Starting|Unable|Did not|Bad|main:|input_|ssh_)",
        foreign=13,
        setting="rsyslog forwards auth and authpriv",
        example=b"<86>Nov 23 07:24:00 web01 sshd[3296336]: Accepted publickey for jdoe from 192.0.2.17 port 51826 "
        b"ssh2: ED25519 SHA256:4fGx0bN1",
        aliases=("sshd",),
    ),
    Format(
        name="openvpn",
        product="OpenVPN",
        rule=rules.OPENVPN_CLIENT,
        also="with a time before the text",
        own_time="Y-m-d h:m:s or Day Mon d h:m:s Y at the beginning, if OpenVPN writes it",
        begins=rb"(?i)(\d{4}-\d\d-\d\d [\d:]+ |\w{3} \w{3} +\d+ [\d:]+ \d{4} ).|"
        rb"([^/\s]+/)?([\d.]+|[\da-f:]+):\d+ |ldap |incorrect |unable |(tls|tcp|udp|multi|verify|auth|plugin|net_|tun|"
        rb"management|initial|openvpn|connection|peer|outgoing|incoming|control|data channel|sig|exiting|closing|note|"
        rb"warning|error|options|cannot|listening|socket|library|diffie|crl|getaddr|route|event_wait|read |write |push|"
        rb"sent )",
        foreign=2,
        setting="no log or log-append, so that it writes to syslog; rsyslog forwards it",
        notes=("The parser takes the client from USER/ADDRESS:PORT or ADDRESS:PORT.",),
        example=b"<29>Nov 23 07:24:00 vpn01 openvpn[702]: jdoe/203.0.113.88:59321 MULTI: Learn: 10.8.0.6 -> "
        b"jdoe/203.0.113.88:59321",
    ),
    Format(
        name="paloalto-ngfw",
        product="Palo Alto Networks PAN-OS",
        rule=rules.FROM_CEF,
        also="comma separated text after a prefix without a comma (raw, device, content); CEF",
        own_time="the receive time, or the high-resolution time at the end",
        names_device="the field Device Name in most log types; with payload: device always",
        begins=rb"(<\d+>[^,]*|: )?1,\d+/\d+/\d+ [\d:]+,\w+,[A-Z]+|CEF:0\|Palo Alto",
        foreign=47,
        setting="a syslog server profile: TCP 514, format IETF; log forwarding profiles that use it",
        example=b"<14>Nov 23 07:24:00 PA-220 1,2026/11/23 08:24:00,016401002222,TRAFFIC,end,2305,2026/11/23 "
        b"08:24:00,192.0.2.10,"
        b"203.0.113.80,0.0.0.0,0.0.0.0,allow-web,,,web-browsing,vsys1,trust,untrust,ethernet1/2,ethernet1/1,default",
        aliases=("paloalto", "pan-os", "panos"),
    ),
    Format(
        name="paloalto-prisma-access",
        product="Palo Alto Networks Prisma Access, Strata Logging Service",
        rule=rules.FROM_CEF,
        also="the same as paloalto-ngfw",
        own_time="the same as paloalto-ngfw",
        names_device="the field Device Name in most log types",
        begins=rb"(<\d+>[^,]*|: )?1,\d+/\d+/\d+ [\d:]+,\w+,[A-Z]+|CEF:0\|Palo Alto",
        foreign=71,
        setting="Strata Logging Service: syslog forwarding. HTTPS forwarding (array of JSON) needs no gateway",
        example=b"<14>1 2026-11-23T07:24:00.000Z stream-logfwd20-1795418640 logforwarder - panwlogs - 1,2026/11/23 "
        b"07:24:00,007951000000001,GLOBALPROTECT,gateway-connected,2562,2026/11/23 07:24:00,vsys1,gateway-auth",
        aliases=("prisma-access",),
    ),
    Format(
        name="panda-security-siem-feeder",
        product="Panda (WatchGuard) SIEM Feeder",
        rule=rules.FROM_CEF,
        names_device="MachineName=",
        begins=rb"CEF:1\|Panda Security\|",
        setting="SIEM Feeder's importer can send CEF over syslog (SEKOIA.IO's page describes only API access)",
        example=b"<13>Nov 23 07:24:00 siemfeeder CEF:1|Panda Security|paps|02.45.00.0000|registryc|registryc|1|"
        b"Client=1212122 Date=2026-11-23 07:24:00.200188 MachineName=PC-17 MachineIP=192.0.2.17",
        aliases=("panda",),
    ),
    Format(
        name="pingfederate",
        product="PingFederate",
        rule=rules.PINGFEDERATE_TIME,
        own_time="Y-m-d h:m:s,ms at the beginning, or the date of a request line",
        begins=rb"\d{4}-\d\d-\d\d [\d:]+,\d{3} |[\d.]+ \S+ \S+ \[\d\d/\w{3}/",
        foreign=9,
        setting="log4j2.xml: a Syslog appender, RFC5424, TCP, LOCAL0 or LOCAL1, with exactly the PatternLayout "
        "of SEKOIA.IO's page",
        notes=("Do not use payload: line. The expression matches such events, but the parser does not read them.",),
        example=b"<134>1 2026-11-23T07:24:00.682Z pf01 PingFederate - audit - 2026-11-23 08:24:00,682 "
        b'trackingid="tid:D68VmhNKbQi3z3" transactionid="2zjC3jlLX20" event="AUTHN_ATTEMPT" subject="" ip="192.0.2.11"',
    ),
    Format(
        name="postfix",
        product="Postfix, postgrey, policyd-spf, spamd",
        loses="time, host and app-name of the header; the parser uses the app-name if present, but also reads the "
        "text without it; the text does not name the device",
        begins=rb"[0-9A-Za-z]{6,}: |spamd: |dns: |(dis)?connect |lost connection|prepend |action=|\w+; |"
        rb"\w+ TLS connection|statistics: |proxy-\w+: |NOQUEUE: |warning: ",
        foreign=28,
        setting="rsyslog forwards mail.*",
        example=b"<22>Nov 23 07:24:00 mx01 postfix/smtp[2991]: 2298F5F619: to=<jdoe@example.org>, "
        b"relay=mail.example.org[192.0.2.25]:25, delay=1.2, delays=0.1/0/0.6/0.5, dsn=2.0.0, status=sent (250 ok)",
    ),
    Format(
        name="pulse-connect-secure",
        product="Ivanti (Pulse) Connect Secure",
        own_time='time="Y-m-d h:m:s"',
        names_device="fw= and vpn=",
        begins=rb'id=firewall time="[^"]+" pri=\d fw=\S+ vpn=',
        setting="a syslog server with the filter WELF",
        example=b'<134>1 2026-11-23T08:24:00+01:00 pcs01 PulseSecure: - - - id=firewall time="2026-11-23 08:24:00" '
        b'pri=6 fw=192.0.2.22 vpn=pcs01 ivs=Root user=jdoe realm="Users" roles="VDI" proto=auth src=203.0.113.164 '
        b'msg="AUT24326"',
        aliases=("ivanti-connect-secure", "pulse"),
    ),
)
