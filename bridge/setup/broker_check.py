"""Tests the connection to each broker of a shared backlog, and its queues. The session limits the time of answers."""

from collections.abc import Sequence

from bridge.cluster.broker import BrokerError, BrokerSession, QueueDepth, QueueMissing
from bridge.cluster.terms import ClusterTerms
from bridge.config import ClusterSection, Config
from bridge.host.interfaces import Reactor
from bridge.setup.check_result import StepResult
from bridge.util.counts import counted


async def check_brokers(reactor: Reactor, config: Config, section: ClusterSection) -> Sequence[StepResult]:
    """Checks each broker, and the queues of the configured intakes on the first broker that accepts the login."""
    from bridge.cluster.amqp import Rabbit  # noqa: PLC0415  only a cluster needs pika

    rabbit = Rabbit(reactor, section, lambda: section.password, name="syslog-bridge check")
    names, results, queues_checked = tuple(config.intakes), [], False
    for url in section.amqp:
        try:
            session = await rabbit.connect(url)
        except BrokerError as error:
            results.append(StepResult(url, names, "amqp", False, str(error)))
            continue
        results.append(StepResult(url, names, "amqp", True, "the broker accepts the login"))
        if not queues_checked:
            queues_checked = True
            results += await _check_queues(session, url, section, names)
        await session.close()
    return results


async def _check_queues(
    session: BrokerSession, url: str, section: ClusterSection, names: Sequence[str]
) -> list[StepResult]:
    terms = ClusterTerms.of(section)
    found: dict[str, QueueDepth | None] = {}
    for name in names:
        try:
            # A missing queue closes the channel, so each queue gets a new one.
            found[name] = await (await session.channel()).inspect(terms.queue_of(name))
        except QueueMissing:
            found[name] = None
        except BrokerError as error:
            return [StepResult(url, (name,), "queue", False, f"{terms.queue_of(name)}: {error}")]
    existing = sum(depth is not None for depth in found.values())
    results = []
    for name, depth in found.items():
        queue, ok = terms.queue_of(name), True
        if depth is None:
            text = f"queue {queue} does not exist yet. The first node that starts creates it."
            if existing:
                text += f" A queue exists for {existing} of {counted(len(names), 'intake')}."
                text += " Do other nodes use another intake name?"
        else:
            ok = bool(depth.consumers) or terms.consumes
            couriers = counted(depth.consumers, "courier")
            text = f"queue {queue}: {counted(depth.batches, 'batch')} waiting, {couriers} connected"
            text += "" if ok else ". Add an intake of this name to the configuration of a courier."
        results.append(StepResult(url, (name,), "queue", ok, text))
    return results
