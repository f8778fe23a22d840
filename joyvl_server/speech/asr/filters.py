"""What a model of speech writes where nobody spoke, and how to see it.

Whisper was trained on the subtitles of films: at silence, noise and music it writes what stands there at such places
("Thanks for watching!"). And it sometimes says one thing again and again. Neither may become a question.
"""

from __future__ import annotations

from dataclasses import dataclass

from joyvl_server.speech.asr.partials import bare, split_words

MOST_WORDS_A_SECOND = 7.0
MOST_CHARACTERS_A_SECOND = 30.0
"""Nobody speaks faster (Chinese: 7 characters a second)."""
LEAST_S = 0.25
SURELY_NOTHING = 0.85
"""probability that nobody speaks, at which the words do not count whatever they are"""
LIKELY_NOTHING, LIKELY_WRONG = 0.6, -1.0
"""both together: nobody speaks, and the words are unlikely (mean log-probability of a token)"""
DOUBTFUL_NOTHING, DOUBTFUL_WRONG = 0.15, -0.6
"""one of them is enough where the words are those of subtitles"""
GUESSED = -1.6
"""mean log-probability under which it is no more than a guess"""
LONGEST_PHRASE = 12
"""words that are looked at when a loop is searched for"""
LOOP_OF_ONE, LOOP_OF_MORE = 6, 4
"""how often one word, or a phrase of several, may follow itself: “no, no, no” is speech"""
BEFORE_A_LOOP = 2
"""words before a loop that nobody could say are part of it"""

SUBTITLES = frozenset(
    bare(line)
    for line in (
        "thank you", "thank you very much", "thanks", "thanks for watching", "thank you for watching",
        "thanks for listening", "thank you for listening", "thank you so much for watching", "please subscribe",
        "please subscribe to my channel", "subscribe to my channel", "like and subscribe",
        "don't forget to like and subscribe", "see you next time", "see you in the next video", "see you", "bye",
        "bye bye", "you", "so", "oh", "okay", "i'm sorry", "the end", "to be continued", "music", "applause",
        "laughter", "silence", "blank audio", "beep", "foreign", "subtitles by the amara.org community",
        "transcription by castingwords", "sous-titres réalisés par la communauté d'amara.org",
        "untertitel der amara.org-community", "untertitel im auftrag des zdf", "vielen dank",
        "vielen dank fürs zuschauen", "merci d'avoir regardé cette vidéo", "gracias por ver el video",
        "subtítulos realizados por la comunidad de amara.org", "ご視聴ありがとうございました",
        "시청해 주셔서 감사합니다",
        "谢谢", "謝謝", "谢谢大家", "謝謝大家", "谢谢观看", "謝謝觀看", "谢谢收看", "謝謝收看", "感谢观看", "感謝觀看",
        "感谢收看", "谢谢收听", "请不吝点赞订阅转发打赏支持明镜与点点栏目", "請不吝點贊訂閱轉發打賞支持明鏡與點點欄目",
        "明镜与点点栏目", "优优独播剧场", "優優獨播劇場", "未经作者授权禁止转载", "我们下期再见", "下期再见", "再见",
        "请订阅", "音乐", "音樂", "嗯", "啊",
    )
)  # fmt: skip
"""lines as a whole"""

MARKS = tuple(
    bare(mark)
    for mark in ("amara.org", "字幕由", "字幕by", "字幕製作", "字幕制作", "字幕志愿者", "字幕組", "字幕组", "点赞订阅",
                 "點贊訂閱", "thanksforwatching", "subscribetomychannel", "优优独播", "優優獨播", "独播剧场")
)  # fmt: skip
"""parts by which such a line shows"""


@dataclass(frozen=True, slots=True)
class Decoded:
    """What the model wrote. `logprob`: mean log-probability of its tokens; `silence`: probability that nobody speaks;
    `seconds`: of the sound. `prompt`: what stood before it, which the model likes to repeat."""

    text: str
    seconds: float
    logprob: float = 0.0
    silence: float = 0.0
    prompt: str = ""


def understood(decoded: Decoded) -> str:
    """The words that were said. Empty where nothing was: noise, silence, subtitles, a guess, a loop and no more."""
    whole = " ".join(decoded.text.split())
    text = "" if _is_no_more_than_a_loop(whole, decoded.seconds) else without_loop(whole)
    if not bare(text) or decoded.seconds < LEAST_S or _is_guess(decoded) or _is_subtitle(text, decoded):
        return ""
    if decoded.prompt and bare(text) == bare(decoded.prompt):
        return ""
    if is_too_fast(text, decoded.seconds) or _is_marked(text):
        return ""
    return text


def is_doubtful(decoded: Decoded) -> bool:
    """Is it worth a second look, with more care: a loop, a guess, more words than there was time for?"""
    text = " ".join(decoded.text.split())
    return without_loop(text) != text or is_too_fast(text, decoded.seconds) or decoded.logprob < LIKELY_WRONG


def without_loop(text: str) -> str:
    """The text up to where it repeats itself; empty where it does nothing else.

    Words of one kind in a row are no loop while somebody could say them.
    """
    words = split_words(text)
    loop = _find_loop(words)
    if loop is None:
        return text
    start, length = loop
    return "".join(words[: start + length]).strip() if start else ""


def _find_loop(words: list[str]) -> tuple[int, int] | None:
    """Where the first loop begins, and how many words its phrase has."""
    keys = [bare(word) for word in words]
    for start in range(len(keys)):
        for length in range(1, LONGEST_PHRASE + 1):
            needed = LOOP_OF_ONE if length == 1 else LOOP_OF_MORE
            phrase = keys[start : start + length]
            if len(keys) - start < needed * length or not any(phrase):
                continue
            times = 1
            while keys[start + times * length : start + (times + 1) * length] == phrase:
                times += 1
            if times >= needed:
                return start, length
    return None


def _is_no_more_than_a_loop(text: str, seconds: float) -> bool:
    """A word or two, then a phrase more often than anybody could say it: there was no speech before the loop either."""
    loop = _find_loop(split_words(text))
    return loop is not None and loop[0] <= BEFORE_A_LOOP and is_too_fast(text, seconds)


def is_too_fast(text: str, seconds: float) -> bool:
    """Could nobody say so much in this time? (A word or two may be cut short.)"""
    words = sum(1 for word in split_words(text) if bare(word))
    letters = len(bare(text))
    return words > 3 + MOST_WORDS_A_SECOND * seconds or letters > 20 + MOST_CHARACTERS_A_SECOND * seconds


def _is_guess(decoded: Decoded) -> bool:
    if decoded.silence > SURELY_NOTHING or decoded.logprob < GUESSED:
        return True
    return decoded.silence > LIKELY_NOTHING and decoded.logprob < LIKELY_WRONG


def _is_subtitle(text: str, decoded: Decoded) -> bool:
    """One of the known lines, and a reason to doubt it. “Thank you”, said clearly, is speech."""
    if bare(text) not in SUBTITLES:
        return False
    drawn_out = decoded.seconds > 2.0 + 0.5 * len(split_words(text))
    return decoded.silence > DOUBTFUL_NOTHING or decoded.logprob < DOUBTFUL_WRONG or drawn_out


def _is_marked(text: str) -> bool:
    squeezed = bare(text)
    return any(mark in squeezed for mark in MARKS)
