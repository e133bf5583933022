"""Measures how often the findings are right, wrong or unknown, with 20 and with 3 messages of each sender.

The project's own samples must keep the figures that the tests assert. The corpora of other projects are measured apart
if they are beside the checkout; run with ``-s`` to see the figures.
"""

import json
import random
from base64 import b64decode
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from bridge.discover import SenderFinding
from bridge.formats import FORMATS
from tests.bench.mix import MIXES, read_mix
from tests.harness.discovering import START, findings_of
from tests.unit.explain.test_products_evaluation import (
    NO_PRODUCT,
    RIGHT_AT_3,
    RIGHT_AT_20,
    WRONG_FORMAT,
    cycled,
    expected,
    formats_of,
    samples,
)

CORPORA = Path(__file__).parents[4] / "shared" / "corpora"


class Shares:
    """Counts senders by result."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.counts: Counter[str] = Counter()
        self.missed: list[str] = []

    def add(self, name: str, found: Sequence[SenderFinding], product: str | None, formats: Iterable[str]) -> None:
        """Counts a sender of one product. ``product`` None: only its formats are known."""
        routed = {each.identified.format for each in found if each.route}
        products = {each.identified.product for each in found}
        right = products == {product} if product else routed != set() and routed <= set(formats)
        self.counts["right" if right else "unknown" if products == {None} or not product else "other"] += 1
        wrong = routed - set(formats)
        self.counts["wrong format"] += bool(wrong)
        if wrong or not right:
            reasons = "; ".join(each.why or each.identified.reason for each in found)
            self.missed.append(f"{name}: {products} {wrong or ''} {reasons}")

    def share(self, result: str) -> float:
        return self.counts[result] / max(1, self.counts.total() - self.counts["wrong format"])

    def show(self) -> None:
        print(f"\n{self.title}: {dict(self.counts)}, right {self.share('right'):.1%}")
        for line in self.missed:
            print("  ", line[:220])


@pytest.mark.parametrize(("count", "least"), [(20, RIGHT_AT_20), (3, RIGHT_AT_3)])
def test_products_of_the_samples(count: int, least: float) -> None:
    shares, by_name = Shares(f"samples, {count} messages"), samples()
    for name, product in expected().items():
        shares.add(name, findings_of(cycled(by_name[name], count)), product, formats_of(product))
    shares.show()
    assert shares.share("right") >= least
    assert shares.share("wrong format") <= WRONG_FORMAT


@pytest.mark.parametrize(("count", "least"), [(20, RIGHT_AT_20), (3, RIGHT_AT_3)])
def test_examples_of_the_formats(count: int, least: float) -> None:
    shares = Shares(f"examples of the formats, {count} messages")
    for name, text_format in FORMATS.items():
        shares.add(name, findings_of([text_format.example] * count), None, {name})
    shares.show()
    assert shares.share("right") >= least
    assert shares.counts["wrong format"] == 0


@pytest.mark.parametrize("mix", sorted(MIXES.glob("*.yaml")), ids=lambda path: path.stem)
@pytest.mark.parametrize("count", [20, 3])
def test_devices_of_the_measured_sites(mix: Path, count: int) -> None:
    shares = Shares(f"{mix.stem}, {count} messages a device")
    by_address: defaultdict[str, list[bytes]] = defaultdict(list)
    product: dict[str, str] = {}
    for message in read_mix(mix).scaled(60).render(20_000, START):
        by_address[message.device.address].append(message.text)
        product[message.device.address] = message.device.product.format
    for address, frames in by_address.items():
        shares.add(address, findings_of(frames[:count]), None, {product[address]})
    shares.show()
    assert shares.share("right") >= (RIGHT_AT_20 if count == 20 else RIGHT_AT_3)
    assert shares.counts["wrong format"] == 0


@pytest.mark.parametrize("count", [20, 3])
def test_samples_of_no_product_are_held(count: int) -> None:
    by_name = samples()
    # A device that netfilter identifies, and a relay of hosts that send CEF, whose format is the generic one.
    names = sorted(NO_PRODUCT & set(by_name) - {"VyOS", "FreeBSD syslogd -v"})
    found = {name: findings_of(cycled(by_name[name], count)) for name in names}
    assert {name: each for name, each in found.items() if any(one.route for one in each)} == {}


@pytest.mark.parametrize("count", [20, 3])
def test_json_of_unknown_origin_is_held(count: int) -> None:
    keys = ("event", "time", "host", "user", "level", "msg", "id", "type", "source", "action", "src_ip", "severity")
    choose = random.Random(count)
    for _ in range(40):
        chosen = choose.sample(keys, 5)
        text = json.dumps({key: f"{key}-1" for key in chosen}).encode()
        found = findings_of([b"<134>Nov 23 07:24:00 app-1 shop: " + text] * count)
        assert [each for each in found if each.route] == [], text


@pytest.mark.parametrize("count", [20, 3])
@pytest.mark.parametrize("products", [2, 3, 6])
def test_a_mix_from_one_address_gets_no_wrong_format(products: int, count: int) -> None:
    """A relay may be taken apart by the hosts in its headers; a part must then have its own format or none."""
    by_name, names = samples(), expected()
    choose = random.Random(100 * products + count)
    routed = wrong = 0
    for _ in range(80):
        mixed = choose.sample(sorted(names), products)
        frames = [cycled(by_name[name], count) for name in mixed]
        found = findings_of([frames[number % products][number] for number in range(count)])
        allowed = set().union(*(formats_of(names[name]) for name in mixed))
        for each in found:
            if each.route:
                routed += 1
                # The part has messages of one of the products only.
                own = [name for name in mixed if set(each.samples) & set(by_name[name])]
                if each.identified.format not in allowed or len({names[name] for name in own}) > 1:
                    wrong += 1
                    print(mixed, each.place, each.identified)
    print(f"\n{products} products, {count} messages: {routed} parts routed, {wrong} wrong")
    assert wrong == 0


# --- corpora of other projects ---------------------------------------------------------------------------------------


@pytest.mark.skipif(not CORPORA.is_dir(), reason="the corpora of other projects are not beside the checkout")
@pytest.mark.parametrize("count", [20, 3])
def test_corpora_of_other_projects(count: int) -> None:
    """Their vendors are written in other words, so only the formats that are known are compared."""
    shares = Shares(f"corpora, {count} messages")
    by_vendor: defaultdict[str, list[bytes]] = defaultdict(list)
    for file in sorted(CORPORA.glob("*.jsonl")):
        for line in file.read_text().splitlines():
            row = json.loads(line)
            if row.get("vendor") and not row.get("header_stripped") and ("raw" in row or "raw_b64" in row):
                frame = row["raw"].encode() if "raw" in row else b64decode(row["raw_b64"])
                by_vendor[f"{file.stem} {row['vendor']}"].append(frame)
    print(f"\n{len(by_vendor)} vendors")
    results: Counter[str] = Counter()
    for vendor, frames in sorted(by_vendor.items()):
        found = findings_of(cycled(frames, count))
        routed = sorted({each.identified.format or "" for each in found if each.route})
        products = sorted({each.identified.product or "unknown" for each in found})
        results["routed" if routed else "named" if products != ["unknown"] else "unknown"] += 1
        print(f"   {vendor}: {', '.join(products)} {routed}")
    print(shares.title, dict(results))
    assert results.total() == len(by_vendor)
