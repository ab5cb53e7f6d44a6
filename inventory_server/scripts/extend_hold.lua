#!lua
--[[ extend_hold — Moves a hold's deadline to now + ttl; never earlier than it
  was, never later than max_hold_life after it was placed.
  KEYS  1 hold  2 due (home)
  ARGV  1 now_ms ("" = TIME)  2 op  3 fingerprint  4 actor  5 hold_id
        6 ttl_ms  7 max_hold_life_ms  8 guards (" n=epoch:seen_seq" of every partition)
  Returns, first match wins
    hold_not_found
    key_reused                                the key of another request
    replay              record state outcome  this request, seen before
    hold_ended          state                 ended, or past its deadline
    rewound             number epoch seq      the store went back in time
    ok                  record state outcome  outcome: "at_ms epoch n:seq deadline_ms"
  Cost  O(lines). Writes nothing unless it returns ok. ]]
-- include: now.lua
-- include: level.lua
-- include: journal.lua
-- include: hold.lua
-- include: hold_verb.lua
local now = read_now(ARGV[1])
local hold = read_hold(KEYS[1], ARGV[5])
local answer = answer_without_change(hold, 'EXTEND', nil, ARGV[2], ARGV[3], now)
if answer then return answer end
local lines, opened = read_lines(hold, {}), {}
local refusal = open_partitions({ { number = hold.home } }, ARGV[8], opened)
if refusal then return refusal end
local created = tonumber(string.match(hold.record, '^[^\n]*\n(%d+) '))
local latest = created + tonumber(ARGV[7])
hold.deadline = math.max(hold.deadline, math.min(now + tonumber(ARGV[6]), latest))
hold.state = 'HELD ' .. hold.deadline
local by = { op = ARGV[2], actor = ARGV[4], reason = '', note = '', reference = hold.reference, now = now }

-- COMMIT
append_movement(opened[1], 'EXTEND', by, 1, nil, 0, 0,
  { id = hold.id, state = hold.state, record = hold.record })
local outcome = now .. ' ' .. opened[1].epoch .. ' ' .. close_partitions(opened) .. ' ' .. hold.deadline
remember_verb(hold, 'EXTEND', ARGV[2], ARGV[3], outcome)
redis.call('ZADD', KEYS[2], hold.deadline, hold.id)
for _, line in ipairs(lines) do redis.call('ZADD', line.due, hold.deadline, hold.id) end
return { 'ok', hold.record, hold.state, outcome }
