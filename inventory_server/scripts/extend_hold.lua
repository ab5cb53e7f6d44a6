#!lua
--[[ extend_hold — Moves a hold's deadline to now + ttl; never earlier than it
  was, never later than max_hold_life after it was placed.
  KEYS  1 hold  2 due (home)
  ARGV  1 now_ms ("" = TIME)  2 op  3 fingerprint  4 actor  5 hold_id
        6 guards ("store_id", and " n=epoch:seen_seq" of each)
        7 ttl_ms  8 max_hold_life_ms
  Returns, first match wins
    rewound             number epoch seq store_id   the store went back in time
    hold_not_found
    key_reused                                the key of another request
    replay              record state outcome verb   this request, seen before
    hold_ended          state                 ended, or past its deadline
    ok                  record state outcome verb   outcome: "at_ms epoch n:seq -"
  Cost  O(lines). Writes nothing unless it returns ok. ]]
-- include: arguments.lua
-- include: level.lua
-- include: journal.lua
-- include: hold.lua
-- include: hold_lines.lua
-- include: hold_verb.lua
-- include: verb_memory.lua
check_origin(ARGV[2], ARGV[3], ARGV[4])
local now, opened = read_now(ARGV[1]), {}
local ttl_ms, life_ms = whole(ARGV[7], 1), whole(ARGV[8], 1)
local refusal = open_partitions({ { number = home_of(ARGV[5]) } }, ARGV[6], opened)
if refusal then return refusal end
local hold = read_hold(KEYS[1], ARGV[5])
local answer = answer_without_change(hold, {}, ARGV[2], ARGV[3], now)
if answer then return answer end
local lines = read_lines(hold, {})
check_key(KEYS[2], partition_key(hold.home, 'due'))
redis.call('ZCARD', KEYS[2])
local created = tonumber(match(hold.record, '^[^\n]*\n(%d+) '))
local deadline = math.max(hold.deadline, math.min(now + ttl_ms, created + life_ms))
local by = new_reason(hold, ARGV[2], ARGV[4], now)
hold.state = judge_state(lines, deadline)
deadline = format('%d', deadline)

-- COMMIT
tell_hold(hold, opened, 'EXTEND', by)
local outcome = remember_verb(hold, 'EXTEND', ARGV[3], by, opened, '-')
redis.call('ZADD', KEYS[2], deadline, hold.id)
for _, line in ipairs(lines) do
  if line.held > 0 then redis.call('ZADD', line.due, deadline, hold.id) end
end
return { 'ok', hold.record, hold.state, outcome, 'EXTEND' }
