"""Lists the kinds of problems and alarms: their state, their meaning and the Prometheus alert that reports them."""

from dataclasses import dataclass

CRITICAL, DEGRADED, HEALTHY = "critical", "degraded", "healthy"
"The states: events are lost or cannot be delivered; the operator should act; no action is needed."
NOTICE = "notice"
"State of a problem that does not change the state of the gateway."


@dataclass(frozen=True, slots=True)
class AlarmKind:
    """Describes a kind of problems: the worst state, what it means, and the name of its Prometheus alert."""

    state: str
    meaning: str
    alert: str


KINDS: dict[str, AlarmKind] = {
    # Ordered by harm: events are lost.
    "loss": AlarmKind(CRITICAL, "events are lost", "SyslogBridgeEventsLost"),
    "spool": AlarmKind(CRITICAL, "the spool cannot be written or synced", "SyslogBridgeSpoolFault"),
    "damaged": AlarmKind(CRITICAL, "files of the spool were damaged", "SyslogBridgeFilesDamaged"),
    "defect": AlarmKind(CRITICAL, "the ledger does not balance", "SyslogBridgeLedgerImbalance"),
    "full": AlarmKind(CRITICAL, "an intake has used its share of the spool", "SyslogBridgeIntakeFull"),
    # Events cannot be delivered.
    "parked": AlarmKind(CRITICAL, "the collector does not accept the events of an intake", "SyslogBridgeIntakeParked"),
    "collector": AlarmKind(CRITICAL, "the collector cannot be reached", "SyslogBridgeIntakeBackingOff"),
    # Events will be lost soon, or are late.
    "budget": AlarmKind(DEGRADED, "the spool fills", "SyslogBridgeSpoolFilling"),
    "quarantine": AlarmKind(DEGRADED, "refused events cannot be kept", "SyslogBridgeQuarantineFault"),
    "unredacted": AlarmKind(DEGRADED, "events that redact could not treat are held", "SyslogBridgeEventsUnredacted"),
    "refused": AlarmKind(DEGRADED, "events that the collector refuses are held", "SyslogBridgeRefusedEvents"),
    "unreadable": AlarmKind(DEGRADED, "files of the spool cannot be read", "SyslogBridgeFilesUnreadable"),
    "waiting": AlarmKind(DEGRADED, "an event has waited for too long", "SyslogBridgeBacklogOld"),
    "draining": AlarmKind(DEGRADED, "the backlog of an outage drains", "SyslogBridgeBacklogDrains"),
    "late": AlarmKind(DEGRADED, "an intake delivers less than it receives", "SyslogBridgeFallsBehind"),
    "request_rate": AlarmKind(DEGRADED, "max_request_rate delays requests", "SyslogBridgeRequestRate"),
    "width": AlarmKind(DEGRADED, "requests join events of more seconds than configured", "SyslogBridgeTimestampsWide"),
    "small_batches": AlarmKind(DEGRADED, "the collector refuses joined batches", "SyslogBridgeSmallBatches"),
    "quota": AlarmKind(DEGRADED, "an intake has used its daily quota", "SyslogBridgeQuota"),
    "failover": AlarmKind(DEGRADED, "another URL of the collector is used", "SyslogBridgeFailover"),
    "fleet": AlarmKind(DEGRADED, "the shared backlog does not work", "SyslogBridgeSharedBacklog"),
    "unconfigured": AlarmKind(DEGRADED, "events of an unknown intake wait", "SyslogBridgeIntakeUnconfigured"),
    "delivery": AlarmKind(DEGRADED, "the last request of an intake failed", "SyslogBridgeDeliveryError"),
    # The gateway does not do what its configuration says, which may be the cause of problems of sources.
    "drain": AlarmKind(DEGRADED, "the listeners are closed by command", "SyslogBridgeDrained"),
    "reload": AlarmKind(DEGRADED, "the last reload failed or is not confirmed", "SyslogBridgeReloadFailed"),
    "certificate": AlarmKind(DEGRADED, "a certificate of a listener expires", "SyslogBridgeCertificateExpires"),
    # Sources.
    "unrouted": AlarmKind(DEGRADED, "messages of a source match no route", "SyslogBridgeUnroutedSenders"),
    "rejected": AlarmKind(DEGRADED, "a listener rejects a source", "SyslogBridgeSourceRejected"),
    "client_names": AlarmKind(DEGRADED, "client_names rejects a TLS client", "SyslogBridgeClientNames"),
    "oversize": AlarmKind(DEGRADED, "messages that are too long are held", "SyslogBridgeMessagesOversize"),
    "match_limit": AlarmKind(DEGRADED, "an expression of a route exceeds its match limit", "SyslogBridgeMatchLimit"),
    "mirror": AlarmKind(DEGRADED, "copies of messages are dropped", "SyslogBridgeCopiesDropped"),
    "incomplete": AlarmKind(NOTICE, "messages whose end did not arrive are held", "SyslogBridgeMessagesIncomplete"),
    "truncated": AlarmKind(NOTICE, "messages are truncated", "SyslogBridgeMessagesTruncated"),
    "silence": AlarmKind(DEGRADED, "a source is silent for longer than expected", "SyslogBridgeSourceSilent"),
    "rate_below": AlarmKind(DEGRADED, "a source sends far less than usual at this hour", "SyslogBridgeSourceRateLow"),
    "format": AlarmKind(DEGRADED, "events do not match the format of their intake", "SyslogBridgeNotParsed"),
    "drift": AlarmKind(DEGRADED, "the messages of a source have changed", "SyslogBridgeSourceChanged"),
    "structured_data": AlarmKind(DEGRADED, "events lack the structured data of their source", "SyslogBridgeNoData"),
    "clock": AlarmKind(DEGRADED, "the clock of a source or of the gateway is wrong", "SyslogBridgeClocksWrong"),
    # The gateway.
    "sync": AlarmKind(DEGRADED, "the disk syncs slowly", "SyslogBridgeSlowDisk"),
    "descriptors": AlarmKind(DEGRADED, "the process has no free file descriptors", "SyslogBridgeDescriptors"),
    "archive": AlarmKind(DEGRADED, "an archive exists that is not configured", "SyslogBridgeArchiveOrphaned"),
}
"All kinds, ordered by harm: problems are shown in this order within their state."
