#!lua
--[[ adjust_stock — Changes counts by signed deltas, all lines or none.
  KEYS  1 idempotency record  2.. the scope (include/scope.lua)
  ARGV  1 now_ms ("" = TIME)  2 op  3 fingerprint  4 actor  5 reference  6 note
        7 reason  8 retention_ms  9 max_total  10 validate_only ("1" or "")
        11 scope counts  12.. the scope, each line with its delta
  Returns, first match wins
    rewound          number epoch seq store_id   the store went back in time
    replay           outcome                  the same request, seen before
    key_reused                                the key of another request
    level_not_found  number...                lines whose level is not there
    total_too_large  (number requested on_hand)...
    due              number...                lines with holds to be expired first
    below_held       (number requested held)...   requested: the count asked for
    valid            levels                   validate_only: as they would become
    ok               outcome                  "at_ms epoch n:seq,... levels"
  Cost  O(lines). Writes nothing unless it returns ok. ]]
-- include: arguments.lua
-- include: level.lua
-- include: journal.lua
-- include: scope.lua
-- include: inactive.lua
-- include: quiet.lua
-- include: stock_verb.lua
check_origin(ARGV[2], ARGV[3], ARGV[4] .. ARGV[5] .. ARGV[6] .. ARGV[7])
local now, retention_ms, max_total = read_now(ARGV[1]), whole(ARGV[8], 1), whole(ARGV[9], 1)
local only_looks = is_set(ARGV[10])
local by = {
  op = ARGV[2], actor = ARGV[4], reference = ARGV[5], note = ARGV[6], reason = ARGV[7],
  at = format('%d', now),
}
local scope, refusal = read_scope(2, 12, ARGV[11], 1, -max_total)
if refusal then return refusal end
local known = answer_known(KEYS[1], ARGV[3])
if known and not only_looks then return known end
local missing = missing_lines(scope.lines)
if #missing > 0 then return { 'level_not_found', unpack(missing) } end

local large, short, facts, deltas = { 'total_too_large' }, {}, {}, {}
for i, line in ipairs(scope.lines) do
  local level, count = line.level, line.level.on_hand + line.amount
  if line.amount > 0 and count > max_total then
    for _, fact in ipairs({ i, line.amount, level.on_hand }) do large[#large + 1] = fact end
  elseif line.amount < 0 and count < level.held then
    short[#short + 1] = i
    facts[#facts + 1] = { count, level.held }
  end
  deltas[i] = line.amount
end
if #large > 1 then return large end
if #short > 0 then return refuse('below_held', scope.lines, short, facts, now) end
check_indexes(scope)
quiet_worse(scope.lines, deltas)
if only_looks then return { 'valid', preview(scope.lines, deltas) } end

-- COMMIT
local levels = write_lines(scope.lines, 'ADJUST', by, deltas)
return keep_outcome(scope, KEYS[1], ARGV[3], by, levels, retention_ms)
