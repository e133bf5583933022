"""Lists endpoint protection, detection and response, network detection, and other security products."""

from bridge.explain.products.expressions import EVE
from bridge.explain.products.signature import Product, Signature, product

S = Signature

PRODUCTS: tuple[Product, ...] = (
    # --- detection on the network ---
    product(
        "Suricata",
        "suricata",
        S(programs="suricata|Suricata|suricata-*", keys="timestamp event_type"),
        S(programs="suricata", keys=EVE),
        S(programs="suricata", format="-"),
        S(keys=EVE + " flow_id"),
        S(keys="event_type=stats stats timestamp"),
        S(
            keys=(
                "event_type=flow|dns|tls|http|fileinfo|ssh|smb|anomaly|netflow|dhcp|krb5|rdp|snmp|ftp|"
                "smtp|nfs|tftp|ike|quic|mqtt timestamp flow_id src_ip dest_ip proto"
            )
        ),
    ),
    product(
        "Sesame it Jizo",
        "sesameit-jizo",
        S(keys=EVE + " flow_id"),
        S(keys=EVE + " flow_id in_iface=icc"),
        S(programs="jizo|Jizo|jizo*", keys="timestamp event_type"),
        S(programs="jizo|Jizo", keys=EVE),
    ),
    product(
        "Gatewatcher AionIQ",
        "aioniq",
        S(keys="gcenter gcap event_type"),
        S(keys="gcenter gcap"),
        S(programs="gatewatcher|aioniq|gcenter", keys="type event_type"),
        S(programs="gatewatcher|aioniq|gcenter", keys="event ecs", format="aioniq-v103"),
        S(programs="gatewatcher|aioniq|gcenter", keys="gcenter"),
        S(programs="gatewatcher|aioniq|gcenter", keys="gcap"),
        S(programs="gatewatcher|aioniq|gcenter", keys="observer", format="aioniq-v103"),
        S(keys="gcenter event_type type"),
        S(keys="gcap event_type type uuid"),
        S(
            text=r'\{.{0,1800}"vendor": ?"gatewatcher"',
            keys="observer",
            words="observer.vendor gatewatcher",
            format="aioniq-v103",
        ),
        S(text=r'\{.{0,1800}"(?:gcap|gcenter)"', keys="observer", words="observer.gcap", format="aioniq-v103"),
        S(programs="gcenter|gatewatcher|gcenter*|aioniq", keys="@timestamp"),
    ),
    product(
        "Snort",
        None,
        S(programs="snort|snort*", text=r"\[\d+:\d+:\d+\] "),
        S(programs="snort"),
        S(text=r"\[\d+:\d+:\d+\] .{1,200}\[(?:Classification|Priority): ", words="[generator:signature:revision]"),
    ),
    product("Zeek", None, S(programs="zeek|bro|zeek_*"), S(keys="uid id.orig_h id.resp_h")),
    product(
        "Darktrace",
        "darktrace-threat-visualizer",
        S(programs="darktrace|darktrace_audit|Darktrace|dt", keys=""),
        S(text=r"darktrace(?:_audit)? \{", words="darktrace {"),
        S(keys="commentCount pbid creationTime model"),
        S(keys="pbid model triggeredComponents"),
        S(keys="summariser acknowledged breachDevices"),
        S(keys="summariser acknowledged createdAt attackPhases"),
        S(keys="log_type=modelbreaches|aianalyst score"),
    ),
    product(
        "Vectra Detect",
        "vectra-cognito-detect",
        S(shape="vectra"),
        S(programs="vectra_json*", text=r"-? ?:? ?\{"),
        S(keys="headend_addr threat certainty"),
        S(keys="headend_addr version category"),
        S(keys="headend_addr vectra_timestamp"),
        S(programs="vectra_standard*", format="-"),
        S(cef="Vectra.*", format="cef"),
        S(programs="vectra_cef*", cef="Vectra.*", format="cef"),
    ),
    product(
        "Vectra Respond UX entity scoring",
        "vectra-respond-ux-entity-scoring",
        S(keys="entity_id urgency_score attack_rating"),
        S(keys="entity_id urgency_score"),
        S(keys="entity_id breadth_contrib velocity_contrib"),
        S(keys="urgency_score breadth_contrib velocity_contrib importance"),
    ),
    product(
        "Seckiot Citadelle",
        "seckiot-citadelle",
        S(keys="skt observer event"),
        S(keys="skt observer"),
        S(keys="skt event"),
        S(programs="citadelle|seckiot", keys="observer"),
    ),
    product(
        "Trellix (McAfee) Network Security Platform",
        None,
        S(programs="SyslogAlertForwarder|SyslogAuditLogForwarder|SyslogFaultForwarder|SyslogACLLogForwarder"),
        S(keys="attack_name attackid alert_type"),
    ),
    product(
        "Trellix Advanced Threat Defense",
        "trellix-atd",
        S(programs="ATD2ESM|ATD|atd*", text=r"\{\"?", words="JSON of ATD2ESM"),
        S(text=r'\{"Summary": ?\{ ?"Event_Type": ?"ATD', words="ATD File Report"),
        S(keys="Action User UserID Timestamp Client"),
        S(keys="Summary", text=r'\{"Summary": ?\{.{0,200}"(?:SUMversion|MISversion)"'),
    ),
    product(
        "Trellix ePolicy Orchestrator, on premise",
        "trellix-epo-on-prem",
        S(data="agentInfo@3401"),
        S(programs="EPOEvents"),
        S(text=r"(?:\?)?<\?xml [^>]*>\s*<(?:EPOEvent|\w*Event)>\s*<MachineInfo>", words="<EPOEvent>"),
        S(text=r"(?:\?)?<\?xml [^>]*>\s*<EPOEvent", words="<EPOEvent>"),
    ),
    # --- endpoints ---
    product(
        "HarfangLab EDR",
        "harfanglab",
        S(keys="@event_create_date @timestamp"),
        S(keys="@event_create_date log_type"),
        S(keys="alert_unique_id alert_time alert_type"),
        S(keys="agent log_type groups tenant"),
        S(keys="process_unique_id log_type groups"),
        S(programs="harfanglab|hurukai|HarfangLab*", keys="log_type"),
        S(programs="harfanglab|hurukai", keys="agent"),
        S(keys="log_type agent @timestamp tenant"),
    ),
    product(
        "TEHTRIS EDR",
        "tehtris-edr",
        S(keys="uuid__ os__ hostname__"),
        S(keys="rflId time lvl module eventName"),
        S(keys="uuid__ time description"),
        S(keys="uuid__"),
        S(keys="rflId time eventName"),
        S(keys="rflId lvl"),
        S(keys="rflId egKBId"),
        S(programs="tehtris*|egambit*", keys="time"),
    ),
    product(
        "Nucleon EDR",
        "nucleonedr",
        S(keys="policy process_path process_md5 authenticator entity"),
        S(keys="type policy process_path process_signed"),
        S(keys="process_path process_device process_signed process_signature"),
        S(keys="type authenticator entity policy"),
        S(keys="type policy process_path command hostname os"),
        S(programs="nucleon*|Nucleon*", keys="type"),
    ),
    product(
        "Tanium",
        "tanium",
        S(
            keys="event hostname host fields",
            text=r'\{.{0,1500}"(?:tanium_|process__)',
            words="event, hostname, fields with tanium_process_id",
        ),
        S(programs="tanium*|Tanium*", keys="event"),
    ),
    product(
        "Stormshield Endpoint Security",
        "stormshield-endpoint-security",
        S(keys="Version Type TypeComputedMap Severity ServerReserved"),
        S(keys="TypeComputedMap AttributesComputedBitMap EventGuid"),
        S(keys="Type TypeComputedMap Timestamp"),
        S(programs="SES|ses*|StormshieldEndpoint*", keys="Version Type Severity Timestamp"),
        S(keys="Version Type Severity ServerReserved Attributes"),
    ),
    product(
        "ESET PROTECT",
        "eset-protect",
        S(
            keys=(
                "event_type=Threat_Event|Audit_Event|FirewallAggregated_Event|HipsAggregated_Event|"
                "EnterpriseInspectorAlert_Event|FilteredWebsites_Event|BlockedFiles_Event source_uuid "
                "occured"
            )
        ),
        S(keys="event_type source_uuid occured"),
        S(keys="event_type ipv4 hostname source_uuid occured severity"),
        S(programs="ERAServer|ESMC|EPServer|EraServer", keys="event_type"),
        S(
            keys=(
                "event_type=Threat_Event|Audit_Event|FirewallAggregated_Event|HipsAggregated_Event|"
                "EnterpriseInspectorAlert_Event|FilteredWebsites_Event occured"
            )
        ),
    ),
    product(
        "Kaspersky Endpoint Security",
        "kaspersky-endpoint-security",
        S(data="event@23668"),
        S(programs="KES|*|KES*|KSC*|1093*|kes*", data="event@23668"),
        S(
            text=(
                r"(?:Event type|Result description): .{1,200}?"
                r"(?:(?:\\r\\n|\r\n|\r|\n|#015#012)(?:Result|Name|Error|User|Object|"
                r"Component|Application|Type)\b.{0,200}?){2}"
            ),
            words="Event type:",
        ),
    ),
    product(
        "Symantec Endpoint Protection Manager",
        "broadcom-symantec-endpoint-security",
        S(programs="SymantecServer"),
        S(head=r"\w{3} +\d+ [\d:]{8} SymantecServer \S+: ", words="SymantecServer HOST:", format="-"),
        S(text=r"Site: [^,]+,Server(?: Name)?: [^,]+,Domain(?: Name)?: ", words="Site: Server Name: Domain Name:"),
        S(
            text=r"[^,:]{1,64},(?:Category: \d+,[\w -]{2,40},|Event Description: ).{0,300}",
            words="Category: Event Description:",
        ),
        S(
            text=r"[^,]{1,64},[\d.]*,(?:Blocked|Allowed|Continue|Terminate),.{0,400}Begin: \d{4}-",
            words="action and Begin:",
        ),
        S(text=r"Scan ID: \d+,Begin: ", words="Scan ID: Begin:"),
        S(
            text=r"[A-Z][\w -]{4,60},IP Address: [\da-fA-F.:]*,Computer name: ",
            words="risk, IP Address: Computer name:",
        ),
        S(text=r"[^,]{1,64},Local Host(?: IP)?: [\da-fA-F.:]*,Local Port: \d+,", words="Local Host: Local Port:"),
    ),
    product(
        "Symantec Data Loss Prevention",
        None,
        S(programs="SymantecDLP*|SymantecDLPAlert"),
        S(keys="Application_Name Application_User Blocked"),
        S(text=r"Application_Name=.{1,20} Application_User=", words="Application_Name= Application_User="),
    ),
    product(
        "Cylance",
        None,
        S(programs="CylancePROTECT|CylanceOPTICS"),
        S(text=r"Event Type: \w+, Event Name: ", words="Event Type:, Event Name:"),
    ),
    product("Sysmon for Linux", None, S(programs="sysmon", text=r"<Event>")),
    product(
        "OSSEC, Wazuh",
        None,
        S(keys="rule agent manager decoder location"),
        S(programs="wazuh*"),
        S(keys="timestamp rule agent manager id decoder"),
        S(programs="ossec", text=r"Alert Level: \d+; Rule: "),
        S(programs="ossec"),
        S(text=r"Alert Level: \d+; Rule: \d+", words="Alert Level: Rule:"),
    ),
    product("Falco", None, S(programs="falco"), S(keys="output priority rule time output_fields")),
    product(
        "Auditbeat on Linux",
        "auditbeat-linux",
        S(
            text=r'[^{]{0,60}\{.{0,1900}"(?:type|agent\.type)": ?"auditbeat"',
            keys="@timestamp",
            words="agent.type auditbeat",
        ),
        S(keys="auditd @timestamp"),
        S(keys="auditd event"),
        S(programs="auditbeat|linux_auditbeat", keys="@timestamp"),
        S(text=r'[^{]{0,60}\{.{0,1900}"beat": ?"auditbeat"', keys="@timestamp", words="auditbeat"),
    ),
    product(
        "Elastic Beats",
        None,
        S(
            text=r'\{.{0,1900}"(?:type|beat)": ?"(?:filebeat|metricbeat|packetbeat|heartbeat)"',
            keys="@timestamp",
            words="agent.type of a Beat",
        ),
    ),
    product("osquery", None, S(programs="osqueryd"), S(keys="name hostIdentifier calendarTime unixTime")),
    product(
        "StealthINTERCEPT",
        None,
        S(text=r"(?:StealthINTERCEPT|StealthDEFEND)\b"),
        S(programs="StealthINTERCEPT|StealthDEFEND"),
    ),
    product("Tripwire, Qualys, Rapid7", None, S(programs="Tripwire*|tripwire*|InsightVM*|qualys-*")),
    product(
        "Cyberwatch",
        "cyberwatch-detection",
        S(programs="cyberwatch", text=r"(?:node='[^']*',)?active='"),
        S(programs="cyberwatch"),
        S(text=r"(?:node='[^']*',)?active='(?:true|false)',", words="active=', computer_category='"),
    ),
    product(
        "Tenable Identity Exposure (Alsid)",
        "alsid",
        S(programs="AlsidForAD|TenableAD|Tenable.ad"),
        S(text=r'"[012]" "\d+" "[^"]*" "[^"]*" "[CI]-[A-Z]', words="quoted fields of Alsid"),
        S(
            text=r'"[012]" "\d+" "[^"]{1,80}" "[\w-]+(?:\.[\w-]+)+" "[A-Za-z][\w-]*" "',
            words="kind, id, forest and domain in quotes",
        ),
    ),
)
