"""Lists products of Cisco."""

from bridge.explain.products.signature import Product, Signature, product

S = Signature

PRODUCTS: tuple[Product, ...] = (
    product(
        "Cisco IOS and IOS-XE",
        "cisco-ios",
        S(mnemonic=r"%[A-Z][A-Z0-9_/]*-(?:[A-Z0-9_/]+-)?[0-7]-[A-Z][A-Z0-9_]*", factor=0.8),
    ),
    product(
        "Cisco NX-OS",
        "cisco-nx-os",
        S(
            mnemonic=r"%",
            head=r"[^%]{0,120}?\d{4} [A-Z][a-z]{2} +\d{1,2} \d\d:\d\d:\d\d(?:\.\d+)? [A-Za-z]{1,5} ?: %",
            words="year before the month, and a mnemonic",
        ),
        S(
            mnemonic=(
                r"%(?:(?:ETHPORT|ETH_PORT_CHANNEL|VPC|VSHD|AUTHPRIV|DAEMON|PFMA|FEATURE-MGR|ASCII-CFG|VDC_MGR|L2FM)-"
                r"|PLATFORM-\d-(?:PFM|PS|FAN|MOD|FEX)_)"
            ),
            factor=1.2,
        ),
    ),
    product("Cisco Unified Computing System", None, S(mnemonic=r"%(?:UCSM|CIMC)-", factor=3)),
    product(
        "Cisco ACI",
        None,
        S(mnemonic=r"%LOG_", text=r"%LOG_\w+-\d-SYSTEM_MSG:? \[[FE]\d+\]", words="SYSTEM_MSG [F...]"),
        S(text=r"%LOG_\w+-\d-SYSTEM_MSG:? \[[FE]\d+\]", words="SYSTEM_MSG [F...]"),
    ),
    product(
        "Cisco IOS-XR",
        None,
        S(
            mnemonic=r"%",
            head=r"(?:[^%\n]{0,120}?[ :])?(?:RP|LC|CB|FC|SC)/\d+/\w+(?:/\w+)?:",
            words="node of IOS-XR and a mnemonic",
        ),
        S(programs="RP/*|LC/*", text=r".{0,80}%[\w-]+-\d-\w+", words="node of IOS-XR and a mnemonic"),
        S(mnemonic=r"%[\w-]+-\d-\w+", text=r"%[\w-]+-\d-\w+ : ", words="mnemonic and ' : '", factor=1.1),
    ),
    product(
        "Cisco ASA, FTD, Firepower",
        "cisco-secure-firewall",
        S(mnemonic=r"%(?:ASA|FTD|NGIPS)-"),
        S(text=r"%(?:ASA|FTD|NGIPS)-(?:\w+-)?\d-\d{6}", words="%ASA or %FTD"),
    ),
    product("Cisco PIX, FWSM", None, S(mnemonic=r"%(?:PIX|FWSM)-")),
    product("Cisco ACE", None, S(mnemonic=r"%ACE-")),
    product("Cisco Small Business switch", None, S(mnemonic=r"%[\w ]+-[AEWNID]-")),
    product(
        "Cisco Wireless LAN Controller",
        None,
        S(mnemonic=r"%", head=r"[^%]{0,80}?: \*[\w ./-]+: [A-Z][a-z]{2} +\d", words="*task: and a mnemonic"),
    ),
    product(
        "Cisco Unified Communications Manager", None, S(shape="cisco-cucm"), S(mnemonic=r"%(?:UC_|CCM_|TVS|JAVASYSLOG)")
    ),
    product(
        "Cisco Catalyst SD-WAN (Viptela)",
        None,
        S(shape="cisco-viptela"),
        S(mnemonic=r"%Viptela-"),
        S(text=r"%Viptela-"),
    ),
    product(
        "Cisco Identity Services Engine (ISE)",
        "cisco-ise",
        S(shape="cisco-ise"),
        S(programs="CISE_*", text=r"\d{10} \d+ \d+ "),
        S(text=r"CISE_\w+ \d{10} \d+ \d+ ", words="CISE_ category and counters"),
        S(programs="CISE_*"),
        S(
            text=r"\d{10} \d+ \d+ \d{4}-\d\d-\d\d [\d:.]+ [+-]\d\d:\d\d \d{10} \d{4,5} [A-Z]+ ",
            words="counters, time and message code",
        ),
        S(text=r"CISE_Alarm ", words="CISE_Alarm"),
        S(programs="CSCOacs_*", format="-"),
        S(text=r"CSCOacs_", format="-"),
    ),
    product(
        "Cisco Meraki",
        "cisco-meraki-mx",
        S(
            shape="meraki",
            text=(
                r"(?:events|urls|flows|ids-alerts|security_event|airmarshal_events|ip_flow_start|"
                r"ip_flow_end|(?:\w+_)?firewall|bridge_\w+|\w+_event\w*) "
            ),
            words="epoch time, name and Meraki's kind of event",
        ),
        # Without a kind of event, any application may write such a line.
        S(shape="meraki", words="epoch time and name", format="-", factor=0.8),
    ),
    product(
        "Cisco Secure Email Gateway (ESA)",
        "cisco-esa",
        S(cef="Cisco :: .*Email"),
        S(programs="consolidated_events|*", cef="Cisco :: .*Email"),
        S(
            programs=(
                "mail_logs|text_mail_logs|gui_logs|amp|amp_logs|antispam|error_logs|authentication|"
                "http_logs|bounce_logs|delivery_logs|system_logs|cli_logs|sntpd_logs|audit_logs|"
                "euqgui_logs|updater_logs|upgrade_logs|status|content_scanner|ipr_logs|antivirus|"
                "encryption|sophos_antivirus|graymail|reputation|trackerd_logs|ironport|dlp|scanning|"
                "brand|config_history|url_rep_client|urlfiltering|mar|engine|threatfeeds|csn_logs|"
                "service_logs|smartlicense|quarantine|repeng|imh|feedback"
            ),
            text=r"(?:(?:Info|Warning|Critical|Debug|Trace|Alert|Error): ?)",
            words="level of AsyncOS",
            format="-",
        ),
        S(
            text=(
                r"(?:\w{3} \w{3} +\d+ [\d:]{8} \d{4} )?(?:Info|Warning|Critical): +(?:MID \d|ICID \d|DCID "
                r"\d|RID |ISQ: |SDR: |Start MID|New SMTP|Message (?:\d+ |finished|done|containing)|"
                r"SenderBase |PERIODIC REPORTS|Begin Logfile|Version: [\d.-]+ SN: |req:\S+ user:|log(?:in|"
                r"out):\S+ user:|Time offset from UTC|File (?:reputation|uploaded|not uploaded)|Response "
                r"received for file|System is coming up)"
            ),
            words="MID, ICID, DCID of AsyncOS",
            format="-",
        ),
        S(programs="mail_logs|text_mail_logs|gui_logs|amp_logs|euqgui_logs|sntpd_logs|consolidated_events", format="-"),
    ),
    product("Cisco Firepower, classic events", None, S(programs="SFIMS|sfdccsm|SF-IMS*"), S(text=r"SFIMS: ")),
    product(
        "Cisco Secure Network Analytics",
        None,
        S(programs="StealthWatch*"),
        S(cef="(?:Lancope|Cisco) :: (?:StealthWatch|Secure Network Analytics)", format="cef"),
        S(programs="Lancope"),
    ),
    product(
        "Cisco Expressway, TelePresence VCS",
        None,
        S(programs="tvcs"),
        S(keys="UTCTime Module Level"),
        S(programs="tvcs", text=r"(?:UTCTime|Event)=\""),
    ),
    product("Cisco HyperFlex", None, S(programs="hx-*"), appliance=True),
    product(
        "Cisco Meeting Server",
        None,
        S(shape="facility-and-level", programs="authp|callbridge|host:server|webbridge|alerts|xmpp|acano*"),
        S(programs="host:server"),
    ),
    product(
        "Cisco Cyber Vision",
        None,
        S(cef="(?:sentryo|cisco) :: (?:ics cyber vision|cybervision|Cyber ?Vision)", format="cef"),
    ),
)
