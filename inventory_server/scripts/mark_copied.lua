#!lua flags=allow-oom
--[[ mark_copied — Says up to which movement a partition is in the durable copy.
  KEYS  1 meta
  ARGV  1 number  2 epoch  3 copied  4 store_id
  Returns
    rewound  number epoch seq store_id        the store is not where that was copied from
    ok
  Cost  O(1). May run anywhere, any number of times. ]]
-- include: arguments.lua
-- include: level.lua
-- include: journal.lua
local number, copied = ARGV[1], whole(ARGV[3], 0)
check_key(KEYS[1], partition_key(number, 'meta'))
local stored = redis.call('HMGET', KEYS[1], 'epoch', 'seq', 'store_id')
local seq = tonumber(stored[2] or nil)
if stored[1] ~= ARGV[2] or not seq or seq < copied or stored[3] ~= ARGV[4] then
  return { 'rewound', number, stored[1] or '', stored[2] or '', stored[3] or '' }
end

-- COMMIT
redis.call('HSET', KEYS[1], 'copied', format('%d', copied))
return { 'ok' }
