from joyvl_server.core import errors
from joyvl_server.core.errors import ContextTooLong, EngineTimeout, JoyvlError, SourceError, StoreError, why_of


def test_the_drawn_tree_names_every_error_under_its_parent() -> None:
    drawn = [line for line in errors.__doc__.splitlines() if line.startswith(("├", "└", "│", "JoyvlError"))]
    depth = {}
    parents: dict[str, str] = {}
    for line in drawn:
        indent = len(line) - len(line.lstrip("│├└─ "))
        name = line.lstrip("│├└─ ").split()[0]
        depth = {d: n for d, n in depth.items() if d < indent}
        if depth:
            parents[name] = depth[max(depth)]
        depth[indent] = name
    classes = {c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, JoyvlError)} - {JoyvlError}
    assert parents == {c.__name__: c.__base__.__name__ for c in classes}


def test_an_error_has_the_code_of_its_class_unless_it_is_given_one() -> None:
    assert EngineTimeout("It took too long.").code == "engine_timeout"
    assert SourceError("Wrong password.", code="unauthorized").code == "unauthorized"
    assert SourceError.code == "source"
    assert str(SourceError("Wrong password.")) == "Wrong password."


def test_a_context_too_long_tells_what_the_engine_told_of_its_limit() -> None:
    told = ContextTooLong("The context is too long.", limit=4096, asked=5000)
    assert (told.code, told.limit, told.asked) == ("engine_context", 4096, 5000)
    untold = ContextTooLong("The context is too long.")
    assert (untold.limit, untold.asked) == (None, None)


def test_why_is_never_empty() -> None:
    assert why_of(StoreError("The disk is full.")) == "The disk is full."
    assert why_of(TimeoutError()) == "it took too long"
    assert why_of(KeyError()) == "KeyError"
