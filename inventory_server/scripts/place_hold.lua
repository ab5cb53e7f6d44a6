#!lua
--[[ place_hold — Holds every line, or none of them.
  KEYS  1 hold  2 due (home)  3 refs (home)  4.. the scope (include/scope.lua)
  ARGV  1 now_ms ("" = TIME)  2 op  3 fingerprint  4 actor  5 reference  6 note
        7 hold_id  8 ttl_ms  9 caller  10 packed lines  11 scope counts
        12.. the scope, each line with its quantity
  Returns, first match wins
    rewound             number epoch seq id   the store went back in time
    replay              record                the same request, seen before
    key_reused                                the key of another request
    level_not_found     number...             lines whose level is not there
    due                 number...             lines with holds to be expired first
    insufficient_stock  (number requested available backorder_limit)...
    ok                  record
  Cost  O(lines). Writes nothing unless it returns ok. ]]
-- include: now.lua
-- include: level.lua
-- include: journal.lua
-- include: scope.lua
-- include: hold.lua
local now, hold_key, due, refs, hold_id = read_now(ARGV[1]), KEYS[1], KEYS[2], KEYS[3], ARGV[7]
local scope, refusal = read_scope(4, 12, ARGV[11], 1)
if refusal then return refusal end
local known = read_hold(hold_key, hold_id)
if known then
  if known.fingerprint ~= ARGV[3] then return { 'key_reused' } end
  return { 'replay', known.record }
end
local missing = missing_lines(scope.lines)
if #missing > 0 then return { 'level_not_found', unpack(missing) } end
local short, facts = {}, {}
for i, line in ipairs(scope.lines) do
  local units, limit = available(line.level), line.level.backorder_limit
  if units - line.amount < -limit then
    short[#short + 1] = i
    facts[#facts + 1] = { line.amount, units, limit }
  end
end
if #short > 0 then return refuse('insufficient_stock', scope.lines, short, facts, now) end

-- Every level after the change, before the first write: the record needs them.
local levels, places = {}, {}
for i, line in ipairs(scope.lines) do
  change_level(line.level, 0, line.amount)
  levels[i] = line.level.packed
  line.partition.last = (line.partition.last or line.partition.seq) + 1
  check_low(line.level, line.low)
  redis.call('ZCARD', line.due)
end
for i, partition in ipairs(scope.partitions) do
  places[i] = format('%s:%d', partition.number, partition.last)
end
redis.call('ZCARD', due)
if ARGV[5] ~= '' then redis.call('ZCARD', refs) end
local at, deadline = format('%d', now), format('%d', now + tonumber(ARGV[8]))
local epoch = scope.partitions[1].epoch
local placed = table.concat({ at, ARGV[8], epoch, table.concat(places, ',') }, ' ')
local hold = { id = hold_id, key = hold_key, state = 'HELD ' .. deadline, verbs = '' }
hold.record = table.concat({ ARGV[3], placed, ARGV[10], table.concat(levels, ','), ARGV[9],
  ARGV[4], ARGV[5], ARGV[6] }, '\n')
local by = {
  op = ARGV[2], actor = ARGV[4], reason = '', reference = ARGV[5], note = ARGV[6], at = at,
}

-- COMMIT
local entry = hold
for i, line in ipairs(scope.lines) do
  append_movement(line.partition, 'HOLD', by, i, line, 0, line.amount, entry)
  write_level(line.level, line.low, line.sku)
  redis.call('ZADD', line.due, deadline, hold_id)
  entry = { id = hold_id }
end
close_partitions(scope.partitions)
write_hold(hold)
redis.call('ZADD', due, deadline, hold_id)
if ARGV[5] ~= '' then redis.call('ZADD', refs, '0', ARGV[5] .. '\0' .. hold_id) end
return { 'ok', hold.record }
