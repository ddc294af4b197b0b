"""What the shared server does in one step each: the Lua of ``remote``.

A window is a string of three numbers, as in ``windows``. A hold is a hash: ``spent``, ``held``, and for each holder
``h:NAME``, its share of what is held. Sums of money are added by the server as 64-bit integers; only comparisons go
through Lua's numbers, which are exact up to 90,000 USD and off by less than 10^-8 USD up to ten million.
"""

from tallygate.gateway.state.redis import Script

KEPT = 40 * 86400 * 1000
"""Milliseconds after which the server forgets a purse; it is then asked for anew."""
EMPTY = 600 * 1000
"""Milliseconds after which it forgets that nobody holds a place."""

_WINDOW = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function window_at(record, length)
  local step, left = math.floor(now / length), length - now % length
  if not record then return step, 0, 0, left end
  local kept, previous, current = struct.unpack('<ddd', record)
  if kept == step then return step, previous, current, left end
  if kept == step - 1 then return step, current, 0, left end
  if kept < step then return step, 0, 0, left end
  if kept == step + 1 then return kept, previous, current, length end
  return step, previous, current, left
end

local function put_window(key, step, previous, current, length)
  redis.call('SET', key, struct.pack('<ddd', step, previous, current), 'PX', 3 * length)
end
"""

_LEFT = """
local function used_of(previous, current, left, length)
  return math.floor(previous * left / length) + current
end

local function until_room(count, room, left, length)
  if math.floor(count * left / length) <= room then return 0 end
  local exact = (room + 1) * length / count
  local whole = math.floor(exact)
  return left - whole + (whole == exact and 1 or 0)
end

local function wait_of(previous, current, left, length, limit, amount)
  if amount > limit then return -1 end
  local room = limit - amount - current
  if room >= 0 then return until_room(previous, room, left, length) end
  return left + until_room(current, limit - amount, length, length)
end

local function reset_of(previous, current, left, length)
  if current > 0 then return left + length end
  if previous > 0 then return left end
  return 0
end
"""

ADMIT = Script(
    _WINDOW
    + _LEFT
    + """
local windows, holder, length = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local kept, share = 'tallygate:{limits}:holder:' .. holder, 'h:' .. holder
local tokens, money = string.match(ARGV[4 + 2 * windows + 3 * (#KEYS - windows)], '(%d+) (%d+)')
local found, unknown, answer, argument = {}, {}, {0, math.floor(now / length), 0}, 4
for place = 1, windows do
  local limit = tonumber(ARGV[argument])
  local amount = tonumber(ARGV[argument + 1]) or math.min(tonumber(tokens), limit)
  argument = argument + 2
  local step, previous, current, left = window_at(redis.call('GET', KEYS[place]), length)
  local free = limit - used_of(previous, current, left, length)
  if amount > free then
    local wait = wait_of(previous, current, left, length, limit, amount)
    return {1, place - 1, math.max(free, 0), wait, reset_of(previous, current, left, length)}
  end
  found[place] = {step, previous, current + amount}
  answer[3] = math.max(answer[3], left + length)
  answer[#answer + 1] = free - amount
end
local first = argument
for place = windows + 1, #KEYS do
  local limit, amount, purse = tonumber(ARGV[argument]), ARGV[argument + 1], ARGV[argument + 2]
  if amount == '' then amount = money end
  argument = argument + 3
  local values = redis.call('HMGET', KEYS[place], 'spent', 'held', share)
  if purse == '1' and not values[1] then
    unknown[#unknown + 1] = place - windows - 1
  else
    local free = limit - (values[1] or 0) - (values[2] or 0)
    if tonumber(amount) > free or (purse == '1' and free <= 0) then
      return {1, place - 1, math.max(free, 0), -1, 0}
    end
    values[4] = amount
    found[place] = values
  end
end
if #unknown > 0 then return {2, unpack(unknown)} end
for place = 1, windows do
  put_window(KEYS[place], found[place][1], found[place][2], found[place][3], length)
end
argument = first
for place = windows + 1, #KEYS do
  local values = found[place]
  if values[4] ~= '0' then
    redis.call('HINCRBY', KEYS[place], 'held', values[4])
    redis.call('HINCRBY', KEYS[place], share, values[4])
    if not values[3] then redis.call('SADD', kept, KEYS[place]) end
    if ARGV[argument + 2] == '0' and values[2] == '0' then redis.call('PERSIST', KEYS[place]) end
  end
  argument = argument + 3
end
return answer
"""
)
"""Takes all, or nothing.

KEYS: windows, then holds. ARGV: how many windows, the holder, the window's length (ms); limit and amount of each
window; limit, amount and whether it is a purse (1, 0) of each hold; the request's tokens and money, as one text, for
amounts that are empty. Replies 0, the step, ms until all windows are free again, and what remains of each; or 1, which
refused (from 0), remaining, ms until it may pass (-1: unknown) and reset; or 2 and which
purses (from 0, among the holds) are unknown.
"""

SETTLE = Script(
    _WINDOW
    + f"""
local EMPTY = {EMPTY}"""
    + """
local windows, holder, length = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local step, used, tokens, money, cost = string.match(ARGV[#ARGV], '(%d+) (%d+) (%d+) (%d+) (%d+)')
local share, argument = 'h:' .. holder, 4
step, used, tokens = tonumber(step), tonumber(used), tonumber(tokens)
for place = 1, windows do
  local amount = used - (tonumber(ARGV[argument + 1]) or math.min(tokens, tonumber(ARGV[argument])))
  argument = argument + 2
  local at, previous, current = 0, 0, 0
  if amount ~= 0 then at, previous, current = window_at(redis.call('GET', KEYS[place]), length) end
  if amount > 0 or step == at then
    put_window(KEYS[place], at, previous, math.max(current + amount, 0), length)
  elseif step == at - 1 then
    put_window(KEYS[place], at, math.max(previous + amount, 0), current, length)
  end
end
for place = windows + 1, #KEYS do
  local amount, purse = ARGV[argument], ARGV[argument + 1]
  if amount == '' then amount = money end
  argument = argument + 2
  local values = redis.call('HMGET', KEYS[place], 'spent', share)
  if purse == '1' and cost ~= '0' and values[1] then redis.call('HINCRBY', KEYS[place], 'spent', cost) end
  if amount ~= '0' and values[2] and values[2] ~= '0' then
    if tonumber(amount) > tonumber(values[2]) then amount = values[2] end
    redis.call('HINCRBY', KEYS[place], share, '-' .. amount)
    local held = redis.call('HINCRBY', KEYS[place], 'held', '-' .. amount)
    if held == 0 and not values[1] then redis.call('PEXPIRE', KEYS[place], EMPTY) end
  end
end
"""
)
"""Frees what was held.

KEYS: windows to correct, then holds. ARGV: how many windows, the holder, the window's length (ms); limit and amount of
each window; amount of each hold, and whether it is paid from (1, 0); and as one text: the step in which was asked, the
tokens used, those that were asked for, the money, and the cost.
"""

RAISE = Script(
    f"""
local KEPT = {KEPT}"""
    + """
local there = redis.call('HGET', KEYS[1], 'spent')
if not there or tonumber(ARGV[1]) > tonumber(there) then redis.call('HSET', KEYS[1], 'spent', ARGV[1]) end
if not there then redis.call('PEXPIRE', KEYS[1], KEPT) end
"""
)
"""A purse (KEYS) has spent at least so much (ARGV)."""

BEAT = Script(
    """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for place = 2, #ARGV do redis.call('ZADD', KEYS[1], now + ARGV[1], ARGV[place]) end
return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, 100)
"""
)
"""Says who is alive: KEYS: the list of holders; ARGV: for how long (ms), and who. Replies who no longer is."""

FREE = Script(
    f"""
local EMPTY = {EMPTY}"""
    + """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local until_ = redis.call('ZSCORE', KEYS[1], ARGV[1])
if until_ and tonumber(until_) > now then return 0 end
local share = 'h:' .. ARGV[1]
for _, key in ipairs(redis.call('SPOP', KEYS[2], 500)) do
  local held = redis.call('HGET', key, share)
  if held then
    if held ~= '0' and redis.call('HINCRBY', key, 'held', '-' .. held) == 0 then
      if redis.call('HEXISTS', key, 'spent') == 0 then redis.call('PEXPIRE', key, EMPTY) end
    end
    redis.call('HDEL', key, share)
  end
end
local left = redis.call('SCARD', KEYS[2])
if left == 0 then redis.call('ZREM', KEYS[1], ARGV[1]) end
return left
"""
)
"""Frees what a holder that is no longer alive holds, some at a time: KEYS: the list of holders, and where this one
holds something; ARGV: who. Replies in how many places there is still something."""

PEEK = Script(
    _WINDOW
    + """
local _, previous, current, left = window_at(redis.call('GET', KEYS[1]), tonumber(ARGV[1]))
return {previous, current, left}
"""
)
"""Replies what passed in the step before and in this one, and the milliseconds until it ends. ARGV: its length (ms)."""

ALL = (ADMIT, SETTLE, RAISE, BEAT, FREE, PEEK)
