// What a day was, in a few words, with links to its first and its last event.
import { html, useEffect, useState } from "../../html.js";
import { readDigests } from "../../state/events.js";
import { eventHref } from "../../state/router.js";

export function DayDigest({ day, cameraId, names }) {
  const [digests, setDigests] = useState([]);
  useEffect(() => {
    let wanted = true;
    readDigests(day, cameraId).then((read) => wanted && setDigests(read));
    return () => (wanted = false);
  }, [day, cameraId]);
  if (!digests.length) return null;
  return html`
    <ul class="day-digest" aria-label="The day in a few words">
      ${digests.map(
        ({ cameraId: id, text, eventIds }) => html`<li key=${id}>
          <strong>${names.get(id) ?? "A camera that is gone"}</strong>${" "}<span dir="auto">${text}</span>
          ${eventIds.length > 0 && html` <a href=${eventHref(eventIds[0])}>${eventIds.length > 1 ? "First" : "Show it"}</a>`}
          ${eventIds.length > 1 && html` <a href=${eventHref(eventIds.at(-1))}>Last</a>`}
        </li>`,
      )}
    </ul>
  `;
}
