"""Defines the format rules, each with its reason: the text that the parser cannot read otherwise.

An edit searches at most the first 200 bytes of a text, so a hostile text costs no more than that.
"""

from bridge.formats.rule import Beginning, Choice, Ends, FormatRule

# --- Edits of many formats -------------------------------------------------------------------------------------------

# A cut removes words of a header. Text of an event in which CEF:0| is quoted, by a user for instance, is not a header:
# a header has no quotation mark, no key=value, no braces and no comma (except in a time, 07:24:00,123).
_HEADER = rb"(?:[^\n\"'=|{},]|(?<=[0-9]),(?=[0-9]{3}[^0-9]))"

# CEF and LEEF parsers accept nothing before `CEF:` or `LEEF:`, but some devices put a tag or a part of a header there
# (`fenotify-3.alert: CEF:0|`, CyberArk's `1 TIME HOST LEEF:1.0|`).
_TO_CEF = Beginning(rb'(?!"?CEF:)' + _HEADER + rb"{1,200}?(?=CEF: ?[01]\|)", required_text=b"CEF:")
_TO_LEEF = Beginning(rb"(?!LEEF:)" + _HEADER + rb"{1,200}?(?=LEEF:[12]\.0\|)", required_text=b"LEEF:")

# XML, JSON and CEF have no line ends inside a value. Between values a blank means the same.
_BLANKS = Ends(((b"\r\n", b" "), (b"\n", b" "), (b"\r", b" ")))

FROM_CEF = FormatRule(
    "from-cef", "removes text before CEF: and replaces line ends in the event by blanks", edits=(_BLANKS, _TO_CEF)
)
FROM_LEEF = FormatRule("from-leef", "removes text before LEEF:", edits=(_TO_LEEF,))
FROM_CEF_OR_LEEF = FormatRule("from-cef-or-leef", "removes text before CEF: or LEEF:", edits=(_TO_CEF, _TO_LEEF))

# GravityZone may put its event within double quotes, which the parser removes.
GRAVITYZONE = FormatRule(
    "from-quoted-cef",
    "removes text before CEF: (or before the double quote before it) and replaces line ends in the event by blanks",
    edits=(_BLANKS, Beginning(rb'(?!"?CEF:)' + _HEADER + rb'{1,200}?(?="?CEF: ?[01]\|)', required_text=b"CEF:")),
)

# These parsers delete line ends before they read the event. The spool writes line ends as `#012`, which they do not
# delete.
NO_LINE_ENDS = FormatRule(
    "no-line-ends", "deletes line ends in the event, as the parser does", edits=(Ends(((b"\r\n", b""), (b"\n", b""))),)
)

BLANK_LINE_ENDS = FormatRule(
    "blank-line-ends",
    "replaces line ends in the event by blanks, which mean the same in XML and JSON",
    edits=(_BLANKS,),
)

# JSON parsers accept nothing before `{`, but some devices put words there (`NSS {`, `darktrace {`, `event={`). A text
# in which JSON is quoted, that is a list of objects or that has TABs between its fields has no such words.
FROM_JSON = FormatRule(
    "from-json",
    "removes words before { and replaces line ends in the event by blanks",
    edits=(_BLANKS, Beginning(
        rb'(?!\{)(?:\[[^ \n\]"=]{1,64}@[0-9]+[^\n\]]{0,400}\] *+)?(?:[^\n\t"{}\[\]]|\[[0-9]+\]){0,200}?(?=\{ *["}])',
        required_text=b"{",
    )),
)  # fmt: skip

# Elements of structured data that say nothing about the event (`bridge.syslog.structured_data`). A relay may add them.
_DESCRIPTIVE = rb"\[(?:timeQuality|origin|meta|SEKOIA@53288)(?=[ \]])(?:[^\]\"\n]|\"(?:[^\"\\\n]|\\[^\n])*+\")*+\]"

# --- Cisco -----------------------------------------------------------------------------------------------------------

_TAG = rb"[A-Za-z_][A-Za-z0-9_./-]*+(?:\[[0-9]+\])?: "

_IOS_TIME = rb"[A-Z][a-z]{2} +[0-9]{1,2} (?:[0-9]{4} )?[0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]+)?"
# A word between time and `: %` is the zone or, if it is none of these, the host.
_IOS_ZONE = (
    rb"(?:[A-Z]{1,5}|(?i:utc|gmt|z|wes?t|ces?t|ees?t|msk|bst|[ij]st|[ecmpa][sd]t|[an]e?[sd]t)|[+-][0-9]{2}:?[0-9]{2})"
)
_IOS_ORIGIN = rb"(?![0-9]+: )[A-Za-z0-9_.-]+: "
_IOS_HOST = rb"[A-Za-z0-9_.-]+"
_IOS_DATE = _IOS_TIME + rb"(?: [A-Za-z]{1,5}| [+-][0-9]{2}:?[0-9]{2})?: %"

# The parser accepts `[WORD: ]Mmm dd ...: %`: at most one word, and no mark of an unsynchronised clock. A lookahead
# captures the `: ` behind a host, because the text has it at another place.
IOS_DATE = FormatRule(
    "ios-date",
    "sends the text from the origin-id on, or from the date on without one; removes counters and the clock mark * or "
    ".; sends the host before the date if it is behind it (TIME HOST %MNEMONIC)",
    edits=(
        # `*` before the mnemonic marks the clock, too.
        Beginning(rb"([^%\n]{1,200}: )\*(?=%)", rb"\1", required_text=b": *%"),
        Beginning(
            # A relay's header: its host is the device if there is no origin-id.
            _IOS_TIME + rb"(?: " + _IOS_ZONE + rb")? (" + _IOS_HOST + rb")(?: [0-9]*:)* [0-9]*(: )[*.]?(?=" + _IOS_DATE
            # An origin-id of several words is not a host name for the parser.
            + rb")|(?!" + _IOS_TIME + rb")[A-Za-z0-9_./-]++(?: [A-Za-z0-9_./-]++)+: (?:[0-9]*: )*[*.]?(?=" + _IOS_DATE
            + rb")|[^%\n]{0,200}?(?:(?<![^ \n])(" + _IOS_ORIGIN + rb")(?:[0-9]*: )*[*.]?(?=" + _IOS_DATE
            + rb")|[*.]?(?=" + _IOS_TIME + rb"(?: " + _IOS_ZONE + rb")?: %))",
            rb"\1\2\3",
        ),
        Beginning(
            rb"(?!" + _IOS_TIME + rb"(?: " + _IOS_ZONE + rb")? ?: %|" + _IOS_ORIGIN + _IOS_TIME
            + rb")[^%\n]{0,200}?(?<![^ \n])[*.]?(" + _IOS_TIME + rb"(?: " + _IOS_ZONE + rb"(?= [^: \n%]))?):? (?!"
            + _IOS_ZONE + rb" ?:)"
            # An IPv6 address is not a host name for the parser.
            rb"(?:(" + _IOS_HOST + rb")(?=[^\n]{3,99}?(: ))|\[?[0-9a-fA-F]{0,4}:[0-9a-fA-F:.]*[0-9a-fA-F:]\]?)"
            rb"(?: ?:)? (?=%[A-Za-z0-9_]+-[0-9]+-[A-Za-z0-9_]+(: ))",
            rb"\2\3\1\4",
            required_text=b"%",
        ),
    ),
)  # fmt: skip

# The parser reads `CISE_CATEGORY number total sequence`, without a colon behind the category. RFC 3164 without a host
# makes the category the host.
ISE_CATEGORY = FormatRule(
    "ise-category",
    "sends the text from the category CISE_... on, without a colon behind it and without another tag before it; "
    "otherwise tag and message",
    choices=(Choice("device", "hostname", rb"CISE_"),),
    edits=(
        Beginning(rb"(?:[A-Z][a-z]{2} +)?[0-9][0-9 :.,TZ+-]{7,60} (?=CISE_\w+ )", required_text=b"CISE_"),
        Beginning(rb"(CISE_\w++)(?:\[[0-9]+\])?: +(?=[0-9]{10} |[A-Z]+: )", rb"\1 "),
        Beginning(rb"(?!CISE_)" + _TAG + rb"(?=CISE_\w+ |[0-9]{10} [0-9]+ [0-9]+ )", required_text=b": "),
    ),
)

# Without the PRI, the parser fails on a leading `HOST: ` and on two blanks before the day.
NXOS_YEAR = FormatRule(
    "nxos-year",
    "sends the text from the year on, with one blank before the day",
    edits=(Beginning(
        rb"[^%\n]{0,200}?([0-9]{4} [A-Z][a-z]{2} ) *(?=[0-9]{1,2} [0-9]{2}:[0-9]{2}:[0-9]{2}[^ \n]* [A-Za-z]+: %)",
        rb"\1",
    ),),
)  # fmt: skip

# `<134>1 EPOCH` is not RFC 5424. The parser expects the epoch first.
MERAKI_EPOCH = FormatRule(
    "meraki-epoch",
    "sends the text from the epoch time on, without the false version 1",
    edits=(Beginning(rb"(?![0-9]{10}\.[0-9])[^\n\"'=]{1,200}?(?<![0-9])(?=[0-9]{10}\.[0-9]+ )"),),
)

# --- Others ----------------------------------------------------------------------------------------------------------

ARUBA = FormatRule(
    "aruba-tag",
    "sends the message alone if it begins with Event|, <code> <pid> or LEEF:, otherwise tag and message",
    choices=(Choice("message", "text", rb"Event\||<[0-9]{6}> <[0-9]+> |LEEF:"),),
)

EDGE_SWG = FormatRule(
    "edge-version", "removes the false version 1", edits=(Beginning(rb"1 (?=[0-9]{4}-[0-9]{2}-[0-9]{2}T)"),)
)

# Native syslog is `[action:"..."; ...]`. The parser expects the word `syslog` before the bracket.
CHECKPOINT = FormatRule(
    "checkpoint-native",
    "removes text before CEF: and replaces line ends in the event by blanks; puts the word syslog before the native "
    "form [action:...]",
    edits=(_BLANKS, _TO_CEF, Beginning(rb"(?=\[action:)", b"syslog")),
)

CITRIX = FormatRule(
    "netscaler-date",
    "sends the message alone for CEF and shell commands, otherwise the text from the device's own date on",
    choices=(
        Choice("message", "text", rb"CEF:|\w+ on [^ ]+ shell_command=|\(null\)\|"),
        Choice("content", "content", rb'"?[0-9]{2}(?:[0-9]{2})?/[0-9]{2}/[0-9]{2}(?:[0-9]{2})?:'),
        Choice("device", "device", rb' *"?[0-9]{2}(?:[0-9]{2})?/[0-9]{2}/[0-9]{2}(?:[0-9]{2})?:'),
    ),
    edits=(
        Beginning(rb" +"),
        # Behind ` : ` begins the text of a native event, which may contain CEF:0| from a user.
        Beginning(rb'(?!"?CEF:)(?:(?! : )' + _HEADER + rb"){1,200}?(?=CEF: ?[01]\|)", required_text=b"CEF:"),
    ),
)

# The parser of APM expects the header's date first. The others expect the tag first, without the level before it.
F5 = FormatRule(
    "f5-module",
    "sends APM (apmd) events as received, the message alone for CEF, otherwise tag and message without the level; "
    "replaces line ends in the event by blanks",
    choices=(
        Choice("device", "device", rb"\w{3} +[0-9]+ [0-9:]+ [^ ]+ \w+ apmd\["),
        Choice("message", "text", rb"CEF:0\|"),
    ),
    edits=(
        _BLANKS,
        Beginning(
            rb"(?:emerg|alert|crit|err|error|warning|warn|notice|info|debug) "
            rb"(?=[A-Za-z_][A-Za-z0-9_.-]*(?:\[[0-9]+\])?: )"
        ),
    ),
)

HAPROXY = FormatRule(
    "haproxy-json",
    "keeps the tag before a JSON log; deletes line ends in the event, as the parser does",
    choices=(Choice("content", "text", rb"\[\w+\] [0-9]+ \{"),),
    edits=NO_LINE_ENDS.edits,
)

JUNIPER = FormatRule(
    "junos-tag",
    "sends message id, structured data and message if there is structured data of the device, without elements such as "
    "timeQuality; the message alone if it begins with the event name and the tag has no process id (RT_FLOW, RT_IDS); "
    "otherwise tag and message",
    choices=(
        Choice("structured", "structured_data", rb"(?:" + _DESCRIPTIVE + rb")*+\["),
        Choice("content", "procid", rb"."),
        Choice("message", "text", rb"[A-Z][A-Z0-9]*_\w+: |1,[0-9]{4}/"),
    ),
    edits=(Beginning(rb"([A-Z]\w+_\w+ |)(?:" + _DESCRIPTIVE + rb")++(?=\[)", rb"\1", required_text=b"]["),),
)

JUNIPER_FILTER = FormatRule(
    "from-fw",
    "sends the text from FW: on, also if FW: was read as a tag",
    choices=(Choice("content", "app_name", rb"FW$"),),
    edits=(Beginning(rb"(?!FW:)" + _HEADER + rb"{1,80}?(?=FW: [^ \n]+ +[ADR] )", required_text=b"FW:"),),
)

# The parser removes seven characters: the byte order mark and `@cee: `. Reading RFC 5424 removes the mark from MSG.
RUBYCAT = FormatRule(
    "cee-mark",
    "puts the byte order mark back before @cee:",
    choices=(Choice("content", "app_name", rb"@cee$"),),
    edits=(Beginning(rb"(?=@cee: )", b"\xef\xbb\xbf"),),
)

SONICWALL = FormatRule(
    "sonicos-enhanced",
    "sends the whole frame for Enhanced Syslog (id=firewall), whose parser requires the PRI, without a relay's header; "
    "removes text before CEF:",
    choices=(Choice("raw", "text", rb"id=firewall "),),
    edits=(_TO_CEF, Beginning(rb" *+(<[0-9]+> *+)(?!id=)[^\n]{1,200}?(?=id=firewall )", rb"\1")),
)

UNBOUND = FormatRule(
    "unbound-line",
    "sends the message alone if it begins with [PID:thread] and the tag has no process id; otherwise time, host, tag "
    "and message",
    choices=(Choice("line", "procid", rb"[0-9]+$"), Choice("message", "text", rb"\[[0-9]+:[0-9a-f]+\] ")),
)

# rsyslog reads any first word as the tag, so the parser does not expect it. It removes the mark, and some versions
# remove three characters whatever they are.
VECTRA = FormatRule(
    "vectra-mark",
    "sends the text from the mark -: before the JSON text on, without the word before the mark; adds a missing mark "
    "before Vectra's keys",
    edits=(
        Beginning(rb'[A-Za-z][A-Za-z0-9_.-]{0,63} +(?=(?:[-: ]{1,4})?\{")'),
        Beginning(
            rb'(?=\{"[^\n]{0,800}?"(?:headend_addr|vectra_timestamp|campaign_id|detection_id|dvchost)"\s*:)', b"-: "
        ),
    ),
)

# Without a tag, the first word of these texts is read as one, because it ends in a colon.
SEPM_SITE = FormatRule(
    "sepm-site",
    "keeps Site: before the message if it was read as a tag",
    choices=(Choice("content", "app_name", rb"Site$"),),
)
OPENVPN_CLIENT = FormatRule(
    "openvpn-client",
    "keeps USER/ADDRESS:PORT before the message if it was read as a tag",
    choices=(Choice("content", "app_name", rb"[^/]+/[0-9.]+$"),),
)

# Without a header of its own, the time of the log is read as the header's.
PINGFEDERATE_TIME = FormatRule(
    "log4j-time",
    "keeps the time of the log before the message if there is no other header",
    choices=(Choice("device", "device", rb"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8},[0-9]{3} "),),
)

# ESXi 8 may write its [Originator@6876 ...] as structured data of RFC 5424. The parser expects it in the text.
ESXI = FormatRule(
    "esxi-originator",
    "keeps [Originator@6876 ...] before the message if it was read as structured data",
    choices=(Choice("structured", "structured_data", rb"(?:" + _DESCRIPTIVE + rb")*+\[\w+@[0-9]+ "),),
    edits=(Beginning(rb"(?:" + _DESCRIPTIVE + rb")++(?=\[\w+@[0-9]+ )", required_text=b"]["),),
)

# The agent's texts contain CR, LF and TAB. The parser is known to read them only as rsyslog escapes them.
LOG_INSIGHT = FormatRule(
    "rsyslog-escapes",
    "replaces CR, LF and TAB by #015, #012 and #011, as rsyslog does",
    edits=(Ends(((b"\r", b"#015"), (b"\n", b"#012"), (b"\t", b"#011"))),),
)

# Some kinds of events are known to be read only after the header of RFC 5424, without PRI and version.
WALLIX = FormatRule(
    "wallix-kind",
    "sends an RFC 5424 event with its header, without PRI and version, if its kind contains a blank and is neither SSH "
    "Session nor RDP Session",
    choices=(Choice(
        "device", "device",
        rb"1 [0-9]{4}-[0-9]{2}-[0-9]{2}T[^ ]++ [^ ]++ [^ ]++ [0-9]++ - - "
        rb"\[(?!(?:\w+|SSH Session|RDP Session)\])[^\]]*\]",
    ),),
    edits=(Beginning(rb"1 (?=[0-9]{4}-[0-9]{2}-[0-9]{2}T)"),),
)  # fmt: skip
