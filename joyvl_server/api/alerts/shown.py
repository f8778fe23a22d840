"""Alerts as this server shows them."""

from __future__ import annotations

from typing import Any

from joyvl_server.api.context import ApiContext
from joyvl_server.notify.base import Links
from joyvl_server.notify.messages import alert_json, page_link
from joyvl_server.store.alerts.records import AlertRecord


async def shown(api: ApiContext, alerts: list[AlertRecord]) -> list[dict[str, Any]]:
    """Alerts as JSON, with the addresses of pictures and clips on this server."""
    media = await api.registry.alerts.alerts.media(alert.event_id for alert in alerts if alert.event_id is not None)
    found = []
    for alert in alerts:
        there, path = media.get(alert.event_id or ""), f"/v1/events/{alert.event_id}"
        links = Links(
            f"{path}/thumbnail.jpg" if there is not None and there.picture else None,
            f"{path}/clip.mp4" if there is not None and there.clip else None,
            page_link(api.settings.server.public_url, alert),
        )
        found.append(alert_json(alert, links))
    return found
