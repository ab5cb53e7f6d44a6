-- A level: its value, which is its packed form, and the rules over its counts.
-- Packed: "on_hand held version", and where anything else is not its default
-- " safety_stock backorder_limit reorder_point rearm_point alert_state".
local NO_POLICY = ' 0 0 0 0'

-- Gives the level this policy: " safety_stock backorder_limit reorder_point rearm_point".
local function take_policy(level, policy)
  local safety, backorder, reorder, rearm = match(policy, '^ (%d+) (%d+) (%d+) (%d+)$')
  if not safety then error('not a policy: ' .. policy) end
  level.safety_stock, level.backorder_limit = tonumber(safety), tonumber(backorder)
  level.reorder_point, level.rearm_point = tonumber(reorder), tonumber(rearm)
  level.policy = policy
end

-- The level of a packed form. `key` is where it stands.
local function parse_level(key, packed)
  local on_hand, held, version, rest = match(packed, '^(%-?%d+) (%d+) (%d+)(.*)$')
  if not on_hand then error('not a level: ' .. key) end
  local level = {
    key = key, on_hand = tonumber(on_hand), held = tonumber(held), version = tonumber(version),
    safety_stock = 0, backorder_limit = 0, reorder_point = 0, rearm_point = 0,
    policy = NO_POLICY, alert_state = 'OK', stored_alert_state = 'OK',
  }
  if rest ~= '' then
    local policy, safety, backorder, reorder, rearm, alert_state =
      match(rest, '^( (%d+) (%d+) (%d+) (%d+)) (%u+)$')
    if not policy then error('not a level: ' .. key) end
    level.policy, level.alert_state, level.stored_alert_state = policy, alert_state, alert_state
    level.safety_stock, level.backorder_limit = tonumber(safety), tonumber(backorder)
    level.reorder_point, level.rearm_point = tonumber(reorder), tonumber(rearm)
  end
  return level
end

local function read_level(key)
  local packed = redis.call('GET', key)
  return packed and parse_level(key, packed) or nil
end

local function available(level)
  return level.on_hand - level.held - level.safety_stock
end

-- Changes the counts in memory and judges the alert state that follows: a
-- level that became low has to pass its rearm point before it is OK again. One
-- that is kept quiet (quiet.lua) gets no worse.
-- Counts stay within 14 digits (MAX_TOTAL), so %d writes them exactly.
local function change_level(level, on_hand_delta, held_delta)
  level.units_before = level.units_before or available(level)
  level.state_before = level.alert_state
  level.on_hand = level.on_hand + on_hand_delta
  level.held = level.held + held_delta
  level.version = level.version + 1
  local units = available(level)
  if units > level.rearm_point then
    level.alert_state = 'OK'
  elseif not level.is_quiet and units <= 0 then
    level.alert_state = 'OUT'
  elseif not level.is_quiet and units <= level.reorder_point and level.alert_state == 'OK' then
    level.alert_state = 'LOW'
  end
  local packed = format('%d %d %d', level.on_hand, level.held, level.version)
  if level.alert_state ~= 'OK' or level.policy ~= NO_POLICY then
    packed = packed .. level.policy .. ' ' .. level.alert_state
  end
  level.packed = packed
end

-- Whether the level is about to enter or leave the index of low ones. Fails
-- where that is not of its type: a write that failed after another would leave
-- that one.
local function check_low(level, low_key)
  if level.alert_state == level.stored_alert_state then return false end
  redis.call('ZCARD', low_key)
  return true
end

local function write_low(level, low_key, sku)
  if level.alert_state == 'OK' then
    redis.call('ZREM', low_key, sku)
  else
    redis.call('ZADD', low_key, '0', sku)
  end
end

-- Writes the level back, and the index of levels that are not OK.
local function write_level(level, low_key, sku)
  redis.call('SET', level.key, level.packed)
  if level.alert_state ~= level.stored_alert_state then
    write_low(level, low_key, sku)
    level.stored_alert_state = level.alert_state
  end
end
