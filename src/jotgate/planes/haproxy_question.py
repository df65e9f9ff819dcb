"""The Lua by which HAProxy asks jotgate whether a request may pass; it refuses whatever it cannot ask about.

It asks over a listener of HAProxy's own, whose server is jotgate: connections are kept then, names are those that the
machine knows, and a certificate is held to the name.
"""

import json
from typing import Final

from jotgate.planes.facts import GateFacts, endpoint

_TEXT: Final = """\
-- Asks jotgate whether a request may pass, and tells the upstream who calls.
local GATE = @gate@
local LINE = @line@
local FIELDS = { @fields@ }
local SHOWN = { "authorization", "dpop", "origin", "access-control-request-method", "traceparent", "x-request-id" }
local TOLD = { "www-authenticate", "retry-after", "content-type", "cache-control", "allow", "x-request-id" }

-- The first of a field's values; headers are lists that begin with 0.
local function first(headers, name)
  local values = headers[name]
  return values and values[0]
end

local function refuse(txn, status, headers, body)
  local reply = txn:reply()
  reply:set_status(status)
  for name, value in pairs(headers) do
    reply:add_header(name, value)
  end
  reply:set_body(body)
  txn:done(reply)
end

core.register_action("jotgate", { "http-req" }, function(txn)
  local headers = txn.http:req_get_headers()
  local asked = {
    ["x-forwarded-method"] = { txn.sf:method() },
    ["x-forwarded-uri"] = { txn.sf:pathq() },
    ["x-forwarded-host"] = { first(headers, "host") or "" },
    ["x-forwarded-for"] = { txn.sf:src() },
    ["x-forwarded-proto"] = { txn.sf:ssl_fc() == 1 and "https" or "http" },
  }
  for _, name in ipairs(SHOWN) do
    local value = first(headers, name)
    if value then asked[name] = { value } end
  end
  local answer = core.httpclient():get{ url = GATE, dst = LINE, headers = asked, timeout = 15000 }
  local status = answer and answer.status or 0
  if status == 200 then
    for _, name in ipairs(FIELDS) do
      local value = first(answer.headers, name)
      if value and value ~= "" then txn.http:req_set_header(name, value) end
    end
    return
  end
  if status < 400 or status > 599 then
    refuse(txn, 503, { ["retry-after"] = "1", ["cache-control"] = "no-store" }, "")
    return
  end
  local told = {}
  for _, name in ipairs(TOLD) do
    told[name] = first(answer.headers, name)
  end
  -- HAProxy itself answers with 503 when nobody does, and does not say when to come again.
  if status == 503 and not told["retry-after"] then told["retry-after"] = "1" end
  refuse(txn, status, told, answer.body or "")
end, 0)
"""


def print_question(facts: GateFacts, line: str) -> str:
    """The file; `line` is the address of HAProxy's own listener that leads to jotgate."""
    fields = ", ".join(json.dumps(name.lower()) for name in facts.identity)
    gate = json.dumps(f"http://{endpoint(facts.gate).address}{facts.forward_path}")
    return _TEXT.replace("@gate@", gate).replace("@line@", json.dumps(line)).replace("@fields@", fields)
