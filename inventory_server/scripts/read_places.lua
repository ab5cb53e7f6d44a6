#!lua flags=no-writes
--[[ read_places — Says how far each partition has come, and from where its streams are kept.
  KEYS  meta of each partition
  ARGV  none
  Returns
    ok   (epoch seq store_id kept_from)...    in the order of KEYS; "" where there is no meta
  Cost  O(partitions). Writes nothing. ]]
local answer = { 'ok' }
for _, key in ipairs(KEYS) do
  local found = redis.call('HMGET', key, 'epoch', 'seq', 'store_id', 'kept_from')
  for n = 1, 4 do answer[#answer + 1] = found[n] or (n == 4 and '1' or '') end
end
return answer
