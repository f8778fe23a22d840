"""Do the parts and the files that settings name take what is written there? In the words of the server."""

from __future__ import annotations

import threading

from joyvl_server.cli.part_names import embedder_names, engine_names, require, speech_names
from joyvl_server.core.errors import ConfigError
from joyvl_server.engines.vllm.weights import with_places
from joyvl_server.kit.clock import SystemClock
from joyvl_server.kit.tls.served import ServedCertificate
from joyvl_server.memory.embedders.loading import check_embedders
from joyvl_server.sessions.engines.pool import IMPORT_S, EnginePool
from joyvl_server.settings import Settings
from joyvl_server.speech.hearing import open_hearing
from joyvl_server.speech.voices import SpeechEngines


def check_speech(settings: Settings) -> None:
    """Raises `ConfigError`: a name or an option of a voice, or of what understands speech, is wrong."""
    require(speech_names(settings))
    SpeechEngines(settings, SystemClock()).check()
    open_hearing(settings, SystemClock())


def check_memory(settings: Settings) -> None:
    """Raises `ConfigError`: the name or an option of an embedder is wrong. Loads no weights."""
    require(embedder_names(settings))
    check_embedders(settings)


def check_engines(settings: Settings) -> None:
    """Raises `ConfigError`: a name or an option of an engine is wrong."""
    names = list(engine_names(settings))
    require(names)
    engines = EnginePool(with_places(settings.engine.options, settings.data_dir, settings.speech_models_dir))
    for name in dict.fromkeys(part.name for part in names):
        engines.get(name)  # its options are checked when it is built


def check_engines_in_time(settings: Settings, limit_s: float = IMPORT_S) -> None:
    """See `check_engines`. An engine whose import takes longer than `limit_s` seconds is not waited for: the server
    says so while it runs."""
    mistakes: list[Exception] = []

    def check() -> None:
        try:
            check_engines(settings)
        except Exception as error:
            mistakes.append(error)

    checking = threading.Thread(target=check, name="check of engines", daemon=True)
    checking.start()
    checking.join(limit_s)
    if mistakes:
        raise mistakes[0]


def check_files(settings: Settings) -> list[str]:
    """Raises `ConfigError`: a file that the settings name cannot be used. Returns what is only to be known. Blocks."""
    server, key_file = settings.server, settings.secret_key_file
    if server.tls == "files" and server.tls_cert is not None:
        ServedCertificate(server.tls_cert, server.tls_key)
    if key_file is None or key_file.exists():
        return []
    if not key_file.parent.is_dir():
        raise ConfigError(f"secret_key_file: {key_file} is not there, nor is its folder, so no key can be made there.")
    return [
        f"secret_key_file: {key_file} is not there. The server makes it when it first stores a password; where "
        "passwords are stored already, put back the copy that you have kept."
    ]
