"""Lists products of Fortinet. Many have the same keys, and the serial number tells them apart."""

from bridge.explain.products.signature import Product, Signature, product

S = Signature

_OTHER_FORTINET = "devid=FDC|FX|FI|FDD|FSW|S1|S2|S4|S5|FVE|FAI|FNDR|FIS"
_EVENT_KEYS = (
    "date time log_id ID type",
    "date time log_id ID type pri",
    "date time log_id msg_id ID vd timezone type",
    "date time log_id msg_id ID type subtype pri user ui action",
    "date time ID log_id type subtype pri user ui action",
    "date time ID log_id type pri session_id",
    "time ID log_id msg_id type subtype pri user ui",
    "time ID log_id type subtype pri user ui",
    "time ID log_id type pri session_id",
)
"Keys that FortiWeb or FortiMail have. A serial number that is neither's outweighs them."


def _other(serials: str) -> tuple[Signature, ...]:
    """Returns the signatures of a product whose messages have the keys of FortiWeb or FortiMail."""
    return tuple(S(keys=keys.replace(" ID", f" device_id={serials}")) for keys in _EVENT_KEYS)


PRODUCTS: tuple[Product, ...] = (
    product(
        "Fortinet FortiGate",
        "fortinet-fortigate",
        S(keys="date time devname devid logid type subtype level vd"),
        S(keys="date time devname devid logid"),
        S(keys="date time devname devid=FG|FW|F6 type level"),
        S(keys="date time devname devid=FG|FW|F6 logid"),
        S(keys="date time devname devid eventtime type"),
        S(keys="time devname devid logid type subtype level vd"),
        S(keys="logver timestamp devname devid vd"),
        S(keys="timestamp devname devid vd date time logid"),
        S(keys="devname devid logid type subtype level vd eventtime"),
        S(text=r'(?:date=[\d-]{10},)?time=[\d:]{8},devname="?[^,]+"?,devid=', words="date=,time=,devname=,devid="),
        S(cef="Fortinet :: Forti(?:Gate|OS)"),
    ),
    product(
        "Fortinet FortiProxy",
        "fortinet-fortiproxy",
        S(keys="date time devname devid=FP|FPX logid type subtype level vd"),
        S(keys="date time devname devid=FPX logid"),
        S(keys="date time devname=fortiproxy|fpx devid logid type subtype level vd"),
        S(keys="devname=fortiproxy|fpx devid logid type subtype level vd eventtime"),
        S(keys="devname devid=FPX logid type subtype level vd eventtime"),
    ),
    product(
        "Fortinet FortiWeb",
        "fortinet-fortiweb",
        S(keys="date time log_id msg_id device_id"),
        S(keys="date time log_id msg_id device_id vd timezone type"),
        S(keys="date time log_id device_id=FV"),
        S(keys="time devname device_id log_id msg_id type subtype pri"),
        # With all keys of an event of FortiMail, so that msg_id decides.
        S(keys="date time device_id log_id msg_id type subtype pri user ui action"),
        S(keys="time device_id log_id msg_id type subtype pri user ui"),
        S(keys="cat date_time user_id ep_id app_name"),
        S(cef="Fortinet :: FortiWeb"),
    ),
    product(
        "Fortinet FortiMail",
        "fortinet-fortimail",
        S(keys="date time device_id log_id type pri session_id"),
        S(keys="date time device_id=FE log_id type pri"),
        S(keys="time device_id log_id type subtype pri user ui"),
        S(keys="date time device_id log_id type subtype pri user ui action"),
        S(keys="time device_id log_id type pri session_id"),
    ),
    # The keys are FortiGate's or FortiWeb's; only the serial number differs.
    product(
        "Fortinet FortiDeceptor, FortiDDoS, FortiExtender, FortiSwitch, FortiVoice",
        None,
        *(
            S(keys=keys, words=f"{serial} of another Fortinet product")
            for serial, keys in (
                ("devid", f"date time devname {_OTHER_FORTINET} logid type subtype level vd"),
                ("devid", f"date time devname {_OTHER_FORTINET} logid"),
                ("devid", f"date time devname {_OTHER_FORTINET} type"),
                ("devid", f"devname {_OTHER_FORTINET} logid type subtype level vd eventtime"),
            )
        ),
        *_other("FVE|FO|FGV|FSW|S1|S2|S4|S5|FDC|FX|FI|FAI|FNDR|FIS"),
    ),
    product(
        "Fortinet FortiAnalyzer or FortiManager",
        None,
        S(keys="date time devid=FAZ|FL|FMG|FMVM devname logver"),
        S(keys="date time log_id devid=FAZ|FL|FMG"),
        S(keys="date time device_id=FAZ|FL|FMG type subtype pri"),
        *_other("FAZ|FL|FMG|FMVM"),
        S(cef="Fortinet :: Forti(?:Analyzer|Manager)"),
    ),
    product(
        "Fortinet FortiADC",
        None,
        S(keys="date time log_id device_id=FAD"),
        S(keys="date time log_id devid=FAD"),
        *_other("FAD"),
    ),
    product(
        "Fortinet FortiSandbox",
        None,
        S(keys="date time logid devid=FSA"),
        S(keys="devid=FSA logid pri"),
        *_other("FSA"),
    ),
    product(
        "Fortinet FortiAuthenticator",
        None,
        S(keys="date time devid=FAC logid"),
        S(text=r'(?:\w+\[\d+\]: )?category="Event" subcategory="'),
    ),
    product("Fortinet FortiNAC", None, S(cef="Fortinet :: (?:FortiNAC|NAC)"), S(cef="Fortinet, Inc :: FortiNAC")),
    product(
        "Fortinet FortiEDR",
        None,
        S(cef="Fortinet :: FortiEDR"),
        S(text=r"Message Type: \w+[^;]*;Organization: ", words="Message Type: ...;Organization:"),
    ),
    product("Fortinet FortiClient EMS", None, S(cef="Fortinet :: FortiClient")),
)
