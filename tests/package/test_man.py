"""Tests that the man pages of the package are well-formed."""

import shutil
import subprocess

import pytest

PAGES = ["man1/syslog-bridge.1.gz", "man5/syslog-bridge.yaml.5.gz"]


@pytest.mark.parametrize("page", PAGES)
def test_man_page_has_no_warnings(package, tmp_path, page):
    if shutil.which("man") is None:
        pytest.skip("man is not installed")
    subprocess.run(["dpkg-deb", "-x", str(package), str(tmp_path)], check=True)
    path = tmp_path / "usr/share/man" / page
    done = subprocess.run(
        ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", str(path)], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
