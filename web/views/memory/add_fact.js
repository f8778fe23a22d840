// Tell it a fact.
import { html, useEffect, useRef, useState } from "../../html.js";
import { addFact } from "../../state/memories.js";
import { Field } from "../common/field.js";

export function AddFact({ places, onDone }) {
  const [text, setText] = useState("");
  const [where, setWhere] = useState("");
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);
  const first = useRef(null);
  useEffect(() => first.current.focus(), []);
  async function submit(event) {
    event.preventDefault();
    if (busy) return;
    setBusy(true);
    setProblem(null);
    try {
      await addFact(text.trim(), where);
      onDone();
    } catch (error) {
      setProblem(error);
      setBusy(false);
    }
  }
  return html`
    <form class="card camera-form" onSubmit=${submit} aria-labelledby="fact-title">
      <h2 id="fact-title">Add a fact</h2>
      <${Field} id="fact-text" label="Fact" error=${problem?.fields.text} hint="It knows it from now on, wherever it may help with an answer, and keeps it.">
        <textarea id="fact-text" ref=${first} required rows="2" maxlength="2000" placeholder="The blue box on the table is mine" value=${text} onInput=${(e) => setText(e.target.value)}></textarea>
      <//>
      <${Field} id="fact-where" label="About" error=${problem?.fields.collection}>
        <select id="fact-where" value=${where} onChange=${(e) => setWhere(e.target.value)}>
          <option value="">All cameras and callers</option>
          ${places.filter(([collection]) => collection !== "shared").map(([collection, name]) => html`<option key=${collection} value=${collection}>${name}</option>`)}
        </select>
      <//>
      ${problem && html`<p class="note bad" role="alert">${problem.message}</p>`}
      <div class="actions">
        <button type="button" onClick=${onDone}>Cancel</button>
        <button class="primary" disabled=${busy || !text.trim()}>Remember it</button>
      </div>
    </form>
  `;
}
