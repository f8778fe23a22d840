// Draws the strip: one mark a second, told apart by colour and by shape.
import { markOf } from "../../state/view.js";
import { shortTime } from "../../text/format.js";

export const SPAN_S = 120;
const PADDING = 6;
/** Heights of a mark with score 0 and with score 1. */
const LOWEST = 4;
const HIGHEST = 38;
const LABEL_FONT = "10px system-ui, sans-serif";

/** Where a moment stands: `now` at the right edge, SPAN_S ago at the left. */
export const xOf = (wall, now, width) => width - PADDING - ((now - wall) / SPAN_S) * (width - 2 * PADDING);

/** The tick whose mark is nearest to `x`, within eight pixels. */
export function tickAt(ticks, x, now, width) {
  let best = null;
  let nearest = 8;
  for (const tick of ticks) {
    const distance = Math.abs(xOf(tick.wall, now, width) - x);
    if (distance <= nearest) [best, nearest] = [tick, distance];
  }
  return best;
}

/** @returns {Record<string, string>} the colours of the theme in force, from the style sheet */
export function coloursOf(element) {
  const style = getComputedStyle(element);
  const names = ["silent", "spoke", "delegated", "suppressed", "skipped", "failed", "grid", "label", "threshold"];
  return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--mark-${name}`).trim()]));
}

/** Which shape a tick has: its mark, or why it was skipped where that has a shape of its own. */
export function shapeOf(tick) {
  const skipped = { offline: "no-frame", no_frame: "no-frame", still: "still", failed: "failed" };
  const mark = markOf(tick);
  return mark === "skipped" ? (skipped[tick.skipped] ?? mark) : mark;
}

export function draw(canvas, ticks, { now, colours, selected, threshold }) {
  const scale = devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = canvas;
  if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
  }
  const paint = canvas.getContext("2d");
  paint.setTransform(scale, 0, 0, scale, 0, 0);
  paint.clearRect(0, 0, width, height);
  const floor = height - 14;
  drawGrid(paint, { now, width, floor, colours });
  if (threshold !== null) drawThreshold(paint, { y: floor - heightOf(threshold), width, colours });
  for (const tick of ticks) {
    const x = xOf(tick.wall, now, width);
    if (x < -4 || x > width + 4) continue;
    if (tick === selected) drawSelection(paint, x, height, colours);
    drawMark(paint, tick, x, floor, colours);
  }
}

function drawGrid(paint, { now, width, floor, colours }) {
  paint.strokeStyle = colours.grid;
  paint.lineWidth = 1;
  paint.beginPath();
  for (let wall = Math.ceil((now - SPAN_S) / 30) * 30; wall <= now; wall += 30) {
    const x = Math.round(xOf(wall, now, width)) + 0.5;
    paint.moveTo(x, 0);
    paint.lineTo(x, floor + 12);
  }
  paint.stroke();
  paint.font = LABEL_FONT;
  paint.fillStyle = colours.label;
  for (let wall = Math.ceil((now - SPAN_S) / 60) * 60; wall <= now; wall += 60) {
    const x = xOf(wall, now, width);
    if (x < width - 40) paint.fillText(shortTime(wall), x + 4, 11);
  }
}

/** Every mark with a score is as tall as that, so that the line of the threshold tells which would have spoken. */
const heightOf = (score) => LOWEST + (HIGHEST - LOWEST) * score;

function drawThreshold(paint, { y, width, colours }) {
  paint.strokeStyle = colours.threshold;
  paint.lineWidth = 1;
  paint.setLineDash([4, 4]);
  paint.beginPath();
  paint.moveTo(0, Math.round(y) + 0.5);
  paint.lineTo(width, Math.round(y) + 0.5);
  paint.stroke();
  paint.setLineDash([]);
}

function drawSelection(paint, x, height, colours) {
  paint.fillStyle = colours.grid;
  paint.fillRect(x - 5, 0, 10, height);
}

function drawMark(paint, tick, x, floor, colours) {
  const shape = shapeOf(tick);
  paint.fillStyle = paint.strokeStyle = colours[shape] ?? colours.skipped;
  paint.lineWidth = 1.5;
  DRAWN[shape](paint, x, floor, tick);
}

/** Silent: a bar, taller the nearer it was to speaking. */
function bar(paint, x, floor, tick) {
  const height = heightOf(tick.score ?? 0);
  paint.beginPath();
  paint.roundRect(x - 1.5, floor - height, 3, height, 1.5);
  paint.fill();
}

/** Spoke: a bar with a round head. */
function pin(paint, x, floor, tick) {
  const height = heightOf(tick.score ?? 1);
  paint.beginPath();
  paint.roundRect(x - 1.5, floor - height, 3, height, 1.5);
  paint.fill();
  paint.beginPath();
  paint.arc(x, floor - height - 2, 4, 0, 7);
  paint.fill();
}

/** Delegated: a bar with a diamond. */
function diamond(paint, x, floor, tick) {
  const height = heightOf(tick.score ?? 1);
  const y = floor - height - 2;
  paint.beginPath();
  paint.roundRect(x - 1.5, floor - height, 3, height, 1.5);
  paint.fill();
  paint.beginPath();
  paint.moveTo(x, y - 5.5);
  paint.lineTo(x + 5.5, y);
  paint.lineTo(x, y + 5.5);
  paint.lineTo(x - 5.5, y);
  paint.fill();
}

/** Wanted to speak and was kept silent: a hollow bar. */
function outline(paint, x, floor, tick) {
  const height = heightOf(tick.score ?? 0.5);
  paint.beginPath();
  paint.roundRect(x - 2, floor - height, 4, height, 2);
  paint.stroke();
}

/** No decision: below the line. A ring where there was no picture, a dot where nothing had changed, else a cross. */
function ring(paint, x, floor) {
  paint.beginPath();
  paint.arc(x, floor + 6, 2.2, 0, 7);
  paint.stroke();
}

function dot(paint, x, floor) {
  paint.beginPath();
  paint.arc(x, floor + 6, 1.5, 0, 7);
  paint.fill();
}

function cross(paint, x, floor) {
  const y = floor + 6;
  paint.beginPath();
  paint.moveTo(x - 2.5, y - 2.5);
  paint.lineTo(x + 2.5, y + 2.5);
  paint.moveTo(x + 2.5, y - 2.5);
  paint.lineTo(x - 2.5, y + 2.5);
  paint.stroke();
}

const DRAWN = { silent: bar, spoke: pin, delegated: diamond, suppressed: outline, skipped: cross, "no-frame": ring, still: dot, failed: cross };
