-- What a movement of the durable copy made of its level, in a partition that lost the movement.

-- Fails where its texts would not stay what they are in a journal and in a hold.
local function check_movement(move)
  for name, text in pairs(move.texts) do
    if name ~= 'record' and find(text, '%c') then error('a control character in ' .. name) end
  end
  if not find(move.id, '^[%w-]+%.%d+$') or not find(move.kind, '^[%u_]+$')
      or not find(move.delta, '^%-?%d+ %-?%d+$')
      or not (move.hold_id == '' or find(move.hold_id, '^%d+%-[a-z2-7]+$'))
      or (move.location == '' and move.sku .. move.level ~= '')
      or (move.kind == 'DELETE' and move.level ~= '')
      or (move.hold == '') ~= (move.record == '') then
    error('not a movement: ' .. move.id)
  end
end

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
    return move.kind == 'POLICY'
  end
  local place = move.location .. ':' .. move.sku
  local key, before = key_of('level:' .. place), levels[place]
  if before == nil then before = read_level(key) end
  before = before or { on_hand = 0, held = 0, version = seq - 1, alert_state = 'OK', is_new = true }
  local after = { on_hand = 0, held = 0, version = before.version + 1, safety_stock = 0,
    alert_state = 'OK' }
  if move.kind ~= 'DELETE' then after = parse_level(key, move.level) end
  after.packed, after.units_before = move.level, before.is_new and 0 or available(before)
  move.key, move.line = key, { level = after, location = move.location, sku = move.sku }
  move.crosses = after.alert_state ~= before.alert_state
  levels[place] = move.kind ~= 'DELETE' and after
  local deltas = format('%d %d', after.on_hand - before.on_hand, after.held - before.held)
  return after.version == before.version + 1 and deltas == move.delta
    and not (before.is_new and move.kind == 'DELETE')
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
