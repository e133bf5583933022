"""Defines the formats whose events are one JSON object: EDR, NDR, proxy and vault products.

Their parsers read the whole text as JSON, so all words between the header and ``{`` are removed. Where the order of the
keys is not documented, the expression only requires an object, and a match proves little: ``foreign`` counts about 430
known inputs of the other JSON products.
"""

from bridge.formats import rules
from bridge.formats.format import Format

_ANY_OBJECT = rb'\{\s*"'
_ANY_JSON = 430

FORMATS = (
    Format(
        name="aioniq",
        product="Gatewatcher AionIQ (GCenter 2.5.3.101 and 102)",
        rule=rules.FROM_JSON,
        own_time="timestamp_analyzed, UTC",
        names_device="gcenter and gcap",
        begins=_ANY_OBJECT,
        foreign=_ANY_JSON,
        setting="GCenter: Data export, codec json, RFC 5424, protocol tcp",
        notes=("From version 2.5.3.103 on, use aioniq-v103.",),
        example=b"<134>1 2026-11-23T07:24:00.615Z gcenter01 gatewatcher - - - "
        b'{"timestamp_analyzed":"2026-11-23T07:24:00.615Z","gcenter":"gcenter01.example.org","gcap":"gcap01",'
        b'"type":"malcore","event_type":"malware","state":"Infected","src_ip":"192.0.2.31","dest_ip":"198.51.100.8"}',
        aliases=("gatewatcher-aioniq",),
    ),
    Format(
        name="aioniq-v103",
        product="Gatewatcher AionIQ (GCenter 2.5.3.103, ECS)",
        rule=rules.FROM_JSON,
        own_time="@timestamp",
        names_device="observer.hostname",
        begins=_ANY_OBJECT,
        foreign=_ANY_JSON,
        setting="GCenter: Log export, ECS log format 1.0.0, RFC 5424, protocol tcp",
        example=b"<134>1 2026-11-23T07:24:00.664Z gcenter02 gatewatcher - - - "
        b'{"observer":{"hostname":"gcenter02.example.org","product":"gcenter","vendor":"gatewatcher"},'
        b'"event":{"kind":"alert","module":"beacon_detect","severity":2},"source":{"ip":"192.0.2.32"},'
        b'"destination":{"ip":"198.51.100.9","port":443},"@version":"1","@timestamp":"2026-11-23T07:24:00.664Z"}',
        aliases=("aioniq-ecs", "gatewatcher-aioniq-v103"),
    ),
    Format(
        name="auditbeat-linux",
        product="Elastic Auditbeat on Linux",
        rule=rules.FROM_JSON,
        own_time="@timestamp",
        names_device="host.name or agent.name",
        begins=rb'\{\s*"@timestamp"\s*:',
        foreign=20,
        setting="Auditbeat: output.file, codec.json; rsyslog: imfile with a tag, omfwd over TCP with octet counting",
        notes=("Events are long: set $MaxMessageSize of rsyslog to at least 20k.",),
        example=b"<190>Nov 23 07:24:00 web01 linux_auditbeat: "
        b'{"@timestamp":"2026-11-23T07:24:00.123Z","@metadata":{"beat":"auditbeat","type":"_doc"},'
        b'"event":{"module":"auditd","action":"executed"},"process":{"executable":"/usr/bin/id","pid":4711},'
        b'"host":{"name":"web01"}}',
        aliases=("auditbeat",),
    ),
    Format(
        name="darktrace-threat-visualizer",
        product="Darktrace Threat Visualizer",
        rule=rules.FROM_JSON,
        own_time="time or createdAt, milliseconds",
        names_device="device.hostname (the device of the alert)",
        begins=_ANY_OBJECT,
        foreign=_ANY_JSON,
        setting="System Config, Modules, Workflow Integrations, Syslog: format JSON, TCP",
        example=b"<165>Nov 23 07:24:00 dt-master01 darktrace "
        b'{"commentCount":0,"pbid":40717,"time":1795418640000,"creationTime":1795418641000,"score":0.71,'
        b'"model":{"then":{"name":"Anomalous Server Activity","priority":3}},"device":{"did":44,"ip":"192.0.2.44"},'
        b'"log_type":"modelbreaches"}',
        aliases=("darktrace",),
    ),
    Format(
        name="eset-protect",
        product="ESET PROTECT, ESET Inspect",
        rule=rules.FROM_JSON,
        also="the word HEARTBEAT",
        own_time="occured, UTC",
        names_device="hostname (the protected machine)",
        begins=rb'\{(?=[^\n]*"event_type"\s*:)|HEARTBEAT\s*$',
        foreign=40,
        setting="More, Settings, Advanced Settings, Syslog server; Logging: Export logs to Syslog, format JSON; in the "
        "cloud console also envelope Syslog",
        example=b"<12>1 2026-11-23T07:24:00.113Z era01 ERAServer 2210 - - \xef\xbb\xbf"
        b'{"event_type":"Threat_Event","ipv4":"192.0.2.17","hostname":"pc-17.example.org","severity":"Warning",'
        b'"occured":"23-Nov-2026 07:23:58","threat_type":"Trojan","threat_name":"Eicar","action_taken":"Cleaned"}',
        aliases=("eset", "eset-inspect"),
    ),
    Format(
        name="harfanglab",
        product="HarfangLab EDR",
        rule=rules.FROM_JSON,
        own_time="@event_create_date",
        names_device="agent.hostname (the protected machine)",
        begins=_ANY_OBJECT,
        foreign=_ANY_JSON,
        setting="Administration, Configuration, Connectors: Syslog connector, RFC5424, TCP or TCP/SSL; app name and "
        "source host without blanks",
        notes=("Leave the field Structured data empty: the intake key belongs in this gateway's configuration.",),
        example=b"<14>1 2026-11-23T07:24:00.606Z hl-manager01 harfanglab - - - "
        b'{"log_type":"process","@event_create_date":"2026-11-23T07:24:00.512Z","pid":4120,"process_name":"whoami.exe",'
        b'"commandline":"whoami /all","username":"EXAMPLE\\\\jdoe","agent":{"hostname":"PC-17","ostype":"windows"}}',
    ),
    Format(
        name="keycloak-events",
        product="Keycloak",
        rule=rules.FROM_JSON,
        own_time="@timestamp",
        names_device="host.hostname",
        begins=rb'\{(?=[^\n]*"log\.(logger|level)"\s*:)',
        setting="log=syslog, log-syslog-protocol=tcp, log-syslog-output=json, log-syslog-json-format=ecs",
        notes=(
            "With log-syslog-json-format=default the keys differ (loggerName), and the parser does not read them.",
            "Only the logger org.keycloak.events is of interest: route on msgid, or filter the others.",
        ),
        example=b"<14>1 2026-11-23T07:24:00.472Z sso01 keycloak 1 org.keycloak.events - "
        b'{"@timestamp":"2026-11-23T07:24:00.472632304Z","event.sequence":2951,"log.logger":"org.keycloak.events",'
        b'"log.level":"WARN","message":"type=\\"LOGIN_ERROR\\", realmName=\\"staff\\", ipAddress=\\"192.0.2.17\\"",'
        b'"host.hostname":"sso01","service.name":"Keycloak"}',
        aliases=("keycloak",),
    ),
    Format(
        name="lockself",
        product="LockSelf (LockPass, LockTransfer, LockFiles)",
        rule=rules.FROM_JSON,
        own_time="time",
        begins=rb'\{(?=[^\n]*"log(Type|Message)"\s*:)',
        setting="on-premise: the syslog connection of the administration (SEKOIA.IO's page refers to the vendor's)",
        example=b"<14>Nov 23 07:24:00 vault01 lockself: "
        b'{"userEmail":"jdoe@example.org","organisationName":"example","logType":"Connection",'
        b'"logMessage":"Authentication","logObject":"OK","userIp":"192.0.2.17","time":"2026-11-23 07:24:00"}',
    ),
    Format(
        name="nucleonedr",
        product="Nucleon EDR",
        rule=rules.FROM_JSON,
        own_time="timestamp, milliseconds",
        names_device="hostname (the protected machine)",
        begins=_ANY_OBJECT,
        foreign=_ANY_JSON,
        setting="Entities, Syslog Export: host and port of this gateway, TCP or TLS, RFC 5424",
        notes=("The block sekoia@53288 with the intake key is not needed: this gateway adds the key.",),
        example=b"<14>1 2026-11-23T07:24:00.597Z nucleon01 edr - - - "
        b'{"type": "execute", "policy": "a9455e75", "process_path": "C:\\\\Windows\\\\explorer.exe", "pid": 2296, '
        b'"user": "jdoe", "timestamp": 1795418640597, "command": "calc.exe", "hostname": "PC-17", "os": "windows"}',
        aliases=("nucleon-edr",),
    ),
    Format(
        name="seckiot-citadelle",
        product="Seckiot Citadelle",
        rule=rules.FROM_JSON,
        names_device="skt.sensor",
        begins=_ANY_OBJECT,
        foreign=_ANY_JSON,
        setting="Capture architecture, Add a forwarder (SEKOIA.IO's page describes the direct HTTPS forwarder)",
        example=b"<132>1 2026-11-23T07:24:00.586Z citadelle01 citadelle - - - "
        b'{"event":{"kind":"alert","severity":1,"category":["info"]},"skt":{"module":"Detection Engine",'
        b'"sensor":"PLANT-2-SENSOR-0"},"source":{"ip":"192.0.2.61","port":53},"destination":{"ip":"192.0.2.62"},'
        b'"observer":{"vendor":"Seckiot","product":"Seckiot Citadelle"},"rule":{"name":"UDP port scan"}}',
        aliases=("citadelle",),
    ),
    Format(
        name="sesameit-jizo",
        product="Sesame it Jizo NDR",
        rule=rules.FROM_JSON,
        own_time="timestamp",
        begins=rb'\{(?=[^\n]*"event_type"\s*:)',
        foreign=60,
        setting="syslog_conf set ADDRESS PROTOCOL PORT 2",
        example=b"<134>Nov 23 07:24:00 jizo01 jizo: "
        b'{"timestamp":"2026-11-23T07:24:00.920281+0000","flow_id":1017644745558273,"in_iface":"icc1",'
        b'"event_type":"alert","src_ip":"192.0.2.71","dest_ip":"198.51.100.71","proto":"TCP",'
        b'"alert":{"action":"allowed","signature_id":9000001,"signature":"LOCAL probe","severity":3}}',
        aliases=("jizo",),
    ),
    Format(
        name="stormshield-endpoint-security",
        product="Stormshield Endpoint Security Evolution",
        rule=rules.FROM_JSON,
        own_time="Timestamp",
        names_device="AdditionalData.AgentName (the protected machine), if present",
        begins=rb'\{(?=[^\n]*"Type(ComputedMap)?"\s*:)',
        foreign=8,
        setting="the agent handlers' syslog server: JSON, TCP or TLS",
        example=b"<14>1 2026-11-23T07:24:00.862Z ses01 SES - - - "
        b'{"Version":1,"Type":39,"TypeComputedMap":"RawVolumeAccess","Severity":3,'
        b'"EventGuid":"{AD078924-C897-4BF5-9EAC-62F34AAE31EB}","Timestamp":"2026-11-23T08:24:00.8623750+01:00",'
        b'"SpecificData":{"SourceProcess":{"PID":812,"ProcessImageName":"C:\\\\tools\\\\dd.exe"}}}',
        aliases=("stormshield-ses",),
    ),
    Format(
        name="suricata",
        product="Suricata (EVE)",
        rule=rules.FROM_JSON,
        also="events of Metricbeat on the probe",
        own_time="timestamp",
        begins=rb'\{(?=[^\n]*"(event_type|agent)"\s*:)',
        foreign=60,
        setting="suricata.yaml, eve-log: filetype syslog, facility local5; rsyslog forwards local5.*",
        example=b"<174>Nov 23 07:24:00 probe01 suricata[1702]: "
        b'{"timestamp":"2026-11-23T07:24:00.712927+0000","flow_id":520221496542071,"in_iface":"eth1",'
        b'"event_type":"dns","src_ip":"192.0.2.72","src_port":44244,"dest_ip":"192.0.2.53","dest_port":53,'
        b'"proto":"UDP","dns":{"type":"query","rrname":"www.example.org","rrtype":"A"}}',
    ),
    Format(
        name="tanium",
        product="Tanium (Threat Response over Connect)",
        rule=rules.FROM_JSON,
        names_device="hostname (the managed machine)",
        begins=_ANY_OBJECT,
        foreign=_ANY_JSON,
        setting="Connect: destination Socket Receiver, format JSON",
        example=b"<14>Nov 23 07:24:00 tanium01 Tanium: "
        b'{"event":"process_start","hostname":"pc-17","host":"192.0.2.17","fields":{"pid":14664,"parent_pid":1550,'
        b'"command_line":"id -u","file__full_path":"/usr/bin/id","create_time":"2026-11-23T07:24:00.084000+00:00"}}',
    ),
    Format(
        name="tehtris-edr",
        product="TEHTRIS EDR",
        rule=rules.FROM_JSON,
        own_time="time",
        names_device="hostname__ (the protected machine)",
        begins=_ANY_OBJECT,
        foreign=_ANY_JSON,
        setting="the syslog export of the XDR platform: JSON, TCP or TLS",
        example=b"<14>1 2026-11-23T07:24:00.869Z tehtris01 edr - LOG - "
        b'{"rflId":1,"time":"2026-11-23T07:24:00.869905+00:00","lvl":6,"module":"das","eventName":"HeuristicAlert",'
        b'"description":"Application policy: macros (blocked)","os__":"windows","hostname__":"PC-17","pid":2424}',
        aliases=("tehtris",),
    ),
    Format(
        name="trellix-atd",
        product="Trellix (McAfee) Advanced Threat Defense",
        rule=rules.FROM_JSON,
        own_time="Timestamp or Summary.Subject.Timestamp, UTC",
        names_device="ATD IP",
        begins=_ANY_OBJECT,
        foreign=_ANY_JSON,
        setting="Manage, Syslog Setting: address and port of this gateway, TCP",
        example=b"<182>Nov 23 07:24:00 atd01 ATD2ESM[2137]: "
        b'{"Summary": { "Event_Type": "ATD File Report","MISversion": "5.2.0.16","ATD IP": "192.0.2.81",'
        b'"Src IP": "192.0.2.17","SubmitterName": "mwg01","Subject": {"Name": "invoice.pdf",'
        b'"Timestamp": "2026-11-23 07:23:39"},"Verdict": {"Severity": "2","Description": "somewhat suspicious"}}}',
        aliases=("mcafee-atd",),
    ),
    Format(
        name="vectra-respond-ux-entity-scoring",
        product="Vectra Respond UX, entity scoring",
        rule=rules.FROM_JSON,
        own_time="event_timestamp",
        names_device="name (the scored entity)",
        begins=rb'\{(?=[^\n]*"(entity_id|urgency_score)"\s*:)',
        setting="SEKOIA.IO's page describes the API; a script that polls it can send the events over syslog",
        example=b"<14>Nov 23 07:24:00 poller01 vectra_entity: "
        b'{"id": 7101, "entity_id": 2202, "name": "pc-17", "importance": 1, "type": "host", "is_prioritized": false, '
        b'"severity": "Low", "urgency_score": 30, "attack_rating": 1, "category": "HOST_SCORING", '
        b'"event_timestamp": "2026-11-23T07:24:00Z"}',
        aliases=("vectra-respond-ux",),
    ),
    Format(
        name="zscaler-zia",
        product="Zscaler Internet Access (NSS)",
        rule=rules.FROM_JSON,
        also="the tab-separated key=value feed of NSS",
        own_time="event.datetime or event.time",
        begins=rb'\{(?=[^\n]*"sourcetype"\s*:)|\w+=[^\t\n]*\t\w+=',
        foreign=12,
        setting="Nanolog Streaming Service: an NSS feed per log type, SIEM address and TCP port, output type Custom "
        "with the format of SEKOIA.IO's page, escape characters ,\\\"",
        notes=("The templates of SEKOIA.IO's page put NSS or event= before the object. It is removed.",),
        example=b"<134>1 2026-11-23T07:24:00Z zscaler-nss NSS - - - event="
        b'{"sourcetype":"zscalernss-web","event":{"datetime":"2026-11-23 07:24:00","reason":"Allowed",'
        b'"protocol":"SSL","action":"Allowed","user":"anna@example.org","url":"example.org","ClientIP":"192.0.2.7"}}',
        aliases=("zscaler", "zscaler-nss"),
    ),
)
