// Server-sent events by `fetch`, which can say where it left off; they come back by themselves and miss nothing.
import { refused, signIns } from "./auth.js";
import { fromProxy, heard, missed, onReturn } from "./contact.js";

const PAUSES_MS = [500, 1000, 2000, 5000];
const REFUSED_MS = 10_000;
/** The server gives a sign of life every two seconds. */
const SILENT_MS = 12_000;

/**
 * Follow `path` until `stop()`, while the page is visible (`unseen`: also while it is not: browsers hold few connections
 * open at once, so only one tab should).
 * @param {string} path
 * @param {{onEvent: (data: object) => void, onState?: (state: "connecting"|"live"|"away") => void, unseen?: boolean}} options
 * @returns {{stop: () => void}}
 */
export function followEvents(path, { onEvent, onState = () => {}, unseen = false }) {
  let lastId = null;
  let aborter = null;
  let stopped = false;
  let failures = 0;
  let retry = null;

  async function run() {
    clearTimeout(retry);
    if (stopped || aborter || (document.hidden && !unseen)) return;
    const mine = new AbortController();
    aborter = mine;
    const then = signIns();
    let wait = null;
    const quiet = watchSilence(mine);
    try {
      const headers = { Accept: "text/event-stream", ...(lastId && { "Last-Event-ID": lastId }) };
      const response = await fetch(path, { headers, signal: mine.signal, cache: "no-store" });
      if (response.status === 401) refused(then);
      if (!response.ok || !(response.headers.get("Content-Type") ?? "").startsWith("text/event-stream")) {
        if (!fromProxy(response)) wait = REFUSED_MS;
        throw new Error(`refused with ${response.status}`);
      }
      onState("live");
      await read(response, quiet.sign);
    } catch {
      // It broke off, was refused, or is not wanted any more.
    } finally {
      quiet.stop();
    }
    if (aborter === mine) aborter = null;
    if (stopped || mine.signal.reason === HIDDEN) return;
    onState("away");
    failures += 1;
    retry = setTimeout(run, wait ?? PAUSES_MS[Math.min(failures - 1, PAUSES_MS.length - 1)]);
  }

  async function read(response, sign) {
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    let fields = {};
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      sign();
      failures = 0;
      const lines = (rest + value).split(/\r\n|\n|\r/);
      rest = lines.pop();
      for (const line of lines) fields = take(line, fields);
    }
  }

  function take(line, fields) {
    if (line === "") {
      if (fields.id !== undefined) lastId = fields.id;
      const data = fields.data === undefined ? null : parsed(fields.data);
      if (data && !stopped) onEvent(data);
      return {};
    }
    const at = line.indexOf(":");
    if (at === 0) return fields; // a comment: a sign of life
    const name = at < 0 ? line : line.slice(0, at);
    const value = at < 0 ? "" : line.slice(at + 1).replace(/^ /, "");
    if (name === "data") return { ...fields, data: fields.data === undefined ? value : `${fields.data}\n${value}` };
    return { ...fields, [name]: value };
  }

  function onVisible() {
    if (document.hidden) {
      clearTimeout(retry);
      aborter?.abort(HIDDEN);
      aborter = null;
    } else {
      run();
    }
  }

  const forget = onReturn(run);
  if (!unseen) document.addEventListener("visibilitychange", onVisible);
  onState("connecting");
  run();
  return {
    stop() {
      stopped = true;
      clearTimeout(retry);
      forget();
      document.removeEventListener("visibilitychange", onVisible);
      aborter?.abort();
    },
  };
}

const HIDDEN = "the page is hidden";

function watchSilence(aborter) {
  let began = Date.now();
  let timer = null;
  const expect = () => {
    clearTimeout(timer);
    began = Date.now();
    timer = setTimeout(() => {
      missed(began);
      aborter.abort();
    }, SILENT_MS);
  };
  expect();
  return {
    sign() {
      heard();
      expect();
    },
    stop: () => clearTimeout(timer),
  };
}

function parsed(text) {
  try {
    const data = JSON.parse(text);
    return typeof data === "object" ? data : null;
  } catch {
    return null;
  }
}
