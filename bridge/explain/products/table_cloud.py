"""Lists cloud services and other sources of JSON that a log shipper sends by syslog. None has a text format."""

from bridge.explain.products.signature import Product, Signature, product

S = Signature

PRODUCTS: tuple[Product, ...] = (
    product(
        "AWS CloudTrail",
        None,
        S(keys="eventVersion userIdentity eventTime eventSource awsRegion"),
        S(keys="eventSource awsRegion eventName"),
    ),
    product(
        "AWS GuardDuty, Security Hub",
        None,
        S(keys="schemaVersion accountId region partition"),
        S(keys="detail-type account"),
    ),
    product(
        "Microsoft 365 audit",
        None,
        S(keys="CreationTime Workload Operation UserId RecordType"),
        S(keys="CreationTime Workload RecordType"),
    ),
    product(
        "Microsoft Entra ID, Azure",
        None,
        S(keys="operationName resourceId category"),
        S(keys="userPrincipalName appDisplayName conditionalAccessStatus"),
    ),
    product(
        "Google Cloud audit", None, S(keys="logName resource protoPayload insertId"), S(keys="protoPayload insertId")
    ),
    product(
        "Google Workspace", None, S(keys="kind=admin#reports#activity id actor"), S(keys="etag kind=admin#reports")
    ),
    product(
        "Cloudflare",
        None,
        S(keys="ClientIP ClientRequestHost EdgeResponseStatus RayID"),
        S(keys="ClientRequestHost RayID"),
    ),
    product(
        "Duo Security", None, S(keys="access_device application auth_device factor"), S(keys="isotimestamp txid factor")
    ),
    product("Cowrie honeypot", None, S(keys="eventid=cowrie session src_ip"), S(keys="eventid=cowrie sensor")),
    product(
        "OpenCanary honeypot", None, S(keys="dst_host dst_port logtype node_id src_host"), S(keys="logtype node_id")
    ),
    product(
        "Nextcloud", None, S(keys="reqId remoteAddr app method url"), S(programs="nextcloud*|Nextcloud*|ownCloud*")
    ),
    product("CrowdSec", None, S(programs="crowdsec*"), S(keys="scenario leakspeed capacity")),
    product("Apache Kafka, Confluent audit", None, S(keys="specversion=1 source=crn id type=io.confluent")),
    product("MongoDB audit", None, S(keys="atype ts local remote users roles param"), S(keys="atype remote param")),
)
