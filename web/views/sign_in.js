// Asks for the API key after the server refused a request without one.
import { html, useState } from "../html.js";
import { get } from "../net/api.js";
import { keepKey } from "../net/auth.js";
import { Logo } from "./common/icons.js";

export function SignIn() {
  const [key, setKey] = useState("");
  const [error, setError] = useState("");
  const [busy, setBusy] = useState(false);

  async function submit(event) {
    event.preventDefault();
    setBusy(true);
    try {
      await get("/v1/sessions?limit=1", { key: key.trim() });
      keepKey(key.trim());
    } catch (problem) {
      setError(problem.status === 401 ? "The server does not know this key." : problem.message);
      setBusy(false);
    }
  }

  return html`
    <main class="sign-in">
      <form class="card" onSubmit=${submit}>
        <${Logo} />
        <h1>This server asks for a key</h1>
        <p class="muted">It is one of the keys in the server's setting <code>server.api_keys</code>. This tab keeps it until you close it.</p>
        <label for="key">API key</label>
        <input id="key" type="password" autocomplete="current-password" required autofocus spellcheck=${false} value=${key}
          aria-describedby="key-error" aria-invalid=${error ? "true" : undefined} onInput=${(e) => setKey(e.target.value)} />
        <p id="key-error" class="field-error" role="alert">${error}</p>
        <button class="primary" disabled=${busy || !key.trim()}>Sign in</button>
      </form>
    </main>
  `;
}
