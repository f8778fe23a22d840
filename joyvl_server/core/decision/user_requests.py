"""What people say to the session: a question of this moment, an instruction from now on, or the end of one."""

from __future__ import annotations

from dataclasses import replace

from joyvl_server.core.config import EngineFacts
from joyvl_server.core.decision.attribution import candidates
from joyvl_server.core.decision.choices import Candidate, Choice, RequestKind, end_which, kind_of
from joyvl_server.core.decision.request_words import ended_wish, request_kind
from joyvl_server.core.decision.utterances import OwnReply
from joyvl_server.core.effects import AddWatch, Effect, EndWatch, QueryClosed
from joyvl_server.core.inputs import QueryAsked
from joyvl_server.core.prompt.composer import ComposedTurn, PromptComposer
from joyvl_server.core.watches.kinds import SOUNDS, in_words
from joyvl_server.core.watches.named_kinds import named_kinds

NO_WORDS = (
    "I can't answer questions: this engine reports what moves and changes, and does not read words. "
    "An engine that follows instructions can answer."
)
WHICH_WATCH = "I don't know which watch you mean: this engine does not read words. Pause it in the list of watches."


class UserRequests:
    """Each request is classified once, also where its turn fails and it is sent once more.

    A standing one becomes a watch, one that ends something ends it, both right away; both are closed when the turn that
    carried them has settled. What could not be found out, and an end of nothing, is a question.
    """

    def __init__(self, composer: PromptComposer) -> None:
        self._composer = composer
        self._kinds: dict[str, RequestKind] = {}  # of open queries only

    def begin(self, composed: ComposedTurn, *, chooses: bool) -> tuple[list[Effect], Choice[RequestKind] | None]:
        """The question to the engine where it is not known what somebody says in this turn; where it does not choose,
        the words alone tell, and what follows from them. For turns with a query."""
        if composed.query in self._kinds:
            return [], None
        words = composed.turn.query or ""
        if chooses:
            return [], kind_of(words)
        return self.classify(composed, request_kind(words), chooses=False)[0], None

    def own_reply(self, asked: QueryAsked, engine: EngineFacts) -> OwnReply | None:
        """What the server itself says to it; None: the engine is asked."""
        if asked.reply is not None:
            self._composer.replied(asked)
            return OwnReply(asked.reply)
        return None if engine.follows_instructions else self.without_words(asked, engine)

    def without_words(self, asked: QueryAsked, engine: EngineFacts) -> OwnReply:
        """The server's own reply where the engine reads no words. A wish whose words name kinds that can be noticed is
        kept as a watch; the end of one pauses the only watch that it can mean."""
        self._composer.queries.close(asked.id)  # it may wait from when the engine read words
        kinds = named_kinds(asked.text)
        match request_kind(asked.text):
            case RequestKind.STANDING if kinds and (engine.reports_kinds or set(kinds) <= SOUNDS.keys()):
                watch = AddWatch(asked.id, asked.text)
                return OwnReply(f"I will tell you {in_words(kinds)}.", RequestKind.STANDING.value, (watch,))
            case RequestKind.CANCEL:
                ending = set(named_kinds(ended_wish(asked.text)))
                active = self._composer.watch_set.active
                meant = [watch for watch in active if not ending or ending & set(watch.kinds)]
                if len(meant) != 1:
                    return OwnReply(WHICH_WATCH)
                end = EndWatch(asked.id, meant[0].id)
                return OwnReply(f"I no longer watch for: {meant[0].name}", RequestKind.CANCEL.value, (end,))
        return OwnReply(NO_WORDS)

    def is_question(self, composed: ComposedTurn) -> bool:
        """False where somebody says in this turn what shall hold, or hold no more."""
        return composed.query is None or self._kinds.get(composed.query, RequestKind.ONCE) is RequestKind.ONCE

    def classify(
        self, composed: ComposedTurn, kind: RequestKind | None, *, chooses: bool
    ) -> tuple[list[Effect], Choice[Candidate] | None]:
        """What follows from the answer (None: not found out), or the next question: which of several is to end?

        An engine that no longer `chooses` cannot say which.
        """
        query = self._open(composed)
        if query is None:
            return [], None
        if kind is RequestKind.STANDING:
            self._kinds[query] = kind
            return [AddWatch(query, composed.turn.query or "")], None
        targets = self._targets(query) if kind is RequestKind.CANCEL else ()
        if len(targets) > 1 and chooses:
            return [], end_which(composed.turn.query or "", targets)
        return self.end(composed, targets[0] if len(targets) == 1 else None), None

    def end(self, composed: ComposedTurn, target: Candidate | None) -> list[Effect]:
        """Somebody asked to stop `target`; None: nothing that could be found. What is over already needs no end."""
        query = self._open(composed)
        if query is None:
            return []
        still = target is not None and target in self._targets(query)
        self._kinds[query] = RequestKind.CANCEL if still else RequestKind.ONCE
        if target is None or not still:
            return []
        if target.watch is not None:
            return [EndWatch(query, target.watch)]
        return [*self._composer.withdraw(target.query or "")]

    def candidates(self, threshold: float, composed: ComposedTurn | None = None) -> tuple[Candidate, ...]:
        """The questions that the model has read, the one it reads in this turn too, and the active watches."""
        questions = {query.id: query.text for query in self._composer.queries.shown()}
        if composed is not None and composed.query is not None and self._composer.queries.is_open(composed.query):
            questions[composed.query] = composed.turn.query or ""
        return candidates(self._composer.watch_set, threshold, questions)

    def answered(self, composed: ComposedTurn, query_id: str | None, epoch: int | None, text: str) -> list[QueryClosed]:
        """What was just said answers this query; before the turn settles, for no prefix may ask it again."""
        return self._composer.answered(query_id, epoch, text) if self.is_question(composed) else []

    def settled(self, composed: ComposedTurn, epoch: int | None, text: str | None) -> list[Effect]:
        """The turn that carried it has settled; `epoch` and `text` are of the utterance that followed, if one did."""
        if composed.query is None or self.is_question(composed):
            return []
        closed = self._composer.close(composed.query, self._kinds[composed.query].value)
        return [replace(query, epoch=epoch, answer=text) for query in closed]

    def forget(self, query_id: str) -> None:
        """It is open no more, or somebody says something else under its name."""
        self._kinds.pop(query_id, None)

    def _open(self, composed: ComposedTurn) -> str | None:
        return composed.query if self._composer.queries.is_open(composed.query) else None

    def _targets(self, but: str) -> tuple[Candidate, ...]:
        return tuple(target for target in self.candidates(1.0) if target.query != but)
