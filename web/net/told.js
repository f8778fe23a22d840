// Values in answers as views expect them, whatever server told them: an older or a newer one may tell others. Pure.

/** "" where it is none. */
export const text = (value) => (typeof value === "string" ? value : "");

/** null where it is none. */
export const number = (value) => (typeof value === "number" && Number.isFinite(value) ? value : null);

/** Unix seconds of a time, told as such or in words of ISO 8601; null where it is none. */
export const wall = (value) => number(typeof value === "string" ? Date.parse(value) / 1000 : value);

/** The texts of a list; none where it is no list. */
export const texts = (value) => (Array.isArray(value) ? value.filter((one) => typeof one === "string") : []);

export const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
