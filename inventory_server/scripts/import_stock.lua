#!lua
--[[ import_stock — Takes in a chunk of an import: its good lines together, its
  bad ones reported. Makes missing levels.
  KEYS  1 the chunk's idempotency record  2 the import's progress record
        3.. the scope (include/scope.lua)
  ARGV  1 now_ms ("" = TIME)  2 op  3 fingerprint  4 actor  5 reference
        6 mode (SET or ADD)  7 retention_ms  8 max_total  9 first_row  10 next_row
        11 scope counts  12.. the scope, each line with its quantity and policy
        ("reorder:rearm:safety:backorder")
  Returns, first match wins
    rewound     number epoch seq store_id   the store went back in time
    replay      outcome                       the same chunk, seen before
    key_reused                                the key and row of another chunk
    row_taken   next_row                      the row went in with another chunk
    due         number...                     lines with holds to be expired first
    ok          outcome                       "at_ms epoch n:seq,... refusals"
                refusals: "-", or number:status:requested:fact, with "," between;
                status below_held (fact: held), total_too_large (fact: on_hand) or
                rearm_below_reorder (requested: rearm_point, fact: reorder_point)
  Cost  O(lines). Writes nothing unless it returns ok. ]]
-- include: arguments.lua
-- include: level.lua
-- include: journal.lua
-- include: scope.lua
-- include: inactive.lua
-- include: quiet.lua
-- include: stock_verb.lua
-- include: policy.lua
check_origin(ARGV[2], ARGV[3], ARGV[4] .. ARGV[5])
local now, max_total, adds = read_now(ARGV[1]), whole(ARGV[8], 1), ARGV[6] == 'ADD'
local retention_ms, first_row, next_row = whole(ARGV[7], 1), whole(ARGV[9], 1), whole(ARGV[10], 2)
if not adds and ARGV[6] ~= 'SET' then error('not a mode: ' .. ARGV[6]) end
local by = {
  op = ARGV[2], actor = ARGV[4], reference = ARGV[5], note = '', reason = '',
  at = format('%d', now),
}
local scope, refusal = read_scope(3, 12, ARGV[11], 2, 0, true)
if refusal then return refusal end
local known = answer_known(KEYS[1], ARGV[3])
if known then return known end
local progress = tonumber(redis.call('GET', KEYS[2]) or 0)
if first_row < progress then return { 'row_taken', progress } end

local good, deltas, short, refusals = {}, {}, {}, {}
for i, line in ipairs(scope.lines) do
  local level = line.level or new_level(line)
  line.level = level
  local count = adds and level.on_hand + line.amount or line.amount
  local policy, reorder_point, rearm_point = merge_policy(level, line.expected)
  if rearm_point < reorder_point then
    refusals[#refusals + 1] = format('%d:rearm_below_reorder:%d:%d', i, rearm_point, reorder_point)
  elseif count > max_total then
    refusals[#refusals + 1] = format('%d:total_too_large:%d:%d', i, line.amount, level.on_hand)
  elseif not adds and count < level.held then
    short[#short + 1] = i
    refusals[#refusals + 1] = format('%d:below_held:%d:%d', i, line.amount, level.held)
  else
    good[#good + 1], deltas[#deltas + 1] = line, count - level.on_hand
    level.units_before = level.is_new and 0 or available(level)
    take_policy(level, policy)
  end
end
if #short > 0 then
  local due = refuse('below_held', scope.lines, short, nil, now)
  if due[1] == 'due' then return due end
end
check_indexes(scope)
quiet_worse(good, deltas)
local is_record = find(KEYS[2], scope.partitions[1].prefix .. 'key:', 1, true) == 1
if not is_record or KEYS[2] == KEYS[1] then error('not a progress record: ' .. KEYS[2]) end

-- COMMIT
write_lines(good, 'IMPORT', by, deltas)
redis.call('SET', KEYS[2], next_row, 'PX', retention_ms)
local refused = #refusals > 0 and table.concat(refusals, ',') or '-'
return keep_outcome(scope, KEYS[1], ARGV[3], by, refused, retention_ms)
