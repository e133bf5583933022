"""Identifies the product that a source is, from a sample of its messages.

Each message counts for the products whose signature weighs most. The source is the product that nearly all messages
count for, and that explains more messages than any other. Otherwise the answer is "unknown", with the reason: a wrong
text format changes events in silence, and an operator who is asked loses a minute.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import sqrt
from typing import NamedTuple

from bridge import formats
from bridge.explain import payloads
from bridge.explain.products import reason
from bridge.explain.products.signature import Match, Product, Signature
from bridge.explain.products.traits import Traits, traits_of
from bridge.explain.products.weights import PRODUCTS, likely, table
from bridge.util.counts import counted

MAX_FRAMES = 200
"Number of frames that are examined of a source. They are spread over all frames given."
MAX_VERIFIED = 12
"Number of messages whose event is compared with the expression of the text format."

MAX_FOREIGN = 0.1
"Share of messages that may be of something else. A relay, or a host with several programs, has more."
MIN_SHARE = 0.5
"Share of messages that must be recognised."
MIN_SHARE_ALIKE = 0.2
"The same if all others look like those of the product: a device has many kinds of messages."
MIN_SHARE_UNDER_OTHER_TAG = 0.6
"The same if all others only share the tag of a program that the product does not have: its texts may be quoted."
MIN_SHARE_CERTAIN = 0.3
"Share of messages that only an appliance sends, if most others are of Unix programs."
FEW = 10
"Number of messages below which half must be recognised in any case."
MIN_FITTING = 0.6
"Share of a product's messages that must have its text format, and of their events that must look like it."
STRONG = 8.0
"Bits from which the evidence of one message is as good as certain."

# The expression of a format ignores the time, so any will do.
_CONTEXT = payloads.FrameContext(datetime(2000, 1, 1, tzinfo=UTC))


@dataclass(frozen=True, slots=True)
class Identification:
    """The product that a source is, or None if that is not certain enough."""

    product: str | None
    format: str | None
    "Name of a text format of the registry. None if the product has none, or if its events do not look like it."
    confidence: float
    "From 0 to 1. 0 if there is no product."
    reason: str
    "Why, in words."
    runner_up: str | None
    "The next likely product. If ``product`` is None, the most likely one."
    matched: int
    "Number of messages that count for the product."
    examined: int
    "Number of messages that were examined."


@dataclass(frozen=True, slots=True)
class _Message:
    frame: bytes
    traits: Traits
    matches: Sequence[Match]
    "The products that the message counts for; several if their evidence weighs the same."

    def match_of(self, name: str) -> Match | None:
        return next((match for match in self.matches if match.product.name == name), None)


class _Rest(NamedTuple):
    """Numbers of messages that do not count for the best product."""

    neutral: int
    "Of programs that run on such a device."
    other: int
    "Of other products."
    unknown: int
    "Of nothing known, and unlike those of the product."
    alike: int
    "Of nothing known, but with the host and header of the product's."
    same_tag: int
    "Of nothing known, with the header of the product's messages, but a program that the product does not have."


def identify(frames: Sequence[bytes]) -> Identification:
    """Identifies a source by its frames, as received. Examines at most ``MAX_FRAMES`` of them."""
    messages = [_message(frame) for frame in spread(frames, MAX_FRAMES)]
    total = len(messages)
    support = Counter(match.product.name for message in messages for match in message.matches)
    if not support:
        why = f"no known product in {counted(total, 'message')}" if messages else "no messages"
        return Identification(None, None, 0.0, why, None, 0, total)
    own = Counter(message.matches[0].product.name for message in messages if len(message.matches) == 1)
    order = {row.name: place for place, row in enumerate(PRODUCTS)}
    ranked = sorted(support, key=lambda name: (-support[name], -own[name], order.get(name, len(order)), name))
    rivals = ranked
    if appliance := _appliance_below_its_programs(messages, ranked):
        ranked.sort(key=lambda name: name != appliance)
        rivals = [appliance]
    equal = [name for name in rivals if support[name] == support[ranked[0]]]
    if program := _program_of_appliances(messages, equal):
        ranked.sort(key=lambda name: name != program)
    best = ranked[0]
    matched = [(message, match) for message in messages if (match := message.match_of(best))]
    evidence = reason.evidence((reason.words(match, message.traits) for message, match in matched), total)
    rest = _rest(messages, best, matched[0][1].product)
    if why := _doubt(messages, ranked, support, rest, [best] if program else equal, evidence):
        return Identification(None, None, 0.0, why, best, support[best], total)
    if program:
        others = [name for name in equal if name != program]
        text_format, note = None, f"; {reason.listed(others)} {'runs' if len(others) == 1 else 'run'} this program too"
    else:
        text_format, note = _format([(message.frame, match) for message, match in matched])
    runs = f"; {rest.neutral} of programs that run on it" if rest.neutral else ""
    weight = sum(match.bits for _, match in matched) / len(matched)
    return Identification(
        best, text_format, _confidence(weight, support[best], total - rest.neutral), evidence + runs + note,
        next(iter(ranked[1:]), None), support[best], total,
    )  # fmt: skip


def _appliance_below_its_programs(messages: Sequence[_Message], ranked: Sequence[str]) -> str | None:
    """Returns the appliance if most messages are of Unix programs (sshd, cron), which such a device runs."""
    products = {match.product.name: match.product for message in messages for match in message.matches}
    if not products[ranked[0]].daemon:
        return None
    certain = (message for message in messages if not any(match.product.daemon for match in message.matches))
    support = Counter(match.product.name for message in certain for match in message.matches)
    least = max(2, MIN_SHARE_CERTAIN * len(messages))
    first = next((name for name in ranked if support[name] >= least), None)
    return first if first and products[first].appliance else None


def _program_of_appliances(messages: Sequence[_Message], equal: Sequence[str]) -> str | None:
    """Returns the program if the products that are equally likely are it and appliances that run it.

    The program is certain then, but not the device. So the caller must not choose a text format.
    """
    products = {match.product.name: match.product for message in messages for match in message.matches}
    programs = [name for name in equal if products[name].daemon]
    others_run_it = all(products[name].daemon or products[name].appliance for name in equal)
    return programs[0] if len(equal) > len(programs) == 1 and others_run_it else None


def _message(frame: bytes) -> _Message:
    traits = traits_of(frame)
    return _Message(frame, traits, likely(table().matches(traits)) or _named_by_itself(traits))


def _named_by_itself(traits: Traits) -> list[Match]:
    """Returns the product that the header of CEF or LEEF names, if the table does not have it."""
    if traits.vendor is None or not traits.is_cef:
        return []
    name = f"{reason.name(traits.vendor)} {reason.name(traits.product)}".strip()
    signature = Signature(cef=name, format="-" if b"LEEF:" in traits.text[:80] else "cef")
    return [Match(Product(name=name or "CEF of any product", signatures=(signature,)), signature, STRONG)]


def _rest(messages: Sequence[_Message], best: str, product: Product) -> _Rest:
    matches = [(message.traits, match) for message in messages if (match := message.match_of(best))]
    matched = [traits for traits, _ in matches]
    hosts = {traits.host for traits in matched}
    programs = {traits.program for traits in matched}
    own_programs = {traits.program for traits, match in matches if not traits.program or match.signature.programs}
    layouts = {traits.layout for traits in matched}
    found: Counter[str] = Counter()
    for message in messages:
        if message.match_of(best):
            continue
        traits = message.traits
        same_host = traits.host in hosts
        own_host = product.appliance and same_host
        if message.matches:
            runs = own_host and any(match.product.daemon for match in message.matches)
            found["neutral" if runs else "other"] += 1
        elif own_host or (traits.layout in layouts and traits.program in programs and (same_host or traits.program)):
            found["alike" if own_host or traits.program in own_programs else "same_tag"] += 1
        else:
            found["unknown"] += 1
    return _Rest(**{name: found[name] for name in _Rest._fields})


def _doubt(
    messages: Sequence[_Message],
    ranked: Sequence[str],
    support: Counter[str],
    rest: _Rest,
    equal: Sequence[str],
    evidence: str,
) -> str:
    """Returns the reason for not identifying the source, or an empty text."""
    best, total = ranked[0], len(messages)
    foreign, device = rest.other + rest.unknown, total - rest.neutral
    if foreign > MAX_FOREIGN * device or (len(equal) > 1 and rest.other):
        return _mix(messages, ranked)
    if len(equal) > 1:
        return f"{reason.listed(equal)} are equally likely: {evidence}"
    share = MIN_SHARE_ALIKE if rest.alike and not rest.unknown and total >= FEW else MIN_SHARE
    if rest.same_tag:
        share = MIN_SHARE_UNDER_OTHER_TAG
    if support[best] < share * device:
        return f"{best} in only {support[best]} of {counted(total, 'message')}: the others are not known"
    return ""


def _mix(messages: Sequence[_Message], ranked: Sequence[str]) -> str:
    # A message that counts for several products is listed under the most likely one.
    found = [
        min(message.matches, key=lambda match: ranked.index(match.product.name))
        for message in messages
        if message.matches
    ]
    counts = Counter(match.product.name for match in found)
    parts = [f"{name} in {count}" for name, count in counts.most_common(4)]
    unknown = len(messages) - len(found)
    parts += [f"unknown messages in {unknown}"] if unknown else []
    programs = len(counts) > 1 and all(match.product.daemon for match in found)
    what = "several programs of a Unix host" if programs else "a mix"
    return f"{what}: {', '.join(parts)} of {counted(len(messages), 'message')}"


def _confidence(weight: float, support: int, total: int) -> float:
    return round(min(1.0, weight / STRONG) * sqrt(support / total) * (1 - 0.5 ** (support + 1)), 2)


def _format(matched: Sequence[tuple[bytes, Match]]) -> tuple[str | None, str]:
    """Returns the text format, and a note if the product's events do not look like it."""
    names = Counter(match.signature.format or match.product.format or "-" for _, match in matched)
    ((name, count),) = names.most_common(1)
    if name == "-" or count < MIN_FITTING * len(matched):
        return None, ""
    try:
        text_format = formats.find(name)
    except formats.UnknownFormat:
        return None, ""
    verified = list(spread([frame for frame, _ in matched], MAX_VERIFIED))
    fitting = sum(text_format.fits(payloads.event_for(text_format, frame, _CONTEXT)) for frame in verified)
    if fitting < MIN_FITTING * len(verified):
        return None, f"; only {fitting} of {counted(len(verified), 'event')} look like the format {text_format.name}"
    return text_format.name, ""


def spread(frames: Sequence[bytes], most: int) -> Iterator[bytes]:
    """Yields at most ``most`` frames, spread evenly over all of them."""
    count = min(len(frames), most)
    return (frames[number * len(frames) // count] for number in range(count))
