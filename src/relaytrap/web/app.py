"""The web application: pages, API and static files behind one guard."""

import logging
from typing import Any, Final

from litestar import Litestar, Request, Response, get
from litestar.config.compression import CompressionConfig
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import HTTPException, NotFoundException
from litestar.middleware.compression import CompressionMiddleware
from litestar.params import FromPath

from relaytrap.errors import InputError, RelaytrapError
from relaytrap.web import api, pages
from relaytrap.web.pages.probe import find_tests
from relaytrap.web.security import App, Guard
from relaytrap.web.site import Site, TheSite
from relaytrap.web.static_files import Asset

__all__ = ["create_app"]

log = logging.getLogger(__name__)
FOREVER: Final = "public, max-age=31536000, immutable"
BRIEFLY: Final = "public, max-age=300"
ANSWER_BYTES_MAX: Final = 80_000_000
COMPRESSION: Final = CompressionConfig(
    backend="gzip", gzip_compress_level=5, exclude=["^/live$", "^/api/live$", "^/api/backup$", "^/static/"]
)


def create_app(site: Site) -> App:
    """An ASGI application over an open store. Everything that blocks runs in worker threads."""

    def provide_site() -> Site:
        return site

    async def keep_schedules() -> None:
        try:
            find_tests(site).keep_schedules()
        except RelaytrapError as error:
            log.warning("scheduled open-relay tests will not run: %s", error)

    litestar = Litestar(
        route_handlers=[*pages.HANDLERS, *api.HANDLERS, static, bundle],
        dependencies={"site": Provide(provide_site, sync_to_thread=False)},
        exception_handlers={
            RelaytrapError: explain_refusal,
            HTTPException: explain_http,
            Exception: explain_failure,
        },
        on_startup=[keep_schedules],
        openapi_config=None,
        logging_config=None,
        request_max_body_size=ANSWER_BYTES_MAX,
        state=State({"site": site}),
    )
    # Around the whole application: what it says of an address that leads nowhere passes no middleware of its own.
    return Guard(CompressionMiddleware(litestar, COMPRESSION))


@get("/static/{name:str}", sync_to_thread=False, include_in_schema=False)
def static(request: Request[Any, Any, State], site: TheSite, name: FromPath[str]) -> Response[bytes]:
    asset = site.assets.get(name)
    if asset is None:
        raise NotFoundException(detail="There is no such file.")
    return _asset(request, asset, FOREVER if request.query_params.get("v") == asset.digest else BRIEFLY)


@get("/static/vega/{name:str}", sync_to_thread=True, include_in_schema=False)
def bundle(request: Request[Any, Any, State], site: TheSite, name: FromPath[str]) -> Response[bytes]:
    if name != site.bundle.name:
        raise NotFoundException(detail="There is no such file.")
    return _asset(request, site.bundle.asset(), FOREVER)


def _asset(request: Request[Any, Any, State], asset: Asset, cached: str) -> Response[bytes]:
    headers = {"etag": f'"{asset.digest}"', "cache-control": cached, "vary": "accept-encoding"}
    if request.headers.get("if-none-match") == headers["etag"]:
        return Response(b"", status_code=304, headers=headers, media_type=asset.media_type)
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(asset.compressed, headers=headers | {"content-encoding": "gzip"}, media_type=asset.media_type)
    return Response(asset.content, headers=headers, media_type=asset.media_type)


def explain_refusal(request: Request[Any, Any, State], error: RelaytrapError) -> Response[Any]:
    """What the reader or the operator can mend, as one sentence."""
    return _explained(request, 400 if isinstance(error, InputError) else 503, str(error))


def explain_http(request: Request[Any, Any, State], error: HTTPException) -> Response[Any]:
    """A wrong address or method."""
    status = error.status_code
    sentence = "There is no such page." if status == 404 and error.detail == "Not Found" else error.detail
    answer = _explained(request, status, sentence)
    answer.headers.update(error.headers or {})
    return answer


def explain_failure(request: Request[Any, Any, State], error: Exception) -> Response[Any]:
    """A bug of ours: the page says so, the log has the traceback."""
    log.error("page failed path=%s", request.url.path, exc_info=error)
    return _explained(request, 500, "Relaytrap made a mistake while answering this; its log says where.")


def _explained(request: Request[Any, Any, State], status: int, sentence: str) -> Response[Any]:
    if request.url.path.startswith(("/api/", "/feeds/")):
        return Response({"error": sentence}, status_code=status, media_type="application/json")
    if status == 503:  # the store does not answer, and a page would ask it
        return Response(f"{sentence}\n", status_code=status, media_type="text/plain")
    site: Site = request.app.state.site
    # The page that tells of a failure asks the store nothing, which may be what failed.
    told = {"sentence": sentence, "number": status, "has_sample": lambda: False}
    return site.page(request, "pages/error.html", status=status, **told)
