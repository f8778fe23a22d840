"""Options of the embedders, as they stand under `memory.options`."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from joyvl_server.kit.net.option_checks import check_base_url, read_key


class EmbedderOptions(BaseModel):
    """Base of what stands under an embedder's name. Times in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, protected_namespaces=())


class OnnxOptions(EmbedderOptions):
    """What stands under `memory.options.e5` and `memory.options.minilm`."""

    folder: Path | None = Field(
        None, description="Folder with tokenizer.json and model_quantized.onnx. Null: the one of `joyvl models get`."
    )
    threads: int = Field(1, ge=1, le=64, description="Threads that one text may use.")


class OpenAIEmbedderOptions(EmbedderOptions):
    """What stands under `memory.options.openai`."""

    base_url: str = Field("http://127.0.0.1:8000/v1", description="Address of the server, up to and with `/v1`.")
    model: str = Field(min_length=1, description="Name of the model.")
    api_key: SecretStr | None = Field(None, description="Key sent as `Authorization: Bearer …`.")
    api_key_file: Path | None = Field(None, description="File that holds the key, instead of `api_key`.")
    timeout_s: float = Field(20.0, gt=0, le=600, description="Longest time that one request may take.")
    query_prefix: str = Field("", description="Written before each question, like `query: ` for e5.")
    passage_prefix: str = Field("", description="Written before each memory, like `passage: ` for e5.")

    @field_validator("base_url")
    @classmethod
    def _check_base_url(cls, value: str) -> str:
        return check_base_url(value, endings=("/embeddings",))

    def key(self, where: str) -> str:
        """Raises `ConfigError` where its file cannot be read."""
        return read_key(self.api_key, self.api_key_file, where)


class SentenceTransformersOptions(EmbedderOptions):
    """What stands under `memory.options.sentence_transformers`."""

    model: str = Field(min_length=1, description="Folder of the model, or its name where it was fetched already.")
    device: str = Field("cpu", description="Where it runs: cpu, cuda, mps.")
    query_prefix: str = Field("", description="Written before each question.")
    passage_prefix: str = Field("", description="Written before each memory.")


OPTIONS: dict[str, type[EmbedderOptions]] = {
    "lexical": EmbedderOptions,
    "e5": OnnxOptions,
    "minilm": OnnxOptions,
    "openai": OpenAIEmbedderOptions,
    "sentence_transformers": SentenceTransformersOptions,
}
"""What stands under each name; embedders of other packages check their own when they are opened."""
