-- What the scripts share that make a store from its durable copy. They write
-- only where a restore has begun and is not finished, and over nothing.
local function is_restoring(meta)
  return redis.call('HGET', meta, 'schema') == 'restoring'
end

local function check_absent(key)
  if redis.call('EXISTS', key) == 1 then error('it is there already: ' .. key) end
end

local function check_place(location, sku)
  if location ~= 'online' and not find(location, '^store:[%w._-]+$') then
    error('not a location: ' .. location)
  end
  if sku and not find(sku, '^[%w._/+#-]+$') then error('not a SKU: ' .. sku) end
end
