"""Starts the real vLLM on the CPU with the tiny random model, and leaves nothing of it behind."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil

from fakes.patience import PATIENCE_S

ROOT = Path(__file__).parents[2]
MODEL = "tiny"
BLOCK = 32
"""tokens of one block of the prefix cache: the least there is on a CPU"""
PICTURES = 64
"""pictures a prompt may hold"""
CACHE_GB = 0.05
"""of prepared pictures: a hundred and more small ones, so that a test can push them out"""
START_S = 180.0
TCMALLOC = "/usr/lib/x86_64-linux-gnu/libtcmalloc_minimal.so.4"


def find_python() -> Path | None:
    """The Python of vLLM's environment: `JOYVL_VLLM_PYTHON`, else what scripts/vllm-cpu-env has built."""
    named = os.environ.get("JOYVL_VLLM_PYTHON")
    if named is None:
        found = subprocess.run([ROOT / "scripts" / "vllm-cpu-env", "--find"], capture_output=True, text=True)
        named = found.stdout.strip()
    return Path(named) if named and Path(named).exists() else None


class VllmServer:
    """`vllm serve` on a free port, in a process group of its own."""

    def __init__(self, python: Path, folder: Path) -> None:
        self.folder = folder
        self._python = python
        self._log = folder / "vllm.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._family: list[psutil.Process] = []
        self._port = free_port()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._port}/v1"

    def start(self) -> None:
        """Build the model in `folder`/model, start, wait for health. Raises `RuntimeError` with the last of the log."""
        model = self.folder / "model"
        subprocess.run(
            [self._python, Path(__file__).with_name("tiny_model.py"), model],
            check=True,
            env=self._env(),
            timeout=PATIENCE_S,
        )
        command = [self._python.with_name("vllm"), "serve", model, "--served-model-name", MODEL]
        command += ["--host", "127.0.0.1", "--port", str(self._port), "--dtype", "float32", "--max-model-len", "8192"]
        command += ["--enforce-eager", "--block-size", str(BLOCK), "--max-num-seqs", "4"]
        command += ["--enable-prompt-tokens-details", "--scheduling-policy", "priority"]
        command += ["--limit-mm-per-prompt", json.dumps({"image": PICTURES, "video": 0})]
        command += ["--mm-processor-cache-gb", str(CACHE_GB)]
        # A schema lets white space pass anywhere, and a random model would write nothing else.
        structured = {"backend": "xgrammar", "disable_any_whitespace": True}
        command += ["--structured-outputs-config", json.dumps(structured)]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=self._env(),
                start_new_session=True,
            )
        until = time.monotonic() + START_S
        while not self._healthy():
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"vLLM did not start:\n{self._log.read_text(errors='replace')[-4000:]}")
            time.sleep(0.5)
        self._family = [psutil.Process(self._process.pid), *psutil.Process(self._process.pid).children(recursive=True)]

    def running(self) -> int:
        """Requests it works on right now, from its own metrics."""
        page = self._get("/metrics")
        return int(
            sum(float(value) for value in re.findall(r"^vllm:num_requests_running\{.*\} (\S+)$", page, re.MULTILINE))
        )

    def tokens(self, text: str) -> list[int]:
        """Its tokenizer's ids of a text."""
        body = json.dumps({"model": MODEL, "prompt": text, "add_special_tokens": False}).encode()
        return json.loads(self._get("/tokenize", body))["tokens"]

    def run(self, script: str, *arguments: object) -> str:
        """What a script of this folder prints, run with vLLM's Python."""
        command = [self._python, Path(__file__).with_name(script), *map(str, arguments)]
        return subprocess.run(
            command, check=True, env=self._env(), timeout=PATIENCE_S, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ).stdout.decode()

    def stop(self) -> list[psutil.Process]:
        """End it. Returns what was still alive after that; empty when all is well."""
        if self._process is None:
            return []
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(30)  # pace: then it is killed
            except subprocess.TimeoutExpired:
                pass
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait(PATIENCE_S)
        return psutil.wait_procs(self._family, timeout=PATIENCE_S)[1]

    def _healthy(self) -> bool:
        try:
            self._get("/health")
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False
        return True

    def _get(self, path: str, body: bytes | None = None) -> str:
        url = f"http://127.0.0.1:{self._port}{path}"
        request = urllib.request.Request(url, body, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:
            return response.read().decode()

    def _env(self) -> dict[str, str]:
        preload = [TCMALLOC, str(self._python.parents[1] / "lib" / "libiomp5.so")]
        return {
            **os.environ,
            "LD_PRELOAD": ":".join(path for path in preload if Path(path).exists()),
            "HF_HUB_OFFLINE": "1",
            "TRANSFORMERS_OFFLINE": "1",
            "VLLM_NO_USAGE_STATS": "1",
            "DO_NOT_TRACK": "1",
            "VLLM_CPU_KVCACHE_SPACE": "1",
            "VLLM_CPU_OMP_THREADS_BIND": "nobind",
            "OMP_NUM_THREADS": str(min(4, os.cpu_count() or 1)),
        }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
