// What can be done with the rows that were chosen: stands at the bottom of the window.
import { html } from "../../html.js";

export const ChosenBar = ({ count, label, onClear, children }) => html`
  <div class="chosen-bar" role="region" aria-label=${label}>
    <strong role="status">${count} chosen</strong>
    ${children}
    <button type="button" class="link" onClick=${onClear}>Clear</button>
  </div>
`;
