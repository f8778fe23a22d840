"""Values for a JSON schema: most fit it, some are just wrong, some are what servers fall over."""

from __future__ import annotations

from random import Random
from typing import Any

ODD_TEXTS = (
    "", " ", "\0", "\ud800", "é" * 300, "a" * 5000, "🎥", "null", "None", "../../etc/passwd", "%00", "%", "-1", "1e999",
    "' OR 1=1 --", "<script>", "\r\nX-Injected: 1", "\u202e", "NaN", "enc:v1:00000000:AAAA", "***", "*", '"', "\\", "[",
    "١٢", "2026-11-29", "2026-13-45T99:00", "2026-11-29T08:00:00+25:00", "yesterday", "9" * 400,
)  # fmt: skip
URLS = (
    "rtsp://cam:given-pass@127.0.0.1:9/x", "rtsp://2852039166/", "rtsp://[::ffff:169.254.169.254]/", "file:///etc/passwd",
    "file:///", "http://127.0.0.1:9/given-pass", "https://u:given-pass@hooks.invalid/x?token=given-pass", "rtsp://",
    "rtsp://[/", "rtsp://a:b:c/", "ntfy://given-pass@127.0.0.1/x", "rtsp://***:***@h/", "javascript:1", "//h/x",
)  # fmt: skip
ODD_NUMBERS = (0, -1, 1, 2**31, 2**63, -(2**63) - 1, 10**30, 0.1, -0.0, 1e308, 1e-320, float("nan"), float("inf"))
PLANTED = "st0red-passw0rd"


class Values:
    """`known`: strings that the server has given, ids above all. `wild`: how often a value does not fit."""

    def __init__(self, document: dict[str, Any], random: Random, known: list[str], wild: float = 0.2) -> None:
        self._schemas = document.get("components", {}).get("schemas", {})
        self._random = random
        self._known = known
        self._wild = wild

    def of(self, schema: dict[str, Any] | bool, depth: int = 0) -> Any:
        random = self._random
        if depth > 8:
            return None
        if random.random() < self._wild / (1 + depth):
            return self.wild(depth)
        if isinstance(schema, bool):
            return self.wild(depth)
        if "$ref" in schema:
            return self.of(self._schemas.get(schema["$ref"].rpartition("/")[2], {}), depth + 1)
        for name in ("anyOf", "oneOf"):
            if name in schema:
                return self.of(random.choice(schema[name]), depth + 1)
        if "allOf" in schema:
            return self.of(schema["allOf"][0], depth + 1)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return random.choice(schema["enum"])
        kind = schema.get("type")
        kind = random.choice(kind) if isinstance(kind, list) else kind
        if kind == "object" or "properties" in schema:
            return self._object(schema, depth)
        if kind == "array":
            low = schema.get("minItems", 0)
            count = random.randint(low, max(low, min(schema.get("maxItems", 4), 4)))
            return [self.of(schema.get("items", True), depth + 1) for _ in range(count)]
        if kind in ("integer", "number"):
            return self._number(schema, kind)
        if kind == "boolean":
            return random.random() < 0.5
        if kind == "string":
            return self.text(schema)
        return None if kind == "null" else self.wild(depth)

    def text(self, schema: dict[str, Any]) -> str:
        random = self._random
        plain = (f"word {random.randrange(30)}", "door", "zwei Leute", "webhook", self.known())
        found = random.choice((random.choice(ODD_TEXTS), random.choice(URLS), *plain))
        return found[: schema.get("maxLength", 10_000)]

    def known(self) -> str:
        return self._random.choice(self._known) if self._known else "cam_1"

    def wild(self, depth: int = 0) -> Any:
        random = self._random
        kind = random.randrange(8)
        if kind == 0:
            return random.choice(ODD_NUMBERS)
        if kind == 1:
            return random.choice((None, True, False))
        if kind == 2 and depth < 4:
            return [self.wild(depth + 1) for _ in range(random.randrange(4))]
        if kind == 3 and depth < 4:
            return {self.text({})[:40]: self.wild(depth + 1) for _ in range(random.randrange(4))}
        if kind == 4:
            deep: Any = 1
            for _ in range(random.choice((5, 60, 400))):
                deep = [deep]
            return deep
        return self.text({})

    def _object(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        random, made = self._random, {}
        for name, inner in schema.get("properties", {}).items():
            if random.random() < (0.95 if name in schema.get("required", ()) else 0.35):
                made[name] = self.of(inner, depth + 1)
        if random.random() < self._wild / 4 or ("properties" not in schema and random.random() < 0.5):
            made[random.choice(("url", "secret", "host", "password", "urls", "port", "x" * 50))] = self.text({})
        return made

    def _number(self, schema: dict[str, Any], kind: str) -> float:
        low = schema.get("minimum", schema.get("exclusiveMinimum", -1))
        high = schema.get("maximum", schema.get("exclusiveMaximum", low + 100))
        if self._random.random() < 0.2:
            return self._random.choice((low, high, low - 1, high + 1))
        return (
            self._random.randint(int(low), int(max(low, high)))
            if kind == "integer"
            else self._random.uniform(low, high)
        )
