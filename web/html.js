// The one door to the vendored libraries: everything else imports from here.
import { h, render } from "./vendor/preact/preact.js";
import htm from "./vendor/htm/htm.js";

export { render };
export { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "./vendor/preact/hooks.js";
export { batch, signal } from "./vendor/preact-signals/signals.js";

/** Tagged template that makes Preact elements. Text is always text: nothing in it is read as HTML. */
export const html = htm.bind(h);
