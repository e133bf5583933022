"""Lists DNS, DHCP, directories, mail and web servers."""

from dataclasses import replace

from bridge.explain.products.expressions import ACCESS, LEASE, NAMED, PLAIN_LEASE, QUERY, QUEUED, RESPONSE
from bridge.explain.products.signature import Product, Signature, product

S = Signature

# Infoblox NIOS and SOLIDserver run BIND and ISC dhcpd, and most of their messages are those of the programs.
_NAMED = (
    S(programs="named", text=QUERY, words="queries of named"),
    S(programs="named", text=NAMED),
    S(programs="named"),
)
_DHCPD = (S(programs="dhcpd", text=LEASE, words="leases of dhcpd"), S(programs="dhcpd"))


def _hosts(host: str) -> tuple[Signature, ...]:
    """Returns the signatures of DNS and DHCP, and the same with a host name that breaks the tie.

    Without it, other messages of the device may tell the product, but a BIND on a Unix host has the same messages. So
    only the host name gives the format.
    """
    programs = (*_NAMED, *_DHCPD)
    return (*(replace(one, format="-") for one in programs), *(replace(one, host=host) for one in programs))


PRODUCTS: tuple[Product, ...] = (
    # --- DNS, DHCP, directories ---
    product(
        "ISC BIND",
        "bind",
        S(programs="bind", text=QUERY, words="queries with the tag bind"),
        S(programs="bind"),
        *_NAMED,
        daemon=True,
    ),
    product(
        "ISC dhcpd",
        "dhcpd",
        *_DHCPD,
        S(programs="dhcpd", text=PLAIN_LEASE, words="leases of dhcpd"),
        S(text=PLAIN_LEASE, words="leases of dhcpd"),
        daemon=True,
    ),
    product(
        "Infoblox NIOS",
        "infoblox-ddi",
        *_hosts(r"(?:infoblox|nios|ibx|ib-)"),
        S(programs="named", text=RESPONSE, words="responses of named in the form of NIOS"),
        S(programs="named", cef="Infoblox :: NIOS"),
        S(cef="Infoblox"),
        S(
            shape="host-and-address",
            programs="dhcpd|named|httpd|sshd|dhcpdv6|monitor|ntpd",
            words="host and address of a grid member",
        ),
        S(
            programs="dhcpd",
            text=(
                r"(?:r-l-e:|Option 82|Average \d+ dynamic DNS|DHCP\w+ .{0,160}\b(?:TransID [\da-f]+|uid "
                r"[\da-f:]{8}|lease-duration \d))"
            ),
            words="leases of Infoblox",
            format="-",
        ),
        S(programs="httpd", text=r"\d{4}-\d\d-\d\d [\d:.]+Z \[[^\]]+\]: ", words="audit of NIOS"),
        S(
            programs=(
                "threat-protect-log|db_jnld|openvpn-member|openvpn-master|serial_console|-serial_console|"
                "rc6|debug_mount|captured_dns_uploader|scheduled_backups|purge_scheduled_tasks|"
                "fp_trigger|controld|phonehome|radiusd_nios|monitor|restarting"
            )
        ),
        appliance=True,
    ),
    product(
        "EfficientIP SOLIDserver",
        "solidserver-ddi",
        *_hosts(r"(?:solid|efficientip|eip|sds)"),
        S(
            programs="named|dhcpd|httpd|ipmserver",
            text=r"(?:\d+:client |(?:DIS)?ARMING |List Matched)",
            words="ARMING, List Matched",
        ),
        S(programs="dhcpd", text=r"DHCP(?:ACK|OFFER) .{0,120}via \S+ \[\d+\]", words="leases of SOLIDserver"),
        S(programs="ipmserver|ipmdns.sh|ipmdhcp|ipmd"),
        appliance=True,
    ),
    product("BlueCat", None, S(programs="commandserver|CommandServer|psmclient|BlueCat*|bcn-*")),
    product(
        "Unbound",
        "unbound",
        S(
            programs="unbound",
            text=r"\[\d+:[\da-f]+\] (?:info|query|reply|error|warning|notice|debug): ",
            words="[PID:thread] info:",
        ),
        S(programs="unbound"),
        S(
            # With words of Unbound: other programs write a thread and a level as well.
            text=(
                r"\[\d+:[\da-f]+\] (?:(?:info|query|reply): [\da-f.:]+ \S+ [A-Z0-9]+ (?:IN|CH|HS)\b"
                r"|info: (?:resolving|response for|reply from|query response was|validat(?:ed|ion) |priming "
                r"|start of service|service stopped|server stats |finishing processing |generate keytag))"
            ),
            words="[PID:thread] info: and a query",
        ),
        daemon=True,
    ),
    product("PowerDNS", None, S(programs="pdns|pdns_server|pdns_recursor|pdns-recursor"), daemon=True),
    product("dnsmasq", None, S(programs="dnsmasq|dnsmasq-dhcp|dnsmasq-tftp"), daemon=True),
    product("Knot DNS", None, S(programs="knotd|kresd")),
    product("NSD", None, S(programs="nsd")),
    product(
        "Kea DHCP",
        None,
        S(programs="kea-dhcp4|kea-dhcp6|kea-ctrl-agent"),
        S(text=r"(?:INFO|WARN|ERROR|DEBUG) +\[kea-dhcp\d?\."),
        daemon=True,
    ),
    product(
        "OpenLDAP",
        "openldap",
        S(programs="slapd", text=r"(?:[^=]{0,60} )?conn=\d+ (?:op|fd)=\d+ ", words="conn= op="),
        S(programs="slapd"),
        S(text=r"conn=\d+ (?:op|fd)=\d+ ", words="conn= op="),
        daemon=True,
    ),
    product(
        "389 Directory Server",
        None,
        S(programs="ns-slapd"),
        S(text=r"\[\d\d/\w{3}/\d{4}:[\d:.]+ [+-]\d{4}\] conn=\d+ "),
    ),
    product(
        "FreeRADIUS",
        "freeradius",
        S(
            programs="radiusd|freeradius",
            text=r"\(\d+\) +(?:Login|Invalid|Rejected)|Ignoring request ",
            words="(number) Login",
        ),
        S(programs="radiusd|freeradius"),
        S(text=r"\(\d+\) +(?:Login OK|Login incorrect|Invalid user)", words="(number) Login"),
        daemon=True,
    ),
    product(
        "RSA Authentication Manager (SecurID)",
        "rsa-securid",
        S(text=r"(?:\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d,\d{3}, [^,]+, (?:audit|system)\.", words="time, host, audit."),
        S(
            text=r"(?:\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d,\d{3}, [^,]+, (?:audit|system)\.[\w.]*rsa",
            words="time, host, audit.runtime.com.rsa",
        ),
    ),
    product(
        "PingFederate",
        "pingfederate",
        S(programs="PingFederate|pingfederate|pingfed"),
        S(text=r"\d{4}-\d\d-\d\d [\d:]+,\d{3} trackingid=\"tid:", words="trackingid="),
        S(
            text=r"\d{4}-\d\d-\d\d [\d:]{8},\d{3} ?\| ?tid:[\w-]+ ?\| ?[A-Z_]+ ?\|",
            words="time | tid: | event |",
            format="-",
        ),
        S(
            text=r"\d{4}-\d\d-\d\d [\d:]{8},\d{3} +tid:[\w-]+ +(?:TRACE|DEBUG|INFO|WARN|ERROR|FATAL) +\[",
            words="time, tid: and level",
            format="-",
        ),
    ),
    product(
        "Broadcom SiteMinder",
        "broadcom-siteminder",
        S(programs="smaccess"),
        S(text=r"(?:Auth|Az|Validate)\w+ \S+ \[\d\d/\w{3}/\d{4}:", words="AuthAccept HOST [time]"),
    ),
    product(
        "Keycloak",
        "keycloak-events",
        S(keys="log.logger=org.keycloak message @timestamp"),
        S(keys="service.name=Keycloak log.logger"),
        S(keys="log.logger=org.keycloak"),
        S(keys="loggerName=org.keycloak message", format="-"),
        # Events as JSON of an event listener: EventRepresentation and AdminEventRepresentation.
        S(keys="type realmId clientId ipAddress details time", format="-"),
        S(keys="operationType realmId authDetails resourceType time", format="-"),
        S(programs="keycloak*", text=r"\d{4}-\d\d-\d\d|type=", format="-"),
        S(text=r"(?:[\d-]{10} [\d:,]+ )?(?:WARN|INFO|DEBUG|ERROR) +\[org\.keycloak", format="-"),
    ),
    product("NetIQ (Novell) Access Manager", None, S(keys="appName=Novell|NetIQ timeStamp eventId")),
    product("SecureAuth", None, S(data="SecureAuth@"), S(programs="SecureAuth*")),
    product("Duo Authentication Proxy", None, S(programs="duo*|Duo*")),
    product(
        "Microsoft RRAS and NPS",
        "microsoft-always-on-vpn",
        S(text=r'"\w[^"]*","(?:RAS|IAS)",\d\d/\d\d/\d{4},', words="CSV of RAS or IAS"),
    ),
    # --- mail ---
    product(
        "Postfix",
        "postfix",
        S(programs="postfix/*|postfix-*/*|postfix|postgrey|policyd-spf|postfix/smtpd"),
        S(text=QUEUED, words="queue id and to=<, from=<, client="),
        daemon=True,
    ),
    product(
        "Sendmail",
        None,
        S(programs="sendmail|sm-mta|sm-msp-queue|sendmail-*"),
        S(programs="sendmail", text=r"\w{14}: (?:from|to)="),
        daemon=True,
    ),
    product("Exim", None, S(programs="exim|exim4"), daemon=True),
    product("Dovecot", None, S(programs="dovecot"), daemon=True),
    product(
        "SpamAssassin",
        "apache-spamassassin",
        S(programs="spamd", text=r"(?:spamd|dns|prefork|util|config|bayes|logger): ", words="spamd: or prefork:"),
        S(programs="spamd"),
        daemon=True,
    ),
    product("Rspamd", None, S(programs="rspamd|rspamd_*"), daemon=True),
    product("ClamAV", None, S(programs="clamd|freshclam|clamav-milter|clamscan"), daemon=True),
    product("amavis", None, S(programs="amavis|amavisd"), daemon=True),
    product(
        "Proofpoint Protection Server",
        None,
        S(programs="filter_instance*|filter_instance1", text=r"rprt |info "),
        S(programs="filter_instance*"),
        S(programs="pps-*"),
        S(programs="queued-*|regulation-*"),
        appliance=True,
    ),
    product(
        "Symantec Messaging Gateway",
        None,
        S(programs="bmserver|conduit|ecelerity|brightmail*"),
        S(text=r"\[Brightmail\] "),
        appliance=True,
    ),
    product(
        "FireEye EX, Mimecast",
        None,
        S(cef="Mimecast", format="cef"),
        S(programs="mimecast*|Mimecast*"),
        S(text=r"(?:datetime=[^|]{1,40}\|)(?:\w+=[^|]*\|)?(?:aCode|acc)=", words="datetime=|aCode=|acc="),
    ),
    # --- web ---
    product(
        "Apache HTTP Server",
        "apache-http-server",
        S(programs="apache|httpd|apache2|apache-access|apache-error|apache_access", text=ACCESS, words="access line"),
        S(programs="apache|apache2"),
        S(text=r"\[\w{3} \w{3} \d\d [\d:.]+ \d{4}\] \[\w*:\w+\] \[pid \d+", words="[time] [module:level] [pid]"),
        S(programs="httpd", text=r"\[\w{3} \w{3} \d\d [\d:.]+ \d{4}\] \[\w*:?\w+\]|\[\w*:\w+\] \[pid"),
        daemon=True,
    ),
    product(
        "NGINX",
        "nginx",
        S(programs="nginx|nginx-access|nginx_access|nginx-error|nginx*", text=ACCESS, words="access line"),
        S(programs="nginx|nginx*"),
        S(text=r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[\w+\] \d+#\d+: ", words="error line of NGINX"),
        daemon=True,
    ),
    product(
        "Microsoft IIS",
        "microsoft-iis",
        S(text=r"[\da-fA-F.:]+, \S+, \d+/\d+/\d{4}, [\d:]+, W3SVC\d*, ", words="IIS log format, W3SVC"),
        S(programs="iis", text=r"[\da-fA-F.:]+, \S+, \d+/\d+/\d{4}, ", words="IIS log format"),
    ),
    product(
        "Microsoft IIS, W3C format",
        None,
        S(
            text=(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (?:W3SVC\d+ \S+ )?[\da-f.:]+ (?:GET|POST|HEAD|PUT|" r"OPTIONS) /"),
            words="W3C log format",
        ),
        S(keys="s-ip cs-method cs-uri-stem"),
    ),
    product("Apache Tomcat, Java", None, S(programs="tomcat*|catalina*"), daemon=True),
    product("Traefik", None, S(programs="traefik")),
    product("Caddy", None, S(programs="caddy")),
    product("Envoy", None, S(programs="envoy"), daemon=True),
    product("HashiCorp Vault", None, S(programs="vault")),
    product("HashiCorp Consul", None, S(programs="consul")),
    product("HashiCorp Nomad", None, S(programs="nomad")),
)
