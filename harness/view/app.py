"""The application: which address answers with what. What is asked for is looked up; no path is taken over."""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from s5eval.data_manifests.common.errors import S5Error, UsageError
from s5eval.harness.comparing.run_list import RANKING_METRICS
from s5eval.harness.record.reading import coherent
from s5eval.harness.report.spectrogram import envelope, picture
from s5eval.harness.report.style import stylesheet
from s5eval.harness.view.access import Gatekeeper
from s5eval.harness.view.audio_files import DataFolders
from s5eval.harness.view.comparison_page import comparison_page
from s5eval.harness.view.filters import Filter, whole_number
from s5eval.harness.view.mixture_page import Track, view_of
from s5eval.harness.view.run_pages import mixtures_page, neighbours, run_page, runs_page
from s5eval.harness.view.runs import Library, Snapshot
from s5eval.harness.view.sound import SoundBank
from s5eval.harness.view.templating import make_environment
from s5eval.harness.view.thresholds import Boards
from s5eval.harness.view.thresholds_page import answer

log = logging.getLogger("s5eval.view")

_KINDS = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_COLUMNS = 600  # of a waveform
_LARGEST = (1600, 400)  # pixels of a picture


class Viewer:
    """What all pages share: the runs, the data, the sounds and the templates."""

    def __init__(self, folders: Sequence[Path], data: Sequence[Path] = ()) -> None:
        """Serve the runs in and below `folders`; audio of the data is looked for in `data`, if given."""
        self.library = Library(folders)
        self.data = DataFolders(data)
        self.sounds = SoundBank(self.data)
        self.boards = Boards()
        self.templates = make_environment()
        self.static = _static_files()

    def page(self, template: str, **context: Any) -> HTMLResponse:
        """A page from a template."""
        return HTMLResponse(self.templates.get_template(template).render(**context))

    # --- pages ---

    def runs(self, request: Request) -> Response:
        """All runs."""
        runs = self.library.listed()
        groups = runs_page(runs)
        folders = ", ".join(map(str, self.library.folders))
        return self.page("runs.html", groups=groups, folders=folders, metrics=RANKING_METRICS, count=len(runs))

    def run(self, request: Request) -> Response:
        """One run."""
        run = self._run(request)
        return self.page("run.html", run=run, here="run", up="/", watched=watched(run), **run_page(run))

    def mixtures(self, request: Request) -> Response:
        """The mixtures of a run."""
        run = self._run(request)
        number = whole_number(request.query_params.get("page", "1"))
        content = mixtures_page(run, _filter(request), 1 if number is None else number)
        up = f"/run?run={run.key}"
        return self.page("mixtures.html", run=run, here="mixtures", up=up, watched=watched(run), **content)

    def mixture(self, request: Request) -> Response:
        """One mixture: what there is to be heard, and what was decided."""
        run, id_, wanted = self._run(request), request.query_params.get("id", ""), _filter(request)
        sound = self.sounds.of(run, id_)
        beside = None
        if other := request.query_params.get("with"):
            second = self.library.run(other)
            beside = (second, self.sounds.of(second, id_))
        with coherent(run.path):
            view = view_of(run, sound, beside)
        around = neighbours(run, id_, wanted)
        if other:
            around |= {key: f"{around[key]}&with={other}" for key in ("before", "after") if around[key]}
        return self.page(
            "mixture.html",
            run=run,
            here="mixture",
            up=f"/compare?a={run.key}&b={other}" if other else f"/mixtures?run={run.key}&{wanted.query()}",
            view=view,
            score=view.score,
            beside=None if beside is None else {"run": beside[0], "score": beside[1].line.score},
            address=lambda track: _address(track, id_),
            stage_address=lambda name: urlencode({"run": run.key, "id": id_, "of": name}),
            **around,
        )

    def thresholds(self, request: Request) -> Response:
        """The sliders of a run."""
        run = self._run(request)
        page: dict[str, Any] = {"run": run, "here": "thresholds", "up": f"/run?run={run.key}"}
        try:
            with coherent(run.path):
                board = self.boards.of(run)
                page |= {
                    "classes": board.classes(),
                    "files": board.files,
                    "unread": board.unread,
                    "expected_score": board.base.expected_score is not None,
                    "common": board.base.threshold("default"),
                }
        except S5Error as error:
            page["problem"] = str(error)
        return self.page("thresholds.html", **page)

    def compare(self, request: Request) -> Response:
        """Two runs on the same mixtures."""
        query = request.query_params
        if not query.get("a") or not query.get("b"):
            raise UsageError("Choose a run in column A and another in column B.")
        a, b = (self._run(request, name) for name in ("a", "b"))
        content = comparison_page(a, b, different="different" in query, only=query.get("only", ""))
        return self.page("compare.html", up="/", **content)

    # --- what pages fetch ---

    async def ask(self, request: Request) -> Response:
        """What the page of thresholds asks; in a thread, since other requests go on."""
        try:
            sent = json.loads(await request.body())
        except (ValueError, RecursionError) as error:
            raise UsageError("expected a JSON object") from error
        if not isinstance(sent, dict):
            raise UsageError("expected a JSON object")
        return JSONResponse(await run_in_threadpool(self._answer, request.path_params["question"], sent))

    def _answer(self, question: str, sent: Mapping[str, Any]) -> Mapping[str, Any]:
        run = self.library.run(str(sent.get("run", "")))
        with coherent(run.path):
            return answer(self.boards.of(run), question, sent)

    def state(self, request: Request) -> Response:
        """Whether a run has grown since."""
        run = self._run(request)
        return JSONResponse({"stamp": stamp(run), "running": run.running})

    def audio(self, request: Request) -> Response:
        """A waveform as a WAV file."""
        run, id_ = self._run(request), request.query_params.get("id", "")
        content = self.sounds.of(run, id_).wav(request.query_params.get("of", ""))
        return Response(content, media_type="audio/wav")

    def wave(self, request: Request) -> Response:
        """The envelope of a waveform."""
        low, high = envelope(self._mono(request), _COLUMNS)
        return JSONResponse({"low": np.round(low, 4).tolist(), "high": np.round(high, 4).tolist()})

    def picture(self, request: Request) -> Response:
        """The spectrogram of a waveform, as a PNG."""
        width, height = (whole_number(request.query_params.get(name, "")) or 0 for name in ("width", "height"))
        if not (8 <= width <= _LARGEST[0] and 8 <= height <= _LARGEST[1]):
            raise UsageError(f"a picture has a width and a height of 8 to {_LARGEST[0]} and {_LARGEST[1]} pixels")
        return Response(picture(self._mono(request), width=width, height=height, colours=128), media_type="image/png")

    def file(self, request: Request) -> Response:
        """A script, a style sheet or the icon; read once, at the start."""
        name = request.path_params["name"]
        if name not in self.static:
            raise UsageError("no such file")
        return Response(self.static[name], media_type=_KINDS[name.rpartition(".")[2]])

    # --- helpers ---

    def _run(self, request: Request, name: str = "run") -> Snapshot:
        return self.library.run(request.query_params.get(name, ""))

    def _mono(self, request: Request) -> Any:
        run, id_ = self._run(request), request.query_params.get("id", "")
        samples = self.sounds.of(run, id_).waveform(request.query_params.get("of", ""))
        return samples if samples.ndim == 1 else samples.mean(axis=0)

    def refuse(self, request: Request, error: Exception) -> Response:
        """An expected error, as a page; what was asked for is not there, or cannot be read."""
        status = 404 if isinstance(error, UsageError) else 422
        if request.url.path in ("/audio", "/wave", "/picture", "/state") or request.method == "POST":
            return JSONResponse({"error": str(error)}, status)
        page = self.page("message.html", heading="That cannot be shown", message=str(error), up="/")
        page.status_code = status
        return page

    def fail(self, request: Request, error: Exception) -> Response:
        """An unexpected one: named, and its traceback in the log."""
        log.error("%s: %s", request.url.path, error, exc_info=error)
        page = self.page("message.html", heading="Unexpected", message=f"{type(error).__name__}: {error}", up="/")
        page.status_code = 500
        return page


def watched(run: Snapshot) -> Mapping[str, str] | None:
    """What a page needs to follow a run that is being made; None for one that is done."""
    return {"key": run.key, "stamp": stamp(run)} if run.running else None


def stamp(run: Snapshot) -> str:
    """Differs when a run has changed."""
    return f"{run.status}-{len(run.lines)}"


def make_app(viewer: Viewer, *, token: str, port: int) -> ASGIApp:
    """The application, behind its guard."""
    pages: dict[str, Callable[[Request], Response]] = {
        "/": viewer.runs,
        "/run": viewer.run,
        "/mixtures": viewer.mixtures,
        "/mixture": viewer.mixture,
        "/thresholds": viewer.thresholds,
        "/compare": viewer.compare,
        "/state": viewer.state,
        "/audio": viewer.audio,
        "/wave": viewer.wave,
        "/picture": viewer.picture,
        "/static/{name}": viewer.file,
    }
    pages_and_questions = Starlette(
        routes=[
            *(Route(path, page) for path, page in pages.items()),
            Route("/thresholds/{question:str}", viewer.ask, methods=["POST"]),
        ],
        exception_handlers={S5Error: viewer.refuse, 404: _not_found(viewer), 500: viewer.fail},
    )
    # around all of it: what Starlette takes as `middleware` does not see the page of an unexpected error
    return Gatekeeper(pages_and_questions, token=token, port=port)


def _not_found(viewer: Viewer) -> Callable[[Request, Exception], Response]:
    return lambda request, error: viewer.refuse(request, UsageError("There is no such page."))


def _filter(request: Request) -> Filter:
    return Filter.read(dict(request.query_params))


def _address(track: Track, mixture_id: str) -> str:
    return urlencode({"run": track.run, "id": mixture_id, "of": track.name})


def _static_files() -> dict[str, bytes]:
    folder = files("s5eval.harness.view").joinpath("static")
    found = {entry.name: entry.read_bytes() for entry in folder.iterdir() if entry.name.rpartition(".")[2] in _KINDS}
    return {**found, "base.css": stylesheet().encode()}
