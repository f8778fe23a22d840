// What roles are called, and what one may do with them.

/** role: [as a name, who it is, what it is good for]. */
const ROLES = {
  viewer: ["Viewer", "a viewer", "Viewers see everything and change nothing."],
  operator: ["Operator", "an operator", "Operators also ask, watch for things, call, answer agents and acknowledge alerts. They neither add cameras nor delete what was recorded."],
  admin: ["Admin", "an admin", "Admins may do everything."],
  ingest: ["Sender", "a sender", "Senders bring pictures and sound in, and see nothing."],
};

/** For a choice: [role, name, sentence]. */
export const ROLE_CHOICES = Object.entries(ROLES).map(([role, [name, , about]]) => [role, name, about]);

export const roleName = (role) => ROLES[role]?.[0] ?? role;

export const roleAbout = (role) => ROLES[role]?.[2] ?? "";

const count = (cameras) => (cameras.length === 1 ? "1 camera" : `${cameras.length} cameras`);

/** Beside the sign-out: "Viewer of 2 cameras". */
export const roleInShort = ({ role, cameras }) => (cameras?.length ? `${roleName(role)} of ${count(cameras)}` : roleName(role));

/** Why something is not here for this browser; null: it is not known who it is. */
export function notYours(who) {
  if (!who) return "This is not for your key.";
  const key = who.cameras?.length ? `you are ${ROLES[who.role]?.[1] ?? who.role} of ${count(who.cameras)} only` : `you are ${ROLES[who.role]?.[1] ?? who.role}`;
  return `Your key is not for this: ${key}. Whoever runs the server can give you another one.`;
}

/** Why the list of cameras is empty, for somebody who can't add one. */
export const noCamera = (bound) => (bound ? "The cameras that your key is for are not there any more." : "There is no camera yet. An admin can add one.");

const ENDED = {
  over: ["This key has ended", "Its time is over. Sign in with another one."],
  gone: ["This key has ended, or this browser was signed out", "Sign in again, or ask whoever runs the server for a new key."],
};

/** What the sign-in says first, [title, text], to somebody who was signed in; null to everybody else. */
export const endedWords = (ended) => ENDED[ended] ?? null;

/** When a key ends: [days, words]; "" is never. */
export const KEY_ENDS = [
  ["1", "In a day"],
  ["7", "In a week"],
  ["30", "In 30 days"],
  ["90", "In 90 days"],
  ["365", "In a year"],
  ["", "Never"],
];

/** What it means to remove a key; `own`: this browser signed in with it. */
export const removeKeyWords = (own) =>
  `It opens nothing from now on: browsers that signed in with it are out, its streams and calls end.${own ? " You are signed in with it yourself, and will be out too." : ""}`;

export const SIGN_OUT_TEXT = "It needs a key to come in again. Its streams and calls end. Remove the key as well where somebody else may have it.";
