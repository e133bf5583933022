"""Lists load balancers, proxies, web application firewalls and VPN programs."""

from bridge.explain.products.expressions import ACCESS, SQUID
from bridge.explain.products.signature import Product, Signature, product

S = Signature

PRODUCTS: tuple[Product, ...] = (
    product(
        "F5 BIG-IP",
        "f5-big-ip",
        S(
            programs=(
                "tmm*|mcpd|apmd|bigd|httpd|logger|tmsh|iControlPortal.cgi|audit_forwarder|dnsd|gtmd|"
                "big3d|sod|chmand|alertd|errdefsd|sshd|crond|systemd-journal|ntpd|cbrd|bcm56xxd|apd|rba|"
                "iprepd|mprov|overdog|lacpd|clusterd|bigpipe|iqsyncer|scriptd|statsd|eventd|csyncd|bd|"
                "asm_config_server*|perl|monpd|datasyncd|avrd|merged|evrouted|zxfrd|syscalld|icrd_child|"
                "restjavad|restnoded|tomcat*|snmpd|dhclient|syslog-ng|CROND|run-parts*|promptstatusd|"
                "guestagentd|guishell|pkcs11d|named|wccpd|proxyd|tmrouted|mysqlhad|stpd|keymgmtd|csmgr|"
                "istatsd|fpdd|nitrosvc|lind|f5optics"
            ),
            shape="f5",
        ),
        S(shape="f5"),
        S(
            programs=(
                "tmm*|mcpd|apmd|bigd|gtmd|big3d|sod|chmand|tmsh|audit_forwarder|bcm56xxd|icrd_child|errdefsd|cbrd"
            )
        ),
        S(programs="tmm*|mcpd|apmd|bigd|gtmd", text=r"[\da-f]{8}:\d: ", words="eight digits and a level"),
        S(text=r"[\da-f]{8}:\d: ", words="eight digits and a level"),
        S(cef="F5 :: (?!NGINX|Distributed|XC)"),
        S(programs="ASM|PSM|AFM|DOSL7|BOT", cef="F5"),
        S(programs="ASM", text=r"unit_hostname=|attack_type=|uri="),
        S(text=r"unit_hostname=\"", words="unit_hostname="),
        S(shape="f5-irule", format="-"),
        S(text=r"[\w.-]+,f5_irule=", words="f5_irule=", format="-"),
        S(programs="ASM", text=r"f5_asm=", format="-"),
        S(programs="F5", message_ids=r"access_json|event_json|F5_\w+", format="-"),
        appliance=True,
    ),
    product(
        "F5 NGINX App Protect",
        None,
        S(programs="ASM", keys="attack_type blocking_exception_reason date_time dest_port"),
        S(text=r'(?:ASM:)?attack_type="'),
    ),
    product(
        "Citrix NetScaler ADC",
        "citrix-adc",
        S(shape="netscaler"),
        S(text=r"\d-PPE-\d+ : (?:default )?[A-Z]+ \w+ \d+ \d+ :", words="n-PPE-n : default"),
        S(cef="Citrix :: NetScaler"),
        S(text=r"\d\d/\d\d/\d{4}:\d\d:\d\d:\d\d +(?:\w+ )?(?:\S+ )?\d-PPE-\d", words="date and n-PPE-n"),
    ),
    product(
        "Avi Load Balancer",
        None,
        S(cef="Avi"),
        S(keys="adf significant udf virtualservice report_timestamp service_engine"),
        S(programs="Avi-Controller|Avi"),
    ),
    product("A10 Thunder", None, S(programs="a10logd|a10lb|a10*"), S(cef="A10", format="cef"), appliance=True),
    product(
        "HAProxy",
        "haproxy",
        S(
            programs="haproxy|hapee-lb|hapee*",
            text=r"[\da-fA-F.:]+:\d+ \[\d\d/\w{3}/\d{4}:",
            words="client:port [time]",
        ),
        S(programs="haproxy|hapee-lb"),
        S(
            text=r"[\da-fA-F.:]+:\d+ \[\d\d/\w{3}/\d{4}:[\d:.]+\] \S+ \S+/\S+ [\d/+-]+ ",
            words="client:port [time] frontend backend/server",
        ),
        daemon=True,
    ),
    product("Kemp LoadMaster", None, S(programs="wafd|l4d|ssomgr|hacpd|bal-*"), appliance=True),
    product(
        "Squid",
        "squid",
        S(programs="squid|(squid*|squid*", text=SQUID, words="access line of Squid"),
        S(programs="squid|(squid*|squid*"),
        S(text=SQUID, words="access line of Squid", factor=0.7),
        daemon=True,
    ),
    product(
        "Cisco Secure Web Appliance (WSA)",
        "cisco-secure-web-appliance",
        S(programs="accesslogs|accesslog|wsa*|access_logs", text=SQUID, words="access line"),
        S(
            text=(
                r"(?:Info: +)?\d{10}\.\d{3} +\d+ [\da-fA-F.:]+ [A-Z_]+/\d{3} .*(?:DEFAULT_CASE|<\"?(?:IW_|"
                r"-|C_|nc|[A-Z]))"
            ),
            words="access line with a policy group",
        ),
    ),
    product(
        "Blue Coat ProxySG, Edge Secure Web Gateway",
        "broadcom-edge-secure-web-gateway",
        S(programs="bluecoat", keys="c-ip"),
        S(head=r"(?:1 )?\d{4}-\d\d-\d\dT[\d:]{8}\S+ bluecoat - ", words="time, host and bluecoat"),
        S(programs="bluecoat"),
        S(programs="ProxySG", format="-"),
        S(
            text=r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \d+ [\da-f.:]+ \d{3} (?:TCP|UDP)_\w+ \d+ \d+ ",
            words="access line of ProxySG",
            format="-",
        ),
        S(keys="c-ip cs-bytes cs-categories cs-host"),
    ),
    product(
        "Skyhigh (McAfee) Web Gateway",
        "mcafee-web-gateway",
        S(programs="mwg", keys="date hostname username source_ip"),
        S(programs="mwg"),
        S(keys="date hostname username source_ip destination_ip destination_host"),
        S(keys="user_id username source_ip http_action server_to_client_bytes"),
    ),
    product(
        "Zscaler Internet Access",
        "zscaler-zia",
        S(keys="sourcetype=zscalernss"),
        S(keys="reason event_id protocol action"),
        S(keys="event_id urlcategory serverip clienttranstime"),
        S(text=r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\treason=", words="time TAB reason="),
        S(programs="zscaler*|NSS", keys="sourcetype"),
        S(cef="Zscaler :: NSS", format="cef"),
    ),
    product("Zscaler NSS status", None, S(programs="ZscalerNSS")),
    product(
        "Zscaler Private Access",
        None,
        S(keys="LogTimestamp Customer SessionID"),
        S(keys="LogTimestamp Customer"),
        S(keys="LogTimestamp ConnectionID"),
        S(keys="LogTimestamp Connector"),
        S(keys="ModifiedTime CreationTime ModifiedBy AuditOperationType"),
    ),
    product(
        "Forcepoint NGFW",
        "forcepoint-ngfw",
        S(cef="Forcepoint :: (?:Firewall|NGFW|IPS|Alert|Audit|Layer)"),
        S(cef="FORCEPOINT :: (?:Firewall|NGFW)"),
    ),
    product(
        "Forcepoint Security Management Center",
        "forcepoint-management-server",
        S(keys="Timestamp NodeId CompId InfoMsg"),
        S(keys="Timestamp NodeId CompId EventId"),
        S(keys="Timestamp NodeId CompId SenderType"),
    ),
    product(
        "Forcepoint (Websense) Secure Web Gateway",
        "forcepoint-swg",
        S(cef="Forcepoint :: Security"),
        S(cef="Websense :: Security"),
        S(text=r"vendor=(?:Forcepoint|Websense) product=", words="vendor= product=", format="-"),
    ),
    product(
        "Forcepoint Email, DLP",
        None,
        S(cef="Forcepoint :: (?:Forcepoint )?(?:Email|DLP|CASB)", format="cef"),
        S(cef="Websense :: (?:Email|Data)", format="cef"),
    ),
    product(
        "Olfeo",
        "olfeo",
        S(programs="olfeo*"),
        S(text=r"[\d.]+ - \S+ \[\d\d/\d\d/\d{4} [\d:]{8}\] \"[A-Z]+ ", words="client - user [dd/mm/yyyy time]"),
    ),
    product(
        "Ubika WAAP Gateway",
        "ubika-waap",
        S(head=r"1 \S+ \S+ (?:[\da-f]{8,32}:|[\da-f]{32}) - - - ", words="log id as program"),
        S(keys="logAlertUid @timestamp timestamp request"),
        S(keys="logAlertUid request"),
    ),
    product(
        "Peplink",
        None,
        S(programs="Allowed|Denied", keys="CONN"),
        S(text=r"(?:Allowed|Denied): CONN=", words="Allowed: CONN="),
    ),
    product("Untangle", None, S(shape="level-before-tag", programs="uvm")),
    product("Imperva SecureSphere, Incapsula", None, S(cef="(?:Imperva Inc\\.?|Incapsula)", format="cef")),
    product("Akamai", None, S(cef="Akamai", format="cef")),
    product(
        "Radware DefensePro", None, S(programs="DefensePro"), S(text=r"DefensePro: "), S(cef="Radware", format="cef")
    ),
    product(
        "OpenVPN",
        "openvpn",
        S(programs="openvpn|ovpn-*|openvpn*"),
        S(
            text=(
                r"(?:\w{3} \w{3} +\d+ [\d:]{8} \d{4} |\d{4}-\d\d-\d\d [\d:]{8} )?(?:us=\d+ )?(?:[\w@.-]+/)?[\d.]+:\d+ "
                r"(?:MULTI|TLS|VERIFY|peer info|Incoming|Outgoing|Control Channel|PUSH|SENT CONTROL)"
            ),
            words="client and a step of OpenVPN",
        ),
        daemon=True,
    ),
    product("strongSwan", None, S(programs="charon|charon-systemd|ipsec|charon-custom|ipsec_starter"), daemon=True),
    product(
        "Ekinops OneOS",
        "ekinops-oneos",
        S(head=r"\w{3} +\d+ \d\d:\d\d:\d\d \S+ : #\w+# ", words="HOST : #LEVEL#"),
        S(text=r"#(?:INFO|NOTIFY|WARNING|ERROR|ALERT|CRITICAL|DEBUG|EMERGENCY)# ", words="#LEVEL#"),
    ),
    product("Web server access lines", None, S(text=ACCESS, words="access line of a web server"), daemon=True),
)
