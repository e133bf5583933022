"""Lists firewalls and VPN gateways."""

from bridge.explain.products.signature import Product, Signature, product

S = Signature

# The type of the log is one of PAN-OS: other programs write such lists as well.
PAN_OS = (
    r"(?:: )?[\dA-Fa-f]*,\d{4}/\d\d/\d\d [\d:]{5,8},[\w-]*,(?:TRAFFIC|THREAT|SYSTEM|CONFIG|HIP-?MATCH|USER-?ID|IPTAG"
    r"|GLOBALPROTECT|AUTHENTICATION|DECRYPTION|CORRELATION|GTP|SCTP|URL|DATA|FILE|WILDFIRE|TUNNEL|AUDIT),"
)

FILTERED = r"\S+ +[ADR] +(?:[\da-f:.]+|[A-Za-z][\w-]{1,9}) +[\da-f:.]"
"Interface, action, and addresses or a protocol before them."

PRODUCTS: tuple[Product, ...] = (
    # --- Palo Alto Networks ---
    product(
        "Palo Alto Networks PAN-OS",
        "paloalto-ngfw",
        S(text=PAN_OS, words="comma separated PAN-OS fields"),
        S(cef="Palo Alto Networks :: PAN-OS"),
        S(cef="Palo Alto Networks :: LF"),
        S(shape="pan-os", text=PAN_OS),
    ),
    product(
        "Palo Alto Networks Prisma Access, Strata Logging Service",
        "paloalto-prisma-access",
        S(programs="logforwarder", message_ids="panwlogs"),
        S(
            programs="logforwarder",
            text=PAN_OS,
            words="comma separated PAN-OS fields",
        ),
        S(cef="Palo Alto Networks :: Prisma Access"),
        S(cef="Palo Alto Networks :: LF"),
        S(cef="Palo Alto Networks :: LF", host="stream-logfwd"),
    ),
    product("Palo Alto Networks Cortex XDR", None, S(cef="Palo Alto Networks :: (?:Cortex|XDR)", format="cef")),
    product(
        "Check Point",
        "checkpoint-firewall",
        S(cef="Check Point"),
        S(text=r'"\d+" "\d+\w{3}\d{4}"'),
        S(programs="CheckPoint", data="action:|sc4s@2620|fields@", words="structured data of Log Exporter", format="-"),
        S(programs="CheckPoint", text=r"\[action:\"", words="[action:...; ...]", format="-"),
        S(text=r"syslog\[action:", words="syslog[action:"),
        S(text=r'Action="\w+" UUid="\{', words="Action= UUid=", format="-"),
        S(programs="clish|xpand|cp_file_convert|cpwd_admin|fwk0_dev_0", format="-"),
        S(
            text=r"time=\d{10}\|hostname=[^|]*\|(?:severity=[^|]*\|)?(?:confidence_level=[^|]*\|)?product=",
            words="time=|hostname=|product=",
            format="-",
        ),
        appliance=True,
    ),
    product(
        "SonicWall SonicOS",
        "sonicwall-fw",
        S(cef="SonicWall :: (?!Email|Capture|Cloud|Analytics|SMA|WXA)"),
        S(keys="id=firewall sn time fw pri c m"),
        S(keys="id=firewall sn time fw pri c m msg"),
        S(shape="sonicwall"),
    ),
    product(
        "SonicWall Secure Mobile Access",
        "sonicwall-sma",
        S(keys="id=sslvpn sn time vp_time"),
        S(programs="SSLVPN", keys="id=sslvpn sn time"),
    ),
    product(
        "Sophos Firewall",
        "sophos",
        S(keys="device=SFW date time"),
        S(keys="device=SFW date time timezone device_name device_id log_id log_type"),
        S(keys="device_name device_id log_id log_type log_component"),
        S(keys="device_name device_serial_id log_id log_type log_component"),
        S(keys="device=SFW timestamp device_model device_serial_id"),
        S(keys="timestamp device_model device_serial_id log_id log_type"),
        S(keys="timestamp device_name device_model device_serial_id log_id"),
    ),
    product(
        "Sophos UTM",
        "sophos",
        S(keys="id severity sys sub name"),
        S(text=r'(?:\d{4}:\d\d:\d\d-[\d:]+ \S+ [\w-]+(?:\[\d+\])?: )?id="\d{4}" severity="\w+" sys="'),
        S(programs="ulogd|httpproxy|aua|afcd|confd|smtpd|up2date|awed|reverseproxy", keys="id severity sys sub name"),
        appliance=True,
    ),
    product(
        "Stormshield Network Security",
        "stormshield-sns",
        S(keys="id=firewall time fw=SN|VM|EVA"),
        S(
            programs="asqd|sld|serverd|tproxyd|eventd|userreqd|slapd|dhcp|sysutil|logd|alarmd|openvpn",
            keys="id=firewall time fw",
        ),
        S(keys="id=firewall time fw tz startime pri confid"),
        S(keys="id=firewall time fw tz startime pri"),
        S(keys="time fw tz startime pri logtype"),
        S(keys="time fw tz startime logtype"),
    ),
    product(
        "WatchGuard Firebox",
        "watchguard-firebox",
        S(cef="WatchGuard :: (?!AuthPoint|EP|Endpoint|Cloud|Panda)"),
        S(shape="watchguard", format="-"),
        S(
            text=r"[0-9A-F]{4,16} \(\d{4}-\d\d-\d\dT[\d:]+\) [\w-]+(?:\[\d+\])?: ",
            words="serial number and (time)",
            format="-",
        ),
        S(keys="msg_id", text=r'msg_id="[0-9A-F]{4}-[0-9A-F]{4}"', format="-"),
    ),
    product(
        "Juniper SRX and other Junos",
        "juniper-ngfw",
        S(data="junos@2636."),
        S(data="junos@"),
        S(programs="RT_FLOW|RT_IDP|RT_UTM|RT_AAMW|RT_IDS|RT_SECINTEL|RT_SCREEN|RT_NAT"),
        # Without the process before it, the header parser reads the mnemonic as the tag.
        S(programs="RT_FLOW_SESSION_*|RT_SCREEN_*|RT_UTM_*|RT_IDP_*|RT_NAT_*", words="mnemonic of RT_FLOW"),
        S(
            programs=(
                "mgd|rpd|chassisd|dcd|l2ald|kmd|jsrpd|pfed|eswd|lacpd|dot1xd|alarmd|craftd|mib2d|sflowd|"
                "cosd|bfdd|lldpd|rmopd|utmd|idpd|appidd|vccpd|l2cpd|fpc*|cscript|checklogin|"
                "license-check|httpd-gk|nsd|ntad|smtpd|smid|jdhcpd|mcsnoopd|ppmd|xntpd|auditd|file"
            ),
            text=r"[A-Z][A-Z0-9]+(?:_[A-Z0-9]+)+: ",
            words="MNEMONIC_IN_CAPITALS:",
        ),
        S(
            programs=(
                "mgd|rpd|chassisd|dcd|l2ald|kmd|jsrpd|pfed|eswd|craftd|mib2d|sflowd|cosd|jdhcpd|mcsnoopd|l2cpd|vccpd"
            )
        ),
        # The statement `explicit-priority`
        S(
            programs="mgd|rpd|chassisd|dcd|l2ald|kmd|jsrpd|eswd|mib2d|cosd|lldpd|sshd|snmpd|dot1xd|/kernel|cron|login",
            text=r"%[A-Z]+-\d-[A-Z0-9_]+: ",
            words="%FACILITY-n-MNEMONIC of a process",
        ),
        # Mnemonics of programs that other Unix hosts run too.
        S(
            programs="sshd|login|snmpd|inetd|ftpd|telnetd|xinetd|ntpd|cron",
            text=r"(?:SSHD?|LOGIN|SNMPD?|INETD|FTPD?|TELNETD|XINETD|NTPD?|CRON|AUTH|PAM|UI)_[A-Z][A-Z_]+: ",
            words="MNEMONIC_IN_CAPITALS:",
        ),
        S(programs="/kernel|fpc0|fpc1|fpc2|fpc3|fpc*"),
        S(text=r"fpc\d+ [A-Z]", words="fpcN"),
        S(text=r"RT_(?:FLOW|IDP|UTM|SCREEN)_?\w*(?::| \[)", words="RT_FLOW"),
        appliance=True,
    ),
    product(
        "Juniper EX and QFX firewall filters",
        "juniper-switches",
        S(programs="pfed|fpc*|PFE_FW_SYSLOG_IP", text=r"FW: \S+ +[ADR] ", words="FW: interface action"),
        S(
            text=r"(?:\S+ |\(FPC Slot \d+, PIC Slot \d+\) )?PFE_FW_SYSLOG_IP: FW: \S+ +[ADR] ",
            words="PFE_FW_SYSLOG_IP: FW:",
        ),
        S(programs="kernel", text=r"FW: \S+ +[ADR] ", words="FW: interface action"),
        S(programs="FW", text=FILTERED, words="FW: interface action"),
        S(text="FW: " + FILTERED, words="FW: interface action"),
    ),
    product(
        "Juniper ScreenOS",
        None,
        S(shape="juniper-screenos"),
        S(text=r"NetScreen device_id=", words="NetScreen device_id="),
    ),
    product(
        "Juniper Secure Access, Ivanti Connect Secure",
        "pulse-connect-secure",
        S(programs="PulseSecure|Juniper|ConnectSecure", keys="id=firewall time pri fw vpn"),
        S(keys="id=firewall time pri fw vpn ivs"),
        S(programs="PulseSecure", keys="id=firewall time pri"),
        S(programs="PulseSecure", text=r"ive \| ", format="-"),
        S(
            programs="PulseSecure|Juniper|ConnectSecure",
            text=r"(?:[\d-]{10} [\d:]{8} - )?[\w.-]+ - \[[\da-f.:]+\] .{0,80}\[[^\]]*\] - ",
            words="time, node, [address] and user",
            format="-",
        ),
    ),
    product(
        "pfSense, OPNsense, OpenBSD pf",
        "openbsd-packet-filter",
        S(programs="filterlog", text=r"\d+,\w*,[^,]*,[^,]*,[^,]+,\w+,\w+,(?:in|out),[46],", words="CSV of filterlog"),
        S(programs="filterlog"),
        S(text=r"\d+,\w*,[^,]*,[^,]*,[^,]+,\w+,\w+,(?:in|out),[46],", words="CSV of filterlog"),
        S(
            programs="php-fpm|check_reload_status|pkg-static|configd.py|devd|dpinger|opnsense|lockout_handler",
            format="-",
        ),
        appliance=True,
    ),
    product(
        "Barracuda CloudGen Firewall",
        "barracuda-cloudgen-firewall",
        S(
            text=(
                r"(?:Info|Notice|Warning|Security|Error|Fatal|Panic|Alert) {1,6}[\w.-]+ "
                r"(?:LOGIN ATTEMPT: |boxconfig\[|Session |Detect: |Allow: |Block: |Remove: |Deny: )"
            ),
            words="level, box name and action",
        ),
        S(
            programs="box_*|srv_*|VPN_*",
            text=r"(?:Info|Notice|Warning|Security|Error|Fatal|Panic|Alert) +\S+ ",
            words="level and box name",
        ),
        S(
            text=r"(?:Info|Notice|Warning|Security|Error|Fatal|Panic|Alert)   +\S+ [^:]{1,40}: type=FWD\|",
            words="level, box name, type=",
        ),
        appliance=True,
    ),
    product(
        "Barracuda Web Application Firewall",
        None,
        S(cef="Barracuda :: (?:WAAS|WAF|TAG)", format="cef"),
        S(programs="Barracuda", keys="src spt dst dpt actionTaken"),
        S(keys="src spt dst dpt actionTaken attackDescription"),
        S(text=r"WF (?:ALER|EMER|CRIT|ERR|WARN|NOTI|INFO|DEBU) \w+ [\d.]+ \d+ ", words="WF level attack client port"),
        S(text=r"(?:\S+ )?(?:WF|TR|AUDIT|NF|SYS) (?:ALER|EMER|CRIT|ERRO|WARN|NOTI|INFO) "),
        S(
            text=r"[\d-]{10} [\d:.]{8,12} [+-]\d{4} +\S+ (?:TR|WF|NF|AUDIT|SYS) ",
            words="time, host and log type of the firewall",
        ),
    ),
    product(
        "Barracuda Email Security Gateway",
        None,
        S(programs="inbound/pass1|outbound/smtp|scan|web", text=r"\S+\[[\d.]+\] \S+ \d{10} \d{10} (?:RECV|SCAN|SEND) "),
    ),
    product(
        "Clavister NetWall",
        "clavister-ngfw",
        S(keys="id event", text=r"id=\d{6,8} event=\w+ ", words="id= event="),
        S(keys="prio id rev event", format="-"),
        S(text=r"\[[\d-]{10} [\d:]{8}\] EFW: ", words="[time] EFW:", format="-"),
        S(
            programs="ALG|CONN|RULE|SYSTEM|IPSEC|DHCP|APPCONTROL|USERAUTH|SSLVPN",
            keys="id event",
            text=r"id=\d{6,8} event=\w+ ",
        ),
    ),
)
