"""Asks a whole server what its OpenAPI document allows, and what it does not; looks for answers that must not be.

No address is contacted: names have no address, sources are fakes, hooks may reach nothing.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import quote, urlencode

from fakes.fuzzing.call import Answer, Call, ask
from fakes.fuzzing.values import ODD_TEXTS, PLANTED, Values
from fakes.server.house import House, house
from joyvl_server.api.access.roles import LEAST, may
from joyvl_server.core.errors import NotAllowed
from joyvl_server.kit.ids import new_id
from joyvl_server.kit.net.policy import NetPolicy
from joyvl_server.notify.reach import HookReach
from joyvl_server.sessions.registry import Registry
from joyvl_server.store.access.records import KeyRecord, Role, digest_of, new_key

ROUND = 800
"""requests to one server; then it is started again, on the same folder"""
ROUNDS_A_FOLDER = 3
MOST_KNOWN = 400
ODD_HEADERS = ("if-none-match", "range", "accept", "accept-language", "last-event-id", "origin")
OWNER = "the-key-of-the-settings"
SEED_FILE = Path(__file__).parents[2] / "api" / "fuzz" / "corpus.jsonl"
CALLERS: dict[str, Role | None] = {
    "admin": "admin", "operator": "operator", "viewer": "viewer", "ingest": "ingest",
    "viewer of one": "viewer", "operator of one": "operator", "nobody": None,
}  # fmt: skip
"""whose keys the requests have; those `of one` are for one camera, `nobody` has none or a wrong one"""
SHARES = (14, 3, 2, 2, 3, 3, 2)
ELSEWHERE = "planted-elsewhere"
"""name of a camera that keys of one camera know nothing of"""
_ID = re.compile(rb'"((?:cam|ses|wch|qry|call|tsk|task|evt|alr|hook|mem|dlv|key)_[A-Za-z0-9]+)"')


@dataclass
class Findings:
    """`broken`: what must not be, with the request. `corpus`: a request for each answer of a new kind."""

    asked: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    broken: list[tuple[str, Call]] = field(default_factory=list)
    corpus: dict[str, Call] = field(default_factory=dict)


class UnreachableHook(HookReach):
    async def address(self, host: str) -> str:
        raise NotAllowed("Nothing can be reached here.")


class NamelessPolicy(NetPolicy):
    """Asks no name server."""

    def check(self, url: str, **options: Any) -> Any:
        return super().check(url, resolve=_nowhere)


def _nowhere(host: str) -> list[str]:
    raise socket.gaierror(socket.EAI_NONAME, "no names here")


async def _plant(h: House) -> None:
    """Two cameras and a hook with secrets that no answer may hold."""
    names = {camera.record.name for camera in h.registry.cameras.all()}
    for name in {ELSEWHERE, "one"} - names:
        await h.camera(name=name, url=f"rtsp://cam:{PLANTED}@127.0.0.1:9/{name}")
    options = {"url": f"https://hooks.invalid/x?token={PLANTED}", "headers": {"x-token": PLANTED}}
    answer = await h.client.post("/v1/hooks", json={"name": "planted", "kind": "webhook", "options": options})
    assert answer.status_code in (201, 409), answer.text  # that hook may be left from before


async def _keys(h: House) -> dict[str, str | None]:
    """A new key of each caller."""
    made: dict[str, str | None] = {"nobody": None}
    one = next(camera.record.id for camera in h.registry.cameras.all() if camera.record.name == "one")
    for caller, role in CALLERS.items():
        if role is not None:
            made[caller] = key = new_key()
            cameras = (one,) if caller.endswith("of one") else ()
            id = new_id("key")
            await h.api.access.keyring.add(KeyRecord(id, id, digest_of(key), role, cameras, h.clock.wall()))
    return made


def nothing_reached(registry: Registry) -> None:
    registry.cameras._reach._policy = NamelessPolicy()  # type: ignore[attr-defined]
    net = UnreachableHook(())
    registry.alerts._net = net
    object.__setattr__(registry.alerts.hooks._house, "net", net)


class Fuzzer:
    def __init__(self, seed: int, corpus: list[Call]) -> None:
        self.found = Findings()
        self._random = Random(seed)
        self._waiting = list(corpus)
        self._good = list(corpus)
        self._known = ["cam_1"]
        self._keys: dict[str, str | None] = {}
        self._until = 0.0

    async def run(self, seconds: float) -> Findings:
        """The corpus first, whole, however long that takes; then for so long."""
        self._until = time.monotonic() + seconds
        while not self._is_over:
            with tempfile.TemporaryDirectory() as folder:
                for _ in range(ROUNDS_A_FOLDER):
                    if not self._is_over:
                        await self._round(Path(folder), seconds)
        return self.found

    @property
    def _is_over(self) -> bool:
        return not self._waiting and time.monotonic() >= self._until

    async def _round(self, folder: Path, seconds: float) -> None:
        server = {"api_keys": [OWNER], "requests_per_s": 0}
        async with house(folder, change=nothing_reached, server=server) as h:
            h.client.headers["Authorization"] = f"Bearer {OWNER}"
            document = h.app.openapi()
            routes = [
                (path, method.upper(), operation)
                for path, methods in document["paths"].items()
                for method, operation in methods.items()
            ]
            tame, wild = (Values(document, self._random, self._known, share) for share in (0.01, 0.2))
            await _plant(h)
            self._keys = await _keys(h)
            for count in range(ROUND):
                if self._waiting:
                    await self._ask(h, self._waiting.pop(0))
                    self._until = time.monotonic() + seconds
                elif self._is_over:
                    return
                else:
                    await self._ask(h, self._made(*self._random.choice(routes), self._random.choice((tame, wild))))
                if count % 40 == 0:
                    await h.clock.settle()

    async def _ask(self, h: House, call: Call) -> None:
        key = self._keys[call.caller]
        if call.caller == "nobody" and self._random.random() < 0.2:
            key = new_key()
        answer = await ask(h.app, call, key)
        self.found.asked += 1
        fault = wrong(call, answer)
        code = _code(answer)
        self.found.statuses[f"{answer.status}"] += 1
        if fault:
            words = f"{fault}: {answer.status} {answer.body[:300]!r}"
            self.found.broken.append((words, call))
            print(words, json.dumps(call.to_json()), flush=True)
        kind = f"{call.method} {call.route} {answer.status} {code}"
        if kind not in self.found.corpus:
            self.found.corpus[kind] = call
            self._good.append(call)
        for found in _ID.findall(answer.body[:20_000]):
            self._known.append(found.decode())
        del self._known[: max(0, len(self._known) - MOST_KNOWN)]

    def _made(self, path: str, method: str, operation: dict[str, Any], values: Values) -> Call:
        random = self._random
        caller = random.choices(list(CALLERS), SHARES)[0]
        if self._good and random.random() < 0.15:
            return replace(self._changed(random.choice(self._good), values), caller=caller)
        query, headers, target = [], [], path
        for parameter in operation.get("parameters", ()):
            schema = parameter.get("schema", {})
            if parameter["in"] == "path":
                value = values.known() if random.random() < 0.8 else str(values.of(schema))
                shown = quote(value.encode("utf-8", "replace"), safe="") or "x"
                target = target.replace("{" + parameter["name"] + "}", shown)
            elif parameter["in"] == "query" and random.random() < 0.35:
                given = values.known() if parameter["name"].endswith("_id") else values.of(schema)
                query += [(parameter["name"], str(one)) for one in (given if isinstance(given, list) else [given])]
            elif parameter["in"] == "header" and random.random() < 0.25:
                headers.append((parameter["name"], _header(values, random)))
        if query:
            target += "?" + urlencode([(n, v.encode("utf-8", "replace")) for n, v in query])
        body, kind = self._body(values, operation)
        if kind:
            headers.append(("content-type", kind))
        names = [name for name in ODD_HEADERS if random.random() < 0.03]
        odd = ("*", "bytes=0-", "bytes=-1,5-2,9-", "text/event-stream", "x")
        headers += [(name, random.choice(odd)) for name in names]
        return Call(path, method, target, tuple(headers), body, caller)

    def _body(self, values: Values, operation: dict[str, Any]) -> tuple[bytes, str]:
        random, content = self._random, operation.get("requestBody", {}).get("content", {})
        if not content:
            return (b"", "") if random.random() < 0.95 else (b"{}", "application/json")
        kind = random.choice(list(content))
        if random.random() < 0.04:
            return random.randbytes(random.randrange(200)), kind
        if kind == "application/json":
            text = json.dumps(values.of(content[kind].get("schema", {})))
            if random.random() < 0.04:
                text = text[: random.randrange(len(text) + 1)]
            return text.encode("utf-8", "replace"), random.choice(
                (kind, kind, kind, "application/json; charset=utf-16")
            )
        if kind == "multipart/form-data":
            part = b'--b\r\nContent-Disposition: form-data; name="sdp"\r\n\r\nv=0\r\n--b--\r\n'
            return part[: random.randrange(len(part) + 1)] if random.random() < 0.3 else part, f"{kind}; boundary=b"
        return random.choice((b"v=0\r\n", b"", b"\0" * 50)), kind

    def _changed(self, call: Call, values: Values) -> Call:
        """One that gave something new, with a piece of it changed."""
        random, body, target = self._random, bytearray(call.body), call.target
        if body and random.random() < 0.7:
            at = random.randrange(len(body))
            body[at : at + random.randrange(1, 5)] = random.choice(ODD_TEXTS).encode("utf-8", "replace")[:40]
        else:
            target += random.choice(("/", "%2f..", "?x=%ff", "&limit=0", "?after=%00", "?limit=1&limit=2"))
        return replace(call, target=target, body=bytes(body))


def wrong(call: Call, answer: Answer) -> str | None:
    """Why this answer must not be; None where it may."""
    if answer.status in (500, 599):
        return "an error of our own"
    if answer.status and PLANTED.encode() in answer.body and PLANTED.encode() not in _sent(call):
        return "a stored secret is in an answer"
    if answer.status == 0 and not any(name.lower() == "prefer" for name, _ in call.headers):
        return None if "stream" in call.route or "updates" in call.route else "no answer"
    if answer.status in range(1, 400) and not _may(call, answer):
        return f"{call.caller} may not"
    if "of one" in call.caller and ELSEWHERE.encode() in answer.body and ELSEWHERE.encode() not in _sent(call):
        return f"{call.caller} is told of another camera"
    if answer.status >= 400 and b"Traceback (most recent" in answer.body:
        return "a traceback is in an answer"
    return None


def _may(call: Call, answer: Answer) -> bool:
    if not answer.route:
        return call.caller != "nobody"
    least = LEAST.get(f"{call.method} {answer.route}", "admin")
    role = CALLERS[call.caller]
    return least == "none" or (role is not None and may(role, least))


def _sent(call: Call) -> bytes:
    return call.body + call.target.encode()


def _header(values: Values, random: Random) -> str:
    text = values.text({}) if random.random() < 0.5 else random.choice(("wait=1", "respond-async", "1", "a-key"))
    return "".join(c for c in text if c.isprintable() and ord(c) < 256)[:300] or "x"


def _code(answer: Answer) -> str:
    if answer.headers.get("content-type", "").startswith("application/problem+json"):
        try:
            return str(json.loads(answer.body).get("code", ""))
        except ValueError:
            return "?"
    return ""


def read_corpus(path: Path = SEED_FILE) -> list[Call]:
    if not path.exists():
        return []
    return [Call.from_json(json.loads(line)) for line in path.read_text("utf-8").splitlines() if line]


def write_corpus(calls: list[Call], path: Path = SEED_FILE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(call.to_json()) + "\n" for call in calls if len(call.body) < 2000), "utf-8")


def fuzz(seconds: float, seed: int, corpus: list[Call]) -> Findings:
    return asyncio.run(Fuzzer(seed, corpus).run(seconds))
