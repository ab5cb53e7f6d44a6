#!lua
--[[ extend_hold — Moves a hold's deadline to now + ttl; never earlier than it
  was, never later than max_hold_life after it was placed.
  KEYS  1 hold  2 due (home)
  ARGV  1 now_ms ("" = TIME)  2 op  3 fingerprint  4 actor  5 hold_id
        6 ttl_ms  7 max_hold_life_ms  8 guards ("store_id", and " n=epoch:seen_seq" of each)
  Returns, first match wins
    rewound             number epoch seq id   the store went back in time
    hold_not_found
    key_reused                                the key of another request
    replay              record state outcome  this request, seen before
    hold_ended          state                 ended, or past its deadline
    ok                  record state outcome  outcome: "at_ms epoch n:seq deadline_ms"
  Cost  O(lines). Writes nothing unless it returns ok. ]]
-- include: now.lua
-- include: level.lua
-- include: journal.lua
-- include: hold.lua
-- include: hold_verb.lua
local now, opened = read_now(ARGV[1]), {}
local refusal = open_partitions({ { number = home_of(ARGV[5]) } }, ARGV[8], opened)
if refusal then return refusal end
local hold = read_hold(KEYS[1], ARGV[5])
local answer = answer_without_change(hold, 'EXTEND', nil, ARGV[2], ARGV[3], now)
if answer then return answer end
local lines = read_lines(hold, {})
redis.call('ZCARD', KEYS[2])
local created = tonumber(match(hold.record, '^[^\n]*\n(%d+) '))
local latest = created + tonumber(ARGV[7])
local deadline = math.max(hold.deadline, math.min(now + tonumber(ARGV[6]), latest))
local by = new_reason(hold, ARGV[2], ARGV[4], now)

-- COMMIT
deadline = format('%d', deadline)
hold.state = 'HELD ' .. deadline
append_movement(opened[1], 'EXTEND', by, 1, nil, 0, 0, hold)
local outcome = remember_verb(hold, 'EXTEND', ARGV[3], by, opened, deadline)
redis.call('ZADD', KEYS[2], deadline, hold.id)
for _, line in ipairs(lines) do redis.call('ZADD', line.due, deadline, hold.id) end
return { 'ok', hold.record, hold.state, outcome }
