#!lua
--[[ record_sale — Sells units that no hold kept, all lines or none.
  KEYS  1 idempotency record  2.. the scope (include/scope.lua)
  ARGV  1 now_ms ("" = TIME)  2 op  3 fingerprint  4 actor  5 reference
        6 retention_ms  7 scope counts
        8.. the scope, each line with its quantity
  Returns, first match wins
    rewound             number epoch seq store_id   the store went back in time
    replay              outcome               the same request, seen before
    key_reused                                the key of another request
    level_not_found     number...             lines whose level is not there
    product_inactive    number...             lines whose product is inactive
    due                 number...             lines with holds to be expired first
    insufficient_stock  (number requested available backorder_limit)...
    ok                  outcome               "at_ms epoch n:seq,... levels"
  Cost  O(lines). Writes nothing unless it returns ok. ]]
-- include: arguments.lua
-- include: level.lua
-- include: journal.lua
-- include: scope.lua
-- include: inactive.lua
-- include: stock_verb.lua
check_origin(ARGV[2], ARGV[3], ARGV[4] .. ARGV[5])
local now, retention_ms = read_now(ARGV[1]), whole(ARGV[6], 1)
local by = {
  op = ARGV[2], actor = ARGV[4], reference = ARGV[5], note = '', reason = '',
  at = format('%d', now),
}
local scope, refusal = read_scope(2, 8, ARGV[7], 1, 1)
if refusal then return refusal end
local known = answer_known(KEYS[1], ARGV[3])
if known then return known end
local missing = missing_lines(scope.lines)
if #missing > 0 then return { 'level_not_found', unpack(missing) } end
local inactive = inactive_lines(scope.lines)
if inactive then return { 'product_inactive', unpack(inactive) } end

local short, facts, deltas = {}, {}, {}
for i, line in ipairs(scope.lines) do
  local units, limit = available(line.level), line.level.backorder_limit
  if units - line.amount < -limit then
    short[#short + 1] = i
    facts[#facts + 1] = { line.amount, units, limit }
  end
  deltas[i] = -line.amount
end
if #short > 0 then return refuse('insufficient_stock', scope.lines, short, facts, now) end
check_indexes(scope)

-- COMMIT
local levels = write_lines(scope.lines, 'SALE', by, deltas)
return keep_outcome(scope, KEYS[1], ARGV[3], by, levels, retention_ms)
