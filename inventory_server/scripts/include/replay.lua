-- What a movement of the durable copy made of its level, in a partition that lost the movement.

-- Takes the level in, or its location's default policy, beside what it was. `key_of` answers the
-- key of a name; `levels` has the levels as they are after the movements before this one, false
-- where they deleted it. Answers whether it follows.
local function replay_level(move, seq, key_of, levels)
  check_place(move.location, move.sku ~= '' and move.sku or nil)
  move.low = key_of('low:' .. move.location)
  move.skus = key_of('skus:' .. move.location)
  redis.call('ZCARD', move.low)
  redis.call('ZCARD', move.skus)
  if move.sku == '' then
    move.policy = match(move.level, '^0 0 0( .*) OK$') or ''
    take_policy({}, move.policy)
    return true
  end
  local place = move.location .. ':' .. move.sku
  local key = key_of('level:' .. place)
  local before, after = levels[place], { on_hand = 0, held = 0, safety_stock = 0, alert_state = 'OK' }
  if before == nil then before = read_level(key) end
  if move.kind ~= 'DELETE' then after = parse_level(key, move.level) end
  after.packed, after.units_before = move.level, before and available(before) or 0
  move.key, move.line = key, { level = after, location = move.location, sku = move.sku }
  move.crosses = after.alert_state ~= (before and before.alert_state or 'OK')
  levels[place] = move.kind ~= 'DELETE' and after
  if move.kind == 'DELETE' then return before end
  return after.version == (before and before.version + 1 or seq)
end

-- Writes it.
local function write_replayed(move, locations)
  if move.policy then
    redis.call('HSET', locations, move.location, move.policy)
  elseif move.kind == 'DELETE' then
    redis.call('DEL', move.key)
    redis.call('ZREM', move.skus, move.sku)
    redis.call('ZREM', move.low, move.sku)
  elseif move.line then
    redis.call('SET', move.key, move.level)
    redis.call('ZADD', move.skus, '0', move.sku)
    redis.call('HSETNX', locations, move.location, '')
    write_low(move.line.level, move.low, move.sku)
  end
end
