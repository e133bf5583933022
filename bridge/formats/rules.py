"""The rules that formats refine their payload form by, each with the reason: what that parser cannot take.

Where an edit looks past the beginning of a text, it looks at 200 bytes, so a hostile text costs no more than that.
"""

from bridge.formats.rule import (
    Beginning,
    Choice,
    Ends,
    FormatRule,
)

# --- Edits of many formats -------------------------------------------------------------------------------------------

# CEF and LEEF parsers take nothing in front of the word, and some devices put a tag or half a header there
# (`fenotify-3.alert: CEF:0|`, CyberArk's `1 TIME HOST LEEF:1.0|`).
_TO_CEF = Beginning(rb'(?!"?CEF:)[^\n]{1,200}?(?=CEF: ?[01]\|)', only_with=b"CEF:")
_TO_LEEF = Beginning(rb"(?!LEEF:)[^\n]{1,200}?(?=LEEF:[12]\.0\|)", only_with=b"LEEF:")

# Neither XML nor JSON nor CEF holds a line end inside a value; between values a blank means the same.
_BLANKS = Ends(((b"\r\n", b" "), (b"\n", b" "), (b"\r", b" ")))

FROM_CEF = FormatRule(
    "from-cef", "what stands in front of CEF: is cut off; line ends inside become blanks", edits=(_BLANKS, _TO_CEF)
)
FROM_LEEF = FormatRule("from-leef", "what stands in front of LEEF: is cut off", edits=(_TO_LEEF,))
FROM_CEF_OR_LEEF = FormatRule(
    "from-cef-or-leef", "what stands in front of CEF: or LEEF: is cut off", edits=(_TO_CEF, _TO_LEEF)
)

# These parsers delete line ends before they read; `#012`, which the spool would make of them, they would not.
NO_LINE_ENDS = FormatRule(
    "no-line-ends", "line ends inside are deleted, as the parser would", edits=(Ends(((b"\r\n", b""), (b"\n", b""))),)
)

BLANK_LINE_ENDS = FormatRule(
    "blank-line-ends",
    "line ends inside become blanks, which mean the same to XML and JSON",
    edits=(_BLANKS,),
)

# --- Cisco -----------------------------------------------------------------------------------------------------------

# The parser takes `[ONE WORD: ]Mmm dd ...: %`: one word at most, and no mark of an unsynchronised clock.
IOS_DATE = FormatRule(
    "ios-date",
    "begins at the date, with the origin-id before it if there is one; counters and the clock's * or . are cut off",
    edits=(
        Beginning(
            rb"[^%\n]{0,200}?"
            rb"(?:(?<![^ \n])((?![0-9]+: )[A-Za-z0-9_.-]+: )(?:[0-9]*: )*)?[*.]?"
            rb"(?=[A-Z][a-z]{2} +[0-9]{1,2} (?:[0-9]{4} )?[0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]+)?"
            rb"(?: [A-Za-z]{1,5}| [+-][0-9]{2}:?[0-9]{2})?: %)",
            rb"\1",
        ),
    ),
)

# `HOST: ` in front fails without the PRI, and so do two blanks before the day.
NXOS_YEAR = FormatRule(
    "nxos-year",
    "begins at the year, with one blank before the day",
    edits=(
        Beginning(
            rb"[^%\n]{0,200}?([0-9]{4} [A-Z][a-z]{2} ) *(?=[0-9]{1,2} [0-9]{2}:[0-9]{2}:[0-9]{2}[^ \n]* [A-Za-z]+: %)",
            rb"\1",
        ),
    ),
)

# `<134>1 EPOCH` is no RFC 5424; the parser begins at the epoch.
MERAKI_EPOCH = FormatRule(
    "meraki-epoch",
    "begins at the epoch time: the false version 1 is cut off",
    edits=(Beginning(rb"[^\n]{1,200}?(?<![0-9])(?=[0-9]{10}\.[0-9]+ \w+ \w+ )"),),
)

# --- Others ----------------------------------------------------------------------------------------------------------

ARUBA = FormatRule(
    "aruba-tag",
    "the message alone where it begins Event|, <code> <pid> or LEEF:; with its tag otherwise",
    choices=(Choice("message", "text", rb"Event\||<[0-9]{6}> <[0-9]+> |LEEF:"),),
)

EDGE_SWG = FormatRule(
    "edge-version",
    "the false version 1 is cut off",
    edits=(Beginning(rb"1 (?=[0-9]{4}-[0-9]{2}-[0-9]{2}T)"),),
)

# Native syslog is `[action:"..."; ...]`; the parser wants the word `syslog` in front of the bracket.
CHECKPOINT = FormatRule(
    "checkpoint-native",
    "what stands in front of CEF: is cut off, line ends inside become blanks; the native form [action:...] gets the "
    "word syslog in front",
    edits=(_BLANKS, _TO_CEF, Beginning(rb"(?=\[action:)", b"syslog")),
)

CITRIX = FormatRule(
    "netscaler-date",
    "as sent from the device's own date on; the message alone for CEF and shell commands",
    choices=(
        Choice("message", "text", rb"CEF:|\w+ on [^ ]+ shell_command=|\(null\)\|"),
        Choice("content", "content", rb'"?[0-9]{2}(?:[0-9]{2})?/[0-9]{2}/[0-9]{2}(?:[0-9]{2})?:'),
        Choice("device", "device", rb' *"?[0-9]{2}(?:[0-9]{2})?/[0-9]{2}/[0-9]{2}(?:[0-9]{2})?:'),
    ),
    edits=(Beginning(rb" +"), _TO_CEF),
)

# APM's parser begins at the header's date; the others at the tag, without the level word before it.
F5 = FormatRule(
    "f5-module",
    "as sent for APM (apmd), the message alone for CEF, otherwise tag and message without the level word",
    choices=(
        Choice("device", "device", rb"\w{3} +[0-9]+ [0-9:]+ [^ ]+ \w+ apmd\["),
        Choice("message", "text", rb"CEF:0\|"),
    ),
    edits=(
        _BLANKS,
        Beginning(
            rb"(?:emerg|alert|crit|err|error|warning|warn|notice|info|"
            rb"debug) (?=[A-Za-z_][A-Za-z0-9_.-]*(?:\[[0-9]+\])?: )"
        ),
    ),
)

HAPROXY = FormatRule(
    "haproxy-json",
    "the tag stays in front of a JSON log; line ends inside are deleted, as the parser would",
    choices=(Choice("content", "text", rb"\[\w+\] [0-9]+ \{"),),
    edits=NO_LINE_ENDS.edits,
)

JUNIPER = FormatRule(
    "junos-tag",
    "message id and structured data where there are any; tag and message otherwise; the message alone where it begins "
    "with the event's own name and the tag has no process id (RT_FLOW, RT_IDS)",
    choices=(
        Choice("structured", "structured_data", rb"\["),
        Choice("content", "procid", rb"."),
        Choice("message", "text", rb"[A-Z][A-Z0-9]*_\w+: |1,[0-9]{4}/"),
    ),
)

JUNIPER_FILTER = FormatRule(
    "from-fw",
    "begins at FW:, whatever read it as a tag",
    choices=(Choice("content", "app_name", rb"FW$"),),
    edits=(Beginning(rb"(?!FW:)[^\n]{1,80}?(?=FW: [^ \n]+ +[ADR] )"),),
)

# The parser cuts seven characters, the byte order mark and `@cee: `. RFC 5424 takes the mark off the message.
RUBYCAT = FormatRule(
    "cee-mark",
    "the byte order mark in front of @cee: is put back",
    choices=(Choice("content", "app_name", rb"@cee$"),),
    edits=(Beginning(rb"(?=@cee: )", b"\xef\xbb\xbf"),),
)

SONICWALL = FormatRule(
    "sonicos-enhanced",
    "the whole frame for Enhanced Syslog (id=firewall), whose parser asks for the PRI, less what a relay put in; "
    "what stands in front of CEF: is cut off",
    choices=(Choice("raw", "text", rb"id=firewall "),),
    edits=(_TO_CEF, Beginning(rb" *+(<[0-9]+> *+)(?!id=)[^\n]{1,200}?(?=id=firewall )", rb"\1")),
)

UNBOUND = FormatRule(
    "unbound-line",
    "with time, host and tag where the tag has a process id; the message alone otherwise",
    choices=(Choice("line", "procid", rb"[0-9]+$"), Choice("message", "text", rb"\[[0-9]+:[0-9a-f]+\] ")),
)

# rsyslog takes any first word as the tag, and so the parser has never seen it.
VECTRA = FormatRule(
    "vectra-mark",
    "begins at the mark -: before the JSON text, whatever word stands in front of it",
    edits=(Beginning(rb'[A-Za-z][A-Za-z0-9_.-]{0,63} +(?=[-: ]{1,4}\{")'),),
)

# ESXi 8 may write its [Originator@6876 ...] where RFC 5424 has structured data; the parser wants it in the text.
ESXI = FormatRule(
    "esxi-originator",
    "[Originator@6876 ...] stays in front of the message where it was read as structured data",
    choices=(Choice("structured", "structured_data", rb"\[\w+@[0-9]+ "),),
)

# The agent's texts hold CR, LF and TAB; the parser has only seen them as rsyslog writes them.
LOG_INSIGHT = FormatRule(
    "rsyslog-escapes",
    "CR, LF and TAB become #015, #012 and #011, as rsyslog writes them",
    edits=(Ends(((b"\r", b"#015"), (b"\n", b"#012"), (b"\t", b"#011"))),),
)

# An event of a kind that the parser has only been seen to read behind RFC 5424's header, less PRI and version.
WALLIX = FormatRule(
    "wallix-kind",
    "as sent, less the version 1, where RFC 5424 carries a kind with a blank that is neither SSH nor RDP Session",
    choices=(
        Choice(
            "device",
            "device",
            rb"1 [0-9]{4}-[0-9]{2}-[0-9]{2}T[^ ]++ [^ ]++ [^ ]++ [0-9]++ - - "
            rb"\[(?!(?:\w+|SSH Session|RDP Session)\])[^\]]*\]",
        ),
    ),
    edits=(Beginning(rb"1 (?=[0-9]{4}-[0-9]{2}-[0-9]{2}T)"),),
)
