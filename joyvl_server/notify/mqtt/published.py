"""Which topics a broker keeps for a hook, in a small file: so that those of cameras, watches and hooks that are gone
are removed from it, also when they went while it was away or the server was off."""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from pydantic import ValidationError

from joyvl_server.core.errors import StoreError
from joyvl_server.kit.ids import new_id
from joyvl_server.kit.whole_files import write_whole
from joyvl_server.notify.mqtt.options import MqttOptions
from joyvl_server.store.secrets.box import SecretBox, SecretUnreadable, sealing_key

log = structlog.get_logger(__name__)

MOST = 50_000
"""topics that are remembered"""
FOLDER = "mqtt"
"""where the files lie, among those of all hooks"""
LEFT = "left"
"""the folder of those whose hook, or whose broker, is another one now"""


@dataclass(frozen=True, slots=True)
class BrokerTopics:
    """A file's content: the topics, the broker that keeps them, and the hook that published them."""

    hook_id: str
    options: MqttOptions = field(repr=False)
    topics: frozenset[str]

    @classmethod
    def read(cls, file: Path, secrets: SecretBox) -> BrokerTopics | None:
        """None where there is no such file, or where it is damaged or its key is not there, which is told. Blocks."""
        try:
            found = json.loads(file.read_text("utf-8"))
            topics = found["topics"]
            if not isinstance(topics, list) or not all(isinstance(topic, str) and topic for topic in topics):
                raise ValueError("it lists no topics")
            hook_id, broker = str(found["hook"]), found["broker"]
            if isinstance(broker, str):
                broker = json.loads(secrets.open(broker, _place(hook_id)))
            return cls(hook_id, MqttOptions.model_validate(broker), frozenset(topics[:MOST]))
        except FileNotFoundError:
            return None
        except ValidationError:  # its words quote values
            log.error("the list of published MQTT topics cannot be read", file=str(file), error="it names no broker")
        except (OSError, ValueError, TypeError, KeyError, RecursionError, SecretUnreadable) as error:
            log.error("the list of published MQTT topics cannot be read", file=str(file), error=str(error)[:200])
        return None

    def write(self, file: Path, secrets: SecretBox) -> None:
        """For the owner alone: it holds the login, sealed, so that topics can be removed when the hook is gone. Blocks.
        Raises `OSError`."""
        try:
            broker = secrets.seal(json.dumps(self.options.stored()), _place(self.hook_id))
        except StoreError as error:
            raise OSError(errno.ENOKEY, str(error)) from None
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        kept = {"hook": self.hook_id, "broker": broker, "topics": sorted(self.topics)[:MOST]}
        write_whole(file, json.dumps(kept).encode())


class PublishedTopics:
    """Those of one hook. All methods block; `topics` does not."""

    def __init__(self, folder: Path, hook_id: str, options: MqttOptions, secrets: SecretBox) -> None:
        self._file = folder / f"{hook_id}.json"
        self._left = folder / LEFT
        self._hook_id = hook_id
        self._options = options
        self._secrets = secrets
        self._writing = threading.Lock()
        """a thread may still write when nobody waits for it any more"""
        self._left_all = False
        self.topics: frozenset[str] = frozenset()

    def load(self) -> None:
        """What an earlier run has published. What stands at another broker is left to `Leftovers`. Raises `OSError`."""
        found = BrokerTopics.read(self._file, self._secrets)
        if found is None:
            return
        if found.options.same_broker(self._options):
            self.topics = found.topics
        else:
            self._move()

    def replace(self, topics: Iterable[str]) -> None:
        """Remember these: before they are published, and without one once it is removed. Raises `OSError`."""
        wanted = frozenset(topics)
        with self._writing:
            if wanted != self.topics and not self._left_all:
                BrokerTopics(self._hook_id, self._options, wanted).write(self._file, self._secrets)
                self.topics = wanted

    def leave(self) -> Path | None:
        """The hook is gone: what it has published is to be removed by `Leftovers`, and no more is written down. Returns
        the file that says so. Raises `OSError`."""
        self._left_all = True
        return self._move()

    def _move(self) -> Path | None:
        with self._writing:
            self.topics = frozenset()
            if not self._file.exists():
                return None
            self._left.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file.touch()  # its age counts from now
            return self._file.replace(self._left / f"{new_id('left')}.json")


def seal_files(folder: Path, secrets: SecretBox) -> int:
    """Seal logins that an older version wrote in clear, or that are sealed with an older key; how many files. Blocks.
    One that cannot be read or written stays as it is."""
    sealed = 0
    for file in (*folder.glob("*.json"), *folder.glob(f"{LEFT}/*.json")):
        with suppress(OSError, ValueError, TypeError, KeyError):
            broker = json.loads(file.read_text("utf-8"))["broker"]
            if sealing_key(str(broker)) == secrets.newest:
                continue
            found = BrokerTopics.read(file, secrets)
            if found is not None:
                times = file.stat()
                found.write(file, secrets)
                os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
                sealed += 1
    return sealed


def _place(hook_id: str) -> str:
    return f"hooks/{hook_id}/broker"
