-- What the scripts share that make a store from its durable copy, or add to one what it lost.
-- A restore writes only where it has begun and is not finished, and over nothing.
local function is_restoring(meta)
  return redis.call('HGET', meta, 'schema') == 'restoring'
end

-- Of a partition that is being reconciled: its store, and the epoch and seq from which on it
-- gets what it lost. nil where none has begun, or it is finished.
local function reconciling(meta)
  local schema = redis.call('HGET', meta, 'schema') or ''
  local store_id, epoch, from = match(schema, '^reconciling (%w+) (%d+) (%d+)$')
  return store_id, epoch, tonumber(from)
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
