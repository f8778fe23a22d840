"""Speech: the voices there are, what a client that speaks by itself reports, and the button of push to talk."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from joyvl_server.api import render
from joyvl_server.api.context import ApiDep
from joyvl_server.api.http.openapi import problems
from joyvl_server.api.schemas.speech import PlaybackIn, TalkIn, VoicesOut

router = APIRouter(tags=["speech"])

SESSION = "/v1/sessions/{session_id}"


@router.get("/v1/voices", response_model=VoicesOut)
async def list_voices(api: ApiDep) -> Response:
    """The voices that the server can speak with now. `id` is what the setting `voice` of a session takes."""
    return render.listed(
        [
            {"id": f"{engine}:{voice.id}", "engine": engine, "language": voice.language, "name": voice.name or voice.id}
            for engine, voices in (await api.registry.speech.voices()).items()
            for voice in voices
        ]
    )


@router.post(SESSION + "/playback", status_code=204, responses=problems(404))
async def report_playback(api: ApiDep, session_id: str, body: PlaybackIn) -> Response:
    """How far a client is that speaks with a voice of its own. Epochs that no longer play are ignored."""
    api.registry.session(session_id).speech.speaker.acknowledge(body.epoch, body.heard, ended=body.ended)
    return Response(status_code=204)


@router.put(SESSION + "/talking", status_code=204, responses=problems(404))
async def talk(api: ApiDep, session_id: str, body: TalkIn) -> Response:
    """Press the button of push to talk, or let it go. Say it again every few seconds while it is held."""
    api.registry.session(session_id).speech.listener.talk(body.talking)
    return Response(status_code=204)
