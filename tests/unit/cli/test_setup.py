"""Tests ``setup``: the configuration made from options and from a dialogue, and the faults that prevent writing it."""

import os
import socket
import stat

import pytest
from click.testing import CliRunner

from bridge.cli.setup import setup
from bridge.config import load
from bridge.setup.check_result import StepResult
from tests.harness.pki import Authority

KEY = "abcdefgh12345678"
GOOD = StepResult("http://127.0.0.1/plain/batch", ("all",), "http", True, "answers")
BAD = StepResult("http://127.0.0.1/plain/batch", ("all",), "tcp", False, "no connection")


class FakeConnectionCheck:
    """Replaces the connection check: records its calls and returns the given results."""

    def __init__(self, *results):
        self.results, self.calls = results, []

    def __call__(self, config, connecting, sending):
        self.calls.append((dict(config.intakes), sending))
        return self.results


def run(tmp_path, *options, connection_check=None, stdin_text=None, key=KEY):
    (tmp_path / "key.txt").write_text(f"{key}\n")
    argv = ["-c", str(tmp_path / "etc/bridge.yaml"), *options]
    return CliRunner().invoke(setup, argv, input=stdin_text, obj=connection_check or FakeConnectionCheck(GOOD))


def run_non_interactive(tmp_path, *options, **more):
    return run(tmp_path, "--non-interactive", "--key-file", str(tmp_path / "key.txt"), *options, **more)


def test_defaults_make_a_valid_configuration(tmp_path):
    connection_check = FakeConnectionCheck(GOOD)
    result = run_non_interactive(tmp_path, connection_check=connection_check)
    assert result.exit_code == 0, result.output
    config = load(tmp_path / "etc/bridge.yaml")
    assert (config.collector.region, list(config.intakes), config.unrouted.intake) == ("FRA1", ["all"], "all")
    assert [(one.kind, str(one.address)) for one in config.listeners] == [("udp", "*:514"), ("tcp", "*:514")]
    assert config.intakes["all"].intake_key.reveal() == KEY
    [(intakes, sending)] = connection_check.calls
    assert (intakes["all"].intake_key.reveal(), sending) == (KEY, False)
    assert stat.S_IMODE((tmp_path / "etc/keys/all").stat().st_mode) == 0o600
    assert KEY not in result.output + (tmp_path / "etc/bridge.yaml").read_text()
    assert (config.intakes["all"].payload, config.intakes["all"].format) == ("auto", None)


def test_every_option_is_applied(tmp_path):
    result = run_non_interactive(
        tmp_path, "--region", "https://intake.example.org/x/", "--format", "fortigate", "--source",
        "10.1.0.0/16, 2001:db8::7", "--listen", "udp://127.0.0.1:5514 udp://[::1]:5514", "--timezone", "Europe/Paris",
        "--spool", str(tmp_path / "a spool"), "--send-test",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    config = load(tmp_path / "etc/bridge.yaml")
    [intake] = config.intakes.values()
    assert intake.payload is None
    assert (intake.name, intake.format) == ("fortigate", "fortinet-fortigate")
    assert intake.destination.url == "https://intake.example.org/x"
    assert [str(network) for network in config.routes[0].source] == ["10.1.0.0/16", "2001:db8::7/128"]
    assert [one.name for one in config.listeners] == ["udp", "udp-2"]
    assert (config.unrouted.kind, str(config.timezone)) == ("hold", "Europe/Paris")
    assert config.spool.directory == tmp_path / "a spool"


def test_dialogue_asks_again_after_an_invalid_answer(tmp_path):
    answers = ["mars", "usa1", "514", "", "", "", "fortigat", "fortigate", "", "10.1.0.0/8", "10.1.0.0/16", KEY, "y"]
    connection_check = FakeConnectionCheck(GOOD)
    result = run(tmp_path, connection_check=connection_check, stdin_text="\n".join(answers) + "\n")
    assert result.exit_code == 0, result.output
    config = load(tmp_path / "etc/bridge.yaml")
    assert (config.collector.region, list(config.intakes)) == ("USA1", ["fortigate"])
    assert connection_check.calls[0][1] is True
    for word in ("not a region", "did you mean", "host bits", "not a listener"):
        assert word in result.output


@pytest.mark.parametrize(
    "options",
    [
        ("--region", "mars"),
        ("--format", "xyzzy"),
        ("--source", "10.1.0.0/8"),
        ("--listen", "514"),
        ("--listen", "tls://*:6514"),
        ("--listen", "tls://*:6514", "--certificate", "/nowhere.pem", "--private-key", "/nowhere.pem"),
        ("--timezone", "+02:00"),
        ("--intake", "UPPER"),
        ("--send-test", "--no-connect"),
    ],
)
def test_wrong_usage_writes_nothing(tmp_path, options):
    assert run_non_interactive(tmp_path, *options).exit_code == 2
    assert not (tmp_path / "etc").exists()


def test_key_of_two_words_is_refused_and_not_shown(tmp_path):
    result = run_non_interactive(tmp_path, key="verysecret two")
    assert result.exit_code == 2
    assert "verysecret" not in result.output


def test_nothing_is_written_if_the_connection_check_fails(tmp_path):
    result = run_non_interactive(tmp_path, connection_check=FakeConnectionCheck(GOOD, BAD))
    assert result.exit_code == 1
    assert "NO  tcp" in result.output
    assert not (tmp_path / "etc").exists()


def test_user_can_write_despite_a_failed_check(tmp_path):
    stdin_text = "\n".join(["", "", "", "", "", "", "", KEY, "n", "write"]) + "\n"
    assert run(tmp_path, connection_check=FakeConnectionCheck(BAD), stdin_text=stdin_text).exit_code == 0
    assert (tmp_path / "etc/bridge.yaml").exists()


class ResultsInTurn(FakeConnectionCheck):
    """Returns another list of results for each call; the last one for all others."""

    def __call__(self, config, connecting, sending):
        super().__call__(config, connecting, sending)
        return self.results.pop(0) if len(self.results) > 1 else self.results[0]

    def __init__(self, *results):
        super().__init__()
        self.results = list(results)


def test_answers_are_kept_when_the_key_is_refused(tmp_path):
    refused = StepResult("http://127.0.0.1/plain/batch", ("fw",), "event", False, "the collector answers 401")
    connection_check = ResultsInTurn([GOOD, refused], [GOOD, refused], [GOOD])
    answers = [
        "usa1",
        "udp://127.0.0.1:0",
        "Europe/Paris",
        "no",
        "fortigate",
        "fw",
        "10.1.0.0/16",
        "refused0refused0",
        "y",
    ]
    # Enter chooses another key, as only the event failed.
    stdin_text = "\n".join([*answers, "", "wrong0wrong0wron", "key", KEY]) + "\n"
    result = run(tmp_path, connection_check=connection_check, stdin_text=stdin_text)
    assert result.exit_code == 0, result.output
    config = load(tmp_path / "etc/bridge.yaml")
    assert config.intakes["fw"].intake_key.reveal() == KEY
    assert (config.collector.region, str(config.timezone), len(config.routes)) == ("USA1", "Europe/Paris", 1)
    assert [sending for _, sending in connection_check.calls] == [True] * 3
    assert result.output.count("Format of your intake") == 1
    assert result.output.count("your answers are kept") == 2


def test_changed_answers_begin_with_the_former_ones(tmp_path):
    connection_check = ResultsInTurn([BAD], [GOOD])
    answers = ["usa1", "udp://127.0.0.1:0", "Europe/Paris", "no", "fortigate", "fw", "10.1.0.0/16", KEY, "n", "change"]
    stdin_text = "\n".join([*answers, "fra1", "", "", "", "", "", ""]) + "\n"
    result = run(
        tmp_path, "--region", "mco1", connection_check=connection_check, stdin_text=stdin_text.partition("\n")[2]
    )
    assert result.exit_code == 0, result.output
    config = load(tmp_path / "etc/bridge.yaml")
    assert (config.collector.region, list(config.intakes), str(config.timezone)) == ("FRA1", ["fw"], "Europe/Paris")
    assert "[mco1]" in result.output
    assert "[Europe/Paris]" in result.output


def test_quitting_after_a_failed_test_writes_nothing(tmp_path):
    stdin_text = "\n".join(["", "udp://127.0.0.1:0", "", "", "", "", "", KEY, "n", "quit"]) + "\n"
    result = run(tmp_path, connection_check=FakeConnectionCheck(BAD), stdin_text=stdin_text)
    assert result.exit_code == 1
    assert "nothing was written" in result.output
    assert not (tmp_path / "etc").exists()


def test_question_mark_lists_the_formats(tmp_path):
    stdin_text = "\n".join(["", "udp://127.0.0.1:0", "", "", "?", "fortigate", "", "", KEY, "n"]) + "\n"
    result = run(tmp_path, stdin_text=stdin_text)
    assert result.exit_code == 0, result.output
    assert "paloalto" in result.output and "fortinet-fortigate" in result.output
    assert load(tmp_path / "etc/bridge.yaml").intakes["fortigate"].format == "fortinet-fortigate"


def test_tls_listener_asks_for_a_certificate_until_it_fits(tmp_path):
    authority = Authority(tmp_path / "pki")
    issued, other = authority.issue("gateway"), authority.issue("other")
    answers = ["", "tls://127.0.0.1:0", str(tmp_path / "none.pem"), str(issued.certificate)]
    stdin_text = "\n".join([*answers, str(other.private_key), str(issued.private_key), *[""] * 5, KEY, "n"]) + "\n"
    result = run(tmp_path, stdin_text=stdin_text)
    assert result.exit_code == 0, result.output
    assert f"cannot read {tmp_path}/none.pem" in result.output
    assert "does not belong to the certificate" in result.output
    (listener,) = load(tmp_path / "etc/bridge.yaml").listeners
    assert (listener.kind, listener.cert_file, listener.key_file) == (
        "tls", issued.certificate, issued.private_key
    )  # fmt: skip
    assert "send --to" not in result.output
    options = ("--certificate", str(issued.certificate), "--private-key", str(issued.private_key), "--force")
    done = run_non_interactive(tmp_path, "--listen", "udp://127.0.0.1:0 tls://127.0.0.1:0", *options)
    assert done.exit_code == 0, done.output
    assert [one.kind for one in load(tmp_path / "etc/bridge.yaml").listeners] == ["udp", "tls"]


def test_port_in_use_is_asked_for_again(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        answers = ["", taken, "n", taken, "y", *[""] * 5, KEY, "n"]
        asked = run(tmp_path, stdin_text="\n".join(answers) + "\n")
        told = run_non_interactive(tmp_path, "--listen", taken, "--force")
    assert (asked.exit_code, told.exit_code) == (0, 0), asked.output
    where = f"tcp port {server_port(taken)} is in use by "
    assert asked.stderr.count(where) == 2
    assert where in told.stderr and f"(process {os.getpid()})" in told.stderr


def server_port(listener):
    return listener.rpartition(":")[2]


def test_no_connect_writes_without_a_check(tmp_path):
    connection_check = FakeConnectionCheck(BAD)
    assert run_non_interactive(tmp_path, "--no-connect", connection_check=connection_check).exit_code == 0
    assert connection_check.calls == []


def test_existing_configuration_is_replaced_only_with_force(tmp_path):
    run_non_interactive(tmp_path)
    before = (tmp_path / "etc/bridge.yaml").read_bytes()
    refused = run_non_interactive(tmp_path, "--region", "FRA2")
    assert refused.exit_code == 1
    assert (tmp_path / "etc/bridge.yaml").read_bytes() == before
    assert run_non_interactive(tmp_path, "--region", "FRA2", "--force").exit_code == 0
    assert (tmp_path / "etc/bridge.yaml.old").read_bytes() == before


def test_answers_that_end_early_are_a_usage_error_with_the_way_out(tmp_path):
    result = run(tmp_path, stdin_text="FRA1\n")
    assert result.exit_code == 2
    assert "Nothing was written. Without a terminal, use --non-interactive and --key-file FILE" in result.stderr
    assert not (tmp_path / "etc").exists()


def test_missing_certificate_is_named_by_its_option(tmp_path):
    result = run_non_interactive(tmp_path, "--listen", "tls://*:6514")
    assert result.exit_code == 2
    assert "a tls:// listener needs --certificate FILE, because --non-interactive does not ask" in result.output


def test_questions_fit_80_columns(tmp_path):
    stdin_text = "\n" * 7 + f"{KEY}\nn\nquit\n"
    result = run(tmp_path, stdin_text=stdin_text, connection_check=FakeConnectionCheck(BAD))
    assert "Nothing is written yet" in result.output
    assert [line for line in result.output.splitlines() if len(line) > 80] == []
