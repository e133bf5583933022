"""Lists routers, switches and access points of other vendors than Cisco."""

from bridge.explain.products.signature import Product, Signature, product

S = Signature

PRODUCTS: tuple[Product, ...] = (
    product(
        "HPE Comware, H3C",
        None,
        S(shape="comware", text=r"%%10", words="%%10MODULE"),
        S(text=r"%%10\w+/\d/", words="%%10MODULE"),
    ),
    product(
        "Huawei VRP",
        None,
        S(shape="comware", text=r"%%01", words="%%01MODULE"),
        S(text=r"%%01\w+/\d/", words="%%01MODULE"),
    ),
    product(
        "HPE ProCurve, ArubaOS-Switch",
        "aruba-os",
        S(shape="procurve", format="-"),
        S(
            text=(
                r"\d{5} (?:mgr|ports|vlan|auth|ssh|FFI|chassis|SNTP|snmp|system|stp|lldp|ip|dhcp-snoop|"
                r"cos|crypto|telnet|tftp|update): "
            ),
            words="event number and module",
            format="-",
        ),
    ),
    product("HPE iLO", None, S(programs="#ILO*|#iLO*|DriveArray|iLO*"), S(text=r"#(?:ILO|iLO) ?\d:? ")),
    product("HPE OneView, Onboard Administrator", None, S(programs="OA:|OA|OneView"), S(text=r"OA: ")),
    product(
        "Aruba controller, AOS-CX, ClearPass",
        "aruba-os",
        S(text=r"<\d{6}> <(?:\d+|[A-Z]{4})> ", words="<six digits> <level>"),
        S(programs="auth", text=r"\S+: +(?:Invalid user name|User '[^']+' )", words="logins of ArubaOS-Switch"),
        S(
            programs=(
                "authmgr|stm|sapd|cli|httpd|dbsync|fpapps|mobileip|nanny|profmgr|wms|isakmpd|sapm|ofald|"
                "licensemgr|snmpd|crypto|localdb|dhcpdwrap|cfgm|isakmp"
            ),
            text=r"<\d{6}> <(?:\d+|[A-Z]{4})> ",
            words="<six digits> <level>",
        ),
        S(text=r"Event\|\d+\|LOG_\w+\|", words="Event|number|level|"),
        S(programs="hpe-*|ops-switchd|lldpd|vrfmgrd|hpe-sysmond", text=r"Event\|\d+\|", words="Event|number|"),
        S(cef="Aruba Networks"),
        S(cef="HPE :: ClearPass"),
        appliance=True,
    ),
    product(
        "Arista EOS",
        None,
        S(
            programs=(
                "Acl|Ebra|Stp|Bgp|Fru|Lldp|ConfigAgent|ProcMgr-worker|Aaa|StpTxRx|Rib|Mlag|PimBidir|Snmp|"
                "Cli|EventMgr|SuperServer|Ospf|Ira|Lag|Launcher|PowerManager|ProcMgr|SandL3Unicast|"
                "PortSec|StageMgr|*primary|Arp|Dot1x|Intf*|LicenseManager|Pim*|ConfigAgent|Thermostat|"
                "Sysdb"
            ),
            text=r"%[A-Z0-9_]+-\d-[A-Z0-9_]+: ",
            words="agent and %MNEMONIC",
        ),
        S(
            shape="rfc3164",
            text=r"%(?!ASA|FTD|NGIPS|PIX|FWSM|ACE|UC_|LOG_)[A-Z0-9_]+-\d-[A-Z0-9_]+: ",
            words="agent and %MNEMONIC",
            factor=0.7,
        ),
        appliance=True,
    ),
    product(
        "SONiC",
        None,
        S(programs="bgp#*|swss#*|syncd#*|teamd#*|pmon#*|lldp#*|snmp#*|dhcp_relay#*|database#*"),
        appliance=True,
    ),
    product(
        "Dell Force10, FTOS",
        None,
        S(text=r"%STKUNIT\d-[MPU]:\w+ %", words="%STKUNIT"),
        S(mnemonic=r"%STKUNIT"),
        S(head=r"[^%]{0,80}?%STKUNIT\d", words="%STKUNIT"),
    ),
    product(
        "Dell PowerConnect and N series, Netgear",
        None,
        S(text=r"\w+\.c\(\d+\) \d+ %% ", words="file.c(line) and %%"),
        S(programs="TRAPMGR|CMDLOGGER|DRIVER|TRAPMGR*", text=r"\w+\.c\(\d+\) \d+ "),
    ),
    product(
        "Brocade, Ruckus ICX",
        None,
        S(
            programs="STP|System|Security|BGP|OSPF|PORT|DOT1X|CLI",
            text=(
                r"(?:VLAN \d+ |PoE: |Interface |Port |SSH |Telnet |running-config|Stack|[a-z]+ login |" r"Syslog |DHCP)"
            ),
        ),
        S(programs="raslogd"),
        S(text=r"\[\w+-\d{4}\], \d+/\d+,"),
        appliance=True,
    ),
    product(
        "Extreme EXOS",
        None,
        S(text=r"<(?:Info|Noti|Warn|Erro|Crit|Summ):\w+(?:\.\w+)*> ", words="<level:component>"),
        S(programs="EXOS"),
        S(programs="AAA", text=r"(?:Login passed|Login failed|User \S+ logged out)"),
        S(head=r".{0,60}?<(?:Info|Noti|Warn|Erro|Crit):\w+(?:\.\w+)*> ", words="<level:component>"),
    ),
    product(
        "Extreme VOSS (VSP, Fabric Engine)",
        None,
        S(text=r"(?:IO|CP|SW|GlobalRouter)\d? +(?:\[[^\]]*\] )?- 0x[\da-f]{8} - ", words="CPn - 0x code"),
        S(programs="CP1|CP2|IO1|IO2|SW", text=r"(?:\[[^\]]*\] )?- 0x[\da-f]{8} - "),
    ),
    product(
        "Dell SmartFabric OS10",
        None,
        S(text=r"Node\.\d+-Unit\.\d+:PRI(?:-\d)? \[\w+\], Dell", words="Node.n-Unit.n:PRI"),
        S(programs="dn_*"),
        appliance=True,
    ),
    product(
        "Ubiquiti UniFi",
        None,
        S(shape="unifi"),
        S(shape="unifi-untimed"),
        S(programs="kernel", text=r"\[[A-Z_]{2,20}-\w+-[ADR]\] ?(?:DESCR=.{1,80})?IN=", words="rule of UniFi and IN="),
        S(text=r"\[[A-Z_]{2,20}-\w+-[ADR]\] ?(?:DESCR=.{1,80})?IN=", words="rule of UniFi and IN="),
        S(cef="Ubiquiti :: UniFi"),
        appliance=True,
    ),
    product(
        "MikroTik RouterOS",
        None,
        S(programs="forward|input|output|prerouting", text=r"(?:\w+ )?in:\S+ out:", words="in: out:"),
        S(
            text=(
                r"(?:\w+,)*(?:system|firewall|wireless|dhcp|ppp|l2tp|ipsec|interface|account|hotspot|"
                r"script|route|caps|pptp|ovpn|sstp|wireguard|web-proxy|certificate|bridge|"
                r"error|critical|warning|info)(?:,\w+)+:? "
            ),
            words="topics of RouterOS",
        ),
        S(programs=("system,info*|dhcp,info*|firewall,info*|wireless,info*|interface,info*|system,error*|ppp,info*")),
        S(text=r"(?:forward|input): in:", words="in: out:"),
    ),
    product(
        "TP-Link",
        None,
        S(head=r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \S+ \d{5} ", words="time, host and event number"),
        S(cef="TP-Link"),
    ),
    product(
        "Zyxel",
        None,
        S(keys="src dst msg note user devID cat class"),
        S(keys="src dst msg note user"),
        S(cef="ZyXEL", format="cef"),
        S(keys="src dst msg note devID"),
        S(keys="src dst msg note"),
    ),
    product(
        "DrayTek Vigor",
        None,
        S(text=r"DrayTek: "),
        S(programs="DrayTek*"),
        S(text=r"(?:\[\w+\])?(?:\[\w+\]) ?\[?DrayOS"),
    ),
    product("Alcatel-Lucent OmniSwitch", None, S(programs="swlogd*"), S(text=r"\S+ swlogd: ")),
    product(
        "Ruckus wireless",
        None,
        S(text=r"syslog: eventd_to_syslog\(\):"),
        S(programs="eventd_to_syslog*|Eved|eved|emfd"),
        S(programs="syslog", text=r"eventd_to_syslog\(\)"),
        S(text=r"@@\d{2,4},\w+,\"", words="@@number,event,"),
    ),
    product(
        "Aerohive, Extreme wireless",
        None,
        S(programs="ah_auth|ah_top|ah_dcd|kernel:ah", factor=1.0),
        S(text=r"ah_(?:auth|cli|dcd|top|brd|scd)(?:\[\d+\])?: ", words="ah_ program"),
    ),
    product("Mist", None, S(keys="mist_org mist_site"), S(programs="mist*")),
    product(
        "Aruba EdgeConnect, Silver Peak", None, S(programs="tunneld|mgmtd|sysd"), S(cef="Silver ?Peak", format="cef")
    ),
    product(
        "Riverbed SteelHead",
        None,
        S(programs="sport|sport[*|mgmtd", text=r"\[\w+(?:/\w+)*\.(?:INFO|NOTICE|WARN|ERR)\] "),
        appliance=True,
    ),
    product(
        "VMware SD-WAN (VeloCloud)",
        None,
        S(keys="VCO", text=r"ACTION=VCF"),
        S(text=r"VCO Event|ACTION=VCF|VELOCLOUD"),
        S(programs="velocloud*|vcg*|VCE"),
    ),
    product(
        "Versa",
        None,
        S(
            text=(
                r"(?:accessLog|flowIdLog|threatLog|urlfLog|firewallLog|dosThreatLog|idpLog|avLog|bwMonLog|"
                r"alarmLog|flowMonLog), applianceName="
            ),
            words="log type and applianceName=",
        ),
        S(keys="applianceName tenantName flowId"),
    ),
    product(
        "Allied Telesis",
        None,
        S(programs="NSM|IMI|IMISH|EPSR|HSL|VCS|PLUGMAN|EXFX|Pluggable", text=r"[A-Z]\w+ ", factor=0.7),
    ),
    product(
        "OpenWrt, RutOS",
        None,
        S(programs=("netifd|procd|odhcpd|uhttpd|dropbear-openwrt|mwan3track|mwan3-hotplug|firewall-openwrt|luci")),
        S(programs="hostapd", text=r"(?:phy\d|wlan\d)\S*: "),
        appliance=True,
    ),
    product("Cumulus Linux", None, S(programs="switchd|clagd|ptmd|neighmgrd|nclu|nvued|nvue"), appliance=True),
    product("Nokia SR OS", None, S(programs="TMNX"), S(text=r"TMNX: \d+ ", words="TMNX:")),
    product("Ciena", None, S(text=r"\[local\] .*SUBSYS"), S(programs="leos|SAOS")),
    product("Ericsson, Redback", None, S(text=r"\[\d+\]: %[A-Z]+-\d-[A-Z]+: ")),
    product(
        "LANCOM",
        None,
        S(programs="LANCOM*|CONN-LOGIN_INFO|CONNECTION_INFO|ADMINISTRATION_INFO|LOGIN_INFO|PACKET_ALARM"),
    ),
    product("Cambium", None, S(programs="cnMaestro*|cambium*|CAMBIUM*")),
    product("Sangfor", None, S(programs="fwlog"), S(text=r"fwlog: "), S(programs="sangfor*")),
    product(
        "Hillstone StoneOS",
        None,
        S(
            text=r"(?:\w+ )?\d{16}\(\w*\) [\da-f]{8} (?:Traffic|Event|Threat|NAT)@\w+",
            words="serial number and Traffic@",
        ),
        S(text=r"(?:Traffic|Event|Threat|NAT|IPS)@[A-Z]+: ", words="Traffic@FLOW:"),
    ),
    product("Topsec", None, S(keys="id=tos time fw pri type"), S(keys="id=tos fw")),
    product("Array Networks", None, S(keys="id=ArrayOS time"), S(keys="id=Array")),
    product(
        "Arbor, NETSCOUT",
        None,
        S(programs="pfsp|arbor-networks-aed|arbor-networks-aps|arbos|aed"),
        S(cef="(?:NETSCOUT|Arbor Networks)", format="cef"),
    ),
    product("Gigamon", None, S(programs="gigamon*"), S(cef="Gigamon", format="cef")),
    product("Moxa", None, S(keys="Serial", text=r"MOXA|Moxa"), S(programs="Moxa*|MOXA*")),
    product(
        "Siemens SCALANCE, RUGGEDCOM",
        None,
        S(programs="Scalance*|SCALANCE*"),
        S(data="siemens@"),
        S(programs="WBM", text=r"(?:User|Link|Admin)"),
    ),
    product("Hirschmann", None, S(programs="HiOS*|hios*"), S(text=r"\[\w+:\w+\] HiOS ")),
)
