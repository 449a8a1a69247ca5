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
-- and with LEASE
--   {1, t, clock, '11...', ahead, sums and steps}   every request was charged, and three amounts ahead
--   {0, t, clock, '101...', 0, 0, 0, value, ...}    not every one: which were, and the values after it
--   {1, t, clock}   there was no request: what goes back and what is owed is written
-- where t is the time of the decision and clock what the server's clock says.
-- Time is in microseconds, positions count from 1, a step is the time divided by r.

local decode, encode = struct.unpack, struct.pack
local byte, char, sub, rep = string.byte, string.char, string.sub, string.rep
local call, max, min = redis.call, math.max, math.min
local SETTLE, CLAIM, LEASE = 1, 2, 4
local HEAD, HEAD_FORMAT = 12, '<BI3I5BBB'
local RING_MAX, SUM_MAX = 130, 2 ^ 52
-- Keys go so much later than needed: Redis lets them go by a clock that may be stepped.
local SPARE_MS = 65000

local function floor_div(a, b)
    return (a - a % b) / b
end

-- Step length of a window of so many seconds, and how long an entry is kept: the window and the life
-- of a lease, which goes by the subject's shortest window.
local function lengths(window_s, shortest_s)
    local life = min(400000, floor_div(shortest_s * 1000000, 256))
    return math.ceil(window_s * 1000000 / 128), window_s * 1000000 + life
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

-- How long a key must live.
local function life_ms(needed_us)
    return math.ceil(needed_us / 1000) + SPARE_MS
end

-- ---- the decision ----

-- Which requests fit beside each other, in their order, behind what is charged whether it fits or
-- not. `left`: what remains of limit i, whose meter is meter[i]; it is used up. Returns the amounts to
-- charge by meter, what of them was taken ahead, and '1' or '0' for each request.
local function decide(meter, left, asked)
    local debt, asks, mask, all = asked.debt, asked.asks, '', true
    local requests, input, output, both = debt[1], debt[2], debt[3], debt[4]
    for i = 1, #meter do
        left[i] = left[i] - debt[meter[i]]
    end
    for k = 1, #asks do
        local ask, fits = asks[k], true
        for i = 1, #meter do
            local amount = ask[meter[i]]
            fits = fits and (amount == 0 or amount <= left[i])
        end
        if fits then
            requests, input, output, both = requests + ask[1], input + ask[2], output + ask[3], both + ask[4]
            for i = 1, #meter do
                left[i] = left[i] - ask[meter[i]]
            end
        end
        all = all and fits
        mask = mask .. (fits and '1' or '0')
    end
    local ahead = { 0, 0, 0, 0 }
    if asked.want and all then -- a sixteenth of what remains, at most
        ahead = asked.want
        for i = 1, #meter do
            local m = meter[i]
            if m < 4 then
                ahead[m] = max(0, min(ahead[m], floor_div(left[i], 16)))
            end
        end
        for i = 1, #meter do
            local tokens, most = ahead[2] + ahead[3], max(0, floor_div(left[i], 16))
            if meter[i] == 4 and tokens > most then
                ahead[2] = min(ahead[2], math.floor(ahead[2] * (most / tokens)))
                ahead[3] = min(ahead[3], most - ahead[2]) -- the product may be rounded down
            end
        end
        requests, input, output = requests + ahead[1], input + ahead[2], output + ahead[3]
        both = both + ahead[2] + ahead[3]
    end
    return { requests, input, output, both }, ahead, mask, all
end

-- Whether nothing is to be written.
local function is_none(total)
    return total[1] == 0 and total[2] == 0 and total[3] == 0
end

-- ---- the common charge: every block keeps its layout, so its bytes are edited where they stand ----

-- The block at `at` of v, which is window_s, mask and n of the plan, brought to time t. nil: it is
-- another one, idle, or no packed window; a number: the later time that it has seen.
local function open_block(v, at, window_s, shortest_s, mask, n, t)
    local shape, w, step, room, head, count, fields = decode(HEAD_FORMAT, v, at)
    local class = shape % 4
    if shape ~= 4 * mask + class or w ~= window_s or class > 2 then
        return nil
    end
    local r, length = lengths(w, shortest_s)
    local ends = (step + 1) * r
    if t < ends - r then
        return ends - r
    elseif t >= ends + length then
        return nil
    end
    local sums_format, amounts_format, sum_bytes, entry = layout(class, mask % 2 == 1, n)
    local sum = { decode(sums_format, v, fields) }
    local ring = fields + sum_bytes + entry - 1
    if count > room or ring + room * entry > #v + 1 then
        return nil
    end
    while count > 0 do -- what has left
        local place = ring + head * entry
        local is = step - (step - byte(v, place)) % 256
        if (is + 1) * r + length > t then
            break
        end
        local amount = { decode(amounts_format, v, place + 1) }
        for i = 1, n do
            sum[i] = sum[i] - amount[i]
        end
        head = head + 1 == room and 0 or head + 1
        count = count - 1
    end
    return { at = at, shape = shape, class = class, w = w, r = r, length = length, step = step,
             room = room, head = head, count = count, ring = ring, entry = entry, n = n, sum = sum,
             current = { decode(amounts_format, v, fields + sum_bytes) },
             sums_format = sums_format, amounts_format = amounts_format, past = ring + room * entry }
end

-- Takes what comes back at `taken` out of its entry: the current one, whose fields the caller writes, or
-- a closed one, which b.lowered keeps by its place. Never below 0; an entry that has left is not there.
local function lower_block(b, v, taken, less)
    local step, amount = floor_div(taken, b.r), nil
    if step == b.step then
        amount = b.current
    elseif step < b.step then
        for i = b.count - 1, 0, -1 do
            local place = b.ring + (b.head + i) % b.room * b.entry
            local is = b.step - (b.step - byte(v, place)) % 256
            if is <= step then
                if is == step then
                    b.lowered = b.lowered or {}
                    amount = b.lowered[place] or { decode(b.amounts_format, v, place + 1) }
                    b.lowered[place] = amount
                end
                break
            end
        end
    end
    for i = 1, amount and b.n or 0 do
        local take = min(less[b.meter[i]], amount[i])
        amount[i], b.sum[i] = amount[i] - take, b.sum[i] - take
    end
end

-- Closes the current entry if it is over; gives the edit for it. nil: its ring has no room.
local function close_entry(b, t, edits, key)
    local ends = (b.step + 1) * b.r
    if t < ends then
        return true
    end
    b.moved = true
    for i = 1, b.n do
        b.closes = b.closes or b.current[i] > 0
    end
    b.newest = b.step
    if b.closes then
        if b.count == b.room then
            return nil
        end
        edits[#edits + 1] = key
        edits[#edits + 1] = b.ring + (b.head + b.count) % b.room * b.entry - 1
        edits[#edits + 1] = char(b.step % 256) .. encode(b.amounts_format, unpack(b.current, 1, b.n))
        b.count = b.count + 1
    end
    for i = 1, b.n do
        b.current[i] = 0
    end
    b.step = floor_div(t, b.r)
    return true
end

-- Adds the totals and gives the edit for it. nil: a field is too narrow.
local function add_to_block(b, v, total, edits, key, answer)
    local class, holds = b.class, false
    local sum, current = b.sum, b.current
    for i = 1, b.n do
        local m = b.meter[i]
        sum[i], current[i] = sum[i] + total[m], current[i] + total[m]
        holds = holds or current[i] > 0
        if sum[i] >= (class == 0 and (m == 1 and 2 ^ 16 or 2 ^ 24) or class == 1 and 2 ^ 40 or SUM_MAX)
            or current[i] >= (class == 0 and (m == 1 and 2 ^ 8 or 2 ^ 16) or class == 1 and 2 ^ 32 or SUM_MAX) then
            return nil
        end
        answer[#answer + 1] = sum[i]
    end
    local newest = b.newest or b.step
    if holds then
        newest = b.step
    elseif not b.closes and b.count > 0 then
        local place = b.ring + (b.head + b.count - 1) % b.room * b.entry
        newest = newest - (newest - byte(v, place)) % 256
    end
    answer[#answer + 1] = newest
    for place, amount in pairs(b.lowered or {}) do
        edits[#edits + 1] = key
        edits[#edits + 1] = place
        edits[#edits + 1] = encode(b.amounts_format, unpack(amount, 1, b.n))
    end
    edits[#edits + 1] = key
    edits[#edits + 1] = b.at - 1
    edits[#edits + 1] = encode(HEAD_FORMAT, b.shape, b.w, b.step, b.room, b.head, b.count)
        .. encode(b.sums_format, unpack(sum, 1, b.n)) .. encode(b.amounts_format, unpack(current, 1, b.n))
    return true
end

-- The answer without its head, and what was decided; or nil, and then nothing was written: a value is
-- new, made under another plan, or has a block that is idle, whose ring is full, or whose fields are
-- too narrow; or nothing is charged, but something comes back.
local charge_in_place
function charge_in_place(subjects, asked, t)
    local edits, values, blocks, meter, left = {}, {}, {}, {}, {}
    local returns = asked.returns
    for s = 1, subjects do
        local key, plan, p, at, shortest_s = KEYS[s], ARGV[1 + s], 1, 1, nil
        local v = call('GET', key)
        if not v then
            return nil
        end
        while p <= #plan do
            local window_s, mask, n
            window_s, mask, n, p = decode('<I3BB', plan, p)
            shortest_s = shortest_s or window_s
            local b = at <= #v and open_block(v, at, window_s, shortest_s, mask, n, t)
            if type(b) == 'number' then -- all go by the latest step that a value has seen
                return charge_in_place(subjects, asked, b)
            elseif not b then
                return nil
            end
            b.subject, b.meter = s, {}
            local first = #left
            for i = 1, n do
                local m, capacity
                m, capacity, p = decode('<BI7', plan, p)
                b.meter[i] = m + 1
                meter[first + i] = m + 1
                left[first + i] = capacity
            end
            for i = 1, #returns do
                lower_block(b, v, returns[i].taken, returns[i].less)
            end
            if not close_entry(b, t, edits, key) then
                return nil
            end
            for i = 1, n do
                left[first + i] = left[first + i] - b.sum[i]
            end
            blocks[#blocks + 1] = b
            at = b.past
        end
        if at <= #v then
            return nil
        end
        values[s] = v
    end
    local total, ahead, mask, all = decide(meter, left, asked)
    if is_none(total) and #returns > 0 then
        return nil
    elseif is_none(total) then
        return values, t, ahead, mask, false
    end
    local answer = {}
    local past_us, moved = {}, {}
    for _, b in ipairs(blocks) do
        local s = b.subject
        if not add_to_block(b, values[s], total, edits, KEYS[s], answer) then
            return nil
        end
        past_us[s] = max(past_us[s] or t, (b.step + 1) * b.r + b.length)
        moved[s] = moved[s] or b.moved
    end
    for i = 1, #edits, 3 do
        call('SETRANGE', edits[i], edits[i + 1], edits[i + 2])
    end
    for s = 1, subjects do
        if moved[s] then
            call('PEXPIRE', KEYS[s], life_ms(past_us[s] - t))
        end
    end
    return answer, t, ahead, mask, all
end

local function count_bits(mask)
    local bits = 0
    while mask > 0 do
        bits = bits + mask % 2
        mask = (mask - mask % 2) / 2
    end
    return bits
end

-- ---- any other charge ----

-- The same, for whatever values there are. Lays blocks out anew where they must be. Its functions are
-- made when it is called, which is not often.
local function charge_anew(subjects, asked, t)
    local function set_layout(b, class)
        b.class = class
        b.sums, b.amounts, b.sum_bytes, b.entry = layout(class, b.mask % 2 == 1, b.meters)
    end

    -- The block at `at` of v. `source` and `ring` say where its ring stands.
    local function read_block(v, at, shortest_s)
        local shape, window_s, step, room, head, count = decode(HEAD_FORMAT, v, at)
        local class = shape % 4
        assert(class < 3 and shape > 3 and count <= room and head < max(room, 1), 'weir: no packed windows')
        local b = { at = at, mask = (shape - class) / 4, window_s = window_s, step = step,
                    room = room, head = head, count = count, source = v }
        b.meters = count_bits(b.mask)
        b.r, b.w = lengths(window_s, shortest_s)
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

    -- Values whose blocks are not those of the plan.

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
        b.r, b.w = lengths(b.window_s, window.shortest_s)
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
            local b = read_block(v, at, plan[1] and plan[1].window_s or 0)
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

    local function read_plan(text)
        local plan, at, window_s, mask, meters = {}, 1
        while at <= #text do
            window_s, mask, meters, at = decode('<I3BB', text, at)
            local window = { window_s = window_s, mask = mask, meters = meters, meter = {}, capacity = {} }
            window.shortest_s = plan[1] and plan[1].window_s or window_s
            for i = 1, meters do
                window.meter[i], window.capacity[i], at = decode('<BI7', text, at)
            end
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
            local b = read_block(v, at, window.shortest_s)
            if b.mask ~= window.mask or b.window_s ~= window.window_s then
                return blocks, false
            end
            blocks[k] = b
            at = b.past
        end
        return blocks, at > #v
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
        local resized, moved, until_us = false, false, t
        for _, b in ipairs(blocks) do
            resized = resized or b.resized
            moved = moved or b.moved
            until_us = max(until_us, leaves_at(b, b.step))
        end
        if resized then
            local parts = {}
            for _, b in ipairs(blocks) do
                parts[#parts + 1] = head_of(b) .. ring_of(b)
            end
            call('SET', key, table.concat(parts), 'PX', life_ms(until_us - t))
            return
        end
        for _, b in ipairs(blocks) do
            call('SETRANGE', key, b.at - 1, head_of(b))
            if b.closed then
                call('SETRANGE', key, b.closed_at - 1, b.closed)
            end
        end
        if moved then
            call('PEXPIRE', key, life_ms(until_us - t))
        end
    end

    local function ask_of(window, amounts)
        local ask = {}
        for i, m in ipairs(window.meter) do
            ask[i] = amounts[m + 1]
        end
        return ask
    end

    local values, plans, blocks, whole, meter, left = {}, {}, {}, {}, {}, {}
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
            if not b.resized then
                expire(b, t)
            end
            for i = 1, b.meters do
                meter[#meter + 1] = plans[s][k].meter[i] + 1
                left[#left + 1] = plans[s][k].capacity[i] - b.sum[i]
            end
        end
    end
    local total, ahead, mask, all = decide(meter, left, asked)
    if is_none(total) then
        return values, t, ahead, mask, false
    end
    local answer = {}
    for s = 1, subjects do
        for k, b in ipairs(blocks[s]) do
            add(b, ask_of(plans[s][k], total), t)
            for i = 1, b.meters do
                answer[#answer + 1] = b.sum[i]
            end
            answer[#answer + 1] = b.newest
        end
        write_value(KEYS[s], blocks[s], t)
    end
    return answer, t, ahead, mask, all
end

-- ---- settling lower ----

-- Takes `less` out of the entry of `taken_at` in each block that still has it, never below 0.
local function lower(key, shortest_s, taken_at, less, t)
    local v, at = call('GET', key) or '', 1
    while at <= #v do
        local shape, w, step, room, head, count, fields = decode(HEAD_FORMAT, v, at)
        local class = shape % 4
        local mask = (shape - class) / 4
        local n = count_bits(mask)
        local r, length = lengths(w, shortest_s)
        local sums_format, amounts_format, sum_bytes, entry = layout(class, mask % 2 == 1, n)
        local ring = fields + sum_bytes + entry - 1
        local want, place = floor_div(taken_at, r), nil
        if (want + 1) * r + length > t then
            place = want == step and ring - entry + 1 or nil
            for i = count - 1, want < step and 0 or count, -1 do
                local entry_at = ring + (head + i) % room * entry
                local is = step - (step - byte(v, entry_at)) % 256
                if is <= want then
                    place = is == want and entry_at + 1 or nil
                    break
                end
            end
        end
        if place then
            local amount = { decode(amounts_format, v, place) }
            local sum = { decode(sums_format, v, fields) }
            local i = 0
            for m = 0, 3 do
                if floor_div(mask, 2 ^ m) % 2 == 1 then
                    i = i + 1
                    local take = min(less[m + 1], amount[i])
                    amount[i], sum[i] = amount[i] - take, sum[i] - take
                end
            end
            call('SETRANGE', key, place - 1, encode(amounts_format, unpack(amount, 1, n)))
            call('SETRANGE', key, fields - 1, encode(sums_format, unpack(sum, 1, n)))
        end
        at = ring + room * entry
    end
end

-- ---- the call ----

-- Three amounts at `at`, and input and output together.
local function amounts_at(text, at)
    local requests, input, output, past = decode('<I7I7I7', text, at)
    return { requests, input, output, input + output }, past
end

local low, high, flags, claim_ms, taken_at, at = decode('<I7I7BI7I7', ARGV[1])
local amounts, less, _
amounts, at = amounts_at(ARGV[1], at)
less, at = amounts_at(ARGV[1], at)
local subjects = #ARGV - 1
local settles, claims, leases = flags % 2 == SETTLE, flags % LEASE >= CLAIM, flags >= LEASE

-- The clock rule: never further from what the caller's own clock says than it allows.
local time = call('TIME')
local clock = time[1] * 1000000 + time[2]
local now = max(low, min(high, clock))

local function give_back(taken, amount)
    for s = 1, is_none(amount) and 0 or subjects do
        local plan = ARGV[1 + s]
        lower(KEYS[s], #plan > 0 and decode('<I3', plan) or 0, taken, amount, now)
    end
end

-- Charges, after what comes back; the values after it where one was denied.
local function charge(asked)
    local answer, t, ahead, mask, all = charge_in_place(subjects, asked, now)
    if not answer then
        for _, back in ipairs(asked.returns) do
            give_back(back.taken, back.less)
        end
        answer, t, ahead, mask, all = charge_anew(subjects, asked, now)
    end
    return answer, t, ahead, mask, all
end

local function values_now()
    local values = {}
    for s = 1, subjects do
        values[s] = call('GET', KEYS[s]) or ''
    end
    return values
end

if claims and call('EXISTS', KEYS[subjects + 1]) == 1 then
    return { 2 }
end
if claims then -- first: what gives back is done once at most
    call('SET', KEYS[subjects + 1], '', 'PX', claim_ms + SPARE_MS)
end
if settles then
    if not is_none(amounts) then
        charge({ returns = {}, asks = {}, debt = amounts })
    end
    give_back(taken_at, less)
    return { 1 }
end
if leases then
    local want, returns, asks, back, list = nil, 0, 0, {}, {}
    want, at = amounts_at(ARGV[1], at)
    returns, asks, at = decode('<BB', ARGV[1], at)
    for i = 1, returns do
        taken_at, at = decode('<I7', ARGV[1], at)
        less, at = amounts_at(ARGV[1], at)
        back[i] = { taken = taken_at, less = less }
    end
    for i = 1, asks do
        list[i], at = amounts_at(ARGV[1], at)
    end
    if asks == 0 and is_none(amounts) then
        for i = 1, returns do
            give_back(back[i].taken, back[i].less)
        end
        return { 1, now, clock }
    end
    local answer, t, ahead, mask, all = charge({ returns = back, asks = list, debt = amounts, want = want })
    if asks == 0 then
        return { 1, t, clock }
    elseif not all then
        answer = values_now()
    end
    return { all and 1 or 0, t, clock, mask, ahead[1], ahead[2], ahead[3], unpack(answer) }
end
if is_none(amounts) then
    return { 0, now, clock, unpack(values_now()) }
end
local answer, t, _, _, all = charge({ returns = {}, asks = { amounts }, debt = { 0, 0, 0, 0 } })
return { all and 1 or 0, t, clock, unpack(answer) }
