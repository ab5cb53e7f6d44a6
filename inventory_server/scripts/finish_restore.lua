#!lua
--[[ finish_restore — Makes a store of what was restored: from here on servers use it.
  KEYS  meta of each partition
  ARGV  1 schema  2 store_id  3 secret  4 new_epoch  5.. a partition (copied, seq)
  Returns
    not_restoring                             no restore has begun, or it is finished
    ok
  Cost  O(partitions). Writes nothing unless it returns ok. ]]
-- include: arguments.lua
-- include: level.lua
-- include: journal.lua
-- include: restore.lua
local epoch, places = format('%d', whole(ARGV[4], 2)), {}
if not find(ARGV[2], '^%w+$') or not find(ARGV[3], '^%x+$') then error('not a store') end
if #ARGV - 4 ~= 2 * #KEYS then error('not two arguments a partition') end
for i, key in ipairs(KEYS) do
  check_key(key, partition_key(i - 1, 'meta'))
  if not is_restoring(key) then return { 'not_restoring' } end
  local copied = whole(ARGV[2 * i + 3], 0)
  places[i] = { copied = copied, seq = whole(ARGV[2 * i + 4], copied) }
end
if tonumber(redis.call('HGET', KEYS[1], 'partitions')) ~= #KEYS then
  error('not all partitions')
end

-- COMMIT
for i, key in ipairs(KEYS) do
  redis.call('HSET', key, 'schema', ARGV[1], 'store_id', ARGV[2], 'secret', ARGV[3],
    'epoch', epoch, 'seq', format('%d', places[i].seq),
    'copied', format('%d', places[i].copied), 'kept_from', format('%d', places[i].copied + 1))
end
return { 'ok' }
