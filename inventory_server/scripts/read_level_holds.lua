#!lua flags=no-writes
--[[ read_level_holds — Reads a page of a level's open holds, and where the
  partition's journal is at that instant.
  KEYS  1 level  2 due  3 meta
  ARGV  1 location  2 sku  3 from_ms  4 offset  5 count
  Returns
    ok   seq level (hold_id deadline_ms units)...   level: "" where there is none;
         units: -1 where the index is wrong about the hold
  Cost  O(count). Writes nothing. ]]
-- include: arguments.lua
-- include: level.lua
-- include: journal.lua
-- include: hold.lua
-- include: hold_lines.lua
local answer = { 'ok', redis.call('HGET', KEYS[3], 'seq') or '0', redis.call('GET', KEYS[1]) or '' }
local entries = redis.call('ZRANGEBYSCORE', KEYS[2], whole(ARGV[3], 0), '+inf', 'WITHSCORES',
  'LIMIT', whole(ARGV[4], 0), whole(ARGV[5], 0))
for n = 1, #entries, 2 do
  local id, units = entries[n], -1
  local is_read, hold = pcall(find_hold, id)
  if is_read and hold and hold.word == 'HELD' and hold.deadline == tonumber(entries[n + 1]) then
    for _, line in ipairs(parse_lines(hold)) do
      if line.location == ARGV[1] and line.sku == ARGV[2] then units = line.held end
    end
  end
  for _, fact in ipairs({ id, entries[n + 1], units }) do answer[#answer + 1] = fact end
end
return answer
