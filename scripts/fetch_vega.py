"""Fetch the charting libraries of the report from the npm registry into src/taskweb/report/assets/vendor, checked by hash.

    python scripts/fetch_vega.py

`vendor/pins.toml` names the version of each, and the SHA-256 of the archive and of every file that is kept. The interpreter of
expressions is published as a module only; it becomes a classic script here, to work in a page opened from disk.
"""

from __future__ import annotations

import hashlib
import io
import sys
import tarfile
import tomllib
import urllib.request
from pathlib import Path

VENDOR = Path(__file__).parents[1] / "src/taskweb/report/assets/vendor"
REGISTRY = "https://registry.npmjs.org"


def main() -> None:
    pins = tomllib.loads((VENDOR / "pins.toml").read_text(encoding="utf-8"))
    for package, pin in pins.items():
        archive = fetch(f"{REGISTRY}/{package}/-/{package}-{pin['version']}.tgz")
        check(f"{package}-{pin['version']}.tgz", archive, pin["archive"])
        with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
            for name, kept in pin["files"].items():
                member = opened.extractfile(f"package/{kept['member']}")
                assert member is not None, f"{package} has no {kept['member']}"
                content = as_script(member.read()) if kept.get("module") else without_map(member.read())
                check(name, content, kept["sha256"])
                (VENDOR / name).write_bytes(content)
                print(f"{name}: {len(content):,} bytes")


def fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 - a fixed https address
        content: bytes = answer.read()
    return content


def check(name: str, content: bytes, sha256: str) -> None:
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        sys.exit(f"{name} has the SHA-256 {found}, but vendor/pins.toml expects {sha256}.")


def as_script(module: bytes) -> bytes:
    """The interpreter as a classic script: its imports come from `vega`, and its one export is added to it."""
    text = without_map(module).decode()
    start, end = "import {", "} from 'vega-util';"
    assert text.startswith(start), "the interpreter begins with another line"
    names, rest = text.removeprefix(start).split(end, 1)
    body, exported = rest.rsplit("export { expression as expressionInterpreter };", 1)
    assert not exported.strip(), "the interpreter exports something else"
    return f"(function () {{\nconst {{{names}}} = vega;\n{body}vega.expressionInterpreter = expression;\n}})();\n".encode()


def without_map(content: bytes) -> bytes:
    """Without the comment that names a source map: a browser would look for it."""
    lines = content.decode().rstrip().splitlines()
    return ("\n".join(lines[:-1] if lines[-1].startswith("//# sourceMappingURL") else lines) + "\n").encode()


if __name__ == "__main__":
    main()
