#!lua flags=no-writes
--[[ read_due — Says how long ago each partition's oldest due entry was due.
  KEYS  due of each partition
  ARGV  1 now_ms ("" = TIME)
  Returns
    ok   lag_ms...                            in the order of KEYS; -1 where nothing is due
  Cost  O(partitions). Writes nothing. ]]
-- include: arguments.lua
local now, answer = read_now(ARGV[1]), { 'ok' }
for i, key in ipairs(KEYS) do
  local earliest = tonumber(redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2])
  answer[i + 1] = earliest and earliest <= now and now - earliest or -1
end
return answer
