"""The addresses of the local page: files of the page, rankings, downloads, the state of what is watched."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable
from http import HTTPStatus
from importlib import resources
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from taskweb.errors import NameNotFoundError, TaskWebError
from taskweb.report.themes import css_variables
from taskweb.server.given_examples import AUTO, GIVEN_FORMATS, Given
from taskweb.server.guard import Access, Guard
from taskweb.server.ranking_service import DOWNLOADS, RankingService, Wanted
from taskweb.server.request_limits import RequestError
from taskweb.server.watching import Watch
from taskweb.server.worker_threads import WorkerThreads
from taskweb.tasks import Columns
from taskweb.tasks.reading.named_columns import MEANINGS
from taskweb.version import __version__

PAGES = {"/": "rank.html", "/watch": "watch.html", "/api": "api.html"}
_MEDIA_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_MOST_NAMES, _LONGEST_NAME = 32, 20_000
_ADDRESS_ERRORS = {
    404: "There is no such address. /api lists them.",
    405: "This address takes no such request. /api lists them.",
}


def _text(meaning: str) -> Any:
    return Query(max_length=_LONGEST_NAME, description=meaning)


def _names(meaning: str) -> Any:
    return Query(max_length=_MOST_NAMES, description=meaning)


def page_app(service: RankingService, access: Access, watch: Watch | None = None) -> Guard:
    """The application of the page, behind its guard."""
    app = FastAPI(
        title="taskweb",
        version=__version__,
        description="Rank source tasks for examples. The body of a request is the examples: text, or the bytes of a file.",
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
    )
    _handle_errors(app)
    _add_files(app)
    threads = WorkerThreads(service.limits)
    _add_rankings(app, service, threads)
    _add_watching(app, watch, threads)
    return Guard(app, access, service.limits)


class PlainJson(Response):
    """JSON as the command line prints it: no NaN, every text as it is, lone surrogates replaced."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The bytes of a value."""
        return json.dumps(content, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")


def _add_files(app: FastAPI) -> None:
    folder = resources.files("taskweb.server") / "static"
    files = {entry.name: entry.read_bytes() for entry in folder.iterdir() if entry.is_file()}
    files["theme.css"] = css_variables().encode()

    def of_file(name: str) -> Response:
        if name not in files:
            raise RequestError(HTTPStatus.NOT_FOUND, "There is no such file of the page.")
        kind = _MEDIA_TYPES[name.rpartition(".")[2]]
        return Response(files[name], media_type=kind)

    def page(name: str) -> Callable[[], Response]:
        return lambda: of_file(name)

    for path, name in PAGES.items():
        app.add_api_route(path, page(name), methods=["GET"], include_in_schema=False, name=name)
    app.add_api_route("/static/{name}", of_file, methods=["GET"], include_in_schema=False)

    @app.get("/healthz", summary="Whether the page answers")
    def healthz() -> dict[str, str]:
        return {"status": "ok", "version": __version__}


async def wanted_of(
    request: Request,
    task: Annotated[str, _text("a task of the web as the target, instead of examples")] = "",
    file: Annotated[str, _text("name of the file, whose ending says its format")] = "",
    name: Annotated[str, _text("name of the task; that of the file without it")] = "",
    form: Annotated[str, Query(alias="format", max_length=20, description=f"one of {', '.join(GIVEN_FORMATS)}")] = AUTO,
    input_column: Annotated[list[str], _names("columns of the input")] = [],  # noqa: B006 - FastAPI copies it
    output_column: Annotated[str, _text("column of the answer")] = "",
    choices_column: Annotated[str, _text("column of the choices")] = "",
    answers_are: Annotated[str, _text(f"how answers are meant: {', '.join(MEANINGS)}")] = "auto",
    examples: Annotated[int, Query(ge=1, description="most examples that are used, the first ones")] = 32,
    unseen: Annotated[bool, Query(description="predict for the task as if it were not measured")] = False,
    setup: Annotated[str, _text("a setup of the web, or all")] = "",
    selector: Annotated[str, _text("the selector that ranks")] = "",
    explain: Annotated[str, _text("a source whose rank is to be explained")] = "",
    k: Annotated[int | None, Query(ge=0, description="how many sources to take; as many as are suggested without it")] = None,
) -> Wanted:
    """What a request asks for. Raises NameNotFoundError for an unknown way to mean answers."""
    named = frozenset(filter(None, (*input_column, output_column, choices_column)))
    columns = Columns(
        tuple(input_column) or ("input",),
        output_column or "output",
        choices_column or "choices",
        named,
        answers=answers_are,  # type: ignore[arg-type]  # checked there
    )
    given = None if task else Given(await request.body(), file, name, form, columns, examples)
    return Wanted(given, task or None, unseen, setup or None, selector or None, explain or None, k or None)


_Wanted = Annotated[Wanted, Depends(wanted_of)]
_Selectors = Annotated[list[str], _names("selectors to compare")]
_Setups = Annotated[list[str], _names("setups to compare")]
_Kind = Annotated[str, Path(max_length=100, description=f"one of {', '.join(DOWNLOADS)}")]
_BODY = {"requestBody": {"description": "Examples", "content": {"application/octet-stream": {"schema": {"type": "string"}}}}}


def _add_rankings(app: FastAPI, service: RankingService, threads: WorkerThreads) -> None:
    @app.get("/api/options", summary="Setups, selectors and tasks to choose from", response_class=PlainJson)
    async def options() -> Response:
        return PlainJson(await threads.run(service.options))

    @app.post("/api/rank", summary="Rank sources for examples, or for a task of the web", openapi_extra=_BODY)
    async def rank(wanted: _Wanted) -> Response:
        return PlainJson(await threads.run(lambda: service.ranked(wanted)))

    @app.post("/api/compare", summary="Rankings by several selectors or in several setups", openapi_extra=_BODY)
    async def compare(wanted: _Wanted, selectors: _Selectors, setups: _Setups) -> Response:
        return PlainJson(await threads.run(lambda: service.compared(wanted, tuple(selectors), tuple(setups))))

    @app.post("/api/download/{kind}", summary="The ranking, a mixture, or a trainer's configuration", openapi_extra=_BODY)
    async def download(kind: _Kind, wanted: _Wanted) -> Response:
        seconds = service.limits.mixture_seconds if kind == "mixture" else None
        file = await threads.run(lambda: service.download(wanted, kind), seconds)
        headers = {"content-disposition": f'attachment; filename="{file.name}"'}
        return Response(file.content, media_type=file.media_type, headers=headers)


def _add_watching(app: FastAPI, watch: Watch | None, threads: WorkerThreads) -> None:
    @app.get("/api/watch", summary="The state of the plan or refinement that is watched")
    async def watched() -> Response:
        if watch is None:
            raise RequestError(HTTPStatus.NOT_FOUND, "Nothing is watched. Start the page with: taskweb ui --watch STORE")
        return PlainJson(await threads.run(watch.snapshot))


def _handle_errors(app: FastAPI) -> None:
    """Every error is one line of JSON."""

    async def of_request(_: Request, error: Exception) -> Response:
        status = error.status if isinstance(error, RequestError) else HTTPStatus.BAD_REQUEST
        if isinstance(error, NameNotFoundError):
            status = HTTPStatus.NOT_FOUND
        return _error(status, str(error))

    async def of_values(_: Request, error: Exception) -> Response:
        found = error.errors() if isinstance(error, RequestValidationError) else []
        parts = [f"{'.'.join(map(str, one['loc'][1:]))}: {one['msg']}" for one in found]
        return _error(HTTPStatus.UNPROCESSABLE_ENTITY, f"The request has values that cannot be used: {'; '.join(parts)}.")

    async def of_address(_: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else HTTPStatus.NOT_FOUND
        return _error(status, _ADDRESS_ERRORS.get(status, "The request cannot be answered."))

    async def of_bug(_: Request, error: Exception) -> Response:
        sys.stderr.write("".join(traceback.format_exception(error)))
        return _error(HTTPStatus.INTERNAL_SERVER_ERROR, "This is a bug in taskweb. The terminal of taskweb ui shows where.")

    app.add_exception_handler(TaskWebError, of_request)
    app.add_exception_handler(RequestValidationError, of_values)
    app.add_exception_handler(HTTPException, of_address)
    app.add_exception_handler(Exception, of_bug)


def _error(status: int, message: str) -> Response:
    return PlainJson({"error": " ".join(message.split())}, status_code=status)
