"""What somebody wants remembered, forgotten or undone."""

from __future__ import annotations

import pytest

from joyvl_server.core.past.wishes import Forget, Remember, Undo, Wish, read_wish

WISHES: list[tuple[str, Wish | None]] = [
    ("remember that the blue box is mine", Remember("the blue box is mine")),
    ("Please remember that I take my pills at eight.", Remember("I take my pills at eight.")),
    ("don't forget that Tom is allergic to nuts", Remember("Tom is allergic to nuts")),
    ("remember my name is Ann", Remember("my name is Ann")),
    ("Note: the key is under the mat", Remember("the key is under the mat")),
    ("Can you remember that the car is red", Remember("the car is red")),
    ("forget that the blue box is mine", Forget("the blue box is mine")),
    ("forget everything about Tom", Forget("Tom", everything=True)),
    ("Please forget everything.", Forget("", everything=True)),
    ("forget what I said about Tom", Forget("Tom")),
    ("forget the blue box", Forget("the blue box")),
    ("Merk dir, dass die blaue Kiste mir gehört.", Remember("die blaue Kiste mir gehört.")),
    ("Merke dir bitte: der Schlüssel liegt unter der Matte", Remember("der Schlüssel liegt unter der Matte")),
    ("Kannst du dir merken, dass die Kiste mir gehört", Remember("die Kiste mir gehört")),
    ("Vergiss nicht, dass ich um acht Tabletten nehme", Remember("ich um acht Tabletten nehme")),
    ("Vergiss alles über Tom", Forget("Tom", everything=True)),
    ("vergiss, dass die blaue Kiste mir gehört", Forget("die blaue Kiste mir gehört")),
    ("记住蓝色的盒子是我的", Remember("蓝色的盒子是我的")),
    ("请记住，我八点吃药", Remember("我八点吃药")),
    ("帮我记一下：钥匙在垫子下面", Remember("钥匙在垫子下面")),
    ("忘记关于汤姆的一切", Forget("汤姆", everything=True)),
    ("忘掉蓝色的盒子是我的", Forget("蓝色的盒子是我的")),
    ("把蓝色盒子的事忘掉", Forget("蓝色盒子的事")),
    ("把关于钥匙的都忘掉", Forget("钥匙", everything=True)),
    ("把关于钥匙的事全都删掉", Forget("钥匙", everything=True)),
    ("把一切都忘掉", Forget("", everything=True)),
    ("Denk dran: der Schlüssel liegt unter der Matte", Remember("der Schlüssel liegt unter der Matte")),
    ("Denk bitte daran, dass Tom kommt", Remember("Tom kommt")),
    ("undo that", Undo()),
    ("Mach das rückgängig!", Undo()),
    ("撤销", Undo()),
    ("Forget that.", Undo(told=True)),
    ("Vergiss das", Undo(told=True)),
    ("忘了它", Undo(told=True)),
    ("remember when we went?", None),
    ("Remember to tell me when the dog comes", None),
    ("Do you remember where my keys are?", None),
    ("记得我的钥匙在哪吗？", None),
    ("forget it", None),
    ("Vergiss es", None),
    ("forget the watch", None),
    ("forget!", None),
    ("忘记", None),
    ("记住：", None),
    ("stop watching", None),
    ("what is this?", None),
    ("", None),
]


@pytest.mark.parametrize(("text", "wish"), WISHES, ids=[text for text, _ in WISHES])
def test_what_somebody_wants(text: str, wish: Wish | None) -> None:
    assert read_wish(text) == wish


def test_a_fact_keeps_its_letters_and_is_bounded() -> None:
    assert read_wish("Remember that ÄÖÜ are Letters") == Remember("ÄÖÜ are Letters")
    assert read_wish("Remember that A\u0308 is a Letter") == Remember("Ä is a Letter")
    wish = read_wish("remember that " + "x" * 10_000)
    assert isinstance(wish, Remember)
    assert len(wish.fact) == 2000
