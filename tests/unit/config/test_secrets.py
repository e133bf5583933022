"""Tests each form of secret, and that secrets are masked everywhere."""

from pathlib import Path

import pytest

from bridge.config import ConfigurationError, Secret, load

MAIN = """
collector: {region: FRA1}
listeners: [{udp: "*:514"}]
intakes: {all: {intake_key: KEY}}
unrouted: {intake: all}
spool: {directory: spool}
"""


def write_config(tmp_path: Path, key: str) -> Path:
    path = tmp_path / "bridge.yaml"
    path.write_text(MAIN.replace("KEY", key))
    return path


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_each_form_of_secret_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    (tmp_path / "credentials").mkdir()
    (tmp_path / "keys").write_bytes(b"from-file" + end.encode())
    (tmp_path / "credentials" / "all").write_bytes(b"from-systemd" + end.encode())
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    monkeypatch.setenv("KEY_OF_ALL", "from-environment" + end)
    for form, text in (
        ("{file: keys}", "from-file"),
        (f"{{file: {tmp_path}/keys}}", "from-file"),
        ("{credential: all}", "from-systemd"),
        ("{env: KEY_OF_ALL}", "from-environment"),
        ('"as it stands"'.replace(" ", "-"), "as-it-stands"),
    ):
        assert load(write_config(tmp_path, form)).intakes["all"].intake_key.reveal() == text


@pytest.mark.parametrize("form", ["{file: none}", "{credential: none}", "{env: SYSLOG_BRIDGE_NONE}"])
def test_load_without_secrets_reads_no_secret(tmp_path: Path, form: str) -> None:
    assert load(write_config(tmp_path, form), secrets=False).intakes["all"].intake_key.reveal() == ""
    with pytest.raises(ConfigurationError):
        load(write_config(tmp_path, form))


def test_load_without_secrets_reads_no_ca_file(tmp_path: Path) -> None:
    path = write_config(tmp_path, "k")
    path.write_text(path.read_text().replace("FRA1", "FRA1, ca_file: /none.pem"))
    assert load(path, secrets=False).collector.ca_file == Path("/none.pem")


def test_secret_is_masked_in_text() -> None:
    secret = Secret("AbCdEf")
    assert secret.reveal() == "AbCdEf"
    for shown in (str(secret), repr(secret), f"{secret}", f"{[secret]}"):
        assert "AbCdEf" not in shown
    assert secret == Secret("AbCdEf") != Secret("other")
    assert hash(secret) == hash(Secret("AbCdEf"))


def test_repr_of_a_configuration_shows_no_secret(tmp_path: Path) -> None:
    assert "AbCdEf" not in repr(load(write_config(tmp_path, "AbCdEf")))


def test_fault_of_an_unreadable_secret_file_is_placed_at_its_key(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as raised:
        load(write_config(tmp_path, "{file: keys/none}"))
    (fault,) = raised.value.faults
    assert (fault.line, fault.column) == (4, 17)
    missing = f"intake_key: cannot read the secret's file {tmp_path}/keys/none: No such file or directory. Create it"
    assert fault.message.startswith(missing)
    # The folder is missing, too.
    assert f"{tmp_path}/keys && sudo install" in fault.message


@pytest.mark.parametrize("form", ["file", "credential", "env", "path"])
def test_key_in_place_of_a_file_name_is_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    with pytest.raises(ConfigurationError) as raised:
        load(write_config(tmp_path, f"{{{form}: AbCdEfGh12345678}}"))
    assert "AbCdEf" not in str(raised.value)
