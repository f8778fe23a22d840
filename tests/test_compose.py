from joyvl_server.compose import build_registry
from joyvl_server.settings import Settings


async def test_engines_find_their_environments_in_the_data_folder(tmp_path):
    options = {"openai": {"model": "m"}, "vllm": {"model": "n"}}
    registry = await build_registry(Settings(data_dir=tmp_path, demo=False, engine={"options": options}))
    try:
        given = registry.engines._options
        assert given["vllm"] == {"environments_dir": tmp_path / "environments", "model": "n"}
        assert given["openai"] == {"model": "m"}
        assert (tmp_path / "media").is_dir()
    finally:
        await registry.aclose()
