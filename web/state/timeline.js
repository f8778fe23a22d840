// The server's timeline as lines of the transcript: what was said, asked and told before the page was opened. Pure.
import {
  withBegin, withEnd, withEngineState, withHeard, withLine, withQuestion, withSound, withSource, withTask, withUtterance,
} from "./view.js";

const REMARKS = ["spoke", "watch_fired", "delegated"];

/** Events in any order. What an update has told already is not told again. */
export function withEvents(view, events) {
  const spoken = new Set(events.filter((event) => REMARKS.includes(event.type)).map((event) => event.data.epoch));
  return [...events].sort((a, b) => a.wall - b.wall).reduce((next, event) => withEvent(next, event, spoken), view);
}

function withEvent(view, event, spoken) {
  const { type, wall, text, data } = event;
  switch (type) {
    case "spoke":
    case "watch_fired":
    case "delegated":
      // Older servers wrote what fired a watch twice: as what was said, and once more for each watch.
      if (type === "watch_fired" && data.watch_id) return view;
      // A question may be handed over without a word.
      if (data.epoch === null) return withLine(view, { key: event.id, type: "said", wall, text, streaming: false, tick: data });
      return withRemark(view, event);
    case "query_asked":
      return withQuestion(view, data.query_id, wall, text);
    case "query_closed": {
      // Where the engine reads no words the server itself answered, and that is in no other event.
      const next = text && data.epoch && !spoken.has(data.epoch) ? withRemark(view, event, "notice") : view;
      if (next.closed[data.query_id]) return next;
      return { ...next, closed: { ...next.closed, [data.query_id]: { id: data.query_id, status: data.reason, rests_on: data.rests_on, note: data.note } } };
    }
    case "camera_online":
    case "camera_offline":
      // The end of a call is told by session_ended.
      if (!data.state || (view.session?.kind === "call" && data.state.status === "ended")) return view;
      return withSource(view, wall, data.state);
    case "engine_online":
    case "engine_offline":
      return data.engine_state ? withEngineState(view, wall, data.engine_state) : view;
    case "task":
      return data.task ? withTask(view, { task: data.task }) : view;
    case "heard":
      return withHeard(view, { id: data.item_id, wall, text, addressed: data.addressed });
    case "played":
      return withSound(view, data.epoch, wall, { heard: data.heard });
    case "cut_off":
      return withSound(view, data.epoch, wall, { cutOff: text });
    case "session_started":
      return withBegin(view, wall);
    case "session_ended":
      return withEnd(view, wall, text);
    default:
      return view;
  }
}

/** A tick tells more than an event, so a line that has its tick stays as it is. */
function withRemark(view, { wall, text, data }, urgency) {
  const change = (line) => {
    const whole = line.text && !line.cut && !line.streaming;
    const tick = line.tick ?? (data.watches ? data : null);
    return whole ? { ...line, tick } : { ...line, text, wall, tick, urgency: line.urgency ?? urgency, streaming: false, cut: false };
  };
  return withUtterance(view, { epoch: data.epoch, wall }, change);
}
