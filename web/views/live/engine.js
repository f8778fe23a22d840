// How eager it is to speak, what pictures may cost, and what decides.
import { html, useEffect, useState } from "../../html.js";
import { patch, sessionPath } from "../../net/api.js";
import { may } from "../../net/auth.js";
import { choicesOf, refreshSessionSettings } from "../../state/lists.js";
import { attempt } from "../../state/messages.js";
import { stream, tryingThreshold, view } from "../../state/session.js";
import { mediaFacts, modeWords } from "../../text/words.js";

const changes = () => may("PATCH /v1/sessions/{session_id}");

export function Engine({ session }) {
  if (!session) return null;
  const can = session.capabilities;
  return html`
    <section class="engine" aria-labelledby="engine-title">
      <h2 id="engine-title">Sensitivity</h2>
      ${changes() ? html`<${Sensitivity} session=${session} /><${Fidelity} session=${session} />` : html`<${AsItIs} session=${session} />`}
      <dl class="facts">
        <div><dt>Engine</dt><dd><b>${session.engine}</b>, ${modeWords(can)}</dd></div>
        ${session.state?.width && html`<div><dt>Picture</dt><dd>${mediaFacts(session.state)}</dd></div>`}
      </dl>
      ${can.note && html`<p class="hint engine-note">${can.note}</p>`}
    </section>
  `;
}

/** For those who may not change it. */
function AsItIs({ session }) {
  useEffect(() => {
    refreshSessionSettings();
  }, []);
  const fidelity = choicesOf("fidelity").find((one) => one.value === session.fidelity)?.title ?? session.fidelity;
  return html`
    <p class="hint">Speaks from score <b>${session.threshold.toFixed(2)}</b>.</p>
    ${session.capabilities.scores && html`<${Reached} threshold=${session.threshold} />`}
    <p class="hint">${session.capabilities.needs_every_frame ? `The engine ${session.engine} looks at every picture in full.` : html`Pictures: <b>${fidelity}</b>`}</p>
  `;
}

/** To the right is more talkative; the server counts the other way: speak when the score reaches the threshold. */
function Sensitivity({ session }) {
  const [value, setValue] = useState(1 - session.threshold);
  useEffect(() => setValue(1 - session.threshold), [session.threshold, session.id]);
  useEffect(() => () => (tryingThreshold.value = null), []);
  const threshold = (1 - value).toFixed(2);

  function move(chosen) {
    setValue(chosen);
    tryingThreshold.value = 1 - chosen;
  }

  async function save(chosen) {
    const kept = await attempt(() => patch(sessionPath(session.id), { threshold: Number((1 - chosen).toFixed(2)) }));
    if (!kept) setValue(1 - session.threshold);
    tryingThreshold.value = null;
  }

  return html`
    <div class="sensitivity">
      <input type="range" min="0" max="1" step="0.01" value=${value} aria-labelledby="engine-title" disabled=${stream.value.state === "gone"}
        aria-valuetext=${`Speaks from score ${threshold}`} onInput=${(e) => move(Number(e.target.value))} onChange=${(e) => save(Number(e.target.value))} />
      <p class="sensitivity-ends"><span>Quiet</span><span>Speaks from score ${threshold}</span><span>Talkative</span></p>
      ${session.capabilities.scores && html`<${Reached} threshold=${1 - value} />`}
    </div>
  `;
}

/** What the slider's place would have meant lately: the line in the strip, in a number. */
function Reached({ threshold }) {
  const scored = view.value.ticks.slice(-120).filter((tick) => tick.score !== null);
  if (scored.length < 10) return null;
  const reached = scored.filter((tick) => tick.score >= threshold - 1e-9).length;
  return html`<p class="hint">${reached} of the last ${scored.length} decisions reached it.</p>`;
}

function Fidelity({ session }) {
  const [wanted, setWanted] = useState(null);
  useEffect(() => setWanted(null), [session.fidelity]);
  useEffect(() => {
    refreshSessionSettings();
  }, []);
  const chosen = wanted ?? session.fidelity;
  const choices = choicesOf("fidelity");
  if (session.capabilities.needs_every_frame) {
    return html`<p class="hint">The engine ${session.engine} looks at every picture in full.</p>`;
  }

  async function choose(fidelity) {
    setWanted(fidelity);
    if (!(await attempt(() => patch(sessionPath(session.id), { fidelity })))) setWanted(null);
  }

  return html`
    <details class="fidelity">
    <summary>Pictures: <b>${choices.find((one) => one.value === chosen)?.title ?? chosen}</b></summary>
    <fieldset disabled=${stream.value.state !== "live"}>
      <legend class="visually-hidden">What frames may cost</legend>
      ${choices.map(({ value, title, description }) => html`
        <label key=${value} class=${chosen === value ? "chosen" : ""}>
          <input type="radio" name="fidelity" value=${value} checked=${chosen === value} onChange=${() => choose(value)} />
          <span><b>${title}</b><span class="meaning">${description}</span></span>
        </label>`)}
      <p class="hint">A change takes effect with the next picture.</p>
    </fieldset>
    </details>
  `;
}
