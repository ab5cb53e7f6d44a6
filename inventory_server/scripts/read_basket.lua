#!lua flags=no-writes
--[[ read_basket — Reads levels as they are at one instant, and whether their products are active.
  KEYS  a level: level, due, inactive
  ARGV  1 now_ms ("" = TIME)  2.. sku
  Returns
    due  number...                            levels with holds to be expired first
    ok   now_ms inactive (level earliest_deadline_ms)...   "" where there is none;
         inactive: the numbers of the levels whose product is inactive, commas between
  Cost  O(levels). Writes nothing. ]]
-- include: arguments.lua
local now, due, inactive, count = read_now(ARGV[1]), { 'due' }, {}, #ARGV - 1
local answer, first = { 'ok', now, '' }, 1
if #KEYS ~= 3 * count then error('not a sku a level') end
for i = 1, count do
  local level, earliest, set = redis.call('GET', KEYS[3 * i - 2]) or '', '', KEYS[3 * i]
  if level ~= '' and match(level, '^%-?%d+ (%d+)') ~= '0' then
    earliest = redis.call('ZRANGE', KEYS[3 * i - 1], 0, 0, 'WITHSCORES')[2] or ''
    if earliest ~= '' and tonumber(earliest) <= now then due[#due + 1] = i end
  end
  answer[2 * i + 2], answer[2 * i + 3] = level, earliest
  -- One question for all levels of a partition, where these stand together.
  if set ~= KEYS[3 * i + 3] then
    for n, is_inactive in ipairs(redis.call('SMISMEMBER', set, unpack(ARGV, first + 1, i + 1))) do
      if is_inactive == 1 then inactive[#inactive + 1] = first + n - 1 end
    end
    first = i + 1
  end
end
answer[3] = table.concat(inactive, ',')
return #due > 1 and due or answer
