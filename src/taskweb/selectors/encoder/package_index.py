"""Where pip looks for packages on this machine, and the pages there that list a package's files.

pip itself is not run: an environment may be without it, as those of uv are. Read are the settings that say where packages come
from: `index-url`, `extra-index-url`, `find-links`, `no-index` and `cert`, in pip's files and in its environment variables.
A page that lists files is as PEP 503 has it.
"""

from __future__ import annotations

import base64
import configparser
import os
import ssl
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import IO
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

from taskweb.errors import EncoderError

_DEFAULT_INDEX = "https://pypi.org/simple"
_SECTIONS = ("global", "download", "install")  # a later one overrides an earlier one
_MOST_PAGE_BYTES = 16 << 20
_SECONDS_WITHOUT_AN_ANSWER = 60.0
_YES = ("1", "true", "yes", "on")


@dataclass(frozen=True, slots=True)
class PackageSources:
    """Where packages come from. links: pages or folders that list files. indexes: folders of such pages by package.

    certificates: a file that says whom to trust instead of the system's; None for the system's.
    """

    links: tuple[str, ...] = ()
    indexes: tuple[str, ...] = (_DEFAULT_INDEX,)
    certificates: str | None = None

    @classmethod
    def of_this_machine(cls) -> PackageSources:
        """As pip's files and environment variables have it."""
        set_to: dict[str, str] = {}
        for file in _files_of_pip():
            set_to |= _settings_in(file)
        names = ("index-url", "extra-index-url", "find-links", "no-index", "cert")
        variables = {name: os.environ.get(f"PIP_{name.replace('-', '_').upper()}") for name in names}
        set_to |= {name: value for name, value in variables.items() if value}
        indexes = (set_to.get("index-url", _DEFAULT_INDEX), *set_to.get("extra-index-url", "").split())
        allowed = set_to.get("no-index", "").lower() not in _YES
        return cls(tuple(set_to.get("find-links", "").split()), indexes if allowed else (), set_to.get("cert"))

    def pages(self, package: str) -> Iterator[str]:
        """Addresses of pages and folders that may list the package's files."""
        yield from map(_as_address, self.links)
        for index in self.indexes:
            yield f"{_as_address(index).rstrip('/')}/{package}/"

    def open(self, address: str) -> IO[bytes]:
        """What is at an address. Raises OSError, http.client.HTTPException, and EncoderError for no http, https or file."""
        return open_address(address, self.certificates)

    def listed_at(self, page: str) -> dict[str, str]:
        """Names and addresses of the files that a page or a folder lists. Raises as `open`."""
        parts = urlsplit(page)
        if parts.scheme == "file":
            folder = Path(urllib.request.url2pathname(parts.path))
            if folder.is_dir() and not (folder / "index.html").is_file():
                return {file.name: file.as_uri() for file in sorted(folder.iterdir())}
            page = (folder / "index.html" if folder.is_dir() else folder).as_uri()
        with self.open(page) as response:
            text = response.read(_MOST_PAGE_BYTES).decode("utf-8", "replace")
        links = _Links()
        links.feed(text)
        found = (urljoin(page, link) for link in links.found)
        return {unquote(urlsplit(link).path.rpartition("/")[2]): link for link in found}


def open_address(address: str, certificates: str | None = None) -> IO[bytes]:
    """What is at an address of http, https or file. A name and password in it are sent to its host only.

    Raises OSError, http.client.HTTPException, and EncoderError for other addresses.
    """
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https", "file"):
        raise EncoderError(f"The address {shown(address)} is none of http, https or file. Check: pip config list.")
    user, mark, host = parts.netloc.rpartition("@")
    bare = urlunsplit(parts._replace(netloc=host, fragment=""))
    request = urllib.request.Request(bare, headers={"User-Agent": "taskweb"})  # noqa: S310 - the scheme was checked
    if mark:
        code = base64.b64encode(unquote(user).encode()).decode("ascii")
        request.add_unredirected_header("Authorization", f"Basic {code}")
    context = ssl.create_default_context(cafile=certificates) if parts.scheme == "https" else None
    return urllib.request.urlopen(  # type: ignore[no-any-return]  # noqa: S310 - the scheme was checked
        request, timeout=_SECONDS_WITHOUT_AN_ANSWER, context=context
    )


def shown(address: str) -> str:
    """An address without name, password and query."""
    parts = urlsplit(address)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment=""))


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.found += [value for name, value in attrs if name == "href" and value]


def _as_address(text: str) -> str:
    return text if "://" in text else Path(text).expanduser().absolute().as_uri()


def _files_of_pip() -> list[Path]:
    """The files that pip reads, the least important first."""
    named = os.environ.get("PIP_CONFIG_FILE")
    if named == os.devnull:
        return []
    home, name = Path("~").expanduser(), "pip.ini" if os.name == "nt" else "pip.conf"
    configuration = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    if os.name == "nt":
        own = [home / "pip", Path(os.environ.get("APPDATA") or home) / "pip"]
        shared = [Path(os.environ.get("PROGRAMDATA") or "C:/ProgramData") / "pip"]
    elif sys.platform == "darwin":
        own = [home / ".pip", configuration / "pip", home / "Library/Application Support/pip"]
        shared = [Path("/Library/Application Support/pip")]
    else:
        own = [home / ".pip", configuration / "pip"]
        folders = os.environ.get("XDG_CONFIG_DIRS") or "/etc/xdg"
        shared = [*(Path(folder) / "pip" for folder in folders.split(os.pathsep)), Path("/etc")]
    files = [folder / name for folder in (*shared, *own, Path(sys.prefix))]
    return [*files, Path(named)] if named else files


def _settings_in(file: Path) -> dict[str, str]:
    """What a file of pip sets; nothing where it is missing or no such file."""
    parser = configparser.RawConfigParser()
    with suppress(configparser.Error, OSError, UnicodeDecodeError):
        parser.read(file, encoding="utf-8")
    return {name: value for part in _SECTIONS if parser.has_section(part) for name, value in parser.items(part)}
