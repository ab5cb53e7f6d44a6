#!lua
--[[ begin_reconcile — Marks a store that went back in time, so that no server uses it.
  KEYS  meta of each partition
  ARGV  1 partitions  2 schema  3 store_id
  Returns
    other_store  number                       a partition that is not of this store
    ok   (epoch from seq)...                  of each partition: where it was, and where it is
  Cost  O(partitions). May run any number of times. Writes nothing unless it returns ok. ]]
-- include: arguments.lua
-- include: level.lua
-- include: journal.lua
-- include: restore.lua
local answer = { 'ok' }
if whole(ARGV[1], 1) ~= #KEYS then error('not so many partitions: ' .. ARGV[1]) end
if not find(ARGV[3], '^%w+$') then error('not a store: ' .. ARGV[3]) end
for i, key in ipairs(KEYS) do
  check_key(key, partition_key(i - 1, 'meta'))
  local stored = redis.call('HMGET', key, 'schema', 'store_id', 'epoch', 'seq', 'partitions')
  local store_id, epoch, from = reconciling(key)
  if stored[1] == ARGV[2] then store_id, epoch, from = stored[2], stored[3], tonumber(stored[4]) end
  if store_id ~= ARGV[3] or stored[5] ~= ARGV[1] then return { 'other_store', i - 1 } end
  for _, fact in ipairs({ epoch, format('%d', from), stored[4] }) do answer[#answer + 1] = fact end
end

-- COMMIT
-- Without a store id and an epoch it is behind for every server, whatever its seq becomes.
for i, key in ipairs(KEYS) do
  redis.call('HSET', key, 'store_id', '', 'epoch', '', 'schema',
    format('reconciling %s %s %s', ARGV[3], answer[3 * i - 1], answer[3 * i]))
end
return answer
