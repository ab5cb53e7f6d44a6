-- The journal: one entry a level or hold touched, with the state that
-- resulted. Entries always have the same fields, in the same order. The ids
-- are contiguous a partition, so a gap can be told from an end.
--
-- `by` is who and why: op, actor, reason, note, reference, now. `hold` is nil
-- or { id, state, record }, with state and record empty but in the entry that
-- speaks for the hold itself.
local function append_movement(partition, kind, by, number, line, on_hand_delta, held_delta, hold)
  partition.seq = partition.seq + 1
  redis.call('XADD', partition.journal, partition.seq .. '-0',
    'id', by.op .. '.' .. number, 'kind', kind, 'at_ms', by.now, 'actor', by.actor,
    'reason', by.reason, 'note', by.note, 'reference', by.reference,
    'location', line and line.location or '', 'sku', line and line.sku or '',
    'delta', on_hand_delta .. ' ' .. held_delta,
    'level', line and pack_level(line.level) or '',
    'hold_id', hold and hold.id or '', 'hold', hold and hold.state or '',
    'record', hold and hold.record or '')
end

-- Writes each partition's seq back and answers where the change stands in
-- their journals: "n:seq[,n:seq]".
local function close_partitions(partitions)
  local places = {}
  for i, partition in ipairs(partitions) do
    redis.call('HSET', partition.meta, 'seq', partition.seq)
    places[i] = partition.number .. ':' .. partition.seq
  end
  return table.concat(places, ',')
end

-- Reads a partition's place in time. Where the store is behind what this
-- server has seen, or of another epoch, it has been put back: answers the
-- refusal instead.
local function open_partition(number, meta, journal, epoch, seen_seq)
  local stored = redis.call('HMGET', meta, 'epoch', 'seq')
  local seq = tonumber(stored[2])
  if stored[1] ~= epoch or not seq or seq < tonumber(seen_seq) then
    return nil, { 'rewound', number, stored[1] or '', stored[2] or '' }
  end
  return { number = number, epoch = epoch, meta = meta, journal = journal, seq = seq }
end
