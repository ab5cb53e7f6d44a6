-- The key of this name in a partition; the names are those of stores/keys.py.
local function partition_key(number, name)
  return 'inv:{' .. number .. '}:' .. name
end

-- Fails where a key is not the one that the arguments name: what is written
-- under a wrong name is lost, or fails after something else was written.
local function check_key(key, name)
  if key ~= name then error('not the key of its arguments: ' .. key .. ', but ' .. name) end
end

-- The alerts: one entry each time that a level becomes low, runs out or
-- recovers, under the seq of the movement that did it.
local function alerts_key(partition)
  return partition_key(partition.number, 'alerts')
end

local function append_alert(partition, cause, by, number, line, hold)
  local level = line.level
  redis.call('XADD', alerts_key(partition), format('%d-0', partition.seq),
    'kind', level.alert_state == 'OK' and 'RECOVERED' or level.alert_state, 'at_ms', by.at,
    'location', line.location, 'sku', line.sku,
    'before', format('%d', level.units_before), 'after', format('%d', available(level)),
    'level', level.packed, 'cause', cause, 'id', format('%s.%d', by.op, number),
    'hold_id', hold and hold.id or '', 'reference', by.reference, 'actor', by.actor)
end

-- Fails where the alerts would refuse an entry after the journal has taken one.
local function check_alerts(partition)
  local last = redis.call('XREVRANGE', alerts_key(partition), '+', '-', 'COUNT', 1)[1]
  if last and tonumber(match(last[1], '^%d+')) > partition.seq then
    error('the alerts are ahead of the journal: ' .. alerts_key(partition))
  end
end

-- The journal: one entry a level or hold touched, with the state that
-- resulted. Entries always have the same fields, in the same order. The ids
-- are contiguous a partition, so a gap can be told from an end.
--
-- `by` is who and why: op, actor, reason, note, reference, at (ms, as text).
-- `hold` is nil or { id, state, record }, with state and record empty but in
-- the entry that speaks for the hold itself.
local function append_movement(partition, kind, by, number, line, on_hand_delta, held_delta, hold)
  local level = line and line.level
  partition.seq = partition.seq + 1
  redis.call('XADD', partition.journal, format('%d-0', partition.seq),
    'id', format('%s.%d', by.op, number), 'kind', kind, 'at_ms', by.at, 'actor', by.actor,
    'reason', by.reason, 'note', by.note, 'reference', by.reference,
    'location', line and line.location or '', 'sku', line and line.sku or '',
    'delta', format('%d %d', on_hand_delta, held_delta),
    'level', line and line.level.packed or '',
    'hold_id', hold and hold.id or '', 'hold', hold and hold.state or '',
    'record', hold and hold.record or '')
  if level and level.state_before and level.state_before ~= level.alert_state then
    append_alert(partition, kind, by, number, line, hold)
  end
  if level then level.units_before = nil end
end

-- Writes each partition's seq back and answers where the change stands in
-- their journals: "n:seq[,n:seq]".
local function close_partitions(partitions)
  local places = {}
  for i, partition in ipairs(partitions) do
    local seq = format('%d', partition.seq)
    redis.call('HSET', partition.meta, 'seq', seq)
    places[i] = partition.number .. ':' .. seq
  end
  return table.concat(places, ',')
end

-- Reads a partition's place in time. Where the store is behind what this
-- server has seen, of another epoch, or another store altogether, it has been
-- put back: answers the refusal instead.
local function open_partition(number, meta, journal, store_id, epoch, seen_seq)
  local stored = redis.call('HMGET', meta, 'epoch', 'seq', 'store_id')
  local seq = tonumber(stored[2])
  if stored[1] ~= epoch or not seq or seq < tonumber(seen_seq) or stored[3] ~= store_id then
    return nil, { 'rewound', number, stored[1] or '', stored[2] or '', stored[3] or '' }
  end
  redis.call('XLEN', journal)
  return { number = number, epoch = epoch, meta = meta, journal = journal, seq = seq }
end

-- Fails where one of several journals would refuse its entry after another
-- has taken one. The first entry of a single one is the first write anyway.
local function check_journals(partitions)
  if #partitions < 2 then return end
  for _, partition in ipairs(partitions) do
    local last = redis.call('XREVRANGE', partition.journal, '+', '-', 'COUNT', 1)[1]
    if last and tonumber(match(last[1], '^%d+')) > partition.seq then
      error('the journal is ahead of its seq: ' .. partition.journal)
    end
  end
end
