// Cameras of a key by name.
import { cameras } from "../../state/lists.js";

/** An id where there is no such camera any more, and for the names under which a key sends. */
export function namesOf(ids) {
  const known = new Map((cameras.value ?? []).map((camera) => [camera.id, camera.name]));
  return ids.map((id) => known.get(id) ?? id).join(", ");
}
