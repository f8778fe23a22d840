"""Why vLLM died, as a sentence with what to do: read off its last lines and how its process ended."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

WHERE = "engine.options.vllm"

_SMALLER = (
    f"Lower context_tokens or sessions in {WHERE}, use smaller weights (quantization: fp8, or 4-bit weights), or free "
    "memory that other programs use on the card"
)


@dataclass(frozen=True, slots=True)
class Rule:
    """A known failure. `sentence` may use the pattern's groups and {model}; `memory` for out of memory of any kind."""

    pattern: re.Pattern[str]
    sentence: str
    memory: bool = False


def _rule(pattern: str, sentence: str, *, memory: bool = False) -> Rule:
    return Rule(re.compile(pattern), sentence, memory)


# The first rule that met a line wins: causes before what they bring about.
RULES = (
    _rule(
        r"max seq len \((?P<len>\d+)\).*?(?P<need>[\d.]+) GiB KV\s*cache is needed, which is larger than the available "
        r"KV cache memory \((?P<have>[\d.]+) GiB\)(?:.*?estimated maximum model length is (?P<fits>\d+))?",
        f"Out of memory: a context of {{len}} tokens needs {{need}} GiB of key-value cache and {{have}} GiB are free. "
        f"Lower context_tokens in {WHERE}{{ to fits}}, use smaller weights, or raise gpu_memory_utilization.",
        memory=True,
    ),
    _rule(
        r"No available memory for the cache blocks",
        f"Out of memory: the weights leave no space for a context. Raise gpu_memory_utilization in {WHERE}, "
        "use smaller weights (quantization: fp8, or 4-bit weights), or free memory that other programs use on the "
        "card.",
        memory=True,
    ),
    _rule(
        r"Free memory on device \S* ?\((?P<free>[\d.]+)/(?P<total>[\d.]+) GiB\) on startup",
        "Out of memory: other programs use the card, {free} of {total} GiB are free. End them, or lower "
        f"gpu_memory_utilization in {WHERE}.",
        memory=True,
    ),
    _rule(
        r"Available memory on node \S+ \((?P<free>[\d.]+)/(?P<total>[\d.]+) GiB\)",
        "Out of memory: {free} of the machine's {total} GiB of main memory are free, and vLLM's CPU build wants more. "
        f"Set VLLM_CPU_KVCACHE_SPACE (in GiB) lower in env of {WHERE}.",
        memory=True,
    ),
    _rule(
        r"(?i)CUDA out of memory|torch\.OutOfMemoryError|HIP out of memory", f"Out of memory: {_SMALLER}.", memory=True
    ),
    _rule(
        r"No space left on device|\[Errno 28\]|Not enough free disk space",
        "The disk is full. The weights need 18 GB in the Hugging Face cache (HF_HOME names another folder); in a "
        "container /dev/shm may be too small instead.",
    ),
    _rule(
        r"(?i)driver on your system is too old|CUDA driver version is insufficient|forward compatibility was attempted",
        "The NVIDIA driver is too old for this vLLM. Update the driver (`nvidia-smi` shows the present one).",
    ),
    _rule(
        r"no kernel image is available|compute capability (?:of at least )?\d[\d.]* ?(?:or higher)?.*required"
        r"|only supported on GPUs with compute capability",
        "The card is too old for this vLLM or this kind of weights.",
    ),
    _rule(
        r"(?i)Failed to infer device type|No CUDA GPUs are available|Found no NVIDIA driver|no CUDA-capable device",
        "vLLM finds no GPU. Is the driver loaded (`nvidia-smi`), and is the card visible in this container? Without a "
        "GPU use engine openai with a server on another machine, or engine motion.",
    ),
    _rule(
        r"(?i)gated repo|GatedRepoError|Access to model .* is restricted|401 Client Error|403 Client Error",
        "{model} is not open to everybody: accept its terms on the Hub, and give a token in HF_TOKEN.",
    ),
    _rule(
        r"We couldn't connect to|LocalEntryNotFoundError|Temporary failure in name resolution|Max retries exceeded"
        r"|Name or service not known|outgoing traffic has been disabled|OfflineModeIsEnabled",
        "{model} is not on this machine and its place in the network cannot be reached. Give the machine access to the "
        f"Hub once, or set model in {WHERE} to a folder with the weights.",
    ),
    _rule(
        r"(?i)RepositoryNotFoundError|is not a valid model identifier|Repo id must be|404 Client Error"
        r"|RevisionNotFoundError|does not appear to have a file named",
        f"There is no model {{model}}. Set model in {WHERE} to its name on the Hub or to a folder with the weights.",
    ),
    _rule(
        r"does not match the quantization|Cannot find the config file for|Unknown quantization method"
        r"|(?i:quantization (?:scheme|method).*not supported)|Failed to find a kernel that can implement",
        f"The weights and the quantisation do not fit together, or the card cannot compute with it. Set quantization "
        f"in {WHERE} to auto, or use other weights.",
    ),
    _rule(
        r"max_model_len \((?P<len>\d+)\) is greater than the derived max_model_len",
        f"The model takes no context of {{len}} tokens. Lower context_tokens in {WHERE}.",
    ),
    _rule(
        r"(?i)safetensors.*(?:header|incomplete|deserializ)|SafetensorError|MetadataIncompleteBuffer",
        "A file of the weights is broken, most likely an unfinished download. Delete it and start again.",
    ),
    _rule(
        r"Failed to find C compiler|InvalidCxxCompiler|Python\.h: No such file",
        "vLLM compiles at its start and finds no compiler. Install g++ and Python's headers: apt-get install g++ "
        "python3-dev.",
    ),
    _rule(
        r"(?i)address already in use|\[Errno 98\]",
        f"Its port is taken by another program. Set another port in {WHERE}, or 0 for a free one.",
    ),
    _rule(
        r"unrecognized arguments: (?P<flags>.{1,80})|argument (?P<flag>--\S+): ",
        f"This vLLM does not take {{flags}}{{flag}}. Check extra_args in {WHERE}, or install the vLLM that this "
        "server was made for: joyvl engine install vllm.",
    ),
    _rule(
        r"No module named '?vllm",
        f"There is no vLLM in that environment. Run: joyvl engine install vllm, or set python in {WHERE}.",
    ),
    _rule(
        r"can't allocate memory|Cannot allocate memory|\bMemoryError\b|died unexpectedly \(exit code: -9\)"
        r"|Failed core proc\(s\): \{[^}]*: -9|Not enough memory|not enough (?:host|CPU) memory",
        f"Out of memory: the machine's main memory is full. Free some, or lower sessions or mm_cache_gb in {WHERE}.",
        memory=True,
    ),
)
_KILLED = (
    "Out of memory, most likely: {what} killed from outside, as Linux does when main memory is full (see `dmesg`). "
    f"Free some, or lower sessions or mm_cache_gb in {WHERE}."
)
_HARMLESS = re.compile(r"^(?:\([^)]*\) )?(?:DEBUG|INFO|WARNING)\b")
_VANISHED = re.compile(r"engine core exited unexpectedly|Worker proc \S+ died unexpectedly \(exit code: None\)")
"""What vLLM says when one of its processes is gone. Without an error before it, that one did not end by itself."""
_BROUGHT_ABOUT = re.compile(r"Engine core initialization failed|EngineDeadError|Executor failed|See stack trace")
_CAUSE = re.compile(r"(?:^|[^\w.])((?:[\w.]+\.)?\w*(?:Error|Exception)): (.{3,200})")


@dataclass(slots=True)
class FailureDiagnosis:
    """Hears every line of one life, keeps what may explain its end, however much is printed after it."""

    model: str
    _met: dict[int, re.Match[str]] = field(default_factory=dict)
    _first_error: str = ""
    _vanished: bool = False
    _before: str = ""

    def read(self, line: str) -> None:
        if not self._first_error and _VANISHED.search(line):
            self._vanished = True
        if _HARMLESS.match(line):
            return
        # A sentence of vLLM may run over the end of a line.
        both = f"{self._before} {line}"
        for number, rule in enumerate(RULES):
            if number not in self._met and (found := rule.pattern.search(both)):
                self._met[number] = found
        if not self._first_error and (found := _CAUSE.search(line)) and not _BROUGHT_ABOUT.search(line):
            self._first_error = f"{found[1].rpartition('.')[2]}: {found[2].strip()}"
        self._before = line[-300:]

    def sentence(self, reason: str) -> str:
        """The sentence for people. `reason` is the supervisor's, how the process ended."""
        if self._met:
            number = min(self._met)
            return _fill(RULES[number].sentence, self._met[number], self.model)
        if self._vanished or reason == "it was killed by SIGKILL":
            return _KILLED.format(what="a part of vLLM was" if self._vanished else "vLLM was")
        said = f" It said: {self._first_error}" if self._first_error else ""
        return f"vLLM is gone: {reason}.{said}"


def _fill(sentence: str, found: re.Match[str], model: str) -> str:
    groups = {name: (value or "").strip() for name, value in found.groupdict().items()}
    fits = groups.get("fits", "")
    filled = sentence.replace("{ to fits}", f" to at most {fits}" if fits else "").replace("{model}", model)
    for name, value in groups.items():
        filled = filled.replace(f"{{{name}}}", value)
    return filled
