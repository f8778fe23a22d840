"""Who may not change hooks sees where they lead, and nothing that would let somebody in there."""

from __future__ import annotations

import httpx2
import pytest

from fakes.server.house import KEY, house

SECRETS = ("SLACKSECRETXXXX", "T00AAAAAA", "abc123", "t0ps3cret")


@pytest.mark.parametrize(
    ("kind", "options", "shown"),
    [
        ("webhook", {"url": "https://hooks.example.com/services/T00AAAAAA/B00/SLACKSECRETXXXX"}, "https://hooks.example.com/…"),
        ("webhook", {"url": "https://hooks.example.com:444?tok=abc123"}, "https://hooks.example.com:444/…"),
        ("webhook", {"url": "https://me:t0ps3cret@hooks.example.com/"}, "https://hooks.example.com"),
        ("apprise", {"urls": ["json://me:t0ps3cret@h.example/abc123"]}, ["json://h.example/…"]),
    ],
)  # fmt: skip
async def test_an_operator_sees_where_a_hook_leads_and_no_secret(tmp_path, kind, options, shown):
    async with house(tmp_path, server={"api_keys": [KEY]}, alerts={"timeout_s": 5}) as h:
        h.client.headers["Authorization"] = f"Bearer {KEY}"
        made = await h.client.post("/v1/hooks", json={"name": "phone", "kind": kind, "options": options})
        assert made.status_code == 201, made.text
        path = f"/v1/hooks/{made.json()['id']}"
        key = (await h.client.post("/v1/keys", json={"name": "ann", "role": "operator"})).json()["key"]

        async def seen(path: str) -> httpx2.Response:
            return await h.client.get(path, headers={"Authorization": f"Bearer {key}"})

        listed, one = await seen("/v1/hooks"), await seen(path)
        assert listed.json()["data"] == [one.json()]
        assert one.json()["options"].get("url", one.json()["options"].get("urls")) == shown
        told = listed.text + one.text + (await seen(f"{path}/deliveries")).text
        assert not [secret for secret in SECRETS if secret in told]
        assert one.json()["options"].keys() == made.json()["options"].keys()
        whole = (await h.client.get(path)).json()["options"]
        assert whole == made.json()["options"]  # an admin, as ever
