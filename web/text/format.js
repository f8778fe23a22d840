// Times and numbers as people read them.

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const day = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });

/** @param {number} wall Unix seconds */
export const timeOfDay = (wall) => clock.format(wall * 1000);
export const dayOf = (wall) => day.format(wall * 1000);

/** "34 ms" or "1.2 s". */
export function duration(ms) {
  if (ms === null || ms === undefined) return "–";
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** "12 s", "4 min", "3 h", "2 days" since an RFC 3339 time, or one in milliseconds. */
export function ago(time, now = Date.now()) {
  const s = Math.max(0, (now - (typeof time === "number" ? time : Date.parse(time))) / 1000);
  if (s < 60) return `${Math.round(s)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 48 * 3600) return `${Math.floor(s / 3600)} h`;
  return `${Math.floor(s / 86400)} days`;
}

/** `rtsp://cam:secret@host/x` becomes `rtsp://cam:***@host/x`, also while it is being typed. */
export function maskUrl(url) {
  return url.replace(/^([a-z][a-z0-9+.-]*:\/\/[^/?#:@\s]*):([^/?#\s]*)@/i, "$1:***@");
}
