"""Asks with OpenAI's own client, and prints a line of JSON for each answer: ask.py URL KEY each|many COUNT"""

import concurrent.futures
import json
import sys

import openai

CHAT, EMBED = "tiny/llama", "tiny/embed"
QUESTION = [{"role": "user", "content": "How much is a token?"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


def whole(client, text="hi", tokens=8, **more):
    messages = [{"role": "user", "content": text}]
    return client.chat.completions.create(
        model=CHAT, messages=messages, max_tokens=tokens, temperature=0, **more
    )


def streamed(client, text="hi", tokens=8):
    last, pieces = None, 0
    for piece in whole(client, text, tokens, stream=True, stream_options={"include_usage": True}):
        pieces += bool(piece.choices)
        last = piece.usage or last
    return pieces, last


def each(client, _):
    """One call of each kind."""

    def said(kind, call):
        try:
            answer = call()
        except openai.APIStatusError as error:
            answer = {"error": type(error).__name__, "status": error.status_code, "body": error.body}
        print(json.dumps({"kind": kind, **answer}), flush=True)

    def of_chat(answer):
        message = answer.choices[0].message
        return {"role": message.role, "finish": answer.choices[0].finish_reason, "output": answer.usage.completion_tokens}

    def of_stream(result):
        pieces, usage = result
        return {"pieces": pieces, "output": usage.completion_tokens}

    def of_embeddings(answer):
        return {"vectors": len(answer.data), "length": len(answer.data[0].embedding), "input": answer.usage.prompt_tokens}

    said("chat", lambda: of_chat(whole(client)))
    said("streamed", lambda: of_stream(streamed(client)))
    said("tools", lambda: of_chat(whole(client, tools=[WEATHER])))
    said("completions", lambda: {"output": client.completions.create(model=CHAT, prompt="a", max_tokens=3).usage.completion_tokens})
    said("embeddings", lambda: of_embeddings(client.embeddings.create(model=EMBED, input=["a", "bc"])))
    said("list", lambda: {"models": [model.id for model in client.models.list()]})
    said("other", lambda: of_chat(client.chat.completions.create(model="secret", messages=QUESTION)))
    said("long", lambda: of_chat(whole(client, "x" * 3000)))


def many(client, count):
    """So many calls of every kind, and the sum of what the server says of them."""

    def one(n):
        text, tokens = "token " * (n % 7 + 1), n % 11 + 1
        match n % 4:
            case 0:
                usage, model = whole(client, text, tokens).usage, CHAT
            case 1:
                usage, model = streamed(client, text, tokens)[1], CHAT
            case 2:
                usage, model = client.completions.create(model=CHAT, prompt=text, max_tokens=tokens).usage, CHAT
            case _:
                usage, model = client.embeddings.create(model=EMBED, input=text).usage, EMBED
        cached = getattr(getattr(usage, "prompt_tokens_details", None), "cached_tokens", None)
        return model, usage.prompt_tokens, getattr(usage, "completion_tokens", 0) or 0, cached or 0

    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(one, range(count)))
    for model in (CHAT, EMBED):
        sums = [sum(answer[n] for answer in answers if answer[0] == model) for n in (1, 2, 3)]
        print(json.dumps({"model": model, **dict(zip(("input", "output", "cached"), sums))}), flush=True)


if __name__ == "__main__":
    url, key, what, count = sys.argv[1:]
    asked = openai.OpenAI(base_url=url, api_key=key, max_retries=0, timeout=60)
    {"each": each, "many": many}[what](asked, int(count))
