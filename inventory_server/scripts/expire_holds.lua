#!lua flags=allow-oom
--[[ expire_holds — Takes back the units of holds whose deadline has passed.
  KEYS  1 where to look: a partition's due, or a level's
  ARGV  1 now_ms ("" = TIME)  2 max_holds  3 max_lines
        4 guards ("store_id", and " n=epoch:seen_seq" of each)
  Returns
    rewound  number epoch seq store_id        the store went back in time
    ok       expired more places              more: 1 where something is still due
  Cost  O(max_lines), at least one hold. May run anywhere, any number of times. ]]
-- include: arguments.lua
-- include: level.lua
-- include: journal.lua
-- include: hold.lua
-- include: hold_lines.lua
-- include: inactive.lua
-- include: quiet.lua
-- include: hold_verb.lua
local now, max_holds, max_lines = read_now(ARGV[1]), whole(ARGV[2], 1), whole(ARGV[3], 1)
if not match(ARGV[4], '^%w+ ') then error('not guards: ' .. ARGV[4]) end
if not find(KEYS[1] .. ':', '^inv:{%d+}:due:') then error('not a due: ' .. KEYS[1]) end
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, max_holds)
local expired, gone, early, levels, opened, planned = {}, {}, {}, {}, {}, {}
local line_count, taken = 0, 0
for _, id in ipairs(ids) do
  local hold = find_hold(id)
  if hold and hold.word == 'HELD' and hold.deadline > now then
    early[#early + 1] = hold
  elseif hold and hold.word == 'HELD' then
    hold.lines = read_lines(hold, levels)
    line_count = line_count + #hold.lines
    if taken > 0 and line_count > max_lines then break end
    for _, line in ipairs(hold.lines) do
      plan_units(line, 0, 0, line.held)
      planned[#planned + 1] = line
    end
    if not opened[hold.home] then
      local refusal = open_partitions({ { number = hold.home } }, ARGV[4], opened)
      if refusal then return refusal end
      redis.call('ZCARD', partition_key(hold.home, 'due'))
      redis.call('LLEN', partition_key(hold.home, 'ended'))
    end
    local refusal = open_partitions(hold.lines, ARGV[4], opened)
    if refusal then return refusal end
    hold.state = judge_state(hold.lines, hold.deadline, hold.deadline)
    expired[#expired + 1] = hold
  else
    gone[#gone + 1] = id
  end
  taken = taken + 1
end
quiet_planned(planned)

-- COMMIT
-- Entries are written a hold, levels and indexes once for all of them.
local changed, removed, ended = {}, { [KEYS[1]] = gone }, {}
local function add(lists, key, id)
  local list = lists[key]
  if not list then
    list = {}
    lists[key] = list
  end
  list[#list + 1] = id
end
local by = { actor = 'sweeper', reason = '', note = '', at = format('%d', now) }
for _, hold in ipairs(expired) do
  by.op, by.reference, by.count = 'expire-' .. hold.id, reference_of(hold), 0
  for _, line in ipairs(hold.lines) do
    if line.expire > 0 then
      move_units(hold, line, opened, 'EXPIRE', by, 0, -line.expire)
      changed[line.level] = line
      add(removed, line.due, hold.id)
    end
  end
  tell_hold(hold, opened, 'EXPIRE', by)
  write_hold(hold)
  add(ended, hold.home, hold.id)
end
local places = close_partitions(opened)
for level, line in pairs(changed) do write_level(level, line.low, line.sku) end
for key, members in pairs(removed) do
  if #members > 0 then redis.call('ZREM', key, unpack(members)) end
end
for home, members in pairs(ended) do
  redis.call('ZREM', partition_key(home, 'due'), unpack(members))
  redis.call('RPUSH', partition_key(home, 'ended'), unpack(members))
end
-- The record decides: an index that says otherwise is put right.
for _, hold in ipairs(early) do
  redis.call('ZADD', KEYS[1], format('%d', hold.deadline), hold.id)
end
local more = taken < #ids or #ids == max_holds
return { 'ok', #expired, more and 1 or 0, places }
