#!lua
--[[ delete_levels — Deletes levels with nothing on hand and nothing held, all or none.
  KEYS  1 idempotency record  2.. the scope (include/scope.lua)
  ARGV  1 now_ms ("" = TIME)  2 op  3 fingerprint  4 actor  5 retention_ms
        6 scope counts  7.. the scope
  Returns, first match wins
    rewound          number epoch seq store_id   the store went back in time
    replay           outcome                  the same request, seen before
    key_reused                                the key of another request
    level_not_found  number...                lines whose level is not there
    due              number...                lines with holds to be expired first
    level_in_use     (number on_hand held)...
    ok               outcome                  "at_ms epoch n:seq,... levels"
  Cost  O(lines). Writes nothing unless it returns ok. ]]
-- include: arguments.lua
-- include: level.lua
-- include: journal.lua
-- include: scope.lua
-- include: stock_verb.lua
check_origin(ARGV[2], ARGV[3], ARGV[4])
local now, retention_ms = read_now(ARGV[1]), whole(ARGV[5], 1)
local by = {
  op = ARGV[2], actor = ARGV[4], reference = '', note = '', reason = '', at = format('%d', now),
}
local scope, refusal = read_scope(2, 7, ARGV[6], 0, 0, true)
if refusal then return refusal end
local known = answer_known(KEYS[1], ARGV[3])
if known then return known end
local missing = missing_lines(scope.lines)
if #missing > 0 then return { 'level_not_found', unpack(missing) } end
local used, facts, packed = {}, {}, {}
for i, line in ipairs(scope.lines) do
  local level = line.level
  if level.on_hand ~= 0 or level.held ~= 0 then
    used[#used + 1] = i
    facts[#facts + 1] = { level.on_hand, level.held }
  end
  local state = level.alert_state
  -- It is answered as it was; what is not there any more is low no longer, and keeps nothing back.
  level.is_quiet = true
  change_level(level, 0, 0)
  level.state_before, level.alert_state, level.safety_stock = state, 'OK', 0
  packed[i], level.packed = level.packed, ''
end
if #used > 0 then return refuse('level_in_use', scope.lines, used, facts, now) end
check_indexes(scope)

-- COMMIT
for i, line in ipairs(scope.lines) do
  append_movement(line.partition, 'DELETE', by, i, line, 0, 0)
  redis.call('DEL', line.key)
  redis.call('ZREM', line.within.skus, line.sku)
  redis.call('ZREM', line.low, line.sku)
end
return keep_outcome(scope, KEYS[1], ARGV[3], by, table.concat(packed, ','), retention_ms)
