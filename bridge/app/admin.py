"""Builds the admin server: pages, and the commands of the control socket."""

from twisted.internet import task

from bridge.admin.control import Control
from bridge.admin.routes import Routes
from bridge.admin.server import AdminServer
from bridge.app.process import Process
from bridge.app.reload import Reload, Subsystems
from bridge.config import Config
from bridge.monitoring import metrics
from bridge.monitoring.message_preview import MessagePreview, SourceReports
from bridge.operations.actions import ActionLog
from bridge.operations.commands import on_bridge
from bridge.operations.drain import Drain
from bridge.operations.session import CourierBacklogs, Session


def build_admin(
    config: Config, process: Process, parts: Subsystems, reload: Reload, actions: ActionLog
) -> AdminServer:  # fmt: skip
    """Builds the server without opening its sockets."""
    reactor, run, status = process.reactor, process.spool_thread.run, parts.monitoring.status
    ingest, opened = parts.ingest, parts.storage.opened
    preview = MessagePreview(
        lambda: reload.config, ingest.peers, ingest.pipeline.message_samples, status.senders, reactor.seconds,
        SourceReports(
            rejections=parts.monitoring.rejection_list.of, messages=parts.monitoring.format_drift.report,
            usual_rate=parts.monitoring.rate_monitor.report, ended=status.kept.ended_for,
        ),
    )  # fmt: skip
    routes = Routes(
        status=status, rate_history=parts.monitoring.rate_history, message_preview=preview, recent=process.recent,
        metrics=lambda: metrics.text(status), run=run, pause=lambda: task.deferLater(reactor, 0),
    )  # fmt: skip
    session = Session(
        opened.spool, opened.ledger, CourierBacklogs(opened.spool, parts.delivery.courier_set, reactor), run,
        record=opened.record, record_action=opened.journal.action, next_turn=lambda: task.deferLater(reactor, 0),
        write_accounts=parts.monitoring.journal_writer.write_accounts, current=lambda: reload.config,
    )  # fmt: skip
    drain = Drain(
        reactor, ingest.listener_set, opened.ledger, parts.storage.alarms, ingest.pipeline.spool_writer.finish
    )
    server = AdminServer(
        config, reactor, pages=routes.pages(), control_pages=routes.control_pages(),
        control=Control(on_bridge(session, reload.run, reload.confirm, reload.set_key, drain.run), reactor, actions),
    )  # fmt: skip
    reload.subscribe(server.change)
    return server
