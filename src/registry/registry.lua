-- SPDX-License-Identifier: Apache-2.0
-- registry.lua - the registry in Redis: what changed since a version, one change, and all of it
-- written back where Redis has lost it.
-- KEYS: entries (hash: name, text), state (hash: version, floor, restorer),
--       changed (sorted set: names by the version of their last change, deleted ones too),
--       gone (sorted set: the deleted ones)
local entries, state, changed, gone = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local GONE_MAX = 10000
local version = redis.call('HGET', state, 'version')
local op = ARGV[1]

-- Later than all before, those of a registry that was lost too: microseconds, or one more.
local function next_version()
    local now = redis.call('TIME')
    local us = tonumber(now[1]) * 1000000 + tonumber(now[2])
    return string.format('%.0f', math.max(us, tonumber(version or '0') + 1))
end

-- read SINCE LIMIT: {version, floor, {name, text, version}...}; '' is nothing
if op == 'read' then
    local out = {version or '', redis.call('HGET', state, 'floor') or '0'}
    local named = redis.call('ZRANGEBYSCORE', changed, '(' .. ARGV[2], '+inf', 'WITHSCORES',
                             'LIMIT', 0, ARGV[3])
    for i = 1, #named, 2 do
        out[#out + 1] = named[i]
        out[#out + 1] = redis.call('HGET', entries, named[i]) or ''
        out[#out + 1] = named[i + 1]
    end
    return out
end

-- write EXPECTED NAME TEXT ('' deletes): {'1', version}, or {'0'} where the version is another
if op == 'write' then
    if (version or '') ~= ARGV[2] then
        return {'0'}
    end
    local name, text = ARGV[3], ARGV[4]
    local now = next_version()
    redis.call('HSET', state, 'version', now)
    redis.call('ZADD', changed, now, name)
    if text ~= '' then
        redis.call('HSET', entries, name, text)
        redis.call('ZREM', gone, name)
    else
        redis.call('HDEL', entries, name)
        redis.call('ZADD', gone, now, name)
        while redis.call('ZCARD', gone) > GONE_MAX do
            local oldest = redis.call('ZPOPMIN', gone)
            redis.call('ZREM', changed, oldest[1])
            redis.call('HSET', state, 'floor', oldest[2])
        end
    end
    return {'1', now}
end

-- restore WHO NUMBER LAST {NAME TEXT}...: the batch that begins with this number, from 1; {'0'}
-- where there is a registry, or somebody else writes one back
if version or (ARGV[3] ~= '1' and redis.call('HGET', state, 'restorer') ~= ARGV[2]) then
    return {'0'}
end
local number = tonumber(ARGV[3])
if number == 1 then
    redis.call('DEL', entries, changed, gone)
    redis.call('HSET', state, 'restorer', ARGV[2])
end
for i = 5, #ARGV, 2 do
    redis.call('HSET', entries, ARGV[i], ARGV[i + 1])
    redis.call('ZADD', changed, number, ARGV[i])
    number = number + 1
end
if ARGV[4] == '1' then
    redis.call('HDEL', state, 'restorer')
    local now = next_version()
    redis.call('HSET', state, 'version', now, 'floor', now) -- who knows less reads all
end
return {'1'}
