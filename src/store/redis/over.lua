-- SPDX-License-Identifier: Apache-2.0
-- over.lua - what a node says to a primary beside charges: that it goes over to it, that it lives,
-- that it leaves, and what it was granted before (rules 9 to 12 of docs/model/README.md).
--
-- enter  KEYS accepted, beats; ARGV 'enter', process
--        {accepted identity or '', number of the process's last beat or -1, clock}
-- beat   KEYS accepted, beats; ARGV 'beat', process, number, identity, '1' to accept it or '0'
--        {1, clock, living}, or {0, clock}: another identity is accepted here, or none
-- leave  KEYS accepted, beats; ARGV 'leave', process
--        {1}
-- merge  KEYS the subject's value; ARGV 'merge', low, high, since, plan, record
--        {1, clock, value after it}, or {2, clock}: the value or the record is not of this plan,
--        nothing was written
--
-- `accepted` is a string, and `beats` a hash of process -> 'number seconds', beside which the field
-- 'living' keeps 'how many, seconds'. Neither expires: values live as long as the longest window.

local call, max, min = redis.call, math.max, math.min
local time = call('TIME')
local seconds, clock = tonumber(time[1]), time[1] * 1000000 + time[2]

-- ---- beats ----

local LIVING_S, KEPT_S, KEPT_FEW_S, FIELDS_MAX, PIECE = 3, 3600, 10, 1000, 1000

local function two_numbers(text)
    local first, second = string.match(text or '', '^(%d+) (%d+)$')
    return first and tonumber(first), second and tonumber(second)
end

-- Counts who lives, and removes those who have not been heard for long: an hour, or much less when
-- there are many (processes that start and die all the time). Who was removed and lives is found
-- without a beat, and charges again more than it had to.
local function count_living(beats)
    local all, living, gone = call('HGETALL', beats), 0, {}
    local kept_s = #all > 2 * FIELDS_MAX and KEPT_FEW_S or KEPT_S
    for i = 1, #all, 2 do
        -- ten digits of seconds; another primary's clock may have been ahead
        local age_s = math.abs(seconds - (tonumber(string.sub(all[i + 1], -10)) or 0))
        if all[i] ~= 'living' and age_s > kept_s then
            gone[#gone + 1] = all[i]
        elseif all[i] ~= 'living' and age_s <= LIVING_S then
            living = living + 1
        end
    end
    for i = 1, #gone, PIECE do
        call('HDEL', beats, unpack(gone, i, min(#gone, i + PIECE - 1)))
    end
    return living
end

local function beat(accepted, beats, process, number, identity, accepts)
    if accepts == '1' then
        call('SET', accepted, identity)
    elseif call('GET', accepted) ~= identity then
        return { 0, clock }
    end
    local before = two_numbers(call('HGET', beats, process))
    local latest = max(before or 0, tonumber(number))
    call('HSET', beats, process, string.format('%.0f %.0f', latest, seconds))
    -- all are counted once in a second, by whoever comes first in it; who is new then adds itself
    local living, counted = two_numbers(call('HGET', beats, 'living'))
    if counted ~= seconds then
        living = count_living(beats)
    elseif not before then
        living = living + 1
    end
    if counted ~= seconds or not before then
        call('HSET', beats, 'living', string.format('%.0f %.0f', living, seconds))
    end
    return { 1, clock, living }
end

-- ---- merge ----

-- Adds what a node's record has to the subject's value, each amount in the entry of its own step:
-- both are the packed windows of src/limit/window.h, made under one plan. What has left by t, the time
-- as in charge.lua, stays out, and entries of the record whose step ended by since_us. A block that
-- gets nothing keeps its bytes; else its ring is laid out anew, with just its entries.
local function merge(key, low, high, since_us, plan, record)
    local decode, encode = struct.unpack, struct.pack
    local byte, char, sub, rep = string.byte, string.char, string.sub, string.rep
    local HEAD, HEAD_FORMAT = 12, '<BI3I5BBB'
    local RING_MAX, SUM_MAX, SPARE_MS = 130, 2 ^ 52, 65000 -- as in charge.lua

    local function floor_div(a, b)
        return (a - a % b) / b
    end

    -- Formats of sums and amounts, the bytes of all sums, the bytes of an entry.
    local function layout(class, requests, n)
        if class == 0 then
            local small, others = requests and 1 or 0, requests and n - 1 or n
            return rep('I2', small) .. rep('I3', others), rep('I1', small) .. rep('I2', others),
                3 * n - small, 2 * n + 1 - small
        elseif class == 1 then
            return rep('I5', n), rep('I4', n), 5 * n, 4 * n + 1
        end
        return rep('I7', n), rep('I7', n), 7 * n, 7 * n + 1
    end

    -- What a class must hold; `requests`: of that meter.
    local function class_of(requests, sum, amount)
        if sum < (requests and 2 ^ 16 or 2 ^ 24) and amount < (requests and 2 ^ 8 or 2 ^ 16) then
            return 0
        end
        return sum < 2 ^ 40 and amount < 2 ^ 32 and 1 or 2
    end

    -- The windows of the plan, with the step's length and how long an entry is kept behind its end.
    local function read_plan()
        local windows, at = {}, 1
        while at <= #plan do
            local window_s, mask, n = decode('<I3BB', plan, at)
            local shortest_s = windows[1] and windows[1].window_s or window_s
            windows[#windows + 1] = { window_s = window_s, mask = mask, n = n,
                requests = mask % 2 == 1, r = math.ceil(window_s * 1000000 / 128),
                kept = window_s * 1000000 + min(400000, floor_div(shortest_s * 1000000, 256)) }
            at = at + 5 + 8 * n
        end
        return windows
    end

    -- The blocks of v; nil: they are not those of the plan.
    local function read_value(v, windows)
        local blocks, at = {}, 1
        for k, w in ipairs(windows) do
            if at + HEAD > #v then
                return nil
            end
            local shape, window_s, step, room, head, count = decode(HEAD_FORMAT, v, at)
            local class = shape % 4
            if shape ~= 4 * w.mask + class or class > 2 or window_s ~= w.window_s then
                return nil
            end
            local sums, amounts, sum_bytes, entry = layout(class, w.requests, w.n)
            local ring = at + HEAD + sum_bytes + entry - 1
            local past = ring + room * entry
            if past > #v + 1 or count > room or head >= max(room, 1) then
                return nil
            end
            blocks[k] = { v = v, at = at, past = past, class = class, step = step, room = room,
                head = head, count = count, ring = ring, entry = entry, n = w.n,
                sums = sums, amounts = amounts }
            at = past
        end
        return at == #v + 1 and blocks or nil
    end

    -- The ring's entries that stay, in their order.
    local function ring_bytes(b)
        local first, n = b.head + b.skip, b.count - b.skip
        first = first >= b.room and first - b.room or first
        local whole = min(n, b.room - first)
        local at = b.ring + first * b.entry
        return sub(b.v, at, at + whole * b.entry - 1) .. sub(b.v, b.ring, b.ring + (n - whole) * b.entry - 1)
    end

    local function current_bytes(b)
        return sub(b.v, b.ring - b.entry + 1, b.ring - 1)
    end

    -- All entries that stay, the current one last, in one list: step mod 256, its amounts, ...
    local function entries(b)
        local n = b.gone and 0 or b.count - b.skip + 1
        local list = n > 0 and { decode('<' .. rep('B' .. b.amounts, n),
            ring_bytes(b) .. char(b.step % 256) .. current_bytes(b)) } or {}
        list[n * (b.n + 1) + 1] = nil -- what decode says last is a position
        return list
    end

    local function full_step(b, step)
        return b.step - (b.step - step) % 256
    end

    -- Lets entries before step `from` go: `skip` of the ring, or `gone` is all. b.sum: what remains.
    local function trim(b, from)
        local first, past = 0, b.count
        b.gone, b.sum = b.step < from, {}
        while first < past do
            local mid = floor_div(first + past, 2)
            if b.gone or full_step(b, byte(b.v, b.ring + (b.head + mid) % b.room * b.entry)) < from then
                first = mid + 1
            else
                past = mid
            end
        end
        b.skip = first
        if first == 0 and not b.gone then
            b.sum = { decode('<' .. b.sums, b.v, b.at + HEAD) }
            b.sum[b.n + 1] = nil
            return
        end
        local list = entries(b)
        for m = 1, b.n do
            local sum = 0
            for i = m + 1, #list, b.n + 1 do
                sum = sum + list[i]
            end
            b.sum[m] = sum
        end
    end

    local function holds(b)
        for m = 1, b.n do
            if b.sum[m] > 0 then
                return true
            end
        end
        return false
    end

    -- A block of these entries: `ring` and `current` are bytes in the formats of `class`.
    local function block_of(w, class, step, count, sum, current, ring)
        return encode(HEAD_FORMAT, 4 * w.mask + class, w.window_s, step, count, 0, count)
            .. encode('<' .. layout(class, w.requests, w.n), unpack(sum, 1, w.n)) .. current .. ring
    end

    -- The block b with what stays of it.
    local function block_alone(w, b)
        if b.skip == 0 then
            return sub(b.v, b.at, b.past - 1)
        end
        return block_of(w, b.class, b.step, b.count - b.skip, b.sum, current_bytes(b), ring_bytes(b))
    end

    local function block_empty(w, t)
        local _, _, sum_bytes, entry = layout(0, w.requests, w.n)
        return encode(HEAD_FORMAT, 4 * w.mask, w.window_s, floor_div(t, w.r), 0, 0, 0)
            .. rep('\0', sum_bytes + entry - 1)
    end

    -- Cuts the amounts of a block so that sums stay within what a field holds.
    local function cut(list, sum, room, n)
        for m = 1, n do
            if sum[m] > room[m] then
                sum[m] = room[m]
                for i = m + 1, #list, n + 1 do
                    list[i] = min(list[i], room[m])
                    room[m] = room[m] - list[i]
                end
            end
        end
    end

    -- The entries of both lists in the order of their steps, one of each step, and the class that
    -- they need at least. Steps are compared by their age behind the latest.
    local function interleave(a, b, latest, n, requests, class)
        local out, i, j, o, past_a, past_b = {}, 1, 1, 0, #a + 1, #b + 1
        while i < past_a or j < past_b do
            local x = i < past_a and (latest - a[i]) % 256 or -1
            local y = j < past_b and (latest - b[j]) % 256 or -1
            local any = false
            if x ~= y then
                local from, at = x > y and a or b, x > y and i or j
                out[o + 1] = from[at]
                for m = 1, n do
                    local amount = from[at + m]
                    out[o + 1 + m] = amount
                    any = any or amount > 0
                end
            else
                out[o + 1] = a[i]
                for m = 1, n do
                    local amount = a[i + m] + b[j + m]
                    out[o + 1 + m] = amount
                    any = any or amount > 0
                    if class < 2 and amount >= 2 ^ 8 then
                        class = max(class, class_of(requests and m == 1, 0, amount))
                    end
                end
            end
            i = x >= y and i + n + 1 or i
            j = y >= x and j + n + 1 or j
            if any or i == past_a and j == past_b then -- a closed entry of nothing is left out
                o = o + n + 1
            end
        end
        return out, o, class
    end

    -- Both blocks in one, and its step.
    local function block_of_both(w, old, more)
        local n, sum, room = w.n, {}, {}
        local a, b = entries(old), entries(more)
        for m = 1, n do
            room[m] = SUM_MAX - old.sum[m]
        end
        cut(b, more.sum, room, n)
        local step = max(old.step, more.step)
        local out, o, class = interleave(a, b, step, n, w.requests, max(old.class, more.class))
        for m = 1, n do
            sum[m] = old.sum[m] + more.sum[m]
            class = max(class, class_of(w.requests and m == 1, sum[m], 0))
        end
        local count = o / (n + 1) - 1
        assert(count <= RING_MAX, 'weir: too many entries')
        local _, amounts = layout(class, w.requests, n)
        return block_of(w, class, step, count, sum, encode('<' .. amounts, unpack(out, o - n + 1, o)),
            encode('<' .. rep('B' .. amounts, count), unpack(out, 1, count * (n + 1)))), step
    end

    local windows, value, t = read_plan(), call('GET', key), max(low, min(high, clock))
    local olds, mores = value and read_value(value, windows), read_value(record, windows)
    if not mores or value and not olds then
        return { 2, clock }
    end
    for k, w in ipairs(windows) do
        t = max(t, mores[k].step * w.r, olds and olds[k].step * w.r or 0)
    end
    local any = false
    for k, w in ipairs(windows) do
        local from = floor_div(t - w.kept, w.r)
        trim(mores[k], max(from, floor_div(since_us, w.r)))
        if olds then
            trim(olds[k], from)
        end
        any = any or holds(mores[k])
    end
    if not any then
        return { 1, clock, value or '' }
    end
    local parts, until_us = {}, t
    for k, w in ipairs(windows) do
        local old, more, step = olds and olds[k], mores[k], 0
        if not holds(more) then
            parts[k] = old and sub(value, old.at, old.past - 1) or block_empty(w, t)
            step = old and old.step or 0
        elseif not old or old.gone then
            parts[k], step = block_alone(w, more), more.step
        else
            parts[k], step = block_of_both(w, old, more)
        end
        until_us = max(until_us, (step + 1) * w.r + w.kept)
    end
    value = table.concat(parts)
    call('SET', key, value, 'PX', math.ceil((until_us - t) / 1000) + SPARE_MS)
    return { 1, clock, value }
end

local operation = ARGV[1]
if operation == 'enter' then
    local number = two_numbers(call('HGET', KEYS[2], ARGV[2]))
    return { call('GET', KEYS[1]) or '', number or -1, clock }
elseif operation == 'beat' then
    return beat(KEYS[1], KEYS[2], ARGV[2], ARGV[3], ARGV[4], ARGV[5])
elseif operation == 'leave' then
    call('HDEL', KEYS[2], ARGV[2])
    return { 1 }
end
return merge(KEYS[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5], ARGV[6])
