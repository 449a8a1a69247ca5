-- SPDX-License-Identifier: Apache-2.0
-- The classic sliding window: three sorted sets per key, a member "<request id>:<amount>" per
-- request, scored by its time in milliseconds.
-- KEYS: input tokens, output tokens, requests. ARGV: now, window (ms), request id, the three
-- amounts, the three capacities. Returns {1} or {0, index of the limit that denied, used}.
local now, window, id = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local used = {}
for i = 1, 3 do
    redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', now - window)
    local sum = 0
    for _, member in ipairs(redis.call('ZRANGE', KEYS[i], 0, -1)) do
        sum = sum + tonumber(string.match(member, ':(%d+)$'))
    end
    used[i] = sum
end
for i = 1, 3 do
    if used[i] + tonumber(ARGV[3 + i]) > tonumber(ARGV[6 + i]) then
        return {0, i, used[i]}
    end
end
for i = 1, 3 do
    redis.call('ZADD', KEYS[i], now, id .. ':' .. ARGV[3 + i])
    redis.call('PEXPIRE', KEYS[i], window)
end
return {1}
