# SPDX-License-Identifier: Apache-2.0
"""The usual way to build this service: FastAPI, uvicorn, redis-py and sorted sets.

One worker on uvloop and httptools, redis-py with hiredis's parser, one Lua script per decision
(sliding_window.lua). Settings come from the environment: WEIR_BENCH_REDIS_PORT.
"""
import os
import pathlib
import time
import uuid
from typing import List, Optional

import redis.asyncio
from fastapi import FastAPI, Header
from fastapi.responses import JSONResponse
from pydantic import BaseModel

WINDOW_MS = 60_000
CAPACITIES = {"input_tokens": 10**12, "output_tokens": 10**12, "requests": 10**12}
DEFAULT_OUTPUT_TOKENS = 256
WORDS = "a river keeps its level when the weir holds back what it cannot carry".split()

app = FastAPI()
store = redis.asyncio.Redis(
    host="127.0.0.1", port=int(os.environ["WEIR_BENCH_REDIS_PORT"]), max_connections=1024
)
take = store.register_script(
    (pathlib.Path(__file__).parent / "sliding_window.lua").read_text()
)


class Message(BaseModel):
    role: str
    content: str


class ChatRequest(BaseModel):
    model: str
    messages: List[Message]
    max_tokens: Optional[int] = None
    max_completion_tokens: Optional[int] = None


def error(status, message, code, headers=None):
    body = {"error": {"message": message, "type": "requests", "param": None, "code": code}}
    return JSONResponse(body, status_code=status, headers=headers)


@app.post("/v1/chat/completions")
async def chat(request: ChatRequest, authorization: str = Header("")):
    if not authorization.startswith("Bearer sk-"):
        return error(401, "Incorrect API key provided", "invalid_api_key")
    key = authorization[len("Bearer ") :]
    input_tokens = sum(len(m.content) // 4 + 4 for m in request.messages)
    output_tokens = max(request.max_tokens or 0, request.max_completion_tokens or 0)
    output_tokens = output_tokens or DEFAULT_OUTPUT_TOKENS
    now_ms = time.time_ns() // 1_000_000
    request_id = uuid.uuid4().hex
    answer = await take(
        keys=[f"rl:{{{key}}}:{meter}" for meter in CAPACITIES],
        args=[now_ms, WINDOW_MS, request_id, input_tokens, output_tokens, 1, *CAPACITIES.values()],
    )
    if not answer[0]:
        meter = list(CAPACITIES)[answer[1] - 1]
        return error(
            429, f"Rate limit reached on {meter}", "rate_limit_exceeded", {"retry-after": "1"}
        )
    words = [WORDS[i % len(WORDS)] for i in range(output_tokens)]
    return {
        "id": f"chatcmpl-{request_id}",
        "object": "chat.completion",
        "created": now_ms // 1000,
        "model": request.model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": " ".join(words)},
                "finish_reason": "length",
            }
        ],
        "usage": {
            "prompt_tokens": input_tokens,
            "completion_tokens": output_tokens,
            "total_tokens": input_tokens + output_tokens,
        },
    }
