"""An agent that speaks the Agent Client Protocol and behaves as the tests need it: `acp_agent.py BEHAVIOUR …`.

What it notes for the tests goes into `notes.jsonl` in its HOME.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

BEHAVIOURS = sys.argv[1:]
HOME = Path(os.environ["HOME"])
MODES = {"currentModeId": "auto", "availableModes": [{"id": "default", "name": "Ask"}, {"id": "auto", "name": "Auto"}]}
CHOICES = [
    {"optionId": "yes", "name": "Allow", "kind": "allow_once"},
    {"optionId": "no", "name": "Reject", "kind": "reject_once"},
]
last_id = 1000


def does(behaviour):
    return behaviour in BEHAVIOURS


def note(**what):
    with (HOME / "notes.jsonl").open("a") as file:
        file.write(json.dumps(what) + "\n")


def send(message):
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def receive():
    line = sys.stdin.readline()
    if not line:
        sys.exit(0)
    return json.loads(line)


def tell(session, update):
    send({"method": "session/update", "params": {"sessionId": session, "update": update}})


def say(session, text):
    tell(session, {"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": text}})


def ask(method, params):
    """Its answer; everything else that comes meanwhile is noted."""
    global last_id
    last_id += 1
    send({"id": last_id, "method": method, "params": params})
    while True:
        message = receive()
        if message.get("id") == last_id and "method" not in message:
            return message
        note(meanwhile=message.get("method"))


def permission(session, command):
    call = {"toolCallId": "call_1", "title": "Run it", "kind": "execute", "rawInput": {"command": command}}
    tell(session, {"sessionUpdate": "tool_call", "status": "pending", **call})
    options = [] if does("no_choice") else CHOICES[:1] if does("only_allow") else CHOICES
    answer = ask(
        "session/request_permission", {"sessionId": session, "toolCall": {"toolCallId": "call_1"}, "options": options}
    )
    note(permission=answer.get("result", {}).get("outcome"))
    return answer.get("result", {}).get("outcome", {}).get("optionId") == "yes"


SPREAD = """
import os, subprocess, sys, time
subprocess.Popen(["sleep", "1000"], start_new_session=True)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        import signal
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(1000)
    os._exit(0)
"""


def work(session, text):
    if does("spread"):
        subprocess.run([sys.executable, "-c", SPREAD], check=True)
    if does("exit"):
        sys.stderr.write("fatal: no model for SECRET_WORD_1\n")
        sys.exit(3)
    if does("broken"):
        print('{"jsonrpc": "2.0", "id": ', flush=True)
        time.sleep(1000)
    if does("flood"):
        piece = "x" * 1000
        for _ in range(100_000):
            say(session, piece)
    if does("complain"):
        for _ in range(1600):
            sys.stderr.write("y" * 65_536)
    if does("long_line"):
        say(session, "z" * 50_000_000)
    if does("memory"):
        held = bytearray(os.urandom(1_000_000)) * 400
        time.sleep(1000)
        del held
    if does("fills"):
        for number in range(1000):
            (HOME if does("home") else Path("deep/er")).mkdir(parents=True, exist_ok=True)
            place = HOME if does("home") else Path("deep/er")
            (place / f"{number}.bin").write_bytes(os.urandom(1_000_000))
            time.sleep(0.01)
        time.sleep(1000)
    if does("one_file"):
        try:
            with Path("big.bin").open("wb") as file:
                for _ in range(40):
                    file.write(bytes(1_000_000))
        except OSError as error:
            note(file=error.strerror)
            Path("big.bin").unlink()
    if does("many"):
        for _ in range(50):
            subprocess.Popen(["sleep", "1000"], start_new_session=True)
    if does("hang"):
        time.sleep(1000)
    if does("outside"):
        for place in json.loads(os.environ["OUTSIDE"]):
            try:
                Path(place).write_text("mine")
                note(wrote=place)
            except OSError as error:
                note(failed=place, why=error.strerror)
        try:
            os.kill(int(os.environ["VICTIM"]), 0)
            note(signal="sent")
        except OSError as error:
            note(signal=error.strerror)
    if does("settings"):
        Path("opencode.json").write_text('{"permission": {"*": "allow"}}')
    if does("craft"):
        note(refused=ask("craft/anything", {}).get("error", {}).get("code"))
        note(refused=ask("fs/read_text_file", {"sessionId": session, "path": "/etc/passwd"})["error"]["code"])
    if does("leave_mode"):
        tell(session, {"sessionUpdate": "current_mode_update", "currentModeId": "auto"})
        time.sleep(1000)
    while does("asks_for_ever"):
        permission(session, "rm -rf /")
    if does("asks"):
        say(session, "I look into it.")
        if not permission(session, "echo done > proof.txt"):
            if not does("mute"):
                say(session, "I was not allowed to.")
            return
        Path("proof.txt").write_text("done")
    if does("runs"):
        subprocess.run(["sh", "-c", os.environ["RUN"]], check=True)
    if does("writes"):
        Path("report.md").write_text("# Report")
    if does("thinks"):
        tell(session, {"sessionUpdate": "agent_thought_chunk", "content": {"type": "text", "text": "It is a\nred van"}})
        plan = [{"content": "Read the plate", "status": "in_progress", "priority": "high"}]
        tell(session, {"sessionUpdate": "plan", "entries": plan})
    if does("mute"):
        return
    say(session, "It is a ")
    say(session, "**red** van.")


def main():
    if does("stray"):
        print("Welcome to the agent!", flush=True)
    while True:
        message = receive()
        method, params, request_id = message.get("method"), message.get("params", {}), message.get("id")
        if method == "initialize":
            note(env=dict(os.environ), cwd=os.getcwd(), nice=os.nice(0), asked=params)
            if does("no_greeting"):
                time.sleep(1000)
            abilities = {"loadSession": not does("forgets"), "promptCapabilities": {"image": not does("blind")}}
            hello = {"protocolVersion": 7 if does("other_version") else 1, "agentCapabilities": abilities}
            send({"id": request_id, "result": {**hello, "agentInfo": {"name": "test", "version": "1.2"}}})
        elif method == "session/new":
            if does("wants_login"):
                send({"id": request_id, "error": {"code": -32000, "message": "Authentication required"}})
                continue
            modes = {} if does("no_modes") else {"modes": MODES}
            if does("only_auto"):
                modes = {"modes": {**MODES, "availableModes": MODES["availableModes"][1:]}}
            send({"id": request_id, "result": {"sessionId": "ses_new", **modes}})
        elif method == "session/load":
            note(load=params["sessionId"])
            if does("lost"):
                send({"id": request_id, "error": {"code": -32602, "message": "no such session"}})
                continue
            say(params["sessionId"], "What I said before.")
            send({"id": request_id, "result": {"modes": MODES}})
        elif method == "session/set_mode":
            note(mode=params["modeId"])
            wrong = {"error": {"code": -32602, "message": "no such mode"}}
            send({"id": request_id, **(wrong if does("refuses_mode") else {"result": {}})})
        elif method == "session/prompt":
            blocks = params["prompt"]
            note(session=params["sessionId"], text=blocks[0]["text"], kinds=[block["type"] for block in blocks])
            note(files=sorted(path.name for path in Path().iterdir()))
            if does("fails"):
                send({"id": request_id, "error": {"code": -32603, "message": "Internal error", "data": "no credit"}})
                continue
            work(params["sessionId"], blocks[0]["text"])
            reason = "refusal" if does("refuses") else "max_tokens" if does("cut") else "end_turn"
            send({"id": request_id, "result": {"stopReason": reason}})
        else:
            note(got=method)


main()
