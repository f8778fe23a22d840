// What this browser remembers for the reader: choices, never anything of the server's.
const NAME = "joyvl.";

/** The remembered value; empty where there is none, or nothing may be remembered. */
export function kept(name) {
  try {
    return localStorage.getItem(NAME + name) ?? "";
  } catch {
    return ""; // storage is switched off
  }
}

/** An empty value is forgotten. */
export function keep(name, value) {
  try {
    if (value) localStorage.setItem(NAME + name, value);
    else localStorage.removeItem(NAME + name);
  } catch {
    // Then it holds for this page alone.
  }
}
