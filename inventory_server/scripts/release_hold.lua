#!lua flags=allow-oom
--[[ release_hold — Gives a hold's units back.
  KEYS  1 hold  2 due (home)
  ARGV  1 now_ms ("" = TIME)  2 op  3 fingerprint  4 actor  5 hold_id
        6 retention_ms  7 guards (" n=epoch:seen_seq" of every partition)
  Returns, first match wins
    hold_not_found
    key_reused                                the key of another request
    replay              record state outcome  this request, or this end, seen before
    hold_ended          state                 confirmed, or past its deadline
    rewound             number epoch seq      the store went back in time
    ok                  record state outcome  outcome: "at_ms epoch n:seq,... levels"
  Cost  O(lines). Writes nothing unless it returns ok. ]]
-- include: now.lua
-- include: level.lua
-- include: journal.lua
-- include: hold.lua
-- include: hold_verb.lua
local now = read_now(ARGV[1])
local hold = read_hold(KEYS[1], ARGV[5])
local answer = answer_without_change(hold, 'RELEASE', 'RELEASED', ARGV[2], ARGV[3], now)
if answer then return answer end
local lines, opened = read_lines(hold, {}), {}
local refusal = open_partitions(lines, ARGV[7], opened)
if refusal then return refusal end
local by = { op = ARGV[2], actor = ARGV[4], reason = '', note = '', reference = hold.reference, now = now }

-- COMMIT
local levels = end_lines(hold, lines, opened, 'RELEASE', by,
  'RELEASED ' .. hold.deadline .. ' ' .. now, false)
local outcome = now .. ' ' .. opened[1].epoch .. ' ' .. close_partitions(opened) .. ' ' .. levels
remember_verb(hold, 'RELEASE', ARGV[2], ARGV[3], outcome)
redis.call('ZADD', KEYS[2], now + tonumber(ARGV[6]), hold.id)
return { 'ok', hold.record, hold.state, outcome }
