"""Lists server programs that are known by their name alone, on any Unix host or in an appliance."""

from bridge.explain.products.signature import Product, Signature, product

S = Signature


def _daemon(name: str, programs: str) -> Product:
    return product(name, None, S(programs=programs), daemon=True)


PRODUCTS: tuple[Product, ...] = (
    # --- web and applications ---
    _daemon("Varnish", "varnishd|varnishncsa|varnishlog|varnish"),
    _daemon("lighttpd", "lighttpd"),
    _daemon("PHP", "php-fpm7|php-fpm8|php-cgi|php_errors"),
    _daemon("uWSGI, Gunicorn", "uwsgi|gunicorn"),
    _daemon("WildFly, JBoss", "wildfly*|jboss*"),
    _daemon("WebLogic, WebSphere", "weblogic*|WebLogic*|websphere*|WebSphere*"),
    _daemon("memcached", "memcached"),
    _daemon("Cassandra", "cassandra"),
    _daemon("InfluxDB, Grafana, Loki", "influxd|grafana*|loki|promtail"),
    _daemon("Rundeck, AWX", "rundeck*|awx*"),
    _daemon("Kong", "kong"),
    _daemon("Authelia, authentik", "authelia|authentik*"),
    _daemon("Vaultwarden", "vaultwarden|bitwarden*"),
    # --- mail ---
    _daemon("Zimbra", "zimbra*|zmconfigd|zmmailboxd"),
    _daemon("Cyrus IMAP", "cyrus/*|lmtpunix|cyrus-master"),
    _daemon("DKIM, DMARC and greylisting", "opendkim|opendmarc|milter-greylist|policyd-weight|postfwd|spf-milter"),
    _daemon("Microsoft Exchange", "MSExchange*"),
    _daemon("Kerio", "winroute|Kerio*|kerio*"),
    # --- network ---
    _daemon("Pi-hole, AdGuard Home", "pihole-FTL|pihole|AdGuardHome"),
    _daemon("Tailscale, WireGuard", "tailscaled|wireguard|wg-quick"),
    _daemon("ocserv, SoftEther", "ocserv|softether*|vpnserver|pritunl*"),
    _daemon("ntopng", "ntopng|nprobe"),
    _daemon("conntrackd, miniupnpd", "conntrackd|miniupnpd|igmpproxy|udpxy"),
    _daemon("Apache Guacamole", "guacd"),
    _daemon("stunnel", "stunnel*"),
    _daemon("Kamailio, OpenSIPS, FreeSWITCH", "kamailio|opensips|freeswitch|rtpengine|drachtio"),
    # --- backup and storage ---
    _daemon("Bacula, Bareos", "bacula*|bareos*"),
    _daemon("Ceph", "ceph*|radosgw"),
    _daemon("GlusterFS", "gluster*|glusterd"),
    _daemon("MinIO", "minio"),
    _daemon("DRBD", "drbd*"),
    # --- sensors and power ---
    product("Vertiv, Liebert", None, S(programs="Vertiv*|liebert*|Liebert*|IS-UNITY*")),
    product("AKCP, NetBotz, HWg sensors", None, S(programs="sensorProbe*|NetBotz*|netbotz*|HWg*|Poseidon*|akcp*")),
    product("IP telephones", None, S(programs="snom*|Yealink*|yealink*|Grandstream*|GXP*|Cisco-SIP*")),
)
