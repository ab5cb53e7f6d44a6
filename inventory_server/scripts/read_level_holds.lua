#!lua flags=no-writes
--[[ read_level_holds — Reads a page of a level's open holds, in the order of their
  deadlines and ids, and where the partition's journal is at that instant.
  KEYS  1 level  2 due  3 meta
  ARGV  1 location  2 sku  3 after_ms  4 after_id ("" = from the first)  5 count
  Returns
    ok   seq level (hold_id deadline_ms units)...   level: "" where there is none;
         units: -1 where the index is wrong about the hold. Fewer than count: the last ones
  Cost  O(count), and O(holds of after_ms) where that hold has gone. Writes nothing. ]]
-- include: arguments.lua
-- include: level.lua
-- include: journal.lua
-- include: hold.lua
-- include: hold_lines.lua
local after_ms, after_id, count = whole(ARGV[3], 0), ARGV[4], whole(ARGV[5], 1)
local answer = { 'ok', redis.call('HGET', KEYS[3], 'seq') or '0', redis.call('GET', KEYS[1]) or '' }
local first = after_id ~= '' and redis.call('ZSCORE', KEYS[2], after_id) or nil
if first and tonumber(first) == after_ms then
  first = redis.call('ZRANK', KEYS[2], after_id) + 1
else
  -- That hold is not there any more: those of its millisecond are passed over by their ids.
  first = redis.call('ZCOUNT', KEYS[2], '-inf', '(' .. ARGV[3])
  while after_id ~= '' do
    local entry = redis.call('ZRANGE', KEYS[2], first, first, 'WITHSCORES')
    if tonumber(entry[2]) ~= after_ms or entry[1] > after_id then break end
    first = first + 1
  end
end
local entries = redis.call('ZRANGE', KEYS[2], first, first + count - 1, 'WITHSCORES')
for n = 1, #entries, 2 do
  local id, units = entries[n], -1
  local is_read, hold = pcall(find_hold, id)
  if is_read and hold and hold.word == 'HELD' and hold.deadline == tonumber(entries[n + 1]) then
    local is_whole, found = pcall(units_of, hold, ARGV[1], ARGV[2])
    units = is_whole and found or -1
  end
  for _, fact in ipairs({ id, entries[n + 1], units }) do answer[#answer + 1] = fact end
end
return answer
