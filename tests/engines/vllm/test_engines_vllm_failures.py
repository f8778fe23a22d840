"""Why vLLM died and how far its start is, from lines as vLLM 0.32 prints them."""

from __future__ import annotations

from pathlib import Path

import pytest

from joyvl_server.engines.vllm.failures import RULES, FailureDiagnosis
from joyvl_server.engines.vllm.progress import Download, Progress, Stage

CORE = "(EngineCore pid=19383) ERROR 11-21 00:35:02 [core.py:1510] "
WRAPPERS = (
    "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {'EngineCore': 1}",
    "UserWarning: resource_tracker: There appear to be 1 leaked shared_memory objects to clean up at shutdown",
)

DEATHS = {
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 148.00 MiB.": (
        "Out of memory: Lower context_tokens or sessions"
    ),
    "ValueError: No available memory for the cache blocks. Try increasing `gpu_memory_utilization`": (
        "Out of memory: the weights leave no space"
    ),
    "ValueError: To serve at least one request with the model's max seq len (32768), (4.50 GiB KV cache is needed, "
    "which is larger than the available KV cache memory (2.13 GiB). Based on the available memory, the estimated "
    "maximum model length is 15488. Try increasing": "2.13 GiB are free. Lower context_tokens",
    "ValueError: Free memory on device cuda:0 (3.21/23.57 GiB) on startup is less than desired": (
        "Out of memory: other programs use the card, 3.21 of 23.57 GiB are free"
    ),
    "ValueError: Available memory on node 0 (6.53/11.84 GiB) on kv cache allocation is less than requested memory": (
        "Out of memory: 6.53 of the machine's 11.84 GiB of main memory are free"
    ),
    "RuntimeError: Worker proc VllmWorker-0 died unexpectedly (exit code: -9), shutting down executor.": (
        "Out of memory: the machine's main memory is full"
    ),
    "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {'EngineCore': -9}": (
        "Out of memory: the machine's main memory is full"
    ),
    "RuntimeError: [enforce fail at alloc_cpu.cpp:118] err == 0. DefaultCPUAllocator: can't allocate memory": (
        "Out of memory: the machine's main memory is full"
    ),
    "RuntimeError: Failed to infer device type, please set the environment variable": "vLLM finds no GPU",
    "RuntimeError: No CUDA GPUs are available": "vLLM finds no GPU",
    "RuntimeError: The NVIDIA driver on your system is too old (found version 12040).": "The NVIDIA driver is too old",
    "ValueError: Bfloat16 is only supported on GPUs with compute capability of at least 8.0.": "The card is too old",
    "OSError: You are trying to access a gated repo.": "a/b is not open to everybody",
    "OSError: We couldn't connect to 'https://huggingface.co' to load the files, and couldn't find them": (
        "a/b is not on this machine and its place in the network cannot be reached"
    ),
    "OSError: a/b is not a local folder and is not a valid model identifier listed on": "There is no model a/b",
    "OSError: Repo id must be in the form 'repo_name' or 'namespace/repo_name': '/nowhere/x'.": "There is no model a/b",
    "Value error, Cannot find the config file for awq [type=value_error": "quantisation do not fit together",
    "ValueError: Failed to find a kernel that can implement the ScaledMM linear layer": "quantisation do not fit",
    "Value error, User-specified max_model_len (99999) is greater than the derived max_model_len (32768)": (
        "The model takes no context of 99999 tokens"
    ),
    "OSError: [Errno 28] No space left on device": "The disk is full",
    "safetensors_rust.SafetensorError: Error while deserializing header: incomplete metadata": "weights is broken",
    "torch._inductor.exc.InductorError: InvalidCxxCompiler: No working C++ compiler found": "finds no compiler",
    "OSError: [Errno 98] Address already in use": "port is taken",
    "main.py: error: unrecognized arguments: --no-such-flag 3": "does not take --no-such-flag 3",
    "/env/bin/python: No module named vllm": "There is no vLLM in that environment",
}


@pytest.mark.parametrize(("line", "sentence"), DEATHS.items())
def test_a_known_death_is_a_sentence_whatever_is_printed_after_it(line: str, sentence: str) -> None:
    diagnosis = FailureDiagnosis("a/b")
    for heard in (f"{CORE}{line}", *WRAPPERS):
        diagnosis.read(heard)
    why = diagnosis.sentence("it ended with status 1")
    assert sentence in why
    assert "{" not in why
    assert why.endswith(".")


def test_every_rule_is_tried_here() -> None:
    assert all(any(rule.pattern.search(line) for line in DEATHS) for rule in RULES)


def test_the_context_that_would_fit_is_named() -> None:
    diagnosis = FailureDiagnosis("a/b")
    diagnosis.read(next(line for line in DEATHS if "max seq len" in line))
    assert "Lower context_tokens in engine.options.vllm to at most 15488, use smaller" in diagnosis.sentence("it ended")


def test_memory_is_said_to_be_memory() -> None:
    for line in DEATHS:
        first = next((rule for rule in RULES if rule.pattern.search(line)), None)
        assert first is not None
        assert first.memory == DEATHS[line].startswith(("Out of memory", "2.13 GiB"))


def test_the_cause_wins_over_what_it_brings_about() -> None:
    diagnosis = FailureDiagnosis("a/b")
    diagnosis.read("OSError: [Errno 98] Address already in use")
    diagnosis.read("torch.OutOfMemoryError: CUDA out of memory.")
    assert diagnosis.sentence("it ended with status 1").startswith("Out of memory")


def test_a_sentence_over_two_lines_is_read() -> None:
    diagnosis = FailureDiagnosis("a/b")
    diagnosis.read(
        "ValueError: To serve at least one request with the model's max seq len (32768), (4.5 GiB KV cache is"
    )
    diagnosis.read("needed, which is larger than the available KV cache memory (2.1 GiB). Try increasing")
    assert "a context of 32768 tokens needs 4.5 GiB" in diagnosis.sentence("it ended with status 1")


def test_killed_from_outside_is_most_likely_main_memory() -> None:
    assert FailureDiagnosis("a/b").sentence("it was killed by SIGKILL").startswith("Out of memory, most likely")


@pytest.mark.parametrize(
    "lines",
    [
        ("(APIServer pid=4511) WARNING 11-21 [core_client.py] [shutdown] MPClient: engine core exited unexpectedly;",),
        (
            "(EngineCore pid=4796) ERROR [x.py:315] Worker proc VllmWorker-0 died unexpectedly (exit code: None),",
            "(EngineCore pid=4796) ERROR 11-21 [core.py:1512] RuntimeError: Executor failed.",
        ),
    ],
)
def test_a_part_that_vanishes_without_a_word_was_killed(lines: tuple[str, ...]) -> None:
    """As vLLM 0.32 printed it when its engine core, or its worker, was killed."""
    after = (
        "(APIServer pid=4511) ERROR 11-21 [async_llm.py:906] vllm.v1.engine.exceptions.EngineDeadError: EngineCore …"
    )
    diagnosis = FailureDiagnosis("a/b")
    for line in (*lines, after):
        diagnosis.read(line)
    assert diagnosis.sentence("it ended with status 0").startswith(
        "Out of memory, most likely: a part of vLLM was killed"
    )
    other = FailureDiagnosis("a/b")
    for line in (f"{CORE}RuntimeError: CUDA error: an illegal memory access", *lines, after):
        other.read(line)
    assert other.sentence("it ended with status 0").endswith(
        "It said: RuntimeError: CUDA error: an illegal memory access"
    )


@pytest.mark.parametrize("prefix", ["(APIServer pid=1) WARNING 11-21 [x.py:1] ", "INFO 11-21 [x.py:1] "])
def test_what_is_no_error_explains_nothing(prefix: str) -> None:
    diagnosis = FailureDiagnosis("a/b")
    for line in ("This can cause fd limit errors like `OSError: [Errno 24] Too many open files`.", *DEATHS):
        diagnosis.read(prefix + line)
    assert diagnosis.sentence("it ended with status 1") == "vLLM is gone: it ended with status 1."


def test_an_unknown_death_quotes_its_first_error() -> None:
    diagnosis = FailureDiagnosis("a/b")
    for line in ("INFO all is well", f"{CORE}somewhere.OddError: the moon is full", *WRAPPERS):
        diagnosis.read(line)
    assert diagnosis.sentence("it ended with status 1") == (
        "vLLM is gone: it ended with status 1. It said: OddError: the moon is full"
    )


START = {
    "(Worker pid=19444) INFO 11-21 00:19:01 [cpu_model_runner.py] Starting to load model m...": "loading the weights",
    "Loading safetensors checkpoint shards:  40% Completed | 2/5 [00:00<?, ?it/s]": "loading the weights, 40 %",
    "(Worker pid=1) INFO [default_loader.py:501] Loading weights took 0.01 seconds": "loading the weights",
    "INFO [backends.py:701] Dynamo bytecode transform time: 5.02 s": "compiling",
    "(EngineCore pid=1) INFO [kv_cache_utils.py:2327] GPU KV cache size: 80,682 tokens": "warming up",
    "Capturing CUDA graphs (mixed prefill-decode, PIECEWISE):  45%|████": "warming up, 45 %",
    "INFO torch.compile takes 3 s in total": "warming up, 45 %",
    "(APIServer pid=1) INFO [entry.py:140] Starting vLLM server on http://127.0.0.1:8731": "warming up",
}


def test_a_start_is_told_step_by_step_and_never_goes_back() -> None:
    progress = Progress()
    assert progress.sentence() == "starting"
    for line, sentence in START.items():
        progress = progress.after(line)
        assert progress.sentence() == sentence, line
    assert progress.kv_tokens == 80_682


def test_a_download_is_seen_on_the_disk(tmp_path: Path) -> None:
    download = Download("a/b", {"HF_HOME": str(tmp_path)})
    assert download.so_far_gb() is None
    folder = tmp_path / "hub" / "models--a--b" / "blobs"
    folder.mkdir(parents=True)
    (folder / "one").write_bytes(bytes(range(256)) * 4096)
    assert download.so_far_gb() is None, "all is there"
    (folder / "two.incomplete").write_bytes(bytes(range(256)) * 4096)
    so_far = download.so_far_gb()
    assert so_far == pytest.approx(0.0021, rel=0.1)
    assert Progress(Stage.LOADING).sentence(2.345) == "downloading the weights, 2.3 GB so far"
    assert Progress(Stage.LOADING, 40).sentence(2.345) == "loading the weights, 40 %"
    assert Progress(Stage.WARMING).sentence(2.345) == "warming up"


def test_the_cache_is_where_hugging_face_keeps_it() -> None:
    assert Download("a/b", {"HF_HUB_CACHE": "/x"}).folder == Path("/x/models--a--b/blobs")
    assert Download("a/b", {"XDG_CACHE_HOME": "/c"}).folder == Path("/c/huggingface/hub/models--a--b/blobs")
