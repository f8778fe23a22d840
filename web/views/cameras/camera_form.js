// Register a camera, or change one.
import { html, useEffect, useRef, useState } from "../../html.js";
import { cameraPath, patch, post } from "../../net/api.js";
import { engines, refreshCameras, refreshEngines, refreshSessionSettings, sessionSettings } from "../../state/lists.js";
import { maskUrl } from "../../text/format.js";
import { Field } from "../common/field.js";
import { firesAtKinds, KindChoice } from "../common/kinds.js";
import { ProbeResult, useProbe } from "./probe.js";
import { plainSettings, SettingField, toText, toValue } from "./setting_field.js";
import { UrlAnatomy } from "./url_anatomy.js";

const draftOf = (camera) => ({
  name: camera?.name ?? "",
  url: camera?.url ?? "",
  watch: "",
  kinds: null,
  settings: {},
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
    refreshSessionSettings();
  }, []);
  const set = (name, value) => setDraft((now) => ({ ...now, [name]: value }));
  const isFile = draft.url.startsWith("file:");
  const settings = settingsOf(sessionSettings.value, engines.value);
  const textOf = (name) => draft.settings[name] ?? toText(camera?.[name]);
  const wanted = textOf("engine");
  const engine = engines.value.find((one) => (wanted ? one.name === wanted : one.default));
  const byKinds = !camera && draft.watch.trim() && firesAtKinds(engine?.capabilities);

  async function submit(event) {
    event.preventDefault();
    setBusy(true);
    setProblem(null);
    try {
      await save(camera, draft, Object.fromEntries(settings.map((one) => [one.name, toValue(one, textOf(one.name))])));
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
        <input id="watch" maxlength="2000" autocomplete="off" placeholder="Tell me when somebody comes" value=${draft.watch} onInput=${(e) => set("watch", e.target.value)} />
      <//>`}
      ${byKinds &&
      html`<div class="kinds-field">
        <label class="check-line"><input type="checkbox" checked=${draft.kinds === null} onChange=${(e) => set("kinds", e.target.checked ? null : [])} /> It fires at what its words name</label>
        ${draft.kinds !== null && html`<${KindChoice} id="watch-kinds" legend="What the first watch fires at" chosen=${draft.kinds} onChange=${(kinds) => set("kinds", kinds)} />`}
      </div>`}
      <div class="form-row">
        ${settings.map((one) => html`<${SettingField} key=${one.name} setting=${one} text=${textOf(one.name)} error=${problem?.fields[one.name]} onChange=${(text) => set("settings", { ...draft.settings, [one.name]: text })} />`)}
      </div>
      ${isFile &&
      html`<div class="form-row">
        <${Field} id="speed" label="Speed" error=${problem?.fields.speed}>
          <input id="speed" type="number" min="0.1" step="0.1" value=${draft.speed} onInput=${(e) => set("speed", e.target.value)} />
        <//>
        <label class="check"><input type="checkbox" checked=${draft.loop} onChange=${(e) => set("loop", e.target.checked)} /> Play again from the start at its end</label>
      </div>`}
      ${problem && html`<p class="note bad" role="alert">${problem.message}</p>`}
      <div class="actions">
        <button type="button" onClick=${onDone}>Cancel</button>
        <button class="primary" disabled=${busy}>${camera ? "Save" : "Add camera"}</button>
      </div>
    </form>
  `;
}

/** The settings that the form shows: which engines there are is known only now, and one alone is no choice. */
function settingsOf(described, installed) {
  const choices = installed.map(({ name }) => ({ value: name, title: name, description: "" }));
  const named = described.map((one) => (one.name === "engine" ? { ...one, type: "choice", choices } : one));
  return plainSettings(named).filter((one) => one.name !== "engine" || installed.length > 1);
}

async function save(camera, draft, settings) {
  const body = { name: draft.name.trim(), url: draft.url.trim(), ...settings };
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
    placeholder="rtsp://user:password@address/path" value=${typing ? value : maskUrl(value)}
    onFocus=${reveal} onBlur=${() => setTyping(false)} onInput=${(e) => onChange(e.target.value)} />`;
}
