#!lua flags=no-writes
--[[ verify_levels — Compares levels with their open holds and their indexes.
  KEYS  a level: level, due, low, skus
  ARGV  1 max_holds  2.. a level: location, sku
  Returns
    ok   done (number kind hold_id message)...   done: levels that were looked at; those
         behind are for another run. kind LARGE: the level has more open holds than that
  Cost  O(levels + max_holds). Writes nothing. ]]
-- include: arguments.lua
-- include: level.lua
-- include: journal.lua
-- include: hold.lua
-- include: hold_lines.lua
local max_holds, looked_at, answer = whole(ARGV[1], 1), 0, { 'ok', 0 }
local function note(number, kind, hold_id, ...)
  for _, fact in ipairs({ number, kind, hold_id, format(...) }) do answer[#answer + 1] = fact end
end

-- The units that this hold holds of the level; nil, and why the index is wrong.
local function held_of(id, score, location, sku)
  local is_read, hold = pcall(find_hold, id)
  if not is_read then return nil, 'a hold that cannot be read' end
  if not hold then return nil, 'a hold that is not there' end
  if hold.word ~= 'HELD' then return nil, 'a hold that is ' .. hold.word end
  if hold.deadline ~= score then return nil, 'another deadline than the hold has' end
  local is_whole, units = pcall(units_of, hold, location, sku)
  if not is_whole then return nil, 'a hold that cannot be read' end
  if units then return units end
  return nil, 'a hold without such a line'
end

local function check_held(i, level, due, location, sku)
  local sum, entries = 0, redis.call('ZRANGE', due, 0, -1, 'WITHSCORES')
  for n = 1, #entries, 2 do
    local units, why = held_of(entries[n], tonumber(entries[n + 1]), location, sku)
    sum = sum + (units or 0)
    if why then note(i, 'INDEX', entries[n], 'the level\'s due names %s', why) end
    if units == 0 then note(i, 'INDEX', entries[n], 'the level\'s due names a hold of 0 units') end
  end
  if sum ~= level.held then
    note(i, 'HELD', '', 'held is %d, the open holds have %d', level.held, sum)
  end
end

local function check_alert(i, level, low, sku)
  local units, state = available(level), level.alert_state
  local is_low = redis.call('ZSCORE', low, sku) ~= false
  if is_low == (state == 'OK') then
    note(i, 'INDEX', '', 'low %s the level, whose alert_state is %s',
      is_low and 'has' or 'lacks', state)
  end
  -- One that is too good is no damage: the product was inactive when the units fell.
  if units > level.rearm_point and state ~= 'OK' then
    note(i, 'DAMAGED', '', 'alert_state is %s at %d available', state, units)
  end
end

for i = 1, #KEYS / 4 do
  local key, due, low, skus = KEYS[4 * i - 3], KEYS[4 * i - 2], KEYS[4 * i - 1], KEYS[4 * i]
  local location, sku = ARGV[2 * i], ARGV[2 * i + 1]
  local is_read, level = pcall(read_level, key)
  local holds, is_listed = redis.call('ZCARD', due), redis.call('ZSCORE', skus, sku)
  if looked_at > 0 and looked_at + holds > max_holds then break end
  looked_at = looked_at + holds + 1
  if not is_read then
    note(i, 'DAMAGED', '', 'the level cannot be read')
  elseif not level then
    if holds > 0 or is_listed or redis.call('ZSCORE', low, sku) then
      note(i, 'INDEX', '', 'an index names a level that is not there')
    end
  else
    if not is_listed then note(i, 'INDEX', '', 'skus lacks the level') end
    check_alert(i, level, low, sku)
    if holds > max_holds then
      note(i, 'LARGE', '', '%d', holds)
    else
      check_held(i, level, due, location, sku)
    end
  end
  answer[2] = i
end
return answer
