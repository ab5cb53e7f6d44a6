#!lua flags=allow-oom
--[[ initialize_partition — Makes a partition's meta where there is none, and reads it.
  KEYS  1 meta  2 journal
  ARGV  1 schema  2 partitions  3 store_id  4 secret
  Returns
    journal_without_meta                      the store has lost its meta
    ok   schema partitions store_id secret epoch seq
  Cost  O(1). Writes only where there was nothing. ]]
local prefix = string.match(KEYS[1], '^(inv:{%d+}:)meta$')
if not prefix or KEYS[2] ~= prefix .. 'journal' then error('not a partition: ' .. KEYS[1]) end
local fields = { 'schema', 'partitions', 'store_id', 'secret', 'epoch', 'seq' }
if redis.call('EXISTS', KEYS[1]) == 0 then
  if redis.call('EXISTS', KEYS[2]) == 1 then return { 'journal_without_meta' } end
  -- COMMIT
  redis.call('HSET', KEYS[1], 'schema', ARGV[1], 'partitions', ARGV[2], 'store_id', ARGV[3],
    'secret', ARGV[4], 'epoch', 1, 'seq', 0)
end
local meta = redis.call('HMGET', KEYS[1], unpack(fields))
for i = 1, #fields do meta[i] = meta[i] or '' end
return { 'ok', unpack(meta) }
