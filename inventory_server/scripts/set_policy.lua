#!lua
--[[ set_policy — Sets policies of levels, or the default policies of locations, all
  lines or none.
  KEYS  1 idempotency record  2.. the scope (include/scope.lua)
  ARGV  1 now_ms ("" = TIME)  2 op  3 fingerprint  4 actor  5 retention_ms
        6 scope counts  7.. the scope, each line with its zero and policy
        ("reorder:rearm:safety:backorder"; without a sku: its location's default)
  Returns, first match wins
    rewound              number epoch seq store_id   the store went back in time
    replay               outcome              the same request, seen before
    key_reused                                the key of another request
    level_not_found      number...            lines whose level is not there
    rearm_below_reorder  (number reorder_point rearm_point)...
    ok                   outcome              "at_ms epoch n:seq,... levels"
  Cost  O(lines). Writes nothing unless it returns ok. ]]
-- include: arguments.lua
-- include: level.lua
-- include: journal.lua
-- include: scope.lua
-- include: inactive.lua
-- include: quiet.lua
-- include: stock_verb.lua
-- include: policy.lua
check_origin(ARGV[2], ARGV[3], ARGV[4])
local now, retention_ms = read_now(ARGV[1]), whole(ARGV[5], 1)
local by = {
  op = ARGV[2], actor = ARGV[4], reference = '', note = '', reason = '', at = format('%d', now),
}
local scope, refusal = read_scope(2, 7, ARGV[6], 2, 0, true)
if refusal then return refusal end
local known = answer_known(KEYS[1], ARGV[3])
if known then return known end
local missing, low, packed = { 'level_not_found' }, { 'rearm_below_reorder' }, {}
local levels, deltas = {}, {}
for i, line in ipairs(scope.lines) do
  if line.sku == '' then line.level = new_level(line) end
  if not line.level then
    missing[#missing + 1] = i
  else
    local policy, reorder_point, rearm_point = merge_policy(line.level, line.expected)
    if rearm_point < reorder_point then
      for _, fact in ipairs({ i, reorder_point, rearm_point }) do low[#low + 1] = fact end
    end
    line.level.units_before = available(line.level)
    take_policy(line.level, policy)
    if line.sku ~= '' then levels[#levels + 1], deltas[#deltas + 1] = line, 0 end
  end
end
if #missing > 1 then return missing end
if #low > 1 then return low end
check_indexes(scope)
quiet_worse(levels, deltas)

-- COMMIT
for i, line in ipairs(scope.lines) do
  local level = line.level
  if line.sku == '' then
    level.packed = '0 0 0' .. level.policy .. ' OK'
    append_movement(line.partition, 'POLICY', by, i, line, 0, 0)
    redis.call('HSET', line.partition.locations, line.location, level.policy)
  else
    change_level(level, 0, 0)
    append_movement(line.partition, 'POLICY', by, i, line, 0, 0)
    write_level(level, line.low, line.sku)
  end
  packed[i] = level.packed
end
return keep_outcome(scope, KEYS[1], ARGV[3], by, table.concat(packed, ','), retention_ms)
