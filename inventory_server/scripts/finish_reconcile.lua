#!lua
--[[ finish_reconcile — Gives a store back that got what it lost: from here on servers use it.
  KEYS  meta of each partition
  ARGV  1 schema  2 store_id  3 new_epoch
        4.. copied_seq (of a partition: up to there it is in the copy; "" = as it says itself)
  Returns
    not_reconciling                           none has begun, or it is finished
    ok
  Cost  O(partitions). Writes nothing unless it returns ok. ]]
-- include: arguments.lua
-- include: level.lua
-- include: journal.lua
-- include: restore.lua
local new_epoch, copied = format('%d', whole(ARGV[3], 2)), {}
if not find(ARGV[1], '^%d+$') then error('not a schema: ' .. ARGV[1]) end
if #ARGV - 3 ~= #KEYS then error('not an argument a partition') end
for i, key in ipairs(KEYS) do
  check_key(key, partition_key(i - 1, 'meta'))
  local store_id, epoch = reconciling(key)
  if store_id ~= ARGV[2] then return { 'not_reconciling' } end
  if tonumber(epoch) >= tonumber(new_epoch) then error('not a new epoch: ' .. new_epoch) end
  local stored = redis.call('HMGET', key, 'seq', 'copied', 'partitions')
  if tonumber(stored[3]) ~= #KEYS then error('not all partitions') end
  copied[i] = ARGV[i + 3] == '' and (stored[2] or '0') or ARGV[i + 3]
  if whole(copied[i], 0) > tonumber(stored[1]) then error('copied, but not there: ' .. key) end
end

-- COMMIT
for i, key in ipairs(KEYS) do
  redis.call('HSET', key, 'schema', ARGV[1], 'store_id', ARGV[2], 'epoch', new_epoch,
    'copied', format('%d', tonumber(copied[i])))
end
return { 'ok' }
