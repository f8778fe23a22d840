"""Health, readiness, metrics, version, engines, OpenAPI and the page."""

from __future__ import annotations

import asyncio
import os
import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

import joyvl_server
from fakes.patience import PATIENCE_S
from fakes.server.house import House, house
from joyvl_server.api.page import TYPES, PageFiles
from joyvl_server.api.schemas.system import EngineOut, ReadyOut, VersionOut
from joyvl_server.core.errors import StoreError


@pytest.fixture
async def h(tmp_path):
    async with house(tmp_path) as opened:
        yield opened


async def test_health_touches_neither_engine_nor_store(h: House, monkeypatch):
    def touched(*_: object) -> None:
        raise AssertionError("touched")

    with monkeypatch.context() as patch:
        for name in ("ready", "cameras", "sessions", "events", "idempotency", "engines"):
            patch.setattr(h.registry, name, touched)
        answer = await h.client.get("/healthz")
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
        head = await h.client.head("/healthz")
        assert head.status_code == 200


async def test_readiness_names_each_part(h: House, monkeypatch):
    fine = await h.client.get("/readyz")
    assert fine.status_code == 200
    assert set(fine.json()) == set(ReadyOut.model_fields)
    assert fine.json()["ready"] is True
    assert fine.json()["parts"]["store"] == {"ready": True, "reason": None}
    h.engines.quiet.error = "http://u:s3cret@model:8000 refused the connection."
    answer = await h.client.get("/readyz")
    assert answer.status_code == 503
    body = answer.json()
    assert (body["code"], body["ready"]) == ("not_ready", False)
    assert body["parts"]["engine quiet"] == {
        "ready": False,
        "reason": "http://u:***@model:8000 refused the connection.",
    }
    assert body["parts"]["store"]["ready"] is True
    assert "engine quiet" in body["detail"]
    assert answer.headers["content-type"] == "application/problem+json"

    async def broken(work: object) -> None:
        raise StoreError("The disk is full.")

    monkeypatch.setattr(h.registry.store.main, "read", broken)
    assert (await h.client.get("/readyz")).json()["parts"]["store"]["reason"] == "The disk is full."


async def test_an_engine_that_decides_nothing_is_in_readiness_the_camera_and_its_session(h: House):
    camera = await h.camera()
    assert camera["engine_state"]["status"] == "ready"
    health = h.registry.engines.monitor("quiet")._health
    health.failed("engine_unavailable", "No server answers at http://u:s3cret@model:8000.")
    answer = await h.client.get("/readyz")
    reason = "No server answers at http://u:***@model:8000."
    assert (answer.status_code, answer.json()["parts"]["engine quiet"]["reason"]) == (503, reason)
    shown = await h.session_of(camera["session_id"])
    assert {"status": "away", "code": "engine_unavailable", "reason": reason}.items() <= shown["engine_state"].items()
    (row,) = (await h.client.get("/v1/cameras")).json()["data"]
    assert row["engine_state"] == shown["engine_state"]
    health.answers()
    assert (await h.client.get("/readyz")).status_code == 200
    disabled = await h.client.post(f"/v1/cameras/{camera['id']}/disable")
    assert disabled.json()["engine_state"] is None


async def test_a_slow_engine_is_ready_and_says_what_it_manages(h: House):
    camera = await h.camera()
    await h.clock.settle()
    h.session(camera).machine.engine.health.slow(3.0)
    answer = await h.client.get("/readyz")
    assert (answer.status_code, answer.json()["ready"]) == (200, True)
    manages = "The engine quiet manages one decision every 3.0 s, always about the newest picture."
    assert answer.json()["parts"]["engine quiet"] == {"ready": True, "reason": manages}
    assert (await h.session_of(camera["session_id"]))["engine_state"]["status"] == "slow"


async def test_an_engine_that_nobody_uses_is_asked_for_a_moment_at_most(h: House, monkeypatch):
    monkeypatch.setattr("joyvl_server.sessions.engines.pool.ASK_S", 0.05)
    monkeypatch.setattr(h.engines.quiet, "check", asyncio.Event().wait)
    async with asyncio.timeout(PATIENCE_S):
        answer = await h.client.get("/readyz")
    assert answer.status_code == 503
    assert "has not answered within" in answer.json()["parts"]["engine quiet"]["reason"]


async def test_readiness_does_not_wait_for_ever(h: House, monkeypatch):
    monkeypatch.setattr("joyvl_server.api.system.READY_TIMEOUT_S", 0.01)
    monkeypatch.setattr(h.registry, "ready", asyncio.Event().wait)
    answer = await h.client.get("/readyz")
    assert (answer.status_code, answer.json()["ready"]) == (503, False)


async def test_metrics_are_prometheus_text_with_bounded_labels(h: House):
    for n in range(20):
        await h.client.get(f"/nope/{n}")
        await h.client.get(f"/v1/cameras/cam_{n}")
        await h.client.request(f"M{n}", "/v1/cameras")
    await h.client.get("/v1/cameras", headers={"Host": "evil.example"})
    answer = await h.client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    families = {f.name: f for f in text_string_to_metric_families(answer.text)}
    assert all(name.startswith("joyvl_") for name in families)
    counted = {
        (s.labels["method"], s.labels["route"], s.labels["status"]): s.value
        for s in families["joyvl_http_requests"].samples
        if s.name.endswith("_total")
    }
    assert counted == {
        ("GET", "unmatched", "404"): 20,
        ("GET", "/v1/cameras/{camera_id}", "404"): 20,
        ("other", "/v1/cameras", "405"): 20,
        ("GET", "unmatched", "421"): 1,
    }
    assert families["joyvl_http_request_duration_seconds"].type == "histogram"


async def test_version(h: House):
    body = (await h.client.get("/version")).json()
    assert set(body) == set(VersionOut.model_fields)
    assert (body["name"], body["version"]) == ("joyvl-server", joyvl_server.__version__)


async def test_engines_say_what_they_can_and_what_is_wrong(h: House):
    body = (await h.client.get("/v1/engines")).json()
    broken, quiet = body["data"]
    assert set(quiet) == set(EngineOut.model_fields)
    assert (quiet["name"], quiet["default"], quiet["error"]) == ("quiet", True, None)
    assert quiet["capabilities"]["scores"] is True
    assert (broken["default"], broken["capabilities"]) == (False, None)
    assert "u:***@host" in broken["error"]


async def test_openapi_describes_every_operation(h: House):
    document = (await h.client.get("/openapi.json")).json()
    operations = [(path, method, op) for path, methods in document["paths"].items() for method, op in methods.items()]
    ids = [op["operationId"] for _, _, op in operations]
    assert len(ids) == len(set(ids)) > 30
    tags = {t["name"] for t in document["tags"]}
    for path, _, op in operations:
        assert re.fullmatch(r"[a-z_]+", op["operationId"])
        assert op["description"], path
        assert len(op["tags"]) == 1
        assert set(op["tags"]) <= tags
        if op["tags"] == ["reference"]:
            continue  # its errors have the shape that its clients know
        assert "application/problem+json" in op["responses"]["default"]["content"]
        for status, response in op["responses"].items():
            if status.startswith(("4", "5")):
                content = response["content"]["application/problem+json"]
                assert content["schema"] == {"$ref": "#/components/schemas/Problem"}
                assert content["example"]["status"] == int(status)
    text = str(document)
    assert "HTTPValidationError" not in text
    schemas = document["components"]["schemas"]
    for name in re.findall(r"#/components/schemas/(\w+)", text):
        assert name in schemas, name
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    assert schemas["CameraIn"]["additionalProperties"] is False
    assert schemas["CameraPatch"].get("required") is None
    assert "default" not in schemas["CameraPatch"]["properties"]["name"]


async def test_there_is_no_page_that_loads_from_elsewhere(h: House):
    for path in ("/docs", "/redoc"):
        assert (await h.client.get(path)).status_code == 404


# ----------------------------------------------------------------------------------------------------------------- page


@pytest.fixture
def web(tmp_path):
    root = tmp_path / "site" / "web"
    (root / "vendor").mkdir(parents=True)
    (root / "index.html").write_text("<!doctype html><title>joyvl</title>")
    for name in (
        "main.js",
        "m.mjs",
        "style.css",
        "favicon.svg",
        "font.woff2",
        "vendor/x.js",
        ".hidden.js",
        "x.py",
        "README",
    ):
        (root / name).write_text(name)
    (root.parent / "secret.js").write_text("secret")
    os.symlink(root.parent / "secret.js", root / "link.js")
    os.symlink(root / "main.js", root / "inside.js")
    return root


@pytest.fixture
async def site(tmp_path, web):
    async with house(tmp_path, pages=PageFiles(web.resolve())) as opened:
        yield opened


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/assets/main.js", "text/javascript; charset=utf-8"),
        ("/assets/m.mjs", "text/javascript; charset=utf-8"),
        ("/assets/style.css", "text/css; charset=utf-8"),
        ("/assets/favicon.svg", "image/svg+xml"),
        ("/assets/font.woff2", "font/woff2"),
        ("/assets/vendor/x.js", "text/javascript; charset=utf-8"),
        ("/assets/inside.js", "text/javascript; charset=utf-8"),
    ],
)
async def test_files_of_the_page_have_their_type_and_a_tag(site: House, path: str, kind: str):
    answer = await site.client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, kind)
    assert answer.headers["cache-control"] == "no-cache"
    tag = answer.headers["etag"]
    for asked in (tag, f'"other", {tag}', f"W/{tag}", "*"):
        again = await site.client.get(path, headers={"If-None-Match": asked})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert (await site.client.get(path, headers={"If-None-Match": '"other"'})).status_code == 200
    assert (await site.client.head(path)).status_code == 200


IMMUTABLE = "public, max-age=31536000, immutable"


async def test_the_page_names_its_files_so_that_browsers_keep_them_until_one_changes(site: House, web):
    (web / "index.html").write_text(
        '<head>\n<link rel="icon" href="/assets/favicon.svg">\n<link rel="stylesheet" href="/assets/style.css">\n'
        '<link rel="stylesheet" href="/assets/more.css">\n'
        '<script type="module" src="/assets/main.js"></script>\n</head>'
    )
    (web / "more.css").write_text("b { color: red }")
    (web / "main.js").write_text('import { a } from "./vendor/x.js";\nimport "./m.mjs";\n')
    (web / "vendor" / "x.js").write_text('export * from "../inner.js"; const later = () => import("../later.js");\n')
    for name in ("inner", "later"):
        (web / f"{name}.js").write_text("export const a = 1;\n")

    async def page() -> tuple[list[str], str]:
        answer = await site.client.get("/")
        assert answer.headers["cache-control"] == "no-cache"
        return re.findall(r'href="([^"]+)"', answer.text), re.search(r'src="([^"]+)"', answer.text)[1]

    hrefs, script = await page()
    base = script.removesuffix("main.js")
    assert re.fullmatch(r"/assets/v-[0-9a-f]{16}/", base)
    assert [href.removeprefix(base) for href in hrefs] == [
        "favicon.svg", "css/all.css", "main.js", "vendor/x.js", "m.mjs", "inner.js"
    ]  # fmt: skip
    assert (await site.client.get(hrefs[1])).text == "style.css\nb { color: red }"
    for path in (*hrefs, script):
        answer = await site.client.get(path)
        assert (answer.status_code, answer.headers["cache-control"]) == (200, IMMUTABLE)
    assert (await page())[1] == script
    (web / "inner.js").write_text("export const a = 2;\n")
    assert (await page())[1] == script, "looked for once a second at most"
    await site.clock.advance(1.1)
    assert (await page())[1] != script
    old = await site.client.get(script)
    assert (old.status_code, old.headers["cache-control"]) == (200, "no-cache"), "an older page still works"
    assert (await site.client.get(f"{base}../secret.js")).status_code == 404
    assert (await site.client.get(f"{base}none.js")).status_code == 404


async def test_files_are_sent_small_to_who_understands_it(site: House, web):
    (web / "main.js").write_text("// words\n" * 1000)
    plain = await site.client.get("/assets/main.js", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.headers["vary"] == "Accept-Encoding, Origin"
    small = await site.client.get("/assets/main.js", headers={"Accept-Encoding": "br, gzip"})
    assert (small.text, small.headers["content-encoding"]) == (plain.text, "gzip")
    assert int(small.headers["content-length"]) < int(plain.headers["content-length"]) / 10
    assert small.headers["etag"] != plain.headers["etag"]
    font = await site.client.get("/assets/font.woff2", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in font.headers


async def test_a_browser_that_opens_the_page_may_call_soon(site: House):
    await site.client.get("/")
    await site.client.get("/assets/main.js", headers={"Sec-Fetch-Dest": "script"})
    assert site.media.expected == 0, "a health check is no browser"
    await site.client.get("/", headers={"Sec-Fetch-Dest": "document"})
    assert site.media.expected == 1


async def test_a_changed_file_has_another_tag(site: House, web):
    before = (await site.client.get("/assets/main.js")).headers["etag"]
    (web / "main.js").write_text("new content")
    answer = await site.client.get("/assets/main.js", headers={"If-None-Match": before})
    assert (answer.status_code, answer.text) == (200, "new content")


@pytest.mark.parametrize(
    "path",
    [
        "/assets/../secret.js",
        "/assets/%2e%2e/secret.js",
        "/assets/..%2fsecret.js",
        "/assets/vendor/..%2f..%2fsecret.js",
        "/assets//etc/passwd.js",
        "/assets/%2fetc%2fpasswd.txt",
        "/assets/link.js",
        "/assets/.hidden.js",
        "/assets/x.py",
        "/assets/README",
        "/assets/vendor",
        "/assets/vendor/",
        "/assets/none.js",
        "/assets/main.js/x.js",
        "/assets/main.js%00.js",
        "/assets/" + "x" * 5000 + ".js",
        "/assets/..\\secret.js",
    ],
)
async def test_nothing_else_is_served(site: House, path: str):
    answer = await site.client.get(path)
    assert answer.status_code == 404, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


async def test_without_the_files_the_page_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(PageFiles, "find", classmethod(lambda cls: None))
    async with house(tmp_path) as h:
        answer = await h.client.get("/")
        assert (answer.status_code, answer.json()["code"]) == (404, "no_page")
        assert (await h.client.get("/assets/main.js")).status_code == 404
        assert (await h.client.get("/v1/cameras")).status_code == 200


def test_the_pages_own_files_are_all_of_a_known_type():
    pages = PageFiles.find()
    assert pages is not None
    served = [
        p
        for p in pages.root.rglob("*")
        if p.is_file() and p.suffix in (".js", ".mjs", ".css", ".svg", ".woff2", ".html")
    ]
    assert served
    for path in served:
        assert path.suffix in TYPES
        assert pages.read(str(path.relative_to(pages.root))) is not None
