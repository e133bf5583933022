"""Tests each injected fault as a sender sees it, over loopback sockets."""

from http.client import HTTPConnection, HTTPException, IncompleteRead, RemoteDisconnected

from twisted.internet import reactor
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from bridge.collector.api import IntakeResource
from bridge.collector.listening import ListenAddress, listen
from bridge.collector.site import IntakeSite
from tests.harness.fault_injection import HTML, NEVER, FaultyResource, InjectedFault
from tests.harness.memory_sink import Memory


def post(connection, body=b"a"):
    connection.request("POST", "/plain", body, {"X-SEKOIAIO-INTAKE-KEY": "key"})
    response = connection.getresponse()
    return response.status, response.read(), response


class FaultInjectionTests(TestCase):
    timeout = 30

    async def serve(self, *faults, clock=reactor):
        """Starts a collector that applies ``faults`` to its first requests, and returns its port."""
        self.sink = Memory()
        left = iter(faults)
        resource = FaultyResource(IntakeResource(self.sink), lambda request: next(left, None), clock)
        port = await listen(reactor, ListenAddress("127.0.0.1", 0), IntakeSite(resource, reactor))
        self.addCleanup(port.stopListening)
        return port.getHost().port

    async def run_client(self, port, exchange):
        """Runs a blocking ``exchange(connection)`` in a thread."""

        def run():
            connection = HTTPConnection("127.0.0.1", port, timeout=20)
            try:
                return exchange(connection)
            finally:
                connection.close()

        return await deferToThread(run)

    async def request_with(self, *faults):
        """Sends one request, and returns (status, body, response) or the exception that it raised."""
        port = await self.serve(*faults)

        def exchange(connection):
            try:
                return post(connection)
            except (OSError, HTTPException) as error:
                return error

        return await self.run_client(port, exchange)

    async def test_request_without_fault_gets_the_collectors_response(self):
        status, body, _ = await self.request_with(None)
        self.assertEqual((status, len(self.sink.events)), (200, 1))
        self.assertIn(b"event_id", body)

    async def test_fault_sets_status_headers_and_body(self):
        status, body, response = await self.request_with(
            InjectedFault(status=429, headers=(("Retry-After", "2"),), body=b"slow")
        )
        self.assertEqual((status, body, response.headers["Retry-After"]), (429, b"slow", "2"))
        self.assertEqual(self.sink.events, [])

    async def test_html_fault_sends_a_proxy_page(self):
        status, body, response = await self.request_with(HTML)
        self.assertEqual((status, response.headers["Content-Type"]), (502, "text/html"))
        self.assertIn(b"<html>", body)

    async def test_accepted_request_can_get_an_error_status(self):
        status, _, _ = await self.request_with(InjectedFault(accept=True, status=504, body=b""))
        self.assertEqual((status, len(self.sink.events)), (504, 1))

    async def test_excessive_content_length_leaves_the_response_incomplete(self):
        error = await self.request_with(InjectedFault(body=b"short", headers=(("Content-Length", "7"),), close=True))
        self.assertIsInstance(error, IncompleteRead)

    async def test_response_can_be_cut_after_acceptance(self):
        error = await self.request_with(InjectedFault(accept=True, cut=10))
        self.assertIsInstance(error, IncompleteRead)
        self.assertEqual((len(error.partial), len(self.sink.events)), (10, 1))

    async def test_cut_response_can_end_with_a_reset(self):
        error = await self.request_with(InjectedFault(accept=True, cut=10, reset=True))
        self.assertIsInstance(error, ConnectionResetError)

    async def test_connection_can_be_reset_before_or_after_acceptance(self):
        self.assertIsInstance(await self.request_with(InjectedFault(reset=True)), ConnectionResetError)
        self.assertEqual(self.sink.events, [])
        self.assertIsInstance(await self.request_with(InjectedFault(reset=True, accept=True)), ConnectionResetError)
        self.assertEqual(len(self.sink.events), 1)

    async def test_keep_alive_connection_can_be_closed_after_the_response(self):
        # A head without a body is a complete response. The fault for no response at all is `reset`.
        port = await self.serve(InjectedFault(accept=True, close=True))

        def exchange(connection):
            status, _, response = post(connection)
            assert status == 200 and response.headers["Connection"] is None
            # The keep-alive connection is closed. The sender must handle the failure of its next request.
            connection.auto_open = False
            try:
                post(connection)
            except (RemoteDisconnected, ConnectionResetError, BrokenPipeError) as error:
                return error

        self.assertIsNotNone(await self.run_client(port, exchange))
        self.assertEqual(len(self.sink.events), 1)

    async def test_delay_follows_the_given_clock(self):
        clock = Clock()
        port = await self.serve(InjectedFault(accept=True, delay=5.0), clock=clock)
        answer = deferToThread(lambda: post(HTTPConnection("127.0.0.1", port, timeout=20))[0])
        while not clock.getDelayedCalls():
            await deferToThread(lambda: None)
        self.assertEqual(len(self.sink.events), 1)
        self.assertNoResult(answer)
        clock.advance(5.0)
        self.assertEqual(await answer, 200)

    async def test_delay_never_sends_no_response(self):
        port = await self.serve(InjectedFault(delay=NEVER))

        def exchange(connection):
            connection.timeout = 0.2
            try:
                post(connection)
            except TimeoutError as error:
                return error

        self.assertIsInstance(await self.run_client(port, exchange), TimeoutError)
        self.assertEqual(self.sink.events, [])
