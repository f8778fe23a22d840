// Asks for a key after the server refused a request without one; or signs in by the one-time link that was opened.
import { html, useEffect, useState } from "../html.js";
import { post } from "../net/api.js";
import { ended, loginCode, needsKey, signedIn } from "../net/auth.js";
import { endedWords } from "../text/role_words.js";
import { Logo } from "./common/icons.js";

const USED_UP = "This link was used before, or is over. Make a new one on the server: joyvl keys link";

export function SignIn() {
  const [key, setKey] = useState("");
  const [error, setError] = useState("");
  const [busy, setBusy] = useState(false);

  async function signIn(body, unknown) {
    setBusy(true);
    setError("");
    try {
      signedIn(await post("/v1/login", body, { login: true }));
    } catch (problem) {
      setError(problem.status === 401 ? unknown : problem.message);
      setBusy(false);
    }
  }

  useEffect(() => {
    const code = loginCode.value;
    if (code) needsKey.value = true; // stays here when the code is used up
    loginCode.value = "";
    if (code) signIn({ code }, USED_UP);
  }, [loginCode.value]);

  function submit(event) {
    event.preventDefault();
    signIn({ key: key.trim() }, "The server does not know this key.");
  }

  const [title, why] = endedWords(ended.value) ?? ["This server asks for a key", ""];
  return html`
    <main class="sign-in">
      <form class="card" onSubmit=${submit}>
        <${Logo} />
        <h1>${title}</h1>
        ${why && html`<p class="note warn" role="status">${why}</p>`}
        ${!why && html`<p class="muted">Whoever runs it makes one for you with <code>joyvl keys add</code>. The very first browser gets in by the link
          that the server printed at its start. This browser stays signed in while you use it.</p>`}
        <label for="key">API key</label>
        <input id="key" type="password" autocomplete="current-password" required autofocus spellcheck=${false} autocapitalize="none" value=${key}
          aria-describedby="key-error" aria-invalid=${error ? "true" : undefined} onInput=${(e) => setKey(e.target.value)} />
        <p id="key-error" class="field-error" role="alert">${error}</p>
        <button class="primary" disabled=${busy || !key.trim()}>Sign in</button>
      </form>
    </main>
  `;
}
