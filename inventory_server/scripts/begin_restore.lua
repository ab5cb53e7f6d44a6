#!lua
--[[ begin_restore — Marks a store as being restored, so that no server uses it.
  KEYS  meta of each partition
  ARGV  1 partitions
  Returns
    not_empty  number                         a partition that has a meta
    ok
  Cost  O(partitions). Writes nothing unless it returns ok. ]]
-- include: arguments.lua
-- include: level.lua
-- include: journal.lua
local partitions = whole(ARGV[1], 1)
if partitions ~= #KEYS then error('not so many partitions: ' .. partitions) end
for i, key in ipairs(KEYS) do
  check_key(key, partition_key(i - 1, 'meta'))
  if redis.call('EXISTS', key) == 1 then return { 'not_empty', i - 1 } end
end

-- COMMIT
for _, key in ipairs(KEYS) do
  redis.call('HSET', key, 'schema', 'restoring', 'partitions', format('%d', partitions))
end
return { 'ok' }
