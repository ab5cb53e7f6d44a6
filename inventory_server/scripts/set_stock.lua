#!lua
--[[ set_stock — Sets absolute counts, all lines or none; makes missing levels.
  KEYS  1 idempotency record  2.. the scope (include/scope.lua)
  ARGV  1 now_ms ("" = TIME)  2 op  3 fingerprint  4 actor  5 reference  6 note
        7 reason  8 retention_ms  9 force ("1" or "")  10 validate_only ("1" or "")
        11 scope counts  12.. the scope, each line with its on_hand and expected_on_hand ("" = any)
  Returns, first match wins
    rewound           number epoch seq store_id   the store went back in time
    replay            outcome                 the same request, seen before
    key_reused                                the key of another request
    on_hand_mismatch  (number expected on_hand)...
    due               number...               lines with holds to be expired first
    below_held        (number requested held)...
    valid             levels                  validate_only: as they would become
    ok                outcome                 "at_ms epoch n:seq,... levels"
  Cost  O(lines). Writes nothing unless it returns ok. ]]
-- include: arguments.lua
-- include: level.lua
-- include: journal.lua
-- include: scope.lua
-- include: inactive.lua
-- include: quiet.lua
-- include: stock_verb.lua
check_origin(ARGV[2], ARGV[3], ARGV[4] .. ARGV[5] .. ARGV[6] .. ARGV[7])
local now, retention_ms = read_now(ARGV[1]), whole(ARGV[8], 1)
local is_forced, only_looks = is_set(ARGV[9]), is_set(ARGV[10])
local by = {
  op = ARGV[2], actor = ARGV[4], reference = ARGV[5], note = ARGV[6], reason = ARGV[7],
  at = format('%d', now),
}
local scope, refusal = read_scope(2, 12, ARGV[11], 2, 0, true)
if refusal then return refusal end
local known = answer_known(KEYS[1], ARGV[3])
if known and not only_looks then return known end

local mismatch, short, facts, deltas = { 'on_hand_mismatch' }, {}, {}, {}
for i, line in ipairs(scope.lines) do
  line.level = line.level or new_level(line)
  local level = line.level
  if line.expected ~= '' and tonumber(line.expected) ~= level.on_hand then
    for _, fact in ipairs({ i, line.expected, level.on_hand }) do mismatch[#mismatch + 1] = fact end
  end
  if line.amount < level.held and not is_forced then
    short[#short + 1] = i
    facts[#facts + 1] = { line.amount, level.held }
  end
  deltas[i] = line.amount - level.on_hand
end
if #mismatch > 1 then return mismatch end
if #short > 0 then return refuse('below_held', scope.lines, short, facts, now) end
check_indexes(scope)
quiet_worse(scope.lines, deltas)
if only_looks then return { 'valid', preview(scope.lines, deltas) } end

-- COMMIT
local levels = write_lines(scope.lines, 'SET', by, deltas)
return keep_outcome(scope, KEYS[1], ARGV[3], by, levels, retention_ms)
