// One field that finds by words or by meaning.
import { html, useEffect, useState } from "../../html.js";
import { SEARCHES } from "../../text/event_words.js";
import { CrossIcon, SearchIcon } from "./icons.js";

const LONGEST = 10_000;

/** `onSearch(query, by)`; an empty query ends the search. */
export function SearchField({ id, label, query, by = "", onSearch }) {
  const [text, setText] = useState(query);
  const [how, setHow] = useState(by || "words");
  useEffect(() => setText(query), [query]);
  useEffect(() => setHow(by || "words"), [by]);
  const submit = (event) => {
    event.preventDefault();
    onSearch(text.trim(), how);
  };
  const change = (next) => {
    setHow(next);
    if (text.trim()) onSearch(text.trim(), next);
  };
  const clear = () => {
    setText("");
    onSearch("", how);
  };
  return html`
    <form class="search" role="search" onSubmit=${submit}>
      <span class="search-box">
        <label class="visually-hidden" for=${id}>${label}</label>
        <input id=${id} type="search" maxlength=${LONGEST} autocomplete="off" enterkeyhint="search" placeholder=${how === "meaning" ? "Where did I put my keys?" : "Search"} value=${text} onInput=${(e) => setText(e.target.value)} />
        ${text && html`<button type="button" class="icon-button" aria-label="Clear the search" onClick=${clear}><${CrossIcon} /></button>`}
        <button class="icon-button" aria-label="Search"><${SearchIcon} /></button>
      </span>
      <fieldset class="segments">
        <legend class="visually-hidden">How it searches</legend>
        ${SEARCHES.map(([value, words, means]) => html`<label key=${value} title=${means}><input type="radio" name=${`${id}-by`} checked=${how === value} onChange=${() => change(value)} />${words}</label>`)}
      </fieldset>
    </form>
  `;
}
