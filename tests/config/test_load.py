"""The tree of settings: who wins, what is refused, and that every key can be reached from everywhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.config import Config, McpServerConfig, UpstreamConfig, tree
from antiphon.config.load import ConfigError, load, resolve

URL = "http://127.0.0.1:8000/v1"
LEAVES = list(tree.settings())


def written(tmp_path: Path, text: str) -> Path:
    """A configuration file with this text."""
    file = tmp_path / "antiphon.toml"
    file.write_text(text, "utf-8")
    return file


def refused(tmp_path: Path, text: str, env: dict[str, str] | None = None) -> str:
    """The error that this file is answered with."""
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, text), env or {}, {})
    return str(caught.value)


def named(path: tree.Path) -> tree.Path:
    """The path with a real upstream's name in it."""
    return tuple("local" if part == tree.ANY else part for part in path)


def other(key: tree.Key) -> Any:
    """A value that is valid and not the default."""
    kind = getattr(key.type, "__origin__", key.type)
    if kind is bool:
        return not key.default
    if kind is int:
        return key.default + 1
    if kind is float:
        return key.default + 0.5
    if kind is tuple:
        return ["a", "b"]
    if kind is dict:
        return {"*": 4096} if key.type.__args__[1] is int else {"*": "something"}
    if kind is str:
        return "http://elsewhere:1/v1" if key.name == "url" else "something"
    return next(v for v in key.type.__args__ if v != key.default)


def at(config: Any, path: tree.Path) -> Any:
    """The value of a setting."""
    for part in path:
        config = config[part] if isinstance(config, dict) else getattr(config, part)
    return config


def toml(path: tree.Path, value: Any) -> str:
    """A file that sets this, and an upstream that is whole."""
    server: dict[str, Any] = {} if path[-1] == "command" else {"url": URL}
    tables: dict[tuple[str, ...], dict[str, Any]] = {
        (): {},
        ("upstreams", "local"): {"url": URL},
        ("tools", "mcp", "servers", "local"): server,
    }
    tables.setdefault(path[:-1], {})[path[-1]] = value
    out = ""
    for table, values in tables.items():
        out += f"[{'.'.join(table)}]\n" if table else ""
        for key, each in values.items():
            shown = json.dumps(each)
            if isinstance(each, dict):
                shown = "{" + ", ".join(f"{json.dumps(k)} = {json.dumps(v)}" for k, v in each.items()) + "}"
            out += f"{key} = {shown}\n"
    return out


def test_nothing_needs_to_be_set() -> None:
    """Without file, variables and options, the configuration is the defaults."""
    assert load(None, {"PATH": "/bin", "OPENAI_API_KEY": "k"}, {}) == Config()


@pytest.mark.parametrize(("path", "key"), LEAVES, ids=[tree.dotted(path) for path, _ in LEAVES])
def test_every_setting_can_be_set_from_everywhere(tmp_path: Path, path: tree.Path, key: tree.Key) -> None:
    """Each setting is taken from the file, from its variable and from the command line, the later winning."""
    here, value = named(path), other(key)
    expected = msgspec.convert(value, key.type)
    file = written(tmp_path, toml(here, value))
    assert at(load(file, {}, {}), here) == expected

    text = value if isinstance(value, str) else json.dumps(value)
    base = written(tmp_path, toml(here, URL if key.name == "url" else key.default if key.default is not None else "x"))
    env = {tree.variable(here): text}
    loaded = resolve(base, env, {})
    assert at(loaded.config, here) == expected
    assert loaded.origins[here] == tree.variable(here)

    start = {tree.variable(here): "http://first:1" if key.name == "url" else json.dumps(key.default)}
    if isinstance(key.default, str) or key.default is None:
        start = {
            tree.variable(here): str(key.default) if key.default is not None and key.name != "url" else "http://a:1"
        }
    loaded = resolve(base, start, {".".join(here): value})
    assert at(loaded.config, here) == expected
    assert loaded.origins[here] == "command line"


def test_unknown_key_names_the_place_and_the_nearest(tmp_path: Path) -> None:
    """A misspelt key stops the start: file, key, guess and the keys there are."""
    message = refused(tmp_path, "[server]\nprot = 1\n")
    assert "antiphon.toml" in message
    assert "server.prot" in message
    assert "Did you mean server.port?" in message
    assert "log_level" in message
    assert "top level" in refused(tmp_path, "[sever]\n")


def test_unknown_key_of_an_upstream(tmp_path: Path) -> None:
    """The keys of a named table are checked too."""
    message = refused(tmp_path, f'[upstreams.local]\nurl = "{URL}"\napi_key = "sk-secret"\n')
    assert "upstreams.local.api_key" in message
    assert "sk-secret" not in message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[server]\nport = "9000"\n', "server.port must be a whole number from 0 to 65535"),
        ("[server]\nport = 70000\n", "server.port must be a whole number from 0 to 65535"),
        ("[server]\nport = true\n", "server.port must be"),
        ('[server]\nlog_level = "loud"\n', '"debug", "info", "warning", "error"'),
        ("server = 3\n", "server must be a table"),
        ("upstreams = 3\n", "upstreams must be a table of tables"),
        ("[upstreams]\nlocal = 3\n", "upstreams.local must be a table"),
        ("[upstreams.local]\n", "no url"),
        ('[upstreams.local]\nurl = ""\n', "no url"),
        ('[upstreams.local]\nurl = "localhost:8000"\n', "http://host:port/v1"),
        ('[upstreams.local]\nurl = "http://[::1"\n', "http://host:port/v1"),
        (f'[upstreams."a/b"]\nurl = "{URL}"\n', "cannot name an upstream"),
        ("[responses]\nstatus_wait_seconds = nan\n", "responses.status_wait_seconds must be a number"),
        ("[responses]\nstatus_wait_seconds = inf\n", "responses.status_wait_seconds must be a number"),
        ("[responses]\nstatus_wait_seconds = -1\n", "responses.status_wait_seconds must be a number, 0 or more"),
        ("[responses]\ndialect = 1979-05-27\n", "not a date or time"),
        ("[server\n", "not valid TOML"),
    ],
)
def test_wrong_values_are_named(tmp_path: Path, text: str, says: str) -> None:
    """A value that cannot be used is refused with the file, the key and what it must be."""
    message = refused(tmp_path, text)
    assert "antiphon.toml" in message
    assert says in message


def test_a_wrong_value_is_not_repeated(tmp_path: Path) -> None:
    """A secret in the wrong form does not reach the screen."""
    assert "sk-1" not in refused(tmp_path, f'[upstreams.local]\nurl = "{URL}"\nkey = ["sk-1"]\n')


def test_a_file_that_is_not_there_or_not_text(tmp_path: Path) -> None:
    """A file that was asked for must be readable text."""
    with pytest.raises(ConfigError, match="no configuration file"):
        load(tmp_path / "none.toml", {}, {})
    with pytest.raises(ConfigError, match="no configuration file"):
        load(None, {"ANTIPHON_CONFIG": str(tmp_path / "none.toml")}, {})
    (tmp_path / "bad.toml").write_bytes(b"a = '\xff'")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load(tmp_path / "bad.toml", {}, {})


def test_where_the_file_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``--config`` before ``$ANTIPHON_CONFIG`` before the working directory."""
    monkeypatch.chdir(tmp_path)
    assert load(None, {}, {}).server.port == 8321
    (tmp_path / "antiphon.toml").write_text("[server]\nport = 1\n")
    (tmp_path / "two.toml").write_text("[server]\nport = 2\n")
    (tmp_path / "three.toml").write_text("[server]\nport = 3\n")
    assert load(None, {}, {}).server.port == 1
    assert load(None, {"ANTIPHON_CONFIG": "two.toml"}, {}).server.port == 2
    assert load(Path("three.toml"), {"ANTIPHON_CONFIG": "two.toml"}, {}).server.port == 3


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("ANTIPHON_PORT", "ANTIPHON_SERVER__PORT"),
        ("ANTIPHON_SERVER_PORT", "ANTIPHON_SERVER__PORT"),
        ("ANTIPHON_STORAGE__DATABASE_URI", "ANTIPHON_STORAGE__DATABASE_URL"),
        ("ANTIPHON_KEY", "ANTIPHON_KEYS"),
        ("ANTIPHON_server__port", ""),
        ("ANTIPHON_UPSTREAMS____URL", ""),
    ],
)
def test_a_variable_that_is_no_setting(name: str, nearest: str) -> None:
    """A misspelt variable stops the start, and the nearest one is named."""
    with pytest.raises(ConfigError) as caught:
        load(None, {name: "9000"}, {})
    assert name in str(caught.value)
    assert nearest in str(caught.value)


def test_an_orchestrators_variables_are_left_alone() -> None:
    """A service named antiphon, or antiphon-db, puts its addresses into the environment: they stop nothing."""
    env = {
        "ANTIPHON_SERVICE_HOST": "10.0.0.1",
        "ANTIPHON_SERVICE_PORT": "8321",
        "ANTIPHON_SERVICE_PORT_HTTP": "8321",
        "ANTIPHON_PORT": "tcp://10.0.0.1:8321",
        "ANTIPHON_PORT_8321_TCP": "tcp://10.0.0.1:8321",
        "ANTIPHON_PORT_8321_TCP_PROTO": "tcp",
        "ANTIPHON_PORT_8321_TCP_PORT": "8321",
        "ANTIPHON_PORT_8321_TCP_ADDR": "10.0.0.1",
        "ANTIPHON_DB_SERVICE_HOST": "10.0.0.2",
        "ANTIPHON_DB_PORT": "tcp://10.0.0.2:5432",
        "ANTIPHON_DB_PORT_5432_TCP": "tcp://10.0.0.2:5432",
    }
    assert load(None, env, {}) == Config()


def test_upstreams_from_the_environment(tmp_path: Path) -> None:
    """A variable reaches an upstream of the file by its name in capitals, and makes a new one otherwise."""
    file = written(tmp_path, f'[upstreams.my-gpu]\nurl = "{URL}"\n')
    env = {
        "ANTIPHON_UPSTREAMS__MY_GPU__KEY": "one",
        "ANTIPHON_UPSTREAMS__OTHER__URL": "https://other.example/v1",
        "ANTIPHON_UPSTREAMS__OTHER__MODELS": "a, b/c",
        "ANTIPHON_UPSTREAMS__OTHER__CONTEXT_WINDOW": '{"*": 8192}',
        "ANTIPHON_UPSTREAMS__OTHER__THINK_TAGS": "off",
        "ANTIPHON_UPSTREAMS__OTHER__KEY": "",
    }
    assert load(file, env, {}).upstreams == {
        "my-gpu": UpstreamConfig(url=URL, key="one"),
        "other": UpstreamConfig(
            url="https://other.example/v1", models=("a", "b/c"), context_window={"*": 8192}, think_tags=False
        ),
    }
    with pytest.raises(ConfigError, match="has no url"):
        load(None, {"ANTIPHON_UPSTREAMS__OTHER__KEY": "k"}, {})
    both = written(tmp_path, f'[upstreams.a-b]\nurl = "{URL}"\n[upstreams.a_b]\nurl = "{URL}"\n')
    with pytest.raises(ConfigError, match="a-b or a_b"):
        load(both, {"ANTIPHON_UPSTREAMS__A_B__KEY": "k"}, {})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ANTIPHON_SERVER__PORT", "http"),
        ("ANTIPHON_SERVER__PORT", ""),
        ("ANTIPHON_SERVER__ACCESS_LOG", "maybe"),
        ("ANTIPHON_UPSTREAMS__A__MODELS", "[1]"),
        ("ANTIPHON_UPSTREAMS__A__MODELS", "[1"),
        ("ANTIPHON_UPSTREAMS__A__CONTEXT_WINDOW", "8192"),
    ],
)
def test_a_variable_of_the_wrong_type(name: str, text: str) -> None:
    """The variable and what it must be are named."""
    with pytest.raises(ConfigError, match=f"{name}: .* must be "):
        load(None, {name: text}, {})


def test_values_from_other_variables(tmp_path: Path) -> None:
    """``env:NAME`` is the value of that variable, for keys and the database, and nowhere else."""
    file = written(
        tmp_path,
        '[storage]\ndatabase_url = "env:DB"\ndata_dir = "env:DB"\n'
        f'[upstreams.local]\nurl = "{URL}"\nkey = "env:LOCAL_KEY"\n',
    )
    loaded = resolve(file, {"LOCAL_KEY": "sk-1", "DB": "postgresql://u:p@h/d"}, {})
    assert loaded.config.upstreams["local"].key == "sk-1"
    assert loaded.config.storage.database_url == "postgresql://u:p@h/d"
    assert loaded.config.storage.data_dir == "env:DB"
    assert loaded.origins["upstreams", "local", "key"].endswith("(env:LOCAL_KEY)")
    with pytest.raises(ConfigError, match=r"upstreams\.local\.key .* LOCAL_KEY, which is not set"):
        load(file, {"DB": "x"}, {})


def test_a_table_of_the_command_line_takes_nothing_from_the_file(tmp_path: Path) -> None:
    """A key that the file has for one URL never goes to the URL of the command line."""
    file = written(tmp_path, f'[upstreams.default]\nurl = "{URL}"\nkey = "sk-of-the-file"\n')
    env = {"ANTIPHON_UPSTREAMS__DEFAULT__KEY": "sk-of-the-environment"}
    config = load(file, env, {"upstreams.default": {"url": "http://elsewhere:1/v1"}})
    assert config.upstreams == {"default": UpstreamConfig(url="http://elsewhere:1/v1")}


@pytest.mark.parametrize("word", ["true", "yes", "on", "1", "false", "no", "off", "0"])
def test_words_of_a_switch(word: str) -> None:
    """A switch can be said in four ways, in small letters or large."""
    wanted = word in ("true", "yes", "on", "1")
    for text in (word, word.upper()):
        assert load(None, {"ANTIPHON_DISCOVER": text}, {}).discover is wanted


@given(st.integers(), st.floats(), st.booleans())
def test_text_means_what_toml_means(number: int, real: float, switch: bool) -> None:
    """A value written into a variable is taken, or refused, exactly like the same value in the file."""
    for path, value in [("port", number), ("keepalive_seconds", real), ("access_log", switch)]:
        key = tree.keys(tree.keys(Config)["server"].type)[path]
        try:
            expected = key.convert(value)
        except msgspec.ValidationError:
            with pytest.raises(msgspec.ValidationError):
                key.parse(str(value))
        else:
            assert key.parse(str(value)) == expected


def test_mcp_servers(tmp_path: Path) -> None:
    """A server has a url or a command; what is secret of it may stand in the environment, value by value."""
    text = (
        '[tools.mcp.servers.my-files]\ncommand = "npx"\n[tools.mcp.servers.my-files.env]\nA = "env:KEY"\nB = "plain"\n'
    )
    env = {
        "KEY": "k",
        "ANTIPHON_TOOLS__MCP__SERVERS__MY_FILES__ARGS": "-y,server",
        "ANTIPHON_UPSTREAMS__MY_FILES__URL": URL,
    }
    config = load(written(tmp_path, text), env, {})
    server = McpServerConfig(command="npx", args=("-y", "server"), env={"A": "k", "B": "plain"})
    assert config.tools.mcp.servers == {"my-files": server}
    assert list(config.upstreams) == ["my_files"]
    assert "KEY, which is not set" in refused(tmp_path, text)
    table = "[tools.mcp.servers.a]\n"
    assert "neither url nor command" in refused(tmp_path, table)
    assert "both url and command" in refused(tmp_path, table + 'url = "http://h/mcp"\ncommand = "x"\n')
    assert "like http://host:port/mcp" in refused(tmp_path, table + 'url = "ftp://h/mcp"\n')
