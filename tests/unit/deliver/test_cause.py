"""Tests that each failed request has a cause, which does not depend on the words of its text."""

import pytest
from OpenSSL import SSL
from service_identity.exceptions import VerificationError
from twisted.internet.error import ConnectionRefusedError, DNSLookupError, TimeoutError
from twisted.python.failure import Failure
from twisted.web._newclient import ParseError
from twisted.web.client import ResponseNeverReceived

from bridge.deliver import outcome
from bridge.deliver.answer_body import AnswerError
from bridge.deliver.cause import Cause
from bridge.deliver.client import CertificateError, NoProgress
from bridge.deliver.exchange import Response
from bridge.deliver.http_connect import ProxyError


@pytest.mark.parametrize(
    ("status", "headers", "cause"),
    [
        (200, {}, Cause.FOREIGN), (301, {}, Cause.URL), (400, {}, Cause.REFUSED), (401, {}, Cause.KEY),
        (403, {}, Cause.KEY), (403, {"x-squid-error": "x"}, Cause.PROXY), (404, {}, Cause.URL), (407, {}, Cause.PROXY),
        (413, {}, Cause.TOO_LARGE), (422, {}, Cause.REFUSED), (429, {}, Cause.RATE), (500, {}, Cause.SERVER),
        (503, {}, Cause.SERVER),
    ],
)  # fmt: skip
def test_each_status_has_a_cause(status: int, headers: dict[str, str], cause: Cause) -> None:
    assert outcome.read(Response(status, b"proxy certificate connect", headers), 1, now=0.0).cause is cause


def test_acceptance_has_no_cause() -> None:
    assert outcome.read(Response(200, b'{"event_ids": ["a"]}'), 1, now=0.0).cause is None


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (ConnectionRefusedError(), Cause.CONNECTION),
        (TimeoutError(), Cause.CONNECTION),
        (DNSLookupError("collector"), Cause.NAME),
        (NoProgress("no connection within 30 s: a name lookup, the proxy p:3128 or the server"), Cause.CONNECTION),
        (CertificateError("untrusted issuer. If a proxy inspects TLS, add its CA"), Cause.CERTIFICATE),
        (VerificationError(errors=[]), Cause.CERTIFICATE),
        (ProxyError("the proxy refused a tunnel"), Cause.PROXY),
        (AnswerError("the answer was broken off"), Cause.FOREIGN),
        (ParseError("not HTTP", b""), Cause.FOREIGN),
        (SSL.Error([("", "", "handshake failure")]), Cause.CIPHERS),
        (SSL.Error([("", "", "certificate verify failed")]), Cause.CERTIFICATE),
        (SSL.Error([("", "", "certificate required")]), Cause.CLIENT_CERTIFICATE),
        (SSL.Error([("", "", "something else")]), Cause.TLS),
        (ResponseNeverReceived([Failure(DNSLookupError("collector"))]), Cause.NAME),
    ],
)
def test_each_error_has_a_cause(error: Exception, cause: Cause) -> None:
    assert outcome.of_failure(Failure(error)).cause is cause


def test_only_causes_of_the_way_to_the_collector_make_it_unreachable() -> None:
    assert not Cause.KEY.unreachable and not Cause.SERVER.unreachable
    assert Cause.CONNECTION.unreachable and Cause.FOREIGN.unreachable
