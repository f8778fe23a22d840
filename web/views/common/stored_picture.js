// A picture that does not change: fetched once it comes near the window, kept for a while, with the key in a header.
import { html, useEffect, useRef, useState } from "../../html.js";
import { bodyOf, request } from "../../net/api.js";

const KEPT = 240;
const AT_ONCE = 4;
const NEAR = "400px";

/** By path: {src, users}; those that were used last come last. */
const pictures = new Map();
const waiting = [];
let loading = 0;

/** `alt`: empty where the words beside it say it all. `missing`: what stands there without a picture. */
export function StoredPicture({ path, alt = "", missing = "No picture" }) {
  const frame = useRef(null);
  const near = useNear(frame, path);
  const { src, failed } = useStored(near ? path : null);
  return html`<div class="thumb" ref=${frame}>
    ${src ? html`<img src=${src} alt=${alt} />` : html`<span class="thumb-none">${!path || failed ? missing : ""}</span>`}
  </div>`;
}

/** {src, failed}; `src` is null until it is there. */
export function useStored(path) {
  const [state, setState] = useState({ src: pictures.get(path)?.src ?? null, failed: false });
  useEffect(() => {
    if (!path) {
      setState({ src: null, failed: false });
      return undefined;
    }
    let wanted = true;
    let held = null;
    const got = (picture) => {
      if (!wanted) return;
      held = picture;
      held.users += 1;
      setState({ src: picture.src, failed: false });
    };
    const known = pictures.get(path);
    if (known) {
      got(known);
    } else {
      setState({ src: null, failed: false });
      load(path, () => wanted).then(got, () => wanted && setState({ src: null, failed: true }));
    }
    return () => {
      wanted = false;
      if (held) held.users -= 1;
    };
  }, [path]);
  return state;
}

/** `wanted()`: who asked is still there. Rejects where there is no picture, or nobody wants it any more. */
async function load(path, wanted) {
  if (loading >= AT_ONCE) await new Promise((next) => waiting.push(next));
  loading += 1;
  try {
    if (!wanted()) throw new Error("nobody wants it");
    const known = pictures.get(path);
    if (known) return known;
    const src = URL.createObjectURL(await bodyOf(await request("GET", path), "blob"));
    const picture = { src, users: 0 };
    pictures.set(path, picture);
    forget();
    return picture;
  } finally {
    loading -= 1;
    waiting.shift()?.();
  }
}

function forget() {
  for (const [path, picture] of pictures) {
    if (pictures.size <= KEPT) return;
    if (picture.users > 0) continue;
    pictures.delete(path);
    URL.revokeObjectURL(picture.src);
  }
}

function useNear(ref, path) {
  const [near, setNear] = useState(false);
  useEffect(() => {
    if (near || !path) return undefined;
    const observer = new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && setNear(true), { rootMargin: NEAR });
    observer.observe(ref.current);
    return () => observer.disconnect();
  }, [near, path]);
  return near;
}
