"""Finds the names in frames: hosts, users and domains. The names of programs and common words are none."""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import NamedTuple

from bridge.explain.products import PRODUCTS
from bridge.formats import FORMATS
from bridge.syslog import parser
from bridge.syslog.time_formats import scan

_VALUE = rb"""(?:\\?"([^"\\]{1,128})|'([^'\n]{1,128})|([^\s"',;|)\]}>&]{1,128}))"""
_KEY = (
    rb"[\w.-]{0,32}(?:user(?:[ _-]?name|[_-]?id|principalname)?|usr|usrname|login|logname|account(?:[ _-]?name)?"
    rb"|owner|mail|e-?mail|sender|recipient|from|to|ruser|auid|acct|(?:display|full|first|last|given|nick)[_-]?name"
    rb"|surname|host(?:[_-]?name)?|devname|device[_-]?name|dvc|computer(?:[ _-]?name)?|machine(?:[ _-]?name)?"
    rb"|workstation(?:[ _-]?name)?|(?:account[ ])?domain(?:[ _-]?name)?|fqdn|srcname|dstname|vd|vdom|ssid|realm"
    rb"|serial(?:[ _-]?(?:number|num|no))?|(?<![\w.-])sn|imei)"
)
_SET = rb"""\\?["']?[ ]?[=:]"""
# A forwarder writes a tab as #011, and WORD has its digits in it.
_TABBED = re.compile(rb"(?i)(?<![\w.-])" + _KEY + rb"[ ]?[=:](?:[ \t]|#011){0,8}#(011[^\s\"',;#]{1,64})")
# After `user= `, the next `key=` is not the value.
_BLANKS = rb"(?:(?<==)(?:[ \t]|#011){1,8}+(?![\w.-]{1,64}=)|(?<!=)(?:[ \t]|#011){0,8}|)"
_KEYED = re.compile(rb"(?i)(?<![\w.-])" + _KEY + _SET + _BLANKS + _VALUE)
_LIST = re.compile(rb"(?i)(?<![\w.-])" + _KEY + _SET + rb"""[ ]?\[((?:\s?\\?"[^"\\]{1,128}\\?"\s?,?){1,20})""")
_EXTENSION = re.compile(rb"(?i)(?<![\w.-])" + _KEY + rb"=([^\s=|]{1,64}(?:[ ](?![^\s=]{1,64}=)[^\s=|]{1,64}){1,5})")
"A value of CEF, which may have several words."
_DN = re.compile(
    rb"""(?i)\b(?:CN|OU|DC|UID)=([^\s,;"'=+/)\]]{1,64}(?:(?:[ ][^\s,;"'=+/)\]]{1,64}){1,4}(?=[,"']|\Z))?)"""
)
_UNC = re.compile(rb"(?<![\w\\:])\\{2,4}([\w.$-]{1,64})\\")
_URL = re.compile(rb"(?i)(?<=[a-z])://(?:([\w.%-]{1,64})(?::[^\s/@]{0,64})?@)?([\w.-]{1,128})")
_IDIOMS = re.compile(
    rb"(?i)\b(?:for(?: invalid| illegal)? user|invalid user|illegal user"
    rb"|(?:password|publickey|\w+/pam) for(?: invalid user| illegal user)?"
    rb"|user(?=\s['\"(])|session (?:opened|closed) for user|authentication failure for|by user|username"
    rb"|account for|logged (?:in|out) as|su:|from user)\s+" + _VALUE
)
_BY = re.compile(rb"\bby ([\w.-]{1,64})\(uid=")
_SUDO = re.compile(rb"\bsudo(?:\[\d+\])?:\s+([\w.-]{1,64}) :")
_DOMAIN_USER = re.compile(rb"(?<![\w\\:/.-])([A-Za-z][\w.-]{1,31})\\{1,2}([\w$.-]{1,64})(?![\w\\])")
_HOME = re.compile(rb"(?i)(?:/home/|/Users/|[A-Z]:\\{1,2}Users\\{1,2})([\w.$-]{1,64})")
_MAIL = re.compile(rb"([\w.+-]{1,64})(?:@|%40)([\w-]+(?:\.[\w-]+)+)")
# WORD has the digits of the encoded "@" in it.
_ENCODED_MAIL = re.compile(rb"[\w.+-]{1,64}%(40[\w-]{1,63}(?:\.[\w-]{1,63}){1,8})")
_FQDN = re.compile(
    rb"(?i)(?<![\w.@%-])((?:[a-z0-9_](?:[a-z0-9_-]{0,61})\.)+)(?:com|net|org|info|biz|io|local|localdomain|lan|intra"
    rb"|internal|corp|home|int|gov|edu|mil|example|test|invalid|eu|fr|de|uk|es|it|nl|be|ch|at|pt|se|no|dk|fi|cz|ca|us"
    rb"|au|jp|cn|br|ru|tv|me|co|cloud|dev|app|tech|online|site|ad)(?![\w-]|\.[\w-])"
)
WORD = re.compile(rb"[A-Za-z0-9_\x80-\xff]+")
COMPOUND = re.compile(rb"[A-Za-z0-9_\x80-\xff]+(?:[.-]+[A-Za-z0-9_\x80-\xff]+)*")
_FINDERS = (
    _KEYED,
    _TABBED,
    _LIST,
    _DN,
    _UNC,
    _URL,
    _IDIOMS,
    _BY,
    _SUDO,
    _DOMAIN_USER,
    _HOME,
    _MAIL,
    _ENCODED_MAIL,
    _FQDN,
)

COMMON = frozenset(
    b"""a an and any as at by for from if in is it no none not null nil na of off on or the to true false unknown
    undefined user users username admin administrator administrators root system local localhost localdomain anonymous
    guest service daemon nobody network everyone public private default domain workgroup nt authority microsoft windows
    www mail smtp imap ftp dns ntp ldap proxy api web com net org io fr de eu uk inside outside dmz lan wan vpn group
    name host hostname server client device computer session login logon logout failed failure success successful
    invalid authentication authenticated password accepted rejected denied allowed allow deny logged was has had did
    with over via this that be been are connected disconnected connection unable ip id tcp udp http https ssh port
    src dst source destination info warning error notice debug emerg alert crit err main primary secondary interface
    node mac sshd sudo su cron kernel systemd nginx apache httpd postfix haproxy squid named unbound dhcpd""".split()
)


@cache
def public_words() -> frozenset[bytes]:
    """Returns common words, the words of product names, and the program names of the formats' examples."""
    products = {word.lower() for each in PRODUCTS for word in WORD.findall(each.name.encode())}
    known = {word.lower() for each in FORMATS.values() for word in WORD.findall(each.name.encode())}
    programs = {parser.read(each.example).app_name.lower() for each in FORMATS.values()}
    return frozenset(COMMON | products | known | programs)


class Names(NamedTuple):
    """The names in frames, in lower case."""

    words: frozenset[bytes]
    "Words that are replaced wherever they stand."
    compounds: frozenset[bytes]
    "Names of several words, such as ``mail-2.example.com``. A common word in them is replaced only there."


def find_names(frames: Iterable[bytes]) -> Names:
    """Returns all names in the frames."""
    words: set[bytes] = set()
    compounds: set[bytes] = set()
    for value in _values(frames):
        for compound in COMPOUND.findall(value.lower()):
            parts = WORD.findall(compound)
            words.update(part for part in parts if not part.isdigit())
            if len(parts) > 1 and not all(part.isdigit() for part in parts):
                compounds.add(compound)
    return Names(frozenset(words - public_words()), frozenset(compounds))


def _values(frames: Iterable[bytes]) -> Iterator[bytes]:
    for frame in frames:
        hostname = parser.read(frame).hostname
        # RFC 5424 allows a time in the place of the host. Its words are in the times of other frames, too.
        if scan(hostname) is None:
            yield hostname
        for finder in (*_FINDERS, _EXTENSION) if b"CEF:" in frame else _FINDERS:
            for match in finder.finditer(frame):
                yield from filter(None, match.groups())
