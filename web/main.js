import { html, render } from "./html.js";
import { startHearing } from "./speech/speech.js";
import { App } from "./views/app.js";

startHearing();
render(html`<${App} />`, document.getElementById("app"));
