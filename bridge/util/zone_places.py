"""Names places for time zone abbreviations and fixed offsets: the configuration takes a place, as its clock changes.

An abbreviation such as CEST names one season of several places, and some stand for different zones (IST, CST, BST).
"""

from collections.abc import Mapping
from datetime import timedelta

_CENTRAL_EUROPE = ("Europe/Paris", "Europe/Berlin", "Europe/Madrid", "Europe/Rome", "Europe/Warsaw", "Europe/Zurich")
_EASTERN_EUROPE = ("Europe/Athens", "Europe/Helsinki", "Europe/Bucharest", "Europe/Kyiv", "Africa/Cairo")
_GERMAN = ("Europe/Berlin", "Europe/Vienna", "Europe/Zurich")
_BRITISH = ("Europe/London",)
_WESTERN_EUROPE = ("Europe/Lisbon", "Atlantic/Canary")
_EASTERN = ("America/New_York", "America/Toronto", "America/Detroit")
_CENTRAL = ("America/Chicago", "America/Winnipeg")
_MOUNTAIN = ("America/Denver", "America/Edmonton")
_PACIFIC = ("America/Los_Angeles", "America/Vancouver", "America/Tijuana")
_ALASKA = ("America/Anchorage",)
_ATLANTIC = ("America/Halifax", "Atlantic/Bermuda")
_NEWFOUNDLAND = ("America/St_Johns",)
_AUSTRALIA_EAST = ("Australia/Sydney", "Australia/Melbourne", "Australia/Hobart")
_AUSTRALIA_CENTRAL = ("Australia/Adelaide",)
_NEW_ZEALAND = ("Pacific/Auckland",)

PLACES: Mapping[str, tuple[str, ...]] = {
    "CET": _CENTRAL_EUROPE, "CEST": _CENTRAL_EUROPE, "MET": _CENTRAL_EUROPE, "MEST": _CENTRAL_EUROPE,
    "MEZ": _GERMAN, "MESZ": _GERMAN, "WET": _WESTERN_EUROPE, "WEST": _WESTERN_EUROPE,
    "GMT": (*_BRITISH, "Europe/Dublin", "Africa/Accra"), "BST": (*_BRITISH, "Asia/Dhaka"),
    "IST": ("Asia/Kolkata", "Europe/Dublin", "Asia/Jerusalem"), "IDT": ("Asia/Jerusalem",),
    "EET": _EASTERN_EUROPE, "EEST": _EASTERN_EUROPE, "MSK": ("Europe/Moscow",), "TRT": ("Europe/Istanbul",),
    "SAST": ("Africa/Johannesburg",), "WAT": ("Africa/Lagos", "Africa/Kinshasa"),
    "CAT": ("Africa/Maputo", "Africa/Harare"), "EAT": ("Africa/Nairobi", "Africa/Addis_Ababa"),
    "GST": ("Asia/Dubai",), "PKT": ("Asia/Karachi",), "ICT": ("Asia/Bangkok", "Asia/Ho_Chi_Minh"),
    "WIB": ("Asia/Jakarta",), "WITA": ("Asia/Makassar",), "WIT": ("Asia/Jayapura",),
    "HKT": ("Asia/Hong_Kong",), "SGT": ("Asia/Singapore",), "AWST": ("Australia/Perth",),
    "JST": ("Asia/Tokyo",), "KST": ("Asia/Seoul",),
    "ACST": ("Australia/Adelaide", "Australia/Darwin"), "ACDT": _AUSTRALIA_CENTRAL,
    "AEST": (*_AUSTRALIA_EAST, "Australia/Brisbane"), "AEDT": _AUSTRALIA_EAST,
    "NZST": _NEW_ZEALAND, "NZDT": _NEW_ZEALAND,
    "NST": _NEWFOUNDLAND, "NDT": _NEWFOUNDLAND, "AST": (*_ATLANTIC, "America/Puerto_Rico"), "ADT": _ATLANTIC,
    "EST": (*_EASTERN, "America/Panama"), "EDT": _EASTERN,
    "CST": (*_CENTRAL, "America/Mexico_City", "Asia/Shanghai"), "CDT": _CENTRAL,
    "MST": (*_MOUNTAIN, "America/Phoenix"), "MDT": _MOUNTAIN, "PST": _PACIFIC, "PDT": _PACIFIC,
    "AKST": _ALASKA, "AKDT": _ALASKA, "HST": ("Pacific/Honolulu", "America/Adak"), "HDT": ("America/Adak",),
    "BRT": ("America/Sao_Paulo",), "ART": ("America/Argentina/Buenos_Aires",),
    "CLT": ("America/Santiago",), "CLST": ("America/Santiago",),
}  # fmt: skip
"Places where clocks show an abbreviation, in winter or in summer."

UNCHANGING: Mapping[int, str] = {
    -660: "Pacific/Pago_Pago", -600: "Pacific/Honolulu", -570: "Pacific/Marquesas", -540: "Pacific/Gambier",
    -480: "Pacific/Pitcairn", -420: "America/Phoenix", -360: "America/Costa_Rica", -300: "America/Panama",
    -240: "America/Puerto_Rico", -180: "America/Sao_Paulo", -120: "America/Noronha", -60: "Atlantic/Cape_Verde",
    0: "UTC", 60: "Africa/Lagos", 120: "Africa/Johannesburg", 180: "Asia/Riyadh", 210: "Asia/Tehran",
    240: "Asia/Dubai", 270: "Asia/Kabul", 300: "Asia/Karachi", 330: "Asia/Kolkata", 345: "Asia/Kathmandu",
    360: "Asia/Dhaka", 390: "Asia/Yangon", 420: "Asia/Bangkok", 480: "Asia/Singapore", 525: "Australia/Eucla",
    540: "Asia/Tokyo", 570: "Australia/Darwin", 600: "Australia/Brisbane", 660: "Pacific/Guadalcanal",
    720: "Pacific/Tarawa", 780: "Pacific/Tongatapu", 840: "Pacific/Kiritimati",
}  # fmt: skip
"Offset in minutes -> a place that has it all year."

WINTER: Mapping[int, str] = {
    -540: "America/Anchorage", -480: "America/Los_Angeles", -420: "America/Denver", -360: "America/Chicago",
    -300: "America/New_York", -240: "America/Halifax", -210: "America/St_Johns", 0: "Europe/London",
    60: "Europe/Paris", 120: "Europe/Athens", 570: "Australia/Adelaide", 600: "Australia/Sydney",
    720: "Pacific/Auckland",
}  # fmt: skip
"Offset in winter, in minutes -> a place with daylight saving time."


def unchanging_place(offset: timedelta) -> str | None:
    """Returns a place that has the offset all year."""
    minutes, rest = divmod(offset.total_seconds(), 60)
    return None if rest else UNCHANGING.get(int(minutes))
