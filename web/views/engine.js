// How eager it is to speak, and what decides.
import { html, useEffect, useState } from "../html.js";
import { patch, sessionPath } from "../api.js";
import { attempt, stream } from "../store.js";
import { mediaFacts } from "../words.js";

export function Engine({ session }) {
  if (!session) return null;
  const can = session.capabilities;
  return html`
    <section class="engine" aria-labelledby="engine-title">
      <h2 id="engine-title">Sensitivity</h2>
      <${Sensitivity} session=${session} />
      <dl class="facts">
        <div><dt>Engine</dt><dd><b>${session.engine}</b>${can.follows_instructions ? "" : ", does not read words"}</dd></div>
        ${session.state?.width && html`<div><dt>Picture</dt><dd>${mediaFacts(session.state)}</dd></div>`}
      </dl>
    </section>
  `;
}

/** To the right is more talkative; the server counts the other way: speak when the score reaches the threshold. */
function Sensitivity({ session }) {
  const [value, setValue] = useState(1 - session.threshold);
  useEffect(() => setValue(1 - session.threshold), [session.threshold, session.id]);
  const threshold = (1 - value).toFixed(2);

  async function save(chosen) {
    const kept = await attempt(() => patch(sessionPath(session.id), { threshold: Number((1 - chosen).toFixed(2)) }));
    if (!kept) setValue(1 - session.threshold);
  }

  return html`
    <div class="sensitivity">
      <input type="range" min="0" max="1" step="0.01" value=${value} aria-labelledby="engine-title" disabled=${stream.value.state === "gone"}
        aria-valuetext=${`Speaks from score ${threshold}`} onInput=${(e) => setValue(Number(e.target.value))} onChange=${(e) => save(Number(e.target.value))} />
      <p class="sensitivity-ends"><span>Quiet</span><span>Speaks from score ${threshold}</span><span>Talkative</span></p>
    </div>
  `;
}
