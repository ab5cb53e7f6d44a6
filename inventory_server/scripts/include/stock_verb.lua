-- What the verbs on stock share: their idempotency record, and their end.

-- The answer kept under this key: a replay, a refusal, or nil where none is.
local function answer_known(key, fingerprint)
  local known = redis.call('GET', key)
  if not known then return nil end
  local known_fingerprint, outcome = match(known, '^(%S+) (.*)$')
  if known_fingerprint ~= fingerprint then return { 'key_reused' } end
  return { 'replay', outcome }
end

-- A location's default policy: what its levels are made with.
local function default_policy(line)
  local location = line.within
  if not location.default then
    local stored = redis.call('HGET', location.partition.locations, location.name)
    location.default = stored and stored ~= '' and stored or NO_POLICY
  end
  return location.default
end

-- The line's level, which is not there yet. It starts from OK and may alert at once.
local function new_level(line)
  local level = {
    key = line.key, on_hand = 0, held = 0, version = 0, units_before = 0,
    alert_state = 'OK', stored_alert_state = 'OK', is_new = true,
  }
  take_policy(level, default_policy(line))
  return level
end

-- Fails where the record is not that of this op, or an index that levels go
-- into is not of its type.
local function check_indexes(scope)
  check_key(KEYS[1], scope.partitions[1].prefix .. 'key:' .. ARGV[2])
  for _, partition in ipairs(scope.partitions) do
    check_alerts(partition)
    if partition.locations then redis.call('HLEN', partition.locations) end
  end
  for _, location in ipairs(scope.locations) do
    if location.skus then redis.call('ZCARD', location.skus) end
    redis.call('ZCARD', location.low)
  end
end

-- Every level as it would become, in memory, without its journal entries.
local function preview(lines, on_hand_deltas)
  local packed = {}
  for i, line in ipairs(lines) do
    local partition = line.partition
    partition.last = partition.last or partition.seq
    if line.level.is_new then line.level.version = partition.last end
    partition.last = partition.last + 1
    change_level(line.level, on_hand_deltas[i], 0)
    packed[i] = line.level.packed
  end
  return table.concat(packed, ',')
end

-- Journals and writes one on_hand delta a line, of its own kind where it has
-- one. Answers the levels as they became.
local function write_lines(lines, kind, by, on_hand_deltas)
  local packed, new, locations = {}, {}, {}
  for i, line in ipairs(lines) do
    local level = line.level
    -- A version is never given twice, also where the level was deleted before.
    if level.is_new then level.version = line.partition.seq end
    change_level(level, on_hand_deltas[i], 0)
    packed[i] = level.packed
    append_movement(line.partition, line.kind or kind, by, i, line, on_hand_deltas[i], 0)
    write_level(level, line.low, line.sku)
    if level.is_new then
      local location, skus = line.within, new[line.within]
      if not skus then
        skus = {}
        new[location], locations[#locations + 1] = skus, location
      end
      skus[#skus + 1] = '0'
      skus[#skus + 1] = line.sku
    end
  end
  for _, location in ipairs(locations) do
    redis.call('ZADD', location.skus, unpack(new[location]))
    redis.call('HSETNX', location.partition.locations, location.name, '')
  end
  return table.concat(packed, ',')
end

-- Closes the partitions and keeps the outcome, "at_ms epoch n:seq,... tail",
-- under the call's key for its retention time.
local function keep_outcome(scope, key, fingerprint, by, tail, retention_ms)
  local outcome = table.concat(
    { by.at, scope.partitions[1].epoch, close_partitions(scope.partitions), tail }, ' ')
  redis.call('SET', key, fingerprint .. ' ' .. outcome, 'PX', retention_ms)
  return { 'ok', outcome }
end
