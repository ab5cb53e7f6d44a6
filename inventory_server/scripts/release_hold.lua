#!lua flags=allow-oom
--[[ release_hold — Gives a hold's units back.
  KEYS  1 hold  2 due (home)
  ARGV  1 now_ms ("" = TIME)  2 op  3 fingerprint  4 actor  5 hold_id
        6 retention_ms  7 guards ("store_id", and " n=epoch:seen_seq" of each)
  Returns, first match wins
    rewound             number epoch seq id   the store went back in time
    hold_not_found
    key_reused                                the key of another request
    replay              record state outcome  this request, or this end, seen before
    hold_ended          state                 confirmed, or past its deadline
    ok                  record state outcome  outcome: "at_ms epoch n:seq,... levels"
  Cost  O(lines). Writes nothing unless it returns ok. ]]
-- include: now.lua
-- include: level.lua
-- include: journal.lua
-- include: hold.lua
-- include: hold_verb.lua
local now, opened = read_now(ARGV[1]), {}
local refusal = open_partitions({ { number = home_of(ARGV[5]) } }, ARGV[7], opened)
if refusal then return refusal end
local hold = read_hold(KEYS[1], ARGV[5])
local answer = answer_without_change(hold, 'RELEASE', 'RELEASED', ARGV[2], ARGV[3], now)
if answer then return answer end
local lines = read_lines(hold, {})
refusal = open_partitions(lines, ARGV[7], opened)
if refusal then return refusal end
redis.call('ZCARD', KEYS[2])
local by = new_reason(hold, ARGV[2], ARGV[4], now)

-- COMMIT
hold.state = format('RELEASED %d %s', hold.deadline, by.at)
local levels = end_lines(hold, lines, opened, 'RELEASE', by, false)
local outcome = remember_verb(hold, 'RELEASE', ARGV[3], by, opened, levels)
redis.call('ZADD', KEYS[2], format('%d', now + tonumber(ARGV[6])), hold.id)
return { 'ok', hold.record, hold.state, outcome }
