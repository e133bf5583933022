"""Measures the identification of products: how often it is right, wrong or unknown, at 20 and at 3 messages.

The project's own samples and the examples of the formats must keep the figures that the tests assert. The corpora of
other projects are measured too, if they exist; run with ``-s`` to see the figures.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

import pytest

from bridge.explain.products import PRODUCTS, Identification, identify
from bridge.formats import FORMATS
from tests.unit.formats.headers import frame_of
from tests.unit.formats.test_corpus import inputs
from tests.unit.syslog.samples import SAMPLES

# Products whose samples have another name: product -> samples.
NAMED_OTHERWISE = {
    "AXIS camera": ["Axis camera"],
    "Alcatel-Lucent OmniSwitch": ["Alcatel OmniSwitch"],
    "Apache HTTP Server": ["Apache httpd"],
    "Aruba EdgeConnect, Silver Peak": ["Silver Peak"],
    "Aruba controller, AOS-CX, ClearPass": ["Aruba controller"],
    "Auditbeat on Linux": ["Auditbeat"],
    "Barracuda CloudGen Firewall": ["Barracuda CloudGen"],
    "Barracuda Web Application Firewall": ["Barracuda WAF"],
    "Blue Coat ProxySG, Edge Secure Web Gateway": ["Blue Coat ProxySG"],
    "Brocade, Ruckus ICX": ["Brocade", "Brocade FOS"],
    "Cisco ACE": ["Cisco ACE behind a relay"],
    "Cisco ASA, FTD, Firepower": ["Cisco ASA", "Cisco FTD", "Cisco ASA EMBLEM", "Cisco ASA context"],
    "Cisco Catalyst SD-WAN (Viptela)": ["Cisco Viptela"],
    "Cisco IOS and IOS-XE": [
        "Cisco IOS",
        "Cisco IOS-XE",
        "Cisco IOS by a relay",
        "Cisco IOS, words as origin",
        "Cisco IOS, session",
    ],
    "Cisco Identity Services Engine (ISE)": ["Cisco ISE"],
    "Cisco Meraki": ["Cisco Meraki MX", "Cisco Meraki MS"],
    "Cisco PIX, FWSM": ["Cisco PIX", "Cisco FWSM EMBLEM", "Cisco PIX EMBLEM", "Cisco PIX behind a relay"],
    "Cisco Secure Email Gateway (ESA)": ["Cisco ESA"],
    "Cisco Secure Web Appliance (WSA)": ["Cisco WSA"],
    "Cisco Small Business switch": ["Cisco SG300"],
    "Cisco Unified Communications Manager": ["Cisco CUCM"],
    "Cisco Unified Computing System": ["Cisco UCS"],
    "Cisco Wireless LAN Controller": ["Cisco WLC"],
    "Citrix NetScaler ADC": ["Citrix ADC"],
    "Clavister NetWall": ["Clavister"],
    "CrowdStrike Falcon": ["CrowdStrike SIEM Connector"],
    "CyberArk Digital Vault": ["CyberArk Vault"],
    "CyberArk PTA, EPM": ["CyberArk Privileged Threat Analytics"],
    "Dell Force10, FTOS": ["Dell Force10"],
    "Dell PowerScale (Isilon)": ["Dell Isilon"],
    "Eaton UPS, PDU": ["Eaton UPS"],
    "Example OS": ["UniFi OS SIEM"],
    "Example Probe": ["Quoting collector"],
    "Example Product": ["QRadar LEEF"],
    "Example Sandbox": ["CEF without a header"],
    "F5 BIG-IP": ["F5 BIG-IP", "F5 BIG-IP ASM", "Avi/iRule HSL"],
    "Forcepoint (Websense) Secure Web Gateway": ["Forcepoint Web Security"],
    "Forcepoint Email, DLP": ["Forcepoint DLP"],
    "Forcepoint Security Management Center": ["Forcepoint SMC"],
    "Gatewatcher AionIQ": ["Gatewatcher AionIQ", "Gatewatcher AionIQ ECS"],
    "Guardicore Centra": ["Guardicore"],
    "HAProxy": ["HAProxy", "HAProxy Enterprise"],
    "HP printer": ["HP LaserJet"],
    "HPE Comware, H3C": ["HPE Comware"],
    "HPE OneView, Onboard Administrator": ["HPE OneView"],
    "HPE ProCurve, ArubaOS-Switch": ["HPE ProCurve"],
    "HarfangLab EDR": ["HarfangLab"],
    "Huawei VRP": ["Huawei VRP", "Huawei CE"],
    "IBM AIX": ["AIX"],
    "ISC BIND": ["BIND", "BIND by rsyslog"],
    "Imperva SecureSphere, Incapsula": ["Imperva SecureSphere"],
    "Infoblox NIOS": ["Infoblox"],
    "Juniper EX and QFX firewall filters": ["Juniper EX"],
    "Juniper SRX and other Junos": ["Juniper SRX"],
    "Juniper Secure Access, Ivanti Connect Secure": ["Pulse Secure"],
    "Kaspersky Endpoint Security": ["Kaspersky", "Kaspersky Endpoint Security"],
    "Kubernetes": ["Kubernetes kubelet"],
    "Linux audit": ["auditd by audisp"],
    "Linux netfilter (iptables, nftables)": ["netfilter", "VyOS"],
    "Microsoft RRAS and NPS": ["Microsoft NPS"],
    "MikroTik RouterOS": ["MikroTik"],
    "Moxa": ["Moxa EDS"],
    "MySQL, MariaDB": ["MariaDB audit"],
    "NGINX": ["nginx"],
    "Nagios, Icinga": ["Nagios"],
    "Nozomi Guardian and CMC": ["Nozomi Guardian"],
    "OSSEC, Wazuh": ["Wazuh"],
    "One Identity Safeguard for Privileged Sessions": ["One Identity SPS"],
    "OpenSSH": ["OpenSSH", "PAM"],
    "OpenWrt, RutOS": ["Teltonika RutOS", "OpenWrt"],
    "Palo Alto Networks PAN-OS": ["Palo Alto PAN-OS"],
    "Palo Alto Networks Prisma Access, Strata Logging Service": ["Palo Alto Prisma Access"],
    "QNAP QTS": ["QNAP QuLog"],
    "RSA Authentication Manager (SecurID)": ["RSA SecurID"],
    "Raritan, ServerTech PDU": ["Raritan PDU"],
    "Rubycat PROVE IT": ["RUBYCAT PROVE IT"],
    "Ruckus wireless": ["Ruckus SmartZone"],
    "SNMP agent": ["Kiwi relay"],
    "Samba": ["Samba audit"],
    "Siemens SCALANCE, RUGGEDCOM": ["Siemens SCALANCE"],
    "Skyhigh (McAfee) Web Gateway": ["Skyhigh Web Gateway"],
    "SonicWall Secure Mobile Access": ["SonicWall SMA"],
    "SonicWall SonicOS": ["SonicWall"],
    "Stormshield Network Security": ["Stormshield SNS"],
    "Symantec Endpoint Protection Manager": ["Symantec SEPM"],
    "Synology DSM": ["Synology"],
    "Tenable Identity Exposure (Alsid)": ["Tenable Identity Exposure"],
    "Thycotic, Delinea Secret Server": ["Delinea Secret Server"],
    "Trellix (FireEye) CMS, HX, EX": ["FireEye HX", "FireEye CMS"],
    "Trellix (FireEye) Network Security": ["Trellix NX"],
    "Trellix Advanced Threat Defense": ["Trellix ATD"],
    "Trellix ePolicy Orchestrator, on premise": ["Trellix ePO"],
    "Trend Micro Apex One, Apex Central": ["Trend Micro Apex Central"],
    "Ubika WAAP Gateway": ["Ubika WAAP"],
    "Ubiquiti UniFi": ["Ubiquiti UniFi", "UniFi AP without name", "UniFi Flex"],
    "VMware vCenter Server": ["VMware vCenter"],
    "Vectra Detect": ["Vectra"],
    "Vectra Respond UX entity scoring": ["Vectra Respond UX"],
    "Veeam Backup & Replication": ["Veeam"],
    "WALLIX Bastion": ["Wallix Bastion"],
    "WatchGuard Firebox": ["WatchGuard Firebox", "WatchGuard", "WatchGuard LEEF"],
    "Web server access lines": ["access log"],
    "Windows events (Log Insight agent)": ["Windows by Log Insight"],
    "Windows events (NXLog)": ["NXLog", "Windows by NXLog"],
    "Windows events (Snare)": ["Snare"],
    "XenServer, XCP-ng": ["XenServer"],
    "Zscaler Internet Access": ["Zscaler NSS", "Zscaler ZIA"],
    "Zscaler Private Access": ["Zscaler LSS"],
    "Zyxel": ["Zyxel USG"],
    "pfSense, OPNsense, OpenBSD pf": ["pfSense", "OPNsense"],
    "pppd": ["Branch router", "Version before RFC 3164", "Ten fraction digits"],
    "systemd": ["systemd", "systemd PAM helper"],
}
# Samples of no product: texts, relays, and devices that the sample itself does not name.
NO_PRODUCT = frozenset(
    {
        "sysklogd",
        "syslogd repeating",
        "text",
        "text with a false PRI",
        "Cloud proxy",
        "Mail scanner",
        "Load balancer access",
        "Access point stations",
        "Linux kworker",
        "Java service",
        "Java service behind rsyslog",
        "Worker",
        "Cradlepoint",
        "Counter of connections",
        "Switch with a colon after the time",
        "Relay with IPv6",
        "UniFi OS",
        "Web server behind Infoblox",
        "FreeBSD syslogd -v",
        "logger with an offset",
        "VyOS",
    }
)
# Formats whose text another format reads as well, so that neither may be chosen.
AMBIGUOUS = frozenset({"cyberark-audit-logs", "cyberark-digital-vault"})

RIGHT_AT_20, RIGHT_AT_3, WRONG_FORMAT = 0.95, 0.8, 0.005


class Figures:
    """Counts right, wrong and unknown results."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.missed: list[str] = []

    def add(self, name: str, found: Identification, product: str | None, formats: Iterable[str]) -> None:
        """Counts one source. ``product`` None: only the format is known."""
        right = found.product == product if product else found.format in formats
        kind = "right" if right else "unknown" if found.product is None or not product else "another product"
        self.counts[kind] += 1
        if found.format is not None and found.format not in formats:
            self.counts["wrong format"] += 1
        if not right or (found.format and found.format not in formats):
            self.missed.append(f"{name}: {found.product}, {found.format}: {found.reason}")

    @property
    def total(self) -> int:
        return self.counts.total() - self.counts["wrong format"]

    def share(self, kind: str) -> float:
        return self.counts[kind] / max(1, self.total)

    def show(self, title: str) -> None:
        print(f"\n{title}: {self.total} products, {dict(self.counts)}, right {self.share('right'):.1%}")
        for line in self.missed:
            print("  ", line[:200])


def cycled(frames: Sequence[bytes], count: int) -> list[bytes]:
    return [frames[number % len(frames)] for number in range(count)]


def samples() -> Mapping[str, list[bytes]]:
    found: defaultdict[str, list[bytes]] = defaultdict(list)
    for one in SAMPLES:
        found[one.product].append(one.frame)
    return found


def expected() -> dict[str, str]:
    """Returns the product of each sample that is one of a product."""
    names = {row.name for row in PRODUCTS}
    otherwise = {sample: product for product, listed in NAMED_OTHERWISE.items() for sample in listed}
    return {
        name: otherwise.get(name, name)
        for name in samples()
        if name not in NO_PRODUCT and (name in otherwise or name in names)
    }


def formats_of(product: str) -> set[str]:
    """Returns the text formats that a product may have."""
    rows = [row for row in PRODUCTS if row.name == product]
    found = {name for row in rows for name in (row.format, *(one.format for one in row.signatures)) if name}
    # A product that is not in the table is named by its own CEF.
    return found if rows else {"cef"}


@pytest.mark.parametrize(("count", "least"), [(20, RIGHT_AT_20), (3, RIGHT_AT_3)])
def test_products_of_the_samples(count: int, least: float) -> None:
    figures = Figures()
    by_name = samples()
    for name, product in expected().items():
        figures.add(name, identify(cycled(by_name[name], count)), product, formats_of(product))
    figures.show(f"samples, {count} messages")
    assert figures.share("right") >= least
    assert figures.share("wrong format") <= WRONG_FORMAT


@pytest.mark.parametrize("count", [20, 3])
def test_samples_of_no_product_get_no_format(count: int) -> None:
    by_name = samples()
    found = {name: identify(cycled(by_name[name], count)) for name in NO_PRODUCT & set(by_name)}
    assert {name: one.format for name, one in found.items() if one.format and name != "VyOS"} == {}


def test_most_samples_are_listed() -> None:
    """A new sample belongs in one of the two lists, or its product into the table."""
    unlisted = set(samples()) - set(expected()) - NO_PRODUCT
    print(f"\nnot listed: {sorted(unlisted)}")
    assert len(unlisted) <= 0.1 * len(samples())


@pytest.mark.parametrize(("count", "least"), [(20, RIGHT_AT_20), (3, RIGHT_AT_3)])
def test_examples_of_the_formats(count: int, least: float) -> None:
    figures = Figures()
    for name, one in FORMATS.items():
        figures.add(name, identify([one.example] * count), None, {name})
    figures.show(f"examples of the formats, {count} messages")
    assert figures.share("right") >= least
    assert figures.counts["wrong format"] == 0


@pytest.mark.parametrize(
    ("products", "share"), [(2, 0.5), (2, 0.75), (3, 0.34), (3, 0.7), (5, 0.2), (8, 0.125)],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("count", [20, 3])
def test_relays_and_mixed_sources_are_unknown(products: int, share: float, count: int) -> None:
    """Mixes the samples of several products in one source; ``share`` is the first one's."""
    by_name, choose = samples(), random.Random(products * 100 + count)
    alone = {name: identify(frames).product for name, frames in by_name.items()}
    identified = []
    total = 0
    for _ in range(80):
        mixed = choose.sample(sorted(by_name), products)
        if len({alone[name] for name in mixed}) < 2:
            continue
        total += 1
        first = min(count - 1, max(1, round(count * share)))
        names = [mixed[0]] * first + [mixed[1 + n % (products - 1)] for n in range(count - first)]
        found = identify([choose.choice(by_name[name]) for name in names])
        # A part of the mix may be of one product only.
        if found.product and len({alone[name] for name in names}) > 1:
            identified.append((found.product, found.format, mixed, found.reason))
    print(f"\n{products} products, {share:.0%} of the first, {count} messages: {len(identified)} of {total} identified")
    assert len(identified) <= 0.02 * total, identified


def test_chatter_of_a_host_is_unknown() -> None:
    lines = [
        b"systemd[1]: Started Session 7 of user anna.", b"CRON[81]: (root) CMD (true)", b"sshd[44]: Accepted publickey",
        b"sudo: anna : TTY=pts/0 ; COMMAND=/bin/ls", b"kernel: usb 1-1: new device", b"ntpd[7]: clock step",
        b"backup[9]: finished", b"myapp: started", b"dhclient[5]: bound",
        b"postfix/smtpd[3]: connect from x",
    ]  # fmt: skip
    frames = [b"<30>Nov 23 07:24:00 web-1 " + line for line in lines]
    choose = random.Random(25)
    for count in (20, 3):
        found = [identify(choose.sample(frames * 2, count)) for _ in range(40)]
        assert [one for one in found if one.format] == []
        assert sum(one.product is None for one in found) >= 0.9 * len(found)


# --- corpora of other projects ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [20, 3])
def test_known_inputs_of_the_formats(count: int) -> None:
    """The texts are known without header, so the header is made (``headers.py``); its program is mostly ``app``."""
    figures = Figures()
    for name, texts in inputs().items():
        frames = [frame_of(name, text) for _, text in texts]
        figures.add(name, identify(cycled(frames, count)), None, {name})
    figures.show(f"known inputs of the intakes' parsers, {count} messages")
    assert figures.counts["wrong format"] == 0
