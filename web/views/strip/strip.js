// The strip: the last two minutes, one mark a second, so that one sees it is awake.
import { html, useEffect, useMemo, useRef, useState } from "../../html.js";
import { serverNow, tryingThreshold, view } from "../../state/session.js";
import { latency, markOf } from "../../state/view.js";
import { duration, timeOfDay } from "../../text/format.js";
import { tickWords } from "../../text/words.js";
import { coloursOf, draw, shapeOf, SPAN_S, tickAt } from "./strip_draw.js";

const FRAME_MS = 100;
const dark = matchMedia("(prefers-color-scheme: dark)");
const calm = matchMedia("(prefers-reduced-motion: reduce)");

export function Strip() {
  const canvas = useRef(null);
  const [chosen, setChosen] = useState(null);
  const [pinned, setPinned] = useState(false);
  const { ticks, session } = view.value;
  // Where a score is only yes or no, a line would tell nothing.
  const threshold = session?.capabilities.scores ? (tryingThreshold.value ?? session.threshold) : null;
  const recent = ticks.filter((tick) => tick.wall > serverNow() - SPAN_S);
  const state = useRef({});
  state.current = { ticks: recent, chosen, threshold };
  useScrolling(canvas, state);

  const counts = useMemo(() => countMarks(recent), [recent.at(-1), recent.length]);
  const at = (event) => tickAt(recent, event.offsetX, serverNow(), canvas.current.clientWidth);
  const step = (event) => {
    const moves = { ArrowLeft: -1, ArrowRight: 1, Home: -recent.length, End: recent.length };
    if (!(event.key in moves) || !recent.length) return event.key === "Escape" && clear();
    event.preventDefault();
    const from = chosen ? recent.indexOf(chosen) : recent.length;
    setChosen(recent[Math.max(0, Math.min(recent.length - 1, from + moves[event.key]))]);
    setPinned(true);
  };
  const clear = () => {
    setChosen(null);
    setPinned(false);
  };
  const words = chosen ? `${timeOfDay(chosen.wall)}. ${tickWords(chosen)}` : summary(counts);
  return html`
    <section class="strip" aria-labelledby="strip-title">
      <div class="strip-head">
        <h2 id="strip-title">Last two minutes</h2>
        <${Latency} />
      </div>
      <div class="strip-marks" role="slider" tabindex="0" aria-labelledby="strip-title" aria-valuemin="0" aria-valuemax=${Math.max(0, recent.length - 1)}
        aria-valuenow=${chosen ? Math.max(0, recent.indexOf(chosen)) : Math.max(0, recent.length - 1)} aria-valuetext=${words} onKeyDown=${step}
        data-marks=${recent.length} data-spoke=${counts.spoke} data-delegated=${counts.delegated} data-skipped=${counts.skipped} data-silent=${counts.silent} data-threshold=${threshold}>
        <canvas ref=${canvas} aria-hidden="true"
          onPointerMove=${(e) => !pinned && setChosen(at(e))} onPointerLeave=${() => !pinned && setChosen(null)}
          onClick=${(e) => { const tick = at(e); setChosen(tick); setPinned(Boolean(tick)); }}></canvas>
      </div>
      <div class="strip-foot">
        ${chosen ? html`<${Details} tick=${chosen} onClose=${pinned ? clear : null} />` : html`<${Legend} counts=${counts} threshold=${threshold} />`}
      </div>
    </section>
  `;
}

/** Redraw while it is on the screen; once a second where the reader wants no motion. */
function useScrolling(canvas, state) {
  useEffect(() => {
    let timer = null;
    let colours = coloursOf(canvas.current);
    const themed = () => (colours = coloursOf(canvas.current));
    const run = () => {
      timer = setTimeout(() => requestAnimationFrame(run), calm.matches ? 1000 : FRAME_MS);
      if (!canvas.current) return;
      const { ticks, chosen, threshold } = state.current;
      draw(canvas.current, ticks, { now: serverNow(), colours, selected: chosen, threshold });
    };
    dark.addEventListener("change", themed);
    run();
    return () => {
      clearTimeout(timer);
      timer = null;
      canvas.current = null;
      dark.removeEventListener("change", themed);
    };
  }, []);
}

function countMarks(ticks) {
  const counts = { silent: 0, spoke: 0, delegated: 0, suppressed: 0, skipped: 0 };
  const shapes = {};
  for (const tick of ticks) {
    const shape = shapeOf(tick);
    counts[markOf(tick)] += 1;
    shapes[shape] = (shapes[shape] ?? 0) + 1;
  }
  return { ...counts, shapes };
}

const summary = (n) => `${n.silent + n.suppressed} silent, ${n.spoke} spoke, ${n.delegated} delegated, ${n.skipped} skipped.`;

const SHAPES = [["silent", "Silent"], ["spoke", "Spoke"], ["delegated", "Delegated"], ["suppressed", "Held back"], ["skipped", "Skipped"]];
/** Named only while there are some. */
const RARE = [["no-frame", "No picture"], ["still", "Unchanged"], ["failed", "Engine failed"]];

function Legend({ counts: { shapes }, threshold }) {
  const items = [...SHAPES, ...RARE.filter(([shape]) => shapes[shape])];
  return html`<ul class="legend" aria-label="Legend">
    ${items.map(([shape, word]) => html`<li key=${shape} data-shape=${shape}><span class="key ${shape}" aria-hidden="true"></span>${word} <b>${shapes[shape] ?? 0}</b></li>`)}
    ${threshold !== null && html`<li><span class="key threshold" aria-hidden="true"></span>Speaks from <b>${threshold.toFixed(2)}</b></li>`}
  </ul>`;
}

function Details({ tick, onClose }) {
  const { timings } = tick;
  const facts = [
    tick.score !== null && `score ${tick.score.toFixed(2)}`,
    tick.kind,
    tick.zone,
    tick.look === "glance" && "small picture",
    timings.total_ms !== null && `decided in ${duration(timings.total_ms)}`,
    timings.frame_age_ms !== null && `picture ${duration(timings.frame_age_ms)} old`,
  ].filter(Boolean);
  return html`<p class="tick-details">
    <time>${timeOfDay(tick.wall)}</time> <strong>${tickWords(tick)}</strong> <span class="muted">${facts.join(" · ")}</span>
    ${onClose && html`<button type="button" class="link" onClick=${onClose}>Close</button>`}
  </p>`;
}

function Latency() {
  const { p50_ms, p95_ms, count } = latency(view.value);
  const title = "From the moment the camera saw it to the decision. Half of the decisions are faster than the first value, 95 of 100 faster than the second.";
  return html`<p class="latency" title=${title}>
    <span class="muted">Camera to decision</span>
    <span><b>${duration(p50_ms)}</b> p50</span><span><b>${duration(p95_ms)}</b> p95</span>
    <span class="visually-hidden">${title} ${count} decisions.</span>
  </p>`;
}
