"""The service over HTTP; each answer comes from the desk.

FastAPI reads the types of the functions below when they are made, so they are not put off here.
"""

import hmac
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from workbench.errors import InvalidData, NotFound, Unsupported, WorkbenchError
from workbench.serve.desk import Desk, parse
from workbench.serve.openapi import describe

if TYPE_CHECKING:
    from fastapi import FastAPI, Request

LONGEST_BODY = 16 * 2**20
"""Bytes of a request."""

OPEN = ("/health", "/openapi.json", "/docs")
"""What is told without a token: nothing of the data."""


class TooLong(InvalidData):
    """A request with too many bytes."""


def create_app(desk: Desk, token: str) -> "FastAPI":
    """Make the application.

    Raises
    ------
    Unsupported
        If FastAPI is not installed.
    """
    try:
        from fastapi import FastAPI, Request, Response
        from fastapi.concurrency import run_in_threadpool
        from fastapi.responses import JSONResponse
        from starlette.requests import ClientDisconnect
    except ImportError as error:
        raise missing_extra() from error

    app = FastAPI(title="mlstore", description="Bound models of a store.", version="1", redoc_url=None)
    expected = token.encode()

    @app.middleware("http")
    async def authenticate(request: Request, proceed: Callable[[Request], Awaitable[Response]]) -> Response:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        known = hmac.compare_digest(given.strip().encode("latin-1"), expected) and scheme.lower() == "bearer"
        if request.url.path not in OPEN and not known:
            said = {"code": "unauthorized", "message": "The token is missing or wrong."}
            return JSONResponse(said, 401, {"WWW-Authenticate": "Bearer"})
        return await proceed(request)

    _refuse_in_json(app)

    @app.get("/health", summary="Which model each binding has")
    def health() -> dict[str, Any]:
        return desk.health()

    @app.get("/metrics", summary="Requests, rows, errors and percentiles of each binding")
    def metrics() -> dict[str, Any]:
        return desk.metrics()

    @app.post("/predict/{binding}", include_in_schema=False)
    async def predict(binding: str, request: Request) -> Response:
        try:
            body = parse(await _body(request))
        except ClientDisconnect:
            return Response(status_code=400)  # Nobody reads it.
        answered = await run_in_threadpool(desk.ask, binding, body)
        return JSONResponse(answered.to_json())

    plain = app.openapi

    def openapi() -> dict[str, Any]:
        return describe(desk.endpoints, plain())

    app.openapi = openapi  # type: ignore[method-assign]
    return app


def _refuse_in_json(app: "FastAPI") -> None:
    """Let each error be an object with code and message."""
    from fastapi import Request, Response
    from fastapi.responses import JSONResponse
    from starlette.exceptions import HTTPException

    @app.exception_handler(WorkbenchError)
    async def refuse(_: Request, error: WorkbenchError) -> Response:
        return JSONResponse({"code": error.code, "message": str(error)}, _status(error))

    @app.exception_handler(HTTPException)
    async def find_nothing(_: Request, error: HTTPException) -> Response:
        code = "not_found" if error.status_code == 404 else "invalid_data"
        return JSONResponse({"code": code, "message": error.detail}, error.status_code, error.headers)

    @app.exception_handler(Exception)
    async def fail(_: Request, error: Exception) -> Response:
        # It is our mistake; the server prints the traceback.
        said = {"code": "error", "message": f"The request failed: {type(error).__name__}."}
        return JSONResponse(said, 500)


async def _body(request: "Request") -> bytes:
    """Read the body, as long as it is not too long."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > LONGEST_BODY:
            raise TooLong(f"A request has {LONGEST_BODY:,} bytes at most.", hint="Send several.")
        parts.append(part)
    return b"".join(parts)


def _status(error: WorkbenchError) -> int:
    if isinstance(error, TooLong):
        return 413
    if isinstance(error, NotFound):
        return 404
    return 422 if isinstance(error, InvalidData) else 503


def missing_extra() -> Unsupported:
    """Say how to install what the service needs."""
    return Unsupported(
        "Serving needs FastAPI and uvicorn, which are not installed.",
        hint="Install them with: pip install 'mlstore[serve]'",
    )
