"""Each fault as a sender sees it, over real loopback sockets."""

from http.client import HTTPConnection, HTTPException, IncompleteRead, RemoteDisconnected

from twisted.internet import reactor
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from bridge.collector.api import IntakeResource
from bridge.collector.fault_injection import (
    HTML,
    NEVER,
    FaultyResource,
    InjectedFault,
)
from bridge.collector.listening import ListenAddress, listen
from bridge.collector.output import Memory
from bridge.collector.site import IntakeSite


def post(connection, body=b"a"):
    connection.request("POST", "/plain", body, {"X-SEKOIAIO-INTAKE-KEY": "key"})
    response = connection.getresponse()
    return response.status, response.read(), response


class FaultsTests(TestCase):
    timeout = 30

    async def serve(self, *faults, clock=reactor):
        """A collector whose first requests meet ``faults``; gives its port."""
        self.sink = Memory()
        left = iter(faults)
        resource = FaultyResource(IntakeResource(self.sink), lambda request: next(left, None), clock)
        port = await listen(reactor, ListenAddress("127.0.0.1", 0), IntakeSite(resource, reactor))
        self.addCleanup(port.stopListening)
        return port.getHost().port

    async def talk(self, port, conversation):
        """Run a blocking ``conversation(connection)`` in a thread."""

        def run():
            connection = HTTPConnection("127.0.0.1", port, timeout=20)
            try:
                return conversation(connection)
            finally:
                connection.close()

        return await deferToThread(run)

    async def meet(self, *faults):
        """One request; gives (status, body, response) or the exception it ended in."""
        port = await self.serve(*faults)

        def conversation(connection):
            try:
                return post(connection)
            except (OSError, HTTPException) as error:
                return error

        return await self.talk(port, conversation)

    async def test_none_is_the_collectors_own_answer(self):
        status, body, _ = await self.meet(None)
        self.assertEqual((status, len(self.sink.events)), (200, 1))
        self.assertIn(b"event_id", body)

    async def test_status_and_headers(self):
        status, body, response = await self.meet(
            InjectedFault(status=429, headers=(("Retry-After", "2"),), body=b"slow")
        )
        self.assertEqual((status, body, response.headers["Retry-After"]), (429, b"slow", "2"))
        self.assertEqual(self.sink.events, [])

    async def test_a_proxys_page(self):
        status, body, response = await self.meet(HTML)
        self.assertEqual((status, response.headers["Content-Type"]), (502, "text/html"))
        self.assertIn(b"<html>", body)

    async def test_accepted_but_answered_otherwise(self):
        status, _, _ = await self.meet(InjectedFault(accept=True, status=504, body=b""))
        self.assertEqual((status, len(self.sink.events)), (504, 1))

    async def test_a_length_that_is_too_long(self):
        error = await self.meet(InjectedFault(body=b"short", headers=(("Content-Length", "7"),), close=True))
        self.assertIsInstance(error, IncompleteRead)

    async def test_half_an_answer_after_acceptance(self):
        error = await self.meet(InjectedFault(accept=True, cut=10))
        self.assertIsInstance(error, IncompleteRead)
        self.assertEqual((len(error.partial), len(self.sink.events)), (10, 1))

    async def test_half_an_answer_and_a_reset(self):
        error = await self.meet(InjectedFault(accept=True, cut=10, reset=True))
        self.assertIsInstance(error, ConnectionResetError)

    async def test_reset_before_and_after_acceptance(self):
        self.assertIsInstance(await self.meet(InjectedFault(reset=True)), ConnectionResetError)
        self.assertEqual(self.sink.events, [])
        self.assertIsInstance(await self.meet(InjectedFault(reset=True, accept=True)), ConnectionResetError)
        self.assertEqual(len(self.sink.events), 1)

    async def test_closed_without_an_answer(self):
        # No body byte was promised, so the head alone would be an answer: reset is the fault for none at all.
        port = await self.serve(InjectedFault(accept=True, close=True))

        def conversation(connection):
            status, _, response = post(connection)
            assert status == 200 and response.headers["Connection"] is None
            # A dead keep-alive connection: what becomes of the next request is the sender's to bear.
            connection.auto_open = False
            try:
                post(connection)
            except (RemoteDisconnected, ConnectionResetError, BrokenPipeError) as error:
                return error

        self.assertIsNotNone(await self.talk(port, conversation))
        self.assertEqual(len(self.sink.events), 1)

    async def test_delay_by_its_clock(self):
        clock = Clock()
        port = await self.serve(InjectedFault(accept=True, delay=5.0), clock=clock)
        answer = deferToThread(lambda: post(HTTPConnection("127.0.0.1", port, timeout=20))[0])
        while not clock.getDelayedCalls():
            await deferToThread(lambda: None)
        self.assertEqual(len(self.sink.events), 1)
        self.assertNoResult(answer)
        clock.advance(5.0)
        self.assertEqual(await answer, 200)

    async def test_never(self):
        port = await self.serve(InjectedFault(delay=NEVER))

        def conversation(connection):
            connection.timeout = 0.2
            try:
                post(connection)
            except TimeoutError as error:
                return error

        self.assertIsInstance(await self.talk(port, conversation), TimeoutError)
        self.assertEqual(self.sink.events, [])
