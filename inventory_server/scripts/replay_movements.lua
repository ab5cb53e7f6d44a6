#!lua
--[[ replay_movements — Makes movements once more, as the durable copy has them, in a partition
  that lost them. A hold's later verbs are not known from them.
  KEYS  1 meta  2 journal  3 alerts  4 locations  5 due  6 ended  7 refs
        8.. what they name: low, skus, level, hold, each once
  ARGV  1 number  2 seq (of the first)
        3.. a movement (id, kind, at_ms, actor, reason, note, reference, location, sku, delta,
        level, hold_id, hold, record)
  Returns, first match wins
    not_reconciling                           none has begun, or it is finished
    elsewhere        seq                      the partition is not where the first follows
    does_not_follow  seq                      its level is not what this one has changed
    ok
  Cost  O(movements, lines). Writes nothing unless it returns ok. ]]
-- include: arguments.lua
-- include: level.lua
-- include: journal.lua
-- include: hold.lua
-- include: hold_lines.lua
-- include: restore.lua
-- include: copied_hold.lua
-- include: replay.lua
local FIELDS = { 'id', 'kind', 'at_ms', 'actor', 'reason', 'note', 'reference', 'location', 'sku',
  'delta', 'level', 'hold_id', 'hold', 'record' }
local number, first, named, moves = ARGV[1], whole(ARGV[2], 1), {}, {}
for i, name in ipairs({ 'meta', 'journal', 'alerts', 'locations', 'due', 'ended', 'refs' }) do
  check_key(KEYS[i], partition_key(number, name))
end
for i = 8, #KEYS do named[KEYS[i]] = true end
local function key_of(name)
  local key = partition_key(number, name)
  if not named[key] then error('not among the keys: ' .. key) end
  return key
end
if not reconciling(KEYS[1]) then return { 'not_reconciling' } end
local seq = redis.call('HGET', KEYS[1], 'seq')
if tonumber(seq) ~= first - 1 then return { 'elsewhere', seq } end
if (#ARGV - 2) % #FIELDS ~= 0 then error('not fourteen arguments a movement') end

local levels, holds, dues = {}, {}, {}
for i = 3, #ARGV, #FIELDS do
  local move = { texts = {}, flat = {} }
  for n, name in ipairs(FIELDS) do
    move[name], move.texts[name] = ARGV[i + n - 1], ARGV[i + n - 1]
    move.flat[2 * n - 1], move.flat[2 * n] = name, move[name]
  end
  check_movement(move)
  move.op, move.part = match(move.id, '^(.+)%.(%d+)$')
  move.at = format('%d', whole(move.at_ms, 0))
  if move.location ~= '' and not replay_level(move, first + #moves, key_of, levels) then
    return { 'does_not_follow', format('%d', first + #moves) }
  end
  if move.hold ~= '' then
    local id = move.hold_id
    local hold = copied_hold(number, key_of('hold:' .. id), id, move.hold, move.record)
    local before = holds[id] or find_hold(id)
    hold.verbs, hold.is_again = before and before.verbs or '', before and before.word ~= 'HELD'
    for due in pairs(hold.due) do dues[due] = true end
    move.told, holds[id] = hold, hold
  end
  moves[#moves + 1] = move
end
for due in pairs(dues) do redis.call('ZCARD', due) end
redis.call('HLEN', KEYS[4])
redis.call('ZCARD', KEYS[5])
redis.call('LLEN', KEYS[6])
redis.call('ZCARD', KEYS[7])
local partition = { number = number, meta = KEYS[1], journal = KEYS[2], seq = first - 1 }
check_alerts(partition)

-- COMMIT
for _, move in ipairs(moves) do
  partition.seq = partition.seq + 1
  redis.call('XADD', KEYS[2], format('%d-0', partition.seq), unpack(move.flat))
  if move.crosses then
    append_alert(partition, move.kind, move, tonumber(move.part), move.line, { id = move.hold_id })
  end
  write_replayed(move, KEYS[4])
  if move.told then write_copied_hold(move.told, KEYS[5], KEYS[6], KEYS[7], move.told.is_again) end
end
close_partitions({ partition })
return { 'ok' }
