// What the browser's tab is called: the page that is open, and before it how much waits for somebody: alerts that are open, and
// tasks that ask for a permission.
import { signal, useEffect } from "../../html.js";
import { openAlerts } from "../../state/alerts.js";
import { asking } from "../../state/asking.js";

const NAME = "joyvl";
const open = signal("");

/** The open page is called so, until it is left. */
export function useTitle(name) {
  useEffect(() => {
    open.value = name;
    return () => (open.value = "");
  }, [name]);
}

/** Writes it; once, in the frame around every page. */
export function useTabTitle() {
  const count = asking.value.length + openAlerts.value.alerts.length;
  const name = open.value;
  useEffect(() => {
    document.title = `${count ? `(${count}) ` : ""}${name ? `${name} · ` : ""}${NAME}`;
  }, [count, name]);
}
