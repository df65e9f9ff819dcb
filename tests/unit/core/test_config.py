"""`jotgate.toml`: what it may say, and what each fault tells its owner."""

import tomllib

import pytest

from jotgate.core.config import Config, seconds
from jotgate.core.config_reader import parse
from jotgate.core.snapshot import Limits
from jotgate.errors import Code, ConfigurationError

UPSTREAM = '[[upstreams]]\nname = "one"\nkind = "openai"\nbase_url = "https://h/v1"\nmodels = ["m"]\n'
PER_TENANT = "max_concurrent_per_tenant"


def route(attempts: str, alias: str = "r") -> str:
    """A route as it stands in the file."""
    return f'[[routes]]\nalias = "{alias}"\nattempts = [{attempts}]\n'


def faults_of(text: str) -> dict[str, str]:
    """The faults of a document, by path."""
    with pytest.raises(ConfigurationError) as caught:
        parse(tomllib.loads(text))
    assert caught.value.code is Code.CONFIGURATION
    return dict(caught.value.faults)


def test_a_credential_that_is_no_text_is_a_fault_and_is_not_shown() -> None:
    found = faults_of(
        UPSTREAM + "credential = 12345678\n[store]\nurl = 'postgresql://localhost/d'\npassword = 87654321\n"
    )
    assert found.keys() == {"upstreams[0].credential", "store.password"}
    assert "12345678" not in str(found)
    assert "87654321" not in str(found)


def test_an_empty_file_means_the_defaults() -> None:
    config = parse({})
    assert config == Config()
    assert (config.server.host, config.server.port, config.server.workers) == ("127.0.0.1", 8080, 1)
    assert config.server.public_url == ""
    assert config.issuer.default_scopes == ()
    assert seconds(config.issuer.leeway) == 5
    assert config.limits == Limits()


def test_everything_that_may_be_set_is_read() -> None:
    config = parse(
        tomllib.loads(
            """
            [server]
            host = "::1"
            port = 0
            workers = 4
            public_url = "https://gateway.example"
            [issuer]
            default_scopes = ["ai", "models"]
            leeway = "0s"
            [limits]
            header_bytes = 1024
            header_count = 8
            body_bytes = 1024
            pipelined_requests = 1
            verified_tokens = 2
            audit_rows = 64
            max_staleness_s = 5
            [[upstreams]]
            name = "one"
            kind = "openai"
            base_url = "http://127.0.0.1:9/v1"
            credential_env = "KEY"
            models = { "gpt-4o" = "gpt-4o-2024", small = "s" }
            connect_timeout = "1s"
            first_byte_timeout = "2m"
            idle_timeout = "3h"
            total_timeout = "1d"
            [[upstreams]]
            name = "two"
            kind = "openai"
            base_url = "https://h"
            credential_file = "key.txt"
            models = ["small"]
            """
        )
    )
    assert config.server.public_url == "https://gateway.example"
    assert seconds(config.issuer.leeway) == 0
    assert config.limits == Limits(1024, 8, 1024, 1, 2, 64, 5.0)
    one, two = config.upstreams
    assert one.routes == {"gpt-4o": "gpt-4o-2024", "small": "s"}
    assert two.routes == {"small": "small"}
    assert [seconds(span) for span in (one.connect_timeout, one.idle_timeout, one.total_timeout)] == [1, 10_800, 86_400]


def test_upstreams_and_routes_are_read() -> None:
    config = parse(
        tomllib.loads(
            """
            [[upstreams]]
            name = "one"
            kind = "openai"
            base_url = "https://h"
            max_concurrent = 4
            max_concurrent_per_tenant = 2
            queue_length = 0
            queue_timeout = "1s"
            max_connections = 8
            idle_connections = 0
            idle_connection_timeout = "2s"
            breaker_failures = 0
            breaker_timeout = "1m"
            health_path = "/health?deep=1"
            health_interval = "3s"
            ceiling_field = "max_tokens"
            ca_file = "roots.pem"
            proxy = "http://[::1]:3128/"
            proxy_credential_env = "PROXY"
            [[routes]]
            alias = "a"
            attempts = [{ upstream = "one", model = "m", weight = 2 }, { upstream = "echo" }]
            max_attempts = 2
            retry_unsafe = true
            ended_tokens = "finish"
            output_ceiling = 5
            output_step = 4
            image_tokens = 3
            audio_tokens = 2
            quota_spent = "soft"
            quota_outage = "open"
            """
        )
    )
    (one,), (found,) = config.upstreams, config.routes
    assert (one.models, one.max_concurrent, one.queue_length, one.max_connections) == ((), 4, 0, 8)
    assert one.max_concurrent_per_tenant == 2
    assert (one.health_path, one.proxy, one.proxy_credential_env) == ("/health?deep=1", "http://[::1]:3128/", "PROXY")
    assert [(one.upstream, one.model, one.weight) for one in found.attempts] == [("one", "m", 2), ("echo", None, 0)]
    assert (found.alias, found.max_attempts, found.retry_unsafe) == ("a", 2, True)
    assert found.ended_tokens == "finish"
    assert one.ceiling_field == "max_tokens"
    assert (found.output_ceiling, found.output_step, found.image_tokens, found.audio_tokens) == (5, 4, 3, 2)
    assert (found.quota_spent, found.quota_outage) == ("soft", "open")


def test_a_fault_of_an_upstream_makes_no_fault_of_the_route_that_names_it() -> None:
    text = UPSTREAM.replace("https", "ftp").replace('kind = "openai"', 'kind = "x"') + route("{ upstream = 'one' }")
    assert list(faults_of(text)) == ["upstreams[0].kind"]


def test_every_fault_is_told_at_once() -> None:
    found = faults_of(
        "colour = 1\n[server]\nprot = 1\nport = 70000\n[issuer]\nleeway = '61s'\n[limits]\nbody_bytes = '1M'\n"
        + UPSTREAM.replace("https", "ftp")
    )
    assert set(found) == {
        "colour", "server.prot", "server.port", "issuer.leeway", "limits.body_bytes", "upstreams[0].base_url",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "path", "fault"),
    [
        ("[sever]\n", "sever", "did you mean 'server'?"),
        ("[server]\nxyzzy = 1\n", "server.xyzzy", "known here: host, port, workers, public_url"),
        ("server = 1\n", "server", "must be a table: [server]"),
        ("[server]\nport = true\n", "server.port", "is True, and must be a whole number from 0 to 65535"),
        ("[server]\nport = '80'\n", "server.port", "is '80', and must be a whole number"),
        ("[server]\nworkers = 0\n", "server.workers", "must be a whole number from 1 to 64"),
        ("[server]\npublic_url = 'https://h/'\n", "server.public_url", "has a path"),
        ("[server]\npublic_url = 'gateway.example'\n", "server.public_url", "not an http or https URL"),
        ("[server]\npublic_url = 'http://h:x'\n", "server.public_url", "is not a URL"),
        ("[issuer]\nleeway = '5'\n", "issuer.leeway", "must be a duration in quotes"),
        ("[issuer]\nleeway = '2m'\n", "issuer.leeway", 'must be at most "60s"'),
        ("[issuer]\ndefault_scopes = ['chat']\n", "issuer.default_scopes", "holds 'chat'; known here: ai, chat.compl"),
        ("[issuer]\ndefault_scopes = ['model']\n", "issuer.default_scopes", "did you mean 'models'?"),
        ("upstreams = 1\n", "upstreams", "each headed [[upstreams]]"),
        ("upstreams = [1]\n", "upstreams[0]", "must be a table"),
        (UPSTREAM.replace("https://h/v1", "https://u:p@h/v1"), "upstreams[0].base_url", "user name or password"),
        (UPSTREAM.replace("https://h/v1", "https://h/v1?a=b"), "upstreams[0].base_url", "query or fragment"),
        (UPSTREAM.replace("https://h/v1", "https://h h/v1"), "upstreams[0].base_url", "characters that no URL has"),
        (UPSTREAM.replace('["m"]', "[]"), "upstreams[0].models", "is a list, and must be a list of models"),
        (UPSTREAM.replace('["m"]', "{}"), "upstreams[0].models", "and not empty"),
        (UPSTREAM.replace('["m"]', '["m", "m"]'), "upstreams[0].models", "names a model twice"),
        (UPSTREAM.replace('["m"]', '["echo"]'), "upstreams[0].models", "is built in"),
        (UPSTREAM.replace('"one"', '"echo"'), "upstreams[0].name", "is built in"),
        (UPSTREAM.replace('"openai"', '"echo"'), "upstreams[0].kind", "the echo upstream is built in"),
        (UPSTREAM.replace('name = "one"', ""), "upstreams[0].name", "is missing; write 1 to 64 letters"),
        (UPSTREAM + UPSTREAM, "upstreams[1].name", "is 'one' as in upstreams[0]"),
        (UPSTREAM.replace('models = ["m"]', ""), "upstreams[0].models", "no route names this upstream"),
        (UPSTREAM + "max_concurrent = -1", "upstreams[0].max_concurrent", "a whole number from 0 to 100000"),
        (UPSTREAM + "max_concurrent = 1\n[server]\nworkers = 2", "upstreams[0].max_concurrent", "is 1 for 2 workers"),
        (UPSTREAM + f"{PER_TENANT} = 0.5", f"upstreams[0].{PER_TENANT}", "a whole number from 0"),
        (UPSTREAM + f"{PER_TENANT} = 1\n[server]\nworkers = 2", f"upstreams[0].{PER_TENANT}", "is 1 for 2 workers"),
        (UPSTREAM + 'queue_timeout = "2d"', "upstreams[0].queue_timeout", "longer than a day"),
        (UPSTREAM + 'health_path = "health"', "upstreams[0].health_path", 'a path in quotes, such as'),
        (UPSTREAM + 'proxy = "https://p:1"', "upstreams[0].proxy", "is not an http URL with host and port"),
        (UPSTREAM + 'proxy = "http://p"', "upstreams[0].proxy", "is not an http URL with host and port"),
        (UPSTREAM + 'proxy = "http://p:1/x"', "upstreams[0].proxy", "more than scheme, host and port"),
        (UPSTREAM + 'proxy = "http://p:x"', "upstreams[0].proxy", "is not a URL"),
        (UPSTREAM + 'proxy = "http://u:hush@p:1"', "upstreams[0].proxy", "use proxy_credential_env"),
        (UPSTREAM + 'proxy_credential_env = "A"', "upstreams[0].proxy_credential_env", "stands without a proxy"),
        (
            UPSTREAM + 'proxy = "http://p:1"\nproxy_credential_env = "A"\nproxy_credential_file = "b"',
            "upstreams[0].proxy_credential_file",
            "one of them",
        ),
        (UPSTREAM.replace("https", "http") + 'ca_file = "a"', "upstreams[0].ca_file", "base_url that is not https"),
        ("routes = 1\n", "routes", "each headed [[routes]]"),
        (UPSTREAM + '[[routes]]\nalias = "r"', "routes[0].attempts", "is missing; write 1 to 16 tables"),
        (UPSTREAM + '[[routes]]\nalias = "r"\nattempts = []', "routes[0].attempts", "1 to 16 tables"),
        (UPSTREAM + route("{ upstream = 'one' }", "m"), "routes[0].alias", "upstreams[0].models holds too"),
        (UPSTREAM + route("{ upstream = 'one' }", "echo"), "routes[0].alias", "is built in"),
        (UPSTREAM + route("{ upstream = 'one' }") * 2, "routes[1].alias", "which routes[0].alias holds too"),
        (UPSTREAM + route("{ upstream = 'onee' }"), "routes[0].attempts[0].upstream", "did you mean 'one'?"),
        (UPSTREAM + route("{ upstream = 'one', wait = 1 }"), "routes[0].attempts[0].wait", "did you mean 'weight'?"),
        (UPSTREAM + route("{ upstream = 'one', weight = -1 }"), "routes[0].attempts[0].weight", "from 0 to 1000"),
        (UPSTREAM + route("{ upstream = 'one' }, { upstream = 'one' }"), "routes[0].attempts[1]", "stands twice"),
        (UPSTREAM + route("{ upstream = 'one' }") + 'audiences = ["a", "a"]', "routes[0].audiences", "the same twice"),
        (UPSTREAM + route("{ upstream = 'one' }") + 'audiences = [""]', "routes[0].audiences", "no token has"),
        (UPSTREAM + route("{ upstream = 'one' }") + 'audiences = "a"', "routes[0].audiences", "a list of texts"),
        (
            UPSTREAM + route("{ upstream = 'one' }") + 'token_types = ["at+jwt", "application/AT+JWT"]',
            "routes[0].token_types",
            "the same twice",
        ),
        (UPSTREAM + route("{ upstream = 'one' }") + 'token_types = [" jwt"]', "routes[0].token_types", "no token has"),
        (UPSTREAM + route("{ upstream = 'one' }") + 'token_age = "0s"', "routes[0].token_age", "a duration"),
        (UPSTREAM + route("{ upstream = 'one' }") + 'ended_tokens = "end"', "routes[0].ended_tokens", "or \"finish\""),
        (UPSTREAM + route("{ upstream = 'one' }") + "output_step = 0", "routes[0].output_step", "from 1 to 10000000"),
        (UPSTREAM + route("{ upstream = 'one' }") + 'quota_spent = "end"', "routes[0].quota_spent", 'or "soft"'),
        (UPSTREAM + route("{ upstream = 'one' }") + 'quota_outage = "shut"', "routes[0].quota_outage", 'or "open"'),
        (UPSTREAM + 'ceiling_field = "max"', "upstreams[0].ceiling_field", 'or "max_tokens"'),
        (
            UPSTREAM + route("{ upstream = 'one' }, { upstream = 'echo', weight = 1 }"),
            "routes[0].attempts[1].weight",
            "those with a weight come first",
        ),
        ('[server]\nissuer_wait = "6m"', "server.issuer_wait", "longer than five minutes"),
        (UPSTREAM + 'total_timeout = "25h"', "upstreams[0].total_timeout", "longer than a day"),
        (UPSTREAM + 'credential_env = "A"\ncredential_file = "b"', "upstreams[0].credential_file", "one of them"),
    ],
)  # fmt: skip
def test_a_fault_says_where_what_and_what_to_write(text: str, path: str, fault: str) -> None:
    assert fault in faults_of(text)[path]


@pytest.mark.parametrize("name", ["credential", "api_key", "key", "token", "secret", "password"])
def test_a_secret_in_the_file_is_refused_and_not_repeated(name: str) -> None:
    found = faults_of(UPSTREAM + f'{name} = "sk-hush"\n')
    assert "write credential_env" in found[f"upstreams[0].{name}"]
    assert "hush" not in str(found)


def test_a_password_in_a_url_is_not_repeated() -> None:
    assert "hush" not in str(faults_of(UPSTREAM.replace("https://h/v1", "https://u:hush@h/v1")))


@pytest.mark.parametrize(
    ("host", "listen", "meets"),
    [
        ("127.0.0.1", "127.0.0.1:9000", True),
        ("127.0.0.1", "127.0.0.1:9001", False),
        ("127.0.0.1", "127.0.0.2:9000", False),
        ("127.0.0.1", "localhost:9000", True),
        ("localhost", "[::1]:9000", True),
        ("0.0.0.0", "127.0.0.1:9000", True),  # noqa: S104
        ("0.0.0.0", "[::1]:9000", False),  # noqa: S104
        ("::", "127.0.0.1:9000", True),
        ("::", "localhost:9000", True),
        ("192.0.2.1", "127.0.0.1:9000", False),
        ("gateway.example", "127.0.0.1:9000", False),
        ("0:0:0:0:0:0:0:1", "[::1]:9000", True),
    ],
)
def test_figures_are_not_shown_where_the_gateway_itself_listens(host: str, listen: str, meets: bool) -> None:
    text = (
        f'[server]\nhost = "{host}"\nport = 9000\nbehind_proxy = true\ntrusted_proxies = ["192.0.2.9"]\n'
        f'public_url = "https://gateway.example"\n[metrics]\nlisten = "{listen}"\n'
    )
    if not meets:
        parse(tomllib.loads(text))
        return
    assert "where the gateway itself listens" in faults_of(text)["metrics.listen"]


def test_a_port_that_is_picked_at_the_start_is_nobodys() -> None:
    parse({"server": {"port": 0}, "metrics": {"listen": "127.0.0.1:0"}})
    assert "metrics.listen" in faults_of('[metrics]\nlisten = "127.0.0.1:8080"\n')
