"""Replays docker/Dockerfile without Docker: each stage is a folder, made with debootstrap and chroot. Needs root.

    python scripts/image_replay.py CACHE        makes the stages that change seldom, which take minutes

It knows the instructions that our Dockerfile uses, and refuses others. A stage that is kept in CACHE has the hash
of all that it follows from in its name.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

CONTEXT = Path(__file__).resolve().parents[1]
DOCKERFILE = CONTEXT / "docker" / "Dockerfile"
MIRROR = "http://deb.debian.org/debian"
KEPT = ("base", "packages")
"""stages that are kept in the cache"""
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
PASSED_ON = re.compile(r"(?i)(?:https?|no)_proxy|pip_index_url|pip_default_timeout")
RECORDED = {"USER", "EXPOSE", "VOLUME", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD"}


@dataclass
class Stage:
    """`parent`: the name of another stage or of a published image."""

    name: str
    parent: str
    steps: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class Image:
    """What a stage came to: its files and how it is started."""

    root: Path
    environment: dict[str, str]
    settings: dict[str, str]
    """the recorded instructions, like USER, as they were written"""

    def command(self, keyword: str) -> list[str]:
        """ENTRYPOINT or CMD, or the command of HEALTHCHECK, in the form of a list."""
        return list(json.loads(self.settings[keyword].partition("CMD ")[2] or self.settings[keyword]))


def read_stages(text: str) -> dict[str, Stage]:
    """The stages by name, in their order. Raises `ValueError` for what is not understood."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    stages: dict[str, Stage] = {}
    current: Stage | None = None
    for line in re.sub(r"\\\n", " ", "\n".join(lines)).splitlines():
        if not line.strip():
            continue
        keyword, _, rest = line.strip().partition(" ")
        if keyword == "FROM":
            parent, _, name = rest.partition(" AS ")
            current = stages[name] = Stage(name, parent)
        elif current is None or keyword not in {"RUN", "COPY", "WORKDIR", "ENV", "ARG", *RECORDED}:
            raise ValueError(f"not understood: {line}")
        else:
            current.steps.append((keyword, " ".join(rest.split()) if keyword != "RUN" else rest.strip()))
    return stages


class ImageReplay:
    """`cache`: where kept stages are; `work`: where the others are made again by each object."""

    def __init__(self, cache: Path, work: Path) -> None:
        self._cache = cache
        self._work = work
        self._stages = read_stages(DOCKERFILE.read_text("utf-8"))
        self._made: dict[str, Image] = {}

    def make(self, name: str) -> Image:
        """The stage and all it is made from. Raises `CalledProcessError` when a step fails."""
        if name not in self._made:
            self._made[name] = self._debian(name) if name not in self._stages else self._stage(self._stages[name])
        return self._made[name]

    def is_there(self, name: str) -> bool:
        return (self._kept(name) / ".complete").is_file()

    # ------------------------------------------------------------------------------------------------------- stages

    def _stage(self, stage: Stage) -> Image:
        parent = self.make(stage.parent)
        if stage.name in KEPT:
            with self._making(stage.name) as root:
                if root is not None:
                    _copy_tree(parent.root, root)
                return self._replay(stage, parent, self._kept(stage.name) / "root", files=root is not None)
        root = self._work / stage.name
        _copy_tree(parent.root, root)
        return self._replay(stage, parent, root, files=True)

    def _debian(self, name: str) -> Image:
        release = re.fullmatch(r"debian:(\w+)-slim", name)
        if release is None:
            raise ValueError(f"only debian:…-slim can be replayed, not {name}")
        with self._making(name) as root:
            if root is not None:
                print(f"debootstrap {release[1]}", file=sys.stderr)
                command = ["debootstrap", "--variant=minbase", release[1], str(root), MIRROR]
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
                for suite in (f"{release[1]}-updates", f"{release[1]}-security"):
                    address = MIRROR if suite.endswith("updates") else f"{MIRROR}-security"
                    with (root / "etc/apt/sources.list").open("a") as sources:
                        sources.write(f"deb {address} {suite} main\n")
        return Image(self._kept(name) / "root", {"PATH": PATH}, {})

    def _replay(self, stage: Stage, parent: Image, root: Path, *, files: bool) -> Image:
        """`files` False: all files are there already."""
        image = Image(root, dict(parent.environment), dict(parent.settings))
        arguments: dict[str, str] = {}
        folder = image.settings.get("WORKDIR", "/")
        for keyword, text in stage.steps:
            if keyword == "ARG":
                name, _, default = text.partition("=")
                arguments[name] = default
            elif keyword == "ENV":
                image.environment.update(part.split("=", 1) for part in shlex.split(text))
            elif keyword in RECORDED:
                image.settings[keyword] = text
            elif keyword == "WORKDIR":
                image.settings["WORKDIR"] = folder = text
                if files:
                    (root / folder.lstrip("/")).mkdir(parents=True, exist_ok=True)
            elif files and keyword == "COPY":
                self._copy(text, root, folder)
            elif files:
                self._run(text, root, folder, {**image.environment, **arguments})
        return image

    def _copy(self, text: str, root: Path, folder: str) -> None:
        words = text.split()
        source = CONTEXT
        if words[0].startswith("--from="):
            source = self.make(words.pop(0).removeprefix("--from=")).root
        target = root / os.path.join(folder, words[-1]).lstrip("/")
        for name in words[:-1]:
            origin = source / name.lstrip("/")
            if origin.is_dir():
                _copy_tree(origin, target)
            else:
                into = target / origin.name if words[-1].endswith("/") else target
                into.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(origin, into)

    def _run(self, text: str, root: Path, folder: str, environment: dict[str, str]) -> None:
        """A RUN step: as root in the stage's files, with the network and the host's certificates."""
        mounts = [("/dev", "/dev"), ("/etc/resolv.conf", "/etc/resolv.conf"), (str(CERTIFICATES), "/run/certificates")]
        while found := re.match(r"--mount=type=cache,target=(\S+)\s+", text):
            text = text[found.end() :]
            place = self._cache / "image-downloads"
            place.mkdir(parents=True, exist_ok=True)
            mounts.append((str(place), found[1]))
        script = ["set -e"]
        for origin, target in mounts:
            inside = root / target.lstrip("/")
            made = "mkdir -p" if Path(origin).is_dir() else "touch"
            if not inside.exists():
                script.append(f"{made} {shlex.quote(str(inside))}")
            script.append(f"mount --bind {shlex.quote(origin)} {shlex.quote(str(inside))}")
        script.append(f"mount -t proc proc {shlex.quote(str(root / 'proc'))}")
        passed = {name: value for name, value in os.environ.items() if PASSED_ON.fullmatch(name)}
        given = {
            "HOME": "/root",
            **environment,
            **passed,
            "PIP_CERT": "/run/certificates",
            "DEBIAN_FRONTEND": "noninteractive",
        }
        pairs = " ".join(shlex.quote(f"{name}={value}") for name, value in given.items())
        command = shlex.quote(f"cd {folder} && {text}")
        script.append(f"exec chroot {shlex.quote(str(root))} /usr/bin/env -i {pairs} /bin/sh -ec {command}")
        print(f"RUN {text[:100]}", file=sys.stderr)
        done = subprocess.run(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", "\n".join(script)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"RUN {text}\nended with {done.returncode}:\n{done.stdout[-3000:]}")

    # -------------------------------------------------------------------------------------------------------- cache

    def _kept(self, name: str) -> Path:
        return self._cache / f"image-{re.sub(r'[^a-z]+', '-', name)}-{self._key(name)}"

    def _key(self, name: str) -> str:
        found = hashlib.sha256(name.encode())
        if name in self._stages:
            stage = self._stages[name]
            found.update(self._key(stage.parent).encode())
            for keyword, text in stage.steps:
                found.update(f"{keyword} {text}\n".encode())
                if keyword == "COPY":
                    for part in text.split()[:-1]:
                        found.update(_content(CONTEXT / part))
        return found.hexdigest()[:16]

    @contextmanager
    def _making(self, name: str) -> Iterator[Path | None]:
        """Yields the folder to fill, or None where another one has filled it; one process at a time."""
        kept = self._kept(name)
        self._cache.mkdir(parents=True, exist_ok=True)
        with Path(f"{kept}.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if self.is_there(name):
                yield None
            else:
                shutil.rmtree(kept, ignore_errors=True)
                (kept / "root").mkdir(parents=True)
                yield kept / "root"
            (kept / ".complete").touch()


def _content(path: Path) -> bytes:
    """What a kept stage follows from: of pyproject.toml only what can be installed."""
    if path.name != "pyproject.toml":
        return path.read_bytes()
    project = tomllib.loads(path.read_text("utf-8"))["project"]
    return json.dumps([project["dependencies"], project["optional-dependencies"]]).encode()


def _copy_tree(source: Path, target: Path) -> None:
    """As `COPY` of a folder: what is in it, with owners and rights."""
    target.mkdir(parents=True, exist_ok=True)
    left_out = ["--exclude=__pycache__"] if source.is_relative_to(CONTEXT) else []
    pack = subprocess.Popen(["tar", "-C", str(source), *left_out, "-cf", "-", "."], stdout=subprocess.PIPE)
    subprocess.run(["tar", "-C", str(target), "-xpf", "-"], stdin=pack.stdout, check=True)
    if pack.wait() != 0:
        raise RuntimeError(f"{source} could not be copied")


if __name__ == "__main__":
    if sys.argv[1] == "--find":
        replay = ImageReplay(Path(sys.argv[2]), Path("/nonexistent"))
        sys.exit(0 if all(replay.is_there(name) for name in KEPT) else 1)
    ImageReplay(Path(sys.argv[1]), Path("/nonexistent")).make(KEPT[-1])
