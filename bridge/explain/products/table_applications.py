"""Lists databases, message queues, business applications, and syslog programs themselves."""

from bridge.explain.products.signature import Product, Signature, product

S = Signature

PRODUCTS: tuple[Product, ...] = (
    product("PostgreSQL", None, S(programs="postgres|postgresql|postgresql-*"), daemon=True),
    product(
        "MySQL, MariaDB",
        None,
        S(programs="mysqld|mariadbd|mysqld_safe|mysql-server_auditing|mariadb|mysql"),
        daemon=True,
    ),
    product(
        "Oracle Database audit",
        None,
        S(programs="Oracle*"),
        S(programs="Oracle*", text=r"LENGTH ?: ?'?\d+|ACTION"),
        S(text=r"LENGTH ?: ?'?\d+'? ACTION ?:", words="LENGTH: ACTION:"),
    ),
    product("Microsoft SQL Server", None, S(programs="MSSQLSERVER|MSSQL$*|sqlservr")),
    product("Elasticsearch, OpenSearch", None, S(programs="elasticsearch|opensearch")),
    product("MongoDB", None, S(programs="mongod|mongos"), daemon=True),
    product("Redis", None, S(programs="redis|redis-server|valkey-server"), daemon=True),
    product(
        "IBM Guardium",
        None,
        S(cef="IBM :: Guardium", format="cef"),
        S(programs="guard_sender"),
        S(text=r"guard_sender\[\d+\]: "),
    ),
    product("Imperva database firewall", None, S(programs="SecureSphere*")),
    product(
        "IBM DataPower",
        None,
        S(text=r"(?:\[[\w-]*\])?\[0x[\da-f]{8}\]\[[\w-]+\]\[\w+\] ", words="[domain][0x code][category][level]"),
    ),
    product(
        "IBM z/OS",
        None,
        S(programs="SMF*|zSecure*"),
        S(cef="IBM :: (?:zSecure|z/OS)", format="cef"),
        S(text=r"C2P\d+\w "),
    ),
    product("SAP", None, S(programs="SAP*|sapstartsrv"), S(cef="SAP", format="cef")),
    product(
        "Solace",
        None,
        S(programs="event", text=r"(?:SYSTEM|CLIENT|VPN): \w+_\w+: "),
        S(text=r"(?:event: )?(?:SYSTEM|CLIENT|VPN): (?:SYSTEM|CLIENT|VPN)_\w+: ", words="SYSTEM: SYSTEM_"),
    ),
    product("RabbitMQ", None, S(programs="rabbitmq-server"), daemon=True),
    product("Apache Kafka", None, S(programs="kafka|kafka-server")),
    product("Apache ActiveMQ", None, S(programs="activemq|artemis")),
    product(
        "Aviatrix",
        None,
        S(text=r"(?:cloudx_cli|\w+): Aviatrix\w+: "),
        S(programs="cloudx_cli|avx-*|cloudxd|perfmon"),
        S(text=r"Aviatrix\w+: "),
        S(programs="kernel", text=r"(?:\[ *\d+\.\d+\] )?\*\*\*Aviatrix"),
        appliance=True,
    ),
    product("NetMotion, Absolute", None, S(data="nm_"), S(programs="nmreporting.exe|LocalityServer")),
    product("PaperCut", None, S(programs="papercut*|PaperCut*")),
    product("Splunk", None, S(programs="splunkd|splunk*|sc4s*")),
    product("Graylog", None, S(programs="graylog*")),
    product("Logstash", None, S(programs="logstash*")),
    product(
        "rsyslog statistics",
        None,
        S(programs="rsyslogd-pstats"),
        S(
            text=r'\{ ?"name": ?"\w+", ?"origin": ?"(?:core|imudp|imtcp|omfwd|impstats|dynstats)',
            words="name and origin of impstats",
        ),
    ),
    product(
        "Jenkins, Ansible Tower",
        None,
        S(programs="jenkins"),
        S(keys="cluster_host_id logger_name level message @timestamp"),
    ),
    product("Home automation", None, S(programs="hass|home-assistant|openhab|fhem|hmserver|ReGaHss")),
    product("AVM FRITZ!Box", None, S(programs="FRITZ*|avm*")),
    product("UPS of NUT", None, S(programs="upsmon|upsd|upssched|apcupsd"), daemon=True),
)
