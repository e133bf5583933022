"""Exit 1 where a requirement of setup.cfg is not met by the lock, or a pin has no hash: `lock_check.py SETUP.CFG LOCK`.

Only the standard library, so that it runs before anything is installed. It knows the one operator that setup.cfg uses.
"""

import configparser
import re
import sys
from pathlib import Path

_PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([0-9][^ ;\\]*)")
_REQUIREMENT = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?\s*(?:>=\s*([0-9.]+))?$")


def normal(name: str) -> str:
    """PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(text: str) -> dict[str, tuple[str, int]]:
    """Version and number of hashes of each distribution of a lock."""
    found: dict[str, tuple[str, int]] = {}
    name = ""
    for line in text.splitlines():
        if match := _PIN.match(line):
            name = normal(match[1])
            found[name] = (match[2], 0)
        elif name:
            version, hashes = found[name]
            found[name] = (version, hashes + line.count("--hash=sha256:"))
    return found


def numbers(version: str) -> tuple[int, ...]:
    """The release part of a version."""
    return tuple(int(part) for part in re.findall(r"\d+", version.split("+", maxsplit=1)[0])[:4])


def faults(setup: str, lock: str) -> list[str]:
    """What is wrong, a line each."""
    held = pins(lock)
    config = configparser.ConfigParser()
    config.read_string(setup)
    wrong = [f"{name}=={version}: no hash" for name, (version, hashes) in held.items() if not hashes]
    extras = config["options.extras_require"]
    asked = config["options"]["install_requires"] + extras["fleet"] + extras.get("pcap", "")
    for line in asked.split("\n"):
        if not line.strip():
            continue
        match = _REQUIREMENT.match(line.strip())
        if match is None:
            wrong.append(f"{line.strip()}: cannot be read here: write NAME >= VERSION")
        elif normal(match[1]) not in held:
            wrong.append(f"{line.strip()}: not in the lock: sh packaging/lock")
        elif match[2] and numbers(held[normal(match[1])][0]) < numbers(match[2]):
            wrong.append(f"{line.strip()}: the lock holds {held[normal(match[1])][0]}: sh packaging/lock")
    return wrong


def main() -> int:
    """The command."""
    setup, lock = (Path(name).read_text() for name in sys.argv[1:3])
    wrong = faults(setup, lock)
    print("\n".join(wrong) or f"the lock holds {len(pins(lock))} distributions, all with hashes, as setup.cfg asks")  # noqa: T201
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
