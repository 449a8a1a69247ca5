-- SPDX-License-Identifier: Apache-2.0
-- registry.lua - the registry in Redis: what changed since a version, one change, and all of it
-- written back where Redis has lost it.
-- KEYS: entries (hash: name, text),
--       state (hash: version, count of entries, floor; while it is written back: restorer, since),
--       changed (sorted set: names by the version of their last change, deleted ones too),
--       gone (sorted set: the deleted ones)
local entries, state, changed, gone = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local GONE_MAX = 10000
local SILENT_US = 5000000 -- who writes back and is not heard of for so long has gone
local version = redis.call('HGET', state, 'version')
local op = ARGV[1]

-- What is lost of it must not look as if it had been deleted.
if version then
    local has = redis.call('HLEN', entries)
    if has ~= tonumber(redis.call('HGET', state, 'count')) or
        redis.call('ZCARD', changed) ~= has + redis.call('ZCARD', gone) then
        return redis.error_reply('ERR parts of the registry are lost; without its state nodes ' ..
                                 'write back what they have')
    end
end

local function now_us()
    local now = redis.call('TIME')
    return tonumber(now[1]) * 1000000 + tonumber(now[2])
end

-- Later than all before, those of a registry that was lost too: microseconds, or one more.
local function next_version()
    return string.format('%.0f', math.max(now_us(), tonumber(version or '0') + 1))
end

local function is_written_back()
    local since = redis.call('HGET', state, 'since')
    return since and math.abs(now_us() - tonumber(since)) < SILENT_US
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

-- write EXPECTED NAME TEXT ('' deletes): {'1', version}, or {'0'} where the version is another, or
-- it is written back
if op == 'write' then
    if (version or '') ~= ARGV[2] or (not version and is_written_back()) then
        return {'0'}
    end
    local name, text = ARGV[3], ARGV[4]
    local now = next_version()
    if not version then -- without what somebody left who has gone; who knows another reads all
        redis.call('DEL', entries, state, changed, gone)
        redis.call('HSET', state, 'floor', now)
    end
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
    redis.call('HSET', state, 'version', now, 'count', redis.call('HLEN', entries))
    return {'1', now}
end

-- restore WHO NUMBER LAST {NAME TEXT}...: the batch that begins with this number, from 1; {'0'}
-- where there is a registry, or somebody else writes one back
local number = tonumber(ARGV[3])
local begun = redis.call('HGET', state, 'restorer') == ARGV[2]
if version or (not begun and (number > 1 or is_written_back())) then
    return {'0'}
end
if number == 1 then
    redis.call('DEL', entries, changed, gone)
end
redis.call('HSET', state, 'restorer', ARGV[2], 'since', string.format('%.0f', now_us()))
for i = 5, #ARGV, 2 do
    redis.call('HSET', entries, ARGV[i], ARGV[i + 1])
    redis.call('ZADD', changed, number, ARGV[i])
    number = number + 1
end
if ARGV[4] == '1' then
    local now = next_version()
    redis.call('HDEL', state, 'restorer', 'since')
    redis.call('HSET', state, 'version', now, 'floor', now, -- who knows less reads all
               'count', redis.call('HLEN', entries))
end
return {'1'}
