"""The table of operations is closed: every path that is no row is refused, byte for byte."""

import pytest

from jotgate.core.operations import OPERATIONS, SCOPES, find_methods, find_operation, model_of_path
from jotgate.errors import MethodRefused, UnknownOperation


@pytest.mark.parametrize(
    ("method", "path", "name", "forwarded"),
    [
        (b"POST", b"/v1/chat/completions", "chat.completions", True),
        (b"POST", b"/v1/completions", "completions", True),
        (b"POST", b"/v1/embeddings", "embeddings", True),
        (b"GET", b"/v1/models", "models", False),
        (b"GET", b"/v1/models/gpt-4o", "models", False),
        (b"GET", b"/v1/models/org/name", "models", False),
        (b"GET", b"/metrics", "metrics", False),
    ],
)
def test_each_row_is_found_by_its_method_and_path(method: bytes, path: bytes, name: str, forwarded: bool) -> None:
    row = find_operation(method, path)
    assert (row.name, row.forwarded) == (name, forwarded)


@pytest.mark.parametrize(
    "path",
    [
        b"",
        b"*",
        b"/",
        b"/v1",
        b"/v1/",
        b"/v1/models/",
        b"/v1/chat/completions/",
        b"/v1/Chat/completions",
        b"/v1/chat//completions",
        b"/v1/./chat/completions",
        b"/v1/chat/%63ompletions",
        b"/v1/chat/completions#x",
        b"/v1/responses/",
        b"/v1/files",
        b"//v1/models",
        b"/v1/modelsx",
    ],
)
def test_a_path_is_never_normalised(path: bytes) -> None:
    with pytest.raises(UnknownOperation) as caught:
        find_operation(b"POST", path)
    assert (caught.value.status, caught.value.code) == (404, "unknown_operation")


@pytest.mark.parametrize("row", OPERATIONS, ids=lambda row: row.path.decode())
@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"get", b"post"])
def test_a_known_path_names_the_method_that_it_takes(row: object, method: bytes) -> None:
    assert row in OPERATIONS
    operation = next(one for one in OPERATIONS if one is row)
    path = operation.path + b"m" if operation.path.endswith(b"/") else operation.path
    if method == operation.method or (method, operation.method) == (b"HEAD", b"GET"):
        assert find_operation(method, path) is operation
        return
    with pytest.raises(MethodRefused) as caught:
        find_operation(method, path)
    assert (caught.value.status, caught.value.allowed) == (405, operation.method.decode())


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        (b"/v1/chat/completions", "OPTIONS, POST"),
        (b"/v1/models", "GET, HEAD, OPTIONS"),
        (b"/v1/models/a", "GET, HEAD, OPTIONS"),
        (b"*", "GET, HEAD, OPTIONS, POST"),
    ],
)
def test_a_path_says_what_may_be_asked_of_it(path: bytes, methods: str) -> None:
    assert find_methods(path) == methods


def test_an_unknown_path_says_nothing() -> None:
    with pytest.raises(UnknownOperation):
        find_methods(b"/v1/files")


def test_every_row_has_its_own_scope_and_an_operation_of_a_face_has_one_more() -> None:
    rows = ["chat.completions", "completions", "decide", "embeddings", "metrics", "models", "realtime", "responses"]
    assert sorted(SCOPES) == ["ai", *rows, "upstream:credentials"]


@pytest.mark.parametrize(
    ("path", "model"),
    [
        (b"/v1/models", ""),
        (b"/v1/chat/completions", ""),
        (b"/v1/models/gpt-4o", "gpt-4o"),
        (b"/v1/models/org/name", "org/name"),
        (b"/v1/models/org%2Fname", "org/name"),
        (b"/v1/models/%C3%A9", "é"),
        (b"/v1/models/a%2525", "a%25"),
        (b"/v1/models/a%zz", "a%zz"),
    ],
)
def test_the_model_in_a_path_is_decoded_once(path: bytes, model: str) -> None:
    assert model_of_path(path) == model


def test_a_model_in_a_path_that_is_not_utf8_is_unknown() -> None:
    with pytest.raises(UnknownOperation):
        model_of_path(b"/v1/models/%ff")
