#!lua flags=allow-oom
--[[ expire_holds — Takes back the units of holds whose deadline has passed, and
  removes ended holds whose retention time is over.
  KEYS  1 where to look: a partition's due, or a level's
  ARGV  1 now_ms ("" = TIME)  2 retention_ms  3 max_holds  4 max_lines
        5 guards (" n=epoch:seen_seq" of every partition)
  Returns
    rewound  number epoch seq                 the store went back in time
    ok       expired removed more places      more: 1 where something is still due
  Cost  O(max_lines), at least one hold. May run anywhere, any number of times. ]]
-- include: now.lua
-- include: level.lua
-- include: journal.lua
-- include: hold.lua
-- include: hold_verb.lua
local now, max_lines = read_now(ARGV[1]), tonumber(ARGV[4])
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[3])
local expired, removed, early, levels, opened, line_count, taken = {}, {}, {}, {}, {}, 0, 0
for _, id in ipairs(ids) do
  local home = string.match(id, '^%d+')
  local hold = read_hold(partition_key(home, 'hold:' .. id), id)
  if hold and hold.word == 'HELD' and hold.deadline > now then
    early[#early + 1] = hold
  elseif hold and hold.word == 'HELD' then
    local _, count = string.gsub(hold.packed_lines, ',', ',')
    line_count = line_count + count + 1
    if taken > 0 and line_count > max_lines then break end
    hold.lines = read_lines(hold, levels)
    local refusal = open_partitions(hold.lines, ARGV[5], opened)
    if refusal then return refusal end
    expired[#expired + 1] = hold
  else
    removed[#removed + 1] = hold or { id = id, home = home, reference = '' }
  end
  taken = taken + 1
end

-- COMMIT
for _, hold in ipairs(expired) do
  local by = { op = 'expire-' .. hold.id, actor = 'sweeper', reason = '', note = '',
    reference = hold.reference, now = now }
  end_lines(hold, hold.lines, opened, 'EXPIRE', by,
    'EXPIRED ' .. hold.deadline .. ' ' .. hold.deadline, false)
  redis.call('HSET', partition_key(hold.home, 'hold:' .. hold.id), 'state', hold.state)
  redis.call('ZADD', partition_key(hold.home, 'due'), hold.deadline + tonumber(ARGV[2]), hold.id)
end
local places = close_partitions(opened)
-- The record decides: an index that says otherwise is put right.
for _, hold in ipairs(early) do redis.call('ZADD', KEYS[1], hold.deadline, hold.id) end
for _, hold in ipairs(removed) do
  redis.call('ZREM', KEYS[1], hold.id)
  local is_home = KEYS[1] == partition_key(hold.home, 'due')
  if is_home and hold.key then redis.call('DEL', hold.key) end
  if is_home and hold.reference ~= '' then
    redis.call('ZREM', partition_key(hold.home, 'refs'), hold.reference .. '\0' .. hold.id)
  end
end
local more = taken < #ids or #ids == tonumber(ARGV[3])
return { 'ok', #expired, #removed, more and 1 or 0, places }
