"""Queries: questions asked once; each asks for a tick at once."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from joyvl_server.api import render
from joyvl_server.api.context import ApiDep
from joyvl_server.api.http.idempotency import IdempotencyKey, once
from joyvl_server.api.http.openapi import problems
from joyvl_server.api.schemas.common import PageQuery, paginated
from joyvl_server.api.schemas.sessions import QueriesOut, QueryIn, QueryOut
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
    api: ApiDep, request: Request, session_id: str, body: QueryIn, idempotency_key: IdempotencyKey = None
) -> Response:
    """Ask. The answer comes as updates, and is in the query once the query is closed."""

    async def create() -> Response:
        view = api.registry.session(session_id).ask(body.text)
        return render.created(payloads.query(view), f"/v1/sessions/{session_id}/queries/{view.id}")

    return await once(request, idempotency_key, create)


@router.delete(QUERIES + "/{query_id}", status_code=204, responses=problems(404))
async def withdraw_query(api: ApiDep, session_id: str, query_id: str) -> Response:
    """Withdraw a query: no answer is wanted any more."""
    api.registry.session(session_id).withdraw(query_id)
    return Response(status_code=204)
