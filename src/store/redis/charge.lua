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

-- A script begins anew in each call: each function, and each variable of the outside that one names,
-- is an object to be made and swept up, and costs as much as a line that runs. So the common charge
-- is no function, those that there are name each other and nothing else, and offsets go to Redis as
-- format('%d', n), which it would do itself at three times the price.

-- Step length of a window of so many seconds, and how long an entry is kept: the window and the life
-- of a lease, which goes by the subject's shortest window.
local function lengths(window_s, shortest_s)
    local r, life = window_s * 7812.5, shortest_s * 3906.25
    life = life < 400000 and life - life % 1 or 400000
    return r + -r % 1, window_s * 1000000 + life
end

-- Formats of a block's sums and amounts, the bytes of all sums, the bytes of an entry. There are six
-- meters at most.
local function layout(class, requests, meters)
    local letters = 1 + 2 * meters
    if class == 0 and requests then
        return ('<I2I3I3I3I3I3'):sub(1, letters), ('<I1I2I2I2I2I2'):sub(1, letters), 3 * meters - 1, 2 * meters
    elseif class == 0 then
        return ('<I3I3I3I3I3I3'):sub(1, letters), ('<I2I2I2I2I2I2'):sub(1, letters), 3 * meters, letters
    elseif class == 1 then
        return ('<I5I5I5I5I5I5'):sub(1, letters), ('<I4I4I4I4I4I4'):sub(1, letters), 5 * meters, 4 * meters + 1
    end
    return ('<I7I7I7I7I7I7'):sub(1, letters), ('<I7I7I7I7I7I7'):sub(1, letters), 7 * meters, 7 * meters + 1
end

-- How long a key must live. Keys go so much later than needed: Redis lets them go by a clock that may
-- be stepped.
local function life_ms(needed_us)
    local ms = needed_us / 1000
    return ms + -ms % 1 + 65000
end

-- Where the closed entry of the step `want` is in a ring, whose steps ascend; nil: it has none.
local function find_entry(v, ring, entry, room, head, count, step, want)
    if count == 0 then
        return nil
    end
    local first = step - (step - v:byte(ring + head * entry)) % 256
    for i = want - first < count and want - first or count - 1, 0, -1 do
        local place = ring + (head + i) % room * entry
        local is = step - (step - v:byte(place)) % 256
        if is <= want then
            return is == want and place or nil
        end
    end
end

-- What the call says: flags (1: it settles, 2: it claims, 4: leases); the clock's bounds; how long a
-- claim lasts; what is charged whether it fits or not; how many requests there are (none: a look), and
-- where they stand; what is wanted ahead, or nil; what comes back before all of it, or after what a
-- settlement charges.
local function read_call()
    local text, decode = ARGV[1], struct.unpack
    local low, high, flags, claim_ms, taken_at, requests, input, output, at =
        decode('<I7I7BI7I7I7I7I7', text)
    local debt, asked, asked_at, want, back = { requests, input, output, input + output }, 0, 30, nil, nil
    if flags >= 4 then
        local returns
        requests, input, output, returns, asked, asked_at = decode('<I7I7I7BB', text, at + 21)
        want = requests + input + output > 0 and { requests, input, output }
        for i = 1, returns do
            taken_at, requests, input, output, asked_at = decode('<I7I7I7I7', text, asked_at)
            back = back or { nil, nil }
            back[i] = { requests, input, output, input + output, taken_at }
        end
    elseif flags % 2 == 1 then
        requests, input, output = decode('<I7I7I7', text, at)
        back = { { requests, input, output, input + output, taken_at } }
    elseif requests + input + output > 0 then
        debt, asked = { 0, 0, 0, 0 }, 1
    end
    return flags, low, high, claim_ms, debt, asked, asked_at, want, back or {}
end

-- ---- the decision ----

-- Which requests fit beside each other, in their order, behind what is charged whether it fits or
-- not. They stand at asked_at in the call. `left`: what remains of limit i, whose meter is meter[i]; it
-- is used up, and `want`, if there is one, cut to what is taken ahead. Returns the amounts to charge by
-- meter, '1' or '0' for each request, whether each fits, and what is taken ahead.
local function decide(limits, meter, left, debt, asked, asked_at, want)
    local decode, text, ask = struct.unpack, ARGV[1], { 0, 0, 0, 0 }
    local requests, input, output, mask, all = debt[1], debt[2], debt[3], '', true
    if requests + input + output > 0 then
        for i = 1, limits do
            left[i] = left[i] - debt[meter[i]]
        end
    end
    for k = 1, asked do
        local fits = true
        ask[1], ask[2], ask[3], asked_at = decode('<I7I7I7', text, asked_at)
        ask[4] = ask[2] + ask[3]
        for i = 1, limits do
            local amount = ask[meter[i]]
            fits = fits and (amount == 0 or amount <= left[i])
        end
        if fits then
            requests, input, output = requests + ask[1], input + ask[2], output + ask[3]
            for i = 1, limits do
                left[i] = left[i] - ask[meter[i]]
            end
        end
        all = all and fits
        mask = mask .. (fits and '1' or '0')
    end
    if not want or not all then
        ask[1], ask[2], ask[3], ask[4] = requests, input, output, input + output
        return ask, mask, all, 0, 0, 0
    end
    for i = 1, limits do -- a sixteenth of what remains, at most
        local m, most = meter[i], left[i] > 0 and (left[i] - left[i] % 16) / 16 or 0
        if m < 4 and want[m] > most then
            want[m] = most
        end
    end
    for i = 1, limits do
        local tokens, most = want[2] + want[3], left[i] > 0 and (left[i] - left[i] % 16) / 16 or 0
        if meter[i] == 4 and tokens > most then
            local part = want[2] * (most / tokens)
            part = part - part % 1 -- rounded down, so that there may be too much for the other
            want[2] = part < want[2] and part or want[2]
            want[3] = most - want[2] < want[3] and most - want[2] or want[3]
        end
    end
    requests, input, output = requests + want[1], input + want[2], output + want[3]
    ask[1], ask[2], ask[3], ask[4] = requests, input, output, input + output
    return ask, mask, all, want[1], want[2], want[3]
end

-- ---- what comes back, by itself ----

-- Takes `less` out of the entry of its moment in each block that still has it, never below 0.
local function give_back(less, t)
    local decode, encode, format, call = struct.unpack, struct.pack, string.format, redis.call
    local taken = less[5]
    for s = 1, less[1] + less[4] > 0 and #ARGV - 1 or 0 do
        local key, plan, at = KEYS[s], ARGV[1 + s], 1
        local v, shortest_s = call('GET', key) or '', #plan > 0 and decode('<I3', plan) or 0
        while at <= #v do
            local shape, w, step, room, head, count, fields = decode('<BI3I5BBB', v, at)
            local class, meter = shape % 4, {}
            for m = 1, 6 do
                if shape % 2 ^ (m + 2) >= 2 ^ (m + 1) then
                    meter[#meter + 1] = m
                end
            end
            local n = #meter
            local r, length = lengths(w, shortest_s)
            local sums_format, amounts_format, sum_bytes, entry = layout(class, meter[1] == 1, n)
            local ring = fields + sum_bytes + entry - 1
            local want, place = (taken - taken % r) / r, nil
            if want == step then
                place = ring - entry
            elseif want < step then
                place = find_entry(v, ring, entry, room, head, count, step, want)
            end
            if place and (want + 1) * r + length > t then
                local sum = { decode(sums_format, v, fields) }
                local amount = { decode(amounts_format, v, place + 1) }
                for i = 1, n do
                    local take = math.min(less[meter[i]] or 0, amount[i])
                    amount[i], sum[i] = amount[i] - take, sum[i] - take
                end
                local sums = encode(sums_format, unpack(sum, 1, n))
                local amounts = encode(amounts_format, unpack(amount, 1, n))
                if want == step then -- the newest entry's amounts stand behind the sums
                    call('SETRANGE', key, format('%d', fields - 1), sums .. amounts)
                else
                    call('SETRANGE', key, format('%d', place), amounts)
                    call('SETRANGE', key, format('%d', fields - 1), sums)
                end
            end
            at = ring + room * entry
        end
    end
end

-- ---- any charge, whatever values there are ----

-- Lays blocks out anew where they must be, after what comes back. Returns the answer.
local function charge_anew(now, clock)
    local decode, encode = struct.unpack, struct.pack
    local byte, sub, rep = string.byte, string.sub, string.rep
    local call, max, min = redis.call, math.max, math.min
    local HEAD, HEAD_FORMAT, RING_MAX, SUM_MAX = 12, '<BI3I5BBB', 130, 2 ^ 52
    local flags, _, _, _, debt, asked, asked_at, want, back = read_call()
    local subjects, settles, leases = #ARGV - 1, flags % 2 == 1, flags >= 4

    local function floor_div(a, b)
        return (a - a % b) / b
    end

    local function count_bits(mask)
        local bits = 0
        while mask > 0 do
            bits = bits + mask % 2
            mask = floor_div(mask, 2)
        end
        return bits
    end

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

    local t = now
    for i = 1, settles and 0 or #back do
        give_back(back[i], now)
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
    local total, mask, all, ahead_requests, ahead_input, ahead_output =
        decide(#meter, meter, left, debt, asked, asked_at, want)
    local answer = { 1, t, clock }
    if leases then
        answer = { 1, t, clock, mask, ahead_requests, ahead_input, ahead_output }
    end
    for s = 1, total[1] + total[4] > 0 and subjects or 0 do
        for k, b in ipairs(blocks[s]) do
            add(b, ask_of(plans[s][k], total), t)
            for i = 1, b.meters do
                answer[#answer + 1] = b.sum[i]
            end
            answer[#answer + 1] = b.newest
        end
        write_value(KEYS[s], blocks[s], t)
    end
    if settles then
        give_back(back[1], now)
        return { 1 }
    elseif asked == 0 then
        return { 1, t, clock }
    elseif all and total[1] + total[4] > 0 then
        return answer
    end
    answer = { 0, t, clock }
    if leases then
        answer = { 0, t, clock, mask, 0, 0, 0 }
    end
    for s = 1, subjects do
        answer[#answer + 1] = call('GET', KEYS[s]) or ''
    end
    return answer
end

-- ---- the call ----

local decode, encode = struct.unpack, struct.pack
local byte, char, format = string.byte, string.char, string.format
local call, max, min = redis.call, math.max, math.min
local flags, low, high, claim_ms, debt, asked, asked_at, want, back = read_call()
local subjects, settles, leases = #ARGV - 1, flags % 2 == 1, flags >= 4
local returns = settles and 0 or #back -- before the charge

-- The clock rule: never further from what the caller's own clock says than it allows.
local time = call('TIME')
local clock = time[1] * 1000000 + time[2]
local now = max(low, min(high, clock))

if flags % 4 >= 2 then -- it claims
    if call('EXISTS', KEYS[subjects + 1]) == 1 then
        return { 2 }
    end -- first: what gives back is done once at most
    call('SET', KEYS[subjects + 1], '', 'PX', life_ms(claim_ms * 1000))
end
if asked == 0 and debt[1] == 0 and debt[4] == 0 then -- nothing is charged
    for i = 1, #back do
        give_back(back[i], now)
    end
    if settles then
        return { 1 }
    elseif leases then
        return { 1, now, clock }
    end
    local answer = { 0, now, clock }
    for s = 1, subjects do
        answer[3 + s] = call('GET', KEYS[s]) or ''
    end
    return answer
end

-- ---- the common charge: every block keeps its layout, so its bytes are edited where they stand ----

-- What stands where in an open block: its header, the sums, the amounts of the newest entry.
local WINDOW, STEP, ROOM, HEAD, COUNT, SUM = 2, 3, 4, 5, 6, 6
-- Lists begin with places for one subject's window: a list that grows costs more than a loop over it.
local blocks, opened, values, edits, edit, until_us = { 0 }, 0, { '' }, { '', '', '' }, 0, nil
local meter, left, limits, at = { 0, 0, 0, 0 }, { 0, 0, 0, 0 }, 0, 1

for s = 1, subjects do
    local key, plan, p, shortest_s = KEYS[s], ARGV[1 + s], 1, nil
    local v = call('GET', key)
    at = 1
    while p <= #plan do
        local window_s, windows_meters, n
        window_s, windows_meters, n, p = decode('<I3BB', plan, p)
        shortest_s = shortest_s or window_s
        local class = v and at <= #v and byte(v, at) - 4 * windows_meters
        if not class or class < 0 or class > 2 then
            return charge_anew(now, clock) -- a new value, or one that was made under another plan
        end
        local sums_format, amounts_format, sum_bytes, entry = layout(class, windows_meters % 2 == 1, n)
        local fields = '<BI3I5BBB' .. sums_format .. amounts_format
        local b = { at = at, fields = fields, class = class, n = n, first = limits, subject = s,
                    decode(fields, v, at) }
        local r, length = lengths(window_s, shortest_s)
        local step, current, ring = b[STEP], SUM + n, at + 11 + sum_bytes + entry
        local ends, past = (step + 1) * r, ring + b[ROOM] * entry
        if b[WINDOW] ~= window_s or b[COUNT] > b[ROOM] or past > #v + 1
            or now < ends - r or now >= ends + length then
            return charge_anew(now, clock) -- another one, idle, one that has seen a later time
        end
        while b[COUNT] > 0 do -- what has left
            local place = ring + b[HEAD] * entry
            local is = step - (step - byte(v, place)) % 256
            if (is + 1) * r + length > now then
                break
            end
            local amount = { decode(amounts_format, v, place + 1) }
            for i = 1, n do
                b[SUM + i] = b[SUM + i] - amount[i]
            end
            b[HEAD] = b[HEAD] + 1 == b[ROOM] and 0 or b[HEAD] + 1
            b[COUNT] = b[COUNT] - 1
        end
        b.newest = step
        if b[COUNT] > 0 then
            b.newest = step - (step - byte(v, ring + (b[HEAD] + b[COUNT] - 1) % b[ROOM] * entry)) % 256
        end
        for i = 1, n do
            local m, capacity
            m, capacity, p = decode('<BI7', plan, p)
            meter[limits + i], left[limits + i] = m + 1, capacity
        end
        for k = 1, returns do
            local less, lowered, amount, from = back[k], b.lowered, nil, 0
            local is = (less[5] - less[5] % r) / r
            if is == step then
                amount, from = b, current
            elseif is < step then
                local place = find_entry(v, ring, entry, b[ROOM], b[HEAD], b[COUNT], step, is)
                if place then
                    lowered = lowered or {}
                    amount = lowered[place] or { decode(amounts_format, v, place + 1) }
                    lowered[place] = amount
                    b.lowered, b.amounts_format = lowered, amounts_format
                end
            end
            for i = 1, amount and n or 0 do
                local take = min(less[meter[limits + i]], amount[from + i])
                amount[from + i], b[SUM + i] = amount[from + i] - take, b[SUM + i] - take
            end
        end
        if now >= ends then -- the newest entry closes, if there is something in it
            local closes = false
            for i = 1, n do
                closes = closes or b[current + i] > 0
            end
            if closes then
                if b[COUNT] == b[ROOM] then
                    return charge_anew(now, clock)
                end
                edits[edit + 1] = key
                edits[edit + 2] = format('%d', ring + (b[HEAD] + b[COUNT]) % b[ROOM] * entry - 1)
                edits[edit + 3] = char(step % 256)
                    .. encode(amounts_format, unpack(b, current + 1, current + n))
                edit = edit + 3
                b[COUNT], b.newest = b[COUNT] + 1, step
            end
            for i = 1, n do
                b[current + i] = 0
            end
            b[STEP] = (now - now % r) / r
            until_us = until_us or {}
            until_us[s] = max(until_us[s] or 0, (b[STEP] + 1) * r + length)
        end
        for i = 1, n do
            left[limits + i] = left[limits + i] - b[SUM + i]
        end
        opened = opened + 1
        limits, blocks[opened], at = limits + n, b, past
    end
    if at <= #v then
        return charge_anew(now, clock)
    end
    values[s] = v
end

local total, mask, all, ahead_requests, ahead_input, ahead_output =
    decide(limits, meter, left, debt, asked, asked_at, want)
if total[1] == 0 and total[4] == 0 then
    if returns > 0 then
        return charge_anew(now, clock)
    elseif leases then
        return { 0, now, clock, mask, 0, 0, 0, unpack(values) }
    end
    return { 0, now, clock, unpack(values) }
end
local answer, count = { 1, now, clock, nil, nil, nil, nil }, 3 -- with room for what is added
if leases then
    answer = { 1, now, clock, mask, ahead_requests, ahead_input, ahead_output, nil, nil, nil, nil }
    count = 7
end
for k = 1, opened do
    local b = blocks[k]
    local n, class, holds = b.n, b.class, false
    for i = 1, n do
        local m = meter[b.first + i]
        local sum, amount = b[SUM + i] + total[m], b[SUM + n + i] + total[m]
        if sum >= (class == 0 and (m == 1 and 2 ^ 16 or 2 ^ 24) or class == 1 and 2 ^ 40 or 2 ^ 52)
            or amount >= (class == 0 and (m == 1 and 2 ^ 8 or 2 ^ 16) or class == 1 and 2 ^ 32 or 2 ^ 52) then
            return charge_anew(now, clock) -- too narrow
        end
        holds = holds or amount > 0
        b[SUM + i], b[SUM + n + i], answer[count + i] = sum, amount, sum
    end
    count = count + n + 1
    answer[count] = holds and b[STEP] or b.newest
    for place, amount in pairs(b.lowered or {}) do
        edits[edit + 1] = KEYS[b.subject]
        edits[edit + 2] = format('%d', place)
        edits[edit + 3] = encode(b.amounts_format, unpack(amount, 1, n))
        edit = edit + 3
    end
    edits[edit + 1] = KEYS[b.subject]
    edits[edit + 2] = format('%d', b.at - 1)
    edits[edit + 3] = encode(b.fields, unpack(b, 1, SUM + 2 * n))
    edit = edit + 3
end
for i = 1, edit, 3 do
    call('SETRANGE', edits[i], edits[i + 1], edits[i + 2])
end
for s, past_us in pairs(until_us or {}) do
    call('PEXPIRE', KEYS[s], life_ms(past_us - now))
end
if settles then
    give_back(back[1], now)
    return { 1 }
elseif asked == 0 then
    return { 1, now, clock }
elseif not all then
    for s = 1, subjects do -- as they are after it
        values[s] = call('GET', KEYS[s])
    end
    return { 0, now, clock, mask, 0, 0, 0, unpack(values) }
end
return answer
