"""Queries: questions asked once; each asks for a tick at once."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from joyvl_server.api import render
from joyvl_server.api.access.caller import Caller
from joyvl_server.api.context import ApiContext, ApiDep
from joyvl_server.api.http.encoding import JsonResponse
from joyvl_server.api.http.idempotency import IdempotencyKey, once
from joyvl_server.api.http.openapi import problems
from joyvl_server.api.http.prefer import Prefer, wait_for, wait_of
from joyvl_server.api.schemas.common import PageQuery, paginated
from joyvl_server.api.schemas.sessions import QueriesOut, QueryIn, QueryOut
from joyvl_server.core.errors import NotFound
from joyvl_server.sessions import payloads

router = APIRouter(tags=["queries"])

QUERIES = "/v1/sessions/{session_id}/queries"


@router.get(QUERIES, response_model=QueriesOut, responses=problems(404))
async def list_queries(api: ApiDep, session_id: str, query: Annotated[PageQuery, Query()]) -> Response:
    """Questions of this session, oldest first, the closed ones too (the last 100 are kept)."""
    shown, cursor = paginated(api.registry.session(session_id).queries.all(), lambda view: view.id, query)
    return render.listed([payloads.query(q) for q in shown], cursor)


@router.post(QUERIES, status_code=201, response_model=QueryOut, responses=problems(404, 409))
async def create_query(
    api: ApiDep,
    request: Request,
    session_id: str,
    body: QueryIn,
    idempotency_key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> Response:
    """Ask. The answer comes as updates, and is in the query once that is closed; `Prefer: wait=20` waits for it."""

    async def create() -> Response:
        caller: Caller = request.state.who
        view = api.registry.session(session_id).ask(body.text, caller.asker)
        return render.created(payloads.query(view), f"/v1/sessions/{session_id}/queries/{view.id}")

    return await _waited(api, request, session_id, await once(request, idempotency_key, create))


async def _waited(api: ApiContext, request: Request, session_id: str, created: Response) -> Response:
    """What was asked as it is after the wait that the client prefers. Cancelled, the question stays."""
    seconds = wait_of(request)
    location = created.headers["location"]
    query_id = location.rpartition("/")[2]
    try:
        queries = api.registry.session(session_id).queries
        queries.get(query_id)
    except NotFound:  # the answer of an earlier request, to a session or a query that is over
        return created
    if seconds is None or not await wait_for(api, request, queries.answered(query_id), seconds):
        return created
    try:
        now = render.created(payloads.query(queries.get(query_id)), location)
    except NotFound:
        return created
    now.headers["Preference-Applied"] = f"wait={seconds}"
    if "idempotency-replayed" in created.headers:
        now.headers["Idempotency-Replayed"] = created.headers["idempotency-replayed"]
    return now


@router.get(QUERIES + "/{query_id}", response_model=QueryOut, responses=problems(404))
async def read_query(api: ApiDep, session_id: str, query_id: str) -> Response:
    """One question with its answer, as long as its session runs and keeps it."""
    return JsonResponse(payloads.query(api.registry.session(session_id).queries.get(query_id)))


@router.delete(QUERIES + "/{query_id}", status_code=204, responses=problems(404))
async def withdraw_query(api: ApiDep, session_id: str, query_id: str) -> Response:
    """Withdraw a query: no answer is wanted any more."""
    api.registry.session(session_id).withdraw(query_id)
    return Response(status_code=204)
