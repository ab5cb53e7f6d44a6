#!lua flags=allow-oom
--[[ release_hold — Gives a hold's units back: all that are held, or some.
  KEYS  1 hold  2 due (home)  3 ended (home)
  ARGV  1 now_ms ("" = TIME)  2 op  3 fingerprint  4 actor  5 hold_id
        6 guards ("store_id", and " n=epoch:seen_seq" of each)
        7 lines ("location sku quantity,..."; "" = all)
  Returns, first match wins
    rewound             number epoch seq store_id   the store went back in time
    hold_not_found
    key_reused                                the key of another request
    replay              record state outcome verb   this request, or this end, seen before
    hold_ended          state                 ended otherwise, or past its deadline
    too_many_parts      parts                 a hold can be ended in so many parts
    exceeds_held        (number held)...      more than the hold has left; asked lines
    ok                  record state outcome verb   outcome: "at_ms epoch n:seq,... levels"
  Cost  O(lines). Writes nothing unless it returns ok. ]]
-- include: arguments.lua
-- include: level.lua
-- include: journal.lua
-- include: hold.lua
-- include: hold_lines.lua
-- include: inactive.lua
-- include: quiet.lua
-- include: hold_verb.lua
-- include: verb_memory.lua
-- include: asked_units.lua
check_origin(ARGV[2], ARGV[3], ARGV[4])
local now, asked, opened = read_now(ARGV[1]), ARGV[7], {}
local verb = asked == '' and 'RELEASE' or 'RELEASE_SOME'
local refusal = open_partitions({ { number = home_of(ARGV[5]) } }, ARGV[6], opened)
if refusal then return refusal end
local hold = read_hold(KEYS[1], ARGV[5])
local again = asked == '' and { RELEASE = true, RELEASE_SOME = 'RELEASED' }
  or { RELEASE_SOME = 'same' }
local answer = answer_without_change(hold, again, ARGV[2], ARGV[3], now)
if answer then return answer end
if asked ~= '' and not has_room_for_a_part(hold) then return { 'too_many_parts', MAX_VERBS } end
local lines = read_lines(hold, {})
local excess = ask_units(lines, asked)
if #excess > 0 then return { 'exceeds_held', unpack(excess) } end
for _, line in ipairs(lines) do plan_units(line, 0, line.asked, 0) end
refusal = open_partitions(lines, ARGV[6], opened)
if refusal then return refusal end
check_key(KEYS[2], partition_key(hold.home, 'due'))
check_key(KEYS[3], partition_key(hold.home, 'ended'))
redis.call('ZCARD', KEYS[2])
redis.call('LLEN', KEYS[3])
local by = new_reason(hold, ARGV[2], ARGV[4], now)
hold.state = judge_state(lines, hold.deadline, now)
quiet_planned(lines)

-- COMMIT
local levels = end_units(hold, lines, opened, by)
local outcome = remember_verb(hold, verb, ARGV[3], by, opened, levels)
end_hold(hold, KEYS[2], KEYS[3])
return { 'ok', hold.record, hold.state, outcome, verb }
