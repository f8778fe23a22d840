// What updates and the timeline tell of speech: what is being said aloud and heard, and how much of each line was heard. Pure.

/** A question is made of a sentence at once; their times come from two clocks of the server. */
const ASKED_WITHIN_S = 5;
const CLOCKS_S = 0.5;

/**
 * `playing`: the utterance that is spoken now, or null: {epoch, since (Unix seconds), byClient, held}.
 * `hearing`: the id of the sentence that somebody says now, or null; `partial`: its words so far.
 */
export const SILENCE = { playing: null, hearing: null, partial: "" };

/** The state of speech after an update; the same object where the update is about something else. */
export function growSound(sound, update) {
  const mine = sound.playing?.epoch === update.epoch;
  switch (update.type) {
    case "session.created":
      return SILENCE;
    case "output_audio_buffer.started":
      return { ...sound, playing: { epoch: update.epoch, since: update.wall, byClient: update.by_client, held: false } };
    case "output_audio_buffer.held":
    case "output_audio_buffer.resumed":
      return mine ? { ...sound, playing: withPause(sound.playing, update) } : sound;
    case "output_audio_buffer.cleared":
    case "output_audio_buffer.stopped":
    case "conversation.item.truncated":
      return mine ? { ...sound, playing: null } : sound;
    case "input_audio_buffer.speech_started":
      return { ...sound, hearing: update.item_id, partial: "" };
    case "input_audio_buffer.speech_stopped":
      // Its words may still come.
      return sound.hearing === update.item_id && !sound.partial ? { ...sound, hearing: null } : sound;
    case "conversation.item.input_audio_transcription.delta":
      return { ...sound, hearing: update.item_id, partial: update.transcript };
    case "conversation.item.input_audio_transcription.completed":
      return sound.hearing === update.item_id || sound.hearing === null ? { ...sound, hearing: null, partial: "" } : sound;
    case "session.ended":
      return SILENCE;
    default:
      return sound;
  }
}

/** `since` moves by as long as it was held, so that it tells how long it has been heard. */
function withPause(playing, { type, wall }) {
  if (type.endsWith("held")) return { ...playing, held: true, heldAt: wall };
  return { ...playing, held: false, since: playing.since + (playing.heldAt ? wall - playing.heldAt : 0) };
}

/** What a line has after an update about its sound; null where the update is about no line. */
export function soundOfLine(update) {
  if (update.type === "output_audio_buffer.stopped") return { heard: update.heard };
  if (update.type === "conversation.item.truncated") return { cutOff: update.heard };
  return null;
}

/** A sentence that somebody said. No words: it was no speech. */
export const heardLine = ({ id, wall, text, addressed }) => ({ key: `heard-${id}`, type: "heard", wall, text, addressed });

/** The spoken sentence that a question was made of, which then needs no line of its own; -1 where it was typed. */
export function spokenSource(lines, { wall, text }) {
  const asked = plain(text);
  return lines.findLastIndex(
    (line) => line.type === "heard" && line.addressed && isSoonAfter(line.wall, wall) && plain(line.text).includes(asked),
  );
}

const isSoonAfter = (heard, asked) => asked > heard - CLOCKS_S && asked < heard + ASKED_WITHIN_S;

const plain = (text) => text.toLowerCase().replace(/[\s\p{P}]+/gu, " ").trim();

// ------------------------------------------------------------------------------------------------------------ captions

/** Characters in a second that a voice says, about: nobody tells the page which word the server's voice is at. */
const PACE = { zh: 4.5, other: 15 };
const SENTENCE = /[^.!?…。！？]+(?:[.!?…]+(?=\s|$)|[。！？]+|[.!?…]+|$)\s*/gu;

/** The sentence that is being said, of the utterance's text so far. `at`: the character that is being said, if known. */
export function captionOf(text, seconds, at = null) {
  const sentences = text.match(SENTENCE) ?? [];
  const pace = /\p{Script=Han}/u.test(text) ? PACE.zh : PACE.other;
  let left = at ?? seconds * pace;
  for (const sentence of sentences) {
    if (left < sentence.length) return sentence.trim();
    left -= sentence.length;
  }
  return (sentences.at(-1) ?? "").trim();
}
