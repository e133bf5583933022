"""Lists routers, switches, access points, and what Cisco makes."""

from bridge.explain.products.signature import Product, Signature, product

S = Signature

_CISCO = "cisco-ios|cisco-relayed|cisco|cisco-untimed|cisco-cucm|cisco-viptela"

PRODUCTS: tuple[Product, ...] = (
    # --- Cisco ----------------------------------------------------------------------------------------------------------
    product("Cisco IOS and IOS-XE", "cisco-ios", S(mnemonic=r"%[A-Z][A-Z0-9_/]*-(?:[A-Z0-9_/]+-)?[0-7]-[A-Z][A-Z0-9_]*", factor=0.8)),
    product(
        "Cisco NX-OS", "cisco-nx-os",
        S(mnemonic=r"%", head=r"[^%]{0,120}?\d{4} [A-Z][a-z]{2} +\d{1,2} \d\d:\d\d:\d\d(?:\.\d+)? [A-Za-z]{1,5} ?: %", words="year before the month, and a mnemonic"),
        S(mnemonic=r"%(?:ETHPORT|ETH_PORT_CHANNEL|VPC|VSHD|AUTHPRIV|DAEMON|PLATFORM|PFMA|FEATURE-MGR|ASCII-CFG|VDC_MGR|L2FM)-", factor=1.2),
    ),
    product("Cisco Unified Computing System", None, S(mnemonic=r"%(?:UCSM|CIMC)-", factor=3)),
    product("Cisco ACI", None, S(mnemonic=r"%LOG_", text=r"%LOG_\w+-\d-SYSTEM_MSG:? \[[FE]\d+\]", words="SYSTEM_MSG [F...]"), S(text=r"%LOG_\w+-\d-SYSTEM_MSG:? \[[FE]\d+\]", words="SYSTEM_MSG [F...]")),
    product(
        "Cisco IOS-XR", None,
        S(mnemonic=r"%", head=r"(?:[^%\n]{0,120}?[ :])?(?:RP|LC|CB|FC|SC)/\d+/\w+(?:/\w+)?:", words="node of IOS-XR and a mnemonic"),
        S(mnemonic=r"%[\w-]+-\d-\w+", text=r"%[\w-]+-\d-\w+ : ", words="mnemonic and ' : '", factor=1.1),
    ),
    product("Cisco ASA, FTD, Firepower", "cisco-secure-firewall", S(mnemonic=r"%(?:ASA|FTD|NGIPS)-"), S(text=r"%(?:ASA|FTD|NGIPS)-(?:\w+-)?\d-\d{6}", words="%ASA or %FTD")),
    product("Cisco PIX, FWSM", None, S(mnemonic=r"%(?:PIX|FWSM)-")),
    product("Cisco ACE", None, S(mnemonic=r"%ACE-")),
    product("Cisco Small Business switch", None, S(mnemonic=r"%[\w ]+-[AEWNID]-")),
    product("Cisco Wireless LAN Controller", None, S(mnemonic=r"%", head=r"[^%]{0,80}?: \*[\w ./-]+: [A-Z][a-z]{2} +\d", words="*task: and a mnemonic")),
    product("Cisco Unified Communications Manager", None, S(shape="cisco-cucm"), S(mnemonic=r"%(?:UC_|CCM_|TVS|JAVASYSLOG)")),
    product("Cisco Catalyst SD-WAN (Viptela)", None, S(shape="cisco-viptela"), S(mnemonic=r"%Viptela-"), S(text=r"%Viptela-")),
    product(
        "Cisco Identity Services Engine (ISE)", "cisco-ise",
        S(shape="cisco-ise"), S(programs="CISE_*", text=r"\d{10} \d+ \d+ "), S(text=r"CISE_\w+ \d{10} \d+ \d+ ", words="CISE_ category and counters"),
        S(programs="CISE_*"), S(text=r"CISE_Alarm ", words="CISE_Alarm"), S(programs="CSCOacs_*", format="-"), S(text=r"CSCOacs_", format="-"),
    ),
    product("Cisco Meraki", "cisco-meraki-mx", S(shape="meraki", text=r"(?:events|urls|flows|ids-alerts|security_event|airmarshal_events|ip_flow_start|ip_flow_end|firewall|cellular_firewall|vpn_firewall|bridge_\w+|\w+_event\w*) ", words="epoch time, name and Meraki's kind of event"), S(shape="meraki", words="epoch time and name", factor=0.8)),
    product(
        "Cisco Secure Email Gateway (ESA)", "cisco-esa",
        S(cef="Cisco :: .*Email"), S(programs="consolidated_events|*", cef="Cisco :: .*Email"),
        S(programs="mail_logs|text_mail_logs|gui_logs|amp|amp_logs|antispam|error_logs|authentication|http_logs|bounce_logs|delivery_logs|system_logs|cli_logs|sntpd_logs|audit_logs|euqgui_logs|updater_logs|upgrade_logs|status|content_scanner|ipr_logs|antivirus|encryption|sophos_antivirus|graymail|reputation|trackerd_logs|ironport|dlp|scanning|brand|config_history|url_rep_client|urlfiltering|mar|engine|threatfeeds|csn_logs|service_logs|smartlicense|quarantine|repeng|imh|feedback",
          text=r"(?:(?:Info|Warning|Critical|Debug|Trace|Alert|Error): ?)", words="level of AsyncOS", format="-"),
        S(text=r"(?:\w{3} \w{3} +\d+ [\d:]{8} \d{4} )?(?:Info|Warning|Critical): +(?:MID \d|ICID \d|DCID \d|RID |ISQ: |SDR: |Start MID|New SMTP|Message (?:\d+ |finished|done|containing)|SenderBase |PERIODIC REPORTS|Begin Logfile|Version: [\d.-]+ SN: |req:\S+ user:|log(?:in|out):\S+ user:|Time offset from UTC|File (?:reputation|uploaded|not uploaded)|Response received for file|System is coming up)",
          words="MID, ICID, DCID of AsyncOS", format="-"),
        S(programs="mail_logs|text_mail_logs|gui_logs|amp_logs|euqgui_logs|sntpd_logs|consolidated_events", format="-"),
    ),
    product("Cisco Firepower, classic events", None, S(programs="SFIMS|sfdccsm|SF-IMS*"), S(text=r"SFIMS: ")),
    product("Cisco Secure Network Analytics", None, S(programs="StealthWatch*"), S(cef="(?:Lancope|Cisco) :: (?:StealthWatch|Secure Network Analytics)", format="cef"), S(programs="Lancope")),
    product("Cisco HyperFlex", None, S(programs="hx-*")),
    product("Cisco Meeting Server", None, S(shape="facility-and-level", programs="authp|callbridge|host:server|webbridge|alerts|xmpp|acano*"), S(programs="host:server")),
    product("Cisco Cyber Vision", None, S(cef="(?:sentryo|cisco) :: (?:ics cyber vision|cybervision|Cyber ?Vision)", format="cef")),
    # --- others ---------------------------------------------------------------------------------------------------------
    product("HPE Comware, H3C", None, S(shape="comware", text=r"%%10", words="%%10MODULE"), S(text=r"%%10\w+/\d/", words="%%10MODULE")),
    product("Huawei VRP", None, S(shape="comware", text=r"%%01", words="%%01MODULE"), S(text=r"%%01\w+/\d/", words="%%01MODULE")),
    product("HPE ProCurve, ArubaOS-Switch", "aruba-os", S(shape="procurve", format="-"), S(text=r"\d{5} (?:mgr|ports|vlan|auth|ssh|FFI|chassis|SNTP|snmp|system|stp|lldp|ip|dhcp-snoop|cos|crypto|telnet|tftp|update): ", words="event number and module", format="-")),
    product("HPE iLO", None, S(programs="#ILO*|DriveArray|iLO*"), S(text=r"#ILO\d ")),
    product("HPE OneView, Onboard Administrator", None, S(programs="OA:|OA|OneView"), S(text=r"OA: ")),
    product(
        "Aruba controller, AOS-CX, ClearPass", "aruba-os",
        S(text=r"<\d{6}> <(?:\d+|[A-Z]{4})> ", words="<six digits> <level>"),
        S(programs="authmgr|stm|sapd|cli|httpd|dbsync|fpapps|mobileip|nanny|profmgr|wms|isakmpd|sapm|ofald|licensemgr|snmpd|crypto|localdb|dhcpdwrap|cfgm|isakmp", text=r"<\d{6}> <(?:\d+|[A-Z]{4})> ", words="<six digits> <level>"),
        S(text=r"Event\|\d+\|LOG_\w+\|", words="Event|number|level|"), S(programs="hpe-*|ops-switchd|lldpd|vrfmgrd|hpe-sysmond", text=r"Event\|\d+\|", words="Event|number|"), S(cef="Aruba Networks"), S(cef="HPE :: ClearPass"),
    ),
    product("Arista EOS", None, S(programs="Acl|Ebra|Stp|Bgp|Fru|Lldp|ConfigAgent|ProcMgr-worker|Aaa|StpTxRx|Rib|Mlag|PimBidir|Snmp|Cli|EventMgr|SuperServer|Ospf|Ira|Lag|Launcher|PowerManager|ProcMgr|SandL3Unicast|PortSec|StageMgr|*primary|Arp|Dot1x|Intf*|LicenseManager|Pim*|ConfigAgent|Thermostat|Sysdb", text=r"%[A-Z0-9_]+-\d-[A-Z0-9_]+: ", words="agent and %MNEMONIC"), S(shape="rfc3164", text=r"%(?!ASA|FTD|NGIPS|PIX|FWSM|ACE|UC_|LOG_)[A-Z0-9_]+-\d-[A-Z0-9_]+: ", words="agent and %MNEMONIC", factor=0.7)),
    product("SONiC", None, S(programs="bgp#*|swss#*|syncd#*|teamd#*|pmon#*|lldp#*|snmp#*|dhcp_relay#*|database#*")),
    product("Dell Force10, FTOS", None, S(text=r"%STKUNIT\d-[MPU]:\w+ %", words="%STKUNIT"), S(mnemonic=r"%STKUNIT"), S(head=r"[^%]{0,80}?%STKUNIT\d", words="%STKUNIT")),
    product("Dell PowerConnect, N series", None, S(text=r"\w+\.c\(\d+\) \d+ %% ", words="file.c(line) and %%"), S(programs="TRAPMGR|CMDLOGGER|DRIVER|TRAPMGR*", text=r"\w+\.c\(\d+\) \d+ ")),
    product("Brocade, Ruckus ICX", None, S(programs="STP|System|Security|BGP|OSPF|PORT|DOT1X|CLI", text=r"(?:VLAN \d+ |PoE: |Interface |Port |SSH |Telnet |running-config|Stack|[a-z]+ login |Syslog |DHCP)"), S(programs="raslogd"), S(text=r"\[\w+-\d{4}\], \d+/\d+,")),
    product("Extreme EXOS", None, S(text=r"<(?:Info|Noti|Warn|Erro|Crit|Summ):\w+(?:\.\w+)*> ", words="<level:component>"), S(programs="EXOS"), S(head=r".{0,60}?<(?:Info|Noti|Warn|Erro|Crit):\w+(?:\.\w+)*> ", words="<level:component>")),
    product("Ubiquiti UniFi", None, S(shape="unifi"), S(shape="unifi-untimed"), S(programs="kernel", text=r"\[[A-Z_]{2,20}-\w+-[ADR]\] ?(?:DESCR=.{1,80})?IN=", words="rule of UniFi and IN="), S(cef="Ubiquiti :: UniFi"), appliance=True),
    product("MikroTik RouterOS", None, S(programs="forward|input|output|prerouting", text=r"(?:\w+ )?in:\S+ out:", words="in: out:"), S(text=r"(?:\w+,)*(?:system|firewall|wireless|dhcp|ppp|l2tp|ipsec|interface|account|hotspot|script|route|caps|pptp|ovpn|web-proxy|certificate|error|critical|warning|info)(?:,\w+)+ ", words="topics of RouterOS"), S(programs="system,info*|dhcp,info*|firewall,info*|wireless,info*|interface,info*|system,error*|ppp,info*"), S(text=r"(?:forward|input): in:", words="in: out:")),
    product("TP-Link", None, S(head=r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \S+ \d{5} ", words="time, host and event number"), S(cef="TP-Link")),
    product("Zyxel", None, S(keys="src dst msg note user devID cat class"), S(keys="src dst msg note user"), S(cef="ZyXEL", format="cef"), S(keys="src dst msg note devID")),
    product("DrayTek Vigor", None, S(text=r"DrayTek: "), S(programs="DrayTek*"), S(text=r"(?:\[\w+\])?(?:\[\w+\]) ?\[?DrayOS")),
    product("Alcatel-Lucent OmniSwitch", None, S(programs="swlogd*"), S(text=r"\S+ swlogd: ")),
    product("Ruckus wireless", None, S(text=r"syslog: eventd_to_syslog\(\):"), S(programs="eventd_to_syslog*|Eved|eved|emfd"), S(programs="syslog", text=r"eventd_to_syslog\(\)")),
    product("Aerohive, Extreme wireless", None, S(programs="ah_auth|ah_top|ah_dcd|kernel:ah", factor=1.0), S(text=r"ah_(?:auth|cli|dcd|top|brd|scd)(?:\[\d+\])?: ", words="ah_ program")),
    product("Mist", None, S(keys="mist_org mist_site"), S(programs="mist*")),
    product("Aruba EdgeConnect, Silver Peak", None, S(programs="tunneld|mgmtd|sysd"), S(cef="Silver ?Peak", format="cef")),
    product("Riverbed SteelHead", None, S(programs="sport|sport[*|mgmtd", text=r"\[\w+(?:/\w+)*\.(?:INFO|NOTICE|WARN|ERR)\] ")),
    product("VMware SD-WAN (VeloCloud)", None, S(keys="VCO", text=r"ACTION=VCF"), S(text=r"VCO Event|ACTION=VCF|VELOCLOUD"), S(programs="velocloud*|vcg*|VCE")),
    product("Versa", None, S(text=r"(?:accessLog|flowIdLog|threatLog|urlfLog|firewallLog|dosThreatLog|idpLog|avLog|bwMonLog|alarmLog|flowMonLog), applianceName=", words="log type and applianceName="), S(keys="applianceName tenantName flowId")),
    product("Nokia SR OS", None, S(programs="TMNX"), S(text=r"TMNX: \d+ ", words="TMNX:")),
    product("Ciena", None, S(text=r"\[local\] .*SUBSYS"), S(programs="leos|SAOS")),
    product("Ericsson, Redback", None, S(text=r"\[\d+\]: %[A-Z]+-\d-[A-Z]+: ")),
    product("Moxa", None, S(keys="Serial", text=r"MOXA|Moxa"), S(programs="Moxa*|MOXA*")),
    product("Siemens SCALANCE, RUGGEDCOM", None, S(programs="Scalance*|SCALANCE*"), S(data="siemens@")),
    product("Hirschmann", None, S(programs="HiOS*|hios*"), S(text=r"\[\w+:\w+\] HiOS ")),
)  # fmt: skip
