-- A level: its hash, its packed form, and the rules over its counts.
-- Counts stay within 14 digits (MAX_TOTAL), so `..` writes them exactly.
local function read_level(key)
  local f = redis.call('HMGET', key, 'on_hand', 'held', 'version', 'safety_stock',
    'backorder_limit', 'reorder_point', 'rearm_point', 'alert_state')
  if not f[1] then return nil end
  local reorder_point, alert_state = tonumber(f[6] or 0), f[8] or 'OK'
  return {
    key = key, on_hand = tonumber(f[1]), held = tonumber(f[2]), version = tonumber(f[3]),
    safety_stock = tonumber(f[4] or 0), backorder_limit = tonumber(f[5] or 0),
    reorder_point = reorder_point, rearm_point = tonumber(f[7] or reorder_point),
    alert_state = alert_state, stored_alert_state = alert_state,
  }
end

local function available(level)
  return level.on_hand - level.held - level.safety_stock
end

-- "on_hand held version", and where anything else is not its default
-- " safety_stock backorder_limit reorder_point rearm_point alert_state".
local function pack_level(level)
  local counts = level.on_hand .. ' ' .. level.held .. ' ' .. level.version
  if level.alert_state == 'OK' and level.safety_stock == 0 and level.backorder_limit == 0
    and level.reorder_point == 0 and level.rearm_point == 0 then
    return counts
  end
  return counts .. ' ' .. level.safety_stock .. ' ' .. level.backorder_limit .. ' '
    .. level.reorder_point .. ' ' .. level.rearm_point .. ' ' .. level.alert_state
end

-- Changes the counts in memory and judges the alert state that follows: a
-- level that became low has to pass its rearm point before it is OK again.
local function change_level(level, on_hand_delta, held_delta)
  level.on_hand = level.on_hand + on_hand_delta
  level.held = level.held + held_delta
  level.version = level.version + 1
  local units = available(level)
  if units <= 0 then
    level.alert_state = 'OUT'
  elseif units <= level.reorder_point and level.alert_state == 'OK' then
    level.alert_state = 'LOW'
  elseif units > level.rearm_point then
    level.alert_state = 'OK'
  end
end

-- Writes the counts back, and the index of levels that are not OK.
local function write_level(level, low_key, sku)
  redis.call('HSET', level.key, 'on_hand', level.on_hand, 'held', level.held,
    'version', level.version)
  if level.alert_state ~= level.stored_alert_state then
    redis.call('HSET', level.key, 'alert_state', level.alert_state)
    redis.call(level.alert_state == 'OK' and 'SREM' or 'SADD', low_key, sku)
    level.stored_alert_state = level.alert_state
  end
end
