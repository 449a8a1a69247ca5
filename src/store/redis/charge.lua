-- SPDX-License-Identifier: Apache-2.0
-- charge.lua - one decision or one settlement on the packed windows of src/limit/window.h, by the
-- same rules as src/limit/window.c and adopt.c: both leave the same bytes.
--
-- KEYS  the values of the subjects; then, with CLAIM, what remembers that a reservation was settled
-- ARGV  1: the call, see redis/command.c; 1 + i: the plan of subject i
-- Returns
--   {1, t, clock, sums of each window and the step of its newest amount, ...}   charged
--   {0, t, clock, value, ...}   denied, or a look: nothing was written, the caller reads the values
--   {1}, {2}   settled now, or before
-- where t is the time of the decision and clock what the server's clock says.
-- Time is in microseconds, positions count from 1, a step is the time divided by r.

local decode, encode, byte, sub, rep = struct.unpack, struct.pack, string.byte, string.sub, string.rep
local call, max, min = redis.call, math.max, math.min
local SETTLE, CLAIM = 1, 2
local HEAD, HEAD_FORMAT = 12, '<BI3I5BBB'
local RING_MAX, SUM_MAX = 130, 2 ^ 52

local function floor_div(a, b)
    return (a - a % b) / b
end

-- Formats of a block's sums and amounts, the bytes of all sums, the bytes of an entry.
local function layout(class, requests, meters)
    if class == 0 and requests then
        return '<I2' .. rep('I3', meters - 1), '<I1' .. rep('I2', meters - 1), 3 * meters - 1, 2 * meters
    elseif class == 0 then
        return '<' .. rep('I3', meters), '<' .. rep('I2', meters), 3 * meters, 2 * meters + 1
    elseif class == 1 then
        return '<' .. rep('I5', meters), '<' .. rep('I4', meters), 5 * meters, 4 * meters + 1
    end
    return '<' .. rep('I7', meters), '<' .. rep('I7', meters), 7 * meters, 7 * meters + 1
end

local function set_layout(b, class)
    b.class = class
    b.sums, b.amounts, b.sum_bytes, b.entry = layout(class, b.mask % 2 == 1, b.meters)
end

local function count_bits(mask)
    local bits = 0
    while mask > 0 do
        bits = bits + mask % 2
        mask = (mask - mask % 2) / 2
    end
    return bits
end

-- Step length and length of a window of so many seconds.
local function lengths(window_s)
    return math.ceil(window_s * 1000000 / 128), window_s * 1000000
end

-- The block at `at` of v. `source` and `ring` say where its ring stands.
local function read_block(v, at)
    local shape, window_s, step, room, head, count = decode(HEAD_FORMAT, v, at)
    local class = shape % 4
    assert(class < 3 and shape > 3 and count <= room and head < max(room, 1), 'weir: no packed windows')
    local b = { at = at, mask = (shape - class) / 4, window_s = window_s, step = step,
                room = room, head = head, count = count, source = v }
    b.meters = count_bits(b.mask)
    b.r, b.w = lengths(window_s)
    set_layout(b, class)
    b.sum = { decode(b.sums, v, at + HEAD) }
    b.current = { decode(b.amounts, v, at + HEAD + b.sum_bytes) }
    b.ring = at + HEAD + b.sum_bytes + b.entry - 1
    b.past = b.ring + room * b.entry
    assert(b.past <= #v + 1, 'weir: no packed windows')
    return b
end

local function zeros(n)
    local t = {}
    for i = 1, n do
        t[i] = 0
    end
    return t
end

-- A block with nothing in it. `resized`: its bytes are laid out anew.
local function restart(b, t)
    b.step = floor_div(t, b.r)
    b.room, b.head, b.count = 0, 0, 0
    b.sum, b.current = zeros(b.meters), zeros(b.meters)
    b.resized = true
    set_layout(b, 0)
end

local function entry_at(b, i)
    local index = b.head + i
    if index >= b.room then
        index = index - b.room
    end
    return b.ring + index * b.entry
end

-- The whole step of the entry there.
local function entry_step(b, at)
    return b.step - (b.step - byte(b.source, at)) % 256
end

-- When an entry of this step leaves.
local function leaves_at(b, step)
    return (step + 1) * b.r + b.w
end

local function expire(b, t)
    if leaves_at(b, b.step) <= t then
        restart(b, t)
        return
    end
    while b.count > 0 do
        local at = entry_at(b, 0)
        if leaves_at(b, entry_step(b, at)) > t then
            return
        end
        local amount = { decode(b.amounts, b.source, at + 1) }
        for i = 1, b.meters do
            b.sum[i] = b.sum[i] - amount[i]
        end
        b.head = b.head + 1 == b.room and 0 or b.head + 1
        b.count = b.count - 1
    end
end

-- What a class must hold, meter by meter.
local function class_of(b, i, sum, amount)
    local small = b.mask % 2 == 1 and i == 1
    if sum < (small and 2 ^ 16 or 2 ^ 24) and amount < (small and 2 ^ 8 or 2 ^ 16) then
        return 0
    end
    return sum < 2 ^ 40 and amount < 2 ^ 32 and 1 or 2
end

local function pack_amounts(format, amounts, meters)
    return encode(format, unpack(amounts, 1, meters))
end

-- ---- values whose blocks are not those of the plan ----

-- amounts of meters in ascending order, as those of another mask
local function remask(amounts, from, to)
    local out, at = {}, 1
    for m = 0, 5 do
        local has = floor_div(from, 2 ^ m) % 2 == 1
        if floor_div(to, 2 ^ m) % 2 == 1 then
            out[#out + 1] = has and amounts[at] or 0
        end
        at = has and at + 1 or at
    end
    return out
end

-- The old block of the same length under the plan's mask: lowest class, a ring of its entries.
local function keep_block(old, mask, meters)
    local b = { mask = mask, meters = meters, window_s = old.window_s, r = old.r, w = old.w,
                step = old.step, room = old.count, head = 0, count = old.count, resized = true,
                sum = remask(old.sum, old.mask, mask),
                current = remask(old.current, old.mask, mask) }
    local entries, class = {}, 0
    for i = 1, old.count do
        local at = entry_at(old, i - 1)
        local amount = { decode(old.amounts, old.source, at + 1) }
        entries[i] = { byte(old.source, at), remask(amount, old.mask, mask) }
    end
    for i = 1, meters do
        class = max(class, class_of(b, i, b.sum[i], b.current[i]))
        for _, e in ipairs(entries) do
            class = max(class, class_of(b, i, 0, e[2][i]))
        end
    end
    set_layout(b, class)
    for i, e in ipairs(entries) do
        entries[i] = encode('B', e[1]) .. pack_amounts(b.amounts, e[2], meters)
    end
    b.source, b.ring = table.concat(entries), 1
    return b
end

-- A length that is new: one entry at now, per meter the largest sum among the blocks that go.
local function begin_block(window, gone, t)
    local b = { mask = window.mask, meters = window.meters, window_s = window.window_s }
    b.r, b.w = lengths(b.window_s)
    restart(b, t)
    local class = 0
    for _, old in ipairs(gone) do
        local sum = remask(old.sum, old.mask, b.mask)
        for i = 1, b.meters do
            b.sum[i] = max(b.sum[i], sum[i])
            b.current[i] = b.sum[i]
            class = max(class, class_of(b, i, b.sum[i], b.sum[i]))
        end
    end
    set_layout(b, class)
    return b
end

local function adopt(v, plan, t)
    local old, gone, at = {}, {}, 1
    while at <= #v do
        local b = read_block(v, at)
        at = b.past
        expire(b, t)
        old[b.window_s] = b
    end
    local kept = {}
    for _, window in ipairs(plan) do
        kept[window.window_s] = true
    end
    for window_s, b in pairs(old) do
        if not kept[window_s] then
            gone[#gone + 1] = b
        end
    end
    local blocks = {}
    for k, window in ipairs(plan) do
        local b = old[window.window_s]
        blocks[k] = b and keep_block(b, window.mask, window.meters) or begin_block(window, gone, t)
    end
    return blocks
end

-- ---- reading ----

local function read_plan(text)
    local plan, at, window_s, mask, meters = {}, 1
    while at <= #text do
        window_s, mask, meters, at = decode('<I3BB', text, at)
        local window = { window_s = window_s, mask = mask, meters = meters }
        window.capacity = { decode('<' .. rep('I7', meters), text, at) }
        at = at + 7 * meters
        plan[#plan + 1] = window
    end
    return plan
end

-- The blocks that are the plan's, from the first on, and whether all are.
local function read_value(v, plan)
    local blocks, at = {}, 1
    for k, window in ipairs(plan) do
        if at > #v then
            return blocks, false
        end
        local b = read_block(v, at)
        if b.mask ~= window.mask or b.window_s ~= window.window_s then
            return blocks, false
        end
        blocks[k] = b
        at = b.past
    end
    return blocks, at > #v
end

-- ---- charging ----

local function fits(b, ask, capacity)
    for i = 1, b.meters do
        if ask[i] > 0 and b.sum[i] + ask[i] > capacity[i] then
            return false
        end
    end
    return true
end

-- The ring in order, in the formats of `class`, with free places up to `room`.
local function ring_anew(b, class, room, closed)
    local _, amounts, _, entry = layout(class, b.mask % 2 == 1, b.meters)
    local entries = {}
    for i = 1, b.count do
        local at = entry_at(b, i - 1)
        if class == b.class then
            entries[i] = sub(b.source, at, at + entry - 1)
        else
            entries[i] = sub(b.source, at, at)
                .. pack_amounts(amounts, { decode(b.amounts, b.source, at + 1) }, b.meters)
        end
    end
    if closed then
        entries[#entries + 1] = encode('B', b.step % 256) .. pack_amounts(amounts, b.current, b.meters)
    end
    return table.concat(entries) .. rep('\0', (room - #entries) * entry), #entries
end

-- Adds `ask` at time t. Sets what is to be written: `closed_at` and `closed` for an entry that goes
-- into the ring in its place, or `new_ring`.
local function add(b, ask, t)
    local step = t < (b.step + 1) * b.r and b.step or floor_div(t, b.r)
    local later, class, any, holds = step > b.step, b.class, false, false
    local sum, current = {}, {}
    for i = 1, b.meters do
        local more = min(ask[i], SUM_MAX - b.sum[i])
        any = any or b.current[i] > 0
        sum[i] = b.sum[i] + more
        current[i] = later and more or b.current[i] + more
        holds = holds or current[i] > 0
        class = max(class, class_of(b, i, sum[i], current[i]))
    end
    local close, room, newest = later and any, b.room, step
    if not holds then
        newest = close and b.step or b.count > 0 and entry_step(b, entry_at(b, b.count - 1)) or step
    end
    if close and b.count == room then
        room = min(RING_MAX, room + 1 + floor_div(room + 1, 8))
    end
    if class ~= b.class or room ~= b.room then
        b.new_ring, b.count = ring_anew(b, class, room, close)
        b.head, b.room, b.resized = 0, room, true
        set_layout(b, class)
    elseif close then
        b.closed_at = entry_at(b, b.count)
        b.closed = encode('B', b.step % 256) .. pack_amounts(b.amounts, b.current, b.meters)
        b.count = b.count + 1
    end
    b.moved, b.newest, b.step, b.sum, b.current = later, newest, step, sum, current
end

local function head_of(b)
    return encode(HEAD_FORMAT, b.mask * 4 + b.class, b.window_s, b.step, b.room, b.head, b.count)
        .. pack_amounts(b.sums, b.sum, b.meters)
        .. pack_amounts(b.amounts, b.current, b.meters)
end

local function ring_of(b)
    if b.new_ring then
        return b.new_ring
    end
    if b.room == 0 then
        return ''
    end
    local past = b.ring + b.room * b.entry
    if b.closed then
        return sub(b.source, b.ring, b.closed_at - 1) .. b.closed
            .. sub(b.source, b.closed_at + b.entry, past - 1)
    end
    return sub(b.source, b.ring, past - 1)
end

local function write_value(key, blocks, t)
    local resized, moved, until_us, longest = false, false, t, 0
    for _, b in ipairs(blocks) do
        resized = resized or b.resized
        moved = moved or b.moved
        until_us = max(until_us, leaves_at(b, b.step))
        longest = max(longest, b.w)
    end
    -- min(W, 60 s) later than needed
    local life_ms = math.ceil((until_us - t + min(longest, 60000000)) / 1000)
    if resized then
        local parts = {}
        for _, b in ipairs(blocks) do
            parts[#parts + 1] = head_of(b) .. ring_of(b)
        end
        call('SET', key, table.concat(parts), 'PX', life_ms)
        return
    end
    for _, b in ipairs(blocks) do
        call('SETRANGE', key, b.at - 1, head_of(b))
        if b.closed then
            call('SETRANGE', key, b.closed_at - 1, b.closed)
        end
    end
    if moved then
        call('PEXPIRE', key, life_ms)
    end
end

local function ask_of(window, amounts)
    local ask = {}
    for m = 0, 3 do
        if floor_div(window.mask, 2 ^ m) % 2 == 1 then
            ask[#ask + 1] = amounts[m + 1]
        end
    end
    return ask
end

-- All subjects or none; `always`: whether it fits or not. Returns whether, the time, the values.
local function charge(subjects, amounts, always, t, clock)
    local values, plans, blocks, whole, allowed = {}, {}, {}, {}, true
    for s = 1, subjects do
        values[s] = call('GET', KEYS[s]) or ''
        plans[s] = read_plan(ARGV[1 + s])
        blocks[s], whole[s] = read_value(values[s], plans[s])
        for _, b in ipairs(blocks[s]) do
            t = max(t, b.step * b.r)
        end
    end
    for s = 1, subjects do
        if values[s] == '' then
            for k, window in ipairs(plans[s]) do
                blocks[s][k] = begin_block(window, {}, t)
            end
        elseif not whole[s] then
            blocks[s] = adopt(values[s], plans[s], t)
        end
        for k, b in ipairs(blocks[s]) do
            local ask = ask_of(plans[s][k], amounts)
            plans[s][k].ask = ask
            if not b.resized then
                expire(b, t)
            end
            allowed = allowed and (always or fits(b, ask, plans[s][k].capacity))
        end
    end
    if not allowed then
        return false, t, values
    end
    local answer = { 1, t, clock }
    for s = 1, subjects do
        for k, b in ipairs(blocks[s]) do
            add(b, plans[s][k].ask, t)
            for i = 1, b.meters do
                answer[#answer + 1] = b.sum[i]
            end
            answer[#answer + 1] = b.newest
        end
    end
    return true, t, answer, blocks
end

-- ---- settling lower ----

-- Where in the block's bytes the amounts of this step stand, unless they have left.
local function amounts_of_step(b, step, t)
    if leaves_at(b, step) <= t then
        return nil
    elseif step == b.step then
        return b.ring - b.entry + 1
    end
    for i = b.count - 1, 0, -1 do
        local at = entry_at(b, i)
        local is = entry_step(b, at)
        if is <= step then
            return is == step and at + 1 or nil
        end
    end
end

-- Takes `less` out of the entry of `taken_at` in each block that still has it, never below 0.
local function lower(key, taken_at, less, t)
    local v, at = call('GET', key) or '', 1
    while at <= #v do
        local b = read_block(v, at)
        local place = amounts_of_step(b, floor_div(taken_at, b.r), t)
        if place then
            local amount = { decode(b.amounts, v, place) }
            for i, want in ipairs(ask_of(b, less)) do
                local take = min(want, amount[i])
                amount[i] = amount[i] - take
                b.sum[i] = b.sum[i] - take
            end
            call('SETRANGE', key, place - 1, pack_amounts(b.amounts, amount, b.meters))
            call('SETRANGE', key, at + HEAD - 1, pack_amounts(b.sums, b.sum, b.meters))
        end
        at = b.past
    end
end

-- ---- the call ----

local low, high, middle, flags, claim_ms, taken_at, a1, a2, a3, a4, l1, l2, l3, l4 =
    decode('<I7I7I7BI7I7I7I7I7I7I7I7I7I7', ARGV[1])
local subjects, settles, claims = #ARGV - 1, flags % 2 == SETTLE, flags >= CLAIM
local asks = a1 + a2 + a3 + a4 > 0

-- The clock rule: where the caller's own clock says that the server's cannot be right, it goes by
-- what the caller expects.
local time = call('TIME')
local clock = time[1] * 1000000 + time[2]
local now = clock >= low and clock <= high and clock or middle

if claims and call('EXISTS', KEYS[subjects + 1]) == 1 then
    return { 2 }
end
local allowed, t, result, blocks
if asks then
    allowed, t, result, blocks = charge(subjects, { a1, a2, a3, a4 }, settles, now, clock)
elseif not settles then
    t, result = now, {}
    for s = 1, subjects do
        result[s] = call('GET', KEYS[s]) or ''
    end
end
if claims then
    call('SET', KEYS[subjects + 1], '', 'PX', claim_ms)
end
if allowed then
    for s = 1, subjects do
        write_value(KEYS[s], blocks[s], t)
    end
end
if settles then
    if l1 + l2 + l3 + l4 > 0 then
        for s = 1, subjects do
            lower(KEYS[s], taken_at, { l1, l2, l3, l4 }, now)
        end
    end
    return { 1 }
end
if allowed then
    return result
end
return { 0, t, clock, unpack(result) }
