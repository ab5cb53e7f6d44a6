#!lua flags=allow-oom
--[[ expire_holds — Takes back the units of holds whose deadline has passed, and
  removes ended holds whose retention time is over.
  KEYS  1 where to look: a partition's due, or a level's
  ARGV  1 now_ms ("" = TIME)  2 retention_ms  3 max_holds  4 max_lines
        5 guards ("store_id", and " n=epoch:seen_seq" of each)
  Returns
    rewound  number epoch seq store_id        the store went back in time
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
  local home = home_of(id)
  local due, refs = partition_key(home, 'due'), partition_key(home, 'refs')
  redis.call('ZCARD', due)
  redis.call('ZCARD', refs)
  local hold = read_hold(partition_key(home, 'hold:' .. id), id)
  if hold and hold.word == 'HELD' and hold.deadline > now then
    early[#early + 1] = hold
  elseif hold and hold.word == 'HELD' then
    local _, commas = string.gsub(packed_lines(hold), ',', ',')
    line_count = line_count + commas + 1
    if taken > 0 and line_count > max_lines then break end
    hold.lines, hold.due = read_lines(hold, levels), due
    local refusal = open_partitions(hold.lines, ARGV[5], opened)
    if refusal then return refusal end
    expired[#expired + 1] = hold
  else
    removed[#removed + 1] = { id = id, due = due, refs = refs, hold = hold }
  end
  taken = taken + 1
end

-- COMMIT
for _, hold in ipairs(expired) do
  local by = new_reason(hold, 'expire-' .. hold.id, 'sweeper', now)
  hold.state = format('EXPIRED %d %d', hold.deadline, hold.deadline)
  end_lines(hold, hold.lines, opened, 'EXPIRE', by, false)
  write_hold(hold)
  redis.call('ZADD', hold.due, format('%d', hold.deadline + tonumber(ARGV[2])), hold.id)
end
local places = close_partitions(opened)
-- The record decides: an index that says otherwise is put right.
for _, hold in ipairs(early) do
  redis.call('ZADD', KEYS[1], format('%d', hold.deadline), hold.id)
end
for _, entry in ipairs(removed) do
  redis.call('ZREM', KEYS[1], entry.id)
  if entry.hold and KEYS[1] == entry.due then
    redis.call('DEL', entry.hold.key)
    local reference = reference_of(entry.hold)
    if reference ~= '' then redis.call('ZREM', entry.refs, reference .. '\0' .. entry.id) end
  end
end
local more = taken < #ids or #ids == tonumber(ARGV[3])
return { 'ok', #expired, #removed, more and 1 or 0, places }
