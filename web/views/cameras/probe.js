// Try a source once and say in words what was found.
import { html, useRef, useState } from "../../html.js";
import { post } from "../../net/api.js";
import { probeWords } from "../../text/words.js";
import { CheckIcon, WarnIcon } from "../common/icons.js";

/** A camera may take its time, and others may be tried before it. */
const PROBE_MS = 90_000;

export function useProbe() {
  const [state, setState] = useState({ busy: false, result: null });
  const round = useRef(0);
  async function run(path, body) {
    const mine = (round.current += 1);
    setState({ busy: true, result: null });
    let result;
    try {
      result = probeWords(await post(path, body, { ms: PROBE_MS }));
    } catch (error) {
      result = { good: false, title: error.message, text: "" };
    }
    if (mine === round.current) setState({ busy: false, result });
  }
  function clear() {
    round.current += 1;
    setState({ busy: false, result: null });
  }
  return { ...state, run, clear };
}

export function ProbeResult({ probe }) {
  const { busy, result } = probe;
  return html`<div class="probe" role="status">
    ${busy && html`<p class="waiting"><span class="spinner" aria-hidden="true"></span>Opening it…</p>`}
    ${result && html`<p class="note ${result.good ? "good" : "bad"}">
      ${result.good ? html`<${CheckIcon} />` : html`<${WarnIcon} />`}<span><strong>${result.title}</strong> ${result.text}</span>
    </p>`}
  </div>`;
}
