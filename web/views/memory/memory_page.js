// Memory: what it knows, facts first, and where each comes from; add, change, keep, forget.
import { html, useEffect, useMemo, useState } from "../../html.js";
import { may } from "../../net/auth.js";
import { usePoll } from "../../net/poll.js";
import { cameras, refreshCameras, zone } from "../../state/lists.js";
import { byMeaning, collections, exportMemories, memories, readMemory, readOlderMemories, refreshCollections, refreshMemories, single } from "../../state/memories.js";
import { attempt } from "../../state/messages.js";
import { go, hrefOf, route } from "../../state/router.js";
import { collectionName, MEMORY_KINDS, noMemories, WORDS_ALONE, WORDS_ALONE_DO } from "../../text/memory_words.js";
import { DownIcon, PlusIcon } from "../common/icons.js";
import { NotYours } from "../common/not_yours.js";
import { SearchField } from "../common/search_field.js";
import { useTitle } from "../common/title.js";
import { AddFact } from "./add_fact.js";
import { ForgetAll, ForgetChosen } from "./forget.js";
import { ForgetTime } from "./forget_time.js";
import { MemoryRow } from "./memory_row.js";

const NONE = new Set();
const POLL_MS = 20_000;

export function MemoryPage() {
  const { id, asked } = route.value;
  const adding = id === "new";
  const [filter, setFilter] = useState(asked);
  const key = JSON.stringify(filter);
  const [chosen, setChosen] = useState(NONE);
  const mine = memories.value.key === key;
  const { facts, rest, next, problem } = mine ? memories.value : { facts: null, rest: null };
  const shown = [...(facts ?? []), ...(rest ?? [])];
  useEffect(() => setFilter(asked), [JSON.stringify(asked)]);
  useEffect(() => {
    setChosen(NONE);
    refreshMemories(key, filter);
  }, [key]);
  // Older pages that were opened, and what is being changed, stay.
  usePoll(() => (shown.length <= 1 ? refreshMemories(key, filter) : null), POLL_MS, [key, shown.length <= 1]);
  usePoll(() => Promise.all([refreshCameras(), may("GET /v1/memories/collections") && refreshCollections()]), POLL_MS);
  useTitle("Memory");
  const tells = may("POST /v1/memories");
  const picks = may("PATCH /v1/memories/{memory_id}") || may("DELETE /v1/memories/{memory_id}");

  const names = useMemo(() => new Map((cameras.value ?? []).map((camera) => [camera.id, camera.name])), [cameras.value]);
  const places = useMemo(() => placesOf(names), [names, collections.value]);
  const narrow = (changes) => {
    const wanted = { ...filter, ...changes };
    setFilter(wanted);
    go(hrefOf("memory", null, wanted), { replace: true });
  };
  const choose = (memory, on) => setChosen((now) => (on ? new Set([...now, memory.id]) : new Set([...now].filter((one) => one !== memory.id))));
  const row = (memory) => html`<${MemoryRow} key=${memory.id} memory=${memory} names=${names} chosen=${chosen.has(memory.id)} onChoose=${picks && ((on) => choose(memory, on))} />`;
  const done = () => {
    setChosen(NONE);
    refreshMemories(key, filter);
    refreshCollections();
  };

  return html`
    <div class="page memory" data-zone=${zone.value}>
      <div class="section-head">
        <h1>Memory</h1>
        ${tells && !adding && html`<a class="button primary" href="#/memory/new"><${PlusIcon} />Add a fact</a>`}
      </div>
      ${adding && !tells && html`<${NotYours} back="#/memory" words="Show the memory" />`}
      ${adding && tells && html`<${AddFact} places=${places} onDone=${() => go(hrefOf("memory", null, filter), { replace: true })} />`}
      ${id && !adding && html`<${Single} id=${id} names=${names} />`}
      <div class="past-filters">
        <${SearchField} id="memory-search" label="Search the memory" query=${filter.query ?? ""} by=${filter.by} onSearch=${(query, by) => narrow({ query, by: query && by === "meaning" ? by : "" })} />
        <div class="filter-row open">
          <${Choice} id="m-place" label="Where" value=${filter.collection} options=${[["", "Everywhere"], ...places]} onChange=${(collection) => narrow({ collection })} />
          <${Choice} id="m-kind" label="Kind" value=${filter.kind} options=${MEMORY_KINDS} onChange=${(kind) => narrow({ kind })} />
          <label class="check-line kept-line"><input type="checkbox" checked=${filter.kept === "yes"} onChange=${(e) => narrow({ kept: e.target.checked ? "yes" : "" })} />Kept ones only</label>
        </div>
      </div>
      ${byMeaning.value === false && html`<p class="note no-model"><span>${WORDS_ALONE} <code>joyvl models get e5</code> ${WORDS_ALONE_DO}</span></p>`}
      ${problem && html`<p class="note bad" role="alert">${problem}</p>`}
      ${rest === null && !problem && html`<p class="muted">Reading…</p>`}
      ${rest !== null && shown.length === 0 && html`<${Empty} filter=${filter} />`}
      ${facts?.length > 0 && html`<section class="memory-part" aria-labelledby="facts-title"><h2 id="facts-title">Facts</h2><ul class="memory-list card">${facts.map(row)}</ul></section>`}
      ${rest?.length > 0 && html`<section class="memory-part" aria-labelledby="rest-title"><h2 id="rest-title">${filter.query ? "Found" : "What it saw, said and heard"}</h2><ul class="memory-list card">${rest.map(row)}</ul></section>`}
      ${next && html`<p class="older"><button type="button" onClick=${() => attempt(() => readOlderMemories(filter))}>Show older ones</button></p>`}
      ${rest !== null && html`<footer class="memory-foot">
        ${may("GET /v1/memories/export") && html`<button type="button" class="small" onClick=${() => attempt(exportMemories)}><${DownIcon} />Export all of it</button>`}
        ${may("DELETE /v1/memories") && html`<${ForgetTime} collection=${filter.collection ?? ""} names=${names} onDone=${done} /><${ForgetAll} collection=${filter.collection ?? ""} names=${names} onDone=${done} />`}
      </footer>`}
      ${chosen.size > 0 && html`<${ForgetChosen} memories=${shown.filter((memory) => chosen.has(memory.id))} onDone=${() => setChosen(NONE)} />`}
    </div>
  `;
}

const Choice = ({ id, label, value = "", options, onChange }) => html`
  <div class="filter">
    <label for=${id}>${label}</label>
    <select id=${id} value=${value} onChange=${(e) => onChange(e.target.value)}>
      ${options.map(([name, words]) => html`<option key=${name} value=${name}>${words}</option>`)}
    </select>
  </div>
`;

/** Cameras that are there, and whoever else there are memories of: [collection, name]. */
function placesOf(names) {
  const known = new Map([...names].map(([id, name]) => [id, name]));
  for (const { collection } of collections.value) if (!known.has(collection)) known.set(collection, collectionName(collection, names));
  return [...known];
}

/** One memory that something else points at. */
function Single({ id, names }) {
  const [problem, setProblem] = useState(null);
  useEffect(() => {
    readMemory(id).then(setProblem);
  }, [id]);
  const memory = single.value[id];
  return html`
    <section class="memory-part single" aria-labelledby="single-title">
      <div class="section-head"><h2 id="single-title">This memory</h2><a href=${hrefOf("memory")}>Close</a></div>
      ${memory && html`<ul class="memory-list card"><${MemoryRow} memory=${memory} names=${names} /></ul>`}
      ${memory === undefined && !problem && html`<p class="muted">Reading…</p>`}
      ${problem && html`<p class="note bad" role="alert">${problem}</p>`}
      ${memory === null && html`<p class="note warn">It is not there any more: somebody let it be forgotten, or its time was over.</p>`}
    </section>
  `;
}

function Empty({ filter }) {
  const { query, by, ...narrower } = filter;
  const narrowed = Object.values(narrower).some(Boolean);
  const { title, text } = noMemories({ narrowed, query });
  return html`
    <section class="card empty-state">
      <h2>${title}</h2>
      <p class="muted">${text}</p>
      <div class="actions">
        ${query || narrowed ? html`<a class="button primary" href=${hrefOf("memory")}>Show all it remembers</a>` : may("POST /v1/memories") && html`<a class="button primary" href="#/memory/new"><${PlusIcon} />Add a fact</a>`}
        ${query && by !== "meaning" && html`<a class="button" href=${hrefOf("memory", null, { ...filter, by: "meaning" })}>Search by meaning</a>`}
      </div>
    </section>
  `;
}
