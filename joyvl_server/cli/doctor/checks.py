"""What is looked at, and all the checks there are."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from joyvl_server.api.listening.started import as_started
from joyvl_server.cli.doctor.machine.card import CardCheck
from joyvl_server.cli.doctor.machine.clock import ClockCheck
from joyvl_server.cli.doctor.machine.codecs import CodecCheck
from joyvl_server.cli.doctor.machine.disk import DiskCheck
from joyvl_server.cli.doctor.machine.https import HttpsCheck
from joyvl_server.cli.doctor.machine.ports import PortCheck
from joyvl_server.cli.doctor.machine.turn import SECRET, TurnCheck
from joyvl_server.cli.doctor.machine.webrtc import WebRtcCheck
from joyvl_server.cli.doctor.model.folder import ModelFilesCheck
from joyvl_server.cli.doctor.model.golden import GoldenQuestionCheck
from joyvl_server.cli.doctor.model.place import model_place
from joyvl_server.cli.doctor.model.template import TemplateCheck
from joyvl_server.cli.doctor.model.tokenizer import MarkerCheck
from joyvl_server.cli.doctor.parts.agents import AgentsCheck
from joyvl_server.cli.doctor.parts.data_folder import DataFolderCheck
from joyvl_server.cli.doctor.parts.keys import KeysCheck
from joyvl_server.cli.doctor.parts.memory import MemoryCheck
from joyvl_server.cli.doctor.parts.running import RunningServerCheck
from joyvl_server.cli.doctor.parts.settings_check import SettingsCheck
from joyvl_server.cli.doctor.parts.speech import EarsCheck, VoicesCheck
from joyvl_server.cli.doctor.parts.stored_secrets import StoredSecretsCheck
from joyvl_server.cli.doctor.report import Check, CheckListener, Mask
from joyvl_server.cli.doctor.server import RunningServer
from joyvl_server.core.errors import ConfigError
from joyvl_server.settings import Settings, load


@dataclass(frozen=True, slots=True)
class Patient:
    """What is looked at. `errors`: the settings could not be read, and `settings` are defaults."""

    settings: Settings
    running: RunningServer
    errors: ConfigError | None = None

    @classmethod
    def find(cls, config: Path | None, data_dir: Path | None, key: str | None) -> Patient:
        """Blocks shortly. Raises nothing for wrong settings: they are a finding."""
        errors = None
        try:
            settings = load(config, {"data_dir": data_dir})
        except ConfigError as error:
            errors = error
            given = {"data_dir": data_dir or os.environ.get("JOYVL_DATA_DIR") or None}
            settings = load(None, given, environ={})
        settings = as_started(settings)
        return cls(settings, RunningServer.find(settings, key), errors)

    def at(self, host: str | None, port: int | None) -> Patient:
        """The same, with another place to listen at, where one is given. The running server stays what it is."""
        given = {"host": host, "port": port}
        place = {name: value for name, value in given.items() if value is not None}
        server = self.settings.server.model_copy(update=place)
        return replace(self, settings=self.settings.model_copy(update={"server": server}))

    @property
    def mask(self) -> Mask:
        found = [self.running.key] if self.running.key else []
        # A value that could not be read is still nobody's business.
        found += [value for name, value in os.environ.items() if _is_secret_variable(name) and value]
        return Mask.of(self.settings, found)


def all_checks(
    patient: Patient,
    model: Path | None = None,
    *,
    start: bool = False,
    turn: str | None = None,
    listener: CheckListener | None = None,
) -> list[Check]:
    """Every check, in the order in which they are told: what others depend on comes first. `listener` hears how far
    what takes minutes is. Raises `ConfigError`."""
    settings, running = patient.settings, patient.running
    place = model_place(settings, model)
    given = settings.engine.options.get("vllm", {}).get("chat_template")
    template = Path(str(given)).expanduser() if given and model is None else None
    return [
        SettingsCheck(settings, patient.errors),
        DiskCheck(settings),
        DataFolderCheck(settings, running),
        StoredSecretsCheck(settings),
        KeysCheck(settings),
        RunningServerCheck(running),
        PortCheck(settings, running),
        HttpsCheck(settings),
        ClockCheck(settings),
        CodecCheck(),
        WebRtcCheck(settings),
        TurnCheck(turn, os.environ.get(SECRET)),
        CardCheck(settings),
        ModelFilesCheck(place),
        MarkerCheck(place),
        TemplateCheck(place, template),
        GoldenQuestionCheck(settings, running, start=start, listener=listener),
        VoicesCheck(settings),
        EarsCheck(settings),
        MemoryCheck(settings),
        AgentsCheck(settings),
    ]


def _is_secret_variable(name: str) -> bool:
    words = ("KEY", "TOKEN", "SECRET", "PASSWORD")
    return (
        name.startswith(("JOYVL_", "HF_", "TURN_"))
        and any(word in name for word in words)
        and not name.endswith("_FILE")
    )
