// A call that was just placed opens its own session.
import { useEffect, useRef } from "../html.js";
import { call } from "../call.js";
import { go, liveHref } from "../router.js";

/** On the landing page: go to the call's session once it has one, but not when coming back to a running call. */
export function useFollowCall() {
  const before = useRef(call.value?.sessionId ?? null);
  const sessionId = call.value?.sessionId ?? null;
  useEffect(() => {
    if (sessionId && sessionId !== before.current) go(liveHref(sessionId));
    before.current = sessionId;
  }, [sessionId]);
}
