#!lua flags=no-writes
--[[ read_places — Says how far each partition has come, from where its streams are
  kept, and how far it is in the durable copy.
  KEYS  meta of each partition
  ARGV  none
  Returns
    ok   (epoch seq store_id kept_from copied)...
                                              in the order of KEYS; "" where there is no meta
  Cost  O(partitions). Writes nothing. ]]
local answer = { 'ok' }
for _, key in ipairs(KEYS) do
  local found = redis.call('HMGET', key, 'epoch', 'seq', 'store_id', 'kept_from', 'copied')
  local missing = { '', '', '', '1', '0' }
  for n = 1, 5 do answer[#answer + 1] = found[n] or missing[n] end
end
return answer
