"""A local stand-in for the Hub's API: repositories with commits, as huggingface_hub asks for them."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

TOKEN = "hf_mayWriteEverything0123456789"
READER = "hf_mayOnlyRead0123456789"


@dataclass
class Repository:
    """commits: sha and files, oldest first. branches: names of commits."""

    private: bool
    commits: list[tuple[str, dict[str, bytes]]] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)

    def commit(self, files: dict[str, bytes]) -> str:
        sha = hashlib.sha1(repr((len(self.commits), sorted(files.items()))).encode()).hexdigest()
        self.commits.append((sha, files))
        return sha

    def at(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        revision = self.tags.get(revision, revision)
        if revision == "main":
            return self.commits[-1]
        return next((commit for commit in self.commits if commit[0] == revision), None)


class FakeHub:
    """The server. requests: what was asked, in order. fault: gets method and path; a status to answer with, or None.

    cut: the most bytes of a file that are sent before the connection breaks; None sends all. large: paths that are uploaded as
    large files, and not inside the commit.
    """

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.requests: list[str] = []
        self.fault: Callable[[str, str], int | None] = lambda _method, _path: None
        self.cut: int | None = None
        self.large = re.compile(r".*\.parquet")
        self.blobs: dict[str, bytes] = {}
        self.address = ""

    def put(self, name: str, files: dict[str, bytes], *, private: bool = False) -> str:
        """Make a commit with these files, whatever they are; return its sha."""
        return self.repositories.setdefault(name, Repository(private)).commit(files)

    def files(self, name: str) -> dict[str, bytes]:
        """The files of the newest commit."""
        return dict(self.repositories[name].commits[-1][1])


@contextmanager
def serving() -> Iterator[FakeHub]:
    hub = FakeHub()

    class Handler(_Handler):
        pass

    Handler.hub = hub
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: FakeHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_arguments: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._answer()

    do_HEAD = do_POST = do_PUT = do_GET  # noqa: N815 - names of http.server

    def _answer(self) -> None:
        self.body = (
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if "chunked" not in self.headers.get("Transfer-Encoding", "")
            else self._chunks()
        )
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append(f"{self.command} {path}")
        status = self.hub.fault(self.command, path)
        if status is not None:
            self._send(status, {"error": "made up"})
            return
        if self._token() not in ("", TOKEN, READER):
            self._send(401, {"error": "wrong token"}, {"X-Error-Message": "Invalid credentials in Authorization header"})
            return
        for pattern, answer in _ROUTES:
            found = re.fullmatch(pattern, f"{self.command} {path}")
            if found:
                answer(self, *found.groups())
                return
        self._send(404, {"error": f"no route {self.command} {path}"})

    def _chunks(self) -> bytes:
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _send(self, status: int, value: Any = None, headers: dict[str, str] | None = None) -> None:
        content = json.dumps(value).encode()
        self.send_response(status)
        for name, text in {"Content-Type": "application/json", "Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, text)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _token(self) -> str:
        return (self.headers.get("Authorization") or "").removeprefix("Bearer ")

    def _may_write(self) -> bool:
        if self._token() == TOKEN:
            return True
        self._send(403 if self._token() == READER else 401, {"error": "not allowed"}, {"X-Error-Message": "not allowed"})
        return False

    def _repository(self, name: str) -> Repository | None:
        """The repository, if whoever asks may see it; else the answer that the Hub gives."""
        found = self.hub.repositories.get(name)
        if found is not None and (not found.private or self._token() in (TOKEN, READER)):
            return found
        self._send(401 if not self._token() else 404, {"error": "not found"}, {"X-Error-Code": "RepoNotFound"})
        return None

    def create(self) -> None:
        if self._may_write():
            asked = json.loads(self.body)
            name = f"{asked['organization']}/{asked['name']}"
            assert asked["type"] == "dataset"
            if name in self.hub.repositories:
                self._send(409, {"error": "You already created this", "url": f"{self.hub.address}/datasets/{name}"})
                return
            private = asked.get("visibility") == "private" or asked.get("private") is True
            self.hub.put(name, {".gitattributes": b"* text\n"}, private=private)
            self._send(200, {"url": f"{self.hub.address}/datasets/{name}", "name": name})

    def check_card(self) -> None:
        self._send(200, {"errors": [], "warnings": []})

    def info(self, name: str, revision: str) -> None:
        repository = self._repository(name)
        if repository is None:
            return
        found = repository.at(revision)
        if found is None:
            self._send(404, {"error": "no revision"}, {"X-Error-Code": "RevisionNotFound"})
            return
        siblings = [{"rfilename": path, "size": len(content), "blobId": "0"} for path, content in found[1].items()]
        self._send(200, {"id": name, "sha": found[0], "private": repository.private, "siblings": siblings, "tags": []})

    def tree(self, name: str, revision: str) -> None:
        repository = self._repository(name)
        found = None if repository is None else repository.at(revision)
        if found is not None:
            self._send(200, [{"type": "file", "path": path, "size": len(own), "oid": "0"} for path, own in found[1].items()])

    def preupload(self, name: str, _revision: str) -> None:
        if self._may_write() and self._repository(name) is not None:
            files = [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if self.hub.large.fullmatch(file["path"]) else "regular",
                    "shouldIgnore": False,
                    "oid": None,
                }
                for file in json.loads(self.body)["files"]
            ]
            self._send(200, {"files": files})

    def batch(self, _name: str) -> None:
        if self._may_write():
            objects = [
                {
                    "oid": own["oid"],
                    "size": own["size"],
                    "actions": {"upload": {"href": f"{self.hub.address}/lfs/{own['oid']}"}},
                }
                for own in json.loads(self.body)["objects"]
            ]
            self._send(200, {"transfer": "basic", "objects": objects})

    def upload(self, oid: str) -> None:
        assert hashlib.sha256(self.body).hexdigest() == oid
        self.hub.blobs[oid] = self.body
        self._send(200)

    def commit(self, name: str, revision: str) -> None:
        repository = self._repository(name) if self._may_write() else None
        if repository is None:
            return
        assert revision == "main"
        now, files = repository.commits[-1]
        files = dict(files)
        for line in self.body.splitlines():
            item = json.loads(line)
            value = item["value"]
            if item["key"] == "header" and value.get("parentCommit", now) != now:
                self._send(412, {"error": "a commit has happened since"})
                return
            if item["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            if item["key"] == "lfsFile":
                files[value["path"]] = self.hub.blobs[value["oid"]]
            if item["key"] == "deletedFile":
                del files[value["path"]]
        sha = repository.commit(files)
        self._send(200, {"commitUrl": f"{self.hub.address}/datasets/{name}/commit/{sha}", "commitOid": sha})

    def resolve(self, name: str, revision: str, path: str) -> None:
        repository = self._repository(name)
        if repository is None:
            return
        found = repository.at(revision)
        if found is None or path not in found[1]:
            code = "RevisionNotFound" if found is None else "EntryNotFound"
            self._send(404, {"error": "no file"}, {"X-Error-Code": code})
            return
        content = found[1][path]
        start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").partition("-")[0])
        self.send_response(206 if start else 200)
        self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", found[0])
        self.send_header("Content-Length", str(len(content) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        if self.command == "GET":
            sent = content[start:] if self.hub.cut is None else content[start : max(start, self.hub.cut)]
            self.wfile.write(sent)
            if len(sent) < len(content) - start:
                self.close_connection = True


_NAME = r"([\w.-]+/[\w.-]+)"
_ROUTES: list[tuple[str, Callable[..., None]]] = [
    (r"POST /api/repos/create", _Handler.create),
    (r"POST /api/validate-yaml", _Handler.check_card),
    (rf"GET /api/(?:datasets|models)/{_NAME}/revision/(.+)", _Handler.info),
    (rf"GET /api/models/{_NAME}/tree/([^/]+)", _Handler.tree),
    (rf"POST /api/datasets/{_NAME}/preupload/(.+)", _Handler.preupload),
    (rf"POST /datasets/{_NAME}\.git/info/lfs/objects/batch", _Handler.batch),
    (r"PUT /lfs/(\w+)", _Handler.upload),
    (rf"POST /api/datasets/{_NAME}/commit/(.+)", _Handler.commit),
    (rf"(?:GET|HEAD) /(?:datasets/)?{_NAME}/resolve/([^/]+)/(.+)", _Handler.resolve),
]
