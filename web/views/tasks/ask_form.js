// Ask an agent by hand.
import { html, useEffect, useRef, useState } from "../../html.js";
import { may } from "../../net/auth.js";
import { sessions } from "../../state/lists.js";
import { agents, askAgent, checkAgent } from "../../state/tasks.js";
import { sentence } from "../../text/words.js";
import { Field } from "../common/field.js";
import { CheckIcon, WarnIcon } from "../common/icons.js";

const EMPTY = { question: "", agent: "", sessionId: "" };

export function AskForm({ onDone }) {
  const [draft, setDraft] = useState(EMPTY);
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);
  const first = useRef(null);
  useEffect(() => first.current.focus(), []);
  const check = useCheck();
  const set = (name) => (event) => setDraft((now) => ({ ...now, [name]: event.target.value }));
  const known = agents.value ?? [];
  const agent = known.find((one) => (draft.agent ? one.name === draft.agent : one.default));

  async function submit(event) {
    event.preventDefault();
    if (busy) return;
    setBusy(true);
    setProblem(null);
    try {
      await askAgent(draft.question.trim(), draft);
      onDone();
    } catch (error) {
      setProblem(error);
      setBusy(false);
    }
  }

  return html`
    <form class="card camera-form" onSubmit=${submit} aria-labelledby="ask-title">
      <h2 id="ask-title">Ask an agent</h2>
      <${Field} id="task-question" label="Question" error=${problem?.fields.question}>
        <textarea id="task-question" ref=${first} required rows="3" maxlength="8000" placeholder="Which parcel service has a van like this one?" value=${draft.question} onInput=${set("question")}></textarea>
      <//>
      <div class="form-row ask-row">
        <${Field} id="task-agent" label="Agent" error=${problem?.fields.agent} hint=${agent?.about && sentence(agent.about)}>
          <div class="agent-row">
            <select id="task-agent" value=${draft.agent} onChange=${(e) => { set("agent")(e); check.clear(); }}>
              <option value="">The server's choice</option>
              ${known.map((one) => html`<option key=${one.name} value=${one.name}>${one.name}</option>`)}
            </select>
            ${may("GET /v1/agents/{name}") && html`<button type="button" disabled=${!agent || check.busy} onClick=${() => check.run(agent.name)}>${check.busy ? "Testing…" : "Test"}</button>`}
          </div>
        <//>
        <${Field} id="task-session" label="About" error=${problem?.fields.session_id} hint=${draft.sessionId ? "It gets the last pictures, and what was said." : "Without a camera it gets the question alone."}>
          <select id="task-session" value=${draft.sessionId} onChange=${set("sessionId")}>
            <option value="">Nothing that is watched</option>
            ${(sessions.value ?? []).map((one) => html`<option key=${one.id} value=${one.id}>${one.name}</option>`)}
          </select>
        <//>
      </div>
      <div class="probe" role="status">
        ${check.result && html`<p class=${`note ${check.result.ready ? "good" : "bad"}`}>${check.result.ready ? html`<${CheckIcon} />` : html`<${WarnIcon} />`}<span>${sentence(check.result.message)}</span></p>
          <${CheckFacts} check=${check.result} />`}
      </div>
      ${problem && html`<p class="note bad" role="alert">${problem.message}</p>`}
      <div class="actions">
        <button type="button" onClick=${onDone}>Cancel</button>
        <button class="primary" disabled=${busy || !draft.question.trim()}>Ask</button>
      </div>
    </form>
  `;
}

/** What else is known of an agent that was tested: above all, what keeps it from doing harm. */
function CheckFacts({ check: { version, sandbox } }) {
  const facts = [["Version", version], ["Sandbox", sandbox]].filter(([, text]) => text);
  return facts.length > 0 && html`<dl class="check-facts">${facts.map(([name, text]) => html`<div key=${name}><dt>${name}</dt><dd>${text}</dd></div>`)}</dl>`;
}

/** Whether an agent has all that it needs, in its own words. */
function useCheck() {
  const [state, setState] = useState({ busy: false, result: null });
  const round = useRef(0);
  async function run(name) {
    const mine = (round.current += 1);
    setState({ busy: true, result: null });
    const result = await checkAgent(name).catch((error) => ({ ready: false, message: error.message }));
    if (mine === round.current) setState({ busy: false, result });
  }
  function clear() {
    round.current += 1;
    setState({ busy: false, result: null });
  }
  return { ...state, run, clear };
}

/** What to do where nobody can be asked. */
export const NoAgent = () => html`
  <section class="card empty-state no-agent">
    <h2>No agent is configured</h2>
    <p class="muted">So nobody can look into what the model hands over. Name one in the server's settings and start it again:</p>
    <pre class="settings-example" tabindex="0"><code>agents:
  entries:
    codex:
      type: acp
      options: {preset: codex}</code></pre>
    <p class="muted">docs/agents.md tells how Codex, Claude Code, OpenCode, OpenClaw or a model of your own are connected. <code>joyvl agents check codex</code> then says what is still missing.</p>
  </section>
`;
