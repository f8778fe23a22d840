"""vLLM-Omni's interaction server, unmodified, in a process of its own, over a scripted model."""

from __future__ import annotations

import os
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

from fakes.patience import PATIENCE_S

ROOT = Path(__file__).resolve().parents[2]
START = """
import importlib.util, pathlib, runpy, sys, types
# Only the package's own __init__, which imports vLLM, is by-passed.
folder = pathlib.Path(importlib.util.find_spec("vllm_omni").origin).parent
package = types.ModuleType("vllm_omni")
package.__path__ = [str(folder)]
sys.modules["vllm_omni"] = package
runpy.run_module("vllm_omni.experimental.fullduplex.joyvl.serving.server", run_name="__main__", alter_sys=True)
"""


def find_python() -> str | None:
    """The Python of scripts/vllm-omni-env; None where it is not there."""
    script = [str(ROOT / "scripts/vllm-omni-env"), "--find"]
    found = subprocess.run(script, capture_output=True, text=True, check=False).stdout.strip()
    return found or None


class VllmOmniServer:
    """`with VllmOmniServer(python, backend_url, …) as server:`; `base_url` ends with `/v1`."""

    def __init__(self, python: str, backend_url: str, *args: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.base_url = f"http://127.0.0.1:{self._port}/v1"
        where = ["--host", "127.0.0.1", "--port", str(self._port), "--main-backend-url", backend_url]
        self._command = [python, "-c", START, *where, "--main-model", "fake", *args]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> VllmOmniServer:
        env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        self._process = subprocess.Popen(self._command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        end = time.monotonic() + PATIENCE_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                self._process.kill()
                raise RuntimeError(f"it did not start: {self._process.communicate()[0].decode()[-2000:]}")
            time.sleep(0.1)
        return self

    def __exit__(self, *exc: object) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.communicate()

    def _answers(self) -> bool:
        try:
            address = self.base_url.removesuffix("/v1") + "/health"
            with urllib.request.urlopen(address, timeout=2) as answer:  # pace: it is asked again
                return bool(answer.status == 200)
        except OSError:
            return False
