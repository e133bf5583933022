"""Adds the header that a device sends before a text that the intake's parser is known to read.

A row of the corpus is a text that the collector received from a relay, mostly the message alone. ``KINDS`` has the
headers that precede it on the wire, and ``KIND`` has the kind that the devices of a format use.
"""

import re

TIME = b"Nov 23 07:24:00"

KINDS = {
    "tagged": b"<134>" + TIME + b" device01 app[4711]: ",
    "host": b"<134>" + TIME + b" device01 ",
    "rfc5424": b"<134>1 2026-11-23T07:24:00.250+01:00 device01 app 4711 - - ",
    "priority": b"<134>",
    # The relay read the date as a tag, so the known inputs lack it.
    "date": b"<134>" + TIME + b" device01 2026-11-23 ",
}

# Formats whose devices do not send TIME HOST APP[PID]: before the text.
KIND = {
    name: kind
    for kind, names in {
        "host": (
            # The tag is part of the text, or there is none (CEF, LEEF, comma separated).
            "adauditplus aruba-os cef checkpoint-firewall cisco-esa cisco-ise cybereason-malop-activity f5-big-ip "
            "forcepoint-swg gravityzone juniper-ngfw juniper-switches nozomi-cmc one-identity-sps paloalto-ngfw "
            "panda-security-siem-feeder sonicwall-fw trellix-network-security trend-micro-apex-one "
            "trend-micro-deep-security varonis-data-security watchguard-firebox"
        ),
        "date": "rsa-securid",
        "rfc5424": (
            "broadcom-siteminder claroty-xdome clavister-ngfw ibm-i kaspersky-endpoint-security netwrix-auditor "
            "cyberark-audit-logs cyberark-digital-vault pingfederate rubycat-prove-it stormshield-sns "
            "trellix-epo-on-prem ubika-waap vmware-vcenter windows windows-log-insight"
        ),
        "priority": (
            # No header, or the text begins with the device's own header.
            "apache-spamassassin broadcom-edge-secure-web-gateway cisco-ios cisco-meraki-mx cisco-nx-os "
            "cisco-secure-firewall citrix-adc ekinops-oneos forcepoint-management-server forcepoint-ngfw "
            "fortinet-fortigate fortinet-fortimail fortinet-fortiproxy fortinet-fortiweb sophos unbound"
        ),
    }.items()
    for name in names.split()
}

# Texts that include their header. Only the PRI, and anything between PRI and time, is missing.
_CARRIES = re.compile(
    rb"[A-Z][a-z]{2} [ 0-9]?[0-9] [0-9:]{8} [\w.-]+ \w|"
    rb"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+(?:Z|[+-][0-9:]{5}) [\w.-]+ [\w()-]+ "
)


def frame_of(name: str, text: bytes) -> bytes:
    """Returns the frame that the device would have sent for this text."""
    if re.match(rb"<[0-9]{1,3}>[^<]", text):
        return text
    carries = _CARRIES.match(text)
    if carries and name in ("vmware-vcenter", "wallix-bastion", "ubika-waap") and b" - - " in text[:120]:
        # An intermediate parser removed PRI and version.
        return b"<134>1 " + text
    if carries and name in ("cisco-ise", "f5-big-ip", "openssh"):
        return b"<134>" + text
    return KINDS[KIND.get(name, "tagged")] + text
