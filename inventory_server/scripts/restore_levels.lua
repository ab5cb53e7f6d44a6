#!lua
--[[ restore_levels — Writes levels of a location as the durable copy has them.
  KEYS  1 meta  2 locations  3 skus  4 low  5.. level
  ARGV  1 number  2 location  3 policy (its default, " safety backorder reorder rearm" or "")
        4.. a level (sku, packed)
  Returns
    not_restoring                             no restore has begun, or it is finished
    ok
  Cost  O(levels). Writes nothing unless it returns ok. ]]
-- include: arguments.lua
-- include: level.lua
-- include: journal.lua
-- include: restore.lua
local STATES = { OK = true, LOW = true, OUT = true }
local location, policy, levels = ARGV[2], ARGV[3], {}
for i, name in ipairs({ 'meta', 'locations', 'skus:' .. location, 'low:' .. location }) do
  check_key(KEYS[i], partition_key(ARGV[1], name))
end
check_place(location)
if not is_restoring(KEYS[1]) then return { 'not_restoring' } end
if policy ~= '' then take_policy({}, policy) end
if #ARGV - 3 ~= 2 * (#KEYS - 4) then error('not two arguments a level') end
for i = 5, #KEYS do
  local sku, packed = ARGV[2 * i - 6], ARGV[2 * i - 5]
  check_key(KEYS[i], partition_key(ARGV[1], 'level:' .. location .. ':' .. sku))
  check_place(location, sku)
  check_absent(KEYS[i])
  local rest = match(packed, '^%-?%d+ %d+ %d+(.*)$')
  local own_policy, alert_state = match(rest or '', '^( %d+ %d+ %d+ %d+) (%u+)$')
  if rest ~= '' and not (own_policy and STATES[alert_state]) then
    error('not a level: ' .. packed)
  end
  levels[#levels + 1] = { key = KEYS[i], sku = sku, packed = packed, state = alert_state or 'OK' }
end
redis.call('HLEN', KEYS[2])
redis.call('ZCARD', KEYS[3])
redis.call('ZCARD', KEYS[4])

-- COMMIT
redis.call('HSET', KEYS[2], location, policy)
for _, level in ipairs(levels) do
  redis.call('SET', level.key, level.packed)
  redis.call('ZADD', KEYS[3], '0', level.sku)
  if level.state ~= 'OK' then redis.call('ZADD', KEYS[4], '0', level.sku) end
end
return { 'ok' }
