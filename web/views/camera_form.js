// Register a camera, or change one.
import { html, useEffect, useRef, useState } from "../html.js";
import { cameraPath, patch, post } from "../api.js";
import { maskUrl } from "../format.js";
import { engines, refreshCameras, refreshEngines } from "../store.js";
import { FIDELITIES } from "../words.js";
import { firesAtKinds, KindChoice } from "./kinds.js";
import { ProbeResult, useProbe } from "./probe.js";
import { UrlAnatomy } from "./url_anatomy.js";

const draftOf = (camera) => ({
  name: camera?.name ?? "",
  url: camera?.url ?? "",
  watch: "",
  kinds: null,
  engine: camera?.engine ?? "",
  fidelity: camera?.fidelity ?? "",
  frames: String(camera?.frames_per_tick ?? ""),
  loop: camera?.loop ?? false,
  speed: String(camera?.speed ?? 1),
});

export function CameraForm({ camera, onDone }) {
  const [draft, setDraft] = useState(() => draftOf(camera));
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);
  const first = useRef(null);
  const probe = useProbe();
  useEffect(() => {
    first.current.focus();
    refreshEngines();
  }, []);
  const set = (name, value) => setDraft((now) => ({ ...now, [name]: value }));
  const isFile = draft.url.startsWith("file:");
  const engine = engines.value.find((one) => (draft.engine ? one.name === draft.engine : one.default));
  const byKinds = !camera && draft.watch.trim() && firesAtKinds(engine?.capabilities);

  async function submit(event) {
    event.preventDefault();
    setBusy(true);
    setProblem(null);
    try {
      await save(camera, draft);
      await refreshCameras();
      onDone();
    } catch (error) {
      setProblem(error);
      setBusy(false);
    }
  }

  function test() {
    // A stored password is not known here, so an unchanged URL is tested by the camera's own probe.
    if (camera && draft.url === camera.url) probe.run(cameraPath(camera.id, "/probe"));
    else probe.run("/v1/cameras/probe", { url: draft.url.trim() });
  }

  return html`
    <form class="card camera-form" onSubmit=${submit} aria-labelledby="form-title">
      <h2 id="form-title">${camera ? `Change ${camera.name}` : "Add a camera"}</h2>
      <${Field} id="name" label="Name" error=${problem?.fields.name}>
        <input id="name" ref=${first} required maxlength="100" autocomplete="off" placeholder="Front door" value=${draft.name} onInput=${(e) => set("name", e.target.value)} />
      <//>
      <${Field} id="url" label="URL" error=${problem?.fields.url} hint="A password in it is stored on the server and shown as *** from then on.">
        <div class="url-row">
          <${UrlInput} value=${draft.url} onChange=${(url) => { set("url", url); probe.clear(); }} />
          <button type="button" disabled=${!draft.url.trim() || probe.busy} onClick=${test}>${probe.busy ? "Testing…" : "Test"}</button>
        </div>
      <//>
      <${ProbeResult} probe=${probe} />
      ${!camera && html`<details class="help"><summary>What does an RTSP URL look like?</summary><${UrlAnatomy} /></details>`}
      ${!camera &&
      html`<${Field} id="watch" label="First watch" optional>
        <input id="watch" maxlength="2000" autocomplete="off" placeholder="Tell me when somebody comes to the door" value=${draft.watch} onInput=${(e) => set("watch", e.target.value)} />
      <//>`}
      ${byKinds &&
      html`<div class="kinds-field">
        <label class="check-line"><input type="checkbox" checked=${draft.kinds === null} onChange=${(e) => set("kinds", e.target.checked ? null : [])} /> It fires at what its words name</label>
        ${draft.kinds !== null && html`<${KindChoice} id="watch-kinds" legend="What the first watch fires at" chosen=${draft.kinds} onChange=${(kinds) => set("kinds", kinds)} />`}
      </div>`}
      <div class="form-row">
        ${engines.value.length > 1 &&
        html`<${Field} id="engine" label="Engine" error=${problem?.fields.engine}>
          <select id="engine" value=${draft.engine} onChange=${(e) => set("engine", e.target.value)}>
            <option value="">The server's default</option>
            ${engines.value.map((engine) => html`<option key=${engine.name} value=${engine.name}>${engine.name}</option>`)}
          </select>
        <//>`}
        <${Field} id="fidelity" label="Pictures" error=${problem?.fields.fidelity} hint=${FIDELITIES.find(([value]) => value === draft.fidelity)?.[2]}>
          <select id="fidelity" value=${draft.fidelity} onChange=${(e) => set("fidelity", e.target.value)}>
            <option value="">The server's default</option>
            ${FIDELITIES.map(([value, name]) => html`<option key=${value} value=${value}>${name}</option>`)}
          </select>
        <//>
        <${Field} id="frames" label="Pictures a look" error=${problem?.fields.frames_per_tick} hint=${Number(draft.frames) > 1 ? "For fast scenes: each costs as much as a look." : undefined}>
          <select id="frames" value=${draft.frames} onChange=${(e) => set("frames", e.target.value)}>
            <option value="">The server's default</option>
            ${["1", "2", "4"].map((n) => html`<option key=${n} value=${n}>${n}</option>`)}
          </select>
        <//>
        ${isFile &&
        html`<${Field} id="speed" label="Speed" error=${problem?.fields.speed}>
            <input id="speed" type="number" min="0.1" step="0.1" value=${draft.speed} onInput=${(e) => set("speed", e.target.value)} />
          <//>
          <label class="check"><input type="checkbox" checked=${draft.loop} onChange=${(e) => set("loop", e.target.checked)} /> Play again from the start at its end</label>`}
      </div>
      ${problem && html`<p class="note bad" role="alert">${problem.message}</p>`}
      <div class="actions">
        <button type="button" onClick=${onDone}>Cancel</button>
        <button class="primary" disabled=${busy}>${camera ? "Save" : "Add camera"}</button>
      </div>
    </form>
  `;
}

async function save(camera, draft) {
  const body = {
    name: draft.name.trim(),
    url: draft.url.trim(),
    engine: draft.engine || null,
    fidelity: draft.fidelity || null,
    frames_per_tick: Number(draft.frames) || null,
  };
  if (body.url.startsWith("file:")) Object.assign(body, { loop: draft.loop, speed: Number(draft.speed) || 1 });
  if (!camera) {
    if (draft.watch.trim()) body.watches = [{ text: draft.watch.trim(), kinds: draft.kinds }];
    return post("/v1/cameras", body);
  }
  const changes = Object.fromEntries(Object.entries(body).filter(([name, value]) => camera[name] !== value));
  return Object.keys(changes).length ? patch(cameraPath(camera.id), changes) : camera;
}

/** Shows the password only while the field is being typed in. */
function UrlInput({ value, onChange }) {
  const [typing, setTyping] = useState(false);
  const reveal = (event) => {
    // At once, not at the next render: what is pasted right now must replace all of it.
    event.target.value = value;
    event.target.select();
    setTyping(true);
  };
  return html`<input id="url" required maxlength="2000" autocomplete="off" spellcheck=${false} autocapitalize="off" inputmode="url"
    placeholder="rtsp://user:password@192.168.1.20:554/stream1" value=${typing ? value : maskUrl(value)}
    onFocus=${reveal} onBlur=${() => setTyping(false)} onInput=${(e) => onChange(e.target.value)} />`;
}

function Field({ id, label, error, hint, optional, children }) {
  return html`
    <div class="field">
      <label for=${id}>${label}${optional && html` <span class="muted">optional</span>`}</label>
      ${children}
      ${hint && html`<p class="hint">${hint}</p>`}
      ${error && html`<p class="field-error">${error}</p>`}
    </div>
  `;
}
