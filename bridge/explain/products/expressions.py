"""Defines expressions that several products share. A shared expression weighs less than one of a single product."""

_ADDRESS = r"[\da-fA-F.:]{3,39}"

ACCESS = r"(?:[\w.-]+(?::\d+)? )?" + _ADDRESS + r" \S+ \S+(?: \S+)? \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] \""
"An access line of a web server (common log format)."
QUERY = (
    r"(?:queries: )?(?:info: )?client (?:@0x[\da-f]+ )?"
    + _ADDRESS
    + r"#\d+(?: \([^)]*\))?: (?:view [^:]+: )?(?:query|answer)"
)
"A query of BIND."
RESPONSE = r"(?:infoblox-responses: )?\d\d-\w{3}-\d{4} [\d:]{8}\.\d+ client " + _ADDRESS + r"#\d+:? .{0,20}query: \S+ "
"A response of named in the form of Infoblox NIOS."
NAMED = (
    r"(?:[\w-]+: (?:\w+: )?)?(?:client |zone |rpz |transfer of |validating |view |received "
    r"notify|loading |lame server|success resolving"
    r"|(?:error \([^)]*\)|[A-Za-z ]+) resolving |managed-keys-zone|DNS format error|REFUSED |"
    r"automatic empty zone|resolver priming|all zones"
    r"|running|listening on|command channel|Recursion cache|sizing zone|reloading |timed out|"
    r"shutting down|clients-per-query|using )"
)
"Other messages of BIND."
LEASE = r"DHCP(?:DISCOVER|OFFER|N?ACK|REQUEST|DECLINE|RELEASE|INFORM|EXPIRE)\b"
"A message about a lease of ISC DHCP."
PLAIN_LEASE = r"DHCP(?:ACK|OFFER) (?:on|to) \S+ to \S+(?: \([^)]*\))? via \S+\Z"
"The same in the form of ISC dhcpd itself; appliances add words."
QUEUED = (
    r"[0-9A-F]{9,12}: (?:to=<|from=<|client=\S+\[|message-id=<|uid=\d|removed\b)|NOQUEUE: reject: "
    r"|statistics: max (?:connection|cache) "
)
"Messages of Postfix about a mail."
SQUID = r"(?:Info: +)?\d{10}\.\d{3} +\d+ " + _ADDRESS + r" [A-Z_]+/-?\d{2,3} \d+ "
"An access line of Squid."
EVE = "timestamp event_type src_ip dest_ip proto"
"Top-level keys of an event of Suricata."
SSHD = (
    r"(?:Accepted|Failed|Invalid user|Disconnect|Connection|Received|User |PAM|pam_|error:|"
    r"fatal:|Postponed|Server listening|Unable|Did not"
    r"|Bad |input_|Address |reverse mapping|Could not|subsystem|Starting|message repeated|Nasty|"
    r"refused|Exiting|Close|Max|Illegal|check pass)"
)
"Messages of OpenSSH."
