"""What alerts know of the server: its cameras and watches, pictures and links, engines and the disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from joyvl_server.core.errors import JoyvlError, NotFound
from joyvl_server.kit.clock import Clock
from joyvl_server.kit.signing import UrlSigner
from joyvl_server.notify.base import CameraFacts, Links, WatchFacts
from joyvl_server.notify.center import AlertCenter, ServerParts
from joyvl_server.notify.messages import page_link
from joyvl_server.sessions.metrics import Metrics
from joyvl_server.settings import Settings
from joyvl_server.store.alerts.alerts import Alerts
from joyvl_server.store.alerts.records import AlertRecord
from joyvl_server.store.cameras import CameraRecord
from joyvl_server.store.watches import WatchRecord
from joyvl_server.timeline.timeline import Timeline

if TYPE_CHECKING:
    from joyvl_server.sessions.registry import Registry


class EventEnclosures:
    """See `Enclosures`. Messages get links only where the server has a public address."""

    def __init__(self, settings: Settings, signer: UrlSigner, alerts: Alerts, clock: Clock, timeline: Timeline) -> None:
        self._public_url = settings.server.public_url.rstrip("/")
        self._valid_s = settings.alerts.links_h * 3600
        self._signer = signer
        self._alerts = alerts
        self._clock = clock
        self._timeline = timeline

    async def links(self, alert: AlertRecord) -> Links:
        """See `Enclosures.links`."""
        if not self._public_url:
            return Links()
        media = (await self._alerts.media([alert.event_id]) if alert.event_id else {}).get(alert.event_id or "")
        until = self._clock.wall() + self._valid_s
        path = f"/v1/events/{alert.event_id}"
        return Links(
            self._signer.sign(f"{path}/thumbnail.jpg", until) if media is not None and media.picture else None,
            self._signer.sign(f"{path}/clip.mp4", until) if media is not None and media.clip else None,
            page_link(self._public_url, alert),
        )

    async def picture(self, alert: AlertRecord) -> bytes:
        """See `Enclosures.picture`."""
        if alert.event_id is None:
            return b""
        try:
            return await self._timeline.files.picture(await self._timeline.events.get(alert.event_id))
        except JoyvlError:
            return b""


class ServerDirectory:
    """See `Directory`. It reads the registry, which is there before anybody asks."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def cameras(self) -> list[CameraFacts]:
        """See `Directory.cameras`."""
        found = []
        for view in self._registry.cameras.all():
            enabled = view.record.enabled
            online = enabled and view.state is not None and view.state.status.value == "online"
            occupied, stored = self._registry.alerts.occupied, await self._watches(view.record)
            watches = [WatchFacts(watch.id, watch.name or watch.text, occupied(watch.id)) for watch in stored]
            found.append(CameraFacts(view.record.id, view.record.name, online, tuple(watches), enabled))
        return found

    async def picture(self, camera_id: str) -> bytes:
        """See `Directory.picture`."""
        try:
            return (await self._registry.cameras.snapshot(camera_id)).image.jpeg
        except JoyvlError:
            return b""

    async def _watches(self, record: CameraRecord) -> list[WatchRecord]:
        try:
            return self._registry.session(record.session_id).watches.all()
        except NotFound:  # its source cannot be opened just now
            return await self._registry.cameras.watches(record.id)


class AlertMetrics:
    """See `AlertCounter`."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def alert(self, kind: str) -> None:
        self._metrics.alerts.labels(kind).inc()

    def message(self, kind: str, outcome: str) -> None:
        self._metrics.alert_messages.labels(kind, outcome).inc()


class ServerHealth:
    """See `Health`."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def disk(self) -> str | None:
        return self._registry.store.main.fault

    def engines(self) -> dict[str, str | None]:
        return self._registry.engines.faults()


def open_alerts(registry: Registry, clock: Clock) -> AlertCenter:
    """The alerts of a server, written with the events of its timeline from now on."""
    settings, db = registry.settings, registry.store.main
    links = EventEnclosures(settings, registry.signer, Alerts(db), clock, registry.timeline)
    directory = ServerDirectory(registry)
    server = ServerParts(
        directory,
        links,
        ServerHealth(registry),
        AlertMetrics(registry.metrics),
        settings.data_dir / "hooks",
        settings.server.public_url,
    )
    center = AlertCenter(settings.alerts, settings.zone(), db, clock, server)
    center.attach(registry.events)
    return center
