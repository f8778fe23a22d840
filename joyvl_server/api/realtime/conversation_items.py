"""The items of a client's conversation: what was said to the server, what it said. A bounded number is kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Item = dict[str, Any]

MAX_ITEMS = 200


@dataclass(slots=True)
class Answer:
    """One utterance of the server: a response with one item. `epoch` is the utterance's."""

    epoch: int
    modality: str
    response_id: str
    item_id: str
    text: str = ""
    written: bool = False
    """its text is whole"""
    sounded: bool = False
    """some of its sound was sent"""
    sent_s: float = 0.0
    """how much sound of it was sent"""
    played: bool = False
    """it plays no more, or never will"""
    cut: str | None = None
    """why it was cut off: turn_detected or client_cancelled"""
    done: bool = False
    truncated: bool = False
    """the client has said how much of it was heard"""

    def item(self, status: str) -> Item:
        """As it is shown in the conversation."""
        part: Item = {"type": "output_text", "text": self.text}
        if self.modality == "audio":
            part = {"type": "output_audio", "transcript": self.text}
        content = [part] if self.text else []
        return {
            "id": self.item_id, "object": "realtime.item", "type": "message", "role": "assistant", "status": status,
            "content": content,
        }  # fmt: skip


@dataclass(slots=True)
class ConversationItems:
    """In order; the oldest are forgotten."""

    items: dict[str, Item] = field(default_factory=dict)
    answers: dict[int, Answer] = field(default_factory=dict)

    def add(self, item: Item) -> str | None:
        """Returns the id of the item before it."""
        before = next(reversed(self.items), None)
        self.items[item["id"]] = item
        while len(self.items) > MAX_ITEMS:
            del self.items[next(iter(self.items))]
        return before

    def keep(self, item: Item) -> None:
        """The newest state of an item that is there."""
        if item["id"] in self.items:
            self.items[item["id"]] = item

    def begin(self, epoch: int, modality: str) -> Answer:
        answer = self.answers[epoch] = Answer(epoch, modality, f"resp_{epoch}", f"item_{epoch}")
        while len(self.answers) > MAX_ITEMS:
            del self.answers[next(iter(self.answers))]
        return answer

    def answer_of(self, item_id: str) -> Answer | None:
        """The utterance that this item is."""
        return next((answer for answer in self.answers.values() if answer.item_id == item_id), None)

    @property
    def open(self) -> list[Answer]:
        """What is still being said, oldest first."""
        return [answer for answer in self.answers.values() if not answer.done]


def user_item(item_id: str, content: list[Item], status: str = "completed") -> Item:
    return {
        "id": item_id, "object": "realtime.item", "type": "message", "role": "user", "status": status,
        "content": content,
    }  # fmt: skip
