"""The ASGI application of a front worker: it answers, counts and logs each request."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from time import perf_counter
from typing import Any
from urllib.parse import quote

from hotserve.ipc.counts import OTHER
from hotserve.worker import open_inference
from hotserve.worker.answer import JSON, Answer, encoded, is_for_a_terminal
from hotserve.worker.auth import ANYBODY
from hotserve.worker.description import OF_A_MODEL
from hotserve.worker.errors import RequestError
from hotserve.worker.http.protocol import REFUSED, WHOLE
from hotserve.worker.model_paths import Model
from hotserve.worker.models import FOLDER, Models
from hotserve.worker.routing import ClientGone, Receive, Route, Scope
from hotserve.worker.shared import Shared
from hotserve.worker.static_files import StaticFiles
from hotserve.worker.upstream.events import CLIENT_GONE, send_events

_WITHOUT_LENGTH = (204, 304)
_PAGES, _PAGES_OF_ALL = ("/", "/docs", "/openapi.json"), ("/", "/openapi.json")
"""Of a model, and of all where there are many; the other files are not listed."""
_CLIENT = "hotserve.client"  # in the scope of a request with a token


class App:
    """An ASGI application without a framework, which would cost more than most answers.

    Args:
        metrics: content type and body of `/metrics`, for the value of `Accept`.
    """

    def __init__(
        self,
        shared: Shared,
        models: Models,
        metrics: Callable[[str], Awaitable[tuple[str, bytes]]],
    ) -> None:
        self._shared = shared
        self._models = models
        self._metrics_of_all = metrics
        # Of a model, beside its own.
        self._files = _of_files(StaticFiles(), *_PAGES)
        server = [Route("/metrics", self._metrics), *open_inference.server_routes(self._ping)]
        own = models.root.routes
        if models.are_many:
            routes = [
                Route("/models", self._list),
                Route("/ping", self._ping, public=True),
                Route("/health", self._ping, public=True),
                *server,
            ]
            self.paths = [f"{OF_A_MODEL}{path}" for path in (*own, *_PAGES)]
            self.paths += [*(route.path for route in routes), *_PAGES_OF_ALL]
            self.paths += models.root.v2_routes
            self._routes = _of_files(StaticFiles(self.paths), *_PAGES_OF_ALL)
        else:
            routes = [*own.values(), *server]
            self.paths = [*(route.path for route in routes), *_PAGES, *models.root.v2_routes]
            self._routes = dict(self._files)
        self._routes |= {route.path: route for route in routes}
        self._unknown = Route(OTHER, self._not_found, methods=())
        self._no_model = Route(OTHER, self._no_such_model, methods=())

    async def __call__(
        self, scope: Scope, receive: Receive, send: Callable[[dict[str, Any]], Awaitable[None]]
    ) -> None:
        """Answer one request."""
        begun = perf_counter()
        shared = self._shared
        path = scope["path"]
        model, route = self._route(scope)
        counters = model.counters
        counters.begun += route.predicts
        answer = await self._answer(model, route, scope, receive, path)
        headers = [*answer.headers, *shared.cors.headers(scope["headers"])]
        start = {"type": "http.response.start", "status": answer.status, "headers": headers}
        if answer.events is not None:
            answer.status = await send_events(answer.events, start, receive, send)
        client_name = scope.get(_CLIENT, ANYBODY).name
        if route.predicts:
            seconds = perf_counter() - begun
            counters.request(answer.status, answer.lane, answer.version, seconds, client_name)
        else:
            counters.other(route.path, answer.status)
        is_sent = answer.status != CLIENT_GONE
        try:
            if is_sent and answer.events is None:
                if is_for_a_terminal(scope["headers"]) and answer.body[-1:] == b"}":
                    answer.body += b"\n"
                if answer.status not in _WITHOUT_LENGTH:
                    headers.append((b"content-length", b"%d" % len(answer.body)))
                scope[WHOLE] = scope["method"] != "HEAD"
                await send(start)
                await send({"type": "http.response.body", "body": answer.body})
        finally:
            if shared.access_log is not None:
                if not is_sent:
                    answer.status = scope.get(REFUSED, CLIENT_GONE)
                who = scope["client"], scope["headers"], answer, client_name
                # The path is without what stands behind a ?, which may hold a secret.
                shared.access_log.write(*who, scope["method"], path, perf_counter() - begun)

    def _route(self, scope: Scope) -> tuple[Model, Route]:
        """Whom a request is for; of a model's path, `path` in its scope is what follows."""
        models, path = self._models, scope["path"]
        if found := open_inference.find(path):
            name, pattern = found
            model = models.get(name) if models.are_many else models.root
            return (model, model.v2_routes[pattern]) if model else (models.root, self._no_model)
        if models.are_many and path.startswith(FOLDER) and path != FOLDER:
            name, slash, rest = path.removeprefix(FOLDER).partition("/")
            model = models.get(name)
            if model is None:
                return models.root, self._no_model
            if not slash:
                return model, Route(OTHER, self._with_slash, public=True)
            scope["path"] = path = f"/{rest}"
            own = self._of(path, model.routes)
            return model, own or self._of(path, self._files) or self._unknown
        return models.root, self._of(path, self._routes) or self._unknown

    def _of(self, path: str, routes: Mapping[str, Route]) -> Route | None:
        return routes.get(path) or routes.get(path.removesuffix("/"))

    async def _answer(
        self, model: Model, route: Route, scope: Scope, receive: Receive, path: str
    ) -> Answer:
        try:
            if preflight := self._shared.cors.preflight(scope["method"], scope["headers"]):
                return preflight
            if not route.public:
                scope[_CLIENT] = self._shared.auth.require(scope["headers"], model.name)
            if route.methods and scope["method"] not in route.methods:
                allowed = ", ".join(route.methods)
                message = f"{route.path} takes {allowed}, not {scope['method']}"
                raise RequestError(405, message, (b"allow", allowed.encode()))
            return await route.handler(scope, receive)
        except RequestError as error:
            # Its traceback holds frames that hold it: the body would stay in memory.
            answer = error.with_traceback(None).answer
            is_v2 = path.startswith(open_inference.PREFIX)
            return open_inference.in_form(answer) if is_v2 else answer
        except ClientGone:
            return Answer(CLIENT_GONE)
        except asyncio.CancelledError:
            return RequestError(503, "hotserve is stopping", (b"retry-after", b"1")).answer
        except Exception as fault:
            self._shared.faults.log(fault, f"{scope['method']} {path}")
            return RequestError(500, "a fault of hotserve; its log says where").answer

    async def _not_found(self, _scope: Scope, _receive: Receive) -> Answer:
        known = ", ".join(self.paths)
        raise RequestError(404, f"there is nothing at this path; there is {known}")

    async def _no_such_model(self, _scope: Scope, _receive: Receive) -> Answer:
        missing = self._models.root.serving.now().change.model.get("message")
        why = f": {missing}" if missing else "; /models lists those that are served"
        raise RequestError(404, f"no model of this name is served{why}")

    async def _with_slash(self, scope: Scope, _receive: Receive) -> Answer:
        # Relative, so that it is right behind a proxy that adds a path in front.
        name = scope["path"].rpartition("/")[2]
        return Answer(307, [(b"location", f"{quote(name)}/".encode())])

    async def _ping(self, scope: Scope, receive: Receive) -> Answer:
        """200 while any model answers."""
        if any(model.answers for model in self._models.all()):
            return Answer(200, [JSON], b"\n")
        return await self._models.root.routes["/ping"].handler(scope, receive)

    async def _list(self, scope: Scope, _receive: Receive) -> Answer:
        """Those that the client may ask."""
        client = scope[_CLIENT]
        allowed = [model for model in self._models.all() if client.may_ask(model.name)]
        models = sorted(allowed, key=lambda model: model.name)
        of_all = self._models.root.serving.now().change.model
        shown = {**of_all, "models": [_entry(model) for model in models]}
        return Answer(200, [JSON], encoded(shown, indent=2) + b"\n")

    async def _metrics(self, scope: Scope, _receive: Receive) -> Answer:
        if self._models.are_many and scope[_CLIENT].models:
            raise RequestError(403, "figures are of all models, and this token is good for some")
        accept = dict(scope["headers"]).get(b"accept", b"").decode("latin-1")
        try:
            content_type, body = await self._metrics_of_all(accept)
        except TimeoutError:
            raise RequestError(
                503, "the manager gave no metrics in time", (b"retry-after", b"5")
            ) from None
        return Answer(200, [(b"content-type", content_type.encode())], body)


def _of_files(files: StaticFiles, *pages: str) -> dict[str, Route]:
    """The routes of static files, of which pages are counted by their own paths."""
    routes = dict.fromkeys(files.paths, Route(OTHER, files.answer, public=True))
    return routes | {page: Route(page, files.answer, public=True) for page in pages}


def _entry(model: Model) -> dict[str, Any]:
    """A model in the list of `/models`."""
    shown = model.serving.now().change.model
    lane = (shown.get("lane") or {}).get("state")
    fields = ("name", "version", "state", "stage", "aliases", "since", "message")
    return {
        **{field: shown.get(field) for field in fields},
        "lane": lane,
        "path": f"{FOLDER}{quote(model.name, safe='')}/",
    }
