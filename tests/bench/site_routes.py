"""Configures the contenders for a site: one intake per product, chosen by the address of the device."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.bench.mix import network
from tests.bench.site import RELAY, Site


def bridge_intakes(site: Site, file: Path) -> dict[str, dict[str, str]]:
    """Returns the intakes of the bridge, each with the format of its product."""
    mix = site.mix(file)
    if site.intake_each:
        return {device.host: {"format": device.product.format} for device in mix.devices}
    return {product.product: {"format": product.format} for product in mix.products}


def bridge_routes(site: Site, file: Path) -> Mapping[str, Any]:
    """Returns the parts `routes` and `sources` of the bridge's configuration."""
    mix = site.mix(file)
    networks = {product.product: f"127.{network(n)}.0.0/16" for n, product in enumerate(mix.products)}
    if site.intake_each:
        routes = [{"name": d.host, "source": d.address, "intake": d.host} for d in mix.devices]
    elif site.relay:
        routes = [{"name": name, "hostname": f"{name}*", "intake": name} for name in networks]
    else:
        routes = [{"name": name, "source": source, "intake": name} for name, source in networks.items()]
    sources: list[dict[str, Any]] = [
        {"source": networks[product.product], "timezone": product.timezone}
        for product in mix.products
        if product.timezone != "UTC"
    ]
    if site.relay:
        sources.append({"source": RELAY, "relay": True})
    return {"routes": routes} | ({"sources": sources} if sources else {})


def syslog_ng(destination: str, file: Path, directory: Path, *, disk: bool) -> str:
    """Returns syslog-ng's destinations, and log paths that end at the first that fits; `destination` has the places
    `name` and `buffer`."""
    parts = []
    for number, product in enumerate(Site().mix(file).products):
        name = f"d{number}"
        buffer = "log-fifo-size(1000000)"
        if disk:
            queue = directory / name
            queue.mkdir(parents=True)
            buffer = f'disk-buffer(mem-buf-size(16777216) disk-buf-size(2147483648) reliable(yes) dir("{queue}"))'
        parts += [
            destination.format(name=name, buffer=buffer),
            f"# {product.product}",
            f"filter f{number} {{ netmask(127.{network(number)}.0.0/16); }};",
            f"log {{ source(load); filter(f{number}); destination({name}); flags(final FLOW); }};",
        ]
    return "\n".join(parts)


def rsyslog(action: str, file: Path) -> str:
    """Returns rsyslog's conditions, each with an action of its own, in the order of the mix."""
    branches = [
        f'if $fromhost-ip startswith "127.{network(number)}." then {{ # {product.product}\n{action}\nstop\n}}'
        for number, product in enumerate(Site().mix(file).products)
    ]
    return "\n".join([*branches, ""])
