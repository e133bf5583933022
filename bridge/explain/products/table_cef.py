"""Lists products that CEF or LEEF names in its own header: vendor and product decide.

A product without a format of its own is delivered as ``cef``, which is the format for CEF of any product.
"""

from bridge.explain.products.signature import Product, Signature, product

S = Signature


def _cef(name: str, format: str | None, *headers: str) -> Product:
    return product(name, format, *(S(cef=header) for header in headers))


PRODUCTS: tuple[Product, ...] = (
    _cef("ManageEngine ADAudit Plus", "adauditplus", "ManageEngine :: ADAudit"),
    _cef("ManageEngine", "cef", "ManageEngine :: (?!ADAudit)"),
    _cef("Claroty xDome", "claroty-xdome", "Claroty :: (?!CTD|Continuous|EMC|SRA)"),
    # Two formats read the same text, so an operator has to choose.
    product(
        "CyberArk Digital Vault",
        None,
        S(mnemonic=r"%CYBERARK"),
        S(
            cef="Cyber-?Ark :: Vault",
            text="LEEF:",
            words="LEEF of Cyber-Ark Vault (formats cyberark-digital-vault and cyberark-audit-logs both read it)",
        ),
        S(cef="Cyber-?Ark :: Vault", text="CEF:", words="CEF of Cyber-Ark Vault (its formats read LEEF)"),
        S(cef="Cyber-?Ark :: Vault"),
    ),
    _cef("CyberArk PTA, EPM", "cef", "Cyber-?Ark :: (?:PTA|EPM|Privilege)"),
    _cef("Cybereason", "cybereason-malop-activity", "Cybereason"),
    product(
        "Bitdefender GravityZone",
        "gravityzone",
        S(cef="Bitdefender :: G"),
        S(keys="jsonrpc method=addEvents params", format="-"),
    ),
    product("IBM i", "ibm-i", S(cef="IBM :: IBM i"), S(cef="PowerTech", format="cef")),
    _cef("Netwrix Auditor", "netwrix-auditor", "Netwrix"),
    product(
        "Nozomi Guardian and CMC",
        "nozomi-cmc",
        S(cef="Nozomi Networks"),
        S(programs="n2osevents", cef="Nozomi Networks"),
        S(programs="n2os*"),
    ),
    _cef("One Identity Safeguard for Privileged Sessions", "one-identity-sps", "OneIdentity :: SPS"),
    _cef("One Identity Safeguard for Privileged Passwords", "cef", "OneIdentity :: SPP", "One Identity"),
    product("Panda SIEM Feeder", "panda-security-siem-feeder", S(cef="Panda Security")),
    product(
        "Trellix (FireEye) Network Security",
        "trellix-network-security",
        S(cef="(?:Trellix|FireEye) :: (?:MPS|NX|Network Security)"),
        S(programs="fenotify-*", cef="(?:Trellix|FireEye) :: MPS"),
        S(programs="cef", cef="(?:Trellix|FireEye) :: MPS"),
        appliance=True,
    ),
    product(
        "Trellix (FireEye) CMS, HX, EX",
        None,
        *(
            S(programs=programs, cef="(?:Trellix|FireEye) :: (?:CMS|HX|ETP|eMPS|AX|FX|Helix)")
            for programs in ("", "fenotify-*", "cef")
        ),
    ),
    product(
        "Trend Micro Apex One, Apex Central", "trend-micro-apex-one", S(cef="Trend Micro :: (?:Apex|Control Manager)")
    ),
    product(
        "Trend Micro Deep Security", "trend-micro-deep-security", S(cef="Trend Micro :: (?:Deep Security|Workload)")
    ),
    _cef(
        "Trend Micro Deep Discovery, TippingPoint",
        "cef",
        "Trend Micro :: Deep Discovery",
        "Trend ?Micro :: (?:TippingPoint|SMS|UnityOne|NGFW)",
        "TippingPoint",
    ),
    _cef("Varonis DatAlert", "varonis-data-security", "Varonis.* :: DatAdvantage"),
    _cef("Guardicore Centra", "cef", "(?:Guardicore|Akamai) :: Centra"),
    _cef("Kaspersky Security Center (CEF)", "cef", "Kaspersky.*"),
    _cef("OPSWAT", "cef", "OPSWAT"),
    _cef("ArcSight", "cef", "ArcSight"),
    _cef("Tenable", "cef", "Tenable"),
    _cef("Tanium (CEF)", "cef", "Tanium"),
    _cef("Forescout", "cef", "ForeScout.*"),
    _cef("Thycotic, Delinea Secret Server", "cef", "(?:Thycotic.*|Delinea)"),
    product(
        "BeyondTrust",
        "cef",
        S(cef="(?:BeyondTrust|Bomgar)"),
        S(programs="pbmasterd*|pblocald*|pbrun*|pbrund*|pblighttpd*", format="-"),
    ),
    product(
        "Imprivata, Okta",
        "cef",
        S(cef="(?:Imprivata|Okta)"),
        S(keys="actor eventType published uuid", format="-"),
        S(keys="actor eventType displayMessage", format="-"),
    ),
    product("SentinelOne", "cef", S(cef="SentinelOne"), S(programs="SentinelOne*|sentinelone*", format="-")),
    product(
        "CrowdStrike Falcon",
        "cef",
        S(cef="CrowdStrike"),
        S(keys="metadata event", text=r'\{.{0,300}"customerIDString"', words="customerIDString", format="-"),
        S(programs="CrowdStrike*|crowdstrike*|falcon*", format="-"),
    ),
    product(
        "WithSecure (F-Secure)",
        "cef",
        S(cef="(?:F-Secure|WithSecure)"),
        S(programs="F-Secure*|FSPMS*|WithSecure*", format="-"),
    ),
    _cef("OSSEC, Wazuh (CEF)", "cef", "Trend Micro Inc\\.? :: OSSEC"),
    _cef("Cloudflare, Semperis, SCADAfence, Radiflow", "cef", "(?:Cloudflare|Semperis.*|SCADAfence|Radiflow)"),
    _cef("Darktrace (CEF)", "cef", "Darktrace"),
    _cef("ExtraHop", "cef", "ExtraHop"),
    _cef("Illumio", "cef", "Illumio"),
    _cef("Netskope", "cef", "Netskope"),
    _cef("Microsoft ATA, Defender for Identity", "cef", "Microsoft :: (?:ATA|Azure ATP|Microsoft Defender)"),
    _cef("Microsoft Defender for IoT, CyberX", "cef", "(?:CyberX|Microsoft) :: (?:CyberX|Platform|Defender for IoT)"),
    _cef("Dragos", "cef", "Dragos"),
    _cef("SecureLink, Skybox, Tufin, AlgoSec", "cef", "(?:Skybox.*|Tufin|AlgoSec|SecureLink)"),
    _cef("Sophos Central", "cef", "sophos :: sophos central"),
    _cef("McAfee, Trellix products (CEF)", "cef", "McAfee"),
    _cef("Symantec products (CEF)", "cef", "Symantec"),
    _cef("Oracle, Imperva database security", "cef", "Oracle"),
    _cef("Stealthbits", "cef", "(?:STEALTHbits|Stealthbits).*"),
    _cef("Wallix Bastion (CEF)", "cef", "Wallix"),
    _cef("Gatewatcher (CEF)", "cef", "Gatewatcher"),
    _cef("Cynet", "cef", "Cynet"),
    _cef("Acronis", "cef", "Acronis"),
    _cef("ESET (CEF, LEEF)", "cef", "ESET"),
    _cef("Zerofox, RiskIQ", "cef", "(?:ZeroFox|RiskIQ)"),
    _cef("Cisco Umbrella, SecureX", "cef", "Cisco :: (?:Umbrella|SecureX|AMP)"),
    _cef("Siemens SINEC, TIM", "cef", "(?:TIM|Siemens)"),
    _cef("genua genugate", None, "genua"),
    _cef("Fidelis", None, "Fidelis.*"),
)
