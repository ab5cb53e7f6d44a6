#!lua
--[[ place_hold — Holds every line, or none of them; or, if that is asked for,
  as much of each as there is.
  KEYS  1 hold  2 due (home)  3 refs (home)  4.. the scope (include/scope.lua)
  ARGV  1 now_ms ("" = TIME)  2 op  3 fingerprint  4 actor  5 reference  6 note
        7 hold_id  8 ttl_ms  9 caller  10 allow_partial ("1" or "")
        11 scope counts  12.. the scope, each line with its quantity
  Returns, first match wins
    rewound             number epoch seq store_id   the store went back in time
    replay              record                the same request, seen before
    key_reused                                the key of another request
    level_not_found     number...             lines whose level is not there
    product_inactive    number...             lines whose product is inactive
    due                 number...             lines with holds to be expired first
    insufficient_stock  (number requested available backorder_limit)...
    ok                  record
  Cost  O(lines). Writes nothing unless it returns ok. ]]
-- include: arguments.lua
-- include: level.lua
-- include: journal.lua
-- include: scope.lua
-- include: inactive.lua
-- include: hold.lua
check_origin(ARGV[2], ARGV[3], ARGV[4] .. ARGV[5] .. ARGV[6] .. ARGV[9])
local now, hold_key, due, refs, hold_id = read_now(ARGV[1]), KEYS[1], KEYS[2], KEYS[3], ARGV[7]
local ttl_ms, is_partial = whole(ARGV[8], 1), is_set(ARGV[10])
local scope, refusal = read_scope(4, 12, ARGV[11], 1, 1)
if refusal then return refusal end
local known, home = read_hold(hold_key, hold_id), scope.partitions[1]
if known then
  if fingerprint_of(known) ~= ARGV[3] then return { 'key_reused' } end
  return { 'replay', known.record }
end
check_key(hold_key, home.prefix .. 'hold:' .. home.number .. '-' .. ARGV[2])
check_key(due, home.prefix .. 'due')
check_key(refs, home.prefix .. 'refs')
local missing = missing_lines(scope.lines)
if #missing > 0 then return { 'level_not_found', unpack(missing) } end
local inactive = inactive_lines(scope.lines)
if inactive then return { 'product_inactive', unpack(inactive) } end
local short, facts, lines = {}, {}, {}
for i, line in ipairs(scope.lines) do
  local units, limit = available(line.level), line.level.backorder_limit
  line.units = line.amount
  if units - line.amount < -limit then
    short[#short + 1] = i
    facts[#facts + 1] = { line.amount, units, limit }
    line.units = math.max(0, units + limit)
  end
  if line.units > 0 then lines[#lines + 1] = line end
end
if #short > 0 then
  local answer = refuse('insufficient_stock', scope.lines, short, facts, now)
  if not is_partial or #lines == 0 or answer[1] == 'due' then return answer end
end

-- Every level after the change, before the first write: the record needs them.
local packed, levels, places = {}, {}, {}
for i, line in ipairs(lines) do
  local partition = line.partition
  change_level(line.level, 0, line.units)
  levels[i] = line.level.packed
  packed[i] = format('%s %s %s %d', partition.number, line.location, line.sku, line.units)
  partition.last = (partition.last or partition.seq) + 1
  if check_low(line.level, line.low) then check_alerts(partition) end
  redis.call('ZCARD', line.due)
end
-- The hold stands in the journal of its home, in an entry of its own if need be.
local is_told = home.last ~= nil
home.last = home.last or home.seq + 1
for _, partition in ipairs(scope.partitions) do
  if partition.last then places[#places + 1] = format('%s:%d', partition.number, partition.last) end
end
redis.call('ZCARD', due)
if ARGV[5] ~= '' then redis.call('ZCARD', refs) end
local at, deadline = format('%d', now), format('%d', now + ttl_ms)
local placed = table.concat({ at, ARGV[8], home.epoch, table.concat(places, ',') }, ' ')
local hold = { id = hold_id, key = hold_key, state = 'HELD ' .. deadline, verbs = '' }
hold.record = table.concat({ ARGV[3], placed, table.concat(packed, ','),
  table.concat(levels, ','), ARGV[9], ARGV[4], ARGV[5], ARGV[6] }, '\n')
local by = {
  op = ARGV[2], actor = ARGV[4], reason = '', reference = ARGV[5], note = ARGV[6], at = at,
}

-- COMMIT
local entry = hold
if not is_told then append_movement(home, 'HOLD', by, 0, nil, 0, 0, hold) end
for i, line in ipairs(lines) do
  local tells = is_told and line.partition == home and entry
  append_movement(line.partition, 'HOLD', by, i, line, 0, line.units, tells or { id = hold_id })
  if tells then entry = nil end
  write_level(line.level, line.low, line.sku)
  redis.call('ZADD', line.due, deadline, hold_id)
end
close_partitions(scope.partitions)
write_hold(hold)
redis.call('ZADD', due, deadline, hold_id)
if ARGV[5] ~= '' then redis.call('ZADD', refs, '0', ARGV[5] .. '\0' .. hold_id) end
return { 'ok', hold.record }
