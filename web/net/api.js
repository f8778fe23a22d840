// Requests to the server, and its errors as sentences.
import { refused, signIns } from "./auth.js";
import { fromProxy, heard, missed } from "./contact.js";

const READ_MS = 8000;
/** By answer: `signIns()` when its request went out; none where it belongs to whoever signs in or out. */
const asked = new WeakMap();
/** What changes something may wait for a disk or a name server. */
const CHANGE_MS = 30_000;

/** What went wrong, in the server's words. `status` is 0 when it did not answer; `fields` maps a field to its error. */
export class ApiError extends Error {
  constructor(status, code, message, fields = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.fields = fields;
  }
}

/**
 * One request. Returns the Response; throws ApiError for every status of 400 and more, and where none comes in time.
 * @param {string} method
 * @param {string} path
 * @param {{json?: unknown, body?: BodyInit, headers?: Record<string, string>, signal?: AbortSignal,
 *   keepalive?: boolean, ms?: number, login?: boolean}} options  `ms`: how long the whole answer may take; `login`: a
 *   refusal is no reason to ask for the key
 */
export async function request(method, path, { json, body, headers = {}, signal, keepalive, ms, login } = {}) {
  const sent = { ...headers };
  if (json !== undefined) {
    sent["Content-Type"] = "application/json";
    body = JSON.stringify(json);
  }
  const then = signIns();
  const began = Date.now();
  const limit = AbortSignal.timeout(ms ?? (method === "GET" ? READ_MS : CHANGE_MS));
  const until = signal ? AbortSignal.any([signal, limit]) : limit;
  let response;
  try {
    response = await fetch(path, { method, headers: sent, body, signal: until, keepalive, cache: "no-store" });
  } catch (error) {
    throw unanswered(error, began);
  }
  if (fromProxy(response)) throw unanswered(null, began);
  heard();
  if (!login) asked.set(response, then);
  checkReader(response);
  if (response.ok || response.status === 304) return response;
  const problem = await readProblem(response);
  checkReader(response);
  if (problem.status === 401 && !login) refused(then);
  throw problem;
}

/** The body of an answer; the line may go silent, and somebody else sign in, in the midst of it. `as`: json, text or blob. */
export async function bodyOf(response, as) {
  const began = Date.now();
  let body;
  try {
    body = await response[as]();
  } catch (error) {
    throw unanswered(error, began);
  }
  checkReader(response);
  return body;
}

/** Is whoever asked for it still there? */
function checkReader(response) {
  if ((asked.get(response) ?? signIns()) !== signIns()) throw new ApiError(401, "unauthorized", "Somebody else is signed in now.");
}

function unanswered(error, began) {
  if (error?.name === "AbortError") return error;
  missed(began);
  return new ApiError(0, "unreachable", "The server does not answer.");
}

async function readProblem(response) {
  let problem = {};
  try {
    problem = await response.json();
  } catch {
    // Not problem+json: a proxy answered.
  }
  const message = problem.detail ?? problem.title ?? `The server answered ${response.status}.`;
  return new ApiError(response.status, problem.code ?? "", message, fieldErrors(problem.errors));
}

function fieldErrors(errors) {
  const fields = {};
  for (const error of Array.isArray(errors) ? errors : []) {
    const name = error.field ?? error.loc?.at(-1) ?? error.pointer?.split("/").at(-1);
    if (name) fields[name] = error.message ?? error.detail ?? error.msg;
  }
  return fields;
}

const read = async (method, path, options) => {
  const response = await request(method, path, options);
  return response.status === 204 ? null : bodyOf(response, "json");
};

export const get = (path, options) => read("GET", path, options);
export const post = (path, json, options) => read("POST", path, { ...options, json: json ?? {} });
export const put = (path, json) => read("PUT", path, { json });
export const patch = (path, json) => read("PATCH", path, { json });
export const del = (path, options) => read("DELETE", path, options);

/** Every item of a paged list. */
export async function list(path, options) {
  const join = path.includes("?") ? "&" : "?";
  const items = [];
  let after = null;
  do {
    const page = await get(after ? `${path}${join}after=${encodeURIComponent(after)}` : path, options);
    items.push(...page.data);
    after = page.next;
  } while (after);
  return items;
}

export const cameraPath = (id, rest = "") => `/v1/cameras/${encodeURIComponent(id)}${rest}`;
export const sessionPath = (id, rest = "") => `/v1/sessions/${encodeURIComponent(id)}${rest}`;
export const taskPath = (id, rest = "") => `/v1/tasks/${encodeURIComponent(id)}${rest}`;
export const eventPath = (id, rest = "") => `/v1/events/${encodeURIComponent(id)}${rest}`;
export const memoryPath = (id, rest = "") => `/v1/memories/${encodeURIComponent(id)}${rest}`;
export const alertPath = (id, rest = "") => `/v1/alerts/${encodeURIComponent(id)}${rest}`;
export const hookPath = (id, rest = "") => `/v1/hooks/${encodeURIComponent(id)}${rest}`;
