-- What the verbs on stock share: their idempotency record, and their end.

-- The answer kept under this key: a replay, a refusal, or nil where none is.
local function answer_known(key, fingerprint)
  local known = redis.call('GET', key)
  if not known then return nil end
  local known_fingerprint, outcome = string.match(known, '^(%S+) (.*)$')
  if known_fingerprint ~= fingerprint then return { 'key_reused' } end
  return { 'replay', outcome }
end

-- A level that is not there yet. It starts from OK and may alert at once.
local function new_level(key)
  return {
    key = key, on_hand = 0, held = 0, version = 0, safety_stock = 0, backorder_limit = 0,
    reorder_point = 0, rearm_point = 0, alert_state = 'OK', stored_alert_state = 'OK', is_new = true,
  }
end

-- Journals and writes one on_hand delta a line. Answers the levels as they became.
local function write_lines(lines, kind, by, on_hand_deltas)
  local packed = {}
  for i, line in ipairs(lines) do
    change_level(line.level, on_hand_deltas[i], 0)
    packed[i] = pack_level(line.level)
    append_movement(line.partition, kind, by, i, line, on_hand_deltas[i], 0)
  end
  for _, line in ipairs(lines) do
    write_level(line.level, line.low, line.sku)
    if line.level.is_new then
      redis.call('ZADD', line.skus, 0, line.sku)
      redis.call('HSETNX', line.partition.locations, line.location, '')
    end
  end
  return table.concat(packed, ',')
end

-- Keeps the outcome under the call's key for its retention time.
local function keep_outcome(key, fingerprint, outcome, retention_ms)
  redis.call('SET', key, fingerprint .. ' ' .. outcome, 'PX', retention_ms)
  return { 'ok', outcome }
end
