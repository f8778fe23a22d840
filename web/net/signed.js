// Addresses that a browser can open without a header: for what plays or is saved piece by piece.
import { post } from "./api.js";
import { apiKey } from "./auth.js";

const EXPIRES_S = 3600;

/** The address under which the browser itself gets `path`; it holds for an hour. Raises ApiError. */
export async function openable(path) {
  if (!apiKey.value) return path;
  const { url } = await post("/v1/signed_urls", { path, expires_s: EXPIRES_S });
  // The server may know another name of its own than the one by which this page was opened.
  const { pathname, search } = new URL(url, location.href);
  return pathname + search;
}
