#!lua
--[[ rehold_hold — Takes the units of an expired hold again and sells them in
  the same step: for a payment that came late.
  KEYS  1 hold  2 ended (home)
  ARGV  1 now_ms ("" = TIME)  2 op  3 fingerprint  4 actor  5 hold_id
        6 guards ("store_id", and " n=epoch:seen_seq" of each)  7 retention_ms
  Returns, first match wins
    rewound             number epoch seq store_id   the store went back in time
    hold_not_found                            or past its retention time
    key_reused                                the key of another request
    replay              record state outcome verb   this request, or this end, seen before
    product_inactive    record deadline_ms number...
    due                 (location sku)...     levels with holds to be expired first
    not_expired                               the deadline has not come
    hold_ended          state                 confirmed or released
    insufficient_stock  record deadline_ms (number requested available backorder_limit)...
    ok                  record state outcome verb   outcome: "at_ms epoch n:seq,... levels"
  Cost  O(lines). Writes nothing unless it returns ok. ]]
-- include: arguments.lua
-- include: level.lua
-- include: journal.lua
-- include: hold.lua
-- include: hold_lines.lua
-- include: inactive.lua
-- include: hold_verb.lua
-- include: verb_memory.lua
check_origin(ARGV[2], ARGV[3], ARGV[4])
local now, retention_ms, opened = read_now(ARGV[1]), whole(ARGV[7], 0), {}
check_key(KEYS[2], partition_key(home_of(ARGV[5]) or '', 'ended'))
local refusal = open_partitions({ { number = home_of(ARGV[5]) } }, ARGV[6], opened)
if refusal then return refusal end
local hold = read_hold(KEYS[1], ARGV[5])
local again = { CONFIRM = true, REHOLD = true }
local answer = answer_without_change(hold, again, ARGV[2], ARGV[3], now)
if not answer then return { 'not_expired' } end
if answer[1] ~= 'hold_ended' or not match(answer[2], '^EXPIRED') then return answer end
if now >= hold.deadline + retention_ms then return { 'hold_not_found' } end
local lines, due, wanted, numbers = read_lines(hold, {}), { 'due' }, {}, {}
local inactive = { 'product_inactive', hold.record, format('%d', hold.deadline) }
local short = { 'insufficient_stock', hold.record, format('%d', hold.deadline) }
for i, line in ipairs(lines) do
  if line.expired + line.held > 0 then
    line.inactive = partition_key(line.number, 'inactive')
    wanted[#wanted + 1], numbers[#numbers + 1] = line, i
  end
  local units = line.level and available(line.level) or 0
  local limit = line.level and line.level.backorder_limit or 0
  local is_short = line.expired > 0 and (not line.level or units - line.expired < -limit)
  if (is_short or line.held > 0) and redis.call('ZCOUNT', line.due, '-inf', now) > 0 then
    due[#due + 1], due[#due + 2] = line.location, line.sku
  elseif is_short then
    for _, fact in ipairs({ i, line.expired, units, limit }) do short[#short + 1] = fact end
  end
end
for _, n in ipairs(inactive_lines(wanted) or {}) do inactive[#inactive + 1] = numbers[n] end
if #inactive > 3 then return inactive end
if #due > 1 then return due end
-- Expired for certain, and in no index that says so: the sweeper has to come first.
if hold.word == 'HELD' then return { 'due', lines[1].location, lines[1].sku } end
if #short > 3 then return short end
for _, line in ipairs(lines) do
  plan_units(line, line.expired, 0, 0)
  line.expired, line.held = 0, 0
end
refusal = open_partitions(lines, ARGV[6], opened)
if refusal then return refusal end
redis.call('LLEN', KEYS[2])
local by = new_reason(hold, ARGV[2], ARGV[4], now)
hold.state = judge_state(lines, hold.deadline, now)

-- COMMIT
local levels = {}
for i, line in ipairs(lines) do
  levels[i] = '-'
  if line.confirm > 0 then
    move_units(hold, line, opened, 'REHOLD', by, -line.confirm, 0)
    levels[i] = line.level.packed
    write_level(line.level, line.low, line.sku)
  end
end
tell_hold(hold, opened, 'REHOLD', by)
local outcome = remember_verb(hold, 'REHOLD', ARGV[3], by, opened, table.concat(levels, ','))
-- From now on it is kept for another retention time (remove_holds).
redis.call('RPUSH', KEYS[2], hold.id .. '+')
return { 'ok', hold.record, hold.state, outcome, 'REHOLD' }
