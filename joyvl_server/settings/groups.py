"""The groups of settings, each with its defaults, bounds and words."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from joyvl_server.core.config import Fidelity
from joyvl_server.settings.group import Group
from joyvl_server.settings.values import (
    Folder,
    FramesPerTick,
    Language,
    Listen,
    LogLevel,
    Rule,
    Scheme,
    SpokenLanguage,
    VoiceName,
    WakeWordText,
)


class EngineSettings(Group):
    name: str = Field("motion", description="The engine of new sessions, by its entry-point name.")
    options: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        repr=False,
        description=(
            "Settings of each engine under its name, like `options: {openai: {base_url: …, model: …}}`. "
            "See docs/reference/engines.md."
        ),
    )


class SessionSettings(Group):
    tick_s: float = Field(1.0, ge=0.1, le=60, description="Seconds from one decision to the next.")
    threshold: float = Field(0.5, ge=0, le=1, description="Speak when the score reaches this; lower is more talkative.")
    hysteresis: float = Field(
        0.1,
        ge=0,
        le=0.5,
        description=(
            "After a remark the score must exceed the threshold by this much. When the score has once fallen this much "
            "below the threshold, the threshold alone counts."
        ),
    )
    cooldown_s: float = Field(
        2.0, ge=0, description="Seconds after a remark in which the session says nothing of the same kind."
    )
    duplicate_window_s: float = Field(
        30.0, ge=0, description="Seconds in which the session does not repeat the same words."
    )
    fidelity: Fidelity = Field(
        "faithful",
        description=(
            "What frames may cost. `faithful`: every frame in full. `adaptive`: a small picture where little changed. "
            "`eco`: also fewer decisions while the picture stays still. Cameras and calls may have their own."
        ),
    )
    frames_per_tick: FramesPerTick = Field(
        1,
        description="Frames of one second in a decision; more for fast scenes. Each costs the tokens of a picture.",
    )
    query_ttl_s: float = Field(600.0, gt=0, description="Seconds after which an unanswered query expires.")
    context_tokens: int = Field(24_000, ge=2048, description="Token budget of one chunk of context.")
    chunk_s: float = Field(600.0, ge=10, description="Longest chunk of context, in stream seconds.")
    lead_turns: int = Field(8, ge=1, le=60, description="Turns of the old chunk with which the next one begins.")
    model_time_s: float = Field(
        7200.0, ge=60, description="Seconds after which the model's time restarts, at the next switch of chunks."
    )
    memory_tokens: int = Field(
        2400, ge=256, description="Tokens for the memory of earlier chunks; part of `context_tokens`."
    )
    summary_tokens: int = Field(240, ge=32, le=2000, description="Longest summary of one chunk, in tokens.")
    language: Language = Field("en", description="Language of the summaries, like `en` or `de-CH`.")
    delegation: bool = Field(True, description="Whether sessions may hand questions over to agents.")
    voice: VoiceName = Field(
        "auto",
        description=(
            "What sessions speak with: `off`, `browser` (the client's own voice), an engine like `piper`, or an engine "
            "and a voice like `piper:en_US-joe-medium`. `auto`: the voice for the language of the text."
        ),
    )
    listen: Listen = Field(
        "auto",
        description=(
            "Whether what is said is taken like a typed sentence. `open`: always. `push_to_talk`: while the button is "
            "held. `off`: nobody listens for words. `auto`: open for calls, off for cameras and files."
        ),
    )
    wake_word: WakeWordText = Field(
        "", description="Only sentences that begin with this word are taken. Empty: every sentence."
    )
    follow_up_s: float = Field(
        15.0, ge=0, le=300, description="Seconds after a sentence was taken in which the next one needs no wake word."
    )
    speech_language: SpokenLanguage = Field(
        "auto", description="Language that is spoken to the session, like `en` or `zh`. `auto`: found out once."
    )
    summary_engine: str | None = Field(
        None, description="Name of the engine that writes the summaries. Null: the engine that decides."
    )
    engine_timeout_s: float = Field(20.0, gt=0, description="Longest wait for one answer of the engine, in seconds.")
    engine_loading_s: float = Field(
        600.0, gt=0, description="Longest time an engine may load its model before it counts as away, in seconds."
    )
    max_sessions: int = Field(64, ge=1, description="Sessions at once; the server refuses more.")
    record_dir: Folder | None = Field(
        None, description="Folder for an input log of every session, for `joyvl replay`. Null: no logs."
    )

    @model_validator(mode="after")
    def _check_memory(self) -> SessionSettings:
        if self.summary_tokens > self.memory_tokens:
            raise ValueError("summary_tokens may be at most memory_tokens")
        return self


class MediaSettings(Group):
    worker_cameras: int = Field(16, ge=1, le=64, description="Cameras per media worker process.")
    worker_calls: int = Field(8, ge=1, le=32, description="Browser calls per media worker process.")
    open_timeout_s: float = Field(8.0, gt=0, description="Seconds a source may take to open.")
    stall_timeout_s: float = Field(
        10.0, gt=0, description="Seconds without a frame after which a source counts as lost."
    )
    look_timeout_s: float = Field(0.5, gt=0, description="Seconds to wait for the newest frame of a source.")
    max_pixels: int = Field(
        262_144,
        ge=65_536,
        description="Largest picture for engines and pages, in pixels; the server scales larger ones down.",
    )
    clip_mb: int = Field(32, ge=0, le=1024, description="Memory for clips of one camera, in MB; 0: no clips.")
    jpeg_quality: int = Field(85, ge=30, le=100, description="JPEG quality; higher is sharper and larger.")
    grey_side: int = Field(192, ge=64, le=512, description="Longer side of the small grey picture, in pixels.")
    file_roots: list[Folder] = Field(
        default_factory=list, description="Folders whose files cameras may play. `DATA_DIR/media` is always allowed."
    )
    call_timeout_s: float = Field(
        20.0, gt=0, description="Seconds without a connection or without packets after which the server ends a call."
    )
    start_bitrate_kbps: int = Field(2500, ge=100, description="Bit rate at which browsers begin to send video.")
    min_bitrate_kbps: int = Field(1250, ge=50, description="Lowest bit rate of browsers.")
    max_bitrate_kbps: int = Field(4000, ge=100, description="Highest bit rate of browsers.")

    @model_validator(mode="after")
    def _check_bitrates(self) -> MediaSettings:
        if not self.min_bitrate_kbps <= self.start_bitrate_kbps <= self.max_bitrate_kbps:
            raise ValueError("min_bitrate_kbps, start_bitrate_kbps and max_bitrate_kbps must rise in this order")
        return self


class NetSettings(Group):
    schemes: list[Scheme] = Field(["rtsp", "file"], description="URL schemes that sources may use.")
    allow: list[Rule] = Field(
        default_factory=list,
        description=(
            "Networks or host names that sources may reach although `net.deny` covers them, like `192.168.1.0/24` or "
            "`*.lan`. The more specific rule wins."
        ),
    )
    deny: list[Rule] = Field(
        default_factory=list,
        description=(
            "Networks or host names that sources may not reach. Link-local, metadata, multicast and unspecified "
            "addresses are always denied, unless `net.allow` names exactly these."
        ),
    )


class SpeechSettings(Group):
    tts: str = Field(
        "browser",
        description=(
            "What speaks by default, by its entry-point name: `browser` (the page, with the browser's own voice), "
            "`piper`, `kokoro`, `espeak`, `openai`; `off` for silence."
        ),
    )
    voices: dict[Language, VoiceName] = Field(
        default_factory=dict,
        description=(
            "A voice for each language, like `{en: 'piper:en_US-joe-medium', zh: 'kokoro:zf_xiaoxiao'}`. The language "
            "follows the text; other languages get `tts` with its own choice."
        ),
    )
    options: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        repr=False,
        description="Settings of each voice engine under its name. See docs/reference/voices.md.",
    )
    asr: str | None = Field(
        None,
        description=(
            "What understands speech, by its entry-point name: `whisper`, `openai`; `off` for nothing. Null: `whisper` "
            "where it is installed and has a model, else nothing."
        ),
    )
    asr_options: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        repr=False,
        description="Settings of each listening engine under its name. See docs/reference/speech.md.",
    )
    language: Language | None = Field(
        None, description="Language that is spoken where nothing else says so, like `en`. Null: that of the text."
    )
    models_dir: Folder | None = Field(
        None, description="Folder of voices and models of speech. Null: `models` in the data folder."
    )


class StoreSettings(Group):
    max_events: int = Field(
        1_000_000, ge=1000, description="Events in the database; the server deletes the oldest beyond this."
    )
    tick_days: float = Field(
        7.0,
        ge=0.01,
        description=(
            "Days for which the server keeps score, threshold and decision of every tick: about 1 MB a day for each "
            "session."
        ),
    )
    tick_detail_days: float = Field(
        1.0,
        ge=0,
        description=(
            "Days for which the server also keeps text, box and timings of every tick: about 1 MB a day for each "
            "session."
        ),
    )
    max_ticks_mb: int = Field(
        2000,
        ge=16,
        description=(
            "Largest size of the ticks in MB; beyond it the server deletes the oldest details, then the oldest ticks."
        ),
    )
    max_ended_sessions: int = Field(
        10_000, ge=100, description="Ended sessions in the database; the server deletes the oldest beyond this."
    )


class LogSettings(Group):
    level: LogLevel = Field("info", description="Least serious level in the log.")
    format: Literal["auto", "text", "json"] = Field(
        "auto", description="`text`, `json` lines, or `auto`: text on a terminal, JSON lines elsewhere."
    )
