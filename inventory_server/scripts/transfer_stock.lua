#!lua
--[[ transfer_stock — Moves units from one location to another, all lines or
  none; makes missing levels where they go.
  KEYS  1 idempotency record  2.. the scope (include/scope.lua)
  ARGV  1 now_ms ("" = TIME)  2 op  3 fingerprint  4 actor  5 reference
        6 retention_ms  7 max_total  8 scope counts
        9.. the scope, each line with its delta: below 0 where units leave
  Returns, first match wins
    rewound             number epoch seq store_id   the store went back in time
    replay              outcome               the same request, seen before
    key_reused                                the key of another request
    level_not_found     number...             lines whose source is not there
    total_too_large     (number requested on_hand)...
    due                 number...             lines with holds to be expired first
    insufficient_stock  (number requested available backorder_limit)...   limit: always 0
    ok                  outcome               "at_ms epoch n:seq,... levels"
  Cost  O(lines). Writes nothing unless it returns ok. ]]
-- include: arguments.lua
-- include: level.lua
-- include: journal.lua
-- include: scope.lua
-- include: inactive.lua
-- include: quiet.lua
-- include: stock_verb.lua
check_origin(ARGV[2], ARGV[3], ARGV[4] .. ARGV[5])
local now, retention_ms, max_total = read_now(ARGV[1]), whole(ARGV[6], 1), whole(ARGV[7], 1)
local by = {
  op = ARGV[2], actor = ARGV[4], reference = ARGV[5], note = '', reason = '',
  at = format('%d', now),
}
local scope, refusal = read_scope(2, 9, ARGV[8], 1, -max_total, true)
if refusal then return refusal end
local known = answer_known(KEYS[1], ARGV[3])
if known then return known end

local missing, large = { 'level_not_found' }, { 'total_too_large' }
local short, facts, deltas = {}, {}, {}
for i, line in ipairs(scope.lines) do
  deltas[i] = line.amount
  if line.amount < 0 and not line.level then
    missing[#missing + 1] = i
  elseif line.amount < 0 then
    line.kind = 'TRANSFER_OUT'
    local units = available(line.level)
    if units + line.amount < 0 then
      short[#short + 1] = i
      facts[#facts + 1] = { -line.amount, units, 0 }
    end
  else
    line.kind, line.level = 'TRANSFER_IN', line.level or new_level(line)
    if line.level.on_hand + line.amount > max_total then
      for _, fact in ipairs({ i, line.amount, line.level.on_hand }) do large[#large + 1] = fact end
    end
  end
end
if #missing > 1 then return missing end
if #large > 1 then return large end
if #short > 0 then return refuse('insufficient_stock', scope.lines, short, facts, now) end
check_indexes(scope)
quiet_worse(scope.lines, deltas)

-- COMMIT
local levels = write_lines(scope.lines, nil, by, deltas)
return keep_outcome(scope, KEYS[1], ARGV[3], by, levels, retention_ms)
