"""Defines shapes that do not begin with a timestamp."""

from bridge.syslog.grammar import CEF, HOST, MNEMONIC, STACK_UNIT
from bridge.syslog.shapes.shape import Shape, ShapeTable
from bridge.syslog.shapes.timed import UNIFI, UNIFI_DROPS

UNTIMED = ShapeTable(
    # Cisco with `no logging timestamp` (the default of ASA), and small switches, which write the severity as a letter
    Shape("cisco-untimed", rb"(?P<msg>)(?=" + STACK_UNIT + rb"(?P<app>" + MNEMONIC + rb"))",
        b"<166>%ASA-6-302015: Built outbound UDP connection 5150 for outside:198.51.100.53/53 to inside:192.0.2.9/401"),
    Shape("cef-alone", rb"(?P<msg>)(?=" + CEF + rb")",
        b"<6>CEF:0|Example|Sandbox|10.0|IM|infection-match|7|src=192.0.2.60 act=notified",
        format="none"),
    Shape("snare-alone", rb"(?:(?P<host>[A-Za-z0-9][A-Za-z0-9_.-]*+)\t)?(?P<msg>)(?=MSWinEventLog\t)",
        b"dc1.example.org\tMSWinEventLog\t1\tSecurity\t4712\tMon Nov 23 07:24:00 2026\t4625\tfailed"),
    Shape("juniper-screenos", rb"(?P<host>" + HOST + rb"): (?P<msg>)(?=NetScreen )",
        b"<134>ssg-5: NetScreen device_id=ssg-5  [Root]system-notification-00257(traffic): "
        b"src=192.0.2.11 dst_port=443"),
    Shape("aix-forwarded-untimed", rb"[Mm]essage forwarded from (?P<host>" + HOST + rb"):[ ]++",
        b"<38>Message forwarded from lpar12: su: BAD SU from oper to root at /dev/pts/3",
        drops=rb"[Mm]essage forwarded from"),
    Shape("unifi-untimed", rb"(?:(?P<host>[A-Za-z0-9][A-Za-z0-9_.-]*+)[, ])?" + UNIFI,
        b"<14>flex-desk 74acb9000001,USW_FLEX_MINI-2.1.6.762: SWITCH: port 3 is up",
        drops=UNIFI_DROPS),
)  # fmt: skip
LAST = ShapeTable(
    # The format of the kernel and of the C library, from a device whose syslogd adds nothing. It needs a PRI: without
    # one, `word: text` is text. A level such as `error:` is part of the text, not a tag.
    Shape("tag-alone",
        rb"(?P<app>(?!(?i:error|warning|info|notice|debug|critical|alert|fatal|message)[:\[])"
        rb"[A-Za-z_][A-Za-z0-9_./-]*+)(?:\[(?P<pid>[^\]\s]*+)\])?: (?P<msg>)",
        b"<27>dropbear[611]: Exit before auth: Max auth tries reached",
        needs="pri"),
)  # fmt: skip
"Shapes that are tried when nothing else has matched."

# The prefix that Kiwi adds to forwarded messages. The text after it is parsed as if the prefix were not there.
KIWI = Shape(
    "kiwi", rb"Original Address=(?P<host>[0-9A-Fa-f.:]++)[ ]++(?=\S)",
    b"<190>Original Address=192.0.2.77 Nov 23 07:24:00 sw-77 snmpd: cold start",
    drops=rb"Original Address=[0-9A-Fa-f.:]++|\S++",
)  # fmt: skip
