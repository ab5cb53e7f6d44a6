#!lua
--[[ set_inactive — Says of products that they are inactive, or active again, in one partition.
  KEYS  1 meta  2 journal  3 inactive
  ARGV  1 number  2 epoch  3 seen_seq  4 store_id  5 is_inactive ("1" or "")  6.. product (sku)
  Returns, first match wins
    rewound  number epoch seq store_id        the store went back in time
    ok       changed                          how many were not so before
  Cost  O(skus). May run any number of times. ]]
-- include: arguments.lua
-- include: level.lua
-- include: journal.lua
local is_inactive, skus = is_set(ARGV[5]), { unpack(ARGV, 6) }
if #skus == 0 then error('no sku') end
for n, name in ipairs({ 'meta', 'journal', 'inactive' }) do
  check_key(KEYS[n], partition_key(ARGV[1], name))
end
for _, sku in ipairs(skus) do
  if #sku > 64 or not find(sku, '^[%w._/+#-]+$') then error('not a sku: ' .. sku) end
end
local _, refusal = open_partition(ARGV[1], KEYS[1], KEYS[2], ARGV[4], ARGV[2], whole(ARGV[3], 0))
if refusal then return refusal end

-- COMMIT
return { 'ok', redis.call(is_inactive and 'SADD' or 'SREM', KEYS[3], unpack(skus)) }
