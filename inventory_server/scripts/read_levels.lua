#!lua flags=no-writes
--[[ read_levels — Reads levels as they are at one instant.
  KEYS  a level: level, due
  ARGV  1 now_ms ("" = TIME)
  Returns
    due  number...                            levels with holds to be expired first
    ok   now_ms (level earliest_deadline_ms)...   "" where there is none
  Cost  O(levels). Writes nothing. ]]
-- include: arguments.lua
local now, due = read_now(ARGV[1]), { 'due' }
local answer = { 'ok', now }
for i = 1, #KEYS, 2 do
  local level, earliest = redis.call('GET', KEYS[i]) or '', ''
  if level ~= '' and string.match(level, '^%-?%d+ (%d+)') ~= '0' then
    earliest = redis.call('ZRANGE', KEYS[i + 1], 0, 0, 'WITHSCORES')[2] or ''
    if earliest ~= '' and tonumber(earliest) <= now then due[#due + 1] = (i + 1) / 2 end
  end
  answer[i + 2], answer[i + 3] = level, earliest
end
return #due > 1 and due or answer
