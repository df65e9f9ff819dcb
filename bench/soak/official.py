"""Clients that people use, as they come: the official SDK, and curl."""

import json
import subprocess
import threading
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Self

import openai

from bench.soak.outcomes import Closed, Outcomes, Wrong
from bench.soak.raw import ANSWER_WITHIN_S, MODEL, Door
from bench.soak.upstream import EVENTS

_numbers = count(1)


class OfficialClients:
    """Threads that ask, as long as the context lasts."""

    def __init__(self, door: Door, authority: Path, outcomes: Outcomes) -> None:
        self._door = door
        self._authority = authority
        self._outcomes = outcomes
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._clients: list[openai.OpenAI] = []

    def __enter__(self) -> Self:
        acts: dict[str, Callable[[str], None]] = {
            "openai SDK": self._sdk(),
            "openai SDK, streams": self._sdk_streams(),
            "curl": self._curl,
        }
        for name, act in acts.items():
            self._threads.append(threading.Thread(target=self._keep_asking, args=(name, act)))
            self._threads[-1].start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        for client in self._clients:
            client.close()

    def _keep_asking(self, name: str, act: Callable[[str], None]) -> None:
        while not self._stop.wait(0.01):
            began_s = time.monotonic()
            try:
                act(f"{name}-{next(_numbers)}")
            except openai.APIConnectionError as error:
                self._outcomes.failed(name, Closed(repr(error.__cause__)), 0, began_s)
            except (Closed, Wrong, openai.OpenAIError) as error:
                self._outcomes.failed(name, error, 0, began_s)
            else:
                self._outcomes.succeeded(name, 0, began_s)

    def _client(self) -> openai.OpenAI:
        transport = openai.DefaultHttpxClient(verify=self._door.tls) if self._door.tls else None
        client = openai.OpenAI(
            base_url=self._door.url, api_key=self._door.token, http_client=transport, timeout=ANSWER_WITHIN_S
        )
        self._clients.append(client)
        return client

    def _sdk(self) -> Callable[[str], None]:
        client = self._client()

        def act(text: str) -> None:
            answer = client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": text}])
            if answer.choices[0].message.content != text:
                raise Wrong(f"the answer to another request: {answer}")

        return act

    def _sdk_streams(self) -> Callable[[str], None]:
        client = self._client()

        def act(text: str) -> None:
            chunks = client.chat.completions.create(
                model=MODEL, messages=[{"role": "user", "content": text}], stream=True
            )
            said = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
            if [one for one in said if one] != [f"{text} "] * EVENTS:
                raise Wrong(f"a stream that is not whole or another's: {said}")

        return act

    def _curl(self, text: str) -> None:
        body = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": text}]})
        command = ["curl", "--silent", "--show-error", "--fail-with-body", "--cacert", str(self._authority)]
        command += ["--max-time", str(ANSWER_WITHIN_S), "--header", "Content-Type: application/json"]
        command += ["--header", "@-", "--data", body, f"{self._door.url}/chat/completions"]
        # The token goes in by stdin: an argument could be read by others.
        fields = f"Authorization: Bearer {self._door.token}\n"
        done = subprocess.run(command, input=fields, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Wrong(f"curl ended with {done.returncode}: {done.stderr.strip()} {done.stdout[:300]}")
        if json.loads(done.stdout)["choices"][0]["message"]["content"] != text:
            raise Wrong(f"the answer to another request: {done.stdout[:300]}")
