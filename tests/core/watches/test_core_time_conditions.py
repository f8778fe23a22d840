import pytest

from joyvl_server.core.watches.time_conditions import time_conditioned


@pytest.mark.parametrize(
    "text",
    [
        "Tell me if nobody moves for 5 minutes",
        "Say so every hour who is in the room",
        "Tell me at 18:00 whether the window is open",
        "Warn me when the pot boils longer than it should",
        "Tell me if the parcel is still there",
        "Tell me when the car has not moved",
        "Tell me if the cat doesn't move",
        "Alert me when someone loiters by the door",
        "Tell me if a bag is left unattended",
        "Remind me in 30s",
        "Count the people at 7 pm",
        "Watch it until she comes back",
        "Is it night yet?",
        "Sag Bescheid, wenn fünf Minuten lang niemand kommt",
        "Melde jede Stunde, wer da ist",
        "Sag es um 18 Uhr",
        "Sag mir, wenn der Hund länger als sonst schläft",
        "Melde, wenn das Paket noch da ist",
        "Sag Bescheid, wenn sich das Kind nicht bewegt",
        "Sag Bescheid, wenn die Katze regungslos liegt",
        "Jeden Tag um halb acht",
        "Nach einer Viertelstunde Bescheid geben",
        "Préviens-moi si personne ne bouge pendant dix minutes",
        "Avísame cada hora",
        "有人进来时告诉我",
        "Скажи, если он упал",
    ],
)
def test_what_depends_on_time(text: str) -> None:
    assert time_conditioned(text)
    assert time_conditioned(text.upper())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Tell me when someone falls",
        "Tell me each time a person enters the room.",
        "Tell me how many bottles stand there each time the number changes.",
        "Warn me when a car with 4 doors and 2 people parks",
        "Alert me if the monkey climbs the belong-tree",
        "Sag Bescheid, wenn jemand hereinkommt",
        "Melde Autos, die vor dem Tor parken",
        "Préviens-moi quand le chat saute sur la table",
    ],
)
def test_what_does_not(text: str) -> None:
    assert not time_conditioned(text)
