// Stands where a view has nothing for this browser: why, and the way on.
import { html } from "../../html.js";
import { me } from "../../net/auth.js";
import { notYours } from "../../text/role_words.js";

/** `back`: where to go instead. */
export const NotYours = ({ back = "#/live", words = "Go to the cameras" }) => html`
  <section class="card empty-state not-yours">
    <h2>Not for your key</h2>
    <p class="muted">${notYours(me.value)}</p>
    <a class="button" href=${back}>${words}</a>
  </section>
`;
