// Times and numbers as people read them; times in the server's zone, which days and quiet hours there mean too.

let zone;
let formats = formatsOf();

function formatsOf() {
  const format = (options) => new Intl.DateTimeFormat(undefined, { timeZone: zone, ...options });
  return {
    clock: format({ hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" }),
    short: format({ hour: "2-digit", minute: "2-digit", hourCycle: "h23" }),
    day: format({ weekday: "long", day: "numeric", month: "long" }),
    dayOfYear: format({ weekday: "long", day: "numeric", month: "long", year: "numeric" }),
    parts: new Intl.DateTimeFormat("en-CA-u-nu-latn", { timeZone: zone, year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" }),
  };
}

/** From now on times are shown in this zone; the browser's where it is empty or the browser does not know it. */
export function showZone(name) {
  try {
    zone = name ? new Intl.DateTimeFormat("en", { timeZone: name }).resolvedOptions().timeZone : undefined;
  } catch {
    zone = undefined;
  }
  formats = formatsOf();
}

/** @param {number} wall Unix seconds */
export const timeOfDay = (wall) => formats.clock.format(wall * 1000);
export const dayOf = (wall) => formats.day.format(wall * 1000);
/** "14:05" */
export const shortTime = (wall) => formats.short.format(wall * 1000);

/** "2026-11-29T14:05", as fields for a time have it. */
export function fieldTime(wall) {
  const { year, month, day, hour, minute } = partsOf(wall);
  return `${year}-${month}-${day}T${hour}:${minute}`;
}

/** The Unix seconds that "2026-11-29T14:05", or a day alone, stands for; null where it is no time. */
export function wallOf(text) {
  const match = /^(\d{4})-(\d\d)-(\d\d)(?:T(\d\d):(\d\d))?/.exec(text);
  if (!match) return null;
  const [year, month, day, hour = 0, minute = 0] = match.slice(1).map((part) => Number(part ?? 0));
  const asUtc = Date.UTC(year, month - 1, day, hour, minute) / 1000;
  const guess = asUtc - aheadOfUtc(asUtc);
  return asUtc - aheadOfUtc(guess);
}

/** When the day of this moment began, `days` days earlier. */
export function dayStart(wall, days = 0) {
  const { year, month, day } = partsOf(wall);
  const noon = new Date(Date.UTC(Number(year), Number(month) - 1, Number(day) - days, 12));
  return wallOf(noon.toISOString().slice(0, 10));
}

/** "Today", "Yesterday", "Sunday 29 November", with the year where it is another one. */
export function dayName(wall, now = Date.now() / 1000) {
  const key = dayKey(wall);
  if (key === dayKey(now)) return "Today";
  if (key === dayKey(dayStart(now) - 3600)) return "Yesterday";
  return (key.slice(0, 4) === dayKey(now).slice(0, 4) ? formats.day : formats.dayOfYear).format(wall * 1000);
}

/** "2026-11-29" */
export const dayKey = (wall) => fieldTime(wall).slice(0, 10);

/** "Today, 14:05:10" */
export const dayAndTime = (wall, now) => `${dayName(wall, now)}, ${timeOfDay(wall)}`;

function partsOf(wall) {
  return Object.fromEntries(formats.parts.formatToParts(wall * 1000).map(({ type, value }) => [type, value]));
}

function aheadOfUtc(wall) {
  const { year, month, day, hour, minute, second } = partsOf(wall);
  return Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute), Number(second)) / 1000 - Math.floor(wall);
}

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
